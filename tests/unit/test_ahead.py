"""Making the next thing while this one is worked on changes nothing but the time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.flows.ahead import ahead


@given(st.lists(st.integers(), max_size=20))
def test_the_same_items_in_the_same_order(items: list[int]) -> None:
    """ahead(x) is x."""
    assert list(ahead(iter(items))) == items


class Ended(BaseException):
    """Not an Exception: an interrupt."""


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Ended])
def test_what_goes_wrong_is_raised_in_its_place(error: type[BaseException]) -> None:
    """The items before it come through, then it is raised here, interrupts included."""

    def failing() -> Iterator[int]:
        yield 1
        raise error

    seen = []
    with pytest.raises(error):
        for item in ahead(failing()):
            seen.append(item)
    assert seen == [1]


def test_memory_is_bounded() -> None:
    """However slow the work, only a few items are made beforehand."""
    made = []

    def counted() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    for number in ahead(counted()):
        time.sleep(0.01)
        assert len(made) <= number + 3
        if number == 5:
            break


def test_a_reader_that_stops_lets_the_maker_end() -> None:
    """No thread is left behind by a loop that was left."""
    before = threading.active_count()
    for _ in ahead(iter(range(1000))):
        break
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before
