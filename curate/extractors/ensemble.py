"""The model and the bootstrap rules together: a rule speaks where the model is silent or unsure, if
on documents that the model had not learned from it was right there often enough.

A mention more that is right with a probability above half of F1 makes F1 better; what must lie
above :data:`LEAST` is the lower bound of that probability (Wilson 1927), measured for each rule in
just the places where it would speak.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Mention = tuple[int, int, str]
Claim = tuple[int, int, str, str]
"""``(first token, end token, the rules' label, rule)``."""

ANY = "*"
LEAST = 0.5
UNSURE = 0.5
"""A mention of the model whose least marginal is smaller gives way to a rule that speaks."""
_Z = 1.6449
"""One side of 95 %: two right of two are not enough, three of three are."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A mention with its calibrated confidence and the one that the model began with."""

    first: int
    end: int
    label: str
    score: float
    raw: float


@dataclass(frozen=True, slots=True)
class Voice:
    """What a rule is worth where the model is silent: ``right`` of ``said``, as ``label``; without
    a label it may not speak."""

    label: str
    right: int
    said: int

    @property
    def precision(self) -> float:
        return (self.right + 1) / (self.said + 2)


def wilson(right: int, said: int) -> float:
    """The lower bound of a share, one-sided at 95 %; 0 where nothing was said."""
    if not said:
        return 0.0
    p, z2 = right / said, _Z * _Z
    spread = _Z * math.sqrt(p * (1 - p) / said + z2 / (4 * said * said))
    return max(0.0, (p + z2 / (2 * said) - spread) / (1 + z2 / said))


def in_the_way(
    claim: Claim, found: Sequence[Scored], spans: set[tuple[int, int]]
) -> list[Scored] | None:
    """The mentions that must go for the rule to speak; None where it may not speak at all.

    It may not where the model marks the same span, or is sure of a mention that overlaps, unless
    that is a longer one of both and the rule's lies inside.
    """
    a, b = claim[:2]
    rivals = []
    for m in found:
        if m.first >= b or a >= m.end:
            continue
        if (m.first, m.end) == (a, b):
            return None
        if m.first <= a and b <= m.end and (m.first, m.end) in spans:
            continue
        if m.raw >= UNSURE:
            return None
        rivals.append(m)
    return rivals


def names_of(
    documents: Iterable[tuple[Sequence[Claim], Sequence[Mention]]],
) -> dict[str, str]:
    """The rules' labels → the label that gold gives their spans most often."""
    counts: dict[str, Counter[str]] = {}
    for claims, gold in documents:
        labels = {(a, b): label for a, b, label in gold}
        for a, b, label, _ in claims:
            if (a, b) in labels:
                counts.setdefault(label, Counter())[labels[(a, b)]] += 1
    return {
        label: min(found, key=lambda k: (-found[k], k)) for label, found in sorted(counts.items())
    }


def learn_voices(
    documents: Sequence[tuple[Sequence[Claim], Sequence[Scored], Sequence[Mention]]],
    names: Mapping[str, str],
) -> dict[str, Voice]:
    """``label/rule`` → its voice, and ``label/*`` for rules without a record of their own.

    A rule may speak by its own record, or by that of all rules of its label where its own does not
    speak against it.
    ``documents``: what the rules said, what the model found that had not learned from the document,
    and gold.  A rule that would push out a right mention is wrong there.
    """
    right: Counter[str] = Counter()
    said: Counter[str] = Counter()
    for claims, found, gold in documents:
        known = set(gold)
        spans = {(a, b) for a, b, _, _ in claims}
        for claim in claims:
            if claim[2] not in names:
                continue
            rivals = in_the_way(claim, found, spans)
            if rivals is None:
                continue
            good = (claim[0], claim[1], names[claim[2]]) in known and not any(
                (m.first, m.end, m.label) in known for m in rivals
            )
            for key in (f"{claim[2]}/{claim[3]}", f"{claim[2]}/{ANY}"):
                said[key] += 1
                right[key] += good
    voices: dict[str, Voice] = {}
    for key, n in sorted(said.items()):
        label = key.split("/")[0]
        common = wilson(right[f"{label}/{ANY}"], said[f"{label}/{ANY}"]) >= LEAST
        speaks = wilson(right[key], n) >= LEAST or (common and 2 * right[key] >= n)
        if common or speaks:
            voices[key] = Voice(names[label] if speaks else "", right[key], n)
    return voices


def together(
    found: Sequence[Scored], claims: Sequence[Claim], voices: Mapping[str, Voice]
) -> list[Scored]:
    """The model's mentions and those of the rules that may speak, longer ones first."""
    kept = list(found)
    spans = {(a, b) for a, b, _, _ in claims}
    for claim in sorted(claims, key=lambda c: (c[0] - c[1], c)):
        voice = voices.get(f"{claim[2]}/{claim[3]}") or voices.get(f"{claim[2]}/{ANY}")
        if voice is None or not voice.label:
            continue
        rivals = in_the_way(claim, kept, spans)
        if rivals is None:
            continue
        kept = [m for m in kept if m not in rivals]
        score = round(voice.precision, 4)
        # As raw it is sure: no other rule pushes it out again.
        kept.append(Scored(claim[0], claim[1], voice.label, score, max(score, UNSURE)))
    return kept
