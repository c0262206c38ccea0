"""No pattern of curate's can be made to stall, and nobody else's words become a pattern."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
import signal
import time
from collections.abc import Iterator, Mapping
from html import escape
from types import FrameType
from typing import Any

import pytest

import curate
from curate.corpus.language import languages, words_of
from curate.extractors import rules

LENGTH = 2_500
SECONDS = 0.02
"""Of processor time for one string; a pattern that is quadratic in it takes about as much."""
LIMIT = 0.3
# fmt: off
UNITS = [
    'a', 'A', '\xa0', '1', '.', '-', "'", '’', '@', '[', '(', '«', '<', '>', '&', '#', '/',
    '|', '_', 'é', '\n', '\t', '\u200b', '⟨', '{', '$', '*', '\\', '"', '=', 'a@', 'a.', 'a-',
    "a'", 'a,', '1.', 'A.', 'A-', 'www.', 'http://', 'a@a.', 'a@a.a-', '<!--', '<a', '⟨PER1|',
    '⟨PER1|a⟩', 'M.', "d'",
" ",
    "  ",
    "a ",
    "A ",
    "1 ",
    ", ",
    "- ",
    "x | ",
    " \n",
    "= ",
    "⟨PER1|a⟩ ",
    "de la ",
    "le ",
]
# fmt: on


def modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages(curate.__path__, "curate."):
        if ".migrations" not in found.name and not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def patterns(value: Any, place: str, seen: set[int], depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every compiled pattern in a value, however it is kept there."""
    if id(value) in seen or depth > 4 or isinstance(value, type):
        return
    if isinstance(value, re.Pattern):
        seen.add(id(value))
        yield place, value
        return
    parts: list[tuple[str, Any]] = []
    if isinstance(value, list | tuple | set | frozenset):
        parts = [(f"{place}[{n}]", item) for n, item in enumerate(value)]
    elif isinstance(value, Mapping):
        parts = [(f"{place}[{key!r:.20}]", item) for key, item in value.items()]
    elif dataclasses.is_dataclass(value):
        parts = [(f"{place}.{f.name}", getattr(value, f.name)) for f in dataclasses.fields(value)]
    if parts:
        seen.add(id(value))
    for name, item in parts:
        yield from patterns(item, name, seen, depth + 1)


def all_patterns() -> list[tuple[str, Any]]:
    seen: set[int] = set()
    found = [
        each
        for module in modules()
        for name, value in vars(module).items()
        for each in patterns(value, f"{module.__name__}.{name}", seen)
    ]
    for language in languages():
        found += patterns(words_of(language), f"words of {language}", seen)
    for language, schema in rules.available():
        found += patterns(rules.load(language, schema), f"rules of {language}/{schema}", seen)
    return found


class StalledError(Exception):
    """The time is up."""


def stalled(_: int, __: FrameType | None) -> None:
    raise StalledError


def seconds(pattern: re.Pattern[Any], text: str) -> float:
    """Processor time of going through the text; at most ``LIMIT``."""
    subject = text.encode() if isinstance(pattern.pattern, bytes) else text
    whole = str(pattern.pattern).endswith((r"\Z", r"\Z'", r"\Z\""))
    start = time.process_time()
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT)
        # what ends with \Z says so because it is matched from the beginning, once
        if whole:
            pattern.match(subject)
        else:
            for _ in pattern.finditer(subject):
                pass
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    except StalledError:
        return LIMIT
    return time.process_time() - start


def test_no_pattern_stalls() -> None:
    """Every pattern of the code, of the lists of each language and of the rules, on long runs of
    one or a few characters with an end that does not fit."""
    before = signal.signal(signal.SIGVTALRM, stalled)
    slow: list[str] = []
    try:
        for place, pattern in all_patterns():
            for unit in UNITS:
                text = "x" + unit * (LENGTH // max(1, len(unit))) + "\x01!"
                taken = seconds(pattern, text)
                if taken > SECONDS and seconds(pattern, text) > SECONDS:
                    slow.append(f"{place} takes {taken:.1f} s on {unit!r} × {LENGTH}")
                    break
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    assert not slow, "\n".join(slow)


def test_a_pattern_that_stalls_would_be_found() -> None:
    """The test above can fail."""
    before = signal.signal(signal.SIGVTALRM, stalled)
    try:
        assert seconds(re.compile(r"(?:\w+\s?)+!"), "a" * 40 + "\x01") == LIMIT
        # quadratic
        assert seconds(re.compile(r"\S+@\S+\.\w+"), "@" * LENGTH) > SECONDS
        assert seconds(re.compile(r"\s*[|·•]\s*"), "\t" * LENGTH) > SECONDS
    finally:
        signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize("word", ["(a+)+$", "[", "*", "a|b", r"\d", "(?P<x>", "a" * 50])
def test_the_words_of_a_schema_are_no_patterns(word: str) -> None:
    """A label or an example is taken as it is written."""
    from curate.labelstudio.config import render_config, render_instructions
    from curate.schema import EntityType, LabelSchema

    schema = LabelSchema("s", (EntityType(word, examples=(f"[{word}] a",)),), ())
    assert render_config(schema)
    assert escape(word) in render_instructions(schema)


def test_the_names_of_a_users_lists_are_no_patterns() -> None:
    """Nor do long lines, long names or many of them stall the search for them."""
    from curate.extractors.gazetteers import NameLists

    hard = ["((a+)+)+$", ".*", "[z-a]", "(?P<x>", "a" * 100_000, " ".join(["le"] * 5_000)]
    lists = NameLists({"X": [*hard, *(f"le mot {n}" for n in range(2_000))]}, "fr")
    words = ["le", "mot"] * 5_000 + ["a" * 10_000]
    start = time.process_time()
    assert set(lists.tags(words)) == {"O"}
    assert time.process_time() - start < 2
