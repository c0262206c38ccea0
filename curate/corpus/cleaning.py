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

from curate.corpus import genres
from curate.corpus.language import Words, is_foreign, main_script, words_of
from curate.corpus.records import DroppedLine, Reason
from curate.corpus.segments import (
    FULL_STOP,
    LONG_WORDS,
    MENU_SEGMENTS,
    NOTICE_WORDS,
    NUMBER,
    OUTER,
    SHORT_WORDS,
    UNSEEN,
    Segment,
    by_itself,
    is_button,
    is_byline,
    is_hour,
    is_listing,
    is_named_below,
    split,
)
from curate.offsets import OffsetMap, Piece


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
    lines = list(split(text, words, line_of))
    segments = [segment for line in lines for segment in line]
    genres.tables(lines)
    genres.pages(lines)
    by_itself(segments, words)
    genres.feeds(segments)
    genres.posts(segments, _zone(segments)[0], words)
    _comments(segments, _zone(segments)[0], words)
    _related(lines, segments, _zone(segments)[0], words)
    _teasers(lines, segments, words)
    genres.about_writers(segments, _zone(segments)[1], words)
    genres.tickers(segments, _zone(segments)[0])
    genres.epilogues(segments)
    # What one pass drops may show the next where the article really ends.
    _at_edges(segments, *_zone(segments), words)
    _duplicates(segments)
    _foreign(segments, *_zone(segments), words.language)
    _at_edges(segments, *_zone(segments), words)
    _beside(lines, segments, *_zone(segments))
    genres.names(segments, _zone(segments)[0])
    genres.site_name(segments, _zone(segments)[0])
    genres.chronologies(segments, *_zone(segments), words)
    return _assemble(text, lines, segments)


def _zone(segments: list[Segment]) -> tuple[int, int]:
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
        full = segment.words >= 4 and not segment.score and FULL_STOP.search(segment.text)
        if segment.reason is None and full:
            last = i
    return prose[0], last


def _at_edges(segments: list[Segment], first: int, last: int, words: Words) -> None:
    """Before and after the article less evidence is asked for."""
    for i, segment in enumerate(segments):
        if segment.reason is not None or segment.cell:
            continue
        head, tail = i < first, i > last
        if is_byline(segment, words, head or tail, head) or (
            head and i and is_named_below(segments[i - 1], segment)
        ):
            segment.reason = Reason.BYLINE
        elif (
            (head or tail)
            and (segment.score >= _needed(segment) or _is_contact(segment))
            and not (i and segment.sentence and is_hour(segments[i - 1]))
        ):
            segment.reason = Reason.FORM
        elif (head or tail) and _is_rubric(segment, words):
            segment.reason = Reason.RUBRIC
        elif (head or tail) and segment.words > 1 and is_button(segment.folded, words):
            segment.reason = Reason.FORM  # "Qui sommes-nous ?"
        elif ((head or tail) and is_listing(segment)) or (head and _is_row(segment, words)):
            segment.reason = Reason.MENU
        elif tail and _is_command(segment, words):
            segment.reason = Reason.FORM


def _is_row(segment: Segment, words: Words) -> bool:
    """Whether names in capitals stand in a row, a button first: "Accueil Culture Société"."""
    names = segment.text.split()
    capitals = sum(name[:1].isupper() for name in names)
    plain = not segment.sentence and segment.text.replace(" ", "").isalpha()
    return (
        plain
        and len(names) > 2
        and 2 * capitals >= len(names)
        and is_button(segment.folded.split()[0], words)
    )


def _is_rubric(segment: Segment, words: Words) -> bool:
    """Whether a line names a section, or a section and one of its own: "Opinions – Tribune"."""
    bare = segment.folded.strip(" -:|>")
    parts = [part.strip() for part in _PARTED.split(bare)] if segment.words <= 4 else [bare]
    return all(
        words.rubrics.fullmatch(part) or words.rubrics.fullmatch(part.removesuffix("s"))
        for part in parts
    )


_PARTED = re.compile(r" [-/|>,•·] ")
_PHONE = re.compile(
    r"\b(?:tel|telephone|phone|fax|sms|whatsapp|gsm|mobile|mob)\b[^\d]{0,12}[+\d][\d .()/-]{3,}"
)


def _is_contact(segment: Segment) -> bool:
    """Whether a short line says where to call."""
    return segment.words <= 25 and bool(_PHONE.search(segment.folded))


def _is_command(segment: Segment, words: Words) -> bool:
    """Whether a short line says what can be done with the page: "Citer cette publication"."""
    begins = words.commands.match(segment.folded.lstrip(_BULLETS))
    return bool(begins) and segment.words <= SHORT_WORDS and not segment.sentence


def _needed(segment: Segment) -> int:
    """How much evidence makes a line outside the article a form; a sentence needs more."""
    if segment.words > NOTICE_WORDS:
        return 6
    spoken = segment.reader or segment.strong
    if segment.words >= LONG_WORDS and not spoken:
        return 5
    return 2 if segment.words <= 12 or (spoken and segment.words <= LONG_WORDS) else 3


_TITLE_WORDS = 4
_READERS = frozenset({Reason.FORM, Reason.BYLINE, Reason.URL})


def _comments(segments: list[Segment], first: int, words: Words) -> None:
    """After the heading of the comments nothing is article, unless most of the prose follows it."""
    for i, segment in enumerate(segments):
        bare = re.sub(r"[^\w' ]|\d", " ", segment.folded)
        heading = " ".join(bare.split())
        closing = bool(words.closings.fullmatch(heading))
        begins = bool(words.comments.match(heading)) and bool(NUMBER.match(segment.folded))
        if i <= first or not (closing or begins or words.comments.fullmatch(heading)):
            continue
        before = sum(s.words for s in segments[:i] if s.prose)
        after = sum(s.words for s in segments[i:] if s.prose)
        # "Réactions" may head a part of the article: nobody signs below, and no form stands.
        sure = NUMBER.search(segment.folded) or any(
            s.strong or s.reason in _READERS or genres.signed(segments, i + 1 + n, words)
            for n, s in enumerate(segments[i + 1 : i + 4])
        )
        if before >= (after if sure and not closing else 3 * after):
            segment.reason = segment.reason or Reason.COMMENTS
            for later in segments[i + 1 :]:
                later.reason = later.reason or Reason.COMMENTS
            return


def _teasers(lines: list[list[Segment]], segments: list[Segment], words: Words) -> None:
    """A "Lire aussi" with a title takes the sentence along that stands alone with it, no blank
    line between."""
    for block in _blocks(lines):
        head, rest = block[0], block[1:]
        named = head.reason is Reason.RELATED and words.related.match(head.folded.lstrip(_BULLETS))
        if named and 0 < len(rest) <= 2 and all(s.words <= LONG_WORDS for s in rest):
            for segment in rest:
                segment.reason = segment.reason or Reason.RELATED


_BULLETS = " >-–—•*[(|→►▶»■●▪+#_"
_AFTER_HEADING = ":>-–—|•)]→»_"


def _related(lines: list[list[Segment]], segments: list[Segment], first: int, words: Words) -> None:
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
        if i < first and following is not None and is_byline(following, words, True):
            continue  # the title: under it stands who wrote it
        if listing and segment.reason is None:
            if segment.words <= 18 and not segment.text.rstrip().endswith((".", "»", "”")):
                segment.reason = Reason.RELATED
                begun = block if begun is None else begun
            else:
                listing = False
    # A list above the article runs on to its title; the title is given back.
    head = segments[: max(first, 0)]
    if not any(s.reason is None and not is_byline(s, words, True) for s in head):
        listed = [s for s in head if s.reason is Reason.RELATED and s.words >= 4]
        if listed and not words.related.match(listed[-1].folded.lstrip(_BULLETS)):
            listed[-1].reason = None


def _duplicates(segments: list[Segment]) -> None:
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


def _foreign(segments: list[Segment], first: int, last: int, language: str) -> None:
    left = [i for i, segment in enumerate(segments) if segment.reason is None]
    script = main_script(" ".join(segments[i].text for i in left))
    for i in left:
        if is_foreign(segments[i].text, language, script, inside=first < i < last):
            segments[i].reason = Reason.LANGUAGE


_WIDGETS = frozenset({Reason.MENU, Reason.FORM, Reason.COMMENTS})
_RUBRICS = _WIDGETS | {Reason.RUBRIC}
_KNOWN = _RUBRICS | {Reason.BYLINE}
_ENDS = _KNOWN | {Reason.RELATED}


def _beside(lines: list[list[Segment]], segments: list[Segment], first: int, last: int) -> None:
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
        # Above when it was published stands who wrote it, where the title stands above that.
        for i in head[1:]:
            if segments[i].reason is Reason.BYLINE and genres.is_writer(segments, i - 1):
                segments[i - 1].reason = Reason.BYLINE
        # Under who wrote it and when stand the section and the views.
        signed = [i for i in head if segments[i].reason is Reason.BYLINE]
        if signed and not inside:
            below = [i for i in head if i > signed[0] and segments[i].words <= 4]
            _drop_fragments(segments, [i for i in below if i not in titles])
    # The article may be signed; from the first line that is not its own on, nothing is.
    ended = False
    for segment in segments[last + 1 :]:
        if segment.reason in _ENDS or segment.reason is Reason.BESIDE:
            ended = True
        elif ended and segment.reason is None and segment.words <= 15:
            segment.reason = Reason.BESIDE


def _titles(head: list[Segment]) -> set[int]:
    """Where the article's title may stand: the last line left above the article that is no mere
    name, and each line right above who wrote it and when."""
    left = [i for i, segment in enumerate(head) if segment.reason is None]
    above = {
        i
        for i in left
        if head[i].words > 1 and i + 1 < len(head) and head[i + 1].reason is Reason.BYLINE
    }
    long = [i for i in left if head[i].words >= _TITLE_WORDS]
    return above | set((long or left)[-1:])


def _mostly(segments: list[Segment], places: list[int], reasons: frozenset[Reason]) -> bool:
    known = sum(segments[i].reason in reasons for i in places)
    return bool(known) and 2 * known >= len(places)


def _drop_fragments(segments: list[Segment], places: list[int]) -> None:
    for i in places:
        if segments[i].reason is None and _fragment(segments[i]):
            segments[i].reason = Reason.BESIDE


def _column(head: list[Segment]) -> None:
    """A menu that stands upright above the title: four or more lines of up to three words, two of
    them known as buttons or sections, blank lines between them or not; or three that begin with
    the same sign."""
    for same, group in groupby(head, key=lambda s: s.text[:1] if s.words <= SHORT_WORDS else ""):
        members = list(group)
        if same and not same.isalnum() and same not in "«“\"'(" and len(members) >= MENU_SEGMENTS:
            for member in members:
                member.reason = member.reason or Reason.MENU
    run: list[Segment] = []
    for segment in [*head, None]:
        if segment is not None and segment.words <= 3 and not segment.sentence:
            run.append(segment)
            continue
        known = sum(s.reason in _WIDGETS or s.reason is Reason.RUBRIC for s in run)
        if len(run) >= 4 and known >= 2:
            for member in run:
                member.reason = member.reason or Reason.MENU
        run = []


def _fragment(segment: Segment) -> bool:
    return segment.words <= SHORT_WORDS and not segment.sentence


def _blocks(lines: list[list[Segment]]) -> Iterable[list[Segment]]:
    """Lines without a blank one between them."""
    block: list[Segment] = []
    for line in lines:
        if not line and block:
            yield block
            block = []
        block.extend(line)
    if block:
        yield block


def _assemble(text: str, lines: list[list[Segment]], segments: list[Segment]) -> Cleaned:
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
            if between.strip(OUTER):
                put(" ")
                position = segment.start
            for start, end in _seen(text, position, segment.end):
                pieces.append(Piece(length, length + end - start, start, end))
                put(text[start:end])
            position = segment.end
    dropped = tuple(_dropped(text, lines))
    return Cleaned("".join(out), OffsetMap.of(pieces), dropped)


def _dropped(text: str, lines: list[list[Segment]]) -> Iterable[DroppedLine]:
    """What was dropped, neighbours on a line together where they were for one reason."""
    for line in lines:
        for reason, run in groupby(line, key=lambda segment: segment.reason):
            members = list(run)
            if reason is not None:
                start, end = members[0].start, members[-1].end
                yield DroppedLine(members[0].line, text[start:end], reason)


def _seen(text: str, start: int, end: int) -> Iterable[tuple[int, int]]:
    """The stretches of text[start:end] between characters that nobody sees."""
    for match in UNSEEN.finditer(text, start, end):
        if match.start() > start:
            yield start, match.start()
        start = match.end()
    if start < end:
        yield start, end
