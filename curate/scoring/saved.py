"""Counts per document as a file, so that scores can be compared without scoring again.

A line a document: ``{"id", "entities": {"strict": [credit, gold, predicted], …}, "relations":
{…}, "entity_labels": {…}, "relation_labels": {…}}``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from curate.errors import DataError
from curate.interchange import canonical_json, read_lines
from curate.scoring.columns import Floats
from curate.scoring.scores import Tally
from curate.scoring.tally import (
    ENTITY_KINDS,
    ENTITY_MEASURES,
    RELATION_KINDS,
    RELATION_MEASURES,
    PartTally,
    Scored,
    Sparse,
)


def dump_counts(counts: Tally) -> bytes:
    """The measures and labels of every document, in ascending order of id."""
    size = len(counts.documents)
    records: list[dict[str, Any]] = [{"id": document} for document in counts.documents]
    for name, part in (("entities", counts.entities), ("relations", counts.relations)):
        for record in records:
            record[name] = {}
        for measure, table in part.measures.items():
            for record, row in zip(records, table.tolist(), strict=True):
                record[name][measure] = None if row[0] != row[0] else row
        labels = "entity_labels" if name == "entities" else "relation_labels"
        for record in records:
            record[labels] = {}
        for label, rows in part.labels.items():
            for doc, row in zip(rows.docs.tolist(), rows.counts.tolist(), strict=True):
                records[doc][labels][label] = row
    assert size == len(records)
    return b"".join(canonical_json(record) + b"\n" for record in records)


def read_counts(path: Path) -> Tally:
    """The counts that :func:`dump_counts` wrote.  Raises DataError for anything else."""
    documents: list[str] = []
    rows: list[dict[str, Any]] = []
    for number, record in read_lines(path):
        try:
            documents.append(str(record["id"]))
            rows.append({key: dict(record[key]) for key in _PARTS})
        except (KeyError, TypeError, ValueError):
            raise DataError(
                "is no line of counts of `curate evaluate`", path=path, line=number
            ) from None
    try:
        return Tally(
            tuple(documents),
            _part([row["entities"] for row in rows], [row["entity_labels"] for row in rows], True),
            _part(
                [row["relations"] for row in rows], [row["relation_labels"] for row in rows], False
            ),
        )
    except (KeyError, TypeError, ValueError, IndexError):
        raise DataError("holds no counts of `curate evaluate`", path=path) from None


_PARTS = ("entities", "relations", "entity_labels", "relation_labels")


def _part(
    measures: list[Mapping[str, Any]], labels: list[Mapping[str, Any]], entity: bool
) -> PartTally:
    size = len(measures)
    names = list(dict.fromkeys(name for row in measures for name in row))
    order = list(dict.fromkeys((*ENTITY_MEASURES, *RELATION_MEASURES, "chains")))
    names.sort(key=order.index)
    kinds = len(ENTITY_KINDS if entity else RELATION_KINDS)
    found: dict[str, list[tuple[int, list[float]]]] = {}
    for doc, row in enumerate(labels):
        for label, counts in row.items():
            found.setdefault(label, []).append((doc, counts))
    return PartTally(
        measures={name: _table([row[name] for row in measures]) for name in names},
        labels={
            label: Sparse(
                np.array([doc for doc, _ in rows], dtype=np.int64),
                _table([counts for _, counts in rows]),
            )
            for label, rows in sorted(found.items())
        },
        lenient_labels={},
        errors=np.zeros((size, kinds), dtype=np.int64),
        members=np.zeros((size, kinds, 2), dtype=np.int64),
        confusion=Counter(),
        scored=Scored(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=np.int64)),
    )


def _table(rows: list[Any]) -> Floats:
    table = np.array([[np.nan] * 3 if row is None else row for row in rows], dtype=np.float64)
    if table.shape != (len(rows), 3):
        raise ValueError(table.shape)
    return table
