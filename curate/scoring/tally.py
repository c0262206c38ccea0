"""What there is to sum, per document: counts of every measure, label and kind of error.

Gives exactly what summing :func:`curate.alignment.align` over the documents would (a test holds
the two equal).  What is identical, alone, or paired with one other span only is counted in
columns; whatever is entangled goes to the same :func:`curate.alignment.compare_spans`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from curate.alignment import EntityKey, EntityKind, RelationKind, compare_spans
from curate.scoring.columns import Bools, Floats, Ints, Side

ENTITY_KINDS = tuple(EntityKind)
RELATION_KINDS = tuple(RelationKind)
ENTITY_MEASURES = ("strict", "exact", "partial", "lenient")
RELATION_MEASURES = ("strict", "boundaries", "given_entities")


@dataclass(frozen=True, slots=True)
class Sparse:
    """Rows of counts (documents × columns) of the documents that have any."""

    docs: Ints
    counts: Floats

    def dense(self, size: int) -> Floats:
        full = np.zeros((size, self.counts.shape[1]))
        full[self.docs] = self.counts
        return full

    def subset(self, place: Ints) -> Sparse:
        """Renumbered by ``place``; documents placed below 0 are left out."""
        new = place[self.docs]
        keep = new >= 0
        return Sparse(new[keep], self.counts[keep])

    def total(self) -> Floats:
        total: Floats = self.counts.sum(axis=0)
        return total


@dataclass(frozen=True, slots=True)
class Scored:
    """Confidences and whether what they spoke of was gold, in order of document."""

    docs: Ints
    score: Floats
    right: Ints


@dataclass(frozen=True, slots=True)
class PartTally:
    """Counts of entities, or of relations, per document.

    ``measures`` and ``labels``: columns are the credit, the gold and the predicted count.
    ``errors``: documents × kinds of events; ``members``: documents × kinds × (gold, predicted).
    ``confusion``: events by gold and predicted label, None where a side has none.
    """

    measures: Mapping[str, Floats]
    labels: Mapping[str, Sparse]
    lenient_labels: Mapping[str, Sparse]
    errors: Ints
    members: Ints
    confusion: Counter[tuple[str | None, str | None]]
    scored: Scored
    duplicates: tuple[int, int] = (0, 0)
    missed_argument: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Frame:
    """Both sides on one axis: each document lies behind the one before it.

    ``code`` orders and identifies spans over all documents, ``key`` spans with labels.
    """

    gold: Side
    other: Side
    offset: Ints
    code: tuple[Ints, Ints]
    key: tuple[Ints, Ints]

    @classmethod
    def of(cls, gold: Side, other: Side) -> Frame:
        """The sides must share their lists of names (see ``columns.with_names``)."""
        extent = np.zeros(gold.size + 1, dtype=np.int64)
        for side in (gold, other):
            np.maximum.at(extent[1:], side.doc, side.end)
        offset = np.cumsum(extent)
        names = max(len(gold.labels), 1)
        lengths = [side.end - side.start for side in (gold, other)]
        longest = max((int(length.max(initial=0)) for length in lengths), default=0)
        if (int(offset[-1]) + 1) * (longest + 1) * names >= 1 << 62:
            known = np.unique(np.concatenate(lengths))
            lengths = [np.searchsorted(known, length) for length in lengths]
            longest = len(known)
        codes = [
            (offset[side.doc] + side.start) * (longest + 1) + length
            for side, length in zip((gold, other), lengths, strict=True)
        ]
        keys = [code * names + side.label for code, side in zip(codes, (gold, other), strict=True)]
        return cls(gold, other, offset, (codes[0], codes[1]), (keys[0], keys[1]))


def is_in(values: Ints, known: Ints) -> Bools:
    """Which values are among ``known``, which is sorted."""
    if not len(known):
        return np.zeros(len(values), dtype=np.bool_)
    place = np.searchsorted(known, values)
    place[place == len(known)] = 0
    found: Bools = known[place] == values
    return found


def first_of(keys: Ints, score: Floats) -> Ints:
    """Rows of the distinct keys in ascending order; among equals the one with the best score."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    new = np.ones(len(ordered), dtype=np.bool_)
    new[1:] = ordered[1:] != ordered[:-1]
    if new.all():
        return order
    order = np.lexsort((np.nan_to_num(-score, nan=1.0), keys))
    rows: Ints = order[new]
    return rows


def count(size: int, docs: Ints) -> Floats:
    """How many rows each document has."""
    return np.bincount(docs, minlength=size).astype(np.float64)


def by_name(
    size: int, names: tuple[str, ...], parts: list[tuple[Ints, Ints, Floats | None]]
) -> dict[str, Sparse]:
    """Sparse counts per name; a part is a column: documents, names' numbers, weights or ones."""
    cells = [name * size + doc for doc, name, _ in parts]
    used = np.unique(np.concatenate(cells)) if cells else np.zeros(0, dtype=np.int64)
    table = np.zeros((len(used), len(parts)))
    for column, (cell, (_, _, weight)) in enumerate(zip(cells, parts, strict=True)):
        place = np.searchsorted(used, cell)
        table[:, column] = np.bincount(place, weights=weight, minlength=len(used))
    bounds = np.searchsorted(used, np.arange(len(names) + 1) * size)
    return {
        name: Sparse(used[low:high] - i * size, table[low:high])
        for i, (name, low, high) in enumerate(zip(names, bounds[:-1], bounds[1:], strict=True))
        if high > low
    }


def tally_entities(frame: Frame, only: Collection[str] | None = None) -> PartTally:
    """Count the entities; with ``only``, those that carry one of these labels."""
    gold, other = frame.gold, frame.other
    size, names = gold.size, gold.labels
    chosen = np.array([only is None or name in only for name in names], dtype=np.bool_)
    rows = []
    duplicates = []
    for side, key in zip((gold, other), frame.key, strict=True):
        kept = np.flatnonzero(chosen[side.label]) if len(names) else np.zeros(0, dtype=np.int64)
        distinct = kept[first_of(key[kept], side.score[kept])]
        duplicates.append(len(kept) - len(distinct))
        rows.append(distinct)
    row_g, row_o = rows
    key_g, key_o = frame.key[0][row_g], frame.key[1][row_o]
    right_g, right_o = is_in(key_g, key_o), is_in(key_o, key_g)
    doc_g, doc_o = gold.doc[row_g], other.doc[row_o]
    label_g, label_o = gold.label[row_g], other.label[row_o]
    events = _Events(size)
    events.add(EntityKind.CORRECT, doc_g[right_g], label_g[right_g], label_g[right_g])
    rest = _Rest(frame, row_g[~right_g], row_o[~right_o])
    rest.resolve(events)

    total_g, total_o = count(size, doc_g), count(size, doc_o)
    strict = count(size, doc_g[right_g])
    exact = strict + events.errors[:, ENTITY_KINDS.index(EntityKind.LABEL)]
    near_doc, near_label, near = events.lenient()
    lenient = strict + np.bincount(near_doc, weights=near, minlength=size)
    right = (doc_g[right_g], label_g[right_g])
    totals = [(doc_g, label_g, None), (doc_o, label_o, None)]
    scored = ~np.isnan(other.score[row_o])
    return PartTally(
        measures={
            "strict": np.column_stack((strict, total_g, total_o)),
            "exact": np.column_stack((exact, total_g, total_o)),
            "partial": np.column_stack((exact + 0.5 * events.overlapping, total_g, total_o)),
            "lenient": np.column_stack((lenient, total_g, total_o)),
        },
        labels=by_name(size, names, [(*right, None), *totals]),
        lenient_labels=by_name(
            size,
            names,
            [
                (
                    np.concatenate((right[0], near_doc)),
                    np.concatenate((right[1], near_label)),
                    np.concatenate((np.ones(len(right[0])), near)),
                ),
                *totals,
            ],
        ),
        errors=events.errors,
        members=events.members,
        confusion=events.confusion(names),
        scored=Scored(doc_o[scored], other.score[row_o][scored], right_o[scored].astype(np.int64)),
        duplicates=(duplicates[0], duplicates[1]),
    )


class _Events:
    """Collects entity events by document."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.errors = np.zeros((size, len(ENTITY_KINDS)), dtype=np.int64)
        self.members = np.zeros((size, len(ENTITY_KINDS), 2), dtype=np.int64)
        self.overlapping = np.zeros(size, dtype=np.int64)
        self._pairs: Counter[tuple[int, int]] = Counter()
        self._lenient: list[tuple[Ints, Ints, Floats]] = []

    def add(self, kind: EntityKind, docs: Ints, left: Ints | None, right: Ints | None) -> None:
        """Events with at most one member a side, given by their labels."""
        column = ENTITY_KINDS.index(kind)
        found = np.bincount(docs, minlength=self.size)
        self.errors[:, column] += found
        if left is not None:
            self.members[:, column, 0] += found
        if right is not None:
            self.members[:, column, 1] += found
        one = np.full(len(docs), -1) if left is None else left
        two = np.full(len(docs), -1) if right is None else right
        wide = 1 << 31
        for cell, n in zip(*np.unique((one + 1) * wide + two + 1, return_counts=True), strict=True):
            self._pairs[int(cell) // wide - 1, int(cell) % wide - 1] += int(n)

    def near(self, docs: Ints, labels: Ints, overlap: Floats) -> None:
        """Pairs of the lenient matching."""
        self._lenient.append((docs, labels, overlap))

    def add_one(self, doc: int, kind: EntityKind, left: list[int], right: list[int]) -> None:
        """One event, given by the labels of its members."""
        column = ENTITY_KINDS.index(kind)
        self.errors[doc, column] += 1
        self.members[doc, column, 0] += len(left)
        self.members[doc, column, 1] += len(right)
        if len(left) <= 1 and len(right) <= 1:
            self._pairs[left[0] if left else -1, right[0] if right else -1] += 1

    def lenient(self) -> tuple[Ints, Ints, Floats]:
        docs, labels, overlap = (
            (list(part) for part in zip(*self._lenient, strict=True))
            if (self._lenient)
            else ([], [], [])
        )
        empty = np.zeros(0, dtype=np.int64)
        return (
            np.concatenate([empty, *docs]),
            np.concatenate([empty, *labels]),
            np.concatenate([np.zeros(0), *overlap]),
        )

    def confusion(self, names: tuple[str, ...]) -> Counter[tuple[str | None, str | None]]:
        def name(i: int) -> str | None:
            return None if i < 0 else names[i]

        return Counter({(name(i), name(j)): n for (i, j), n in sorted(self._pairs.items())})


class _Rest:
    """The entities that are not identical with one of the other side, sorted by key."""

    def __init__(self, frame: Frame, rows_g: Ints, rows_o: Ints) -> None:
        self.names = frame.gold.labels
        sides = ((frame.gold, rows_g), (frame.other, rows_o))
        self.doc = [side.doc[rows] for side, rows in sides]
        self.label = [side.label[rows] for side, rows in sides]
        self.start = [frame.offset[side.doc[rows]] + side.start[rows] for side, rows in sides]
        self.end = [frame.offset[side.doc[rows]] + side.end[rows] for side, rows in sides]

    def resolve(self, events: _Events) -> None:
        near = (self._overlaps(0), self._overlaps(1))
        for side, kind in ((0, EntityKind.MISSED), (1, EntityKind.SPURIOUS)):
            alone = near[side] == 0
            label = self.label[side][alone]
            events.add(
                kind,
                self.doc[side][alone],
                None if side else label,
                label if side else None,
            )
        left, right = self._simple(near[0] == 1, near[1] == 1)
        self._pairs(left, right, events)
        tangled = near[0] > 0, near[1] > 0
        tangled[0][left] = tangled[1][right] = False
        self._tangles(np.flatnonzero(tangled[0]), np.flatnonzero(tangled[1]), events)

    def _overlaps(self, side: int) -> Ints:
        """How many of the other side each overlaps: those begun by its end, not ended before."""
        begun = np.searchsorted(self.start[1 - side], self.end[side], "left")
        ended = np.searchsorted(np.sort(self.end[1 - side]), self.start[side], "right")
        return begun - ended

    def _simple(self, one_a: Bools, one_b: Bools) -> tuple[Ints, Ints]:
        """The pairs that overlap each other and nothing else: one of the two begins in the other.

        Only what has one partner is looked up, so that there are no more candidates than spans.
        """
        (start_a, start_b), (end_a, end_b) = self.start, self.end
        few_a, few_b = np.flatnonzero(one_a), np.flatnonzero(one_b)
        i, j = _ranges(
            np.searchsorted(start_b, start_a[few_a], "left"),
            np.searchsorted(start_b, end_a[few_a], "left"),
        )
        y, x = _ranges(
            np.searchsorted(start_a, start_b[few_b], "right"),
            np.searchsorted(start_a, end_b[few_b], "left"),
        )
        left, right = np.concatenate((few_a[i], x)), np.concatenate((j, few_b[y]))
        simple = one_a[left] & one_b[right]
        return left[simple], right[simple]

    def _pairs(self, i: Ints, j: Ints, events: _Events) -> None:
        order = np.argsort(i, kind="stable")
        i, j = i[order], j[order]
        doc = self.doc[0][i]
        label_a, label_b = self.label[0][i], self.label[1][j]
        start_a, end_a = self.start[0][i], self.end[0][i]
        start_b, end_b = self.start[1][j], self.end[1][j]
        equal = (start_a == start_b) & (end_a == end_b)
        alike = label_a == label_b
        for kind, where in (
            (EntityKind.LABEL, equal),
            (EntityKind.BOUNDARY, alike & ~equal),
            (EntityKind.LABEL_BOUNDARY, ~alike & ~equal),
        ):
            events.add(kind, doc[where], label_a[where], label_b[where])
        events.overlapping += np.bincount(doc[~equal], minlength=events.size)
        overlap = (np.minimum(end_a, end_b) - np.maximum(start_a, start_b)) / (
            np.maximum(end_a, end_b) - np.minimum(start_a, start_b)
        )
        events.near(doc[alike], label_a[alike], overlap[alike])

    def _tangles(self, rows_a: Ints, rows_b: Ints, events: _Events) -> None:
        """Compare what overlaps with several, one run of touching spans after another."""
        if not len(rows_a):
            return
        start = np.concatenate((self.start[0][rows_a], self.start[1][rows_b]))
        end = np.concatenate((self.end[0][rows_a], self.end[1][rows_b]))
        order = np.argsort(start, kind="stable")
        reach = np.maximum.accumulate(end[order])
        begins = np.ones(len(order), dtype=np.bool_)
        begins[1:] = start[order][1:] >= reach[:-1]
        firsts = start[order][begins]
        bounds_a = np.searchsorted(self.start[0][rows_a], [*firsts, reach[-1]]).tolist()
        bounds_b = np.searchsorted(self.start[1][rows_b], [*firsts, reach[-1]]).tolist()
        keys_a, keys_b = self._keys(0, rows_a), self._keys(1, rows_b)
        labels_a, labels_b = self.label[0][rows_a].tolist(), self.label[1][rows_b].tolist()
        docs = self.doc[0][rows_a].tolist()
        number = {name: i for i, name in enumerate(self.names)}
        near: list[tuple[int, int, float]] = []
        for k in range(len(firsts)):
            low_a, low_b = bounds_a[k], bounds_b[k]
            part_a, part_b = keys_a[low_a : bounds_a[k + 1]], keys_b[low_b : bounds_b[k + 1]]
            doc = docs[low_a]
            found = compare_spans(part_a, part_b)
            for kind, one, two in found.events:
                events.add_one(
                    doc,
                    kind,
                    [labels_a[low_a + i] for i in one],
                    [labels_b[low_b + j] for j in two],
                )
            events.overlapping[doc] += found.overlapping
            near += [(doc, number[part_a[i][2]], w) for i, _, w in found.lenient]
        if near:
            doc_column, label_column, overlap = zip(*near, strict=True)
            events.near(
                np.array(doc_column, dtype=np.int64),
                np.array(label_column, dtype=np.int64),
                np.array(overlap),
            )

    def _keys(self, side: int, rows: Ints) -> list[EntityKey]:
        return [
            (start, end, self.names[label])
            for start, end, label in zip(
                self.start[side][rows].tolist(),
                self.end[side][rows].tolist(),
                self.label[side][rows].tolist(),
                strict=True,
            )
        ]


def _ranges(low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """The pairs (row, low[row] … high[row] - 1) of every row."""
    lengths = np.maximum(high - low, 0)
    row = np.repeat(np.arange(len(low)), lengths)
    inside = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return row, low[row] + inside
