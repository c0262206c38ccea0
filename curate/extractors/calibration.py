"""Isotonic calibration: from a model's raw confidence to the share that is right."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

LEAST = 30
"""With fewer observations a curve would be noise; raw scores are kept."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A monotone map of [0, 1] into itself, linear between its points; empty: the identity."""

    points: tuple[tuple[float, float], ...] = ()

    def __call__(self, score: float) -> float:
        points = self.points
        if not points:
            return score
        at = bisect_right(points, (score, 2.0))
        if at == 0:
            return points[0][1]
        if at == len(points):
            return points[-1][1]
        (x0, y0), (x1, y1) = points[at - 1], points[at]
        return y0 + (y1 - y0) * (score - x0) / (x1 - x0) if x1 > x0 else y1


def isotonic(scores: Sequence[float], right: Sequence[bool]) -> Curve:
    """The curve by pooling adjacent violators, with one made-up right and wrong at each end so
    that no score is certainty.  The identity where there are fewer than ``LEAST`` observations."""
    if len(scores) < LEAST:
        return Curve()
    blocks: list[list[float]] = []  # sum of x, sum of y, weight
    pairs = sorted(zip(scores, right, strict=True))
    rows = [(0.0, 0.0), *((x, float(y)) for x, y in pairs), (1.0, 1.0)]
    for x, y in rows:
        blocks.append([x, y, 1.0])
        while len(blocks) > 1 and blocks[-2][1] / blocks[-2][2] >= blocks[-1][1] / blocks[-1][2]:
            last = blocks.pop()
            for i in range(3):
                blocks[-1][i] += last[i]
    points: list[tuple[float, float]] = []
    for x, y, weight in blocks:
        # A block of n observations with k right: (k + 1) / (n + 2), Laplace's rule.
        point = (round(x / weight, 6), round((y + 0.5) / (weight + 1.0), 6))
        if not points or point[0] > points[-1][0]:
            points.append((point[0], max(point[1], points[-1][1]) if points else point[1]))
    return Curve(tuple(points))
