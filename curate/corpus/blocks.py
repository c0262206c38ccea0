"""An HTML page as blocks of text whose characters know their place.

A block is a stretch of text between the tags that break lines.  Rows of a data table are one block
each.  Names that sites give their elements (class, id, role) say what an element is for.
"""

from __future__ import annotations

import html
import re
from array import array
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from curate.corpus.patient import (
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    MAX_REFERENCE,
    PatientParser,
    unescape,
    unescape_text,
)


def _tags(names: str) -> frozenset[str]:
    return frozenset(names.split())


BLOCKS = _tags(
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
FURNITURE = _tags(
    "aside button dialog footer form label menu nav amp-ad amp-sticky-ad amp-sidebar amp-consent "
    "amp-user-notification amp-list amp-social-share amp-next-page amp-form amp-lightbox"
)
_CAPTIONS = frozenset({"figcaption", "caption"})
_CAPTION_CLASS = re.compile(
    r"(?<![a-z])(?:(?:fig|wp-|image-|photo-)?(?:caption|legende?)|leg|cap|cutline)(?![a-z])", re.I
)
_PICTURE_CLASS = re.compile(
    r"(?<![a-z])(?:photo|image|picture|figure|visuel|illustration)(?![a-z])", re.I
)
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_CLOSES_P = BLOCKS - {"br", "button", "label"}
_SPACES = " \t\n\r\f"
_REFERENCE = re.compile(r"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);?")
_RUNS = re.compile("[ \t\n\r\f]+|[^ \t\n\r\f\0\ud800-\udfff]+|[\0\ud800-\udfff]")
_PROSE_WORDS = 12
_TABLE_ROWS = 3


class Kind(StrEnum):
    """What an element is for, by the names that its site gave it."""

    FURNITURE = "furniture"
    CREDIT = "credit"
    META = "meta"
    LEAD = "lead"


_NAMES = {
    Kind.FURNITURE: re.compile(
        r"nav|navbar|navi|navigation|menu\w*|breadcrumbs?|ariane|pagination|pager|pagenav\w*"
        r"|sidebar\w*|topbar|toolbar|tools|outils|share\w*|sharing|partag\w*|social\w*|addthis\w*"
        r"|addtoany|related\w*|similaires?|recirc\w*|recommend\w*|recos?|suggest\w*|popular"
        r"|trending|mostread|outbrain|taboola|teasers?|comments?|commentlist|commentaires?|respond"
        r"|disqus\w*|replies|cookies?|consent\w*|gdpr|rgpd|cmp|newsletter\w*|infolettre|subscri\w*"
        r"|abonn\w*|paywall|signup|promo\w*|optin|ads?|adv|advert\w*|adslot|adunit|adbox|adsense"
        r"|adsbygoogle|annonces?|pubs?|publicites?|sponsor\w*|banner\w*|bannieres?|dfp|gpt|footer\w*"
        r"|colophon|poll|sondage|votes?|survey|quiz|follow\w*|suivre|ratings?|login|modal|popup|popin|overlay|lightbox|tooltip|print"
        r"|printfriendly|postprofile|userprofile|avatar|disclaimer|bio|biographie|also|aussi|readmore|seealso|rel|ticker|bandeau|widget\w*|tags|taglist|keywords"
    ),
    Kind.CREDIT: re.compile(r"copyright|credits?|photocredit|photographer|photographe"),
    Kind.META: re.compile(
        r"meta|byline|authors?|auteurs?|date|dates|posted|timestamp|dateline|published|infos?|views|vues?"
        r"|kicker|surtitre|eyebrow|rubrique|category|categorie|badge|labels?|tag|readingtime"
    ),
    Kind.LEAD: re.compile(
        r"chapo\w*|chapeau|standfirst|lead|lede|intro\w*|subtitle|subheading|soustitre|dek|deck"
        r"|summary|accroche|excerpt|abstract|resume"
    ),
}
_NAMED = ("class", "id", "role", "data-role")
_NAMELESS = _tags("html body main article")
_PART_OF_NAME = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_ROLES = _tags("navigation banner complementary contentinfo search dialog alert")
_ABOUT_AUTHOR = re.compile(r"(?:author|auteur)s?[-_]?(?:box|bio|card|desc|about|profile)", re.I)
_INLINE_ASIDES = _tags("span small em i cite b font")


def _kind(tag: str, attrs: list[tuple[str, str | None]]) -> Kind | None:
    """What the names of an element say: the first kind, in order, that a part of a name spells."""
    if tag in _NAMELESS:
        return None
    values = [value for name, value in attrs if name in _NAMED and value]
    if not values:
        return None
    return _kind_of_names(" ".join(values))


@lru_cache(maxsize=4096)
def _kind_of_names(names: str) -> Kind | None:
    parts = [part.lower() for part in _PART_OF_NAME.findall(names)]
    if _ABOUT_AUTHOR.search(names) or any(part in _ROLES for part in names.split()):
        return Kind.FURNITURE
    for kind, pattern in _NAMES.items():
        if any(pattern.fullmatch(part) for part in parts):
            return kind
    return None


_GROUPS = _tags("ul ol dl table figure")


@dataclass(slots=True)
class Block:
    """A stretch of text between the tags that break lines.

    ``starts`` and ``ends`` say where each character of ``text`` stands in the source; ``path`` are
    the open elements as (serial number, tag), outermost first; ``kinds`` those of them whose
    names say what they are for.  The spaces between a table row's cells stand nowhere: -1.
    """

    path: tuple[tuple[int, str], ...]
    after_break: bool
    text: str = ""
    starts: array[int] = field(default_factory=lambda: array("q"))
    ends: array[int] = field(default_factory=lambda: array("q"))
    linked: int = 0
    caption: bool = False
    row: bool = False
    kinds: tuple[tuple[int, Kind], ...] = ()

    def within(self, tags: frozenset[str]) -> bool:
        return any(tag in tags for _, tag in self.path)

    def of_kind(self, kind: Kind) -> bool:
        return any(own is kind for _, own in self.kinds)

    @property
    def parent(self) -> int:
        """The element that holds the block's own: paragraphs of one text share it."""
        inner = max((i for i, (_, tag) in enumerate(self.path) if tag in BLOCKS), default=0)
        if self.path and self.path[inner][1] in ("li", "tr", "dt", "dd", "figcaption"):
            inner = next((i for i in range(inner, -1, -1) if self.path[i][1] in _GROUPS), inner)
        return self.path[inner - 1][0] if inner else 0

    def directly_in(self, elements: set[int]) -> bool:
        """Whether one of the elements holds the block, or the block's text stands in it bare, as
        on old pages after a list."""
        inner = max((i for i, (_, tag) in enumerate(self.path) if tag in BLOCKS), default=0)
        return self.parent in elements or any(s in elements for s, _ in self.path[inner:])

    @property
    def linking(self) -> bool:
        """Whether half of it or more are links."""
        return self.linked * 2 >= len(self.text)

    @property
    def prose(self) -> bool:
        """Whether it reads like a sentence rather than a list of links."""
        words = self.text.split()
        return (
            len(words) >= _PROSE_WORDS
            and self.text.rstrip("»”\"')\u00a0\u202f ").endswith((".", "!", "?", "…"))
            and self.linked * 2 < len(self.text)
        )


class _Reader(PatientParser):
    """Cuts a page into blocks; keeps the offset of every character."""

    def __init__(self, source: str) -> None:
        super().__init__()
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
        self.kinds: dict[int, Kind] = {}
        self.title: list[str] = []
        self.titled = 0
        self.pictures: set[int] = set()
        self.alone: set[int] = set()
        self.waiting: tuple[int, Block | None, list[str]] | None = None
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
        self.counted(attrs)
        if tag in BLOCKS:
            self.flush(tag == "br")
        if tag in _CLOSES_P:
            self.pop_open("p", BLOCKS - {"p"})
        if tag == "li":
            self.pop_open("li", frozenset({"ul", "ol", "menu", "dir"}))
        elif tag in ("td", "th"):
            self.pop_open("td", frozenset({"tr", "table"}))
            self.pop_open("th", frozenset({"tr", "table"}))
        elif tag == "tr":
            self.pop_open("tr", frozenset({"table"}))
        if tag in _VOID:
            return
        if len(self.stack) >= MAX_DEPTH:
            self.pop_open(self.stack[-1][1], frozenset())
        self.serial += 1
        self.stack.append((self.serial, tag))
        classes = next((value or "" for name, value in attrs if name == "class"), "")
        if tag in _CAPTIONS or _CAPTION_CLASS.search(classes):
            self.captions.add(self.serial)
        if _PICTURE_CLASS.search(classes):
            self.pictures.add(self.serial)
        elif tag in _INLINE_ASIDES and self.current is None and self.in_picture():
            # A caption and a credit side by side in a picture's box are two lines.
            self.alone.add(self.serial)
            self.captions.add(self.serial)
        kind = _kind(tag, attrs) if attrs else None
        if kind is not None:
            self.kinds[self.serial] = kind
            if tag in _INLINE_ASIDES and kind in (Kind.FURNITURE, Kind.CREDIT):
                self.step_aside()
        self.hidden += tag in _HIDDEN
        self.links += tag == "a"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counted(attrs)
        if tag in BLOCKS:
            self.flush(tag == "br")

    def handle_endtag(self, tag: str) -> None:
        if tag in BLOCKS:
            self.flush(tag == "br")
        if tag not in _VOID:
            self.pop_open(tag, frozenset())

    def in_picture(self) -> bool:
        return len(self.stack) > 1 and self.stack[-2][0] in self.pictures

    def step_aside(self) -> None:
        """Read an inline credit or button as a block of its own; the text around it goes on."""
        if self.waiting is None and self.current is not None and not self.hidden:
            self.waiting = (self.serial, self.current, self.chars)
            self.current, self.chars = None, []

    def step_back(self) -> None:
        if self.waiting is not None:
            _, current, chars = self.waiting
            self.waiting = None
            broken = self.broken
            self.flush(False)
            self.current, self.chars, self.broken = current, chars, broken

    def pop_open(self, tag: str, barrier: frozenset[str]) -> None:
        """Close the innermost open ``tag``, and what is open inside it, unless a barrier is met."""
        for depth in range(len(self.stack) - 1, -1, -1):
            name = self.stack[depth][1]
            if name == tag:
                for serial, closed in self.stack[depth:]:
                    if self.waiting is not None and serial == self.waiting[0]:
                        self.step_back()
                    if serial in self.alone:
                        self.flush(False)
                    self.hidden -= closed in _HIDDEN
                    self.links -= closed == "a"
                del self.stack[depth:]
                return
            if name in barrier:
                return

    def handle_data(self, data: str) -> None:
        if self.hidden:
            self.entitle(unescape_text(data))
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

    def entitle(self, text: str) -> None:
        """Add to the page's title, which ends with the first <title>, where one is open."""
        if self.stack and self.stack[-1][1] == "title":
            serial = self.stack[-1][0]
            self.titled = self.titled or serial
            if self.titled == serial:
                self.title.append(text)

    def reference(self) -> None:
        start = self.place()
        match = _REFERENCE.match(self.source, start)
        if match is None:
            return
        if self.hidden:
            self.entitle(unescape(match.group()))
            return
        raw = match.group()
        # `&copy2024`: browsers read the longest known name; what follows it is text.
        decoded = unescape(raw)
        size = len(raw)
        if not raw.endswith(";") and not raw.startswith("&#"):
            for cut in range(min(size, MAX_REFERENCE), 2, -1):
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
            self.current = Block(self.path_of(self.stack), self.broken)
            self.current.caption = any(serial in self.captions for serial, _ in self.stack)
            if self.kinds:
                self.current.kinds = tuple(
                    (serial, self.kinds[serial]) for serial, _ in self.stack if serial in self.kinds
                )
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
        self.step_back()
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


@dataclass(frozen=True, slots=True)
class Page:
    """A page's visible blocks in order, and its <title>.

    ``odd``: a tag has more attributes than a parser that compares each with each may be given.
    """

    blocks: list[Block]
    title: str
    odd: bool = False


def page_of(source: str) -> Page:
    """The blocks and the title of a page."""
    reader = _Reader(source)
    blocks = _rows(reader.read())
    return Page(blocks, " ".join("".join(reader.title).split()), reader.attributes > MAX_ATTRIBUTES)


def blocks_of(source: str) -> list[Block]:
    """The visible blocks of text of a page, in order."""
    return page_of(source).blocks


def _rows(blocks: list[Block]) -> list[Block]:
    """The blocks, with the cells of each row of a data table as one.

    A data table has three rows or more of at least two cells, each cell a single block: other
    tables hold a page together, not data.
    """
    tables: dict[int, dict[int, dict[int, list[int]]]] = {}
    for i, block in enumerate(blocks):
        place = _cell(block)
        if place is not None:
            table, row, cell = place
            tables.setdefault(table, {}).setdefault(row, {}).setdefault(cell, []).append(i)
    joined: dict[int, list[int]] = {}
    for rows in tables.values():
        data = [
            [members[0] for members in cells.values()]
            for cells in rows.values()
            if len(cells) > 1 and all(len(members) == 1 for members in cells.values())
        ]
        # Where paragraphs stand beside names and not beside dates or figures, they are posts.
        told = sum(any(blocks[i].prose for i in row) for row in data)
        dated = sum(any(char.isdigit() for char in blocks[row[0]].text) for row in data)
        if 2 * told > len(data) and 2 * dated < len(data):
            continue
        if len(data) >= _TABLE_ROWS and 3 * len(data) >= 2 * len(rows):
            joined |= {members[0]: members for members in data}
    if not joined:
        return blocks
    gone = {i for members in joined.values() for i in members[1:]}
    return [
        _row([blocks[j] for j in joined[i]]) if i in joined else block
        for i, block in enumerate(blocks)
        if i not in gone
    ]


def _cell(block: Block) -> tuple[int, int, int] | None:
    """The innermost table, row and cell that a block stands in."""
    row = next((i for i in range(len(block.path) - 1, 0, -1) if block.path[i][1] == "tr"), None)
    if row is None or row + 1 >= len(block.path) or block.path[row + 1][1] not in ("td", "th"):
        return None
    table = next((s for s, tag in reversed(block.path[:row]) if tag == "table"), None)
    return None if table is None else (table, block.path[row][0], block.path[row + 1][0])


def _row(cells: list[Block]) -> Block:
    first = cells[0]
    last = next(i for i, (_, tag) in enumerate(reversed(first.path)) if tag == "tr")
    row = Block(first.path[: len(first.path) - last], False, row=True, kinds=first.kinds)
    for cell in cells:
        if row.starts:
            row.starts.append(-1)
            row.ends.append(-1)
        row.starts.extend(cell.starts)
        row.ends.extend(cell.ends)
        row.linked += cell.linked
    row.text = " ".join(cell.text for cell in cells)
    return row
