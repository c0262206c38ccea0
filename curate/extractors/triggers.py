"""Where in a text a rule may begin: one pass over the text instead of one for each rule.

From a pattern's syntax tree follow the strings of up to four characters with which its matches
begin, and whether a letter may stand before.  Only the places of a text that fit are tried.  What
is found is what ``finditer`` finds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

_parser: Any = re._parser  # type: ignore[attr-defined]
_c: Any = re._constants  # type: ignore[attr-defined]

DEPTH = 4
"""Characters of a beginning that are looked at."""
MOST = 6000
"""Beginnings of one rule; where there would be more, shorter ones are kept."""

_BOUND = re.compile(r"(?<![^\W\d_])\S")
_OTHER_DIGITS = re.compile(r"[^\D0-9]")
_LETTERS = "aZéÉœß"


class Triggers:
    """The places where each of several patterns may begin."""

    def __init__(self, patterns: Sequence[re.Pattern[str]]) -> None:
        self.patterns = tuple(patterns)
        self._by_prefix: dict[str, list[int]] = {}
        self._slow: set[int] = set()
        self._cache: dict[str, tuple[int, ...]] = {}
        for number, pattern in enumerate(self.patterns):
            found = beginnings(pattern)
            if found is None:
                self._slow.add(number)
                continue
            for prefix in found:
                self._by_prefix.setdefault(prefix, []).append(number)

    def find(self, text: str) -> list[Iterable[re.Match[str]]]:
        """For each pattern its matches in ``text``, as ``finditer`` gives them."""
        if _OTHER_DIGITS.search(text):
            return [pattern.finditer(text) for pattern in self.patterns]
        places: list[list[int]] = [[] for _ in self.patterns]
        cache = self._cache
        for bound in _BOUND.finditer(text):
            start = bound.start()
            key = text[start : start + DEPTH]
            numbers = cache.get(key)
            if numbers is None:
                numbers = self._numbers(key)
            for number in numbers:
                places[number].append(start)
        return [
            pattern.finditer(text)
            if number in self._slow
            else (_matches(pattern, text, places[number]) if places[number] else ())
            for number, pattern in enumerate(self.patterns)
        ]

    def _numbers(self, key: str) -> tuple[int, ...]:
        found = {n for end in range(len(key) + 1) for n in self._by_prefix.get(key[:end], ())}
        if len(self._cache) > 100_000:
            self._cache.clear()
        self._cache[key] = made = tuple(sorted(found))
        return made


def _matches(pattern: re.Pattern[str], text: str, places: Sequence[int]) -> Iterator[re.Match[str]]:
    end = -1
    match = pattern.match
    for place in places:
        if place >= end:
            found = match(text, place)
            if found is not None:
                yield found
                end = found.end()


@lru_cache(maxsize=1024)
def beginnings(pattern: re.Pattern[str]) -> frozenset[str] | None:
    """Strings of which every match begins with one; None where a match may begin behind a letter,
    with white space, or be empty."""
    if pattern.flags & (re.IGNORECASE | re.MULTILINE | re.VERBOSE | re.ASCII):
        return None
    tree = _parser.parse(pattern.pattern)
    if not _bound(tree):
        return None
    closed, through = _walk(tree, {""})
    found = closed | through
    if "" in found or any(prefix[0].isspace() for prefix in found):
        return None
    if _edges(tree) and not all(prefix[0].isalnum() for prefix in found):
        return None
    return frozenset(found)


def _bound(items: Any) -> bool:
    """Whether what stands first forbids a letter before it."""
    for op, value in items:
        if op is _c.AT:
            return value in (_c.AT_BOUNDARY, _c.AT_BEGINNING, _c.AT_BEGINNING_STRING)
        if op is _c.ASSERT_NOT and value[0] < 0:
            inner = list(value[1])
            if len(inner) == 1 and all(_holds(inner[0], char) for char in _LETTERS):
                return True
            continue
        if op is _c.ASSERT and value[0] < 0:
            inner = list(value[1])
            if inner and not any(_holds(inner[-1], char) for char in _LETTERS):
                return True
            continue
        if op in (_c.ASSERT, _c.ASSERT_NOT):
            continue
        if op is _c.SUBPATTERN:
            return _bound(value[3])
        if op is _c.BRANCH:
            return all(_bound(branch) for branch in value[1])
        return False
    return False


def _edges(items: Any) -> bool:
    """Whether a word boundary is asked for at the beginning: it keeps letters off only where a
    letter or digit follows."""
    for op, value in items:
        if op is _c.AT:
            return bool(value is _c.AT_BOUNDARY)
        if op in (_c.ASSERT, _c.ASSERT_NOT):
            continue
        if op is _c.SUBPATTERN:
            return _edges(value[3])
        if op is _c.BRANCH:
            return any(_edges(branch) for branch in value[1])
        return False
    return False


def _holds(item: Any, char: str) -> bool:
    """Whether a one-character item may match this letter; in doubt it may."""
    op, value = item
    if op is _c.LITERAL:
        return bool(value == ord(char))
    if op is _c.NOT_LITERAL:
        return bool(value != ord(char))
    if op is not _c.IN:
        return True
    negated, inside = False, False
    for kind, part in value:
        if kind is _c.NEGATE:
            negated = True
        elif kind is _c.LITERAL:
            inside = inside or part == ord(char)
        elif kind is _c.RANGE:
            inside = inside or part[0] <= ord(char) <= part[1]
        elif kind is _c.CATEGORY:
            inside = inside or part in (
                _c.CATEGORY_WORD,
                _c.CATEGORY_NOT_DIGIT,
                _c.CATEGORY_NOT_SPACE,
            )
    return inside != negated


def _chars(value: Any) -> str | None:
    """The characters of a class; None where they are too many to name."""
    found: list[str] = []
    for kind, part in value:
        if kind is _c.LITERAL:
            found.append(chr(part))
        elif kind is _c.RANGE and part[1] - part[0] < 300:
            found += map(chr, range(part[0], part[1] + 1))
        elif kind is _c.CATEGORY and part is _c.CATEGORY_DIGIT:
            found.append("0123456789")
        else:
            return None
    return "".join(found)


def _walk(items: Any, opened: set[str]) -> tuple[set[str], set[str]]:
    """``(closed, through)``: beginnings behind which anything may stand, and those with which the
    items were passed through to their end."""
    closed: set[str] = set()
    for op, value in items:
        if not opened:
            break
        if op is _c.LITERAL or op is _c.IN:
            chars = chr(value) if op is _c.LITERAL else _chars(value)
            if chars is None or len(opened) * len(chars) + len(closed) > MOST:
                closed |= opened
                return closed, set()
            longer = {prefix + char for prefix in opened for char in chars}
            closed |= {prefix for prefix in longer if len(prefix) >= DEPTH}
            opened = {prefix for prefix in longer if len(prefix) < DEPTH}
        elif op in (_c.AT, _c.ASSERT, _c.ASSERT_NOT):
            continue
        elif op is _c.SUBPATTERN:
            if value[1] or value[2]:
                closed |= opened
                return closed, set()
            more, opened = _walk(value[3], opened)
            closed |= more
        elif op is _c.BRANCH:
            after: set[str] = set()
            for branch in value[1]:
                more, passed = _walk(branch, opened)
                closed |= more
                after |= passed
            opened = after
        elif op in (_c.MAX_REPEAT, _c.MIN_REPEAT, _c.POSSESSIVE_REPEAT):
            low, high, part = value
            after = set(opened) if low == 0 else set()
            now = opened
            for count in range(1, min(int(high), DEPTH) + 1):
                more, now = _walk(part, now)
                closed |= more
                if not now:
                    break
                if count >= low:
                    after |= now
            else:
                if int(high) > DEPTH:
                    closed |= now
            opened = after
        else:
            closed |= opened
            return closed, set()
    return closed, opened
