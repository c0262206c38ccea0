"""Scraped text without its menus, forms and repeats, by stated rules; what is dropped has a reason.

The rules look at segments: stretches of a line parted by runs of at least three spaces.  The
article reaches from the first line of prose to the last; before and after it less evidence is
asked for.  docs/ingest.md lists the rules for users.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby

from curate.corpus.language import Words, fold, is_foreign, main_script, words_of
from curate.corpus.records import DroppedLine, Reason
from curate.offsets import OffsetMap, Piece

_LINE_END = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_SPACE = r"[ \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]"
_CONTROLS = "\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f"
_UNSEEN = re.compile(f"[\u00ad\u200b\u2060\ufeff{_CONTROLS}]")
_OUTER = "".join(
    char
    for char in map(chr, (*range(0x100), 0x1680, *range(0x2000, 0x2070), 0x3000, 0xFEFF))
    if char != "\n" and (re.match(_SPACE, char) or _UNSEEN.match(char))
)
_WIDE = re.compile(rf"{_SPACE}{{3,}}|\t+")
_DOUBLE = re.compile(rf"{_SPACE}{{2,}}|\t+")
_BAR = re.compile(rf"{_SPACE}+[|>›•·●■▪→/\\]{{1,2}}{_SPACE}+|{_SPACE}*(?:\||:::?|•|›){_SPACE}*")
_ARROW = re.compile(rf"{_SPACE}*»{_SPACE}*")
_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_SENTENCE_END = re.compile(r"[.!?…:;]['\"»”’)\]\s\u00a0\u202f]*$")
_FULL_STOP = re.compile(r"[.!?…]['\"»”’)\s\u00a0\u202f]*$")
_QUOTED = re.compile(r"«[^»]*»|“[^”]*”")
_URL = re.compile(r"(?:https?://|ftp://|www\.)\S+|\S+@\S+\.\w+|@\w+|#\w+", re.IGNORECASE)
_BRACKETED = re.compile(r"^(?:\s*\[[^\[\]]{0,40}\]\s*)+$")
_COPYRIGHT = re.compile(r"^\W*(?:©|\(c\)|copyright)", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")

MENU_SEGMENTS = 3
"""From how many short segments on a line is a menu (four where only two spaces part them)."""
PROSE_WORDS = 10
SENTENCE_WORDS = 6
LONG_WORDS = 25
NOTICE_WORDS = 60
SHORT_WORDS = 8
BYLINE_WORDS = 14
DATELINE_WORDS = 20


@dataclass(slots=True)
class _Segment:
    """A stretch of a line, ``start`` to ``end`` of the text, and what was decided about it."""

    line: int
    start: int
    end: int
    text: str
    folded: str
    words: int
    reason: Reason | None = None
    score: int = 0
    strong: bool = False
    reader: bool = False

    @property
    def sentence(self) -> bool:
        return bool(_SENTENCE_END.search(self.text))

    @property
    def prose(self) -> bool:
        impersonal = self.words >= LONG_WORDS and not (self.reader or self.strong)
        if self.reason is not None or self.score >= (5 if impersonal else 2):
            return False
        if self.words >= LONG_WORDS or (self.words >= PROSE_WORDS and self.sentence):
            return True
        return (
            self.words >= SENTENCE_WORDS and not self.score and bool(_FULL_STOP.search(self.text))
        )


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The text that stayed, the exact map from it into what was cleaned, and what did not stay."""

    text: str
    pieces: OffsetMap
    dropped: tuple[DroppedLine, ...] = field(default=())


def clean(text: str, language: str, line_of: Callable[[int], int] | None = None) -> Cleaned:
    """Clean scraped text in ``language`` (ISO 639-1).

    Lines keep their characters but for outer spaces, soft hyphens, zero-width spaces and control
    characters; blank lines in a row become one; line ends become ``\\n``.  ``line_of`` tells the
    line of the raw file for an offset into ``text``, where ``text`` is not the file itself.
    """
    words = words_of(language)
    lines = list(_lines(text, words, line_of))
    segments = [segment for line in lines for segment in line]
    _by_itself(segments, words)
    _comments(segments, _zone(segments)[0], words)
    _related(lines, segments, _zone(segments)[0], words)
    # What one pass drops may show the next where the article really ends.
    _at_edges(segments, *_zone(segments), words)
    _duplicates(segments)
    _foreign(segments, words.language)
    _at_edges(segments, *_zone(segments), words)
    _beside(lines, segments, *_zone(segments))
    return _assemble(text, lines, segments)


def _lines(
    text: str, words: Words, line_of: Callable[[int], int] | None
) -> Iterable[list[_Segment]]:
    """The segments of each line; an empty list for a blank one."""
    number, position = 1, 0
    for match in [*_LINE_END.finditer(text), None]:
        end = len(text) if match is None else match.start()
        place = number if line_of is None else line_of(position)
        yield _segments(text, place, position, end, words)
        if match is not None:
            position = match.end()
            number += match.group() in ("\n", "\r\n", "\r")


def _segments(text: str, number: int, start: int, end: int, words: Words) -> list[_Segment]:
    line = text[start:end]
    if not line.strip(_OUTER):
        return []
    cuts = [(m.start(), m.end()) for m in _WIDE.finditer(line)]
    found: list[_Segment] = []
    position = 0
    for low, high in [*cuts, (len(line), len(line))]:
        piece = line[position:low]
        inner = piece.strip(_OUTER)
        if inner:
            offset = start + position + piece.index(inner)
            found.append(_segment(number, offset, inner, words))
        position = high
    _menu(found)
    return found


def _segment(number: int, offset: int, text: str, words: Words) -> _Segment:
    folded = fold(_UNSEEN.sub("", text))
    # What somebody is quoted with is never a form.
    speech = fold(_QUOTED.sub(" ", _UNSEEN.sub("", text)))
    strong = bool(words.forms.search(speech))
    weak = {m.group() for m in words.hints.finditer(speech)}
    reader = bool(words.readers.search(speech))
    count = len(_WORD.findall(text))
    # An address or a handle in a short line invites the reader, too.
    address = count <= 15 and bool(_URL.search(text))
    return _Segment(
        line=number,
        start=offset,
        end=offset + len(text),
        text=text,
        folded=folded,
        words=count,
        score=2 * strong + len(weak) + reader + 2 * address,
        strong=strong,
        reader=reader,
    )


def _menu(segments: list[_Segment]) -> None:
    """A line of many segments is a menu; prose that shares the line with one stays."""
    if len(segments) >= MENU_SEGMENTS:
        lower = sum(segment.text[:1].islower() for segment in segments[1:])
        if lower * 2 >= len(segments) - 1:
            return  # justified text, not a menu
        prose = [s for s in segments if _is_paragraph(s)]
        if len(segments) - len(prose) >= MENU_SEGMENTS or not prose:
            for segment in segments:
                if segment not in prose:
                    segment.reason = Reason.MENU
    elif len(segments) == 1:
        segment = segments[0]
        for pattern, least, longest in ((_DOUBLE, 4, 6), (_BAR, 3, 7), (_ARROW, 3, 7)):
            if pattern is _ARROW and "«" in segment.text:
                continue  # quotation marks
            parts = [part for part in pattern.split(segment.text) if part.strip(_OUTER)]
            if len(parts) >= least and all(
                len(_WORD.findall(part)) <= longest and not part.rstrip(_OUTER).endswith(".")
                for part in parts
            ):
                segment.reason = Reason.MENU
                return


def _is_paragraph(segment: _Segment) -> bool:
    """Whether a segment is more than the headline of another article: two sentences, or long."""
    ends = len(re.findall(r"[.!?…]['\"»”’)]*(?=\s|$)", segment.text))
    return segment.words >= 40 or (segment.words >= 15 and segment.sentence and ends >= 2)


def _by_itself(segments: list[_Segment], words: Words) -> None:
    """The rules that need to know nothing but the segment."""
    for segment in segments:
        if segment.reason is not None:
            continue
        folded = segment.folded
        if not segment.words:
            segment.reason = Reason.SYMBOLS
        elif not _WORD.search(_URL.sub(" ", segment.text)):
            segment.reason = Reason.URL
        elif _BRACKETED.match(segment.text) and segment.words <= 8:
            segment.reason = Reason.MENU
        elif _is_dateline(folded, words):
            segment.reason = Reason.BYLINE
        elif _is_form(segment, words):
            segment.reason = Reason.FORM


def _is_form(segment: _Segment, words: Words) -> bool:
    """Buttons, copyright lines, and lines whose words leave no doubt wherever they stand."""
    if not segment.text.endswith((".", "!", "?")) and _is_button(segment.folded, words):
        return True
    if _COPYRIGHT.match(segment.text) and segment.words <= 20:
        return True
    if segment.strong:
        long = segment.words <= NOTICE_WORDS and segment.score >= 5 and segment.reader
        return segment.words <= 20 or long
    return segment.score >= 4 and segment.reader and segment.words <= LONG_WORDS


def _is_button(folded: str, words: Words) -> bool:
    bare = " ".join(re.sub(r"[^\w'&.@ -]|(?<!\w)[.&@-]+(?!\w)", " ", folded).split())
    # "Tweet Partager", "3 réactions", "Lecture : 2 min": buttons and counters, nothing else.
    left = words.buttons.sub("", bare)
    if _NUMBER.search(bare):
        left = re.sub(r"\b\d[\d .,]*[km]?\b", "", words.counters.sub("", left))
    return bool(bare) and not left.strip()


def _is_dateline(folded: str, words: Words) -> bool:
    """Whether nothing but a date, a time and the words around them stands there."""
    left = re.sub(r"\d+|[^\w\s]", " ", folded)
    tokens = left.split()
    if len(tokens) > DATELINE_WORDS or not _NUMBER.search(folded):
        return False
    months = sum(bool(words.months.fullmatch(token)) for token in tokens)
    dated = months or re.search(r"\b\d{1,4}\s?[-/.]\s?\d{1,2}\s?[-/.]\s?\d{1,4}\b", folded)
    return bool(dated) and all(
        words.months.fullmatch(t) or words.days.fullmatch(t) or words.datewords.fullmatch(t)
        for t in tokens
    )


def _zone(segments: list[_Segment]) -> tuple[int, int]:
    """The positions of the first and the last line of prose; (-1, -1) where there is none.

    Short sentences that follow belong to it, up to the first notice or heading of other matter.
    """
    prose = [i for i, segment in enumerate(segments) if segment.prose]
    if not prose:
        return -1, -1
    last = prose[-1]
    for i in range(last + 1, len(segments)):
        segment = segments[i]
        if segment.strong or segment.reason in (Reason.COMMENTS, Reason.RELATED):
            break
        full = segment.words >= 4 and not segment.score and _FULL_STOP.search(segment.text)
        if segment.reason is None and full:
            last = i
    return prose[0], last


def _at_edges(segments: list[_Segment], first: int, last: int, words: Words) -> None:
    """Before and after the article less evidence is asked for."""
    for i, segment in enumerate(segments):
        if segment.reason is not None:
            continue
        head, tail = i < first, i > last
        if _is_byline(segment, words, head or tail):
            segment.reason = Reason.BYLINE
        elif (head or tail) and segment.score >= _needed(segment):
            segment.reason = Reason.FORM
        elif head and words.rubrics.fullmatch(segment.folded.strip(" -:|>")):
            segment.reason = Reason.RUBRIC
        elif tail and _is_command(segment, words):
            segment.reason = Reason.FORM


def _is_command(segment: _Segment, words: Words) -> bool:
    """Whether a short line says what can be done with the page: "Citer cette publication"."""
    begins = words.commands.match(segment.folded.lstrip(_BULLETS))
    return bool(begins) and segment.words <= SHORT_WORDS and not segment.sentence


def _needed(segment: _Segment) -> int:
    """How much evidence makes a line outside the article a form; a sentence needs more."""
    if segment.words > NOTICE_WORDS:
        return 6
    spoken = segment.reader or segment.strong
    if segment.words >= LONG_WORDS and not spoken:
        return 5
    return 2 if segment.words <= 12 or (spoken and segment.words <= LONG_WORDS) else 3


def _is_byline(segment: _Segment, words: Words, edge: bool) -> bool:
    folded = segment.folded.lstrip(" -–—|(*•").strip()
    if "|" in folded and segment.words <= BYLINE_WORDS:
        # "Agency | Published on …": who published stands beside when.
        parts = [part.strip() for part in folded.split("|") if part.strip()]
        dates = [p for p in parts if _is_dateline(p, words)]
        if dates and all(p in dates or len(p.split()) <= 3 for p in parts):
            return True
    match = words.bylines.match(folded)
    if segment.words > BYLINE_WORDS or not match:
        return _is_rubric_with_date(folded, words) if edge else False
    dated = bool(words.months.search(folded) and _NUMBER.search(folded)) or bool(
        re.search(r"\d{1,4}\s?[-/.]\s?\d{1,2}\s?[-/.]\s?\d{1,4}", folded)
    )
    if dated and (edge or " " in match.group() or not segment.sentence):
        return True
    rest = folded[match.end() :].strip(" :")
    named = segment.text.lstrip(" -–—|(*•")[match.end() :].lstrip(" :")[:1].isupper()
    if named and segment.words <= SHORT_WORDS and not segment.sentence:
        return True
    if not rest and folded.endswith(":"):
        return True
    return edge and not segment.sentence and len(rest.split()) <= 7


def _is_rubric_with_date(folded: str, words: Words) -> bool:
    match = words.rubrics.match(folded)
    return bool(match and _is_dateline(folded[match.end() :], words))


def _comments(segments: list[_Segment], first: int, words: Words) -> None:
    """After the heading of the comments nothing is article, unless most of the prose follows it."""
    for i, segment in enumerate(segments):
        bare = re.sub(r"[^\w' ]|\d", " ", segment.folded)
        if i <= first or not words.comments.fullmatch(" ".join(bare.split())):
            continue
        before = sum(s.words for s in segments[:i] if s.prose)
        after = sum(s.words for s in segments[i:] if s.prose)
        if before >= after:
            segment.reason = segment.reason or Reason.COMMENTS
            for later in segments[i + 1 :]:
                later.reason = later.reason or Reason.COMMENTS
            return


_BULLETS = " >-–—•*[(|→►▶»■●▪+"
_AFTER_HEADING = ":>-–—|•)]→»"


def _related(
    lines: list[list[_Segment]], segments: list[_Segment], first: int, words: Words
) -> None:
    """A heading of other articles goes with the headlines that follow it."""
    blocks = {id(s): number for number, block in enumerate(_blocks(lines)) for s in block}
    listing = False
    begun: int | None = None
    for i, segment in enumerate(segments):
        block = blocks[id(segment)]
        # Above the article a blank line ends the list: what follows may be the title.
        if listing and i < first and begun is not None and block != begun:
            listing = False
        folded = segment.folded.lstrip(_BULLETS)
        match = words.related.match(folded)
        if match and segment.words <= LONG_WORDS:
            rest = folded[match.end() :].strip()
            # « À lire le rapport » is prose; « À lire : … », « À LIRE … » and « À lire » are not.
            shouted = segment.text.lstrip(_BULLETS)[: match.end()].isupper()
            if not rest or rest[0] in _AFTER_HEADING or shouted or rest.endswith(":"):
                if not rest.strip(_AFTER_HEADING + " ") or rest.endswith(":"):
                    listing, begun = True, None
                segment.reason = segment.reason or Reason.RELATED
                continue
        following = segments[i + 1] if i + 1 < len(segments) else None
        if i < first and following is not None and _is_byline(following, words, True):
            continue  # the title: under it stands who wrote it
        if listing and segment.reason is None:
            if segment.words <= 18 and not segment.text.rstrip().endswith((".", "»", "”")):
                segment.reason = Reason.RELATED
                begun = block if begun is None else begun
            else:
                listing = False
    # A list above the article runs on to its title; the title is given back.
    head = segments[: max(first, 0)]
    if not any(s.reason is None and not _is_byline(s, words, True) for s in head):
        listed = [s for s in head if s.reason is Reason.RELATED and s.words >= 4]
        if listed and not words.related.match(listed[-1].folded.lstrip(_BULLETS)):
            listed[-1].reason = None


def _duplicates(segments: list[_Segment]) -> None:
    """A caption or a title that stands twice is kept once: a repeat right after (blank lines
    aside), or anywhere if it has at least four words."""
    seen: set[str] = set()
    previous = ""
    keys = {_key(segment.folded) for segment in segments}
    for segment in segments:
        key = _key(segment.folded)
        if segment.reason is None:
            if (
                key == previous
                or (key in seen and segment.words >= 4)
                or _is_page_title(segment.folded, keys)
            ):
                segment.reason = Reason.DUPLICATE
            else:
                seen.add(key)
        previous = key if segment.reason in (None, Reason.DUPLICATE) else previous


def _key(folded: str) -> str:
    return " ".join(re.findall(r"\w+", folded))


def _is_page_title(folded: str, keys: set[str]) -> bool:
    """Whether a line is another line and a name: "Title - Site", "Section | Title"."""
    for match in re.finditer(r" (?:[-–—|»:•·]|::) ", folded):
        left, right = _key(folded[: match.start()]), _key(folded[match.end() :])
        for title, site in ((left, right), (right, left)):
            if title in keys and len(title.split()) >= 4 and 1 <= len(site.split()) <= 6:
                return True
    return False


def _foreign(segments: list[_Segment], language: str) -> None:
    kept = [segment for segment in segments if segment.reason is None]
    script = main_script(" ".join(segment.text for segment in kept))
    for segment in kept:
        if is_foreign(segment.text, language, script):
            segment.reason = Reason.LANGUAGE


_WIDGETS = frozenset({Reason.MENU, Reason.FORM, Reason.COMMENTS})
_RUBRICS = _WIDGETS | {Reason.RUBRIC}
_KNOWN = _RUBRICS | {Reason.BYLINE}
_ENDS = _KNOWN | {Reason.RELATED}


def _beside(lines: list[list[_Segment]], segments: list[_Segment], first: int, last: int) -> None:
    """Fragments that stand in one block with menus and forms, and the rest of the page's foot.

    Inside the article a block must be furniture by half; above it one menu or form is enough; after
    it everything short that follows the first line that was dropped.
    """
    if first < 0:
        return
    order = {id(segment): i for i, segment in enumerate(segments)}
    titles = _titles(segments[:first])
    _column(segments[: max(titles, default=0)])
    for block in _blocks(lines):
        places = [order[id(segment)] for segment in block]
        head = [i for i in places if i < first]
        inside = [i for i in places if first <= i <= last]
        if any(segments[i].reason in _WIDGETS for i in head) or _mostly(segments, head, _RUBRICS):
            _drop_fragments(segments, [i for i in head if i not in titles])
        if not any(segments[i].prose for i in inside) and _mostly(segments, inside, _KNOWN):
            _drop_fragments(segments, inside)
        # Under who wrote it and when stand the section and the views.
        signed = [i for i in head if segments[i].reason is Reason.BYLINE]
        if signed and not inside:
            below = [i for i in head if i > signed[0] and segments[i].words <= 4]
            _drop_fragments(segments, [i for i in below if i not in titles])
    # The article may be signed; from the first line that is not its own on, nothing is.
    ended = False
    for segment in segments[last + 1 :]:
        if segment.reason in _ENDS:
            ended = True
        elif ended and segment.reason is None and segment.words <= 15:
            segment.reason = Reason.BESIDE


def _titles(head: list[_Segment]) -> set[int]:
    """Where the article's title may stand: the last line left above the article, and each line
    right above who wrote it and when."""
    left = [i for i, segment in enumerate(head) if segment.reason is None]
    above = {i for i in left if i + 1 < len(head) and head[i + 1].reason is Reason.BYLINE}
    return above | set(left[-1:])


def _mostly(segments: list[_Segment], places: list[int], reasons: frozenset[Reason]) -> bool:
    known = sum(segments[i].reason in reasons for i in places)
    return bool(known) and 2 * known >= len(places)


def _drop_fragments(segments: list[_Segment], places: list[int]) -> None:
    for i in places:
        if segments[i].reason is None and _fragment(segments[i]):
            segments[i].reason = Reason.BESIDE


def _column(head: list[_Segment]) -> None:
    """A menu that stands upright above the title: four or more lines of up to three words, two of
    them known as buttons or sections, blank lines between them or not; or three that begin with
    the same sign."""
    for same, group in groupby(head, key=lambda s: s.text[:1] if s.words <= SHORT_WORDS else ""):
        members = list(group)
        if same and not same.isalnum() and same not in "«“\"'(" and len(members) >= MENU_SEGMENTS:
            for member in members:
                member.reason = member.reason or Reason.MENU
    run: list[_Segment] = []
    for segment in [*head, None]:
        if segment is not None and segment.words <= 3 and not segment.sentence:
            run.append(segment)
            continue
        known = sum(s.reason in _WIDGETS or s.reason is Reason.RUBRIC for s in run)
        if len(run) >= 4 and known >= 2:
            for member in run:
                member.reason = member.reason or Reason.MENU
        run = []


def _fragment(segment: _Segment) -> bool:
    return segment.words <= SHORT_WORDS and not segment.sentence


def _blocks(lines: list[list[_Segment]]) -> Iterable[list[_Segment]]:
    """Lines without a blank one between them."""
    block: list[_Segment] = []
    for line in lines:
        if not line and block:
            yield block
            block = []
        block.extend(line)
    if block:
        yield block


def _assemble(text: str, lines: list[list[_Segment]], segments: list[_Segment]) -> Cleaned:
    out: list[str] = []
    pieces: list[Piece] = []
    length = 0
    blank = False

    def put(piece: str) -> None:
        nonlocal length
        out.append(piece)
        length += len(piece)

    for line in lines:
        kept = [segment for segment in line if segment.reason is None]
        blank = blank or not line
        if not kept:
            continue
        if out:
            put("\n\n" if blank else "\n")
        blank = False
        position = kept[0].start
        for segment in kept:
            # Segments that were neighbours keep the spaces between them; across a gap one will do.
            between = text[position : segment.start]
            if between.strip(_OUTER):
                put(" ")
                position = segment.start
            for start, end in _seen(text, position, segment.end):
                pieces.append(Piece(length, length + end - start, start, end))
                put(text[start:end])
            position = segment.end
    dropped = tuple(_dropped(text, lines))
    return Cleaned("".join(out), OffsetMap.of(pieces), dropped)


def _dropped(text: str, lines: list[list[_Segment]]) -> Iterable[DroppedLine]:
    """What was dropped, neighbours on a line together where they were for one reason."""
    for line in lines:
        for reason, run in groupby(line, key=lambda segment: segment.reason):
            members = list(run)
            if reason is not None:
                start, end = members[0].start, members[-1].end
                yield DroppedLine(members[0].line, text[start:end], reason)


def _seen(text: str, start: int, end: int) -> Iterable[tuple[int, int]]:
    """The stretches of text[start:end] between characters that nobody sees."""
    for match in _UNSEEN.finditer(text, start, end):
        if match.start() > start:
            yield start, match.start()
        start = match.end()
    if start < end:
        yield start, end
