"""Intervals and tests by drawing documents, not entities.

Documents are what was sampled: mentions of one document are alike, and resampling them one by
one would give intervals that are too narrow.  Every draw is seeded; the result depends on the
seed, the number of documents and the number of draws alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

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
    totals = np.empty((draws, table.shape[1]))
    for low, high, rng in _blocks(draws, size, seed, 0):
        kind = np.uint16 if size <= 1 << 16 else np.uint32
        picked = rng.integers(0, size, size=(high - low, size), dtype=kind)
        weights = np.empty((high - low, size))
        for row, documents in enumerate(picked):
            weights[row] = np.bincount(documents, minlength=size)
        np.matmul(weights, table, out=totals[low:high])
    return totals


def swap(table: Floats, draws: int = DRAWS, seed: int = SEED) -> Floats:
    """Sums over random halves of the rows: each document is in or out with even chances."""
    size = len(table)
    totals = np.empty((draws, table.shape[1]))
    for low, high, rng in _blocks(draws, size, seed, 1):
        count = (high - low) * size
        drawn = np.frombuffer(rng.bytes((count + 7) // 8), dtype=np.uint8)
        bits = np.unpackbits(drawn, count=count).reshape(high - low, size)
        np.matmul(bits.astype(np.float64), table, out=totals[low:high])
    return totals


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
