"""What several annotators of one document come to, by a stated rule.

==========  =====================================================================================
rule        what is decided; what stays open
==========  =====================================================================================
single      the one annotator's version; nothing is open
unanimous   what all say; everything else is open
majority    a place that more than half marked, with the label that has most votes and the borders
            that more than half give, else each border by itself, of equals the one that makes the
            mention shorter; open is a place that exactly half marked, or whose label is tied; what
            fewer mark is rejected
weighted    the same by votes that count as much as each annotator is reliable (see
            :mod:`curate.agreement.reliability`): what is likelier than not; open, besides, is
            what is not likely by three to one
first       a named annotator's version; nothing is open.  Where that annotator is silent:
            unanimous
==========  =====================================================================================

Of two annotators majority and weight accept what both say, and leave every difference open.

Entities are decided first.  A relation is then mapped on the decided entities and voted on among
those who have both its mentions; one whose argument fell is open, never lost, unless a named
annotator or a single one decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from curate.agreement.points import Disagreement, DisagreementKind, entity_kind, in_order
from curate.agreement.reliability import Reliability
from curate.agreement.voting import open_relation, vote_entities, vote_relations
from curate.alignment import EntityKey, EntityKind, RelationKey, align, relation_key
from curate.errors import DataError
from curate.model import Annotation, Entity, Relation, Source
from curate.schema import LabelSchema

__all__ = ["Consensus", "Disagreement", "DisagreementKind", "Rule", "RuleKind", "decide"]


class RuleKind(StrEnum):
    SINGLE = "single"
    UNANIMOUS = "unanimous"
    MAJORITY = "majority"
    WEIGHTED = "weighted"
    FIRST = "first"


@dataclass(frozen=True, slots=True)
class Rule:
    """A consensus rule; ``annotator`` is the one whose version decides (kind ``first`` alone)."""

    kind: RuleKind
    annotator: str = ""

    @classmethod
    def parse(cls, text: str) -> Rule:
        """The rule of this name (``first`` as ``first:NAME``).  Raises DataError."""
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
    annotations: Sequence[Annotation],
    rule: Rule,
    schema: LabelSchema | None = None,
    reliability: Reliability | None = None,
) -> Consensus:
    """Decide one document; the order of the annotators is of no consequence.

    ``reliability`` is what the rule ``weighted`` weighs by; without it all weigh alike.

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
    if rule.kind in (RuleKind.MAJORITY, RuleKind.WEIGHTED) and len(sides) > 2:
        known = None if rule.kind is RuleKind.MAJORITY else reliability or Reliability()
        voted = vote_entities(sides, known)
        decided, unclear = voted.decided, voted.open
        relations, linked_votes, more = vote_relations(sides, voted, known, schema)
    else:
        everybody = {key: said for key, said in votes.items() if len(said) == len(sides)}
        decided = {key: _merged(key, sides) for key in everybody}
        unclear = _open_entities(sides, votes, set(decided))
        relations, linked_votes, more = _relations(sides, decided, schema)
    annotation = Annotation.of(sides[0].document_id, decided.values(), relations, source)
    return Consensus(annotation, str(rule), in_order([*unclear, *more]), votes, linked_votes)


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
) -> list[Disagreement]:
    """The places, runs of overlapping spans, on which not all say the same."""
    found = []
    for cluster in _clusters([key for key in votes if key not in decided]):
        keys = set(cluster)
        claims = tuple(
            (side.source.name, tuple(e for e in side.entities if e.key in keys)) for side in sides
        )
        start, end = min(key[0] for key in cluster), max(key[1] for key in cluster)
        found.append(Disagreement(entity_kind(claims), start, end, entities=claims))
    return found


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
    schema: LabelSchema | None,
) -> tuple[list[Relation], dict[RelationKey, tuple[str, ...]], list[Disagreement]]:
    """The relations that all draw between decided entities; every other one is open."""
    symmetric = frozenset() if schema is None else schema.symmetric
    votes: dict[RelationKey, dict[str, Relation]] = defaultdict(dict)
    originals: dict[RelationKey, dict[str, Relation]] = defaultdict(dict)
    fallen: dict[RelationKey, dict[str, Relation]] = defaultdict(dict)
    base = Annotation.of(sides[0].document_id, decided.values(), (), sides[0].source)
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
        if len(said) == len(sides):
            chosen.append(said[min(said)])
        else:
            unclear.append(open_relation(DisagreementKind.RELATION, originals[key], sides))
    for key in sorted(fallen):
        unclear.append(open_relation(DisagreementKind.ARGUMENT, fallen[key], sides))
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
