"""Chance-corrected agreement on the units of the text: characters, or tokens.

Every unit gets a category from every annotator of its document: the labels it lies under, or
none.  Units that nobody marked count; most of a news text is such, so that chance agreement is
high, and the coefficients over the marked units alone are given beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from curate.offsets import Span
from curate.scoring.columns import Bools, Floats, Ints, Side

Category = tuple[str, ...]
"""The labels over a unit, sorted; empty outside every mention."""
Extent = int | Sequence[Span]
"""A document's number of characters, or the spans of its tokens."""
WORD = 62
"""Labels in one whole number, a bit each."""


class Unit(StrEnum):
    CHARACTER = "character"
    TOKEN = "token"


@dataclass(frozen=True, slots=True)
class Units:
    """What annotators said of stretches of text; a stretch is of one document.

    ``weight`` is its number of units, ``said`` (annotators × stretches) the number of a category
    in ``names``, -1 from who does not have the document.  ``names`` is sorted.
    """

    size: int
    names: tuple[Category, ...]
    doc: Ints
    weight: Ints
    said: Ints

    @classmethod
    def of(cls, counts: Sequence[Mapping[tuple[Category, ...], int]]) -> Units:
        """From the counts of what annotators said together, one mapping a document."""
        rows = [(doc, said, n) for doc, of in enumerate(counts) for said, n in of.items()]
        names = tuple(sorted({name for _, said, _ in rows for name in said}))
        number = {name: i for i, name in enumerate(names)}
        return cls(
            len(counts),
            names,
            np.array([doc for doc, _, _ in rows], dtype=np.int64),
            np.array([n for *_, n in rows], dtype=np.int64),
            np.array([[number[name] for name in said] for _, said, _ in rows], dtype=np.int64)
            .reshape(len(rows), -1)
            .T,
        )

    def where(self, chosen: Bools) -> Units:
        """These stretches alone."""
        return Units(
            self.size, self.names, self.doc[chosen], self.weight[chosen], self.said[:, chosen]
        )

    def between(self, annotators: Sequence[int]) -> Units:
        """What these annotators said of the documents that all of them have."""
        said = self.said[list(annotators)]
        both = Units(self.size, self.names, self.doc, self.weight, said)
        complete: Bools = np.all(said >= 0, axis=0)
        return both.where(complete)

    def marked(self) -> Units:
        """The stretches that at least one annotator marked."""
        empty = self.names.index(()) if () in self.names else -1
        somebody: Bools = np.any((self.said >= 0) & (self.said != empty), axis=0)
        return self.where(somebody)

    def total(self) -> int:
        return int(self.weight.sum())

    def per_document(self, weight: Ints | Floats) -> Floats:
        """A column: the sums of these weights."""
        return np.bincount(self.doc, weights=weight, minlength=self.size).astype(np.float64)

    def votes(self, annotators: Sequence[Sequence[int]]) -> Floats:
        """Blocks of columns, one for each group of annotators: their units by category.

        Categories that nobody said have no column.
        """
        used = np.unique(self.said[self.said >= 0])
        wide = len(used)
        place = np.zeros(len(self.names), dtype=np.int64)
        place[used] = np.arange(wide)
        blocks = []
        for group in annotators:
            block = np.zeros(self.size * wide)
            for annotator in group:
                there = self.said[annotator] >= 0
                cell = self.doc[there] * wide + place[self.said[annotator][there]]
                block += np.bincount(cell, weights=self.weight[there], minlength=len(block))
            blocks.append(block.reshape(self.size, wide))
        return np.hstack(blocks)


def categorise(sides: Sequence[Side], present: Sequence[Bools], extents: Sequence[Extent]) -> Units:
    """What annotators said of every stretch that no border of a mention of theirs divides.

    ``present`` says which documents each annotator has, ``extents`` their number of characters or
    the spans of their tokens.  A token lies under a mention that overlaps it.
    """
    size = len(extents)
    length = np.array([_length(extent) for extent in extents], dtype=np.int64)
    longest = length.copy()
    for side in sides:
        np.maximum.at(longest, side.doc, side.end)
    offset = np.concatenate(([0], np.cumsum(longest + 1)))
    starts = [offset[side.doc] + side.start for side in sides]
    ends = [offset[side.doc] + side.end for side in sides]
    if any(not isinstance(extent, int) for extent in extents):
        tokens = [(doc, *span) for doc, of in enumerate(extents) for span in _tokens(of)]
        table = np.array(tokens, dtype=np.int64).reshape(-1, 3)
        doc = table[:, 0]
        low, high = offset[doc] + table[:, 1], offset[doc] + table[:, 2]
        weight = np.ones(len(doc), dtype=np.int64)
    else:
        edges = np.unique(np.concatenate((offset[:-1], offset[:-1] + length, *starts, *ends)))
        of_edge = np.searchsorted(offset, edges, "right") - 1
        inside = of_edge[1:] == of_edge[:-1]
        doc, low, high = of_edge[:-1][inside], edges[:-1][inside], edges[1:][inside]
        weight = high - low
    labels = sorted({name for side in sides for name in side.labels})
    number = {name: i for i, name in enumerate(labels)}
    words = np.zeros((-(-len(labels) // WORD) or 1, len(sides), len(doc)), dtype=np.int64)
    for n, side in enumerate(sides):
        first = np.searchsorted(high, starts[n], "right")
        beyond = np.searchsorted(low, ends[n], "left")
        for old, name in enumerate(side.labels):
            rows = side.label == old
            steps = np.bincount(first[rows], minlength=len(doc) + 1)
            steps -= np.bincount(beyond[rows], minlength=len(doc) + 1)
            covered = np.cumsum(steps)[:-1] > 0
            word, bit = divmod(number[name], WORD)
            words[word, n] |= covered.astype(np.int64) << bit
    names, said = name_sets(words, labels)
    for n, there in enumerate(present):
        said[n, ~there[doc]] = -1
    return Units(size, names, doc, weight, said)


def _length(extent: Extent) -> int:
    return extent if isinstance(extent, int) else max((end for _, end in extent), default=0)


def _tokens(extent: Extent) -> Sequence[Span]:
    return () if isinstance(extent, int) else extent


def name_sets(words: Ints, labels: list[str]) -> tuple[tuple[Category, ...], Ints]:
    """The distinct sets of labels, sorted, and which of them stands in each place.

    ``words`` (words × any shape) has a bit for each label, :data:`WORD` to a word.
    """
    shape = words.shape[1:]
    known: list[tuple[int, ...]] = [()]
    place: Ints = np.zeros(int(np.prod(shape)), dtype=np.int64)
    for word in words:
        values, inverse = np.unique(word.ravel(), return_inverse=True)
        cells, place = np.unique(place * len(values) + inverse, return_inverse=True)
        known = [
            (*known[cell // len(values)], int(values[cell % len(values)]))
            for cell in cells.tolist()
        ]
    sets = [
        tuple(name for i, name in enumerate(labels) if parts[i // WORD] >> (i % WORD) & 1)
        for parts in known
    ]
    order = sorted(range(len(sets)), key=sets.__getitem__)
    rank = np.empty(len(sets), dtype=np.int64)
    rank[order] = np.arange(len(sets))
    said: Ints = rank[place].reshape(shape)
    return tuple(sets[i] for i in order), said


Coefficient = Callable[[Floats], Floats]
"""From sums of the columns below over any sample of documents: units, agreement, then the
marginals in blocks of one column per category."""


def cohen_columns(units: Units) -> Floats:
    """What Cohen's kappa follows from; all documents have the same two annotators."""
    one, two = units.said
    return np.column_stack(
        (
            units.per_document(units.weight),
            units.per_document(units.weight * (one == two)),
            units.votes([[0], [1]]),
        )
    )


def cohen(sums: Floats) -> Floats:
    """(Po - Pe) / (1 - Pe); Cohen 1960.  NaN where one category is all there is."""
    n, agreed = sums[:, 0], sums[:, 1]
    wide = (sums.shape[1] - 2) // 2
    one, two = sums[:, 2 : 2 + wide], sums[:, 2 + wide :]
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = (one * two).sum(axis=1) / n**2
        return _corrected(agreed / n, expected)


def fleiss_columns(units: Units) -> Floats:
    """What Fleiss' kappa follows from; all annotators have all documents that are there."""
    annotators = len(units.said)
    agreed = units.per_document(units.weight * _agreeing(units.said))
    return np.column_stack(
        (
            units.per_document(units.weight),
            agreed / (annotators * (annotators - 1)),
            units.votes([range(annotators)]),
        )
    )


def fleiss(sums: Floats) -> Floats:
    """Fleiss 1971."""
    n, agreed, votes = sums[:, 0], sums[:, 1], sums[:, 2:]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = votes / votes.sum(axis=1, keepdims=True)
        return _corrected(agreed / n, (shares**2).sum(axis=1))


def alpha_columns(units: Units) -> Floats:
    """What Krippendorff's alpha follows from; every document has two annotators or more."""
    voices = (units.said >= 0).sum(axis=0)
    at = np.ones(units.size)
    at[units.doc] = voices - 1
    return np.column_stack(
        (
            units.per_document(units.weight * voices),
            units.per_document(units.weight * _agreeing(units.said)) / at,
            units.votes([range(len(units.said))]),
        )
    )


def _agreeing(said: Ints) -> Ints:
    """How many ordered pairs of annotators said the same of each stretch."""
    pairs = np.zeros(said.shape[1], dtype=np.int64)
    for i in range(len(said)):
        for j in range(i):
            pairs += 2 * ((said[i] == said[j]) & (said[i] >= 0))
    return pairs


def alpha(sums: Floats) -> Floats:
    """1 - Do / De with nominal distance; Krippendorff 2011.  Documents may lack annotators."""
    n, agreed, votes = sums[:, 0], sums[:, 1], sums[:, 2:]
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = (votes * (votes - 1)).sum(axis=1) / (n * (n - 1))
        return _corrected(agreed / n, expected)


def _corrected(observed: Floats, expected: Floats) -> Floats:
    result: Floats = np.full(observed.shape, np.nan)
    known = np.isfinite(observed) & np.isfinite(expected) & (expected < 1.0 - 1e-12)
    result[known] = (observed[known] - expected[known]) / (1.0 - expected[known])
    return result
