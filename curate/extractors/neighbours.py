"""Which mentions of a document are probably one thing, and which stand nearest to which.

Gold without coreference links one mention of each thing, as a rule the nearest: what matters of a
pair is whether other mentions, of the same thing or of another one with the same label, stand
nearer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

Span = tuple[int, int]

PRONOUNS = frozenset(
    (
        "il",
        "elle",
        "ils",
        "elles",
        "lui",
        "leur",
        "leurs",
        "eux",
        "se",
        "s'",
        "qui",
        "on",
        "y",
        "en",
        "l'",
        "le",
        "la",
        "les",
        "celui",
        "celle",
        "ceux",
        "celles",
        "son",
        "sa",
        "ses",
        "ce",
        "cet",
        "cette",
        "nous",
        "vous",
        "je",
    )
)
"""Words, without accents, that stand for what was named before."""
_GENDER = {"elle": "f", "elles": "f", "celle": "f", "celles": "f"} | {
    "il": "m",
    "ils": "m",
    "celui": "m",
    "ceux": "m",
}
EMPTY = frozenset(
    (
        "de",
        "du",
        "des",
        "la",
        "le",
        "les",
        "l'",
        "d'",
        "un",
        "une",
        "et",
        "a",
        "au",
        "aux",
        "en",
    )
)


def chains_of(labels: Sequence[str], names: Sequence[str], spans: Sequence[Span]) -> list[int]:
    """The number of each mention's chain.

    A mention joins the last chain of its label one of whose names holds its words or is held by
    them; a pronoun joins the last one that its gender does not exclude.  Mentions that overlap
    are never one.
    """
    chains: list[_Chain] = []
    by_label: dict[str, list[int]] = {}
    found = [0] * len(labels)
    for i in sorted(range(len(labels)), key=lambda i: (spans[i], i)):
        name = names[i]
        words = _words(name)
        gender = _GENDER.get(name, "")
        pronoun = name in PRONOUNS or not words
        known = by_label.setdefault(labels[i], [])
        for at in reversed(known):
            chain = chains[at]
            if chain.end > spans[i][0]:
                continue
            if pronoun:
                if not gender or chain.gender in ("", gender):
                    break
            elif any(words <= other or other <= words for other in chain.names):
                break
        else:
            at = len(chains)
            chains.append(_Chain())
            known.append(at)
        chain = chains[at]
        chain.end = max(chain.end, spans[i][1])
        known.remove(at)
        known.append(at)
        if pronoun:
            chain.gender = chain.gender or gender
        else:
            chain.names.append(words)
        found[i] = at
    return found


class _Chain:
    __slots__ = ("end", "gender", "names")

    def __init__(self) -> None:
        self.end = 0
        self.gender = ""
        self.names: list[frozenset[str]] = []


def _words(name: str) -> frozenset[str]:
    words = name.replace("'", "' ").replace("-", " ").split()
    return frozenset(word for word in words if word not in EMPTY)


class Neighbours:
    """How near a document's mentions stand to each other, beside others of their labels."""

    def __init__(
        self,
        labels: Sequence[str],
        names: Sequence[str],
        spans: Sequence[Span],
        chain: Sequence[int] | None = None,
    ) -> None:
        """``chain`` is the number of each mention's chain, where it is known."""
        self.labels = labels
        self.spans = spans
        self.by_label: dict[str, list[int]] = {}
        for i in sorted(range(len(spans)), key=lambda i: (spans[i], i)):
            self.by_label.setdefault(labels[i], []).append(i)
        self.place = {i: k for found in self.by_label.values() for k, i in enumerate(found)}
        """The position of each mention among those of its label."""
        self.chain = chains_of(labels, names, spans) if chain is None else list(chain)
        self.members: dict[int, list[int]] = {}
        for i, number in enumerate(self.chain):
            self.members.setdefault(number, []).append(i)
        self.things = {
            label: len({self.chain[i] for i in found}) for label, found in self.by_label.items()
        }
        """How many chains each label has."""
        self._pairs: dict[Span, tuple[int, int, int, int, bool]] = {}
        self._near: dict[tuple[int, str], tuple[list[int], dict[int, int], list[int]]] = {}

    def distance(self, i: int, j: int) -> int:
        """Tokens between two mentions; -1 where they overlap."""
        (a0, a1), (b0, b1) = self.spans[i], self.spans[j]
        return max(-1, b0 - a1 if a0 <= b0 else a0 - b1)

    def of(self, i: int, j: int) -> tuple[int, int, int, int, bool]:
        """How many mentions of ``i``'s label stand nearer to ``j`` than ``i``, how many of ``j``'s
        nearer to ``i``; how many other chains of these labels; and whether no two mentions of the
        two chains stand nearer to each other."""
        known = self._pairs.get((i, j))
        if known is None:
            d = self.distance(i, j)
            heads, other_heads = self._rank(i, j, d)
            tails, other_tails = self._rank(j, i, d)
            known = heads, tails, other_heads, other_tails, self._nearest(i, j, d)
            self._pairs[(j, i)] = tails, heads, other_tails, other_heads, known[4]
        return known

    def _rank(self, i: int, j: int, d: int) -> tuple[int, int]:
        distances, chains, ends = self._around(j, self.labels[i])
        own = chains[self.chain[i]]
        return bisect_left(distances, d), bisect_left(ends, d) - (own < d)

    def _nearest(self, i: int, j: int, d: int) -> bool:
        chain, label = self.chain[i], self.labels[i]
        for k in self.members[self.chain[j]]:
            if self._around(k, label)[1].get(chain, d) < d:
                return False
        return True

    def _around(self, j: int, label: str) -> tuple[list[int], dict[int, int], list[int]]:
        """Of the mentions of a label around ``j``: their distances, sorted; the least distance of
        each chain; those, sorted."""
        known = self._near.get((j, label))
        if known is None:
            distances = []
            chains: dict[int, int] = {}
            for k in self.by_label[label]:
                if k == j:
                    continue
                d = self.distance(k, j)
                distances.append(d)
                chain = self.chain[k]
                if d < chains.get(chain, d + 1):
                    chains[chain] = d
            known = sorted(distances), chains, sorted(chains.values())
            self._near[(j, label)] = known
        return known
