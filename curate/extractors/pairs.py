"""What the relation classifier sees of a pair of mentions.

Every feature is a readable string; types stand in most of them, since what a word says depends on
what it stands between.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from curate.extractors.features import Text
from curate.extractors.neighbours import Neighbours
from curate.extractors.rules import folded
from curate.model import Entity
from curate.schema import LabelSchema

Pair = tuple[int, int]
"""Positions of head and tail among a document's mentions."""

_LIMITS = (0, 1, 2, 3, 5, 8, 13, 21, 34)
_BUCKETS = (*_LIMITS, 99)
_FAR = 12
"""Words between two mentions beyond which only the nearest to each are looked at."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What stands between two mentions, and the small words of their clause."""

    between: list[str]
    inside: list[int]
    labels: frozenset[str]
    clause: list[str]


@dataclass(slots=True)
class Place:
    """A document's mentions on its tokens, in order, and what the rules said of their pairs.

    ``spans`` are token ranges, ``sentence`` the index of each mention's sentence, ``hints`` what
    stacked rules say of pairs of mentions.
    """

    text: Text
    entities: Sequence[Entity]
    spans: list[Pair]
    sentence: list[int]
    hints: Mapping[Pair, Sequence[str]] = field(default_factory=dict)
    marks: dict[int, list[tuple[int, str]]] = field(default_factory=dict)
    """First token → ``(end, "<LABEL>")`` of the mentions that begin there, longest first."""
    names: list[str] = field(default_factory=list)
    lower: list[str] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    """The mentions by their first tokens."""
    firsts: list[int] = field(default_factory=list)
    """The first tokens, in that order."""
    stretches: dict[Pair, Stretch] = field(default_factory=dict)
    """What both directions of a pair share, by the mention that stands first."""
    chains: Sequence[Sequence[int]] = ()
    """The coreference chains that came with the document, as positions among the mentions."""
    _around: Neighbours | None = None

    @property
    def around(self) -> Neighbours:
        """How near the mentions stand to each other, worked out once."""
        if self._around is None:
            labels = [entity.label for entity in self.entities]
            self._around = Neighbours(labels, self.names, self.spans)
        return self._around

    def chained(self, chain: Sequence[int]) -> None:
        """Ask :attr:`around` about chains that are known: the number of each mention's."""
        labels = [entity.label for entity in self.entities]
        self._around = Neighbours(labels, self.names, self.spans, chain)

    @classmethod
    def of(cls, text: Text, entities: Sequence[Entity]) -> Place:
        starts = [start for start, _ in text.tokens]
        ends = [end for _, end in text.tokens]
        spans = []
        for entity in entities:
            first = max(0, bisect_right(starts, entity.start) - 1)
            spans.append((first, max(first + 1, bisect_left(ends, entity.end) + 1)))
        firsts = [first for first, _ in text.sentences]
        sentence = [bisect_right(firsts, first) - 1 for first, _ in spans]
        place = cls(text, entities, spans, sentence)
        for (first, end), entity in zip(spans, entities, strict=True):
            place.marks.setdefault(first, []).append((end, f"<{entity.label}>"))
        for found in place.marks.values():
            found.sort(key=lambda mark: (-mark[0], mark[1]))
        place.names = [folded(text.text[e.start : e.end]) for e in entities]
        place.lower = [word.lower() for word in text.words]
        place.order = sorted(range(len(spans)), key=lambda i: spans[i][0])
        place.firsts = [spans[i][0] for i in place.order]
        return place

    def stretch(self, first: int, second: int) -> Stretch:
        """What stands between two mentions of which ``first`` begins first."""
        known = self.stretches.get((first, second))
        if known is None:
            low, high = self.spans[first][1], self.spans[second][0]
            nested = high < low
            here = self.order[bisect_left(self.firsts, low) : bisect_left(self.firsts, high + 1)]
            inside = sorted(k for k in here if self.spans[k][1] <= high)
            known = Stretch(
                [] if nested else _between(self, low, high),
                inside,
                frozenset(self.entities[k].label for k in inside),
                []
                if nested or self.sentence[second] != self.sentence[first]
                else _clause(self, self.spans[first][0], self.spans[second][1]),
            )
            self.stretches[(first, second)] = known
        return known


def candidates(
    place: Place, schema: LabelSchema, window: int, legal: Mapping[tuple[str, str], Sequence[str]]
) -> Iterator[Pair]:
    """Ordered pairs of mentions whose labels some type may link: those within ``window`` sentences,
    those farther apart that a rule hints at, and, where a type links mentions of one label, those
    with names alike.

    Of types that are all symmetric only the pair in the text's order comes.
    """
    same = {t.name for t in schema.relations if t.same_label}
    alike = {
        label
        for (label, other), found in legal.items()
        if label == other and any(t in same for t in found)
    }
    keys = [name_key(place, i) for i in range(len(place.entities))]
    count = len(place.entities)
    order = sorted(range(count), key=lambda i: (place.spans[i][0], -place.spans[i][1], i))
    for at, i in enumerate(order):
        for j in order[at + 1 :]:
            a, b = place.entities[i].label, place.entities[j].label
            if place.sentence[j] - place.sentence[i] > window:
                known = (i, j) in place.hints or (j, i) in place.hints
                if not known and not (a == b and a in alike and keys[i] & keys[j]):
                    continue
            if legal.get((a, b)):
                yield i, j
            if any(t not in schema.symmetric for t in legal.get((b, a), ())):
                yield j, i


def name_key(place: Place, i: int) -> set[str]:
    """What two spellings of one name are likely to share: big words' beginnings, initials."""
    words = name_of(place, i).replace("'", " ").replace("-", " ").replace(".", "").split()
    big = [word for word in words if len(word) > 3]
    keys = {word[:4] for word in big} | {word[:3] + word[-1] for word in big}
    keys.add("".join(word[0] for word in big) if len(big) > 1 else "")
    if len(words) == 1:
        keys.add(words[0])
    keys.discard("")
    return keys


def name_of(place: Place, i: int) -> str:
    """The mention's words without case and accents."""
    return place.names[i]


def pair_features(
    place: Place, pair: Pair, seen: set[tuple[str, str]], near: bool = True
) -> list[str]:
    """The features of one ordered pair; ``seen`` are the names of pairs that came before, ``near``
    asks who else stands nearer."""
    head, tail = pair
    entities, spans, words = place.entities, place.spans, place.lower
    first, second = (head, tail) if spans[head] <= spans[tail] else (tail, head)
    types = f"{entities[head].label}>{entities[tail].label}"
    way = types + ("" if first == head else "<")
    side = ">" if first == head else "<"
    row = [f"t:{types}"]
    row += [f"rule:{hint}:{types}" for hint in place.hints.get(pair, ())]
    row += [f"o:{way}", f"o:{side}"]
    row += [f"hl:{side}:{entities[head].label}", f"tl:{side}:{entities[tail].label}"]
    (a0, a1), (b0, b1) = spans[first], spans[second]
    nested = b0 < a1
    gap = min(place.sentence[second] - place.sentence[first], 3)
    stretch = place.stretch(first, second)
    between, inside, labels = stretch.between, stretch.inside, stretch.labels
    # Where a mention stands is told with its labels and without: most pairs of labels are rare.
    if nested:
        shape = ["nest"]
    else:
        shape = [f"d:{_bucket(b0 - a1)}", f"gap:{gap}", f"m:{min(len(inside), 4)}"]
        if not between:
            shape.append("adj")
    if entities[tail].label in labels:
        shape.append("nearer-tail")
    if entities[head].label in labels:
        shape.append("nearer-head")
    for what in shape:
        row += [f"{what}:{way}", f"{what}:{side}"]
    row.append(f"d:{side}:{_bucket(b0 - a1)}:{gap}")
    row += [f"mb:{side}:{entities[k].label}" for k in inside[:6]]
    if nested:
        row += [f"nw:{side}:{words[k]}" for k in range(a0, b0)]
    elif len(between) <= 7:
        path = " ".join(between)
        row += [f"p:{way}:{path}", f"p:{side}:{path}"]
    lexical = between if len(between) <= _FAR else [*between[:5], "…", *between[-5:]]
    for k, word in enumerate(lexical):
        row.append(f"b:{side}:{word}")
        if len(word) > 5:
            row.append(f"bs:{side}:{word[:5]}")
        if k:
            row.append(f"bb:{side}:{lexical[k - 1]} {word}")
    if between:
        row += [f"f:{side}:{between[0]}", f"l:{side}:{between[-1]}"]
    for k in (1, 2):
        row.append(f"-{k}:{side}:{words[a0 - k] if a0 >= k else ''}")
        row.append(f"+{k}:{side}:{words[b1 + k - 1] if b1 + k <= len(words) else ''}")
    for name, i in (("h", head), ("t", tail)):
        s, e = spans[i]
        row += [f"{name}w:{words[s]}", f"{name}e:{words[e - 1]}"]
        if e - s > 1:
            row.append(f"{name}n:{min(e - s, 4)}")
        if place.text.words[s][0].islower():
            row += [f"{name}a:{words[k]}" for k in range(s, min(e, s + 4))]
    row += _names(place, head, tail, types)
    if (name_of(place, head), name_of(place, tail)) in seen:
        row += [f"again:{types}", "again"]
    row += stretch.clause
    if near:
        row += _nearness(place, head, tail, types, side)
    return row


def _nearness(place: Place, head: int, tail: int, types: str, side: str) -> list[str]:
    """Who else stands nearer, and what else the document holds of the two labels.

    Told with both labels, with each, and with none: most pairs of labels are rare.
    """
    around = place.around
    one, other = place.entities[head].label, place.entities[tail].label
    gap = min(abs(place.sentence[head] - place.sentence[tail]), 4)
    heads, tails, other_heads, other_tails, nearest = around.of(head, tail)
    h, t, oh, ot = _few(heads), _few(tails), _few(other_heads), _few(other_tails)
    near = "n" if nearest else "f"
    chains = around.members[around.chain[head]], around.members[around.chain[tail]]
    there = f"{side}:{gap}:{near}"
    return [
        f"rk:{types}:{h}:{t}",
        f"rk:{side}:{gap}:{h}:{t}",
        f"rkh:{one}:{there}:{h}",
        f"rkt:{other}:{there}:{t}",
        f"ck:{types}:{near}:{oh}:{ot}",
        f"ck:{gap}:{near}:{oh}:{ot}",
        f"ckh:{one}:{near}:{oh}:{ot}",
        f"ckt:{other}:{near}:{oh}:{ot}",
        f"cn:{types}:{there}",
        f"cc:{types}:{_few(around.things[one])}:{_few(around.things[other])}",
        f"cs:{near}:{min(len(chains[0]), 4)}:{min(len(chains[1]), 4)}",
        f"at:{types}:{_few(around.place[head])}:{_few(around.place[tail])}",
        f"se:{min(place.sentence[head], 4)}:{min(place.sentence[tail], 4)}",
        f"hN:{other}:{place.names[head]}",
        f"tN:{one}:{place.names[tail]}",
    ]


def _few(count: int) -> str:
    return "01233"[count] if count < 5 else "5"


def _between(place: Place, low: int, high: int) -> list[str]:
    """The words from ``low`` to ``high``, other mentions as their labels."""
    words, marks = place.lower, place.marks
    out: list[str] = []
    i = low
    while i < high:
        here = marks.get(i)
        if here is not None:
            for end, label in here:
                if end <= high:
                    out.append(label)
                    i = end
                    break
            else:
                out.append(words[i])
                i += 1
        else:
            out.append(words[i])
            i += 1
    return out


def _bucket(distance: int) -> int:
    return _BUCKETS[bisect_left(_LIMITS, distance)]


def _names(place: Place, head: int, tail: int, types: str) -> list[str]:
    """How two names compare: equal, one within the other, an acronym, nearly equal."""
    if place.entities[head].label != place.entities[tail].label:
        return []
    one, other = name_of(place, head), name_of(place, tail)
    row = []
    if one == other:
        row.append("same-name")
        entity = [place.entities[i] for i in (head, tail)]
        exact = {place.text.text[e.start : e.end] for e in entity}
        row.append("same-spelling" if len(exact) == 1 else "other-spelling")
        return [f"{r}:{types}" for r in row]
    short, long = sorted((one, other), key=len)
    if set(short.split()) <= set(long.split()):
        row.append("part-name")
    elif short in long:
        row.append("within-name")
    words = long.replace("'", " ").replace("-", " ").split()
    initials = "".join(w[0] for w in words)
    big = "".join(w[0] for w in words if len(w) > 3)
    plain = short.replace(".", "")
    if len(plain) > 1 and (plain in (initials, big) or big.startswith(plain)):
        row.append("acronym")
    elif len(plain) > 2 and long[:2] == plain[:2] and _in_order(plain, long):
        row.append("contracted")
    if abs(len(one) - len(other)) <= 3 and _near(one, other):
        row.append("near-name")
    # Whether another mention of the same name stands closer.
    low, high = sorted((place.spans[head][0], place.spans[tail][0]))
    for k in range(len(place.entities)):
        if low < place.spans[k][0] < high and name_of(place, k) in (one, other):
            row.append("name-between")
            break
    earlier = place.spans[max(head, tail, key=lambda i: place.spans[i])][0]
    later = name_of(place, max(head, tail, key=lambda i: place.spans[i]))
    if any(
        place.spans[k][0] < earlier and name_of(place, k) == later
        for k in range(len(place.entities))
    ):
        row.append("name-known")
    if not row:
        row.append("other-name")
    return [f"{r}:{types}" for r in row] + row + ["&".join(sorted(row))]


def _in_order(short: str, long: str) -> bool:
    position = 0
    for char in short:
        position = long.find(char, position) + 1
        if position == 0:
            return False
    return True


def _near(one: str, other: str) -> bool:
    """At most a third of the letters differ (Levenshtein)."""
    limit = max(1, min(len(one), len(other)) // 3)
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        previous, row[0] = row[0], i
        for j, b in enumerate(other, start=1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
        if min(row) > limit:
            return False
    return row[-1] <= limit


def _clause(place: Place, low: int, high: int) -> list[str]:
    """The small words just before and within the stretch: negation, modality, tense."""
    words = place.lower
    start = max(place.text.sentences[0][0], low - 4)
    short = {words[k] for k in range(start, min(high, low + 30)) if len(words[k]) < 4}
    return [f"cl:{word}" for word in sorted(short)]
