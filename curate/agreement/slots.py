"""Which marks of several annotators mean the same mention: at most one of each in a slot.

Identical marks belong together; then, the best overlap first, marks of different annotators that
overlap and carry the same label, or overlap by at least half under different labels.  So a
mention nested in another keeps a slot of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from curate.alignment import EntityKey, jaccard, overlapping_pairs
from curate.matching import count_overlaps
from curate.model import Annotation
from curate.offsets import Span
from curate.spans import MANY

HALF = 0.5
_ROWS = 50

Weight = Callable[[str], float]
"""How much an annotator's vote counts."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place where annotators marked what seems to be one mention: annotator → their mark."""

    marks: Mapping[str, EntityKey]

    @property
    def first(self) -> EntityKey:
        return min(self.marks.values())

    def labels(self) -> dict[str, list[str]]:
        """Label → the annotators who gave it."""
        found: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self.marks):
            found[self.marks[name][2]].append(name)
        return dict(sorted(found.items()))

    def span(self, weight: Weight = lambda name: 1.0) -> Span:
        """Where the mention is, by the annotators' votes.

        The span that more than half of the votes give; without one each edge by itself, the edge
        with most votes; of equals that which makes the mention shorter.
        """
        spans: dict[Span, float] = defaultdict(float)
        starts: dict[int, float] = defaultdict(float)
        ends: dict[int, float] = defaultdict(float)
        for name in sorted(self.marks):
            start, end, _ = self.marks[name]
            vote = weight(name)
            spans[start, end] += vote
            starts[start] += vote
            ends[end] += vote
        total = sum(spans.values())
        best = max(sorted(spans), key=lambda s: spans[s])
        if 2 * spans[best] > total:
            return best
        start = max(sorted(starts), key=lambda s: (round(starts[s], 9), s))
        end = max(sorted(ends), key=lambda e: (round(ends[e], 9), -e))
        if start < end:
            return start, end
        return max(sorted(spans), key=lambda s: (round(spans[s], 9), s[0] - s[1]))


def slots(sides: Sequence[Annotation]) -> list[Slot]:
    """The slots of one document, in order of the text; every mark is in exactly one."""
    holders: dict[EntityKey, set[str]] = defaultdict(set)
    for side in sides:
        for entity in side.entities:
            holders[entity.key].add(side.source.name)
    keys = sorted(holders)
    group = list(range(len(keys)))
    names = [set(holders[key]) for key in keys]
    members = [[i] for i in range(len(keys))]
    pairs = (
        _in_bands(keys, lambda k: names[group[k]])
        if len(keys) ** 2 > MANY and count_overlaps(spans := [k[:2] for k in keys], spans) > MANY
        else _candidates(keys)
    )
    for i, j in pairs:
        a, b = group[i], group[j]
        if a == b or names[a] & names[b]:
            continue
        names[a] |= names[b]
        members[a] += members[b]
        for k in members[b]:
            group[k] = a
        members[b] = []
    found = [
        Slot({name: keys[i] for i in inside for name in sorted(holders[keys[i]])})
        for inside in members
        if inside
    ]
    return sorted(found, key=lambda slot: (slot.first, sorted(slot.marks.items())))


def _candidates(keys: Sequence[EntityKey]) -> list[tuple[int, int]]:
    rows = []
    for i, j in overlapping_pairs(keys, keys):
        if i >= j:
            continue
        overlap, alike = jaccard(keys[i], keys[j]), keys[i][2] == keys[j][2]
        if alike or overlap >= HALF:
            rows.append((-overlap, not alike, keys[i], keys[j], i, j))
    return [(i, j) for *_, i, j in sorted(rows)]


def _in_bands(
    keys: Sequence[EntityKey], together: Callable[[int], Set[str]]
) -> Iterator[tuple[int, int]]:
    """The same where pairs are too many to be listed: the best overlaps first, band by band.

    ``together`` says whose marks are in a mark's slot.  It is asked anew for every band: pairs of
    slots that share an annotator come to nothing, which leaves few pairs for the wide bands.
    """
    import numpy as np

    from curate.crowded import jaccard_of_spans

    number = {label: n for n, label in enumerate(sorted({key[2] for key in keys}))}
    spans = np.array([key[:2] for key in keys], dtype=np.float64).T
    label = np.array([number[key[2]] for key in keys])
    beyond = np.inf
    for least in (*(1 - 0.5**n for n in (10, 7, 5, 4, 3, 2, 1)), 0.25, 0.125, 0.0):
        sets: dict[frozenset[str], int] = {}
        group = np.array(
            [sets.setdefault(frozenset(together(k)), len(sets)) for k in range(len(keys))]
        )
        apart = np.array([[not one & two for two in sets] for one in sets])
        open_sets = np.array([any(row) for row in apart])
        live = np.flatnonzero(open_sets[group])
        found = []
        for low in range(0, len(live), _ROWS):
            rows, others = live[low : low + _ROWS], live[low:]
            overlap = jaccard_of_spans(spans[:, rows, None], spans[:, None, others])
            alike = label[rows][:, None] == label[others]
            x, y = np.nonzero(
                (overlap >= least if least else overlap > 0)
                & (overlap < beyond)
                & (alike | (overlap >= HALF))
                & (rows[:, None] < others)
                & apart[group[rows][:, None], group[others]]
            )
            found.append((-overlap[x, y], ~alike[x, y], rows[x], others[y]))
        beyond = least
        if found:
            worth, other, left, right = (np.concatenate(part) for part in zip(*found, strict=True))
            order = np.lexsort((right, left, other, worth))
            yield from zip(left[order].tolist(), right[order].tolist(), strict=True)
