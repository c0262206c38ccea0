"""Intervals and tests by drawing documents, not entities.

Documents are what was sampled: mentions of one document are alike, and resampling them one by
one would give intervals that are too narrow.  Every draw is seeded; the result depends on the
seed, the number of documents and the number of draws alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from curate.scoring.columns import Floats

DRAWS = 10_000
SEED = 20_200_910
LEVEL = 0.95
_CELLS = 2_500_000


def resample(table: Floats, draws: int = DRAWS, seed: int = SEED) -> Floats:
    """Sums over bootstrap samples of the rows (documents): draws × columns.

    The percentile bootstrap of Efron & Tibshirani (1993), chapter 13.
    """
    size = len(table)
    sums = _Sums(table, draws)

    def draw(low: int, high: int, rng: np.random.Generator) -> None:
        picked = rng.integers(0, size, size=(high - low, size), dtype=np.int32)
        weights = np.empty((high - low, size), dtype=np.float32)
        for row, documents in enumerate(picked):
            weights[row] = np.bincount(documents, minlength=size)
        sums.add(low, high, weights)

    _run(draw, draws, size, seed, 0)
    return sums.result()


def swap(table: Floats, draws: int = DRAWS, seed: int = SEED) -> Floats:
    """Sums over random halves of the rows: each document is in or out with even chances."""
    size = len(table)
    sums = _Sums(table, draws)

    def draw(low: int, high: int, rng: np.random.Generator) -> None:
        count = (high - low) * size
        drawn = np.frombuffer(rng.bytes((count + 7) // 8), dtype=np.uint8)
        bits = np.unpackbits(drawn, count=count).reshape(high - low, size)
        sums.add(low, high, bits.astype(np.float32))

    _run(draw, draws, size, seed, 1)
    return sums.result()


class _Sums:
    """Weighted sums of a table's columns: equal columns once, whole numbers in single precision.

    Sums of halves below 2^23 are exact in single precision, which takes half the time.
    """

    def __init__(self, table: Floats, draws: int) -> None:
        turned = np.ascontiguousarray(table.T)
        known: dict[bytes, int] = {}
        self._inverse = [known.setdefault(column.tobytes(), len(known)) for column in turned]
        firsts = [self._inverse.index(i) for i in range(len(known))]
        columns: Floats = turned[firsts]
        largest = np.abs(columns).max(axis=1, initial=0.0)
        simple = (columns * 2 == np.round(columns * 2)).all(axis=1)
        self._single = simple & (largest * max(len(table), 1) < 1 << 22)
        self._exact = np.ascontiguousarray(columns[~self._single].T)
        self._quick = np.ascontiguousarray(columns[self._single].T.astype(np.float32))
        self._sums = np.empty((draws, len(columns)))

    def add(self, low: int, high: int, weights: npt.NDArray[np.float32]) -> None:
        self._sums[low:high, self._single] = weights @ self._quick
        if self._exact.shape[1]:
            self._sums[low:high, ~self._single] = weights.astype(np.float64) @ self._exact

    def result(self) -> Floats:
        return self._sums[:, self._inverse]


def _run(
    draw: Callable[[int, int, np.random.Generator], None],
    draws: int,
    size: int,
    seed: int,
    stream: int,
) -> None:
    """Every block has a generator of its own, so that threads change nothing but the time."""
    blocks = list(_blocks(draws, size, seed, stream))
    if len(blocks) == 1:
        draw(*blocks[0])
        return
    with ThreadPoolExecutor(min(len(blocks), os.cpu_count() or 1, 4)) as pool:
        for done in [pool.submit(draw, *block) for block in blocks]:
            done.result()


def _blocks(
    draws: int, size: int, seed: int, stream: int
) -> Iterator[tuple[int, int, np.random.Generator]]:
    step = max(1, _CELLS // max(size, 1))
    for number, low in enumerate(range(0, draws, step)):
        source = np.random.SeedSequence(seed, spawn_key=(stream, number))
        yield low, min(low + step, draws), np.random.Generator(np.random.SFC64(source))


def f1(credit: Floats, gold: Floats, predicted: Floats) -> Floats:
    """2·TP / (G + P), element by element; NaN where neither side has anything."""
    total = np.asarray(gold + predicted, dtype=np.float64)
    result = np.full(total.shape, np.nan)
    np.divide(2.0 * credit, total, out=result, where=total > 0)
    return result


def f1_of_sums(sums: Floats) -> Floats:
    """F1 of every measure from sums whose columns are credit, gold, predicted of each in turn."""
    return f1(sums[:, 0::3], sums[:, 1::3], sums[:, 2::3])


def interval(values: Floats, level: float = LEVEL) -> tuple[float, float] | None:
    """The percentile interval of the draws that are defined; None where none is."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(known, [tail, 100.0 - tail])
    return float(low), float(high)


def holm(values: list[float | None]) -> list[float | None]:
    """P-values adjusted for their number (Holm 1979); undefined ones stay out of the count."""
    known = sorted((p, i) for i, p in enumerate(values) if p is not None)
    adjusted: list[float | None] = [None] * len(values)
    reached = 0.0
    for rank, (p, i) in enumerate(known):
        reached = max(reached, min(1.0, p * (len(known) - rank)))
        adjusted[i] = reached
    return adjusted
