"""Measures of predictions against gold, their intervals, and the comparison of two models.

Everything is a sum over :mod:`curate.alignment`; SCORING in docs/scoring.md has the definitions.
"""

from __future__ import annotations

from curate.scoring.calibration import Calibration
from curate.scoring.scores import Measure, PartScores, Scores, Tally, score, scores_of, tally

__all__ = [
    "Calibration",
    "Measure",
    "PartScores",
    "Scores",
    "Tally",
    "score",
    "scores_of",
    "tally",
]
