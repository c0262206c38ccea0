"""How the spans of two sides correspond: the core of :mod:`curate.alignment`, on sorted keys.

What is identical has been taken out of both sides before.  Where few spans overlap, as in news,
all overlapping pairs are listed.  A component with more pairs than :data:`MANY` goes through the
same steps without a list of them (see :mod:`curate.crowded`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from curate import matching
from curate.matching import Edge, best_matching
from curate.offsets import Span

EntityKey = tuple[int, int, str]
"""``(start, end, label)``."""
AnySpan = Span | EntityKey
"""Whatever begins with start and end."""
MANY = 20_000
"""Overlapping pairs of one component that are not listed any more."""


class EntityKind(StrEnum):
    """How entities of the two sides correspond; see the table of :mod:`curate.alignment`."""

    CORRECT = "correct"
    LABEL = "label"
    SPLIT = "split"
    MERGE = "merge"
    BOUNDARY = "boundary"
    LABEL_BOUNDARY = "label_boundary"
    MISSED = "missed"
    SPURIOUS = "spurious"


@dataclass(frozen=True, slots=True)
class SpanComparison:
    """What :func:`compare_spans` found; members are indices into its two arguments."""

    events: list[tuple[EntityKind, tuple[int, ...], tuple[int, ...]]]
    overlapping: int
    lenient: list[Edge]


def compare_spans(a: Sequence[EntityKey], b: Sequence[EntityKey]) -> SpanComparison:
    """The events of two sorted lists of entity keys without repeats and with none in common.

    Taking the identical ones out first loses nothing: for the partial credit an equal pair is
    worth any two it could be traded for, and for the lenient sum the same follows from the
    triangle inequality of the Jaccard distance.
    """
    if _crowded(a, b):
        return _compare_components(a, b)
    events: list[tuple[EntityKind, tuple[int, ...], tuple[int, ...]]] = []
    pairs = overlapping_pairs(a, b) if a and b else []
    free_a, free_b = set(range(len(a))), set(range(len(b)))

    def take(kind: EntityKind, left: tuple[int, ...], right: tuple[int, ...]) -> None:
        events.append((kind, left, right))
        free_a.difference_update(left)
        free_b.difference_update(right)

    # Entities with equal spans are interchangeable but for their label: first with first.
    for i, j in pairs:
        if a[i][0] == b[j][0] and a[i][1] == b[j][1] and i in free_a and j in free_b:
            take(EntityKind.LABEL, (i,), (j,))
    rest = [(i, j) for i, j in pairs if i in free_a and j in free_b]
    overlapping = matching.overlapping(
        [a[i][:2] for i in sorted({i for i, _ in rest})],
        [b[j][:2] for j in sorted({j for _, j in rest})],
    )
    lenient = best_matching([(i, j, jaccard(a[i], b[j])) for i, j in pairs if a[i][2] == b[j][2]])
    for i, right in _wholes(a, b, rest):
        take(EntityKind.SPLIT, (i,), right)
    rest = [(i, j) for i, j in rest if i in free_a and j in free_b]
    for j, left in _wholes(b, a, [(j, i) for i, j in rest]):
        take(EntityKind.MERGE, left, (j,))
    for kind, alike in ((EntityKind.BOUNDARY, True), (EntityKind.LABEL_BOUNDARY, False)):
        for i, j, _ in best_matching(
            [
                (i, j, jaccard(a[i], b[j]))
                for i, j in rest
                if i in free_a and j in free_b and (a[i][2] == b[j][2]) is alike
            ]
        ):
            take(kind, (i,), (j,))
    events += [(EntityKind.MISSED, (i,), ()) for i in sorted(free_a)]
    events += [(EntityKind.SPURIOUS, (), (j,)) for j in sorted(free_b)]
    return SpanComparison(events, overlapping, lenient)


def _crowded(a: Sequence[AnySpan], b: Sequence[AnySpan]) -> bool:
    return len(a) * len(b) > MANY and (
        matching.count_overlaps([s[:2] for s in a], [s[:2] for s in b]) > MANY
    )


def _compare_components(a: Sequence[EntityKey], b: Sequence[EntityKey]) -> SpanComparison:
    """:func:`compare_spans` by connected component, so that only crowded ones go the other way."""
    events: list[tuple[EntityKind, tuple[int, ...], tuple[int, ...]]] = []
    overlapping = 0
    lenient: list[Edge] = []
    missed, spurious = set(range(len(a))), set(range(len(b)))
    for rows, columns in matching.overlap_components([s[:2] for s in a], [s[:2] for s in b]):
        part_a, part_b = [a[i] for i in rows], [b[j] for j in columns]
        compare = _compare_crowded if _crowded(part_a, part_b) else compare_spans
        found = compare(part_a, part_b)
        events += [
            (kind, tuple(rows[i] for i in left), tuple(columns[j] for j in right))
            for kind, left, right in found.events
        ]
        overlapping += found.overlapping
        lenient += [(rows[i], columns[j], w) for i, j, w in found.lenient]
        missed.difference_update(rows)
        spurious.difference_update(columns)
    events += [(EntityKind.MISSED, (i,), ()) for i in sorted(missed)]
    events += [(EntityKind.SPURIOUS, (), (j,)) for j in sorted(spurious)]
    return SpanComparison(events, overlapping, sorted(lenient))


def _compare_crowded(a: Sequence[EntityKey], b: Sequence[EntityKey]) -> SpanComparison:
    """:func:`compare_spans` of one component, step by step the same, without a list of pairs."""
    from curate.crowded import shared_out

    events: list[tuple[EntityKind, tuple[int, ...], tuple[int, ...]]] = []
    free_a, free_b = set(range(len(a))), set(range(len(b)))

    def take(kind: EntityKind, left: tuple[int, ...], right: tuple[int, ...]) -> None:
        events.append((kind, left, right))
        free_a.difference_update(left)
        free_b.difference_update(right)

    def free() -> tuple[list[int], list[int]]:
        return sorted(free_a), sorted(free_b)

    by_span: dict[Span, list[int]] = defaultdict(list)
    for j, key in enumerate(b):
        by_span[key[:2]].append(j)
    for i, key in enumerate(a):
        if others := by_span.get(key[:2]):
            take(EntityKind.LABEL, (i,), (others.pop(0),))
    rows, columns = free()
    overlapping = matching.overlapping([a[i][:2] for i in rows], [b[j][:2] for j in columns])
    lenient = _same_label(a, b, (list(range(len(a))), list(range(len(b)))))
    for i, right in shared_out([a[i] for i in rows], [b[j] for j in columns]):
        take(EntityKind.SPLIT, (rows[i],), tuple(columns[j] for j in right))
    rows, columns = free()
    for j, left in shared_out([b[j] for j in columns], [a[i] for i in rows]):
        take(EntityKind.MERGE, tuple(rows[i] for i in left), (columns[j],))
    for i, j, _ in _same_label(a, b, free()):
        take(EntityKind.BOUNDARY, (i,), (j,))
    for i, j, _ in _best_overlaps(a, b, free(), False):
        take(EntityKind.LABEL_BOUNDARY, (i,), (j,))
    rows, columns = free()
    events += [(EntityKind.MISSED, (i,), ()) for i in rows]
    events += [(EntityKind.SPURIOUS, (), (j,)) for j in columns]
    return SpanComparison(events, overlapping, lenient)


_Members = tuple[list[int], list[int]]


def _same_label(a: Sequence[EntityKey], b: Sequence[EntityKey], members: _Members) -> list[Edge]:
    groups: dict[str, _Members] = defaultdict(lambda: ([], []))
    for side, keys in ((0, a), (1, b)):
        for i in members[side]:
            groups[keys[i][2]][side].append(i)
    return sorted(edge for group in groups.values() for edge in _best_overlaps(a, b, group, True))


def _best_overlaps(
    a: Sequence[EntityKey], b: Sequence[EntityKey], members: _Members, alike: bool
) -> list[Edge]:
    """The matching with the largest summed overlap of members with the same label, or not."""
    found: list[Edge] = []
    of_a, of_b = members
    for rows, columns in matching.overlap_components(
        [a[i][:2] for i in of_a], [b[j][:2] for j in of_b]
    ):
        some, others = [of_a[i] for i in rows], [of_b[j] for j in columns]
        left, right = [a[i] for i in some], [b[j] for j in others]
        best = (_best_of_crowd if _crowded(left, right) else _best_of_few)(left, right, alike)
        found += [(some[i], others[j], w) for i, j, w in best]
    return sorted(found)


def _best_of_few(a: Sequence[EntityKey], b: Sequence[EntityKey], alike: bool) -> list[Edge]:
    return best_matching(
        [
            (i, j, jaccard(a[i], b[j]))
            for i, j in overlapping_pairs(a, b)
            if (a[i][2] == b[j][2]) is alike
        ]
    )


def _best_of_crowd(a: Sequence[EntityKey], b: Sequence[EntityKey], alike: bool) -> list[Edge]:
    # Where the text begins makes no difference, so that a document is known from a corpus.
    begin = min(a[0][0], b[0][0])
    one, two = (
        tuple((start - begin, end - begin, label) for start, end, label in keys) for keys in (a, b)
    )
    return list(_best_of_these(one, two, alike))


@lru_cache(maxsize=32)
def _best_of_these(
    a: tuple[EntityKey, ...], b: tuple[EntityKey, ...], alike: bool
) -> tuple[Edge, ...]:
    """Kept, since counts, events and pages ask for the same matching one after another."""
    import numpy as np

    from curate.crowded import best_pairs, jaccard_of_others, jaccard_of_spans

    number = {label: n for n, label in enumerate(sorted({key[2] for key in (*a, *b)}))}
    one, two = (
        np.array([(start, end, number[label]) for start, end, label in keys], dtype=np.float64).T
        for keys in (a, b)
    )
    return tuple(best_pairs(one, two, jaccard_of_spans if alike else jaccard_of_others))


def _wholes(
    wholes: Sequence[EntityKey], parts: Sequence[EntityKey], pairs: Iterable[tuple[int, int]]
) -> list[tuple[int, tuple[int, ...]]]:
    """The wholes that two or more disjoint parts share out, with their parts.

    A part is only ever in one whole: the one with the most parts, then the shortest, then the
    first.
    """
    candidates: dict[int, list[int]] = {}
    for i, j in pairs:
        inside = min(wholes[i][1], parts[j][1]) - max(wholes[i][0], parts[j][0])
        if 2 * inside > parts[j][1] - parts[j][0]:
            candidates.setdefault(i, []).append(j)
    candidates = {i: found for i, found in candidates.items() if len(found) > 1}
    if not candidates:
        return []
    used: set[int] = set()

    def pieces(i: int) -> tuple[int, ...]:
        chosen: list[int] = []
        reached = 0
        label = wholes[i][2]
        for j in sorted(
            candidates[i],
            key=lambda j: (parts[j][1], -parts[j][0], parts[j][2] != label, parts[j]),
        ):
            if j not in used and (not chosen or parts[j][0] >= reached):
                chosen.append(j)
                reached = parts[j][1]
        return tuple(sorted(chosen))

    several = {i: found for i in candidates if len(found := pieces(i)) > 1}
    taken: list[tuple[int, tuple[int, ...]]] = []
    order = sorted(
        several, key=lambda i: (-len(several[i]), wholes[i][1] - wholes[i][0], wholes[i])
    )
    for i in order:
        found = pieces(i)
        if len(found) > 1:
            taken.append((i, found))
            used.update(found)
    return taken


def jaccard(a: AnySpan, b: AnySpan) -> float:
    """Characters in common over characters in either."""
    inside = min(a[1], b[1]) - max(a[0], b[0])
    return inside / (max(a[1], b[1]) - min(a[0], b[0])) if inside > 0 else 0.0


def overlapping_pairs(a: Sequence[AnySpan], b: Sequence[AnySpan]) -> list[tuple[int, int]]:
    """Index pairs of overlapping spans, sorted; both sides sorted by (start, end, …).

    Takes time in proportion to the sides and the pairs found.
    """
    starts_a = [span[0] for span in a]
    starts_b = [span[0] for span in b]
    pairs: list[tuple[int, int]] = []
    for i, span in enumerate(a):
        first, beyond = bisect_left(starts_b, span[0]), bisect_left(starts_b, span[1])
        pairs.extend((i, j) for j in range(first, beyond))
    for j, span in enumerate(b):
        first, beyond = bisect_right(starts_a, span[0]), bisect_left(starts_a, span[1])
        pairs.extend((i, j) for i in range(first, beyond))
    pairs.sort()
    return pairs
