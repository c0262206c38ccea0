"""How two annotations of one document differ: the one comparison of curate.

:func:`align` takes a reference side ``a`` (gold, or the older version) and another side ``b``
(a prediction, another annotator, the newer version).  Scores, agreement, the fate of
predictions, consensus and the diff of releases are sums over what it returns; nothing else
compares.  It works on code-point offsets alone, and its result depends neither on the order in
which entities or relations are given nor on anything outside its arguments.

Entity events, in their order of precedence; every entity of either side is in exactly one:

=================  ===========================================================  =======  =======
kind               meaning                                                      in ``a``  in ``b``
=================  ===========================================================  =======  =======
correct            same start, end and label                                    1        1
label              same start and end, another label                            1        1
split              one of ``a`` whose text several disjoint spans of ``b`` share  1      2 or more
merge              several disjoint spans of ``a`` that one of ``b`` joins      2 or more  1
boundary           same label, overlapping spans                                1        1
label_boundary     overlapping spans, another label                             1        1
missed             in ``a`` alone                                               1        0
spurious           in ``b`` alone                                               0        1
=================  ===========================================================  =======  =======

A span counts as a piece of a split or merge if more than half of it lies in the whole.  Pairs of
``boundary`` and ``label_boundary`` are the one-to-one matching with the largest summed Jaccard
overlap.  Adjacent spans do not overlap.

Relation events, likewise (a relation is its label and its two argument *spans*; the labels of
the arguments are no part of it; a symmetric type has no order of arguments):

=========  ===================================================================================
correct    same label, same argument spans
type       same argument spans in the same order, another label
direction  same label, argument spans exchanged
argument   same label; both argument spans overlap their counterparts, or one is the same
missed     in ``a`` alone; ``missed_argument`` where ``b`` has no entity at one of its spans
spurious   in ``b`` alone
=========  ===================================================================================

Relations of one side that differ in nothing but the labels of their arguments are one relation
here, and stand together in their event.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from curate.errors import DataError
from curate.matching import Edge, best_matching, count_overlaps
from curate.model import Annotation, Entity, Relation
from curate.offsets import Span
from curate.schema import LabelSchema
from curate.spans import (
    MANY,
    EntityKey,
    EntityKind,
    SpanComparison,
    compare_spans,
    jaccard,
    overlapping_pairs,
)

__all__ = [
    "Alignment",
    "EntityEvent",
    "EntityKey",
    "EntityKind",
    "RelationEvent",
    "RelationKey",
    "RelationKind",
    "SpanComparison",
    "align",
    "compare_relations",
    "compare_spans",
    "jaccard",
    "overlapping_pairs",
    "relation_key",
]

RelationKey = tuple[str, Span, Span]
"""``(label, head span, tail span)``; the spans in ascending order where the type is symmetric."""


class RelationKind(StrEnum):
    """How relations of the two sides correspond; see the module's table."""

    CORRECT = "correct"
    TYPE = "type"
    DIRECTION = "direction"
    ARGUMENT = "argument"
    MISSED = "missed"
    SPURIOUS = "spurious"


@dataclass(frozen=True, slots=True)
class EntityEvent:
    """One correspondence: the entities of side ``a`` and of side ``b`` it is about."""

    kind: EntityKind
    a: tuple[Entity, ...]
    b: tuple[Entity, ...]


@dataclass(frozen=True, slots=True)
class RelationEvent:
    """One correspondence of relations.

    ``missed_argument`` (kind ``missed`` alone): the other side has no entity at one of the
    relation's argument spans, so that no relation model could have found it.
    """

    kind: RelationKind
    a: tuple[Relation, ...]
    b: tuple[Relation, ...]
    missed_argument: bool = False


@dataclass(frozen=True, slots=True)
class Alignment:
    """How ``b`` differs from ``a`` on one document.

    ``overlapping`` is the number of pairs, besides those with equal spans, in the one-to-one
    matching of spans that maximises the partial credit (labels ignored).  ``lenient`` holds the
    pairs with their Jaccard overlap, besides the identical ones, of the one-to-one matching of
    same-label spans with the largest sum.
    """

    document_id: str
    entities: tuple[EntityEvent, ...]
    relations: tuple[RelationEvent, ...]
    overlapping: int
    lenient: tuple[tuple[Entity, Entity, float], ...]

    @property
    def is_same(self) -> bool:
        """Whether the sides hold the same entities and the same relations."""
        return all(event.kind is EntityKind.CORRECT for event in self.entities) and all(
            event.kind is RelationKind.CORRECT for event in self.relations
        )

    @property
    def exact(self) -> int:
        """Pairs with the same start and end, whatever their labels."""
        kinds = (EntityKind.CORRECT, EntityKind.LABEL)
        return sum(event.kind in kinds for event in self.entities)

    def entity_counts(self) -> Counter[EntityKind]:
        """How many events of each kind."""
        return Counter(event.kind for event in self.entities)

    def relation_counts(self) -> Counter[RelationKind]:
        """How many events of each kind."""
        return Counter(event.kind for event in self.relations)

    def changes(self) -> tuple[EntityEvent | RelationEvent, ...]:
        """The events that are not ``correct``, entities first, in order of the text."""
        return (
            *(event for event in self.entities if event.kind is not EntityKind.CORRECT),
            *(event for event in self.relations if event.kind is not RelationKind.CORRECT),
        )


def align(a: Annotation, b: Annotation, schema: LabelSchema | None = None) -> Alignment:
    """Compare side ``b`` with the reference side ``a``.

    ``schema`` says which relation types are symmetric (none, without it); labels need not be in
    it.  Raises DataError if the two are not of one document.
    """
    if a.document_id != b.document_id:
        raise DataError(f"cannot compare document {a.document_id!r} with {b.document_id!r}")
    symmetric = frozenset() if schema is None else schema.symmetric
    of_a = {entity.key: entity for entity in reversed(a.entities)}
    of_b = {entity.key: entity for entity in reversed(b.entities)}
    same = of_a.keys() & of_b.keys()
    only_a = sorted(of_a.keys() - same)
    only_b = sorted(of_b.keys() - same)
    rest = compare_spans(only_a, only_b)
    events = [EntityEvent(EntityKind.CORRECT, (of_a[key],), (of_b[key],)) for key in same]
    events += [
        EntityEvent(
            kind,
            tuple(of_a[only_a[i]] for i in left),
            tuple(of_b[only_b[j]] for j in right),
        )
        for kind, left, right in rest.events
    ]
    events.sort(key=lambda e: (*(e.a or e.b)[0].key, not e.a))
    return Alignment(
        document_id=a.document_id,
        entities=tuple(events),
        relations=_relation_events(a, b, symmetric),
        overlapping=rest.overlapping,
        lenient=tuple((of_a[only_a[i]], of_b[only_b[j]], w) for i, j, w in rest.lenient),
    )


def relation_key(relation: Relation, symmetric: Collection[str]) -> RelationKey:
    """What a relation is compared by."""
    head, tail = relation.head.span, relation.tail.span
    if tail < head and relation.label in symmetric:
        head, tail = tail, head
    return relation.label, head, tail


def _relation_events(
    a: Annotation, b: Annotation, symmetric: frozenset[str]
) -> tuple[RelationEvent, ...]:
    of_a = _grouped(a.relations, symmetric)
    of_b = _grouped(b.relations, symmetric)
    same = of_a.keys() & of_b.keys()
    only_a = sorted(of_a.keys() - same)
    only_b = sorted(of_b.keys() - same)
    spans = {entity.span for entity in b.entities}
    events = [RelationEvent(RelationKind.CORRECT, of_a[key], of_b[key]) for key in same]
    for kind, i, j in compare_relations(only_a, only_b, symmetric):
        left = () if i is None else of_a[only_a[i]]
        right = () if j is None else of_b[only_b[j]]
        lost = kind is RelationKind.MISSED and not (
            left[0].head.span in spans and left[0].tail.span in spans
        )
        events.append(RelationEvent(kind, left, right, lost))
    events.sort(key=lambda e: (*(e.a or e.b)[0].key, not e.a))
    return tuple(events)


def _grouped(
    relations: Iterable[Relation], symmetric: frozenset[str]
) -> dict[RelationKey, tuple[Relation, ...]]:
    groups: dict[RelationKey, dict[Hashable, Relation]] = defaultdict(dict)
    for relation in relations:
        groups[relation_key(relation, symmetric)].setdefault(relation.key, relation)
    return {
        key: tuple(sorted(group.values(), key=lambda relation: relation.key))
        for key, group in groups.items()
    }


def compare_relations(
    a: Sequence[RelationKey], b: Sequence[RelationKey], symmetric: Collection[str]
) -> list[tuple[RelationKind, int | None, int | None]]:
    """The events of two sorted lists of relation keys without repeats and with none in common."""
    events: list[tuple[RelationKind, int | None, int | None]] = []
    free_a, free_b = dict.fromkeys(range(len(a))), dict.fromkeys(range(len(b)))

    def take(kind: RelationKind, i: int, j: int) -> None:
        if i in free_a and j in free_b:
            events.append((kind, i, j))
            del free_a[i], free_b[j]

    if a and b:
        by_pair: dict[tuple[Span, Span], list[int]] = defaultdict(list)
        for j, (_, head, tail) in enumerate(b):
            by_pair[head, tail].append(j)
        index = {key: j for j, key in enumerate(b)}
        for i, (_, head, tail) in enumerate(a):
            for j in by_pair.get((head, tail), ()):
                if i in free_a and j in free_b:
                    take(RelationKind.TYPE, i, j)
        for i in list(free_a):
            label, head, tail = a[i]
            for j in by_pair.get((tail, head), ()):
                other = b[j][0]
                if i in free_a and other != label and (label in symmetric or other in symmetric):
                    take(RelationKind.TYPE, i, j)
        for i in list(free_a):
            label, head, tail = a[i]
            turned = index.get((label, tail, head))
            if turned is not None:
                take(RelationKind.DIRECTION, i, turned)
        for i, j in _near_relations(a, b, list(free_a), list(free_b), symmetric):
            take(RelationKind.ARGUMENT, i, j)
        for left, right in _one_argument(a, b, list(free_a), list(free_b), symmetric):
            still_a = [i for i in left if i in free_a]
            still_b = [j for j in right if j in free_b]
            for i, j in zip(still_a, still_b, strict=False):
                take(RelationKind.ARGUMENT, i, j)
    events += [(RelationKind.MISSED, i, None) for i in free_a]
    events += [(RelationKind.SPURIOUS, None, j) for j in free_b]
    return events


def _near_relations(
    a: Sequence[RelationKey],
    b: Sequence[RelationKey],
    left: list[int],
    right: list[int],
    symmetric: Collection[str],
) -> list[tuple[int, int]]:
    """The best one-to-one pairs of one label whose arguments overlap, both."""
    of_a, of_b = _by_label(a, left), _by_label(b, right)
    edges: list[Edge] = []
    for label, some in of_a.items():
        others = of_b.get(label)
        if not others:
            continue
        turns = label in symmetric
        if _crowded(a, b, some, others, turns):
            edges += _best_near(a, b, some, others, turns)
            continue
        few = len(some) * len(others) <= _FEW
        pairs = (
            [(i, j) for i in some for j in others] if few else _touching(a, b, some, others, turns)
        )
        for i, j in pairs:
            worth = _closeness(a[i], b[j], turns)
            if worth:
                edges.append((i, j, worth))
    return [(i, j) for i, j, _ in best_matching(edges)] if edges else []


def _crowded(
    a: Sequence[RelationKey],
    b: Sequence[RelationKey],
    some: list[int],
    others: list[int],
    turns: bool,
) -> bool:
    """Whether too many pairs may be near to be listed."""
    if len(some) * len(others) <= MANY:
        return False
    spans = [
        {span for i in side for span in keys[i][1:]} for keys, side in ((a, some), (b, others))
    ]
    if count_overlaps(*spans) > MANY:
        return True
    heads, tails = [a[i][1] for i in some], [a[i][2] for i in some]
    other_heads, other_tails = [b[j][1] for j in others], [b[j][2] for j in others]
    near = min(count_overlaps(heads, other_heads), count_overlaps(tails, other_tails))
    if turns:
        near += min(count_overlaps(tails, other_heads), count_overlaps(heads, other_tails))
    return near > MANY


def _best_near(
    a: Sequence[RelationKey],
    b: Sequence[RelationKey],
    some: list[int],
    others: list[int],
    turns: bool,
) -> list[Edge]:
    import numpy as np

    from curate.crowded import best_pairs, closeness, closeness_in_any_order

    one, two = (
        np.array([(*keys[i][1], *keys[i][2]) for i in side], dtype=np.float64).T
        for keys, side in ((a, some), (b, others))
    )
    found = best_pairs(one, two, closeness_in_any_order if turns else closeness)
    return [(some[i], others[j], w) for i, j, w in found]


_FEW = 64
"""Up to this many pairs of relations are tried one by one."""


def _by_label(keys: Sequence[RelationKey], chosen: list[int]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for i in chosen:
        found.setdefault(keys[i][0], []).append(i)
    return found


def _closeness(a: RelationKey, b: RelationKey, turns: bool) -> float:
    """The Jaccard overlap of the arguments, summed; 0 unless both overlap."""
    (_, head_a, tail_a), (_, head_b, tail_b) = a, b
    best = 0.0
    if (
        head_a[0] < head_b[1]
        and head_b[0] < head_a[1]
        and (tail_a[0] < tail_b[1] and tail_b[0] < tail_a[1])
    ):
        best = jaccard(head_a, head_b) + jaccard(tail_a, tail_b)
    if turns:
        one, two = jaccard(tail_a, head_b), jaccard(head_a, tail_b)
        if one and two:
            best = max(best, one + two)
    return best


def _touching(
    a: Sequence[RelationKey],
    b: Sequence[RelationKey],
    some: list[int],
    others: list[int],
    turns: bool,
) -> set[tuple[int, int]]:
    """Pairs that may be near, found by the argument with fewer candidates."""
    spans_a = sorted({span for i in some for span in a[i][1:]})
    spans_b = sorted({span for j in others for span in b[j][1:]})
    near: dict[Span, list[Span]] = defaultdict(list)
    for x, y in overlapping_pairs(spans_a, spans_b):
        near[spans_a[x]].append(spans_b[y])
    by_head: dict[Span, list[int]] = defaultdict(list)
    by_tail: dict[Span, list[int]] = defaultdict(list)
    for j in others:
        by_head[b[j][1]].append(j)
        by_tail[b[j][2]].append(j)
    pairs: set[tuple[int, int]] = set()
    for i in some:
        _, head, tail = a[i]
        for first, second in ((head, tail), (tail, head))[: 1 + turns]:
            by_first = [by_head.get(span, []) for span in near.get(first, ())]
            by_second = [by_tail.get(span, []) for span in near.get(second, ())]
            # The arguments of a hub have thousands of relations in common, their others have few.
            shorter = min(by_first, by_second, key=lambda lists: sum(map(len, lists)))
            pairs.update((i, j) for found in shorter for j in found)
    return pairs


def _one_argument(
    a: Sequence[RelationKey],
    b: Sequence[RelationKey],
    left: list[int],
    right: list[int],
    symmetric: Collection[str],
) -> list[tuple[list[int], list[int]]]:
    """Per label and shared argument: the relations of either side that have it."""

    common = {a[i][0] for i in left} & {b[j][0] for j in right}
    if not common:
        return []

    def buckets(
        keys: Sequence[RelationKey], chosen: list[int]
    ) -> dict[tuple[int, str, Span], list[int]]:
        found: dict[tuple[int, str, Span], list[int]] = {}
        for i in chosen:
            label, head, tail = keys[i]
            if label in common:
                found.setdefault((0, label, head), []).append(i)
                found.setdefault((0 if label in symmetric else 1, label, tail), []).append(i)
        return found

    of_a, of_b = buckets(a, left), buckets(b, right)
    return [(of_a[key], of_b[key]) for key in sorted(of_a.keys() & of_b.keys())]
