"""What reading files yields: documents, problems and notes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from curate.errors import DataError
from curate.model import Document
from curate.offsets import OffsetMap


class Reason(StrEnum):
    """Why cleaning left a line out."""

    MENU = "menu"
    FORM = "form"
    COMMENTS = "comments"
    RELATED = "related"
    BYLINE = "byline"
    RUBRIC = "rubric"
    URL = "url"
    SYMBOLS = "symbols"
    DUPLICATE = "duplicate"
    LANGUAGE = "language"
    BESIDE = "beside"
    OUTSIDE = "outside"

    @property
    def explanation(self) -> str:
        """The rule, in a sentence."""
        return _EXPLANATIONS[self]


_EXPLANATIONS = {
    Reason.MENU: "several short segments parted by wide spaces, bars or arrows",
    Reason.FORM: "words of forms, buttons, cookies, accounts, sharing or notices to the reader",
    Reason.COMMENTS: "follows the heading of the readers' comments",
    Reason.RELATED: "points at other articles",
    Reason.BYLINE: "says only who wrote or published, and when",
    Reason.RUBRIC: "names only the section of the site",
    Reason.URL: "nothing but an address, a handle or a hashtag",
    Reason.SYMBOLS: "holds no word",
    Reason.DUPLICATE: "repeats a line that was kept",
    Reason.LANGUAGE: "in another language or script than the corpus",
    Reason.BESIDE: "a fragment beside a menu or a form, outside the article",
    Reason.OUTSIDE: "outside the article by the page's markup",
}


@dataclass(frozen=True, slots=True)
class DroppedLine:
    """A line, or a segment of one, that cleaning left out.

    ``number`` is the 1-based line of the raw file on which it starts.
    """

    number: int
    text: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class RawPage:
    """A page as it came: its bytes, where from, and the encoding that decodes them.

    Offsets into the page count code points of ``content.decode(encoding)``.
    """

    content: bytes
    encoding: str
    path: str

    @property
    def text(self) -> str:
        return self.content.decode(self.encoding)


@dataclass(frozen=True, slots=True)
class Ingested:
    """A document read from a file.

    For pages, ``raw`` is the page and ``pieces`` maps the document's text into its decoded text;
    what was not found there is in no piece.  Records of JSONL and CSV have neither: their text is
    taken as it is.  ``path`` and ``line`` say where the record began.
    """

    document: Document
    path: Path
    line: int | None = None
    raw: RawPage | None = None
    pieces: OffsetMap | None = None
    dropped: tuple[DroppedLine, ...] = ()

    @property
    def mapped(self) -> float | None:
        """The share of the text's characters, white space aside, that the map leads home."""
        if self.pieces is None:
            return None
        text = self.document.text
        total = sum(not char.isspace() for char in text)
        found = sum(
            not char.isspace()
            for piece in self.pieces.pieces
            for char in text[piece.start : piece.end]
        )
        return found / total if total else None


@dataclass(frozen=True, slots=True)
class Note:
    """Something a reader decided that the user should know; nothing was lost by it."""

    path: Path
    text: str
    line: int | None = None

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.text}"
            if self.line is None
            else (f"{self.path}:{self.line}: {self.text}")
        )


Outcome = Ingested | Note | DataError
"""A DataError is a bad record: reported with file and line, while the rest goes on."""
