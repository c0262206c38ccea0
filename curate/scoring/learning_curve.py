"""How scores grow with gold: points of a learning curve, a power law through them, its interval.

F(n) = c - a·(n + k)^(-b) for n training documents (Cortes et al. 1994; for annotation Figueroa et
al. 2012, *Predicting sample size required for classification performance*), with 0 ≤ c ≤ 1, a ≥ 0
and 0 < b ≤ 1, fitted by least squares weighted by the points' own variance.  k is what a model
knows without gold (rules, lists of names, another model), in documents: such curves begin high and
flat, and a law without it foretells too little.  Intervals come from
drawing repetitions and scored documents anew (percentile bootstrap), leaving one of the sizes out
each time, so that no single size decides what is foretold, and fitting again.  To what is foretold
comes the luck of which documents train happens to hold: its variance, σ²/n, is read off the spread
of the repetitions at sizes smaller than train.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from curate.errors import DataError
from curate.scoring.columns import Floats
from curate.scoring.resampling import SEED, f1_of_sums, interval
from curate.scoring.scores import Tally

DRAWS = 1000
LEAST_SIZES = 4
"""Three numbers are fitted; fewer sizes than this leave nothing to judge the fit by."""
LEAST_SPREAD = 3.0
"""The largest size must be this many times the smallest, or the slope is a guess."""
LEAST_GOLD = 10
"""A label with fewer mentions in the scored documents gets no curve of its own."""
EXPONENTS = np.geomspace(0.05, 1.0, 32)
"""Exponents found in practice lie below 1 (Hestness et al. 2017); an unbounded one takes the steep
rise of the first few documents for the law, and foretells nothing more to come."""

KNOWN = (0.0, 0.5)
"""What k may be, in parts of the largest size.  On curves made of the law with noise, the mean of
what is foretold lay 0.1 to 0.4 points of some 2.5 too low without the second one, and 0.7 to 1.6
where k was a half; with it, 0.1 and 0.2 to 0.6."""

Interval = tuple[float, float]
PARTS = {"entities": "strict", "relations": "boundaries"}
"""The measure that speaks for each part, as on a model's card."""


@dataclass(frozen=True, slots=True)
class Point:
    """The score of one model: the size is the ``step``-th, of the ``repeat``-th repetition."""

    step: int
    repeat: int
    documents: int
    tally: Tally


@dataclass(frozen=True, slots=True)
class Fit:
    """F(n) = c - a·(n + k)^(-b)."""

    c: float
    a: float
    b: float
    k: float = 0.0

    def at(self, n: float) -> float:
        return float(self.c - self.a * (n + self.k) ** (-self.b))

    def as_json(self) -> dict[str, float]:
        return {"c": self.c, "a": self.a, "b": self.b, "k": self.k}


@dataclass(frozen=True, slots=True)
class Curve:
    """One measure by the number of training documents.

    ``sizes`` are mean numbers of documents, ``f1`` pools the repetitions, ``each`` is by size and
    repetition.  ``gain`` is what ``more`` documents on top of ``now`` are expected to bring.
    ``slope`` is what a doubling brings.  ``why`` says what forbids a fit; ``band`` holds
    (documents, low, high) for drawing.
    """

    part: str
    label: str | None
    sizes: tuple[float, ...]
    f1: tuple[float | None, ...]
    ci: tuple[Interval | None, ...]
    each: tuple[tuple[float | None, ...], ...]
    now: int
    more: int
    gold: int
    share: float
    fit: Fit | None = None
    gain: float | None = None
    gain_ci: Interval | None = None
    slope: float | None = None
    band: tuple[tuple[float, float, float], ...] = ()
    why: str = ""

    @property
    def name(self) -> str:
        return self.label or self.part

    @property
    def last(self) -> float | None:
        return self.f1[-1] if self.f1 else None

    @property
    def half(self) -> float | None:
        """Half the width of the gain's interval: the figure after the ±."""
        return None if self.gain_ci is None else (self.gain_ci[1] - self.gain_ci[0]) / 2

    @property
    def sentence(self) -> str:
        """``+100 documents ≈ +2.1 ± 0.9``, in points of F1."""
        if self.gain is None or self.half is None or self.gain_ci is None:
            return f"{self.name}: n/a: {self.why}"
        said = (
            f"{self.name}: +{self.more} documents ≈ +{100 * self.gain:.1f} ± {100 * self.half:.1f}"
        )
        if self.fit is not None and self.fit.a == 0:
            said += f" (no growth shows up to {round(self.sizes[-1])} documents)"
        return said

    def as_json(self) -> dict[str, Any]:
        return {
            "part": self.part,
            "label": self.label,
            "sizes": [round(size, 2) for size in self.sizes],
            "f1": list(self.f1),
            "ci": [None if one is None else list(one) for one in self.ci],
            "each": [list(row) for row in self.each],
            "gold": self.gold,
            "share": self.share,
            "fit": None if self.fit is None else self.fit.as_json(),
            "gain": {
                "documents": self.now,
                "more": self.more,
                "f1": self.gain,
                "ci": None if self.gain_ci is None else list(self.gain_ci),
                "half": self.half,
            },
            "slope": self.slope,
            "why": self.why,
            "sentence": self.sentence,
        }


def fit_power(sizes: Sequence[float], f1: Floats, weights: Floats) -> Floats:
    """Fit F(n) = c - a·(n + k)^(-b) to every row of ``f1`` (rows × sizes): rows × (c, a, b, k).

    ``weights`` are rows × sizes, or one row for all.  For each b and k of the grid c and a are a
    weighted linear regression held to 0 ≤ c ≤ 1 and a ≥ 0; those of the least squared error are
    taken.  Rows with NaN come out as NaN.
    """
    n = np.asarray(sizes, dtype=np.float64)
    w: Floats = np.broadcast_to(np.asarray(weights, dtype=np.float64), f1.shape)
    w = w / w.sum(axis=1, keepdims=True)
    best: Floats = np.full(len(f1), np.inf)
    found = np.full((len(f1), 4), np.nan)
    mean_y = (f1 * w).sum(axis=1)
    for k, b in itertools.product((share * float(n.max()) for share in KNOWN), EXPONENTS):
        x = (n + k) ** (-b)
        mean_x = w @ x
        away = x - mean_x[:, None]
        slope = -((f1 - mean_y[:, None]) * w * away).sum(axis=1) / (w * away**2).sum(axis=1)
        a = np.maximum(slope, 0.0)
        c = mean_y + a * mean_x
        over = c > 1.0
        a = np.where(over, np.maximum(((1.0 - f1) * w * x).sum(axis=1) / (w @ x**2), 0.0), a)
        c = np.where(over, 1.0, c)
        error = (w * (f1 - (c[:, None] - a[:, None] * x)) ** 2).sum(axis=1)
        better = error < best - 1e-15
        best = np.where(better, error, best)
        found[better] = np.column_stack((c, a, np.full(len(f1), b), np.full(len(f1), k)))[better]
    return found


def power(fits: Floats, n: float) -> Floats:
    """The fitted curves (rows × (c, a, b, k)) at ``n`` documents."""
    values: Floats = fits[:, 0] - fits[:, 1] * (n + fits[:, 3]) ** (-fits[:, 2])
    return values


def curves(
    points: Sequence[Point],
    now: int,
    more: int,
    *,
    draws: int = DRAWS,
    seed: int = SEED,
) -> list[Curve]:
    """The curves of entities, of relations, and of every label, in this order.

    Every step must hold every repetition once.  ``now`` is how many training documents there are,
    ``more`` how many to come.
    """
    steps = sorted({point.step for point in points})
    repeats = sorted({point.repeat for point in points})
    grid = {(point.step, point.repeat): point for point in points}
    if len(points) != len(steps) * len(repeats) or len(grid) != len(points):
        raise DataError(
            "the points of a learning curve must be whole: every size, every repetition"
        )
    columns = _columns(points)
    if not columns:
        return []
    tables = {key: _table(point.tally, columns) for key, point in grid.items()}
    sizes = [
        sum(grid[step, repeat].documents for repeat in repeats) / len(repeats) for step in steps
    ]
    sums = np.stack(
        [np.stack([tables[s, r].sum(axis=0) for r in repeats]) for s in steps]
    )  # steps × repeats × 3·columns
    each = f1_of_sums(sums.reshape(-1, sums.shape[2])).reshape(len(steps), len(repeats), -1)
    pooled = f1_of_sums(sums.sum(axis=1))
    scored = min(len(point.tally.documents) for point in points)
    drawn = _drawn(grid, tables, steps, repeats, draws, seed) if scored > 1 else None
    shared = len({point.tally.documents for point in points}) == 1
    luck = np.random.Generator(np.random.SFC64(seed)).standard_normal(draws)
    # Repetitions that were scored on the same documents count their gold once.
    apart = {grid[steps[0], repeat].tally.documents: i for i, repeat in enumerate(repeats)}
    gold = sums[0, sorted(apart.values()), 1::3]
    found = []
    for i, (part, label) in enumerate(columns):
        main = columns.index((part, None))
        found.append(
            _curve(
                part,
                label,
                sizes,
                pooled[:, i],
                each[:, :, i],
                None if drawn is None else drawn[:, :, i],
                _luck(sizes, each[:, :, i], shared) * luck,
                now,
                more,
                gold=round(float(gold[:, i].sum())),
                share=float(gold[:, i].sum() / max(gold[:, main].sum(), 1.0)),
            )
        )
    return found


def _columns(points: Sequence[Point]) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    labels: list[tuple[str, str | None]] = []
    for part in PARTS:
        tallies = [getattr(point.tally, part) for point in points]
        names = sorted({label for tally in tallies for label in tally.labels})
        if names:
            found.append((part, None))
            labels += [(part, label) for label in names]
    return found + labels


def _table(tally: Tally, columns: Sequence[tuple[str, str | None]]) -> Floats:
    size = len(tally.documents)
    parts: list[Floats] = []
    for part, label in columns:
        counts = getattr(tally, part)
        if label is None:
            parts.append(np.nan_to_num(counts.measures[PARTS[part]]))
        elif label in counts.labels:
            parts.append(counts.labels[label].dense(size)[:, :3])
        else:
            parts.append(np.zeros((size, 3)))
    return np.hstack(parts) if parts else np.zeros((size, 0))


def _drawn(
    grid: Mapping[tuple[int, int], Point],
    tables: Mapping[tuple[int, int], Floats],
    steps: Sequence[int],
    repeats: Sequence[int],
    draws: int,
    seed: int,
) -> Floats:
    """F1 in every draw: draws × steps × columns.  Repetitions that were scored on the same
    documents see the same draw of them."""
    rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(7,))))
    times = rng.multinomial(len(repeats), [1 / len(repeats)] * len(repeats), size=draws)
    weights: dict[tuple[str, ...], Floats] = {}
    wide = next(iter(tables.values())).shape[1]
    sums = np.zeros((draws, len(steps), wide))
    for place, repeat in enumerate(repeats):
        for at, step in enumerate(steps):
            documents = grid[step, repeat].tally.documents
            if documents not in weights:
                size = len(documents)
                weights[documents] = rng.multinomial(size, [1 / size] * size, size=draws).astype(
                    np.float64
                )
            sums[:, at] += times[:, place, None] * (weights[documents] @ tables[step, repeat])
    flat = f1_of_sums(sums.reshape(-1, wide))
    return flat.reshape(draws, len(steps), -1)


def _curve(
    part: str,
    label: str | None,
    sizes: Sequence[float],
    pooled: Floats,
    each: Floats,
    drawn: Floats | None,
    luck: Floats,
    now: int,
    more: int,
    gold: int,
    share: float,
) -> Curve:
    made = Curve(
        part=part,
        label=label,
        sizes=tuple(sizes),
        f1=tuple(_known(v) for v in pooled),
        ci=tuple(None if drawn is None else interval(drawn[:, i]) for i in range(len(sizes))),
        each=tuple(tuple(_known(v) for v in row) for row in each),
        now=now,
        more=more,
        gold=gold,
        share=round(share, 6),
    )
    why = _forbids(made)
    if why or drawn is None:
        return _with(made, why=why)
    variance = np.nanvar(drawn, axis=0)
    weights = 1.0 / np.maximum(variance, max(1e-6, 0.05 * float(variance.max())))
    c, a, b, k = fit_power(sizes, pooled[None, :], weights)[0].tolist()
    # Draw i leaves size i out (modulo their number): the same for every measure.
    left_out = np.arange(len(drawn)) % len(sizes)
    fits = fit_power(sizes, drawn, weights * (left_out[:, None] != np.arange(len(sizes))))
    whole = ~np.isnan(fits).any(axis=1)
    fits, luck = fits[whole], luck[whole]
    gains = power(fits, now + more) - power(fits, now) + luck * _unseen(now, now + more)
    fit = Fit(c, a, b, k)
    places = np.geomspace(max(sizes[0], 1.0), max(now + more, sizes[-1]), 40)
    band = []
    for n in places.tolist():
        between = interval(power(fits, n) + luck * _unseen(now, n))
        if between is not None:
            band.append((n, *between))
    return _with(
        made,
        fit=fit,
        gain=fit.at(now + more) - fit.at(now),
        gain_ci=interval(gains),
        slope=fit.at(2 * now) - fit.at(now),
        band=tuple(band),
    )


def _unseen(now: int, n: float) -> float:
    """The share of the luck's standard deviation that n - now new documents bring."""
    return math.sqrt(max(0.0, 1.0 / now - 1.0 / n))


def _luck(sizes: Sequence[float], each: Floats, shared: bool) -> float:
    """σ of the luck σ²/n, from the spread over repetitions (steps × repetitions) below full size.

    Subsets of one pool spread less by the share of the pool they are.  Where each repetition has
    scored documents of its own, what those have in common over all sizes is taken out first.
    """
    known = each[:, ~np.isnan(each).any(axis=0)]
    if known.shape[1] < 2:
        return 0.0
    if not shared:
        known = known - known.mean(axis=0)
    spread = known.var(axis=1, ddof=1)
    found = [
        float(v) * n / (1 - n / sizes[-1])
        for v, n in zip(spread[:-1], sizes[:-1], strict=True)
        if n < sizes[-1]
    ]
    return math.sqrt(sum(found) / len(found)) if found else 0.0


def _forbids(curve: Curve) -> str:
    """Why no power law can be fitted; empty where one can."""
    if len(curve.sizes) < LEAST_SIZES:
        return f"a curve needs {LEAST_SIZES} different sizes, there are {len(curve.sizes)}"
    if curve.sizes[-1] < LEAST_SPREAD * curve.sizes[0]:
        return (
            f"the sizes span {curve.sizes[0]:.0f} to {curve.sizes[-1]:.0f} documents, "
            f"less than a factor of {LEAST_SPREAD:g}"
        )
    if curve.label is not None and curve.gold < LEAST_GOLD:
        return f"only {curve.gold} in the scored documents, {LEAST_GOLD} are needed"
    if any(value is None for value in curve.f1):
        return "F1 is undefined at some size: there is nothing in gold or predictions"
    if all(one is None for one in curve.ci):
        return "one scored document allows no interval"
    return ""


def _with(curve: Curve, **changes: Any) -> Curve:
    from dataclasses import replace

    return replace(curve, **changes)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


# --- which documents


def shuffled(groups: Mapping[str, str], seed: int, repeat: int) -> list[list[str]]:
    """The documents of ``groups`` (id → near-duplicate group, "": alone) as groups in an order that
    seed and repetition alone decide."""
    members: dict[str, list[str]] = {}
    for key, group in groups.items():
        members.setdefault(group or f"\0{key}", []).append(key)

    def place(name: str) -> bytes:
        return hashlib.sha256(f"{seed}\0{repeat}\0{name}".encode()).digest()

    return [sorted(members[name]) for name in sorted(members, key=place)]


def nested(order: Sequence[Sequence[str]], sizes: Sequence[int]) -> list[list[str]]:
    """For each size the first whole groups of the order that come nearest to it; every smaller
    subset lies in every larger one."""
    ends = [0]
    for group in order:
        ends.append(ends[-1] + len(group))
    found = []
    for size in sizes:
        cut = min(range(1, len(ends)), key=lambda i: (abs(ends[i] - size), i))
        found.append(sorted(key for group in order[:cut] for key in group))
    return found


def fold_of(
    groups: Mapping[str, str], folds: int, seed: int, repeat: int
) -> tuple[list[str], list[str]]:
    """``(rest, held out)`` of one repetition: the folds of one shuffle in turn, then another's."""
    order = shuffled(groups, seed, repeat // folds)
    held = {key for group in order[repeat % folds :: folds] for key in group}
    return sorted(set(groups) - held), sorted(held)


def sizes_of(total: int, shares: Sequence[float], least: int = 2) -> list[int]:
    """The sizes that shares of ``total`` come to: different ones, at least ``least``, growing."""
    return sorted({max(least, round(total * share)) for share in shares if total >= least})
