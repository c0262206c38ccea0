"""What a terminal may be shown: the one place that takes the sting out of others' words.

Document text, labels, ids, names of files, models and annotators come from anywhere.  A terminal
obeys escape sequences among them (titles, the clipboard, links, colours), rich obeys ``[red]`` and
``[link=…]``, and bidirectional controls show one thing where another is meant.  Consoles made here
print all of it as plain characters, whatever a command hands them: a text, a cell, a title or the
description of a progress bar.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.segment import Segment

_OBEYED = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls of C0 and C1, the tab and the line feed left
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u2060-\u2064\ufeff\ufff9-\ufffb"  # not seen
    "\u2028-\u202e\u2066-\u206f"  # line and paragraph ends, bidirectional controls
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"  # no characters at all
    "\U000e0000-\U000e007f"  # tags: unseen copies of ASCII
    "]"
)
"""U+200C and U+200D are not among them: they join emoji and letters, and do nothing else."""


def printable(text: str, *, one_line: bool = False) -> str:
    """The text with everything a terminal would obey, or not show, written as ``\\x1b``.

    With ``one_line`` line feeds and tabs, too, so that a name cannot begin a line of its own.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _OBEYED.sub(_escaped, text.replace("\r\n", "\n"))
    return text.replace("\n", "\\x0a").replace("\t", "\\x09") if one_line else text


def json_safe(text: str) -> str:
    """JSON text with the same characters as JSON's own escapes: it says the same."""
    return _OBEYED.sub(_unicode_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else hex(code)


def _unicode_escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """A console that takes words as words."""
    from rich.console import Console
    from rich.segment import Segment
    from rich.table import Table
    from rich.text import Text

    class PlainConsole(Console):
        """Strings are made harmless before they are measured, and whatever else draws text (a
        ``Text``, a progress bar) as it comes out."""

        def render_str(self, text: str, **options: Any) -> Text:
            options |= {"markup": False, "emoji": False, "highlight": False}
            return super().render_str(printable(text), **options)

        def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
            if isinstance(renderable, Table):
                for column in renderable.columns:
                    column.overflow = "fold"  # a narrow screen loses no word, only its look
            if isinstance(renderable, Text) and _OBEYED.search(renderable.plain):
                renderable = _plain(renderable)
            for segment in super().render(renderable, options):
                if segment.control is None and _OBEYED.search(segment.text):
                    yield Segment(printable(segment.text), segment.style)
                else:
                    yield segment

    def _plain(text: Text) -> Text:
        return Text(
            printable(text.plain),
            style=text.style,
            justify=text.justify,
            overflow=text.overflow,
            no_wrap=text.no_wrap,
            end=printable(text.end),
        )

    return PlainConsole(
        stderr=stderr, soft_wrap=soft_wrap, highlight=False, markup=False, emoji=False
    )


def echo(text: str) -> None:
    """Text for standard output that must stay as it is in a file or pipe, but not on a screen."""
    sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()
