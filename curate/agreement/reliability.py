"""How far each annotator can be relied on, estimated from where they agree, without gold.

Annotators and truth are estimated in turn (Dawid & Skene 1979): given how reliable each is, how
likely every marked place is a mention; given that, how many mentions each finds and how many of
the other places each marks.  Rates are shrunk towards those of all annotators together as if each
had been seen on :data:`PRIOR` places more, so that few spans say little.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from curate.agreement.slots import Slot, slots
from curate.model import Annotation

PRIOR = 20.0
DECOYS = 2.0
"""Places that could be taken for a mention, to every mention.  It cannot be learned: places that
nobody marks are not seen."""
ROUNDS = 50
_SMALL = 0.005
_CLOSE = 1e-7


@dataclass(frozen=True, slots=True)
class Rates:
    """``hit``: the share of true places that the annotator marks; ``false``: the share of the
    other places; ``label`` and ``edge``: how often the label, and a border, is right."""

    hit: float = 0.8
    false: float = 0.05
    label: float = 0.9
    edge: float = 0.9


USUAL = Rates()


@dataclass(frozen=True)
class Reliability:
    """What is known of the annotators of a corpus; ``places`` counts what it was learned from, and
    ``labels`` the labels there are."""

    entities: Mapping[str, Rates] = field(default_factory=dict)
    relations: Mapping[str, Rates] = field(default_factory=dict)
    labels: int = 8
    places: Mapping[str, int] = field(default_factory=dict)

    def rates(self, name: str) -> Rates:
        return self.entities.get(name, USUAL)

    def relation_rates(self, name: str) -> Rates:
        return self.relations.get(name, USUAL)

    def entity(self, marked: Iterable[str], silent: Iterable[str]) -> float:
        """The probability that a place that these marked, and these did not, is a mention."""
        return posterior(marked, silent, self.rates)

    def relation(self, marked: Iterable[str], silent: Iterable[str]) -> float:
        """The same of a relation between decided mentions."""
        return posterior(marked, silent, self.relation_rates)

    def label(self, slot: Slot) -> tuple[str, float]:
        """The likeliest label of a slot and its probability among those that were given."""
        given = slot.labels()
        others = max(self.labels - 1, 1)
        logs = {}
        for label in given:
            total = 0.0
            for name, (_, _, said) in sorted(slot.marks.items()):
                right = self.rates(name).label
                total += math.log(right if said == label else (1.0 - right) / others)
            logs[label] = total
        best = max(sorted(logs), key=lambda value: (round(logs[value], 9),))
        top = logs[best]
        share = 1.0 / sum(math.exp(value - top) for value in logs.values())
        return best, share

    def edge_weight(self, name: str) -> float:
        """How much an annotator's borders count: the log odds that one is right."""
        right = self.rates(name).edge
        return max(math.log(right / (1.0 - right)) + 1.0, 0.05)


def posterior(marked: Iterable[str], silent: Iterable[str], rates: Callable[[str], Rates]) -> float:
    """The probability that a place is true, errors being independent."""
    odds = -math.log(DECOYS)
    for name in marked:
        odds += math.log(rates(name).hit / rates(name).false)
    for name in silent:
        odds += math.log((1.0 - rates(name).hit) / (1.0 - rates(name).false))
    return 1.0 / (1.0 + math.exp(-max(min(odds, 500.0), -500.0)))


@dataclass
class _Votes:
    """Places with who marked them and who might have, counted by pattern."""

    patterns: Counter[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=Counter)

    def add(self, marked: Iterable[str], silent: Iterable[str]) -> None:
        self.patterns[tuple(sorted(marked)), tuple(sorted(silent))] += 1

    def estimate(self) -> dict[str, tuple[float, float]]:
        """Hit and false rates of each annotator."""
        names = sorted({n for a, b in self.patterns for n in (*a, *b)})
        rates = dict.fromkeys(names, USUAL)
        for _ in range(ROUNDS):
            hits: dict[str, float] = defaultdict(float)
            seen: dict[str, float] = defaultdict(float)
            wrong: dict[str, float] = defaultdict(float)
            for (marked, silent), count in sorted(self.patterns.items()):
                p = posterior(marked, silent, rates.__getitem__) * count
                nobody = math.prod(1.0 - rates[name].hit for name in (*marked, *silent))
                # mentions that nobody marked are not seen; so many are expected
                unseen = p * nobody / (1.0 - nobody)
                for name in (*marked, *silent):
                    seen[name] += p + unseen
                for name in marked:
                    hits[name] += p
                    wrong[name] += count - p
            whole = sum(seen.values())
            pooled_hit = _share(sum(hits.values()), whole, USUAL.hit, PRIOR)
            pooled_false = _share(sum(wrong.values()), whole * DECOYS, USUAL.false, PRIOR)
            before = rates
            rates = {
                name: Rates(
                    hit=_share(hits[name], seen[name], pooled_hit, PRIOR),
                    false=_share(wrong[name], seen[name] * DECOYS, pooled_false, PRIOR),
                )
                for name in names
            }
            if max((abs(rates[n].hit - before[n].hit) for n in names), default=0.0) < _CLOSE:
                break
        return {name: (r.hit, r.false) for name, r in rates.items()}


def _share(part: float, whole: float, towards: float, weight: float) -> float:
    value = (part + weight * towards) / (whole + weight)
    return min(max(value, _SMALL), 1.0 - _SMALL)


def estimate(
    documents: Iterable[Sequence[Annotation]], symmetric: Collection[str] = ()
) -> Reliability:
    """Learn from documents, each with the annotations of its annotators; one alone says nothing.

    ``symmetric`` names the relation types without an order of arguments.  The order of
    documents and annotators is of no consequence.
    """
    votes = _Votes()
    found: list[tuple[Slot, tuple[str, ...]]] = []
    labels: set[str] = set()
    kept: list[Sequence[Annotation]] = []
    for sides in documents:
        labels |= {entity.label for side in sides for entity in side.entities}
        if len(sides) < 2:
            continue
        kept.append(sides)
        names = sorted(side.source.name for side in sides)
        for slot in slots(sides):
            silent = tuple(name for name in names if name not in slot.marks)
            votes.add(slot.marks, silent)
            found.append((slot, silent))
    rates = votes.estimate()
    places: Counter[str] = Counter()
    for slot, silent in found:
        places.update((*slot.marks, *silent))
    known = Reliability(
        entities={n: Rates(hit, false) for n, (hit, false) in rates.items()},
        labels=max(len(labels), 2),
        places=dict(sorted(places.items())),
    )
    for _ in range(5):
        known = _details(known, found)
    links = _relation_votes(kept, symmetric).estimate()
    return Reliability(
        entities=known.entities,
        relations={n: Rates(hit, false) for n, (hit, false) in links.items()},
        labels=known.labels,
        places=known.places,
    )


def _details(known: Reliability, found: Sequence[tuple[Slot, tuple[str, ...]]]) -> Reliability:
    """How often each annotator's label and borders are those of the likeliest truth.

    A mark is judged by what the *others* say too: places marked by one alone tell nothing.
    """
    right_label: dict[str, float] = defaultdict(float)
    right_edge: dict[str, float] = defaultdict(float)
    seen: dict[str, float] = defaultdict(float)
    for slot, silent in found:
        if len(slot.marks) < 2:
            continue
        p = known.entity(slot.marks, silent)
        label, _ = known.label(slot)
        start, end = slot.span(known.edge_weight)
        for name, mark in slot.marks.items():
            seen[name] += p
            right_label[name] += p * (mark[2] == label)
            right_edge[name] += p * ((mark[0] == start) + (mark[1] == end)) / 2.0
    whole = sum(seen.values())
    pooled_label = _share(sum(right_label.values()), whole, USUAL.label, PRIOR)
    pooled_edge = _share(sum(right_edge.values()), whole, USUAL.edge, PRIOR)
    return Reliability(
        entities={
            name: Rates(
                rates.hit,
                rates.false,
                _share(right_label[name], seen[name], pooled_label, PRIOR),
                _share(right_edge[name], seen[name], pooled_edge, PRIOR),
            )
            for name, rates in known.entities.items()
        },
        labels=known.labels,
        places=known.places,
    )


def _relation_votes(
    documents: Iterable[Sequence[Annotation]], symmetric: Collection[str]
) -> _Votes:
    """Who drew each relation, and who had both its mentions and did not."""
    votes = _Votes()
    for sides in documents:
        place: dict[str, dict[tuple[int, int, str], int]] = {}
        for number, slot in enumerate(slots(sides)):
            for name, key in slot.marks.items():
                place.setdefault(name, {})[key] = number
        drawn: dict[tuple[int, int, str], set[str]] = defaultdict(set)
        for side in sides:
            of = place.get(side.source.name, {})
            for relation in side.relations:
                pair = of[relation.head.key], of[relation.tail.key]
                if relation.label in symmetric:
                    pair = min(pair), max(pair)
                drawn[(*pair, relation.label)].add(side.source.name)
        for (head, tail, _), who in sorted(drawn.items()):
            able = {n for n, of in place.items() if {head, tail} <= set(of.values())}
            votes.add(who, able - who)
    return votes
