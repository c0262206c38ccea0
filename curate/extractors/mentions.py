"""From a rulebook to mentions: what matches, what wins, what comes again in the document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from curate.extractors.rules import EntityRule, NameIndex, Rulebook, folded, longest_names
from curate.offsets import Span
from curate.tokenization import tokenize

REPEATED = 0.95
"""What is left of a mention's score where its name only comes again."""


@dataclass(slots=True)
class Mention:
    """A span that some rule marks; nested ones hang on the outer mention that brought them."""

    start: int
    end: int
    label: str
    score: float
    priority: int = 0
    canonical: str | None = None
    inner: list[Mention] = field(default_factory=list)
    rule: str = ""

    @property
    def span(self) -> Span:
        return (self.start, self.end)

    @property
    def key(self) -> tuple[int, int, str]:
        return (self.start, self.end, self.label)


@dataclass(frozen=True, slots=True)
class Bond:
    """A relation that an entity rule states between two spans."""

    label: str
    head: tuple[int, int, str]
    tail: tuple[int, int, str]
    score: float


@dataclass(slots=True)
class Found:
    """The mentions of a text, outermost in order, and the relations that came with them."""

    tokens: list[Span]
    outer: list[Mention]
    bonds: list[Bond]

    @property
    def all(self) -> list[Mention]:
        return [m for outer in self.outer for m in (outer, *outer.inner)]


def find_mentions(text: str, book: Rulebook, index: NameIndex) -> Found:
    """All mentions of ``text`` that the rules mark, conflicts decided.

    A mention of higher priority wins, then the longer, then the better scored, then the earlier.
    """
    tokens = tokenize(text, book.language)
    starts = {start: i for i, (start, _) in enumerate(tokens)}
    ends = {end: i for i, (_, end) in enumerate(tokens)}
    words = [text[start:end] for start, end in tokens]
    candidates: list[Mention] = []
    bonds: list[Bond] = []
    for rule, matches in zip(book.entities, book.triggers.find(text), strict=True):
        _apply(rule, matches, text, starts, ends, book, candidates, bonds)
    for first, last, gazetteer, canonical in longest_names(words, tokens, index):
        candidates.append(
            Mention(
                tokens[first][0],
                tokens[last - 1][1],
                gazetteer.label,
                gazetteer.score,
                1,
                canonical,
                rule="gazetteer",
            )
        )
    outer = _settle(candidates, len(text))
    known = {m.span for m in candidates if m.rule == "gazetteer"}
    bonds += _acronyms(text, words, tokens, book, outer)
    outer = _settle(outer + _repeats(words, tokens, book, outer, known), len(text))
    return Found(tokens, outer, bonds)


def _apply(
    rule: EntityRule,
    matches: Iterable[re.Match[str]],
    text: str,
    starts: dict[int, int],
    ends: dict[int, int],
    book: Rulebook,
    candidates: list[Mention],
    bonds: list[Bond],
) -> None:
    for match in matches:
        spans: dict[str, Mention] = {}
        for group, label in rule.groups:
            start, end = match.span(group)
            while end > start and text[end - 1].isspace():
                end -= 1
            if start < 0 or start not in starts or end not in ends or start >= end:
                continue
            if folded(text[start:end]) in book.stop:
                continue
            spans[group] = Mention(start, end, label, rule.score, rule.priority, rule=rule.name)
        tops = nested(list(spans.values()))
        candidates.extend(tops)
        for link in rule.links:
            if link.head in spans and link.tail in spans:
                bonds.append(
                    Bond(link.label, spans[link.head].key, spans[link.tail].key, link.score)
                )


def nested(mentions: list[Mention]) -> list[Mention]:
    """Hang mentions that lie inside another one on it; return the others."""
    mentions = sorted(mentions, key=lambda m: (m.start, -m.end))
    tops: list[Mention] = []
    for mention in mentions:
        if tops and mention.start < tops[-1].end:
            if mention.end <= tops[-1].end and mention.span != tops[-1].span:
                tops[-1].inner.append(mention)
        else:
            tops.append(mention)
    return tops


def _settle(candidates: list[Mention], length: int) -> list[Mention]:
    ranked = sorted(
        candidates,
        key=lambda m: (-m.priority, m.start - m.end, -m.score, m.start, m.label, -len(m.inner)),
    )
    taken = bytearray(length)
    kept: dict[tuple[int, int, str], Mention] = {}
    for mention in ranked:
        same = kept.get(mention.key)
        if same is not None:
            # Two rules that agree are surer than either.
            same.score = min(0.99, max(same.score, mention.score))
            same.canonical = same.canonical or mention.canonical
            same.inner = same.inner or mention.inner
        elif not any(taken[mention.start : mention.end]):
            taken[mention.start : mention.end] = b"\1" * (mention.end - mention.start)
            kept[mention.key] = mention
    return sorted(kept.values(), key=lambda m: m.start)


def _acronyms(
    text: str,
    words: Sequence[str],
    tokens: Sequence[Span],
    book: Rulebook,
    outer: list[Mention],
) -> list[Bond]:
    """Acronyms in brackets: the long form before them takes the length its initials tell."""
    if not book.acronyms:
        return []
    bonds: list[Bond] = []
    for i in range(1, len(words) - 2):
        if words[i] != "(":
            continue
        last = i + 1
        while last + 1 < len(words) and words[last + 1] not in ")(,;" and last - i < 4:
            last += 1
        if last + 1 >= len(words) or words[last + 1] not in "),;":
            continue
        start, end = tokens[i + 1][0], tokens[last][1]
        short = text[start:end]
        if " " in short or not 2 <= len(short) <= 12 or not short[0].isupper():
            continue
        if sum(char.isupper() for char in short) < 2 and not _acronym_word(short):
            continue
        long = _long_form(text, words, tokens, i, short, book, outer)
        if long is None:
            continue
        outer.append(Mention(start, end, long.label, long.score, 9, rule="acronym"))
        if book.same_as:
            bonds.append(Bond(book.same_as, long.key, (start, end, long.label), 0.95))
    return bonds


_CLOSED = frozenset(".;:!?(),")


def _acronym_word(short: str) -> bool:
    """Whether it may be an acronym written as a word: ``Manul``."""
    return short.isalpha() and short[1:].islower() and 3 <= len(short) <= 8


def _long_form(
    text: str,
    words: Sequence[str],
    tokens: Sequence[Span],
    bracket: int,
    short: str,
    book: Rulebook,
    outer: list[Mention],
) -> Mention | None:
    """The name before the bracket whose initials are the acronym's; a mention that ends there
    and begins with its first letter will do as well."""
    letters = [folded(c) for c in short if c.isalpha()]
    if not letters:
        return None
    end = tokens[bracket - 1][1]
    touching = [m for m in outer if m.end == end and m.label in book.acronyms]
    starts = {start: i for i, (start, _) in enumerate(tokens)}
    for mention in touching:
        if _spells(words[starts[mention.start] : bracket], letters):
            return mention
    best: int | None = None
    for first in range(bracket - 1, max(-1, bracket - 3 * len(letters) - 3), -1):
        if words[first] in _CLOSED or "\n" in text[tokens[first][0] : tokens[bracket][0]]:
            break
        begins = words[first][0].isupper() and folded(words[first])[:1] == letters[0]
        if begins and _spells(words[first:bracket], letters):
            best = first
            break
    if best is None:
        for mention in touching:
            if folded(text[mention.start])[:1] == letters[0]:
                return mention
        return None
    start = tokens[best][0]
    beginning = text[start:end]
    label = next((label for pattern, label in book.heads if pattern.match(beginning)), None)
    if label is None:
        labels = [m.label for m in touching]
        if not labels:
            return None
        label = labels[0]
    found = Mention(start, end, label, book.acronyms[label], 9, rule="long-form")
    outer.append(found)
    return found


def _spells(words: Sequence[str], letters: Sequence[str]) -> bool:
    """Whether the letters come in order, each big word beginning with or holding the next one."""
    position = 0
    used = 0
    for word in words:
        plain = folded(word)
        if not plain or not plain[0].isalpha():
            continue
        if position < len(letters) and plain[0] == letters[position]:
            position += 1
            used += 1
            rest = 1
            # Syllable acronyms (Cemoc, Manul) take more than one letter of a word.
            while (
                position < len(letters)
                and rest < len(plain)
                and plain[rest] == letters[position]
                and rest < 3
                and len(letters) - position > 0
                and not any(
                    folded(w)[:1] == letters[position] for w in words[words.index(word) + 1 :]
                )
            ):
                position += 1
                rest += 1
    return position == len(letters) and used >= min(2, len(letters))


def _repeats(
    words: Sequence[str],
    tokens: Sequence[Span],
    book: Rulebook,
    outer: list[Mention],
    known: set[Span],
) -> list[Mention]:
    """The names found once, wherever else they stand; of a person also the last name."""
    forms: dict[tuple[str, ...], Mention] = {}
    first_token = {start: i for i, (start, _) in enumerate(tokens)}
    end_token = {end: i + 1 for i, (_, end) in enumerate(tokens)}
    for mention in sorted(outer, key=lambda m: -m.score):
        how = book.repeats.get(mention.label)
        if how is None or mention.start not in first_token or mention.end not in end_token:
            continue
        form = tuple(words[first_token[mention.start] : end_token[mention.end]])
        if not any(word[0].isupper() for word in form):
            continue
        forms.setdefault(form, mention)
        if how == "parts" and mention.score >= 0.6:
            for part in _last_names(form, book.particles):
                forms.setdefault(part, mention)
    by_first: dict[str, list[tuple[str, ...]]] = {}
    for form in forms:
        by_first.setdefault(form[0], []).append(form)
    for group in by_first.values():
        group.sort(key=len, reverse=True)
    again: list[Mention] = []
    i = 0
    while i < len(words):
        step = 1
        for form in by_first.get(words[i], ()):
            if tuple(words[i : i + len(form)]) == form:
                source = forms[form]
                start, end = tokens[i][0], tokens[i + len(form) - 1][1]
                if (start, end) not in known or source.label != "LOC":
                    again.append(
                        Mention(
                            start,
                            end,
                            source.label,
                            source.score * REPEATED,
                            max(-1, min(2, source.priority - 1)),
                            source.canonical,
                            rule="repeat",
                        )
                    )
                step = len(form)
                break
        i += step
    return again


def _last_names(form: tuple[str, ...], particles: frozenset[str]) -> list[tuple[str, ...]]:
    """The ends of a full name under which its bearer may come again."""
    if len(form) < 2:
        return []
    found: list[tuple[str, ...]] = []
    start = len(form) - 1
    while start > 0 and form[start - 1] in ("-", "'", "’"):
        start -= 2
    if start > 0 and len(form[start]) > 2 and form[start][0].isupper():
        found.append(form[start:])
        with_particle = start
        while with_particle > 1 and form[with_particle - 1].lower() in particles:
            with_particle -= 1
        if with_particle < start:
            found.append(form[with_particle:])
    return found
