"""Whether one set of predictions is better than another, on the same gold.

The test is paired approximate randomisation (Noreen 1989): under the null hypothesis the two
models are exchangeable on every document, so documents are swapped at random, and p is the share
of swaps that give a difference at least as large, two-sided: (k + 1) / (B + 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from curate.errors import DataError
from curate.scoring.columns import Floats
from curate.scoring.resampling import (
    DRAWS,
    SEED,
    f1_of_sums,
    holm,
    interval,
    resample,
    swap,
)
from curate.scoring.scores import GRAIN, Tally

ALPHA = 0.05
POWER_FACTOR = 2.80
"""z(0.975) + z(0.80): how many standard errors a difference must be to be seen in 80 % of cases."""
WORTH_SEEING = 0.02


@dataclass(frozen=True, slots=True)
class Difference:
    """F1 of B less F1 of A, for one measure or label.

    ``p_holm`` is adjusted over all differences of the comparison.  ``documents_needed``: about how
    many documents like these would show a difference of ``WORTH_SEEING`` in four cases of five.
    """

    part: str
    measure: str
    label: str | None
    a: float | None
    b: float | None
    ci: tuple[float, float] | None
    p: float | None
    p_holm: float | None
    documents_needed: int | None

    @property
    def difference(self) -> float | None:
        return None if self.a is None or self.b is None else self.b - self.a

    @property
    def name(self) -> str:
        return f"{self.part} {self.measure}" if self.label is None else f"{self.part} {self.label}"

    def as_json(self) -> dict[str, Any]:
        return {
            "part": self.part,
            "measure": self.measure,
            "label": self.label,
            "a": self.a,
            "b": self.b,
            "difference": self.difference,
            "ci": None if self.ci is None else list(self.ci),
            "p": self.p,
            "p_holm": self.p_holm,
            "documents_needed": self.documents_needed,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every difference between two sets of predictions on the same documents."""

    documents: int
    draws: int
    differences: tuple[Difference, ...]

    def of(self, part: str, measure: str = "strict", label: str | None = None) -> Difference:
        """The difference of this measure.  Raises KeyError where it was not compared."""
        for found in self.differences:
            if (found.part, found.measure, found.label) == (part, measure, label):
                return found
        raise KeyError((part, measure, label))

    @property
    def sentences(self) -> tuple[str, ...]:
        """What can be said of the headline measures in plain words."""
        return tuple(
            _sentence(self.of(part), self.documents)
            for part in ("entities", "relations")
            if any((d.part, d.measure) == (part, "strict") for d in self.differences)
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "documents": self.documents,
            "draws": self.draws,
            "differences": [difference.as_json() for difference in self.differences],
            "sentences": list(self.sentences),
        }


def compare_tallies(a: Tally, b: Tally, draws: int = DRAWS, seed: int = SEED) -> Comparison:
    """Compare two scorings against the same gold.  Raises DataError if the documents differ."""
    if a.documents != b.documents:
        raise DataError("the two were not scored on the same documents; score both on one gold set")
    rows: list[tuple[str, str, str | None]] = []
    one: list[Floats] = []
    two: list[Floats] = []
    size = len(a.documents)
    for part, x, y in (
        ("entities", a.entities, b.entities),
        ("relations", a.relations, b.relations),
    ):
        for measure in x.measures:
            if measure in y.measures:
                rows.append((part, measure, None))
                one.append(x.measures[measure])
                two.append(y.measures[measure])
        main = "strict" if part == "entities" else "boundaries"
        for label in sorted({*x.labels, *y.labels}):
            rows.append((part, main, label))
            one.append(
                x.labels[label].dense(size) if label in x.labels else _gold_only(y, label, size)
            )
            two.append(
                y.labels[label].dense(size) if label in y.labels else _gold_only(x, label, size)
            )
    if not size:
        return Comparison(0, draws, ())
    table_a, table_b = _exact(one), _exact(two)
    f1_a, f1_b = (f1_of_sums(t.sum(axis=0, keepdims=True))[0] for t in (table_a, table_b))
    observed = f1_b - f1_a
    p_values: list[float | None] = [None] * len(rows)
    drawn: Floats = np.full((1, len(rows)), np.nan)
    if size > 1:
        p_values = _p_values(table_a, table_b, observed, draws, seed)
        both = resample(np.hstack((table_a, table_b)), draws, seed)
        wide = table_a.shape[1]
        drawn = f1_of_sums(both[:, wide:]) - f1_of_sums(both[:, :wide])
    # Macro and single measures are tested together: one family, as wide as the table shown.
    adjusted = holm(p_values)
    return Comparison(
        size,
        draws,
        tuple(
            Difference(
                part=part,
                measure=measure,
                label=label,
                a=_known(f1_a[i]),
                b=_known(f1_b[i]),
                ci=interval(drawn[:, i]),
                p=p_values[i],
                p_holm=adjusted[i],
                documents_needed=_needed(drawn[:, i], size),
            )
            for i, (part, measure, label) in enumerate(rows)
        ),
    )


def _gold_only(part: Any, label: str, size: int) -> Floats:
    """What a side without this label has: gold alone."""
    table: Floats = part.labels[label].dense(size)
    table[:, [0, 2]] = 0.0
    return table


def _exact(tables: Sequence[Floats]) -> Floats:
    whole: Floats = np.round(np.nan_to_num(np.hstack(tables)) * GRAIN) / GRAIN
    return whole


def _p_values(a: Floats, b: Floats, observed: Floats, draws: int, seed: int) -> list[float | None]:
    moved = swap(b - a, draws, seed)
    swapped_a = a.sum(axis=0) + moved
    swapped_b = b.sum(axis=0) - moved
    differences = f1_of_sums(swapped_b) - f1_of_sums(swapped_a)
    # A swap whose score is undefined cannot speak against the null hypothesis.
    extreme = np.isnan(differences) | (np.abs(differences) >= np.abs(observed) - 1e-12)
    k = extreme.sum(axis=0)
    return [
        None if math.isnan(observed[i]) else (int(k[i]) + 1) / (draws + 1)
        for i in range(len(observed))
    ]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _needed(drawn: Floats, size: int) -> int | None:
    known = drawn[~np.isnan(drawn)]
    if len(known) < 2:
        return None
    error = float(known.std())
    return max(2, math.ceil(size * (POWER_FACTOR * error / WORTH_SEEING) ** 2)) if error else None


def _sentence(d: Difference, documents: int) -> str:
    if d.difference is None or d.p is None:
        return f"On {d.part} the two cannot be compared: {_why(d, documents)}."
    points = 100 * d.difference
    between = "" if d.ci is None else f" [{100 * d.ci[0]:+.1f}, {100 * d.ci[1]:+.1f}]"
    p = "p < 0.001" if d.p < 0.001 else f"p = {d.p:.3f}"
    if d.p < ALPHA and points:
        better = "B" if points > 0 else "A"
        return f"{better} is better on {d.part}: B - A = {points:+.1f} points of F1{between}, {p}."
    said = (
        f"On {d.part} no difference can be shown with {documents} documents "
        f"({points:+.1f} points of F1{between}, {p})"
    )
    if d.documents_needed is not None and d.documents_needed > documents:
        said += f"; about {d.documents_needed} would be needed to see 2 points"
    return said + "."


def _why(d: Difference, documents: int) -> str:
    if documents < 2:
        return "one document allows no test"
    sides = [name for name, value in (("A", d.a), ("B", d.b)) if value is None]
    return f"F1 is undefined for {' and '.join(sides)}, as there is nothing in gold or predictions"
