"""Relations between coreference chains, where a document carries them.

A pair of chains is looked at, and its relation written, between the two mentions whose beginnings
are nearest; what the other mentions say, and which other things the document holds, is told
besides.  So a type holds between two things once, not between one of many pairs of their mentions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from curate.extractors.neighbours import EMPTY, PRONOUNS
from curate.extractors.pairs import Pair, Place, pair_features
from curate.extractors.relations import RelationModel, RelationSettings, Triple
from curate.schema import LabelSchema

_MORE = 3
"""Further pairs of mentions within a sentence whose words are told, the nearest first."""
_STRONGER, _HALF = 6.0, 1000
"""A pair of chains has about twice the features of a pair of mentions: the penalty is so much
stronger, but half of that for a type with so many examples, less for a rarer one."""


class Chains:
    """A document's things: the chains given with it, and each mention outside them.

    Chains that share a mention are one; the order in which they are given does not matter.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.members = _joined(place)
        count = range(len(self.members))
        self.of = [0] * len(place.spans)
        for number, chain in enumerate(self.members):
            for i in chain:
                self.of[i] = number
        labels = [[place.entities[i].label for i in chain] for chain in self.members]
        self.labels = [Counter(found).most_common(1)[0][0] for found in labels]
        self.sentences = [sorted({place.sentence[i] for i in chain}) for chain in self.members]
        self.by_label: dict[str, list[int]] = {}
        for number, label in enumerate(self.labels):
            self.by_label.setdefault(label, []).append(number)
        self.names = [sorted({place.names[i] for i in chain}) for chain in self.members]
        self.nouns = [self._nouns(chain) for chain in self.members]
        self.proper = [any(self._proper(i) for i in chain) for chain in self.members]
        self.size_rank, self.rank = [0] * len(self.members), [0] * len(self.members)
        for numbers in self.by_label.values():
            for k, n in enumerate(numbers):
                self.rank[n] = min(k, 2)
            for k, n in enumerate(sorted(numbers, key=lambda n: (-len(self.members[n]), n))):
                self.size_rank[n] = min(k, 2)
        self.stems = [_stems(place, k) for k in range(len(place.text.sentences))]
        self.own = [self._own(number) for number in count]
        self._nearest: dict[Pair, Pair] = {}

    def _nouns(self, chain: Sequence[int]) -> list[str]:
        """The first words of the chain's names, without small ones and pronouns."""
        found = set()
        for i in chain:
            words = self.place.names[i].replace("'", "' ").replace("-", " ").split()
            words = [word for word in words if word not in EMPTY]
            if words and self.place.names[i] not in PRONOUNS:
                found.add(words[0])
        return sorted(found)

    def _proper(self, i: int) -> bool:
        first = self.place.text.text[self.place.entities[i].start]
        return first.isupper() and self.place.names[i] not in PRONOUNS

    def _own(self, number: int) -> tuple[list[str], list[str]]:
        """What is told of a chain beside the other's label, and beside both labels."""
        place, chain, label = self.place, self.members[number], self.labels[number]
        beside = [f"S:{label}:{_few(len(chain))}"]
        beside += [f"N:{name}" for name in self.names[number]]
        beside += [f"W:{noun}" for noun in self.nouns[number]]
        words = place.lower
        for k in chain:
            first, end = place.spans[k]
            beside.append(f"-:{words[first - 1] if first else ''}")
            beside.append(f"+:{words[end] if end < len(words) else ''}")
        first = place.spans[chain[0]][0]
        both = [
            f"R:{self.size_rank[number]}",
            f"F:{self.rank[number]}",
            f"P:{self.proper[number]}",
            f"D:{words[first - 1] if first else ''}",
            f"C:{_few(len(self.by_label[label]))}",
            f"1:{min(self.sentences[number][0], 3)}",
        ]
        return beside, both

    def nearest(self, one: int, other: int) -> Pair:
        """The mentions of two chains whose beginnings are nearest; of equal ones the first."""
        known = self._nearest.get((one, other))
        if known is None:
            known = min(
                ((i, j) for i in self.members[one] for j in self.members[other]),
                key=lambda pair: (self._apart(pair), pair),
            )
            self._nearest[(one, other)] = known
            self._nearest[(other, one)] = known[1], known[0]
        return known

    def _apart(self, pair: Pair) -> int:
        entities = self.place.entities
        return abs(entities[pair[0]].start - entities[pair[1]].start)

    def candidates(
        self, schema: LabelSchema, window: int, legal: Mapping[tuple[str, str], Sequence[str]]
    ) -> Iterator[tuple[int, int, Pair]]:
        """Ordered pairs of chains, with their nearest mentions, whose labels some type may link and
        which stand within ``window`` sentences, or of which a rule hints.

        Of types that are all symmetric only the pair in the text's order comes.
        """
        place = self.place
        for one in range(len(self.members)):
            for other in range(one + 1, len(self.members)):
                i, j = self.nearest(one, other)
                gap = abs(place.sentence[i] - place.sentence[j])
                if gap > window and (i, j) not in place.hints and (j, i) not in place.hints:
                    continue
                a, b = place.entities[i].label, place.entities[j].label
                if legal.get((a, b)):
                    yield one, other, (i, j)
                if any(t not in schema.symmetric for t in legal.get((b, a), ())):
                    yield other, one, (j, i)

    def nearer(self, one: int, other: int) -> int:
        """How many chains of the label of ``one`` stand nearer to ``other`` than it does."""
        limit = self._apart(self.nearest(one, other))
        return sum(
            self._apart(self.nearest(third, other)) < limit
            for third in self.by_label[self.labels[one]]
            if third not in (one, other)
        )


def _joined(place: Place) -> list[list[int]]:
    """The given chains in the order of the text, those that share a mention made one."""
    number = list(range(len(place.spans)))
    for chain in place.chains:
        known = {number[i] for i in chain}
        if len(known) > 1:
            least = min(known)
            number = [least if n in known else n for n in number]
    members: dict[int, list[int]] = {}
    for i in sorted(range(len(number)), key=lambda i: (place.spans[i], i)):
        members.setdefault(number[i], []).append(i)
    return list(members.values())


def _stems(place: Place, sentence: int) -> frozenset[str]:
    first, end = place.text.sentences[sentence]
    return frozenset(word[:6] for word in place.lower[first:end] if len(word) > 3)


def chain_features(
    chains: Chains, one: int, other: int, pair: Pair, near: bool = True
) -> list[str]:
    """The features of an ordered pair of chains whose nearest mentions are ``pair``."""
    place = chains.place
    row = pair_features(place, pair, set(), near)
    types = f"{chains.labels[one]}>{chains.labels[other]}"
    shared = min(len(set(chains.sentences[one]) & set(chains.sentences[other])), 3)
    row += [f"S:{types}:{shared}", f"S:{shared}"]
    for side, chain, beyond in (("h", one, other), ("t", other, one)):
        beside, both = chains.own[chain]
        label = chains.labels[beyond]
        row += [f"{side}{what}>{label}" for what in beside]
        row += [f"{side}{what}:{types}" for what in both]
        row += [f"{side}V:{chains.labels[chain]}:{noun}" for noun in chains.nouns[chain]]
    row += [f"NN:{x}:{y}" for x in chains.nouns[one] for y in chains.nouns[other]]
    row.append(f"PP:{types}:{chains.proper[one]}:{chains.proper[other]}")
    row.append(f"RR:{types}:{chains.size_rank[one]}:{chains.size_rank[other]}")
    row.append(f"FF:{types}:{chains.rank[one]}:{chains.rank[other]}")
    heads, tails = _few(chains.nearer(one, other)), _few(chains.nearer(other, one))
    row += [f"K:{types}:{heads}:{tails}", f"Kh:{types}:{heads}", f"Kt:{types}:{tails}"]
    row += _other_places(chains, one, other, pair, types)
    first, last = sorted(place.sentence[i] for i in pair)
    gap = min(last - first, 2)
    row += [f"sw:{gap}:{stem}" for stem in sorted(chains.stems[first] | chains.stems[last])]
    return row


def _other_places(chains: Chains, one: int, other: int, pair: Pair, types: str) -> list[str]:
    """The words between further mentions of the two that share a sentence."""
    place = chains.place
    more = sorted(
        (abs(place.spans[i][0] - place.spans[j][0]), i, j)
        for i in chains.members[one]
        for j in chains.members[other]
        if (i, j) != pair and place.sentence[i] == place.sentence[j]
    )
    row = []
    for _, i, j in more[:_MORE]:
        side = ">" if place.spans[i] <= place.spans[j] else "<"
        between = place.stretch(*((i, j) if side == ">" else (j, i))).between
        row += [f"B:{side}:{word}" for word in between[:12]]
        if len(between) < 7:
            row.append(f"Bp:{types}:{side}:{' '.join(between)}")
    return row


def _few(count: int) -> str:
    return "01233"[count] if count < 5 else "5"


class ChainModel(RelationModel):
    """Relations between chains: candidates, examples and what is found are pairs of chains, each
    by its nearest mentions."""

    drawn = (10.0, 10.0)

    def _rows(self, place: Place) -> list[tuple[Pair, list[str]]]:
        chains = Chains(place)
        place.chained(chains.of)
        found = chains.candidates(self.schema, self.settings.window, self.legal)
        return [
            (pair, chain_features(chains, one, other, pair, self.much))
            for one, other, pair in found
        ]

    def _targets(
        self, place: Place, rows: Sequence[tuple[Pair, list[str]]], triples: Sequence[Triple]
    ) -> list[set[str]]:
        chains = Chains(place)
        wanted: dict[Pair, set[str]] = {}
        for head, tail, label in triples:
            one, other = chains.of[head], chains.of[tail]
            if label in self.schema.symmetric and other < one:
                one, other = other, one
            if one != other:
                wanted.setdefault(chains.nearest(one, other), set()).add(label)
        return [wanted.get(pair, set()) for pair, _ in rows]

    def _penalised(self, examples: float) -> RelationSettings:
        stronger = _STRONGER * examples / (examples + _HALF)
        return replace(self.settings, l2=self.settings.l2 * stronger)
