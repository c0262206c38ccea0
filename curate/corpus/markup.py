"""HTML pages: the article's blocks of text, with the exact place of every character in the source.

trafilatura decides which text is the article.  Its output is not taken as it is: it drops headings,
captions and dates from the middle of sentences, turns no-break spaces into plain ones, and does not
say where its text stood.  So the page is read here into blocks whose characters know their place; a
block belongs to the article if trafilatura found most of it, or if it is the article's heading, a
caption, or a paragraph between its paragraphs.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from curate.corpus.blocks import Block, page_of
from curate.corpus.choice import choose
from curate.offsets import OffsetMap, Piece

_MIN_PART = 12


@dataclass(frozen=True, slots=True)
class Article:
    """The text of a page's article, a block a line (a blank line between paragraphs).

    ``pieces`` maps the text into the source; ``outside`` are the blocks left out, as
    (offset in the source, text).  ``lost`` counts extracted characters that were found nowhere.
    """

    text: str
    pieces: OffsetMap
    outside: tuple[tuple[int, str], ...]
    lost: int


def article(source: str) -> Article:
    """The article of an HTML page; empty text where there is none.

    Deterministic: neither other pages nor their order enter into it.
    """
    page = page_of(source)
    covered, lost = _coverage(page.blocks, "" if page.odd else extract(source))
    return _join(page.blocks, choose(page, covered), lost)


def extract(source: str) -> str:
    """The article's text by trafilatura, "" where it finds none or cannot read the page."""
    import logging

    import trafilatura

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    try:
        found = trafilatura.extract(
            source,
            include_comments=False,
            include_tables=False,
            deduplicate=False,
            with_metadata=False,
        )
    except Exception:
        # Whatever a broken page does to the parser (recursion, a bad tree): the page is then read
        # by its markup alone, which choose does when nothing was extracted.
        return ""
    return found or ""


def _coverage(blocks: list[Block], extracted: str) -> tuple[list[int], int]:
    """How many of each block's characters (white space aside) were extracted; and how many
    extracted characters stand in no block."""
    owners = array("l")
    parts: list[str] = []
    for i, block in enumerate(blocks):
        bare = _bare(block.text)
        parts.append(bare)
        owners.extend([i] * len(bare))
    stream = "".join(parts)
    taken = bytearray(len(stream))
    lost = 0
    cursor = 0
    for line in extracted.splitlines():
        # trafilatura writes list items with a hyphen of its own.
        words = line.removeprefix("- ").split()
        cursor, missed = _take(words, stream, taken, cursor)
        lost += missed
    covered = [0] * len(blocks)
    for place, mark in enumerate(taken):
        if mark:
            covered[owners[place]] += 1
    return covered, lost


def _bare(text: str) -> str:
    return "".join(text.split())


def _take(words: list[str], stream: str, taken: bytearray, cursor: int) -> tuple[int, int]:
    """Mark the words in the stream, after the cursor if they are there; halve what is not found."""
    bare = "".join(words)
    if not bare:
        return cursor, 0
    place = stream.find(bare, cursor)
    if place < 0:
        place = stream.find(bare)
    if place >= 0 and not (len(bare) < _MIN_PART and place < cursor):
        taken[place : place + len(bare)] = b"\1" * len(bare)
        return place + len(bare), 0
    if len(words) < 2 or len(bare) < _MIN_PART:
        return cursor, len(bare)
    middle = len(words) // 2
    cursor, first = _take(words[:middle], stream, taken, cursor)
    cursor, second = _take(words[middle:], stream, taken, cursor)
    return cursor, first + second


def _join(blocks: list[Block], chosen: list[bool], lost: int) -> Article:
    out: list[str] = []
    pieces: list[Piece] = []
    outside: list[tuple[int, str]] = []
    length = 0
    previous = -2
    for i, block in enumerate(blocks):
        if not chosen[i]:
            outside.append((block.starts[0], block.text))
            continue
        if out:
            gap = "\n" if block.after_break and previous == i - 1 else "\n\n"
            out.append(gap)
            length += len(gap)
        previous = i
        for low, high, start, end in _runs(block):
            if start < end:
                pieces.append(Piece(length + low, length + high, start, end))
            else:  # the second character of a reference belongs to its piece
                last = pieces[-1]
                pieces[-1] = Piece(last.start, length + high, last.source_start, last.source_end)
        out.append(block.text)
        length += len(block.text)
    return Article("".join(out), OffsetMap.of(pieces), tuple(outside), lost)


def _runs(block: Block) -> Iterator[tuple[int, int, int, int]]:
    """The block's characters with their source, neighbours that stand so in both together."""
    starts, ends = block.starts, block.ends
    low = 0
    for i in range(1, len(starts) + 1):
        joined = (
            i < len(starts)
            and ends[i - 1] == starts[i] >= 0
            and ends[i] - starts[i] == 1
            and ends[i - 1] - starts[i - 1] == 1
        )
        if not joined and low < len(starts):
            if starts[low] >= 0:
                yield low, i, starts[low], ends[i - 1]
            low = i
