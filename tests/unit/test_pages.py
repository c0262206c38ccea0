"""Whole pages, each with the lines that a reader says are its article."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.corpus import Found, Ingested, Options, discover, read

PAGES = Path(__file__).parent / "data" / "pages"
NAMES = sorted(path.name for path in PAGES.iterdir() if path.suffix in (".txt", ".html"))


@pytest.mark.parametrize("name", NAMES)
def test_the_article_and_nothing_else(name: str) -> None:
    """A blog with adverts, a news theme, a page without blank lines, a paywall, old tables,
    bare <div>s and a page too short for extraction: the body's lines, in order."""
    path = PAGES / name
    [found] = discover([path])
    assert isinstance(found, Found)
    [item] = read(found, Options("fr"))
    assert isinstance(item, Ingested)
    body = path.with_suffix(".body").read_text(encoding="utf-8")
    assert _lines(item.document.text) == _lines(body)
    assert item.mapped == 1.0


def _lines(text: str) -> list[str]:
    """The lines, white space aside."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]
