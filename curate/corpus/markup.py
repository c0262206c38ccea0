"""HTML pages: the article's blocks of text, with the exact place of every character in the source.

trafilatura decides which text is the article.  Its output is not taken as it is: it drops headings,
captions and dates from the middle of sentences, turns no-break spaces into plain ones, and does not
say where its text stood.  So the page is read here into blocks whose characters know their place; a
block belongs to the article if trafilatura found most of it, or if it is the article's heading, a
caption, or a paragraph between its paragraphs.
"""

from __future__ import annotations

import html
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from curate.offsets import OffsetMap, Piece


def _tags(names: str) -> frozenset[str]:
    return frozenset(names.split())


_BLOCKS = _tags(
    "address article aside audio blockquote body br button canvas caption center col "
    "dd details dialog dir div dl dt fieldset figcaption figure footer form h1 h2 h3 "
    "h4 h5 h6 head header hr html iframe label legend li main menu nav object ol "
    "optgroup option p pre section select summary table tbody td textarea tfoot th "
    "thead title tr ul video"
)
_VOID = _tags("area base br col embed hr img input link meta param source track wbr")
_HIDDEN = _tags(
    "audio button canvas datalist head iframe math noscript object script select "
    "style svg template textarea title video"
)
_FURNITURE = _tags("aside button dialog footer form menu nav")
_CAPTIONS = frozenset({"figcaption", "caption"})
_CAPTION_CLASS = re.compile(
    r"(?<![a-z])(?:fig|wp-|image-|photo-)?(?:caption|legende?)(?![a-z])", re.I
)
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_CLOSES_P = _BLOCKS - {"br", "button", "label"}
_SPACES = " \t\n\r\f"
_REFERENCE = re.compile(r"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);?")
_RUNS = re.compile("[ \t\n\r\f]+|[^ \t\n\r\f\0\ud800-\udfff]+|[\0\ud800-\udfff]")
_PROSE_WORDS = 12
_MIN_PART = 12
_MOST = 0.5
_TEASER = 0.3
_NEAR = 4
_NAME_WORDS = 3


@dataclass(slots=True)
class Block:
    """A stretch of text between the tags that break lines.

    ``starts`` and ``ends`` say where each character of ``text`` stands in the source; ``path`` are
    the open elements as (serial number, tag), outermost first.
    """

    path: tuple[tuple[int, str], ...]
    after_break: bool
    text: str = ""
    starts: array[int] = field(default_factory=lambda: array("q"))
    ends: array[int] = field(default_factory=lambda: array("q"))
    linked: int = 0
    caption: bool = False

    def within(self, tags: frozenset[str]) -> bool:
        return any(tag in tags for _, tag in self.path)

    @property
    def prose(self) -> bool:
        """Whether it reads like a sentence rather than a list of links."""
        words = self.text.split()
        return (
            len(words) >= _PROSE_WORDS
            and self.text.rstrip("»”\"')\u00a0\u202f ").endswith((".", "!", "?", "…"))
            and self.linked * 2 < len(self.text)
        )


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
    blocks = blocks_of(source)
    extracted = extract(source)
    covered, lost = _coverage(blocks, extracted)
    chosen = _choose(blocks, covered)
    return _join(blocks, chosen, lost)


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
        # by its markup alone, which _choose does when nothing was extracted.
        return ""
    return found or ""


class _Reader(HTMLParser):
    """Cuts a page into blocks; keeps the offset of every character."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=False)
        self.source = source
        self.lines = [0]
        for match in re.finditer("\n", source):
            self.lines.append(match.end())
        self.blocks: list[Block] = []
        self.stack: list[tuple[int, str]] = []
        self.serial = 0
        self.hidden = 0
        self.links = 0
        self.captions: set[int] = set()
        self.current: Block | None = None
        self.chars: list[str] = []
        self.broken = False

    def read(self) -> list[Block]:
        self.feed(self.source)
        self.close()
        self.flush(False)
        return self.blocks

    def place(self) -> int:
        line, column = self.getpos()
        return self.lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.flush(tag == "br")
        if tag in _CLOSES_P:
            self.pop_open("p", _BLOCKS - {"p"})
        if tag == "li":
            self.pop_open("li", frozenset({"ul", "ol", "menu", "dir"}))
        elif tag in ("td", "th"):
            self.pop_open("td", frozenset({"tr", "table"}))
            self.pop_open("th", frozenset({"tr", "table"}))
        elif tag == "tr":
            self.pop_open("tr", frozenset({"table"}))
        if tag in _VOID:
            return
        self.serial += 1
        self.stack.append((self.serial, tag))
        classes = next((value or "" for name, value in attrs if name == "class"), "")
        if tag in _CAPTIONS or _CAPTION_CLASS.search(classes):
            self.captions.add(self.serial)
        self.hidden += tag in _HIDDEN
        self.links += tag == "a"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.flush(tag == "br")

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.flush(tag == "br")
        if tag not in _VOID:
            self.pop_open(tag, frozenset())

    def pop_open(self, tag: str, barrier: frozenset[str]) -> None:
        """Close the innermost open ``tag``, and what is open inside it, unless a barrier is met."""
        for depth in range(len(self.stack) - 1, -1, -1):
            name = self.stack[depth][1]
            if name == tag:
                for _, closed in self.stack[depth:]:
                    self.hidden -= closed in _HIDDEN
                    self.links -= closed == "a"
                del self.stack[depth:]
                return
            if name in barrier:
                return

    def handle_data(self, data: str) -> None:
        if self.hidden:
            return
        start = self.place()
        for match in _RUNS.finditer(data):
            low, high = start + match.start(), start + match.end()
            if high - low == 1 or match.group()[0] in _SPACES:
                self.put(match.group()[0], low, low + 1)
            else:
                self.put_run(match.group(), low, high)

    def handle_entityref(self, name: str) -> None:
        self.reference()

    def handle_charref(self, name: str) -> None:
        self.reference()

    def reference(self) -> None:
        if self.hidden:
            return
        start = self.place()
        match = _REFERENCE.match(self.source, start)
        if match is None:
            return
        raw = match.group()
        # `&copy2024`: browsers read the longest known name; what follows it is text.
        decoded = html.unescape(raw)
        size = len(raw)
        if not raw.endswith(";") and not raw.startswith("&#"):
            for cut in range(len(raw), 2, -1):
                head = html.unescape(raw[:cut])
                if head + raw[cut:] == decoded and len(head) <= 2 and head != raw[:cut]:
                    decoded, size = head, cut
                    break
            else:
                for i, char in enumerate(raw):
                    self.put(char, start + i, start + i + 1)
                return
        for i, char in enumerate(decoded):
            # Two characters of one reference: the first takes the source, the second shares it.
            self.put(char, start, start + size) if i == 0 else self.put(
                char, start + size, start + size
            )
        for i in range(start + size, start + len(raw)):
            self.put(self.source[i], i, i + 1)

    def put(self, char: str, start: int, end: int) -> None:
        if char == "\0" or 0xD800 <= ord(char) < 0xE000:
            char = "\ufffd"
        if char in _SPACES:
            if not self.chars or self.chars[-1] == " ":
                return
            char = " "
        if self.current is None:
            self.current = Block(tuple(self.stack), self.broken)
            self.current.caption = any(serial in self.captions for serial, _ in self.stack)
        self.chars.append(char)
        self.current.starts.append(start)
        self.current.ends.append(end)
        self.current.linked += bool(self.links)

    def put_run(self, run: str, start: int, end: int) -> None:
        """Many characters at once, none of them a space or one that must be replaced."""
        self.put(run[0], start, start + 1)
        block = self.current
        if block is not None:
            self.chars.extend(run[1:])
            block.starts.extend(range(start + 1, end))
            block.ends.extend(range(start + 2, end + 1))
            block.linked += (len(run) - 1) * bool(self.links)

    def flush(self, by_break: bool) -> None:
        block, chars = self.current, self.chars
        self.current, self.chars = None, []
        if block is not None:
            if chars and chars[-1] == " ":
                chars.pop()
                block.starts.pop()
                block.ends.pop()
            block.text = "".join(chars)
            if block.text.strip("\u00a0\u200b\ufeff "):
                self.blocks.append(block)
                self.broken = by_break
                return
        self.broken = self.broken and by_break


def blocks_of(source: str) -> list[Block]:
    """The visible blocks of text of a page, in order."""
    return _Reader(source).read()


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


def _choose(blocks: list[Block], covered: list[int]) -> list[bool]:
    """Which blocks are the article."""
    chosen = [
        count > _MOST * len(_bare(block.text)) for block, count in zip(blocks, covered, strict=True)
    ]
    if not any(block.prose for block, taken in zip(blocks, chosen, strict=True) if taken):
        # Nothing was extracted worth the name: a short page.  Its prose and headings are taken.
        chosen = [
            taken or ((block.prose or block.within(_HEADINGS)) and not block.within(_FURNITURE))
            for block, taken in zip(blocks, chosen, strict=True)
        ]
    _leave_teasers(blocks, chosen)
    furniture = _furniture(blocks, chosen)
    for i, aside in enumerate(furniture):
        chosen[i] = chosen[i] and not aside
    anchors = [i for i, block in enumerate(blocks) if chosen[i] and block.prose]
    if not anchors:
        return chosen
    low, high = anchors[0], anchors[-1]
    _choose_title(blocks, chosen, furniture, low)
    home = _common([blocks[i].path for i in anchors])
    top = next(i for i, taken in enumerate(chosen) if taken)
    for i, block in enumerate(blocks):
        if not chosen[i] and not furniture[i]:
            inside = home <= {serial for serial, _ in block.path}
            if block.caption:
                chosen[i] = inside or top < i < high
            else:
                chosen[i] = inside and low < i < high and block.prose
    return chosen


def _furniture(blocks: list[Block], chosen: list[bool]) -> list[bool]:
    """Which blocks stand in a <nav>, <aside>, <form>, … that does not hold most of the article:
    some sites put the whole page into one."""
    held: dict[int, int] = {}
    total = 0
    for block, taken in zip(blocks, chosen, strict=True):
        if taken:
            total += len(block.text)
            for serial, tag in block.path:
                if tag in _FURNITURE:
                    held[serial] = held.get(serial, 0) + len(block.text)
    return [
        any(tag in _FURNITURE and 2 * held.get(serial, 0) <= total for serial, tag in block.path)
        for block in blocks
    ]


def _choose_title(blocks: list[Block], chosen: list[bool], furniture: list[bool], low: int) -> None:
    """Take the nearest heading of the highest level above the first paragraph.

    Old sites give their own name the first level: a name of up to three words yields to a heading
    of the second that stands right above the article.
    """
    for level in ("h1", "h2", "h3"):
        only = frozenset({level})
        found = [i for i in range(low) if blocks[i].within(only) and not furniture[i]]
        if not found:
            continue
        near = low - found[-1] <= _NEAR
        if level == "h1" and not near and len(blocks[found[-1]].text.split()) <= _NAME_WORDS:
            second = [
                i
                for i in range(max(0, low - _NEAR), low)
                if blocks[i].within(frozenset({"h2"}))
                and not furniture[i]
                and len(blocks[i].text.split()) > _NAME_WORDS
            ]
            if second:
                chosen[found[-1]] = False
                chosen[second[-1]] = True
                return
        if not any(chosen[i] for i in found) and (level == "h1" or near):
            chosen[found[-1]] = True
        return


def _leave_teasers(blocks: list[Block], chosen: list[bool]) -> None:
    """Drop small <article>s beside a large one, or beside a text that is in none."""
    sizes: dict[int, int] = {}
    for i, block in enumerate(blocks):
        if chosen[i]:
            owner = _owner(block)
            sizes[owner] = sizes.get(owner, 0) + len(block.text)
    total = sum(sizes.values())
    for i, block in enumerate(blocks):
        owner = _owner(block)
        if chosen[i] and owner and sizes[owner] < _TEASER * total:
            chosen[i] = False


def _owner(block: Block) -> int:
    """The outermost <article> around a block; 0 where there is none."""
    return next((serial for serial, tag in block.path if tag == "article"), 0)


def _common(paths: list[tuple[tuple[int, str], ...]]) -> set[int]:
    """The elements that hold all of these paths' parents."""
    parents = [_container(path) for path in paths]
    common = set(parents[0])
    for parent in parents[1:]:
        common &= parent
    return common


def _container(path: tuple[tuple[int, str], ...]) -> set[int]:
    """The elements around the innermost block element of a path."""
    inner = max((i for i, (_, tag) in enumerate(path) if tag in _BLOCKS), default=0)
    if path and path[inner][1] in ("body", "html", "td", "div", "section", "article", "main"):
        inner += 1  # text that stands in a container itself
    return {serial for serial, _ in path[:inner]}


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
            and ends[i - 1] == starts[i]
            and ends[i] - starts[i] == 1
            and ends[i - 1] - starts[i - 1] == 1
        )
        if not joined and low < len(starts):
            yield low, i, starts[low], ends[i - 1]
            low = i
