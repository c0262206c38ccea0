"""What several annotators of one document come to, by a stated rule.

==========  =====================================================================================
rule        what is decided; what stays open
==========  =====================================================================================
single      the one annotator's version; nothing is open
unanimous   what all say; everything else is open
majority    what more than half say; open is what exactly half say, and a place that more than
            half marked without a majority for one span and label; what fewer say is rejected
first       a named annotator's version; nothing is open.  Where that annotator is silent:
            unanimous
==========  =====================================================================================

Entities are decided first.  A relation is then mapped on the decided entities (an argument by its
span, else by the entity its own one was aligned with) and voted on; a relation whose argument
fell is open, never lost, unless a named annotator or a single one decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from curate.agreement.points import Disagreement, DisagreementKind
from curate.alignment import EntityKey, EntityKind, RelationKey, align, relation_key
from curate.errors import DataError
from curate.model import Annotation, Entity, Relation, Source
from curate.schema import LabelSchema

__all__ = ["Consensus", "Disagreement", "DisagreementKind", "Rule", "RuleKind", "decide"]


class RuleKind(StrEnum):
    SINGLE = "single"
    UNANIMOUS = "unanimous"
    MAJORITY = "majority"
    FIRST = "first"


@dataclass(frozen=True, slots=True)
class Rule:
    """A consensus rule; ``annotator`` is the one whose version decides (kind ``first`` alone)."""

    kind: RuleKind
    annotator: str = ""

    @classmethod
    def parse(cls, text: str) -> Rule:
        """``single``, ``unanimous``, ``majority`` or ``first:NAME``.  Raises DataError."""
        name, _, annotator = text.partition(":")
        try:
            kind = RuleKind(name)
        except ValueError:
            known = ", ".join(RuleKind)
            raise DataError(f"{text!r} is no consensus rule; there are {known}") from None
        if (kind is RuleKind.FIRST) != bool(annotator):
            raise DataError(
                f"{text!r} is no consensus rule: `first` needs an annotator (first:NAME), the "
                "others take none"
            )
        return cls(kind, annotator)

    def __str__(self) -> str:
        return f"{self.kind}:{self.annotator}" if self.annotator else str(self.kind)


@dataclass(frozen=True, slots=True)
class Consensus:
    """What was decided, by which rule, what stays open, and who voted for what.

    ``annotation`` holds what is decided; its source is the rule.
    """

    annotation: Annotation
    rule: str
    open: tuple[Disagreement, ...]
    entity_votes: Mapping[EntityKey, tuple[str, ...]] = field(default_factory=dict)
    relation_votes: Mapping[RelationKey, tuple[str, ...]] = field(default_factory=dict)


def decide(
    annotations: Sequence[Annotation], rule: Rule, schema: LabelSchema | None = None
) -> Consensus:
    """Decide one document; the order of the annotators is of no consequence.

    Raises DataError for no annotation, annotations of several documents, an annotator twice, and
    for ``single`` with several annotators.
    """
    sides = sorted(annotations, key=lambda a: a.source.name)
    names = [side.source.name for side in sides]
    if not sides:
        raise DataError("there is no annotation to decide on")
    if len({side.document_id for side in sides}) > 1:
        raise DataError("a consensus is of one document")
    if len(set(names)) < len(names):
        raise DataError(
            f"an annotator stands twice on document {sides[0].document_id!r}: {', '.join(names)}"
        )
    if rule.kind is RuleKind.SINGLE and len(sides) > 1:
        raise DataError(
            f"document {sides[0].document_id!r} has {len(sides)} annotators; rule single takes one"
        )
    symmetric = frozenset() if schema is None else schema.symmetric
    votes = _entity_votes(sides)
    source = Source.consensus(str(rule))
    whole = None
    if rule.kind is RuleKind.SINGLE:
        whole = sides[0]
    elif rule.kind is RuleKind.FIRST and rule.annotator in names:
        whole = sides[names.index(rule.annotator)]
    if whole is not None:
        linked: dict[RelationKey, list[str]] = defaultdict(list)
        for side in sides:
            for key in sorted({relation_key(r, symmetric) for r in side.relations}):
                linked[key].append(side.source.name)
        return Consensus(
            whole.from_source(source),
            str(rule),
            (),
            votes,
            {k: tuple(v) for k, v in linked.items()},
        )
    enough = len(sides) if rule.kind is not RuleKind.MAJORITY else len(sides) // 2 + 1
    decided = {key: _merged(key, sides) for key, said in votes.items() if len(said) >= enough}
    unclear = _open_entities(sides, votes, set(decided), rule)
    relations, linked_votes, more = _relations(sides, decided, enough, rule, schema)
    annotation = Annotation.of(sides[0].document_id, decided.values(), relations, source)
    order = sorted([*unclear, *more], key=lambda d: (d.start, d.end, d.kind, repr(d)))
    return Consensus(annotation, str(rule), tuple(order), votes, linked_votes)


def _entity_votes(sides: Sequence[Annotation]) -> dict[EntityKey, tuple[str, ...]]:
    votes: dict[EntityKey, list[str]] = defaultdict(list)
    for side in sides:
        for key in {entity.key for entity in side.entities}:
            votes[key].append(side.source.name)
    return {key: tuple(votes[key]) for key in sorted(votes)}


def _merged(key: EntityKey, sides: Sequence[Annotation]) -> Entity:
    """The entity, with the canonical name that is given first in order of the annotators."""
    named = [e.canonical for side in sides for e in side.entities if e.key == key and e.canonical]
    return Entity(*key, canonical=named[0] if named else None)


def _open_entities(
    sides: Sequence[Annotation],
    votes: Mapping[EntityKey, tuple[str, ...]],
    decided: set[EntityKey],
    rule: Rule,
) -> list[Disagreement]:
    found = []
    for cluster in _clusters([key for key in votes if key not in decided]):
        start, end = min(key[0] for key in cluster), max(key[1] for key in cluster)
        who = {name for key in cluster for name in votes[key]}
        if rule.kind is RuleKind.MAJORITY:
            settled = any(key[0] < end and start < key[1] for key in decided)
            tied = any(2 * len(votes[key]) == len(sides) for key in cluster)
            if not tied and (settled or 2 * len(who) < len(sides)):
                continue
        keys = set(cluster)
        found.append(
            Disagreement(
                _kind(cluster, len(who) == len(sides)),
                start,
                end,
                entities=tuple(
                    (side.source.name, tuple(e for e in side.entities if e.key in keys))
                    for side in sides
                ),
            )
        )
    return found


def _kind(cluster: Sequence[EntityKey], everybody: bool) -> DisagreementKind:
    if not everybody:
        return DisagreementKind.PRESENCE
    spans, labels = {key[:2] for key in cluster}, {key[2] for key in cluster}
    if len(spans) == 1:
        return DisagreementKind.LABEL
    return DisagreementKind.BOUNDARY if len(labels) == 1 else DisagreementKind.LABEL_BOUNDARY


def _clusters(keys: Sequence[EntityKey]) -> list[list[EntityKey]]:
    """Runs of spans that overlap, directly or through others; the keys in ascending order."""
    clusters: list[list[EntityKey]] = []
    reach = -1
    for key in keys:
        if not clusters or key[0] >= reach:
            clusters.append([])
        clusters[-1].append(key)
        reach = max(reach, key[1])
    return clusters


def _relations(
    sides: Sequence[Annotation],
    decided: Mapping[EntityKey, Entity],
    enough: int,
    rule: Rule,
    schema: LabelSchema | None,
) -> tuple[list[Relation], dict[RelationKey, tuple[str, ...]], list[Disagreement]]:
    symmetric = frozenset() if schema is None else schema.symmetric
    votes: dict[RelationKey, dict[str, Relation]] = defaultdict(dict)
    originals: dict[RelationKey, dict[str, Relation]] = defaultdict(dict)
    fallen: dict[RelationKey, dict[str, Relation]] = defaultdict(dict)
    base = Annotation.of(sides[0].document_id, decided.values(), (), Source.consensus(str(rule)))
    for side in sides:
        place = _mapping(base, side, schema)
        for relation in side.relations:
            head, tail = place.get(relation.head.key), place.get(relation.tail.key)
            if head is None or tail is None:
                fallen[relation_key(relation, symmetric)][side.source.name] = relation
                continue
            moved = Relation(head, tail, relation.label)
            key = relation_key(moved, symmetric)
            votes[key].setdefault(side.source.name, moved)
            originals[key].setdefault(side.source.name, relation)
    chosen, unclear = [], []
    for key in sorted(votes):
        said = votes[key]
        if len(said) >= enough:
            chosen.append(said[min(said)])
        elif rule.kind is not RuleKind.MAJORITY or 2 * len(said) == len(sides):
            unclear.append(_open_relation(DisagreementKind.RELATION, originals[key], sides))
    for key in sorted(fallen):
        unclear.append(_open_relation(DisagreementKind.ARGUMENT, fallen[key], sides))
    return chosen, {key: tuple(sorted(votes[key])) for key in sorted(votes)}, unclear


def _mapping(
    base: Annotation, side: Annotation, schema: LabelSchema | None
) -> dict[EntityKey, Entity]:
    """Which decided entity each entity of a side stands for."""
    pairs = (EntityKind.CORRECT, EntityKind.LABEL, EntityKind.BOUNDARY, EntityKind.LABEL_BOUNDARY)
    place = {
        event.b[0].key: event.a[0]
        for event in align(base, side, schema).entities
        if event.kind in pairs
    }
    by_span = {entity.span: entity for entity in reversed(base.entities)}
    for entity in side.entities:
        if entity.key not in place and entity.span in by_span:
            place[entity.key] = by_span[entity.span]
    return place


def _open_relation(
    kind: DisagreementKind, said: Mapping[str, Relation], sides: Sequence[Annotation]
) -> Disagreement:
    spans = [span for r in said.values() for span in (r.head.span, r.tail.span)]
    return Disagreement(
        kind,
        min(start for start, _ in spans),
        max(end for _, end in spans),
        relations=tuple(
            (side.source.name, (said[side.source.name],) if side.source.name in said else ())
            for side in sides
        ),
    )
