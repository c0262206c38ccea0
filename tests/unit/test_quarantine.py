"""How the quarantine speaks of what did not fit."""

from __future__ import annotations

from typing import Any

import pytest

from curate.flows.quarantine import quoted
from curate.store import Quarantined

REGIONS = [
    {"id": "a", "value": {"text": "le  52e\nbataillon"}},
    {"id": "b", "value": {"text": "x" * 50}},
    {"id": "c", "value": {"start": 3}},
    "no region",
]


def found(item: Any, raw: Any) -> Quarantined:
    return Quarantined(1, 1, 1, 1, "d", "reason", "open", "2026", "2026", item, raw)


def test_a_relation_is_quoted_in_the_words_of_its_mentions() -> None:
    """On one line, long mentions cut, so that an annotator finds it on the screen."""
    relation = {"from_id": "a", "to_id": "b", "type": "relation"}
    said = quoted(found(relation, {"result": REGIONS}))
    assert said == f"'le 52e bataillon' → '{'x' * 29}…'"


@pytest.mark.parametrize(
    ("item", "raw"),
    [
        (None, {"result": REGIONS}),
        ({"id": "a"}, {"result": REGIONS}),
        ({"from_id": "a", "to_id": "c"}, {"result": REGIONS}),
        ({"from_id": "a", "to_id": "gone"}, {"result": REGIONS}),
        ({"from_id": "a", "to_id": "b"}, {"result": None}),
        ({"from_id": "a", "to_id": "b"}, ["what", "ever"]),
        ({"from_id": ["a"], "to_id": {}}, {"result": REGIONS}),
    ],
)
def test_whatever_was_sent_the_list_is_shown(item: Any, raw: Any) -> None:
    """What names no two mentions is not quoted, and nothing is raised."""
    assert quoted(found(item, raw)) == ""
