"""What the sequence model sees of a token.

Features are strings; those of a word alone are made once for each word.  Beside the words around
they say: shapes and affixes, clusters learned from raw text, names of gold that stand in *other*
documents, the tags of the stacked rules, and how the same word stands elsewhere in the document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
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


class Word:
    """The features of a word: its own, and those that it lends to the words around it."""

    __slots__ = (
        "after",
        "around",
        "before",
        "lower",
        "own",
        "second_after",
        "second_before",
        "shape",
    )

    def __init__(self, word: str, clusters: Mapping[str, str], known: Set[str] | None) -> None:
        self.lower = lower = word.lower()
        self.shape = shape = shape_of(word)
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
        cluster = clusters.get(lower)
        if cluster is not None:
            for size in (1, 2, len(cluster)):
                own.append(f"c{size}={cluster[:size]}")
            before.append(f"-c={cluster}")
            after.append(f"+c={cluster}")
        self.own = _among(own, known)
        self.before = _among(before, known)
        self.after = _among(after, known)
        self.second_before = _among([f"-2w={lower}", f"-2s={shape}"], known)
        self.second_after = _among([f"+2w={lower}", f"+2s={shape}"], known)
        self.around = (_among([f"d-{lower}"], known), _among([f"d+{lower}"], known))


def _among(features: list[str], known: Set[str] | None) -> list[str]:
    return features if known is None else [f for f in features if f in known]


class WordFeatures:
    """The features of words by themselves, made once for each.

    ``known`` are the features that a trained model has weights for; no others are made.
    """

    def __init__(self, clusters: Mapping[str, str], known: Set[str] | None = None) -> None:
        self.clusters = clusters
        self.known = known
        self._made: dict[str, Word] = {}

    def of(self, word: str) -> Word:
        made = self._made.get(word)
        if made is None:
            if len(self._made) > 200_000:
                self._made.clear()
            self._made[word] = made = Word(word, self.clusters, self.known)
        return made


def token_features(
    text: Text,
    known: Sequence[Sequence[str]],
    words: WordFeatures,
    only: Sequence[Span] | None = None,
) -> list[list[str]]:
    """The features of every token of the text; ``known`` are layers of gazetteer tags.

    With ``only`` the tokens of the other sentences get none.
    """
    wanted = text.sentences if only is None else only
    features: list[list[str]] = [[] for _ in text.words] if only is not None else []
    if not wanted:
        return features
    of, weighted = words.of, words.known
    made = [of(word) for word in text.words]
    elsewhere = _elsewhere(text, made)
    edge = of(_EDGE)
    layers = [*text.stack, *known]
    tagged = [
        (f"t{n}=", f"t{n}+=", f"t{n}-w=", f"-t{n}=", f"+t{n}=", layer)
        for n, layer in enumerate(layers)
        if any(tag != OUTSIDE for tag in layer)
    ]
    for first, last in wanted:
        rows: list[list[str]] = []
        two = one = edge
        here = made[first]
        after = made[first + 1] if first + 1 < last else edge
        for i in range(first, last):
            second = made[i + 2] if i + 2 < last else edge
            lower = here.lower
            before = one.lower
            row = [
                f"-w|w={before}|{lower}",
                f"w|+w={lower}|{after.lower}",
                f"-2-1={two.lower}|{before}",
                f"s3={one.shape}|{here.shape}|{after.shape}",
            ]
            if i == first:
                row.append("first")
            for own, then, word, left, right, layer in tagged:
                tag = layer[i]
                to_come = layer[i + 1] if i + 1 < last else OUTSIDE
                if tag != OUTSIDE:
                    row.append(own + tag)
                    row.append(f"{then}{tag}|{to_come}")
                    row.append(f"{word}{tag}|{before}")
                if i > first and layer[i - 1] != OUTSIDE:
                    row.append(left + layer[i - 1])
                if to_come != OUTSIDE:
                    row.append(right + to_come)
            more = elsewhere.get(i)
            if more is not None:
                row += more
            if weighted is not None:
                row = [feature for feature in row if feature in weighted]
            row += here.own
            row += one.before
            row += after.after
            row += two.second_before
            row += second.second_after
            rows.append(row)
            two, one, here, after = one, here, after, second
        if only is None:
            features += rows
        else:
            features[first:last] = rows
    return features


def _elsewhere(text: Text, made: Sequence[Word]) -> dict[int, list[str]]:
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
        if len(here) == 1 and not lower_too and here[0] in starts:
            continue
        inside = [i for i in here if i not in starts]
        for i in here:
            row: list[str] = []
            if lower_too:
                row.append("d:small")
            if i in starts and inside:
                row.append("d:inside")
            for j in here[:4]:
                if j != i:
                    row += made[j - 1].around[0] if j else ["d-" + _EDGE]
                    row += made[j + 1].around[1] if j < last else ["d+" + _EDGE]
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
