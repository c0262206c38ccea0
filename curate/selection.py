"""What to annotate next: what a model doubts most per word, spread out, and a share by lot.

Settles and Craven 2008 weigh uncertainty by density; here what a document is expected to teach is
the sum of the doubts (one minus the score) about the items that a model found in it, rare labels
counting more, divided by what it costs to read.  The best of that list are outliers and much like
each other, so the choice is made within its best quarter, and each pick makes what is written in
the same words less wanted.

A share is drawn by lot, so that honest estimates stay possible: every document has a place in one
order that a seed and its id fix for good, and the lot takes the first ones that are not there yet.
All documents up to :attr:`Selection.cursor` are then there, whatever brought them: together they
are a simple random sample of all documents, and stay one when later pushes go on.

Nothing depends on the order of the candidates.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from curate.errors import UsageError
from curate.model import Annotation

Why = Literal["uncertain", "random", "rest"]

OPENING = 15
"""A task costs its words and about so many more, however short it is."""
TOP = 0.25
"""The share of the candidates, by doubt per word, among which the choice is made."""
SPREAD = 4
"""So many times the wanted number are drawn from there, and weighed against each other."""
POOL = 4000
"""At most so many texts are compared with each other: the cost of a choice is bounded."""
COMPARED = 1000
"""Beyond so many picks the doubt alone decides: their pool holds most words already."""
KNOWN = 500
"""So many texts that are there already are compared with, at most."""
SHARE = 0.2
LAST = (1 << 63) - 1
"""No document's place in the lot is beyond."""
_PARTS = 1_000_000
_WORD = re.compile(r"\w{3,}")

Claims = Mapping[str, tuple[int, float]]
"""Label → how many scored items of it a model found, and the sum of (1 - score) over them."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that may become a task.

    ``claims`` is None where no prediction with scores is known.  ``parent`` names the document
    that a passage was cut from: passages of one parent share a ``group`` without being alike.
    """

    id: str
    words: int
    claims: Claims | None = None
    group: str = ""
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Pick:
    """A document chosen; ``gain`` is its expected gain, None where nothing says."""

    id: str
    why: Why
    words: int
    gain: float | None


@dataclass(frozen=True)
class Selection:
    """The picks in the order of work: whoever stops early has about the same share by lot.

    ``cursor``: every candidate whose :func:`lot` is at most that is picked, was there before, or
    has a near duplicate that is (:data:`LAST` where none waits); None where nothing was ever drawn
    by lot.
    """

    picks: tuple[Pick, ...]
    cursor: int | None
    candidates: int
    scored: int
    weights: Mapping[str, float] = field(default_factory=dict)

    def count(self, why: Why) -> int:
        return sum(pick.why == why for pick in self.picks)

    @property
    def words(self) -> int:
        return sum(pick.words for pick in self.picks)

    def doubts(self, why: Why) -> float | None:
        """The expected gain among 100 words of the picks made for this reason."""
        told = [p for p in self.picks if p.why == why and p.gain is not None]
        words = sum(pick.words for pick in told)
        return round(100 * sum(p.gain or 0.0 for p in told) / words, 4) if words else None


def claims_of(annotation: Annotation) -> Claims | None:
    """What a prediction says of its own doubts; None where it has items and no scores."""
    entities = [(entity.label, entity.score) for entity in annotation.entities]
    return claims_from(entities + [(r.label, r.score) for r in annotation.relations])


def claims_from(items: Iterable[tuple[str, float | None]]) -> Claims | None:
    """The same of ``(label, score)`` pairs.  Nothing found is an answer, too: no doubts."""
    counts: Counter[str] = Counter()
    doubts: dict[str, list[float]] = {}
    any_item = False
    for label, score in items:
        any_item = True
        if score is not None:
            counts[label] += 1
            doubts.setdefault(label, []).append(1.0 - min(1.0, max(0.0, score)))
    if any_item and not counts:
        return None
    return {label: (counts[label], sum(sorted(doubts[label]))) for label in sorted(counts)}


def label_weights(candidates: Iterable[Candidate]) -> dict[str, float]:
    """Rare labels count up to twice, common ones down to half: √(mean count / own count)."""
    counts: Counter[str] = Counter()
    for candidate in candidates:
        for label, (count, _) in (candidate.claims or {}).items():
            counts[label] += count
    if not counts:
        return {}
    mean = sum(counts.values()) / len(counts)
    return {
        label: round(min(2.0, max(0.5, (mean / counts[label]) ** 0.5)), 6)
        for label in sorted(counts)
    }


def lot(seed: int, document_id: str) -> int:
    """The document's place in the drawn order, in [0, 2⁶³): seed and id alone decide."""
    drawn = hashlib.sha256(f"lot\n{seed}\n{document_id}".encode()).digest()
    return int.from_bytes(drawn[:8], "big") >> 1


def by_lot(slot: int, share: float) -> bool:
    """Whether the pick of this number (from 0) is one by lot: of n picks round(share·n) are."""
    part = round(share * _PARTS)

    def until(n: int) -> int:
        return (2 * n * part + _PARTS) // (2 * _PARTS)

    return until(slot + 1) > until(slot)


def choose(
    candidates: Iterable[Candidate],
    limit: int | None,
    *,
    seed: int = 0,
    share: float = SHARE,
    before: int = 0,
    cursor: int | None = None,
    taken: Iterable[tuple[str, str]] = (),
    texts: Callable[[Sequence[str]], Mapping[str, str]] = lambda _: {},
    known: Sequence[str] = (),
    top: float = TOP,
    spread: int = SPREAD,
) -> Selection:
    """Choose ``limit`` candidates (None: order all of them).

    ``before`` picks and the lot's ``cursor`` are what earlier choices came to, ``taken`` the
    ``(group, parent)`` of documents that are there already, ``known`` some of their texts;
    ``texts`` is asked for those of at most :data:`POOL` candidates.  Raises UsageError for a share
    outside [0, 1].
    """
    if not 0.0 <= share <= 1.0:
        raise UsageError(f"the share drawn by lot is {share:g}; it must be between 0 and 1")
    every = sorted(candidates, key=lambda c: c.id)
    number = len(every) if limit is None else min(limit, len(every))
    weights = label_weights(every)
    lots = {c.id: lot(seed, c.id) for c in every}
    gains = {c.id: _gain(c.claims, weights) for c in every if c.claims is not None}
    slots = [by_lot(before + i, share) for i in range(number)]
    families = _Families(taken)

    drawn, clear = families.take(sorted(every, key=lambda c: lots[c.id]), sum(slots))
    left = _without(every, drawn)
    order = _ByDoubt(gains, lots)
    wanted = number - len(drawn)
    compared = min(wanted, COMPARED)
    doubted = [
        c for c in order.sorted(left) if gains.get(c.id, 0.0) > 0 and not families.blocked(c)
    ]
    best = doubted[: max(compared, math.ceil(top * len(doubted)))]
    best.sort(key=lambda c: lot(seed, f"pool\n{c.id}"))
    pool = sorted(best[: min(POOL, spread * compared)], key=lambda c: lots[c.id])
    chosen = _spread_out(pool, compared, order, families, texts, known)
    fill = _without(best, chosen)
    fill += order.sorted(_without(left, chosen + fill))
    rest, _ = families.take(fill, wanted - len(chosen))
    chosen = order.sorted(chosen) + rest
    if drawn:
        cursor = max([lots[c.id] for c in drawn[:clear]] + [cursor or 0])
    if cursor is not None:
        waiting = [lots[c.id] for c in _without(left, chosen) if not families.blocked(c)]
        cursor = min(cursor, min(waiting) - 1) if waiting else LAST
    return Selection(
        picks=tuple(
            Pick(c.id, why, c.words, gains.get(c.id))
            for c, why in _woven(slots, drawn, chosen, gains)
        ),
        cursor=cursor,
        candidates=len(every),
        scored=len(gains),
        weights=weights,
    )


class _Families:
    """Which near-duplicate groups are represented, and by what."""

    def __init__(self, taken: Iterable[tuple[str, str]]) -> None:
        self._held: dict[str, str | None] = {}
        for group, parent in taken:
            self._hold(group, parent)

    def _hold(self, group: str, parent: str) -> None:
        if group:
            held = self._held.setdefault(group, parent)
            if held != parent:
                self._held[group] = None  # several parents: everything of the group is blocked

    def hold(self, candidate: Candidate) -> None:
        self._hold(candidate.group, candidate.parent or candidate.id)

    def blocked(self, candidate: Candidate) -> bool:
        """Whether a near duplicate is there; passages of one parent are none of each other."""
        if candidate.group not in self._held:
            return False
        return self._held[candidate.group] != (candidate.parent or candidate.id)

    def take(self, ordered: Sequence[Candidate], number: int) -> tuple[list[Candidate], int]:
        """The first ``number``, near duplicates of what is there only after all others; and how
        many are none."""
        found: list[Candidate] = []
        passed: list[Candidate] = []
        for candidate in ordered:
            if len(found) == number:
                break
            if self.blocked(candidate):
                passed.append(candidate)
            else:
                self.hold(candidate)
                found.append(candidate)
        return found + passed[: number - len(found)], len(found)


@dataclass(frozen=True)
class _ByDoubt:
    gains: Mapping[str, float]
    lots: Mapping[str, int]

    def rate(self, candidate: Candidate) -> float:
        return self.gains[candidate.id] / (candidate.words + OPENING)

    def sorted(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """By doubt per word, the most first; what has no scores last, in the order of the lot."""
        return sorted(
            candidates,
            key=lambda c: (-self.rate(c) if c.id in self.gains else 1.0, self.lots[c.id]),
        )


def _gain(claims: Claims, weights: Mapping[str, float]) -> float:
    return sum(weights[label] * claims[label][1] for label in sorted(claims))


def _without(every: Iterable[Candidate], gone: Iterable[Candidate]) -> list[Candidate]:
    names = {c.id for c in gone}
    return [c for c in every if c.id not in names]


def _spread_out(
    pool: Sequence[Candidate],
    wanted: int,
    order: _ByDoubt,
    families: _Families,
    texts: Callable[[Sequence[str]], Mapping[str, str]],
    known: Sequence[str],
) -> list[Candidate]:
    """Greedily by doubt per word times one minus the cosine (tf-idf) to the nearest one there."""
    import numpy as np

    if not pool or not wanted:
        return []
    rows = _rows(pool, texts([c.id for c in pool]), known)
    nearest = np.zeros(len(pool))
    if rows is not None and rows.shape[0] > len(pool):
        nearest = (rows[: len(pool)] @ rows[len(pool) :].T).max(axis=1).toarray().ravel()
    rates = np.array([order.rate(c) for c in pool])
    kin: dict[str, list[int]] = {}
    for i, candidate in enumerate(pool):
        kin.setdefault(candidate.group, []).append(i)
    free = np.ones(len(pool), dtype=bool)
    chosen: list[Candidate] = []
    while len(chosen) < wanted and free.any():
        # Rounded, so that a machine's last bits decide nothing; ties go by lot.
        worth = np.round(rates * (1.0 - nearest), 12)
        at = int(np.argmax(np.where(free, worth, -1.0)))
        chosen.append(pool[at])
        families.hold(pool[at])
        free[at] = False
        if pool[at].group:
            for i in kin[pool[at].group]:
                free[i] = free[i] and not families.blocked(pool[i])
        if rows is not None:
            near = (rows[: len(pool)] @ rows[at].T).toarray().ravel()
            nearest = np.maximum(nearest, near)
    return chosen


def _rows(pool: Sequence[Candidate], texts: Mapping[str, str], known: Sequence[str]) -> Any:
    """Tf-idf rows of length one, of the pool and then of the known texts; None without texts."""
    import numpy as np
    from scipy.sparse import csr_matrix

    if not texts:
        return None
    bags = [
        Counter(_WORD.findall(text.casefold()))
        for text in [*(texts.get(c.id, "") for c in pool), *sorted(known)[:KNOWN]]
    ]
    spread = Counter(word for bag in bags for word in bag)
    column = {word: i for i, word in enumerate(sorted(spread))}
    idf = np.log(len(bags) / np.array([spread[word] for word in column])) + 1.0
    data, at, ends = [], [], [0]
    for bag in bags:
        words = sorted(bag)
        places = np.array([column[w] for w in words], dtype=np.int64)
        values = np.array([1.0 + math.log(bag[w]) for w in words]) * idf[places]
        norm = float(np.sqrt((values**2).sum()))
        data.append(values / norm if norm else values)
        at.append(places)
        ends.append(ends[-1] + len(words))
    return csr_matrix(
        (np.concatenate(data), np.concatenate(at), np.array(ends)), shape=(len(bags), len(column))
    )


def _woven(
    slots: Sequence[bool],
    drawn: Sequence[Candidate],
    chosen: Sequence[Candidate],
    gains: Mapping[str, float],
) -> Iterator[tuple[Candidate, Why]]:
    lots, others = iter(drawn), iter(chosen)
    for by in slots:
        if by:
            yield next(lots), "random"
        else:
            candidate = next(others)
            yield candidate, "uncertain" if gains.get(candidate.id, 0.0) > 0 else "rest"
