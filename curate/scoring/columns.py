"""Annotations as columns of numbers: what a hundred thousand documents are counted on.

A :class:`Collector` takes annotations one at a time and keeps no objects; a :class:`Side` is what
it has gathered, its documents in the order asked for.  Offsets are code points into the document.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.errors import DataError
from curate.model import Annotation

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Chain = tuple[int, tuple[int, ...]]
"""A document's number and the rows of the mentions."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison.

    ``doc``, ``start``, ``end``, ``label``, ``score`` are the entities' columns (``label`` an
    index into ``labels``, ``score`` NaN where there is none); ``head`` and ``tail`` are rows of
    the entities' columns, ``kind`` an index into ``kinds``, the relation types.
    """

    size: int
    labels: tuple[str, ...]
    doc: Ints
    start: Ints
    end: Ints
    label: Ints
    score: Floats
    kinds: tuple[str, ...]
    head: Ints
    tail: Ints
    kind: Ints
    relation_score: Floats
    chains: tuple[Chain, ...] = ()

    @property
    def relation_doc(self) -> Ints:
        return self.doc[self.head]


@dataclass
class Collector:
    """Gathers annotations; documents are numbered in the order they come."""

    ids: list[str] = field(default_factory=list)
    number: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    counts: array[int] = field(default_factory=lambda: array("q"))
    start: array[int] = field(default_factory=lambda: array("q"))
    end: array[int] = field(default_factory=lambda: array("q"))
    label: array[int] = field(default_factory=lambda: array("i"))
    score: array[float] = field(default_factory=lambda: array("d"))
    head: array[int] = field(default_factory=lambda: array("q"))
    tail: array[int] = field(default_factory=lambda: array("q"))
    kind: array[int] = field(default_factory=lambda: array("i"))
    relation_score: array[float] = field(default_factory=lambda: array("d"))
    chains: list[Chain] = field(default_factory=list)

    def open(self, document_id: str) -> int:
        """Begin a document; returns the row of its first entity.  Raises DataError for a repeat."""
        if document_id in self.number:
            raise DataError(f"document {document_id!r} stands twice")
        self.number[document_id] = len(self.ids)
        self.ids.append(document_id)
        return len(self.start)

    def close(self, first: int) -> None:
        """End the document that began at this row."""
        self.counts.append(len(self.start) - first)

    def add(self, annotation: Annotation) -> None:
        """Take over an annotation."""
        first = self.open(annotation.document_id)
        row: dict[tuple[int, int, str], int] = {}
        for entity in annotation.entities:
            row.setdefault(entity.key, len(self.start))
            self.start.append(entity.start)
            self.end.append(entity.end)
            self.label.append(self.labels.setdefault(entity.label, len(self.labels)))
            self.score.append(np.nan if entity.score is None else entity.score)
        for relation in annotation.relations:
            self.head.append(row[relation.head.key])
            self.tail.append(row[relation.tail.key])
            self.kind.append(self.kinds.setdefault(relation.label, len(self.kinds)))
            self.relation_score.append(np.nan if relation.score is None else relation.score)
        for chain in annotation.chains:
            self.chains.append(
                (self.number[annotation.document_id], tuple(row[e.key] for e in chain))
            )
        self.close(first)

    def side(self, documents: Sequence[str]) -> Side:
        """The columns of these documents, numbered in this order; the others are left out."""
        place = np.full(len(self.ids), -1, dtype=np.int64)
        for new, document in enumerate(documents):
            place[self.number[document]] = new
        counts = np.array(self.counts, dtype=np.int64)
        doc = np.repeat(place, counts)
        label, labels = _by_name(self.label, self.labels)
        kind, kinds = _by_name(self.kind, self.kinds)
        start, end = np.array(self.start, dtype=np.int64), np.array(self.end, dtype=np.int64)
        score = np.array(self.score, dtype=np.float64)
        head, tail = np.array(self.head, dtype=np.int64), np.array(self.tail, dtype=np.int64)
        relation_score = np.array(self.relation_score, dtype=np.float64)
        chains = tuple((int(place[n]), rows) for n, rows in self.chains if place[n] >= 0)
        if (place < 0).any():
            keep = doc >= 0
            moved = np.cumsum(keep) - 1
            linked = keep[head]
            head, tail, kind = moved[head[linked]], moved[tail[linked]], kind[linked]
            relation_score = relation_score[linked]
            doc, start, end, label = doc[keep], start[keep], end[keep], label[keep]
            score = score[keep]
            chains = tuple((n, tuple(int(moved[row]) for row in rows)) for n, rows in chains)
        return Side(
            size=len(documents),
            labels=labels,
            doc=doc,
            start=start,
            end=end,
            label=label,
            score=score,
            kinds=kinds,
            head=head,
            tail=tail,
            kind=kind,
            relation_score=relation_score,
            chains=chains,
        )


def _by_name(column: Iterable[int], names: dict[str, int]) -> tuple[Ints, tuple[str, ...]]:
    """The column with its names renumbered in their alphabetical order."""
    order = sorted(names)
    new = np.empty(len(order), dtype=np.int64)
    for i, name in enumerate(order):
        new[names[name]] = i
    old: npt.NDArray[Any] = np.array(column, dtype=np.int64)
    return (new[old] if len(order) else old), tuple(order)


def with_names(side: Side, labels: Sequence[str], kinds: Sequence[str]) -> Side:
    """The side over wider lists of names, both sorted."""
    from dataclasses import replace

    place = {name: i for i, name in enumerate(labels)}
    kind_place = {name: i for i, name in enumerate(kinds)}
    new = np.array([place[name] for name in side.labels], dtype=np.int64)
    new_kind = np.array([kind_place[name] for name in side.kinds], dtype=np.int64)
    return replace(
        side,
        labels=tuple(labels),
        kinds=tuple(kinds),
        label=new[side.label] if len(new) else side.label,
        kind=new_kind[side.kind] if len(new_kind) else side.kind,
    )


def concatenate(sides: Sequence[Side]) -> Side:
    """Sides over documents of their own, one after another, as one."""
    from dataclasses import fields

    labels = sorted({name for side in sides for name in side.labels})
    kinds = sorted({name for side in sides for name in side.kinds})
    sides = [with_names(side, labels, kinds) for side in sides]
    documents = np.cumsum([0, *(side.size for side in sides)])
    rows = np.cumsum([0, *(len(side.doc) for side in sides)])
    merged: dict[str, Any] = {}
    for name in (f.name for f in fields(Side)):
        if name in ("size", "labels", "kinds", "chains"):
            continue
        shift = documents if name == "doc" else rows if name in ("head", "tail") else None
        parts = [getattr(side, name) for side in sides]
        if shift is not None:
            parts = [part + by for part, by in zip(parts, shift[:-1], strict=True)]
        merged[name] = np.concatenate(parts)
    chains = tuple(
        (n + int(documents[i]), tuple(row + int(rows[i]) for row in members))
        for i, side in enumerate(sides)
        for n, members in side.chains
    )
    return Side(
        size=int(documents[-1]), labels=tuple(labels), kinds=tuple(kinds), chains=chains, **merged
    )
