"""Chance-corrected agreement on the units of the text: characters, or tokens.

Every unit gets a category from every annotator of its document: the labels it lies under, or
none.  Units that nobody marked count; most of a news text is such, so that chance agreement is
high, and the coefficients over the marked units alone are given beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

import numpy as np

from curate.offsets import Span
from curate.scoring.columns import Floats

Mention = tuple[int, int, str]
Category = tuple[str, ...]
"""The labels over a unit, sorted; empty outside every mention."""


class Unit(StrEnum):
    CHARACTER = "character"
    TOKEN = "token"


def categorise(
    sides: Sequence[Sequence[Mention]], extent: int | Sequence[Span]
) -> dict[tuple[Category, ...], int]:
    """How many units of a document got which categories from its annotators, in their order.

    ``extent``: the number of characters, or the spans of the tokens.  A token lies under a
    mention that overlaps it.
    """
    if isinstance(extent, int):
        edges = sorted({0, extent, *(e for side in sides for m in side for e in m[:2])})
        pieces = [(a, b, b - a) for a, b in pairwise(edges)]
    else:
        pieces = [(start, end, 1) for start, end in extent]
    columns = [_labels(sorted(side), pieces) for side in sides]
    found: dict[tuple[Category, ...], int] = {}
    for (_, _, weight), categories in zip(pieces, zip(*columns, strict=True), strict=True):
        found[categories] = found.get(categories, 0) + weight
    return found


def _labels(side: list[Mention], pieces: list[tuple[int, int, int]]) -> list[Category]:
    found = []
    active: list[Mention] = []
    following = 0
    for start, end, _ in pieces:
        while following < len(side) and side[following][0] < end:
            active.append(side[following])
            following += 1
        active = [mention for mention in active if mention[1] > start]
        found.append(tuple(sorted({label for *_, label in active})))
    return found


@dataclass
class Table:
    """Counts per document from which a coefficient follows for any sample of documents.

    Columns: units, agreement, then the marginals in blocks of one column per category.
    """

    blocks: int
    rows: list[dict[tuple[int, Category], float]] = field(default_factory=list)
    units: list[float] = field(default_factory=list)
    agreement: list[float] = field(default_factory=list)

    def add(
        self, units: float, agreement: float, marginals: dict[tuple[int, Category], float]
    ) -> None:
        self.units.append(units)
        self.agreement.append(agreement)
        self.rows.append(marginals)

    def skip(self) -> None:
        """A document that does not count."""
        self.add(0.0, 0.0, {})

    def columns(self) -> Floats:
        names = sorted({category for row in self.rows for _, category in row})
        place = {name: i for i, name in enumerate(names)}
        table = np.zeros((len(self.rows), 2 + self.blocks * len(names)))
        table[:, 0], table[:, 1] = self.units, self.agreement
        for i, row in enumerate(self.rows):
            for (block, category), count in row.items():
                table[i, 2 + block * len(names) + place[category]] = count
        return table


Counts = Mapping[tuple[Category, ...], float]
Coefficient = Callable[[Floats], Floats]


def cohen_rows(table: Table, counts: Counts) -> None:
    """Enter a document of two annotators."""
    marginals: dict[tuple[int, Category], float] = {}
    agreed = total = 0.0
    for (one, two), n in counts.items():
        total += n
        agreed += n * (one == two)
        marginals[0, one] = marginals.get((0, one), 0.0) + n
        marginals[1, two] = marginals.get((1, two), 0.0) + n
    table.add(total, agreed, marginals)


def cohen(sums: Floats) -> Floats:
    """(Po - Pe) / (1 - Pe); Cohen 1960.  NaN where one category is all there is."""
    n, agreed = sums[:, 0], sums[:, 1]
    wide = (sums.shape[1] - 2) // 2
    one, two = sums[:, 2 : 2 + wide], sums[:, 2 + wide :]
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = (one * two).sum(axis=1) / n**2
        return _corrected(agreed / n, expected)


def fleiss_rows(table: Table, counts: Counts) -> None:
    """Enter a document that every annotator has."""
    marginals: dict[tuple[int, Category], float] = {}
    agreed = total = 0.0
    for said, n in counts.items():
        total += n
        pairs = 0
        for category in set(said):
            votes = said.count(category)
            pairs += votes * (votes - 1)
            marginals[0, category] = marginals.get((0, category), 0.0) + n * votes
        agreed += n * pairs / (len(said) * (len(said) - 1))
    table.add(total, agreed, marginals)


def fleiss(sums: Floats) -> Floats:
    """Fleiss 1971."""
    n, agreed, votes = sums[:, 0], sums[:, 1], sums[:, 2:]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = votes / votes.sum(axis=1, keepdims=True)
        return _corrected(agreed / n, (shares**2).sum(axis=1))


def alpha_rows(table: Table, counts: Counts) -> None:
    """Enter a document with two annotators or more."""
    marginals: dict[tuple[int, Category], float] = {}
    agreed = total = 0.0
    for said, n in counts.items():
        total += n * len(said)
        for category in set(said):
            votes = said.count(category)
            agreed += n * votes * (votes - 1) / (len(said) - 1)
            marginals[0, category] = marginals.get((0, category), 0.0) + n * votes
    table.add(total, agreed, marginals)


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


def marked(counts: Counts) -> dict[tuple[Category, ...], float]:
    """The units that at least one annotator marked."""
    return {said: n for said, n in counts.items() if any(said)}


def pooled(parts: Iterable[Counts]) -> dict[tuple[Category, ...], float]:
    """Counts of several documents together."""
    total: dict[tuple[Category, ...], float] = {}
    for part in parts:
        for said, n in part.items():
            total[said] = total.get(said, 0.0) + n
    return total
