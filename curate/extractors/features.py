"""What the sequence model sees of a token.

Features are strings; those of a word alone are made once for each word.  Beside the words around
they say: shapes and affixes, clusters learned from raw text, names of gold that stand in *other*
documents, the tags of the stacked rules, and how the same word stands elsewhere in the document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from curate.offsets import Span
from curate.tokenization import sentences, tokenize

OUTSIDE = "O"
_EDGE = "\x02"


@dataclass(slots=True)
class Text:
    """A tokenized text with everything features are made of.

    ``stack`` holds for each layer of other taggers a tag per token.
    """

    text: str
    tokens: Sequence[Span]
    words: list[str]
    sentences: list[Span]
    stack: list[list[str]] = field(default_factory=list)

    @classmethod
    def of(cls, text: str, language: str, tokens: Sequence[Span] | None = None) -> Text:
        spans = tokenize(text, language) if tokens is None else tokens
        words = [text[start:end] for start, end in spans]
        return cls(text, spans, words, sentences(text, spans))


def shape_of(word: str) -> str:
    """``Xxx``, ``XX``, ``dd``, ``X'x``: runs shortened to two."""
    out: list[str] = []
    for char in word:
        if char.isupper():
            kind = "X"
        elif char.islower():
            kind = "x"
        elif char.isdigit():
            kind = "d"
        else:
            kind = char
        if len(out) < 2 or out[-1] != kind or out[-2] != kind:
            out.append(kind)
    return "".join(out)


class WordFeatures:
    """The features of words by themselves, made once for each."""

    def __init__(self, clusters: Mapping[str, str]) -> None:
        self.clusters = clusters
        self._own: dict[str, tuple[list[str], list[str], list[str], str, str]] = {}

    def of(self, word: str) -> tuple[list[str], list[str], list[str], str, str]:
        """``(own, as the word before, as the word after, lower, shape)``."""
        known = self._own.get(word)
        if known is not None:
            return known
        lower = word.lower()
        shape = shape_of(word)
        own = [f"w={lower}", f"s={shape}"]
        before = [f"-w={lower}", f"-s={shape}"]
        after = [f"+w={lower}", f"+s={shape}"]
        for n in range(1, 5):
            if len(lower) > n:
                own.append(f"p{n}={lower[:n]}")
                own.append(f"x{n}={lower[-n:]}")
        if word[0].isupper():
            own.append("cap")
            if word.isupper() and len(word) > 1:
                own.append("caps")
        if word.isdigit():
            own.append(f"n{len(word)}")
        cluster = self.clusters.get(lower)
        if cluster is not None:
            for size in (1, 2, len(cluster)):
                own.append(f"c{size}={cluster[:size]}")
            before.append(f"-c={cluster}")
            after.append(f"+c={cluster}")
        made = (own, before, after, lower, shape)
        if len(self._own) > 200_000:
            self._own.clear()
        self._own[word] = made
        return made


def token_features(text: Text, known: Sequence[str] | None, words: WordFeatures) -> list[list[str]]:
    """The features of every token of the text; ``known`` are gazetteer tags, one per token."""
    made = [words.of(word) for word in text.words]
    elsewhere = _elsewhere(text, made)
    features: list[list[str]] = []
    edge = words.of(_EDGE)
    layers = [*text.stack, *([list(known)] if known is not None else [])]
    for first, last in text.sentences:
        for i in range(first, last):
            own, _, _, lower, shape = made[i]
            one = made[i - 1] if i > first else edge
            two = made[i - 2] if i - 1 > first else edge
            next_one = made[i + 1] if i + 1 < last else edge
            next_two = made[i + 2] if i + 2 < last else edge
            row = [
                *own,
                *one[1],
                *next_one[2],
                "-2w=" + two[3],
                "+2w=" + next_two[3],
                f"-w|w={one[3]}|{lower}",
                f"w|+w={lower}|{next_one[3]}",
                f"-2-1={two[3]}|{one[3]}",
                f"s3={one[4]}|{shape}|{next_one[4]}",
                f"-2s={two[4]}",
                f"+2s={next_two[4]}",
            ]
            if i == first:
                row.append("first")
            for n, layer in enumerate(layers):
                tag = layer[i]
                before = layer[i - 1] if i > first else OUTSIDE
                after = layer[i + 1] if i + 1 < last else OUTSIDE
                if tag != OUTSIDE:
                    row.append(f"t{n}={tag}")
                    row.append(f"t{n}+={tag}|{after}")
                    row.append(f"t{n}-w={tag}|{one[3]}")
                if before != OUTSIDE:
                    row.append(f"-t{n}={before}")
                if after != OUTSIDE:
                    row.append(f"+t{n}={after}")
            if i in elsewhere:
                row.extend(elsewhere[i])
            features.append(row)
    return features


def _elsewhere(
    text: Text, made: Sequence[tuple[list[str], list[str], list[str], str, str]]
) -> dict[int, list[str]]:
    """Of capitalised words that come again: what stands around them in their other places."""
    places: dict[str, list[int]] = {}
    starts = {first for first, _ in text.sentences}
    small: set[str] = set()
    for i, word in enumerate(text.words):
        if word[0].isupper():
            places.setdefault(word, []).append(i)
        elif word[0].islower():
            small.add(word)
    found: dict[int, list[str]] = {}
    last = len(text.words) - 1
    for word, here in places.items():
        lower_too = word.lower() in small
        inside = [i for i in here if i not in starts]
        for i in here:
            row: list[str] = []
            if lower_too:
                row.append("d:small")
            if i in starts and inside:
                row.append("d:inside")
            for j in here[:4]:
                if j != i:
                    row.append("d-" + (made[j - 1][3] if j else _EDGE))
                    row.append("d+" + (made[j + 1][3] if j < last else _EDGE))
                    for n, layer in enumerate(text.stack):
                        if layer[j] != OUTSIDE:
                            row.append(f"d{n}{layer[j]}")
            if row:
                found[i] = row
    return found


def tags_of(mentions: Sequence[tuple[int, int, str]], length: int) -> list[str]:
    """BIO tags of ``length`` tokens for mentions ``(first, end, label)`` that do not overlap."""
    tags = [OUTSIDE] * length
    for first, end, label in mentions:
        tags[first] = "B-" + label
        for i in range(first + 1, end):
            tags[i] = "I-" + label
    return tags


def mentions_of(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """The mentions of BIO tags; an I- that continues nothing begins one."""
    found: list[tuple[int, int, str]] = []
    start: int | None = None
    label = ""
    for i, tag in enumerate(tags):
        if start is not None and (tag == OUTSIDE or tag[0] == "B" or tag[2:] != label):
            found.append((start, i, label))
            start = None
        if tag != OUTSIDE and start is None:
            start, label = i, tag[2:]
    if start is not None:
        found.append((start, len(tags), label))
    return found
