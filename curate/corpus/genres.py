"""What kinds of pages have of their own: feeds, forums and comments, printed pages, chronologies.

Each rule asks for evidence that the page is of the kind: a stamp that comes back, a table with
figures, dates that head paragraphs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby, pairwise

from curate.corpus.language import Words
from curate.corpus.records import Reason
from curate.corpus.segments import SHORT_WORDS, Segment, is_byline, is_dateline

_FEED_DATE = re.compile(
    r"^(?:(?:mon|tue|wed|thu|fri|sat|sun), )?\d{1,2} "
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\w* \d{4} \d\d?:\d\d(?::\d\d)?"
    r"(?: (?:[+-]\d{4}|[a-z]{1,4}))?$"
    r"|^\d{4}-\d\d-\d\d(?:t\d\d:\d\d\S*| \d\d:\d\d(?::\d\d)?)?$"
)
_FEED_TAG = re.compile(
    r"^</?(?:\?xml|rss|channel|item|entry|title|link|ttl|guid|pubdate|language|generator|image|url"
    r"|category|copyright|lastbuilddate|docs|cloud|author|managingeditor|\w+:\w+)\b[^<>]*>",
    re.IGNORECASE,
)
_FEED_KEY = re.compile(
    r"^(?:guid|link|lien|pubdate|category|categories|categorie|rubrique|dc:\w+|creator|ttl|language"
    r"|generator|permalink|enclosure|id)\s?: ?\S+(?: \S+){0,4}$"
)
_CLOCK = re.compile(r"\b(?:[01]?\d|2[0-3]) ?(?:h|:) ?[0-5]\d\b|\b\d{1,2} ?h\b")
_DATE = re.compile(r"\b\d{1,4} ?[-/.] ?\d{1,2} ?[-/.] ?\d{1,4}\b")
_PAGE_COUNT = re.compile(r"^(?:page|p\.?|-|–)? ?\d{1,3}(?: ?(?:sur|of|de|/) ?\d{1,3})?(?: ?[-–])?$")
_PAGE_OF = re.compile(r"\bpage \d{1,3} ?(?:sur|of|de|/) ?\d{1,3}\b")
# vBulletin: "16/06/2011, 06h41 #2"
_NUMBERED = re.compile(r"\d #\d{1,4}$")
_RULE = re.compile(r"^\W*_{4,}\W*$|^-- ?$")
_FIGURE = re.compile(r"^[-–+~<>≈(]?\s?\d|^[-–—]$")
_IN_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_YEAR = re.compile(r"^\W*(?:1[89]|20)\d\d\W*$")
_BARS = re.compile(r" [|⋅·•>›/] ")
TABLE_ROWS = 3
"""From how many rows on lines with equally many segments are a table and not menus."""
HEADLINE_WORDS = 18
_STAMP_WORDS = 12
_POST_WORDS = 40
_TITLE_WORDS = 25


def feeds(segments: list[Segment]) -> None:
    """Of a feed, the dates, keys and tags go, and each headline that no text follows."""
    meta = {i for i, segment in enumerate(segments) if _is_feed_meta(segment)}
    for i in meta:
        segments[i].reason = segments[i].reason or Reason.BYLINE
    places = meta | {i for i, s in enumerate(segments) if s.reason is Reason.URL}
    heads = [
        i - 1 for i in sorted(places) if i and i - 1 not in places and _is_headline(segments[i - 1])
    ]
    if len(heads) < 2:
        return
    for head in heads:
        after = head + 1
        while after < len(segments) and after in places:
            after += 1
        following = segments[after] if after < len(segments) else None
        if following is None or after in heads or following.reason is not None:
            segments[head].reason = Reason.RELATED


def _is_feed_meta(segment: Segment) -> bool:
    if segment.words > 25:
        return False
    return bool(
        _FEED_DATE.match(segment.folded)
        or _FEED_TAG.match(segment.text)
        or (_FEED_KEY.match(segment.folded) and not segment.sentence)
    )


def _is_headline(segment: Segment) -> bool:
    short = 2 <= segment.words <= HEADLINE_WORDS
    return segment.reason is None and short and not segment.text.rstrip().endswith(".")


def tables(lines: list[list[Segment]]) -> None:
    """Keep the rows of a table that stands under prose: three lines or more with equally many
    segments, figures among them in most."""
    prose = False
    for count, group in groupby(lines, key=len):
        rows = list(group)
        prose = prose or any(segment.prose for line in rows for segment in line)
        if count < 2 or len(rows) < TABLE_ROWS or not prose:
            continue
        figured = sum(any(_FIGURE.match(cell.text) for cell in row[1:]) for row in rows)
        if 3 * figured < 2 * len(rows) or any(cell.strong for row in rows for cell in row):
            continue
        for row in rows:
            for cell in row:
                cell.reason, cell.cell = None, True


def pages(lines: list[list[Segment]]) -> None:
    """Drop the running heads and feet of printed pages: lines that hold a page's number, and come
    back or count the pages."""
    heads: Counter[str] = Counter()
    numbered: list[list[Segment]] = []
    for line in lines:
        if not line or any(segment.cell for segment in line):
            continue
        beside = len(line) > 1 and any(_PAGE_COUNT.match(segment.folded) for segment in line)
        if beside or any(_PAGE_OF.search(s.folded) and s.words <= SHORT_WORDS for s in line):
            numbered.append(line)
            heads[_shape(line)] += 1
    for line in numbered:
        counts = any(_PAGE_OF.search(segment.folded) for segment in line)
        if (counts or heads[_shape(line)] > 1) and not any(segment.prose for segment in line):
            for segment in line:
                segment.reason = segment.reason or Reason.MENU
    # The letterhead that stands with the first page's number.
    block = next(_blocks(lines), [])
    if any(line in numbered and line[0].reason is Reason.MENU for line in block):
        for segment in (segment for line in block for segment in line):
            if not segment.prose:
                segment.reason = segment.reason or Reason.MENU


def _blocks(lines: list[list[Segment]]) -> Iterator[list[list[Segment]]]:
    for full, group in groupby(lines, key=bool):
        if full:
            yield list(group)


def _shape(line: list[Segment]) -> str:
    return re.sub(r"\d+", "9", " ".join(segment.folded for segment in line))


def chronologies(segments: list[Segment], first: int, last: int, words: Words) -> None:
    """Give back dates and years that head paragraphs, where two or more do."""
    heads: list[int] = []
    for i in range(last - 1, max(first - 1, 0) - 1, -1):
        below = segments[i + 1].reason is None or heads[:1] == [i + 1]  # a year over a day
        if (
            below
            and segments[i].reason in (Reason.BYLINE, Reason.FORM)
            and (_YEAR.match(segments[i].text) or _is_day(segments[i], words))
            and not (i and _is_name(segments[i - 1]))
        ):
            heads.insert(0, i)
    inside = [i for i in heads if i > first]
    if len(inside) < 2:
        return
    shapes = {_date_shape(segments[i].folded, words) for i in inside}
    for i in heads:
        if i > first or _date_shape(segments[i].folded, words) in shapes:
            segments[i].reason, segments[i].cell = None, True


def _is_name(segment: Segment) -> bool:
    """Whether a line may name who wrote what stands under the date below it."""
    small = segment.words <= 4 and not segment.text.endswith((".", "!", "?", "…"))
    return small and segment.reason in (None, Reason.COMMENTS)


def _is_day(segment: Segment, words: Words) -> bool:
    published = words.bylines.match(segment.folded) or words.posted.match(segment.folded)
    if _CLOCK.fullmatch(segment.folded):
        return False  # the hour of an entry of a live page
    counted = words.counters.search(segment.folded) and not _CLOCK.search(segment.folded)
    return is_dateline(segment.folded, words) and not published and not counted


def _date_shape(folded: str, words: Words) -> str:
    return re.sub(r"\d", "9", words.days.sub("day", words.months.sub("month", folded)))


def posts(segments: list[Segment], first: int, words: Words) -> None:
    """Keep the first post of a thread, and the article before its comments.

    A stamp is a short line that says who wrote and when.  In a thread one stands above the first
    post, too; elsewhere two must follow most of the prose.
    """
    stamps = {i: kind for i in range(len(segments)) if (kind := _stamp(segments, i, words))}
    if not stamps or first < 0:
        return
    _signatures(segments)
    opening = min(stamps)
    above = sum(s.words for s in segments[:opening] if s.prose)
    if opening > first and above <= _TITLE_WORDS and len(stamps) > 1:
        # The thread's title may read like a sentence, and stand above the first stamp.
        first = opening + 1 if stamps[opening] == "posted" else first
    later = [i for i in stamps if i > first]
    dated = sum(stamps[i] != "said" for i in later)
    posted = {kind for i, kind in stamps.items() if i < first} & {"posted", "under"}
    thread = bool(posted) and any(stamps[i] in posted for i in later)
    if not thread and dated < 2:
        return
    begin = later[0]
    before = sum(s.words for s in segments[:begin] if s.prose)
    after = sum(s.words for s in segments[begin:] if s.prose)
    if before < (_POST_WORDS if thread else after):
        return
    if thread and 3 * before < after:
        return
    if thread:
        for i in stamps:
            if i < first and segments[i - 1].words <= 2:
                segments[i - 1].reason = segments[i - 1].reason or Reason.BYLINE
    # The writer's name may stand in the line above.
    if begin > 0 and segments[begin - 1].words <= 3 and not segments[begin - 1].sentence:
        begin -= 1
    for segment in segments[begin:]:
        segment.reason = segment.reason or Reason.COMMENTS


def _stamp(segments: list[Segment], i: int, words: Words, clock: bool = True) -> str:
    """The kind of stamp that a segment is: "posted" ("Posté le …"), "under" a name, "named"
    ("Sam, le …"), "said" ("Sam a écrit :"); "" for none."""
    segment = segments[i]
    folded = segment.folded
    if segment.words > _STAMP_WORDS:
        return ""
    if folded.endswith(":") and words.speakers.search(folded):
        return "said" if segment.words <= 4 else ""
    named = words.months.search(folded) or _IN_YEAR.search(folded)
    dated = bool(_DATE.search(folded)) or (bool(named) and bool(re.search(r"\d", folded)))
    if not dated or (clock and not _CLOCK.search(folded)):
        return ""
    # "par Sam » 2 févr. 2019, 19:55" is how phpBB stamps a post
    posted = words.posted.match(folded) or (" » " in folded and words.bylines.match(folded))
    if words.bylines.match(folded) and not posted:
        return ""
    left = re.sub(r"\d+|[^\w\s]", " ", _CLOCK.sub(" ", _DATE.sub(" ", folded))).split()
    names = [
        t
        for t in left
        if not (
            words.months.fullmatch(t) or words.days.fullmatch(t) or words.datewords.fullmatch(t)
        )
    ]
    if posted or _NUMBERED.search(folded):
        return "posted"
    if names:
        return "named" if len(names) <= 4 and not segment.sentence else ""
    above = segments[i - 1] if i else None
    under = above is not None and (
        (above.words <= 2 and not above.sentence) or _stamp(segments, i - 1, words) == "said"
    )
    return "under" if under else ""


def signed(segments: list[Segment], i: int, words: Words) -> bool:
    """Whether a segment is a reader's stamp."""
    return bool(_stamp(segments, i, words, clock=False))


def _signatures(segments: list[Segment]) -> None:
    """What stands under a rule of a thread's post, up to its buttons, is the writer's motto."""
    for i, segment in enumerate(segments):
        if not _RULE.match(segment.text):
            continue
        segment.reason = segment.reason or Reason.SYMBOLS
        for later in segments[i + 1 : i + 4]:
            if later.reason is not None or later.words > HEADLINE_WORDS:
                break
            later.reason = Reason.BESIDE


def is_writer(segments: list[Segment], i: int) -> bool:
    """Whether a line is just a name, right under a longer line."""
    name, above = segments[i], segments[i - 1] if i else None
    return (
        name.reason is None
        and 2 <= name.words <= 4
        and name.text.replace("’", "").replace("'", "").istitle()
        and above is not None
        and above.reason is None
        and above.words >= 4
    )


def about_writers(segments: list[Segment], last: int, words: Words) -> None:
    """Drop what says of the writer who they are: a sentence that begins with their name, right
    under "Par …" or at the article's end."""
    for i, segment in enumerate(segments):
        match = words.bylines.match(segment.folded)
        if segment.reason is not Reason.BYLINE and not _is_by(segment, words):
            continue
        # "Par Lina Saadi": without the word before, too
        name = _name_in(segment, match.end() if match else 0).split()
        own = tuple(" ".join(name[k:]) + " " for k in range(max(len(name) - 1, 0)))
        if not own:
            continue
        for j, later in enumerate(segments):
            said = later.text.startswith(own) and later.words > 5 and j != i
            if said and later.reason is None and (0 < j - i <= 2 or j >= last > i):
                later.reason = Reason.BESIDE


def _is_by(segment: Segment, words: Words) -> bool:
    return segment.words <= _STAMP_WORDS and is_byline(segment, words, True, True)


_NAME = re.compile(
    r"[^\W\d_a-zß-ÿ][\w'’.-]{1,60}(?: (?:[^\W\d_a-zß-ÿ][\w'’.-]{0,60}|ag|ould|mint|ben|al))+"
)


def _name_in(segment: Segment, after: int) -> str:
    """The last stretch of capitalised words of a byline."""
    found = _NAME.findall(segment.text, min(after, len(segment.text)))
    return str(found[-1]) if found else ""


_ABOVE = frozenset({Reason.MENU, Reason.URL, Reason.LANGUAGE})


def names(segments: list[Segment], first: int) -> None:
    """Drop the site's name: short lines above the first menu, where a longer one, the title,
    follows it."""
    menu = [
        i
        for i, s in enumerate(segments[: max(first, 0)])
        if (s.reason in _ABOVE and not _IN_YEAR.search(s.folded))
        or (s.reason is Reason.FORM and len(_BARS.findall(s.text)) > 1)
    ]
    if not menu:
        return
    above = [i for i in range(menu[0]) if segments[i].reason is None]
    titles = [
        s.words
        for i, s in enumerate(segments[: first + 1])
        if i > menu[0] and s.reason is None and (i < first or s.words <= HEADLINE_WORDS)
    ]
    if not titles or not above:
        return
    for i in above:
        segment = segments[i]
        if segment.words <= 6 and max(titles) >= 4 and max(titles) > segment.words:
            segment.reason = Reason.BESIDE


def site_name(segments: list[Segment], first: int) -> None:
    """Drop a short line above a longer title that the page's furniture repeats ("© 2021 Agence du
    Fleuve", "Agence du Fleuve - Politique"), or that a menu parts from a title which is signed.

    A letterhead in capitals is the text's own.
    """
    head = [i for i in range(max(first, 0)) if segments[i].reason is None]
    if len(head) < 2 or any(segments[i].text.isupper() for i in head):
        return
    _above_signed(segments, head)
    top = head[0]
    name = segments[top]
    if name.words > _SITE_WORDS or name.sentence or name.text[:1] in '«“"':
        return
    titles = [i for i in head[1:] if segments[i].words > max(name.words, 3)]
    if not titles:
        return
    title = titles[0]
    bare = _bare(name.folded.split(" (")[0])
    furniture = [_bare(s.folded) for s in segments if s.reason in _SAID_AGAIN]
    repeated = len(bare) > 4 and any(
        f" {bare} " in f" {line} " and _bare(segments[title].folded) not in line
        for line in furniture
    )
    between = {segments[i].reason for i in range(top + 1, title)}
    signed_below = any(s.reason is Reason.BYLINE for s in segments[title + 1 : title + 4])
    parted = bool(between & {Reason.MENU, Reason.RUBRIC, Reason.FORM}) and signed_below
    if repeated or (parted and Reason.BYLINE not in between):
        name.reason = Reason.BESIDE


def _above_signed(segments: list[Segment], head: list[int]) -> None:
    """Above a title that is signed right below, what furniture parts from it is the site's own."""
    signed = [
        i
        for i in head[1:]
        if 4 <= segments[i].words <= HEADLINE_WORDS
        and not segments[i].text.endswith(".")
        and segments[i + 1].reason is Reason.BYLINE
    ]
    if not signed:
        return
    for i in head:
        between = {s.reason for s in segments[i + 1 : signed[0]]}
        short = segments[i].words <= SHORT_WORDS and not segments[i].sentence
        if short and between & _PARTING and Reason.BYLINE not in between:
            segments[i].reason = segments[i].reason or Reason.BESIDE


_PARTING = frozenset({Reason.MENU, Reason.FORM, Reason.RUBRIC, Reason.RELATED})
_SITE_WORDS = 6
_SAID_AGAIN = frozenset({Reason.FORM, Reason.MENU, Reason.BYLINE, Reason.COMMENTS, Reason.BESIDE})


def _bare(folded: str) -> str:
    return " ".join(re.findall(r"\w+", folded))


def tickers(segments: list[Segment], first: int) -> None:
    """Drop the latest news above the article: two lines or more that begin with their hour."""
    run: list[Segment] = []
    for segment in [*segments[: max(first, 0)], None]:
        timed = segment is not None and _TIMED.match(segment.folded)
        if segment is not None and timed and segment.words <= HEADLINE_WORDS:
            run.append(segment)
            continue
        if len(run) > 1:
            for member in run:
                member.reason = member.reason or Reason.RELATED
        run = []


_TIMED = re.compile(r"\d\d?[:h]\d\d[ |–-]+(?=[^\W\d])")
_AFTER_GAP = 3.0
_GAP = 4.0
_REPEATED = 3


def epilogues(segments: list[Segment]) -> None:
    """Drop the little prose that follows much furniture, with little more after it.

    A gap counts one for each line of furniture and a half for each fragment between two lines of
    prose; lines that come back three times or more are the buttons of a live page's entries, and
    count nothing.  What follows a gap of four and more goes if it is shorter in tens of words than
    two thirds of the gap, and a third of what precedes it.
    """
    keys = Counter(_bare(segment.folded) for segment in segments)
    prose = [i for i, segment in enumerate(segments) if segment.prose]
    before = 0.0
    total = sum(segments[i].words for i in prose) / 10
    for i, following in pairwise(prose):
        before += segments[i].words / 10
        gap = sum(
            _weight(s) for s in segments[i + 1 : following] if keys[_bare(s.folded)] < _REPEATED
        )
        after = total - before
        if gap >= _GAP and 3 * after <= 2 * gap and _AFTER_GAP * after <= before:
            for later in segments[following:]:
                if later.prose:
                    later.reason = Reason.BESIDE
            return


def _weight(segment: Segment) -> float:
    if segment.cell:
        return 0.0
    if segment.reason in _GAPS:
        return 1.0
    return 0.5 if segment.reason is None and not segment.sentence else 0.0


_GAPS = frozenset({Reason.FORM, Reason.MENU, Reason.RELATED, Reason.COMMENTS, Reason.URL})
