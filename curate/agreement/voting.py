"""Voting slot by slot: on presence, then on the label, then on the borders; relations per pair.

By majority every annotator counts alike; by weight each counts as much as
:mod:`curate.agreement.reliability` finds them reliable.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from curate.agreement.points import Disagreement, DisagreementKind, entity_kind
from curate.agreement.reliability import Reliability
from curate.agreement.slots import Slot, slots
from curate.alignment import EntityKey, RelationKey, relation_key
from curate.model import Annotation, Entity, Relation
from curate.schema import LabelSchema

DOUBT = 0.25
"""By weight, what is less likely than one minus this is decided, and open all the same."""


@dataclass
class Voted:
    """What was decided of the entities of one document, and what stays open.

    ``place``: annotator → their mark → the decided entity it stands for.
    """

    decided: dict[EntityKey, Entity] = field(default_factory=dict)
    open: list[Disagreement] = field(default_factory=list)
    place: dict[str, dict[EntityKey, Entity]] = field(default_factory=lambda: defaultdict(dict))

    def take(self, slot: Slot, entity: Entity) -> None:
        kept = self.decided.setdefault(entity.key, entity)
        for name, mark in slot.marks.items():
            self.place[name][mark] = kept

    def doubt(self, slot: Slot, sides: Sequence[Annotation]) -> None:
        claims = tuple(
            (
                side.source.name,
                tuple(e for e in side.entities if slot.marks.get(side.source.name) == e.key),
            )
            for side in sides
        )
        marks = slot.marks.values()
        start, end = min(m[0] for m in marks), max(m[1] for m in marks)
        self.open.append(Disagreement(entity_kind(claims), start, end, entities=claims))


def vote_entities(sides: Sequence[Annotation], known: Reliability | None) -> Voted:
    """Decide the entities; by majority where nothing is ``known`` of the annotators."""
    found = Voted()
    names = [side.source.name for side in sides]
    for slot in slots(sides):
        if known is None:
            _by_majority(slot, sides, found)
        else:
            _by_weight(slot, sides, names, known, found)
    # a mark on the same span as a decided entity stands for it, whatever became of its slot
    by_span = {entity.span: entity for entity in reversed(list(found.decided.values()))}
    for side in sides:
        of = found.place[side.source.name]
        for entity in side.entities:
            if entity.key not in of and entity.span in by_span:
                of[entity.key] = by_span[entity.span]
    return found


def _by_majority(slot: Slot, sides: Sequence[Annotation], found: Voted) -> None:
    """More than half mark the place, and one label has more votes than any other."""
    if 2 * len(slot.marks) < len(sides):
        return
    if 2 * len(slot.marks) == len(sides):
        found.doubt(slot, sides)
        return
    votes = sorted(((len(who), label) for label, who in slot.labels().items()), reverse=True)
    if len(votes) > 1 and votes[0][0] == votes[1][0]:
        found.doubt(slot, sides)
        return
    found.take(slot, _merged((*slot.span(), votes[0][1]), slot, sides))


def _by_weight(
    slot: Slot, sides: Sequence[Annotation], names: Sequence[str], known: Reliability, found: Voted
) -> None:
    """The likelier of mention and none, the likeliest label; what is not sure is open besides."""
    present = known.entity(slot.marks, [name for name in names if name not in slot.marks])
    label, sure = known.label(slot)
    if present >= 0.5:
        span = slot.span(known.edge_weight)
        found.take(slot, _merged((*span, label), slot, sides))
    if DOUBT < present < 1.0 - DOUBT or (present >= 0.5 and sure < 1.0 - DOUBT):
        found.doubt(slot, sides)


def _merged(key: EntityKey, slot: Slot, sides: Sequence[Annotation]) -> Entity:
    """The entity, with the canonical name that is given first in order of the annotators."""
    for side in sides:
        mark = slot.marks.get(side.source.name)
        for entity in side.entities:
            if entity.key == mark and entity.canonical:
                return Entity(*key, canonical=entity.canonical)
    return Entity(*key)


def vote_relations(
    sides: Sequence[Annotation],
    voted: Voted,
    known: Reliability | None,
    schema: LabelSchema | None,
) -> tuple[list[Relation], dict[RelationKey, tuple[str, ...]], list[Disagreement]]:
    """Decide the relations pair by pair, «none» being a vote of all who have both mentions.

    A relation one of whose mentions fell is open; so is one that a single annotator could vote on.
    """
    symmetric = frozenset() if schema is None else schema.symmetric
    votes: dict[RelationKey, dict[str, tuple[Relation, Relation]]] = defaultdict(dict)
    fallen: dict[RelationKey, dict[str, Relation]] = defaultdict(dict)
    for side in sides:
        place = voted.place[side.source.name]
        for relation in side.relations:
            head, tail = place.get(relation.head.key), place.get(relation.tail.key)
            if head is None or tail is None or head == tail:
                fallen[relation_key(relation, symmetric)][side.source.name] = relation
                continue
            moved = Relation(head, tail, relation.label)
            key = relation_key(moved, symmetric)
            votes[key].setdefault(side.source.name, (moved, relation))
    chosen: list[Relation] = []
    unclear: list[Disagreement] = []
    pairs: dict[tuple[tuple[int, int], ...], list[RelationKey]] = defaultdict(list)
    for key in sorted(votes):
        pairs[tuple(sorted(key[1:]))].append(key)
    for pair, keys in sorted(pairs.items()):
        able = _able(pair, sides, voted)
        taken, doubtful = _pair(keys, votes, able, known)
        chosen += [min(votes[key].items())[1][0] for key in taken]
        unclear += [
            open_relation(
                DisagreementKind.RELATION, {n: told[1] for n, told in votes[key].items()}, sides
            )
            for key in doubtful
        ]
    for key in sorted(fallen):
        unclear.append(open_relation(DisagreementKind.ARGUMENT, fallen[key], sides))
    return chosen, {key: tuple(sorted(votes[key])) for key in sorted(votes)}, unclear


def _able(
    pair: tuple[tuple[int, int], ...], sides: Sequence[Annotation], voted: Voted
) -> list[str]:
    """Who has both mentions of the pair, and so could have linked them."""
    return [
        side.source.name
        for side in sides
        if set(pair) <= {entity.span for entity in voted.place[side.source.name].values()}
    ]


def _pair(
    keys: Sequence[RelationKey],
    votes: Mapping[RelationKey, Mapping[str, object]],
    able: Sequence[str],
    known: Reliability | None,
) -> tuple[list[RelationKey], list[RelationKey]]:
    """Of what is said of one pair, what is taken and what stays open."""
    if len(able) < 2:
        return [], list(keys)
    taken, doubtful = [], []
    for key in keys:
        said = votes[key]
        if known is None:
            if 2 * len(said) > len(able):
                taken.append(key)
            elif 2 * len(said) == len(able):
                doubtful.append(key)
            continue
        likely = known.relation(said, [name for name in able if name not in said])
        if likely >= 0.5:
            taken.append(key)
        if DOUBT < likely < 1.0 - DOUBT:
            doubtful.append(key)
    linked = {name for key in keys for name in votes[key]}
    if not taken and not doubtful and 2 * len(linked) > len(able):
        # most see a relation here, and differ on which
        return [], list(keys)
    return taken, doubtful


def open_relation(
    kind: DisagreementKind, said: Mapping[str, Relation], sides: Sequence[Annotation]
) -> Disagreement:
    """A relation that stays open, with who drew it."""
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
