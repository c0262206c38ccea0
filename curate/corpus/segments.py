"""Stretches of a page's lines, and what can be said of one without looking at the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from curate.corpus.language import Words, fold
from curate.corpus.records import Reason

_LINE_END = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_SPACE = r"[ \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]"
_CONTROLS = "\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f"
UNSEEN = re.compile(f"[\u00ad\u200b\u2060\ufeff{_CONTROLS}]")
OUTER = "".join(
    char
    for char in map(chr, (*range(0x100), 0x1680, *range(0x2000, 0x2070), 0x3000, 0xFEFF))
    if char != "\n" and (re.match(_SPACE, char) or UNSEEN.match(char))
)
_WIDE = re.compile(rf"{_SPACE}{{3,}}|\t+")
_DOUBLE = re.compile(rf"{_SPACE}{{2,}}|\t+")
# Bounded, so that a megabyte of one character takes no hours; wider spaces part segments anyway.
_FEW = rf"{_SPACE}{{1,3}}"
_BAR = re.compile(rf"{_FEW}[|>›•·●■▪→/\\]{{1,2}}{_FEW}|(?:{_FEW})?(?:\||:::?|•|›)(?:{_FEW})?")
_ARROW = re.compile(rf"(?:{_FEW})?»(?:{_FEW})?")
WORD = re.compile(r"\w+(?:['’-]\w+)*")
_SENTENCE_END = re.compile(r"[.!?…:;]['\"»”’)\]\s\u00a0\u202f]*$")
FULL_STOP = re.compile(r"[.!?…]['\"»”’)\s\u00a0\u202f]*$")
_QUOTED = re.compile(r"«[^»]{0,1000}»|“[^”]{0,1000}”")
URL = re.compile(
    r"(?:https?://|ftp://|www\.)\S+|[^\s@]{1,64}@\S{1,250}\.\w+|@\w+|#\w+", re.IGNORECASE
)
_BRACKETED = re.compile(r"^(?:\s*\[[^\[\]]{0,40}\]\s*)+$")
# what a text browser makes of links and pictures: "[2]Home [3]News [4]Shop", "[IMG: x.jpg]"
_NUMBERED = re.compile(r"^(?:\[\d{1,3}\] ?[^\[\]]{1,40}){3,}$")
_EMBEDDED = re.compile(r"^\[(?:img|image|photo|video|inline|embed|iframe)\b[^\[\]]{0,80}\]$", re.I)
_PICTURED = re.compile(r"!\[[^\[\]]{0,200}\]\([^()\s]{0,500}\)")
_LINKED = re.compile(r"\[([^\[\]]{1,300})\]\([^()\s]{0,500}(?: \"[^\"]{0,200}\")?\)")
_HOUR = re.compile(r"\[?\d{1,2} ?[h:] ?\d{2}\]?")
_SLASH = re.compile(r" / ")
_RATED = re.compile(r"(?:[\[(]\s?\d\s?[\])]\s*){3,}")
_SENTENCES = re.compile(r"(?<=[.!?…])\s+")
_DASH = re.compile(rf"(?<!{_SPACE}){_SPACE}+[–—-]{_SPACE}+")
_HANDLE = re.compile(r"(?<!\w)@\w+")
_COPYRIGHT = re.compile(r"^\W*(?:©|\(c\)|copyright)", re.IGNORECASE)
NUMBER = re.compile(r"\d+")

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
class Segment:
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
    cell: bool = False

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
        return self.words >= SENTENCE_WORDS and not self.score and bool(FULL_STOP.search(self.text))


def split(text: str, words: Words, line_of: Callable[[int], int] | None) -> Iterable[list[Segment]]:
    """The segments of each line; an empty list for a blank one."""
    number, position = 1, 0
    for match in [*_LINE_END.finditer(text), None]:
        end = len(text) if match is None else match.start()
        place = number if line_of is None else line_of(position)
        yield _segments(text, place, position, end, words)
        if match is not None:
            position = match.end()
            number += match.group() in ("\n", "\r\n", "\r")


def _segments(text: str, number: int, start: int, end: int, words: Words) -> list[Segment]:
    line = text[start:end]
    if not line.strip(OUTER):
        return []
    cuts = [(m.start(), m.end()) for m in _WIDE.finditer(line)]
    found: list[Segment] = []
    position = 0
    for low, high in [*cuts, (len(line), len(line))]:
        piece = line[position:low]
        inner = piece.strip(OUTER)
        if inner:
            offset = start + position + piece.index(inner)
            at = _credit_at(inner, words)
            found.append(_segment(number, offset, inner[:at].rstrip(OUTER), words))
            if at < len(inner):
                found.append(_segment(number, offset + at, inner[at:], words))
                found[-1].reason = Reason.BYLINE
        position = high
    _menu([segment for segment in found if segment.reason is None])
    return found


def _credit_at(text: str, words: Words) -> int:
    """Where the photographer's credit begins that ends a caption: "The quay on Monday. Ph.: F.
    Guindo"; the length of the text where there is none.  A "© Site" stays with its caption."""
    if len(text) > _CAPTION_LENGTH:
        return len(text)
    for match in _CREDIT_STARTS.finditer(text):
        at = match.start(1)
        credit = text[at:].strip(" ()[]")
        if len(WORD.findall(text[:at])) < _CAPTION_WORDS or not credit:
            continue
        snapped = words.snapped.match(fold(credit)) and is_credit(credit, words)
        if len(WORD.findall(credit)) <= SHORT_WORDS and (snapped or _SHOUTED.match(credit)):
            return at
    return len(text)


_CAPTION_LENGTH = 300
_CAPTION_WORDS = 4
_CREDIT_STARTS = re.compile(rf"(?:[.!?…»”\"]{_SPACE}{{1,2}}|{_SPACE}(?=[(\[]))(?=[(\[\w])()")
# A photographer and an agency in capitals: "JEAN DUPONT POUR « LE MONDE »", "REUTERS/J. DOE"
_SHOUTED = re.compile(r"^[A-ZÀ-Þ][A-ZÀ-Þ.'’-]+(?:[ /]+[A-ZÀ-Þ.'’«»\u00a0-]+)+$")


def _segment(number: int, offset: int, text: str, words: Words) -> Segment:
    folded = fold(UNSEEN.sub("", text))
    # What somebody is quoted with is never a form.
    speech = fold(_QUOTED.sub(" ", UNSEEN.sub("", text)))
    strong = bool(words.forms.search(speech))
    weak = {m.group() for m in words.hints.finditer(speech)}
    reader = bool(words.readers.search(speech))
    count = len(WORD.findall(text))
    if strong and count > 12 and _asides(speech, words) == 1:
        strong = False
    # An address or a handle in a short line invites the reader, too.
    address = count <= 15 and bool(URL.search(text))
    return Segment(
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


def _menu(segments: list[Segment]) -> None:
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
            parts = [part for part in pattern.split(segment.text) if part.strip(OUTER)]
            if len(parts) >= least and all(
                len(WORD.findall(part)) <= longest and not part.rstrip(OUTER).endswith(".")
                for part in parts
            ):
                segment.reason = Reason.MENU
                return


def is_listing(segment: Segment) -> bool:
    """Whether dashes part four or more short names: "Une - Foot - Voile - Contact"."""
    parts = _DASH.split(segment.text)
    return (
        len(parts) > MENU_SEGMENTS
        and not segment.sentence
        and all(len(WORD.findall(part)) <= 3 for part in parts)
        and not NUMBER.search(segment.text)
    )


def _is_paragraph(segment: Segment) -> bool:
    """Whether a segment is more than the headline of another article: two sentences, or long."""
    ends = len(re.findall(r"[.!?…]['\"»”’)]*(?=\s|$)", segment.text))
    return segment.words >= 40 or (segment.words >= 15 and segment.sentence and ends >= 2)


def by_itself(segments: list[Segment], words: Words) -> None:
    """The rules that need to know nothing but the segment."""
    for segment in segments:
        if segment.reason is not None or segment.cell:
            continue
        folded = segment.folded
        if not any(map(str.isalnum, segment.text)):
            segment.reason = Reason.SYMBOLS
        elif _is_address(segment):
            segment.reason = Reason.URL
        elif _RATED.search(segment.text) and segment.words <= 12:
            segment.reason = Reason.FORM
        elif _EMBEDDED.match(segment.text):
            segment.reason = Reason.URL
        elif _NUMBERED.match(segment.text) or _is_trail(segment, words) or _is_link(segment.text):
            segment.reason = Reason.MENU
        elif _BRACKETED.match(segment.text) and segment.words <= 8:
            # One in brackets may be said of a transcript: "[Jingle]".
            if segment.text.count("[") > 1 or is_button(folded, words) or segment.score:
                segment.reason = Reason.MENU
        elif is_dateline(folded, words) or _HOUR.fullmatch(folded):
            segment.reason = Reason.BYLINE
        elif _is_form(segment, words):
            segment.reason = Reason.FORM


def _is_link(text: str) -> bool:
    """Whether most words of a line in Markdown are links; a heading may be one as a whole."""
    if "](" not in text or text.startswith("#"):
        return False
    text = _PICTURED.sub(" ", text)
    said = len(WORD.findall(_LINKED.sub(r" \1 ", text)))
    return 2 * len(WORD.findall(_LINKED.sub(" ", text))) < said


def _is_trail(segment: Segment, words: Words) -> bool:
    """Where the page hangs in its site: "Accueil / Culture / …", from a button on."""
    parts = _SLASH.split(segment.text, maxsplit=3)
    return len(parts) > 2 and segment.words <= 20 and is_button(fold(parts[0]), words)


def _is_address(segment: Segment) -> bool:
    """Nothing but an address, or one with a few words before it: "Source de la page : https://…"."""
    left = URL.sub(" ", segment.text)
    if left == segment.text:
        return False
    words = sum(not word.isdigit() for word in WORD.findall(left))
    return not words or (words <= 6 and left.rstrip().endswith((":", "depuis", "from", "→")))


def _is_form(segment: Segment, words: Words) -> bool:
    """Buttons, copyright lines, and lines whose words leave no doubt wherever they stand."""
    if not segment.text.endswith((".", "!", "?")) and is_button(segment.folded, words):
        return True
    if _COPYRIGHT.match(segment.text) and segment.words <= 20:
        return True
    if segment.strong:
        if segment.words > 12 and not _mostly_form(segment, words):
            return False
        long = segment.words <= NOTICE_WORDS and segment.score >= 5 and segment.reader
        return segment.words <= 20 or long
    return segment.score >= 4 and segment.reader and segment.words <= LONG_WORDS


def _mostly_form(segment: Segment, words: Words) -> bool:
    """Whether the sentences that hold words of forms are most of a line."""
    parts = _SENTENCES.split(fold(_QUOTED.sub(" ", UNSEEN.sub("", segment.text))))
    if len(parts) < 2:
        return True
    form = sum(len(part.split()) for part in parts if _form_like(part, words))
    return 2 * form >= sum(len(part.split()) for part in parts)


def _form_like(part: str, words: Words) -> bool:
    return any(p.search(part) for p in (words.forms, words.readers, words.hints))


def _asides(folded: str, words: Words) -> int:
    """Of three sentences or more, how many are like forms: one is an aside, as in "Sport. Sebha bat
    Koufra deux à un. Merci de votre fidélité."; 0 for fewer sentences."""
    parts = _SENTENCES.split(folded)
    return sum(_form_like(part, words) for part in parts) if len(parts) > 2 else 0


def is_hour(segment: Segment) -> bool:
    """Whether a line is the hour above an entry of a live page."""
    return segment.reason is Reason.BYLINE and bool(_HOUR.fullmatch(segment.folded))


def is_button(folded: str, words: Words) -> bool:
    folded = _HANDLE.sub(" ", folded)
    bare = " ".join(re.sub(r"[^\w'&.@ -]|(?<!\w)[.&@-]+(?!\w)", " ", folded).split())
    # "Tweet Partager", "3 réactions", "Lecture : 2 min": buttons and counters, nothing else.
    left = words.buttons.sub("", bare)
    if NUMBER.search(bare):
        left = re.sub(r"\b\d[\d .,]*[km]?\b", "", words.counters.sub("", left))
    return bool(bare) and not left.strip()


def is_dateline(folded: str, words: Words) -> bool:
    """Whether nothing but a date, a time and the words around them stands there."""
    left = re.sub(r"\d+|[^\w\s]", " ", words.counters.sub(" ", folded))
    tokens = left.split()
    if len(tokens) > DATELINE_WORDS or not NUMBER.search(folded) or _ROW_ENDS.search(folded):
        return False
    months = sum(bool(words.months.fullmatch(token)) for token in tokens)
    dated = months or re.search(r"\b\d{1,4}\s?[-/.]\s?\d{1,2}\s?[-/.]\s?\d{1,4}\b", folded)
    dated = dated or (len(tokens) > 1 and re.search(r"\b\d\d?:\d\d\b", folded))  # "Hier, à 21:14"
    return bool(dated) and all(
        words.months.fullmatch(t) or words.days.fullmatch(t) or words.datewords.fullmatch(t)
        for t in tokens
    )


# "Rim Saidani 21/02/2023 14:31"
_SIGNS = re.compile(r"^(?:[^\W\d_a-zß-ÿ][\w'’.-]+ ){2,3}(?=\W?\d)")
# a table's row: "12-18 août 46 3"
_ROW_ENDS = re.compile(r"[a-z] \d{1,3} \d{1,3}$")


def is_byline(segment: Segment, words: Words, edge: bool, head: bool = False) -> bool:
    """Who wrote or published, where and when; ``edge``: outside the article; ``head``: above it."""
    folded = segment.folded.lstrip(" -–—|(*•").strip()
    if _is_credit(segment, words) or _in_parts(segment, folded, words, edge):
        return True
    if segment.words <= SHORT_WORDS and not segment.sentence and words.senders.search(folded):
        return True
    if _is_date_and_name(segment, folded, words):
        return True
    signed = _SIGNS.match(segment.text) if segment.words <= DATELINE_WORDS else None
    if (
        signed
        and (head or _HOUR.search(folded))
        and is_dateline(fold(segment.text[signed.end() :]), words)
    ):
        return True
    place = _PLACED.match(segment.text)
    if head and place and is_dateline(fold(segment.text[place.end() :]), words):
        return True
    match = words.bylines.match(folded)
    if segment.words > BYLINE_WORDS or not match:
        return _is_rubric_with_date(folded, words) if edge else False
    if (_SIGNED.match(segment.text) and words.senders.search(folded)) or _NAMED.match(segment.text):
        return True
    dated = bool(words.months.search(folded) and NUMBER.search(folded)) or bool(
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


def _is_date_and_name(segment: Segment, folded: str, words: Words) -> bool:
    """ "Lundi 8 avril 2024, par Hajer Zouaghi": when, by whom, and perhaps for what section."""
    if segment.words > DATELINE_WORDS:
        return False
    for match in _BY_AFTER.finditer(folded):
        by = words.bylines.match(folded[match.end() :])
        if by and is_dateline(folded[: match.start()], words):
            names = segment.text[len(segment.text) - len(folded) + match.end() + by.end() :].split()
            return 0 < len(names) <= 5 and all(name[:1].isupper() for name in names[-2:])
    return False


_BY_AFTER = re.compile(r",? (?=[^\W\d])")


def is_named_below(above: Segment, segment: Segment) -> bool:
    """Whether a name stands under what announces it: "Par :", then "Lina Saadi"."""
    announced = above.reason is Reason.BYLINE and above.words <= 2 and above.text.endswith(":")
    return announced and 1 < segment.words <= 4 and segment.text.istitle()


# "Par Lina Saadi, chercheuse à l'Institut": who, comma, what they are; no verb has room there
_NAMED = re.compile(r"^\w+(?: [^\W\d_a-zà-ÿ][\w'’.-]*){2,4}, [a-zà-ÿ][^.!?;:]*$")
_SIGNED = re.compile(r"^[^,;:!?]*$")

_PARTS = re.compile(r"(?:(?<!\s)\s+)?[|·•]\s*|(?<!\s)\s+[/–—-]\s+")
_PLACED = re.compile(r"^[^\W\d_][\w'’-]*(?: [^\W\d_][\w'’-]*){0,2} ?[,:–—-] (?:le )?(?=\w)")


def _in_parts(segment: Segment, folded: str, words: Words, edge: bool) -> bool:
    """ "Agency | Published on …": who published stands beside when, and perhaps how often it was
    read."""
    parts = [part.strip() for part in _PARTS.split(folded) if part.strip()]
    if len(parts) < 2 or segment.words > DATELINE_WORDS:
        return False
    if not edge and len(parts) < 3 and ("|" not in folded or segment.words > BYLINE_WORDS):
        return False
    dates = [part for part in parts if _is_dated(part, words)]
    return bool(dates) and all(
        part in dates
        or len(part.split()) <= 3
        or words.bylines.match(part)
        or is_button(part, words)
        for part in parts
    )


def _is_dated(part: str, words: Words) -> bool:
    match = words.bylines.match(part)
    return is_dateline(part, words) or bool(match and is_dateline(part[match.end() :], words))


def _is_credit(segment: Segment, words: Words) -> bool:
    return segment.words <= SHORT_WORDS and is_credit(segment.text, words)


def is_credit(text: str, words: Words) -> bool:
    """Whether a short line says whose picture it is: "Photo : AFP", "Reuters/J. Doe"."""
    text = text.strip(" ()[]")
    if _AGENCY.match(text):
        return True
    match = words.credits.match(fold(text))
    if not match or fold(text)[match.end() :].lstrip()[:1] not in (":", "©", "/", "."):
        return False
    rest = _PICTURE.sub("", text, count=1)
    spoken = [word for word in WORD.findall(rest) if word.islower() and len(word) > 3]
    return bool(rest.strip(" .:/-–©")) and not spoken


_AGENCY = re.compile(r"^(?:[A-Z][\w.'’-]*+\s?){1,4}/\s?[A-Z]{2,6}$")
_PICTURE = re.compile(r"^[^:©/.]{1,25}(?:[:©/]|\.(?= ))\s*(?:[:©]\s*)?")


def _is_rubric_with_date(folded: str, words: Words) -> bool:
    match = words.rubrics.match(folded)
    return bool(match and is_dateline(folded[match.end() :], words))
