"""Thousands of spans that nearly all overlap: bounded time, bounded memory."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from curate.alignment import align
from tests.unit.test_crowded import Keys, annotation


def nested(n: int, shift: int) -> Keys:
    return [(i + shift, 2 * n - i + shift, "A") for i in range(n)]


def staircase(n: int, start: int, step: int) -> Keys:
    return [(start + step * i, start + step * i + 5000, "A") for i in range(n)]


@pytest.mark.parametrize(
    ("a", "b", "pairs"),
    [
        (nested(4000, 0), nested(4000, 1), 4000),
        (staircase(1000, 0, 1), staircase(1000, 1001, 2), 1000),
        (nested(1000, 0), [(2 * i + 1, 2 * i + 3, "A") for i in range(1000)], 999),
    ],
    ids=["nested", "staircase", "many parts"],
)
def test_thousands_of_spans_that_all_overlap_take_seconds_and_little_memory(a, b, pairs) -> None:
    """16 million pairs would take two gigabytes as a list, and minutes."""
    began = time.process_time()
    found = align(annotation(a), annotation(b))
    assert time.process_time() - began < 8
    assert found.overlapping == pairs
    tracemalloc.start()
    align(annotation(a[:700]), annotation(b[:700]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20
