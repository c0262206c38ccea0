"""The standard library's HTML parser, made to end in bounded time whatever the page.

By itself it looks for the end of each tag, comment and declaration that has none again and again,
to the end of the page each time: 30 kB of openings take seconds, a megabyte an hour.  A number of
thousands of digits in a reference makes it fail.
"""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

from curate.errors import DataError

MAX_DEPTH = 256
"""Elements open at once; a deeper one takes the place of the innermost, as browsers do at 512."""
MAX_PATHS = 8_000_000
"""Open elements summed over all blocks of text: a page of more would fill the memory."""
MAX_VAIN = 10_000_000
"""Characters looked through in vain for the end of something; after that the rest of the page
belongs to whatever is open, as browsers have it."""
MAX_ATTRIBUTES = 256
"""A page with a tag of more is read by its markup alone: libxml2 compares each with each."""
MAX_REFERENCE = 40
"""The longest named reference has 32 characters."""
_NUMBER = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{8,});?")


class PatientParser(HTMLParser):
    """Bounded: the scanning for ends, and the paths of open elements.

    ``attributes`` is the greatest number of attributes a tag had.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.attributes = 0
        self._vain = 0
        self._paths = 0

    def parse_starttag(self, i: int) -> int:
        try:
            end = super().parse_starttag(i)
        except ValueError:  # a reference to a number of thousands of digits in an attribute
            end = self.rawdata.find(">", i) + 1 or -1
        return self._bounded(i, end)

    def parse_endtag(self, i: int) -> int:
        return self._bounded(i, super().parse_endtag(i))

    def parse_comment(self, i: int, report: bool = True) -> int:
        return self._bounded(i, super().parse_comment(i, report))

    def parse_pi(self, i: int) -> int:
        return self._bounded(i, super().parse_pi(i))

    def parse_html_declaration(self, i: int) -> int:
        return self._bounded(i, super().parse_html_declaration(i))

    def _bounded(self, start: int, end: int) -> int:
        if end < 0:
            self._vain += len(self.rawdata) - start
            if self._vain > MAX_VAIN:
                return len(self.rawdata)
        return end

    def counted(self, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes = max(self.attributes, len(attrs))

    def path_of(self, stack: list[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
        """The open elements, to be kept.  Raises DataError where they are too many by now."""
        self._paths += len(stack)
        if self._paths > MAX_PATHS:
            raise DataError("its elements are nested too deeply to be an article; mend the page")
        return tuple(stack)


def unescape(reference: str) -> str:
    """What a reference (``&…``) stands for; a number beyond Unicode is U+FFFD, as in browsers."""
    if _NUMBER.fullmatch(reference):
        digits = reference[2:].rstrip(";").lower()
        digits = "x" + digits[1:].lstrip("0") if digits[0] == "x" else digits.lstrip("0")
        return html.unescape(f"&#{digits or '0'};") if len(digits) <= 8 else "\ufffd"
    return html.unescape(reference) if len(reference) <= MAX_REFERENCE else reference


def unescape_text(text: str) -> str:
    """Text with its references resolved; as it is where one is no number that Python takes."""
    try:
        return html.unescape(text)
    except ValueError:
        return text
