"""Whether a model's confidences mean what they say.

The event is "this span and label is gold" (or "this relation is gold"): a probability that is
right about it lets people look at the doubtful claims first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from curate.scoring.columns import Floats, Ints

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Claims of like confidence: their mean confidence and how many of them were right."""

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Point:
    """Keeping every claim with at least this score: how many are kept, how many of them right.

    ``coverage`` is the share of the claims that is kept, ``precision`` of the right among them;
    the risk is 1 - precision.
    """

    threshold: float
    coverage: float
    precision: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """``brier``: mean squared error of the confidence.  ``ece``: expected calibration error over
    bins of equal mass (Nguyen & O'Connor 2015).  ``aurc``: area under the risk-coverage curve
    (Geifman & El-Yaniv 2017)."""

    count: int
    brier: float
    ece: float
    aurc: float
    bins: tuple[Bin, ...]
    curve: tuple[Point, ...]

    def threshold_for(self, precision: float) -> Point | None:
        """The lowest threshold that gives at least this precision; None where none does."""
        for point in reversed(self.curve):
            if point.precision >= precision:
                return point
        return None

    def as_json(self) -> dict[str, Any]:
        """With the curve at some twenty points, and the thresholds of round precisions."""
        step = max(1, len(self.curve) // 20)
        picked = [*self.curve[:-1:step], self.curve[-1]]
        return {
            "count": self.count,
            "brier": self.brier,
            "ece": self.ece,
            "aurc": self.aurc,
            "bins": [
                {"count": b.count, "confidence": b.confidence, "accuracy": b.accuracy}
                for b in self.bins
            ],
            "risk_coverage": [_point(point) for point in picked],
            "threshold_for_precision": {
                f"{wanted:.2f}": None
                if (found := self.threshold_for(wanted)) is None
                else _point(found)
                for wanted in (0.8, 0.9, 0.95, 0.99)
            },
        }


def _point(point: Point) -> dict[str, float]:
    return {
        "threshold": point.threshold,
        "coverage": point.coverage,
        "precision": point.precision,
        "risk": 1.0 - point.precision,
    }


def calibrate(score: Floats, right: Ints, bins: int = BINS) -> Calibration | None:
    """Calibration of claims with these scores; None where there are none.

    Claims of equal score are never told apart: they share their bin and their point.
    """
    if not len(score):
        return None
    order = np.lexsort((right, -score))
    ordered, hits = score[order], right[order].astype(np.float64)
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    kept = last + 1
    precision = np.cumsum(hits)[last] / kept
    widths = np.diff(np.concatenate(([0], kept))) / len(score)
    edges = np.searchsorted(kept, np.arange(1, bins + 1) * len(score) / bins)
    groups: list[Bin] = []
    low = 0
    for edge in np.unique(np.minimum(edges, len(kept) - 1)):
        high = int(kept[edge])
        groups.append(
            Bin(high - low, float(ordered[low:high].mean()), float(hits[low:high].mean()))
        )
        low = high
    return Calibration(
        count=len(score),
        brier=float(np.mean((ordered - hits) ** 2)),
        ece=sum(b.count * abs(b.confidence - b.accuracy) for b in groups) / len(score),
        aurc=float(((1.0 - precision) * widths).sum()),
        bins=tuple(groups),
        curve=tuple(
            Point(float(ordered[i]), float(n / len(score)), float(p))
            for i, n, p in zip(last, kept, precision, strict=True)
        ),
    )
