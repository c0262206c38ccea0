"""What to annotate next: each label's learning curve turned into one sentence of advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from curate.scoring.learning_curve import PARTS, Curve

FEW = 20
"""Fewer examples in train: the score says more about their number than about the label."""
GOOD = 0.9
WORTH = 0.01
"""An expected gain of a point of F1 is worth annotating for."""


class Kind(StrEnum):
    """What the curve of a label says, the most urgent first."""

    ABSENT = "absent"
    FEW = "few"
    RISING = "rising"
    UNSEEN = "unseen"
    FLAT = "flat"
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class Advice:
    """One label: how much there is of it, how well it is found, what more would bring.

    ``worth`` is the expected gain times the label's share of its part's mentions: about what the
    overall F1 gains by it.  ``slope`` is in F1 for 100 documents at the present size.
    """

    part: str
    label: str
    kind: Kind
    support: int
    f1: float | None
    slope: float | None
    gain: float | None
    gain_ci: tuple[float, float] | None
    worth: float | None
    text: str

    def as_json(self) -> dict[str, Any]:
        return {
            "part": self.part,
            "label": self.label,
            "kind": str(self.kind),
            "support": self.support,
            "f1": self.f1,
            "slope": self.slope,
            "gain": self.gain,
            "gain_ci": None if self.gain_ci is None else list(self.gain_ci),
            "worth": self.worth,
            "text": self.text,
        }


def advise(
    curves: Sequence[Curve], labels: Mapping[str, Sequence[str]], support: Mapping[str, int]
) -> list[Advice]:
    """Advice on every label of the schema, the most urgent first.

    ``labels``: the schema's labels by part; ``support``: their mentions in train.
    """
    by_label = {(curve.part, curve.label): curve for curve in curves}
    found = [
        _one(part, label, by_label.get((part, label)), support.get(label, 0))
        for part in PARTS
        for label in labels.get(part, ())
    ]
    order = list(Kind)
    return sorted(
        found,
        key=lambda one: (order.index(one.kind), -(one.worth or 0.0), one.f1 or 0.0, one.label),
    )


def _one(part: str, label: str, curve: Curve | None, support: int) -> Advice:
    f1 = None if curve is None else curve.last
    gain = None if curve is None else curve.gain
    kind = _kind(curve, support)
    return Advice(
        part=part,
        label=label,
        kind=kind,
        support=support,
        f1=f1,
        slope=None if curve is None else curve.slope,
        gain=gain,
        gain_ci=None if curve is None else curve.gain_ci,
        worth=None if curve is None or gain is None else gain * curve.share,
        text=_text(kind, label, support, curve),
    )


def _kind(curve: Curve | None, support: int) -> Kind:
    if not support:
        return Kind.ABSENT
    f1 = None if curve is None else curve.last
    if support < FEW and (f1 is None or f1 < GOOD):
        return Kind.FEW
    if curve is None or f1 is None or not curve.gold:
        return Kind.UNSEEN
    if f1 >= GOOD:
        return Kind.GOOD
    if curve.gain is None:
        return Kind.UNSEEN
    return Kind.RISING if curve.gain >= WORTH else Kind.FLAT


def _text(kind: Kind, label: str, support: int, curve: Curve | None) -> str:
    if kind is Kind.ABSENT:
        return f"no example in train: nothing can be learned; look for documents with {label}"
    gain = ""
    if curve is not None and curve.gain is not None and curve.half is not None:
        gain = f"+{curve.more} documents ≈ +{100 * curve.gain:.1f} ± {100 * curve.half:.1f}"
    if kind is Kind.FEW:
        more = f"; {gain}" if gain else ""
        return f"only {support} in train: look for documents with {label}{more}"
    if kind is Kind.GOOD:
        return "good as it is; no documents are needed for its sake"
    if kind is Kind.UNSEEN or curve is None or not gain:
        why = curve.why if curve is not None and curve.why else "none in the scored documents"
        return f"cannot be said: {why}"
    if kind is Kind.FLAT:
        return (
            f"{gain}: more of the same brings little; look at its errors, its guideline and at "
            "whether annotators agree on it"
        )
    sure = curve.gain_ci is not None and curve.gain_ci[0] > WORTH / 2
    return f"{gain}: {'annotate more of it' if sure else 'likely worth more, not for sure'}"
