"""CSV: a header, then a document a row; streamed, whatever the file's size."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from curate.corpus.encoding import decide, mostly_utf8
from curate.corpus.records import Note
from curate.errors import DataError

MAX_FIELD = 32 * 1024 * 1024
"""Longest cell and longest physical line, in characters."""

_DELIMITERS = ",;\t"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """A row by column; ``line`` is the 1-based line of the file on which it starts."""

    line: int
    cells: dict[str, str]


def rows(path: Path, text_column: str) -> Iterator[Row | Note | DataError]:
    """The rows of a CSV file.

    The delimiter (comma, semicolon or tab) is the one by which the header has the text column;
    the encoding is decided like a page's.  A bad row is yielded as a DataError.  Raises DataError
    for a file that is empty or has no such column, and after a cell over ``MAX_FIELD``: nobody
    knows then where the next row starts.
    """
    encoding, note = _encoding(path)
    if note:
        yield Note(path, note)
    # Bytes that are no UTF-8 come out as surrogates: the row that holds them is refused, alone.
    errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
    with path.open("r", encoding=encoding, errors=errors, newline="") as stream:
        lines = _Lines(stream)
        first = next((line for line in lines if line.strip()), None)
        if first is None:
            raise DataError("the file is empty")
        delimiter = _delimiter(first, text_column)
        lines.give_back(first)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        _, header = _next(reader, lines)
        names = [name.strip() for name in header or ()]
        _check_header(names, text_column)
        while True:
            try:
                start, cells = _next(reader, lines)
                if cells is None:
                    return
                if not cells:
                    continue
                row = Row(start, _by_column(names, cells, start))
            except _LostError as error:
                raise DataError(error.message, path=path, line=error.line) from None
            except DataError as error:
                yield error.at(path)
                continue
            yield row


class _LostError(DataError):
    """After this nothing more can be read from the file."""


class _Lines:
    """Physical lines of bounded length, with the number of the last one."""

    def __init__(self, stream: TextIOWrapper) -> None:
        self.stream = stream
        self.number = 0
        self.held: str | None = None

    def give_back(self, line: str) -> None:
        self.held = line
        self.number -= 1

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        self.number += 1
        if self.held is not None:
            line, self.held = self.held, None
            return line
        try:
            line = self.stream.readline(MAX_FIELD + 1)
        except UnicodeError:
            raise _LostError(
                f"is not {self.stream.encoding} from here on; save the file as UTF-8",
                line=self.number,
            ) from None
        if not line:
            raise StopIteration
        if len(line) > MAX_FIELD:
            raise _LostError(
                f"the line is longer than {MAX_FIELD >> 20} million characters; split the document",
                line=self.number,
            )
        return line


def _next(reader: Iterator[list[str]], lines: _Lines) -> tuple[int, list[str] | None]:
    """The line on which the next row starts, and its cells; None at the end of the file."""
    start = lines.number + 1
    # The limit belongs to the process; it is ours only while we read.
    previous = csv.field_size_limit(MAX_FIELD)
    try:
        return start, next(reader, None)
    except csv.Error as error:
        if "field larger" in str(error):
            raise _LostError(
                f"a cell is longer than {MAX_FIELD >> 20} million characters, or its quotation "
                "mark is never closed; the rest of the file is not read",
                line=start,
            ) from None
        if "unexpected end" in str(error):
            raise _LostError(
                "a quotation mark that opens here is never closed", line=start
            ) from None
        raise DataError(f"malformed CSV: {error}", line=start) from None
    finally:
        csv.field_size_limit(previous)


def _by_column(names: list[str], cells: list[str], line: int) -> dict[str, str]:
    if len(cells) != len(names):
        raise DataError(f"the row has {len(cells)} cells, the header {len(names)}", line=line)
    for cell in cells:
        bad = next((char for char in cell if 0xDC80 <= ord(char) <= 0xDCFF), None)
        if bad is not None:
            raise DataError(
                f"byte 0x{ord(bad) - 0xDC00:02X} is not UTF-8; save the file as UTF-8", line=line
            )
    return dict(zip(names, cells, strict=True))


def _delimiter(header: str, text_column: str) -> str:
    best = ","
    for delimiter in _DELIMITERS:
        try:
            names = next(csv.reader([header], delimiter=delimiter), [])
        except csv.Error:
            continue
        if text_column in [name.strip() for name in names]:
            return delimiter
        if header.count(delimiter) > header.count(best):
            best = delimiter
    return best


def _check_header(names: list[str], text_column: str) -> None:
    if text_column not in names:
        known = ", ".join(repr(name) for name in names[:20])
        raise DataError(
            f"there is no column {text_column!r}; name the one that holds the text with "
            f"--text-column (the header has {known})",
            line=1,
        )
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise DataError(f"the column {twice!r} stands twice in the header", line=1)


def _encoding(path: Path) -> tuple[str, str]:
    """The encoding of the file, found by reading it through once in pieces."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as stream:
        chunk = stream.read(_CHUNK)
        if chunk.startswith(
            (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
        ):
            return decide(chunk[:4]).encoding, ""
        while chunk:
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                if mostly_utf8(chunk):
                    return "utf-8", ""
                decision = decide(chunk)
                return decision.encoding, decision.note
            chunk = stream.read(_CHUNK)
    return "utf-8", ""
