"""What later corrections of annotators reopen in a decision, and what they leave alone.

A decision stands on what the annotators said when it was made.  A change since then, a claim
added or withdrawn, that brings an annotator to the decision reopens nothing; one that contradicts
it reopens its place, and only that.
"""

from __future__ import annotations

from collections.abc import Mapping

from curate.agreement.points import Disagreement, DisagreementKind, entity_kind, in_order
from curate.alignment import EntityKey, RelationKey, relation_key
from curate.model import Annotation, Entity, Relation
from curate.schema import LabelSchema

DECISION = "decision"
"""The name under which the standing decision is listed among the claims of a reopened place."""


def reopened(
    decision: Annotation,
    shown: Mapping[str, Annotation],
    current: Mapping[str, Annotation],
    schema: LabelSchema | None = None,
) -> tuple[Disagreement, ...]:
    """The places of ``decision`` that changes since ``shown`` contradict; both by annotator.

    Of an annotator who said nothing then, only what nobody claimed then counts: the rest was seen
    when the decision was made.  Of one who says nothing now, nothing counts.
    """
    touched = _touched_entities(decision, shown, current)
    found = [_entity_point(cluster, decision, current) for cluster in _joined(touched, decision)]
    symmetric = frozenset() if schema is None else schema.symmetric
    decided = {relation_key(r, symmetric) for r in decision.relations}
    changed: set[RelationKey] = set()
    seen = {relation_key(r, symmetric) for side in shown.values() for r in side.relations}
    for name, now in current.items():
        after = {relation_key(r, symmetric) for r in now.relations}
        if name in shown:
            before = {relation_key(r, symmetric) for r in shown[name].relations}
        else:
            before = seen & after
        changed |= (after - before) - decided
        changed |= (before - after) & decided
    everybody = [(DECISION, decision), *sorted(current.items())]
    for key in sorted(changed):
        claims = tuple(
            (name, tuple(r for r in said.relations if relation_key(r, symmetric) == key))
            for name, said in everybody
        )
        found.append(_relation_point(key, claims))
    return in_order(found)


def _touched_entities(
    decision: Annotation, shown: Mapping[str, Annotation], current: Mapping[str, Annotation]
) -> set[EntityKey]:
    decided = {e.key for e in decision.entities}
    touched: set[EntityKey] = set()
    seen = {e.key for side in shown.values() for e in side.entities}
    for name, now in current.items():
        new = {e.key for e in now.entities}
        old = {e.key for e in shown[name].entities} if name in shown else seen & new
        touched |= (new - old) - decided
        touched |= (old - new) & decided
    return touched


def _joined(touched: set[EntityKey], decision: Annotation) -> list[tuple[int, int]]:
    """The places of the touched spans, with the decided ones that they overlap."""
    spans = {key[:2] for key in touched}
    for entity in decision.entities:
        if any(entity.start < end and start < entity.end for start, end in set(spans)):
            spans.add(entity.span)
    places: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if places and start < places[-1][1]:
            places[-1] = (places[-1][0], max(end, places[-1][1]))
        else:
            places.append((start, end))
    return places


def _entity_point(
    place: tuple[int, int], decision: Annotation, current: Mapping[str, Annotation]
) -> Disagreement:
    start, end = place

    def here(said: Annotation) -> tuple[Entity, ...]:
        return tuple(e for e in said.entities if e.start < end and start < e.end)

    claims = tuple(
        (name, here(said)) for name, said in [(DECISION, decision), *sorted(current.items())]
    )
    return Disagreement(entity_kind(claims), start, end, entities=claims)


def _relation_point(
    key: RelationKey, claims: tuple[tuple[str, tuple[Relation, ...]], ...]
) -> Disagreement:
    _, head, tail = key
    return Disagreement(
        DisagreementKind.RELATION,
        min(head[0], tail[0]),
        max(head[1], tail[1]),
        relations=claims,
    )
