"""The places on which annotators differ: what a curator is asked to decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Any

from curate.model import Entity, Relation
from curate.offsets import Span


class DisagreementKind(StrEnum):
    """What an open place is about.

    ``presence``: some marked it, some did not; ``relation``: a pair of mentions that is not linked
    by all, or not alike; ``argument``: a relation whose argument fell; ``suspect``: nobody differs,
    but something looks wrong.
    """

    PRESENCE = "presence"
    LABEL = "label"
    BOUNDARY = "boundary"
    LABEL_BOUNDARY = "label_boundary"
    RELATION = "relation"
    ARGUMENT = "argument"
    SUSPECT = "suspect"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A place that the rule does not decide, with what each annotator says of it.

    ``start`` and ``end`` span the text it is about.  ``entities`` or ``relations`` hold the claims
    by annotator, those without a claim included.  ``note`` says why, where the claims do not.
    """

    kind: DisagreementKind
    start: int
    end: int
    entities: tuple[tuple[str, tuple[Entity, ...]], ...] = ()
    relations: tuple[tuple[str, tuple[Relation, ...]], ...] = ()
    note: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that somebody claims here."""
        return tuple(
            sorted(
                {e.label for _, claims in self.entities for e in claims}
                | {r.label for _, claims in self.relations for r in claims}
            )
        )

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The annotators who differ here, two by two."""
        said: dict[str, set[Any]] = {}
        for name, entities in self.entities:
            said.setdefault(name, set()).update(e.key for e in entities)
        for name, relations in self.relations:
            said.setdefault(name, set()).update(r.key for r in relations)
        return tuple((a, b) for a, b in combinations(sorted(said), 2) if said[a] != said[b])

    @property
    def weight(self) -> float:
        """How much of the curator's attention it asks for: a boundary half as much as the rest."""
        return 0.5 if self.kind is DisagreementKind.BOUNDARY else 1.0


def in_order(points: Iterable[Disagreement]) -> tuple[Disagreement, ...]:
    """The points in the order of the text, however they were found."""
    return tuple(sorted(points, key=lambda d: (d.start, d.end, d.kind, repr(d))))


def entity_kind(
    claims: Mapping[str, Sequence[Entity]] | Sequence[tuple[str, Sequence[Entity]]],
) -> DisagreementKind:
    """What claims on overlapping spans differ in."""
    rows = list(claims.items()) if isinstance(claims, Mapping) else list(claims)
    if any(not found for _, found in rows):
        return DisagreementKind.PRESENCE
    spans: set[Span] = {e.span for _, found in rows for e in found}
    labels = {e.label for _, found in rows for e in found}
    if len(spans) == 1:
        return DisagreementKind.LABEL
    return DisagreementKind.BOUNDARY if len(labels) == 1 else DisagreementKind.LABEL_BOUNDARY


def to_json(point: Disagreement) -> dict[str, Any]:
    """The point as plain JSON without floats; :func:`from_json` reads it back equal."""
    record: dict[str, Any] = {"kind": str(point.kind), "start": point.start, "end": point.end}
    if point.entities:
        record["entities"] = {
            name: [list(e.key) for e in claims] for name, claims in point.entities
        }
    if point.relations:
        record["relations"] = {
            name: [[list(r.head.key), r.label, list(r.tail.key)] for r in claims]
            for name, claims in point.relations
        }
    if point.note:
        record["note"] = point.note
    return record


def from_json(record: Mapping[str, Any]) -> Disagreement:
    return Disagreement(
        DisagreementKind(record["kind"]),
        record["start"],
        record["end"],
        tuple(
            (name, tuple(Entity(*key) for key in claims))
            for name, claims in record.get("entities", {}).items()
        ),
        tuple(
            (name, tuple(Relation(Entity(*h), Entity(*t), label) for h, label, t in claims))
            for name, claims in record.get("relations", {}).items()
        ),
        record.get("note", ""),
    )
