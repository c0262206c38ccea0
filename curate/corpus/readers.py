"""Files to documents, by the file's extension; what is bad is yielded, and the rest goes on.

Text and HTML pages are cleaned; the text of JSONL and CSV records is taken as it is, in NFC.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.corpus import tables
from curate.corpus.cleaning import clean
from curate.corpus.encoding import decide, decode
from curate.corpus.language import language_of
from curate.corpus.markup import article
from curate.corpus.records import DroppedLine, Ingested, Note, Outcome, RawPage, Reason
from curate.errors import DataError, DiskError
from curate.interchange import check_storable, read_lines
from curate.model import Document
from curate.offsets import OffsetMap, to_nfc

MAX_PAGE_BYTES = 16 * 1024 * 1024
"""A larger page is refused: no article is, and a reader must bound its memory."""

PAGES = frozenset({".txt", ".html", ".htm"})
SUFFIXES = PAGES | {".jsonl", ".csv"}
_KNOWN = "known are .txt, .html, .htm, .jsonl and .csv"
_MADE_TEXT_BY = {
    ".pdf": "pdftotext FILE.pdf",
    ".docx": "pandoc -t plain -o FILE.txt FILE.docx",
    ".odt": "pandoc -t plain -o FILE.txt FILE.odt",
    ".rtf": "pandoc -f rtf -t plain -o FILE.txt FILE.rtf",
}
_ANNOTATIONS = ("entities", "relations", "chains")


@dataclass(frozen=True, slots=True)
class Options:
    """``language`` (ISO 639-1) of the corpus; the columns or keys of records."""

    language: str
    text_column: str = "text"
    id_column: str = "id"


@dataclass(frozen=True, slots=True)
class Found:
    """A file to read; ``name`` is its path relative to the folder that was asked for."""

    path: Path
    name: str


def discover(paths: Iterable[Path]) -> Iterator[Found | Note | DataError]:
    """The files at these paths, folders searched through in sorted order.

    Hidden files and folders are passed over; so are files of unknown kinds inside a folder, with
    a note.  A path that is missing or of an unknown kind is yielded as a DataError.
    """
    for path in paths:
        if path.is_dir():
            yield from _inside(path)
        elif not path.exists():
            yield DataError("there is no such file or folder", path=path)
        elif path.suffix.lower() not in SUFFIXES:
            yield DataError(
                f"is of a kind that curate does not read; {_KNOWN}{_hint(path)}", path=path
            )
        elif not path.is_file():
            yield DataError("is no regular file", path=path)
        else:
            yield Found(path, path.name)


def _inside(folder: Path) -> Iterator[Found | Note | DataError]:
    problems: list[DataError] = []

    def refused(error: OSError) -> None:
        problems.append(DiskError(f"cannot be read: {error.strerror}", path=str(error.filename)))

    files: list[tuple[str, Path]] = []
    for root, folders, names in os.walk(folder, onerror=refused):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(root) / name
            if not name.startswith(".") and path.is_file():
                files.append((path.relative_to(folder).as_posix(), path))
    yield from problems
    readable = False
    for name, path in sorted(files):
        if path.suffix.lower() in SUFFIXES:
            readable = True
            yield Found(path, name)
        else:
            yield Note(path, f"passed over: curate does not read this kind; {_KNOWN}{_hint(path)}")
    if not readable and not problems:
        hints = sorted({_hint(path) for _, path in files})
        yield DataError(
            f"the folder holds no file that curate reads; {_KNOWN}{''.join(hints)}", path=folder
        )


def _hint(path: Path) -> str:
    """What makes text of a file of that kind."""
    made = _MADE_TEXT_BY.get(path.suffix.lower())
    return f"; `{made}` makes text of {path.suffix.lower()[1:].upper()}" if made else ""


def read(found: Found, options: Options) -> Iterator[Outcome]:
    """The documents of one file, its problems with file and line, and notes."""
    suffix = found.path.suffix.lower()
    try:
        if suffix in PAGES:
            yield from _page(found, options, html=suffix != ".txt")
        elif suffix == ".jsonl":
            yield from _jsonl(found, options)
        else:
            yield from _csv(found, options)
    except DataError as error:
        yield error.at(found.path)
    except OSError as error:
        yield DiskError(f"cannot be read: {error.strerror}", path=found.path)


def _page(found: Found, options: Options, *, html: bool) -> Iterator[Outcome]:
    with found.path.open("rb") as stream:
        content = stream.read(MAX_PAGE_BYTES + 1)
    if len(content) > MAX_PAGE_BYTES:
        raise DataError(
            f"is larger than {MAX_PAGE_BYTES >> 20} MB; one page holds one article: split the file"
        )
    if not content.strip():
        raise DataError("the file is empty")
    decision = decide(content, html=html)
    if decision.note:
        yield Note(found.path, decision.note)
    source = decode(content, decision.encoding)
    text, pieces, dropped = _from_html(source, options) if html else _from_text(source, options)
    if not text:
        raise DataError(_nothing_left(dropped, options.language, html))
    # NFC once, here; the map goes on through it.
    text, composed = to_nfc(text)
    yield Ingested(
        Document.of(text, source=found.name),
        path=found.path,
        raw=RawPage(content, decision.encoding, found.name),
        pieces=composed.after(pieces),
        dropped=dropped,
    )


def _from_text(source: str, options: Options) -> tuple[str, OffsetMap, tuple[DroppedLine, ...]]:
    cleaned = clean(source, options.language)
    return cleaned.text, cleaned.pieces, cleaned.dropped


def _from_html(source: str, options: Options) -> tuple[str, OffsetMap, tuple[DroppedLine, ...]]:
    found = article(source)

    ends = [match.start() for match in re.finditer("\n", source)]

    def line_at(place: int) -> int:
        return bisect_left(ends, place) + 1

    def line_of(offset: int) -> int:
        span = found.pieces.to_source(offset, offset + 1)
        return 0 if span is None else line_at(span[0])

    cleaned = clean(found.text, options.language, line_of)
    outside = [DroppedLine(line_at(place), text, Reason.OUTSIDE) for place, text in found.outside]
    dropped = sorted([*cleaned.dropped, *outside], key=lambda line: line.number)
    return cleaned.text, cleaned.pieces.after(found.pieces), tuple(dropped)


def _nothing_left(dropped: tuple[DroppedLine, ...], language: str, html: bool) -> str:
    if not dropped:
        return "holds no text" + (": the page's text may be loaded by a script" if html else "")
    counts = Counter(line.reason for line in dropped)
    foreign = [line.text for line in dropped if line.reason is Reason.LANGUAGE]
    if 2 * len(foreign) > len(dropped):
        seen = language_of(" ".join(foreign))
        return f"seems to be in {seen!r}, not in {language!r}; name the language with --language"
    said = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    return (
        f"nothing is left after cleaning ({said}); look at it with --dry-run, or give it as JSONL"
    )


def _jsonl(found: Found, options: Options) -> Iterator[Outcome]:
    problems: list[DataError] = []
    noted = False
    empty = True
    for number, value in read_lines(found.path, problems.append):
        empty = False
        yield from _drained(problems)
        if not noted and any(value.get(key) for key in _ANNOTATIONS):
            noted = True
            yield Note(
                found.path,
                "holds annotations, which ingest leaves alone; "
                "`curate gold import` or `curate predictions import` reads them",
                number,
            )
        try:
            yield Ingested(document_of_object(value, found, options), found.path, number)
        except DataError as error:
            yield error.at(found.path, number)
    empty = empty and not problems
    yield from _drained(problems)
    if empty:
        raise DataError("the file is empty")


def _drained(problems: list[DataError]) -> Iterator[DataError]:
    yield from problems
    problems.clear()


def document_of_object(value: Mapping[str, Any], found: Found, options: Options) -> Document:
    """The document of a record.  Raises DataError, without a place, saying what is wrong."""
    meta = value.get("meta")
    if meta is not None and not isinstance(meta, dict):
        raise DataError("'meta' must be an object")
    taken = {options.text_column, options.id_column, "meta", "source", *_ANNOTATIONS}
    metadata = {**{k: v for k, v in value.items() if k not in taken}, **(meta or {})}
    if options.text_column not in value:
        raise DataError(
            f"has no {options.text_column!r}; name the key that holds the text with --text-column"
        )
    identifier = value.get(options.id_column)
    if isinstance(identifier, int) and not isinstance(identifier, bool):
        identifier = str(identifier)
    if identifier is not None and not isinstance(identifier, str):
        raise DataError(f"{options.id_column!r} must be a string")
    origin = value.get("source", metadata.get("source", metadata.get("url")))
    return _record(value[options.text_column], identifier, origin, metadata, found)


def _csv(found: Found, options: Options) -> Iterator[Outcome]:
    for row in tables.rows(found.path, options.text_column):
        if not isinstance(row, tables.Row):
            yield row
            continue
        cells = row.cells
        taken = {options.text_column, options.id_column, "source"}
        metadata = {key: cell for key, cell in cells.items() if key not in taken and cell != ""}
        try:
            yield Ingested(
                _record(
                    cells[options.text_column],
                    cells.get(options.id_column) or None,
                    cells.get("source") or cells.get("url"),
                    metadata,
                    found,
                ),
                found.path,
                row.line,
            )
        except DataError as error:
            yield error.at(found.path, row.line)


def _record(
    text: Any, identifier: str | None, origin: Any, metadata: dict[str, Any], found: Found
) -> Document:
    if not isinstance(text, str):
        raise DataError("the text must be a string")
    if not text.strip():
        raise DataError("the text is empty")
    check_storable(metadata, "the metadata")
    source = origin if isinstance(origin, str) and origin else found.name
    check_storable(source, "the source")
    return Document.of(text, id=identifier, source=source, metadata=metadata)
