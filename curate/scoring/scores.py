"""Scores: what the counts come to, with intervals, as values and as JSON.

``score`` takes pairs of annotations of the same documents; :func:`scores_of` works on counts
that are there already (from files, see :mod:`curate.scoring.reading`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from curate.alignment import EntityKind, RelationKind
from curate.errors import DataError
from curate.model import Annotation
from curate.schema import LabelSchema
from curate.scoring.calibration import Calibration, calibrate
from curate.scoring.columns import Collector, Floats, Ints, Side, with_names
from curate.scoring.links import tally_chains, tally_relations
from curate.scoring.resampling import DRAWS, SEED, f1_of_sums, interval, resample
from curate.scoring.tally import (
    ENTITY_KINDS,
    RELATION_KINDS,
    Frame,
    PartTally,
    Scored,
    Sparse,
    tally_entities,
)

Interval = tuple[float, float]


class HasAnnotation(Protocol):
    """A record of an interchange file, or whatever else carries an annotation."""

    @property
    def annotation(self) -> Annotation: ...


@dataclass(frozen=True, slots=True)
class Measure:
    """A credit over what was there (``gold``) and what was claimed (``predicted``)."""

    credit: float
    gold: float
    predicted: float
    ci: Interval | None = None

    @property
    def precision(self) -> float | None:
        return self.credit / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        return self.credit / self.gold if self.gold else None

    @property
    def f1(self) -> float | None:
        """2·TP / (G + P); None where both sides are empty."""
        total = self.gold + self.predicted
        return 2.0 * self.credit / total if total else None

    def as_json(self, counts: bool = True) -> dict[str, Any]:
        """``counts``: with tp, fp and fn, for measures that count whole items."""
        data: dict[str, Any] = {}
        if counts:
            tp = round(self.credit)
            data = {"tp": tp, "fp": round(self.predicted) - tp, "fn": round(self.gold) - tp}
        return data | {
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "ci": None if self.ci is None else list(self.ci),
        }


@dataclass(frozen=True, slots=True)
class PartScores:
    """Everything about the entities, or about the relations.

    ``macro_f1`` is the mean over ``macro_labels``, the labels with support in gold.
    ``error_members`` gives gold and predicted members per kind; they sum to G and P.
    ``missed_argument``: of the missed relations, those an argument of which was missed, too.
    """

    measures: Mapping[str, Measure]
    macro_f1: float | None
    macro_ci: Interval | None
    macro_labels: tuple[str, ...]
    per_label: Mapping[str, Measure]
    errors: Mapping[str, int]
    error_members: Mapping[str, tuple[int, int]]
    confusion: Mapping[tuple[str | None, str | None], int]
    missed_argument: int | None = None
    calibration: Calibration | None = None

    def as_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            name: measure.as_json(counts=name not in ("partial", "lenient"))
            for name, measure in self.measures.items()
        }
        data["macro_label"] = {
            "f1": self.macro_f1,
            "ci": None if self.macro_ci is None else list(self.macro_ci),
            "labels": list(self.macro_labels),
        }
        data["per_label"] = {name: measure.as_json() for name, measure in self.per_label.items()}
        data["errors"] = dict(self.errors)
        if self.missed_argument is not None:
            data["missed_argument"] = self.missed_argument
        data["error_members"] = {
            kind: {"gold": gold, "predicted": predicted}
            for kind, (gold, predicted) in self.error_members.items()
        }
        data["confusion"] = [
            {"gold": gold, "predicted": predicted, "count": count}
            for (gold, predicted), count in self.confusion.items()
        ]
        if self.calibration is not None:
            data["calibration"] = self.calibration.as_json()
        return data


@dataclass(frozen=True, slots=True)
class Tally:
    """The counts of all documents, in ascending order of id."""

    documents: tuple[str, ...]
    entities: PartTally
    relations: PartTally
    warnings: tuple[str, ...] = ()

    def subset(self, documents: Collection[str]) -> Tally:
        """The counts of these documents alone; confusion is not kept by document and is empty."""
        keep = [i for i, name in enumerate(self.documents) if name in documents]
        place = np.full(len(self.documents), -1, dtype=np.int64)
        place[keep] = np.arange(len(keep))
        return Tally(
            tuple(self.documents[i] for i in keep),
            _subset(self.entities, keep, place),
            _subset(self.relations, keep, place),
            self.warnings,
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """One set of predictions against one gold standard."""

    documents: int
    entities: PartScores
    relations: PartScores
    warnings: tuple[str, ...]
    tally: Tally = field(repr=False, compare=False)

    def as_json(self) -> dict[str, Any]:
        """The form of ``curate evaluate --json``; undefined numbers are None."""
        return {
            "documents": self.documents,
            "entities": self.entities.as_json(),
            "relations": self.relations.as_json(),
            "warnings": list(self.warnings),
        }


def score(
    pairs: Iterable[tuple[Annotation | HasAnnotation, Annotation | HasAnnotation]],
    *,
    schema: LabelSchema | None = None,
    labels: Collection[str] | None = None,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Scores:
    """Score (gold, predicted) pairs of annotations, or of records, of the same documents.

    ``pairs`` is read once and not kept.  ``schema`` says which relation types are symmetric.
    ``labels`` restricts the count to these entity labels and relation types.  ``draws`` of 0
    leaves the intervals out.  Raises DataError for a pair of two documents, and for a document
    that comes twice.
    """
    return scores_of(tally(pairs, schema=schema, labels=labels), draws=draws, seed=seed)


def tally(
    pairs: Iterable[tuple[Annotation | HasAnnotation, Annotation | HasAnnotation]],
    *,
    schema: LabelSchema | None = None,
    labels: Collection[str] | None = None,
) -> Tally:
    """The counts of (gold, predicted) pairs; see :func:`score`."""
    gold, other = Collector(), Collector()
    for pair in pairs:
        one, two = (side if isinstance(side, Annotation) else side.annotation for side in pair)
        if one.document_id != two.document_id:
            raise DataError(
                f"cannot score document {two.document_id!r} against {one.document_id!r}"
            )
        gold.add(one)
        other.add(two)
    documents = sorted(gold.ids)
    return tally_sides(documents, gold.side(documents), other.side(documents), schema, labels)


def tally_sides(
    documents: Sequence[str],
    gold: Side,
    other: Side,
    schema: LabelSchema | None = None,
    labels: Collection[str] | None = None,
) -> Tally:
    """The counts of two sides over the same documents, in ascending order of id."""
    warnings = _unknown(gold, other, schema)
    names = sorted({*gold.labels, *other.labels})
    kinds = sorted({*gold.kinds, *other.kinds})
    frame = Frame.of(with_names(gold, names, kinds), with_names(other, names, kinds))
    symmetric = frozenset() if schema is None else schema.symmetric
    entities = tally_entities(frame, labels)
    relations = tally_relations(frame, symmetric, labels)
    chains = tally_chains(frame, symmetric, labels)
    if chains is not None:
        from dataclasses import replace

        relations = replace(relations, measures={**relations.measures, "chains": chains})
    for what, part in (("entities", entities), ("relations", relations)):
        for side, repeats in zip(("gold", "predictions"), part.duplicates, strict=True):
            if repeats:
                warnings.append(
                    f"{repeats} {what} of the {side} stood more than once and counted once"
                )
    return Tally(tuple(documents), entities, relations, tuple(warnings))


def scores_of(counts: Tally, *, draws: int = DRAWS, seed: int = SEED) -> Scores:
    """The scores that the counts come to."""
    size = len(counts.documents)
    warnings = list(counts.warnings)
    if size == 1 and draws:
        warnings.append("one document: intervals come from resampling documents and are undefined")
    entities, relations = _parts(counts, draws if size > 1 else 0, seed)
    return Scores(size, entities, relations, tuple(warnings), counts)


def _parts(counts: Tally, draws: int, seed: int) -> tuple[PartScores, PartScores]:
    size = len(counts.documents)
    parts = (counts.entities, counts.relations)
    tables: list[Floats | Sparse] = []
    for part in parts:
        # In whole parts of 2^-20 every sum is exact, whoever adds up and in whatever order.
        tables += [np.round(np.nan_to_num(t) * GRAIN) / GRAIN for t in part.measures.values()]
        tables += [rows for _, rows in sorted(part.labels.items())]
    drawn = _draw(tables, size, draws, seed) if draws else None
    found = []
    column = 0
    for part in parts:
        wide = len(part.measures) + len(part.labels)
        mine = None if drawn is None else drawn[:, column : column + wide]
        found.append(_part(part, mine))
        column += wide
    return found[0], found[1]


GRAIN = 1 << 20
_AT_ONCE = 200
"""Measures drawn together; bounds the memory where there are thousands of labels."""


def _draw(tables: list[Floats | Sparse], size: int, draws: int, seed: int) -> Floats:
    """F1 in every draw: draws × measures."""
    found = []
    for low in range(0, len(tables), _AT_ONCE):
        group = [
            table.dense(size) if isinstance(table, Sparse) else table
            for table in tables[low : low + _AT_ONCE]
        ]
        found.append(f1_of_sums(resample(np.column_stack(group), draws, seed)))
    return np.column_stack(found)


def _part(part: PartTally, drawn: Floats | None) -> PartScores:
    def ci(column: int) -> Interval | None:
        return None if drawn is None else interval(drawn[:, column])

    measures = {
        name: Measure(*_sums(table), ci(i)) for i, (name, table) in enumerate(part.measures.items())
    }
    first = len(measures)
    per_label = {}
    supported = []
    for i, (name, rows) in enumerate(sorted(part.labels.items())):
        credit, of_gold, claimed = rows.total().tolist()[:3]
        per_label[name] = Measure(credit, of_gold, claimed, ci(first + i))
        if per_label[name].gold:
            supported.append((name, first + i))
    values = [per_label[name].f1 for name, _ in supported]
    macro = math.fsum(v for v in values if v is not None) / len(values) if values else None
    macro_ci = None
    if drawn is not None and supported:
        macro_ci = interval(_row_means(drawn[:, [i for _, i in supported]]))
    kinds: tuple[EntityKind | RelationKind, ...] = (
        ENTITY_KINDS if "exact" in part.measures else RELATION_KINDS
    )
    errors = part.errors.sum(axis=0).tolist()
    members = part.members.sum(axis=0).tolist()
    return PartScores(
        measures=measures,
        macro_f1=macro,
        macro_ci=macro_ci,
        macro_labels=tuple(name for name, _ in supported),
        per_label=per_label,
        errors={str(kind): n for kind, n in zip(kinds, errors, strict=True)},
        error_members={
            str(kind): (gold, other) for kind, (gold, other) in zip(kinds, members, strict=True)
        },
        confusion=dict(
            sorted(part.confusion.items(), key=lambda cell: [(n is None, n or "") for n in cell[0]])
        ),
        missed_argument=(None if kinds is ENTITY_KINDS else int(part.missed_argument.sum())),
        calibration=calibrate(part.scored.score, part.scored.right),
    )


def _sums(table: Floats) -> tuple[float, float, float]:
    """Exact sums, so that the order of documents cannot show."""
    known = table[~np.isnan(table[:, 0])] if len(table) else table
    credit, gold, predicted = (math.fsum(known[:, i].tolist()) for i in range(3))
    return credit, gold, predicted


def _row_means(values: Floats) -> Floats:
    known = ~np.isnan(values)
    number = known.sum(axis=1)
    means = np.full(len(values), np.nan)
    np.divide(np.where(known, values, 0.0).sum(axis=1), number, out=means, where=number > 0)
    return means


def _unknown(gold: Side, other: Side, schema: LabelSchema | None) -> list[str]:
    """A label that neither gold nor the schema has is a false positive, and said to be one."""
    known = set(gold.labels) | set(() if schema is None else schema.entity_labels)
    kinds = set(gold.kinds) | set(() if schema is None else schema.relation_labels)
    strange = [f"entity label {name!r}" for name in other.labels if name not in known]
    strange += [f"relation type {name!r}" for name in other.kinds if name not in kinds]
    return [
        f"{name} stands in the predictions alone; all of it counts as false positives"
        for name in strange
    ]


def _subset(part: PartTally, keep: list[int], place: Ints) -> PartTally:
    from collections import Counter

    docs = place[part.scored.docs]
    chosen = docs >= 0

    def narrowed(rows: Mapping[str, Sparse]) -> dict[str, Sparse]:
        return {name: less for name, many in rows.items() if len((less := many.subset(place)).docs)}

    return PartTally(
        measures={name: table[keep] for name, table in part.measures.items()},
        labels=narrowed(part.labels),
        lenient_labels=narrowed(part.lenient_labels),
        errors=part.errors[keep],
        members=part.members[keep],
        confusion=Counter(),
        scored=Scored(docs[chosen], part.scored.score[chosen], part.scored.right[chosen]),
        missed_argument=(
            part.missed_argument[keep] if len(part.missed_argument) else part.missed_argument
        ),
    )
