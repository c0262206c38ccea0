"""The tutorial: its commands work, one after the other, and print what the page says."""

from __future__ import annotations

import difflib

import pytest

from tests.integration import tutorial

pytestmark = pytest.mark.studio


def test_the_tutorial_prints_what_the_page_says() -> None:
    """`python -m tests.integration.tutorial` writes the page anew."""
    page = tutorial.PAGE.read_text("utf-8")
    now = tutorial.follow()
    lines = difflib.unified_diff(page.splitlines(), now.splitlines(), "page", "now", lineterm="")
    assert page == now, "\n".join(lines)
