"""Trying rules only where they may begin finds what trying them everywhere finds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.extractors.rules import available, load
from curate.extractors.triggers import Triggers, beginnings

PATTERNS = [
    re.compile(pattern)
    for pattern in (
        r"\b(?:[Vv]ille|village)s?(?: de)? (?P<LOC>[A-Z][a-z]+)",
        r"(?<![^\W\d_])(?<!\w[-])(?P<PER>(?:(?:[Bb]en|[Aa]l)[- ]){0,2}[A-Z]\w+(?: [A-Z]\w+){0,3})",
        r"(?<![\w/-])(?P<DATE>\d{1,2} (?:mai|juin)(?: \d{4})?)(?!\w)",
        r"(?<=[,;] )[A-Zé]\w*",
        r"(?:(?<=\n)|(?<=[.!?] )|^)[A-Z]{2,}",
        r", (?P<ROLE>maire|chef)",
        r"[A-Z]a",
        r"\b(?:a|ab|abc){2,5}c?",
    )
]


@given(
    st.lists(
        st.sampled_from(
            [
                "ville ",
                "villages de ",
                "Ben ",
                "Al-",
                "Aa",
                "Za",
                "3 mai",
                " ",
                ", maire",
                ", chef",
                "\n",
                ". ",
                "AB",
                "abab",
                "abcc",
                "é",
                "٣",
                "1 juin 2012",
                "-",
                "/",
                ";",
                "x",
                "_",
            ]
        ),
        max_size=25,
    ).map("".join)
)
def test_triggers_find_what_finditer_finds(text: str) -> None:
    """For every pattern and text, the same matches in the same order."""
    found = Triggers(PATTERNS).find(text)
    for pattern, matches in zip(PATTERNS, found, strict=True):
        assert [m.span() for m in matches] == [m.span() for m in pattern.finditer(text)]


@pytest.mark.parametrize(("language", "schema"), available())
def test_shipped_rules_begin_somewhere(language: str, schema: str) -> None:
    """The rules that we ship are fast: of most of them it is known how they begin."""
    rules = load(language, schema).entities
    assert sum(beginnings(rule.pattern) is None for rule in rules) <= len(rules) / 8


def test_a_rule_that_may_begin_inside_a_word_is_tried_everywhere() -> None:
    """Nothing is skipped where the place of a beginning is not known."""
    assert beginnings(re.compile("[A-Z]a")) is None
    assert beginnings(re.compile(r"\b-x")) is None
    assert beginnings(re.compile(r"(?<!\w)\s?x")) is None
    assert beginnings(re.compile(r"\bab?c")) == {"abc", "ac"}
