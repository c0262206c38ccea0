"""Interchange files read straight into columns, ten times faster than into annotations.

The quick way takes only lines that are beyond doubt; any other line goes through
:func:`curate.interchange.parse_record`, which accepts it or says what is wrong.  So both ways
accept the same files and give the same claims (a test holds them equal).
"""

from __future__ import annotations

import gc
import os
import sys
import unicodedata
from array import array
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from operator import lt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from curate.errors import DataError, DiskError
from curate.interchange import MAX_LINE_BYTES, parse_line, parse_record
from curate.model import MAX_ID_LENGTH, Annotation, Document, Source
from curate.scoring.columns import Collector, Side

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_KEYS = frozenset({"id", "text", "entities", "relations", "meta", "chains", "source"})
_FACTS = ("split", "source", "group")
_NOBODY = Source.curator("file")
_STRINGS = {str}
_INTS = {int}
_DICTS = {dict}
_NUMBERS = {int, float}


@dataclass
class AnnotatedSet:
    """One side's documents and claims.

    ``place`` is the file they came from, for messages; ``lines`` are 1-based there (0 where there
    is no line); ``facts`` holds split, source and group of the documents that have them.
    """

    name: str
    place: Path | None = None
    collector: Collector = field(default_factory=Collector)
    lengths: array[int] = field(default_factory=lambda: array("q"))
    hashes: array[int] = field(default_factory=lambda: array("q"))
    lines: array[int] = field(default_factory=lambda: array("q"))
    facts: dict[str, dict[str, str]] = field(default_factory=lambda: {fact: {} for fact in _FACTS})
    duplicates: int = 0

    @property
    def ids(self) -> list[str]:
        return self.collector.ids

    def line_of(self, document_id: str) -> int | None:
        return self.lines[self.collector.number[document_id]] or None

    def add(
        self,
        document: Document,
        annotation: Annotation,
        *,
        line: int = 0,
        split: str | None = None,
        group: str | None = None,
        duplicates: int = 0,
    ) -> None:
        """Take over an annotated document.  Raises DataError if its id came before."""
        self._check_new(document.id)
        if annotation.document_id != document.id:
            raise DataError(f"an annotation of {annotation.document_id!r} for {document.id!r}")
        self.collector.add(annotation)
        self._note(document.id, document.text, line, document.metadata, document.source)
        for fact, value in (("split", split), ("group", group)):
            if value:
                self.facts[fact][document.id] = value
        self.duplicates += duplicates

    def _check_new(self, document_id: str) -> None:
        known = self.collector.number.get(document_id)
        if known is not None:
            first = self.lines[known]
            where = f", first on line {first}" if first else ""
            raise DataError(f"document {document_id!r} stands twice{where}")

    def _note(self, document_id: str, text: str, line: int, meta: Any, source: Any) -> None:
        self.lengths.append(len(text))
        self.hashes.append(hash(text))
        self.lines.append(line)
        if meta:
            for fact in _FACTS:
                value = meta.get(fact)
                if value and isinstance(value, str):
                    self.facts[fact][document_id] = value
        if source and isinstance(source, str):
            self.facts["source"][document_id] = source

    def take_line(self, raw: bytes, number: int) -> None:
        """Read a line of an interchange file.  Raises DataError without the file's name."""
        try:
            value = from_json(raw, allow_inf_nan=False)
        except ValueError:
            value = None
        if value is not None and type(value) is dict and self._quickly(value, raw, number):
            return
        parsed = parse_line(raw, number)
        if parsed is None:
            return
        record = parse_record(parsed, _NOBODY, line=number)
        self.add(record.document, record.annotation, line=number, duplicates=record.duplicates)

    def _quickly(self, value: dict[str, Any], raw: bytes, number: int) -> bool:
        """Take the line if it is beyond doubt; nothing is changed where it is not."""
        if not value.keys() <= _KEYS:
            return False
        document_id, text, meta = value.get("id"), value.get("text"), value.get("meta")
        if type(text) is not str or type(document_id) is not str:
            return False
        if meta is not None and type(meta) is not dict:
            return False
        if (
            not document_id
            or len(document_id) > MAX_ID_LENGTH
            or not document_id.isprintable()
            or document_id != document_id.strip()
            or "\0" in text
            or not (text.isascii() or unicodedata.is_normalized("NFC", text))
        ):
            return False
        collector = self.collector
        base = len(collector.start)
        entities, relations, chains = (
            [] if (rows := value.get(key)) is None else rows
            for key in ("entities", "relations", "chains")
        )
        if type(entities) is not list or type(relations) is not list or type(chains) is not list:
            return False
        try:
            found = _entities(entities, len(text), base)
            if found is None:
                return False
            starts, ends, labels, scores, index = found
            linked = _relations(relations, index)
            if linked is None:
                return False
            heads, tails, kinds, link_scores = linked
            groups = [tuple([index[name] for name in chain]) for chain in chains]
            if not (set(map(type, chains)) <= {list}):
                return False
        except (KeyError, TypeError):
            return False
        if not _keys_are_distinct(raw, value, entities, relations):
            return False
        self._check_new(document_id)
        first = collector.open(document_id)
        collector.start.extend(starts)
        collector.end.extend(ends)
        collector.label.extend(_numbers(labels, collector.labels))
        collector.score.extend(scores)
        collector.head.extend(heads)
        collector.tail.extend(tails)
        collector.kind.extend(_numbers(kinds, collector.kinds))
        collector.relation_score.extend(link_scores)
        collector.chains.extend((len(collector.ids) - 1, group) for group in groups)
        collector.close(first)
        self._note(document_id, text, number, meta, value.get("source"))
        return True


_NAN = float("nan")


def _keys_are_distinct(
    raw: bytes, value: dict[str, Any], entities: list[Any], relations: list[Any]
) -> bool:
    """Whether no key stood twice in an object of the line, told by its colons.

    Parsing keeps the last of equal keys.  What the line has in colons beyond those of the keys and
    strings that were kept belongs to keys that were not; only an escaped colon could hide one.
    """
    if b"\\" in raw and (b"\\u003a" in raw or b"\\u003A" in raw):
        return False
    colons = raw.count(b":")
    found = len(value) + sum(map(len, entities)) + sum(map(len, relations))
    found += sum(map(_colons, (value["text"], value["id"], value.get("source"), value.get("meta"))))
    return found == colons or _colons(value) == colons


def _colons(value: Any) -> int:
    """The colons of a JSON value when it is written: one a key, and those of strings."""
    if type(value) is str:
        return value.count(":")
    if type(value) is dict:
        inside = sum(map(_colons, value)) + sum(map(_colons, value.values()))
        return len(value) + inside
    return sum(map(_colons, value)) if type(value) is list else 0


def _entities(
    rows: list[Any], length: int, base: int
) -> tuple[list[int], list[int], list[str], list[float], dict[str, int]] | None:
    """Columns of the entities and their rows by id; None where anything needs a closer look.

    A missing key raises KeyError, a row of another type TypeError.
    """
    if not rows:
        return [], [], [], [], {}
    ids = [row["id"] for row in rows]
    starts = [row["start"] for row in rows]
    ends = [row["end"] for row in rows]
    labels = [row["label"] for row in rows]
    if (
        set(map(type, starts)) != _INTS
        or set(map(type, ends)) != _INTS
        or set(map(type, labels)) != _STRINGS
        or set(map(type, ids)) != _STRINGS
        or set(map(type, rows)) != _DICTS
        or min(starts) < 0
        or max(ends) > length
        or not all(map(lt, starts, ends))
        or not all(labels)
    ):
        return None
    more = sum(map(len, rows)) - 4 * len(rows)
    scores = [_NAN] * len(rows)
    if more:
        if any("canonical" in row for row in rows):
            return None
        found = _scores(rows, more)
        if found is None:
            return None
        scores = found
    index = dict(zip(ids, count(base)))  # the count has no end
    return (starts, ends, labels, scores, index) if len(index) == len(rows) else None


def _relations(
    rows: list[Any], index: dict[str, int]
) -> tuple[list[int], list[int], list[str], list[float]] | None:
    if not rows:
        return [], [], [], []
    heads = [index[row["head"]] for row in rows]
    tails = [index[row["tail"]] for row in rows]
    labels = [row["label"] for row in rows]
    if set(map(type, labels)) != _STRINGS or set(map(type, rows)) != _DICTS or not all(labels):
        return None
    more = sum(map(len, rows)) - 3 * len(rows)
    scores = [_NAN] * len(rows)
    if more:
        found = _scores(rows, more)
        if found is None:
            return None
        scores = found
    return heads, tails, labels, scores


def _scores(rows: list[dict[str, Any]], more: int) -> list[float] | None:
    """The scores, NaN where there is none; None unless they are all there is besides."""
    given = [row["score"] for row in rows if "score" in row]
    known = [value for value in given if value is not None]
    if len(given) != more or not set(map(type, known)) <= _NUMBERS:
        return None
    if known and not (min(known) >= 0 and max(known) <= 1):
        return None
    if len(known) == len(rows):
        return known
    return [_NAN if (value := row.get("score")) is None else value for row in rows]


def _numbers(names: list[str], known: dict[str, int]) -> list[int]:
    try:
        return [known[name] for name in names]
    except KeyError:
        return [known.setdefault(name, len(known)) for name in names]


@contextmanager
def _without_collection() -> Iterator[None]:
    """Millions of short-lived objects without cycles: looking for cycles is time lost."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def read_file(path: Path, name: str | None = None) -> AnnotatedSet:
    """The annotated documents of an interchange file.

    Raises DataError with file and line for anything malformed, spans outside the text, dangling
    arguments, and a document that stands twice.
    """
    found = AnnotatedSet(name or path.name, path)
    if path.is_dir():
        raise DataError("is a directory; name a .jsonl file", path=path)
    try:
        with path.open("rb") as stream, _without_collection():
            for number in count(1):
                raw = stream.readline(MAX_LINE_BYTES + 1)
                if not raw:
                    break
                try:
                    if len(raw) > MAX_LINE_BYTES:
                        raise DataError(
                            f"the line is longer than {MAX_LINE_BYTES >> 20} MB; split the document"
                        )
                    found.take_line(raw, number)
                except DataError as error:
                    raise error.at(path, number) from None
    except FileNotFoundError:
        raise DataError("there is no such file", path=path) from None
    except OSError as error:
        raise DiskError(f"cannot be read: {error.strerror}", path=path) from None
    return found


@dataclass(frozen=True, slots=True)
class Paired:
    """Two sides over the same documents, in ascending order of id."""

    documents: tuple[str, ...]
    gold: Side
    other: Side
    left_out: int = 0


def pair(
    gold: AnnotatedSet,
    other: AnnotatedSet,
    *,
    chosen: Collection[str] | None = None,
    only_common: bool = False,
) -> Paired:
    """Pair the sides by document id.

    ``chosen`` restricts to these documents of gold; what the other side says of gold's other
    documents is left aside.  With ``only_common`` a document on one side only is left out.
    Raises DataError, with the line, for a document on one side only and for texts that differ.
    """
    theirs, ours = other.collector.number, gold.collector.number
    wanted = sorted(gold.ids if chosen is None else (d for d in gold.ids if d in chosen))
    strange = [d for d in other.ids if d not in ours]
    absent = [d for d in wanted if d not in theirs]
    if not only_common:
        _refuse(strange, other, gold)
        _refuse(absent, gold, other)
    elif absent:
        wanted = [d for d in wanted if d in theirs]
    for document in wanted:
        i, j = ours[document], theirs[document]
        if gold.hashes[i] != other.hashes[j] or gold.lengths[i] != other.lengths[j]:
            raise DataError(
                f"the text of document {document!r} ({other.lengths[j]} characters) is not the "
                f"one of {_where(gold, document)} ({gold.lengths[i]} characters)"
                + _difference(gold, other, document),
                path=other.place or other.name,
                line=other.line_of(document),
            )
    return Paired(
        tuple(wanted),
        gold.collector.side(wanted),
        other.collector.side(wanted),
        len(strange) + len(absent) if only_common else 0,
    )


def _where(side: AnnotatedSet, document: str) -> str:
    line = side.line_of(document)
    return f"{side.place or side.name}:{line}" if line else str(side.place or side.name)


def _refuse(alone: list[str], side: AnnotatedSet, lacking: AnnotatedSet) -> None:
    if alone:
        more = f" (and {len(alone) - 1} more)" if len(alone) > 1 else ""
        raise DataError(
            f"document {alone[0]!r} is not in {lacking.place or lacking.name}{more}; give both "
            "sides the same documents, or use --only-common",
            path=side.place or side.name,
            line=side.line_of(alone[0]),
        )


def _difference(gold: AnnotatedSet, other: AnnotatedSet, document: str) -> str:
    """Where two texts part, for people; nothing where they cannot be read again."""
    texts = [text_at(side, document) for side in (gold, other)]
    if texts[0] is None or texts[1] is None:
        return ""
    parts = next(
        (i for i, (a, b) in enumerate(zip(texts[0], texts[1], strict=False)) if a != b),
        min(len(texts[0]), len(texts[1])),
    )
    return f"; they part at offset {parts}"


def text_at(side: AnnotatedSet, document: str) -> str | None:
    """The text of a document, read again from its line; None where there is no file."""
    line = side.line_of(document)
    if side.place is None or line is None:
        return None
    try:
        with side.place.open("rb") as stream:
            for number, raw in enumerate(stream, start=1):
                if number == line:
                    parsed = parse_line(raw, number)
                    return None if parsed is None else str(parsed.get("text"))
    except (OSError, DataError):
        return None
    return None


def read_records(
    name: str, records: Iterable[tuple[Document, Annotation]], place: Path | None = None
) -> AnnotatedSet:
    """Annotated documents from anywhere."""
    found = AnnotatedSet(name, place)
    for document, annotation in records:
        found.add(document, annotation)
    return found


_WORTH_A_PROCESS = 12 << 20
"""Bytes; below this a second process costs more than it saves."""


def read_files(one: Path, two: Path) -> tuple[AnnotatedSet, AnnotatedSet]:
    """Two interchange files; large ones in two processes where there are two processors."""
    if not _can_fork() or min(_size(one), _size(two)) < _WORTH_A_PROCESS:
        return read_file(one), read_file(two)
    import multiprocessing
    import warnings

    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    worker = context.Process(target=_read_and_send, args=(two, theirs), daemon=True)
    with warnings.catch_warnings():
        # Python 3.12 warns of forking beside the threads of a numerical library; the child
        # only parses.
        warnings.simplefilter("ignore", DeprecationWarning)
        worker.start()
    theirs.close()
    try:
        first = read_file(one)
        try:
            second = ours.recv()
        except EOFError:
            second = None
    finally:
        ours.close()
        if worker.is_alive():
            worker.terminate()
        worker.join()
    # A file that the other process could not read is read again here, for its error.
    return first, read_file(two) if second is None else second


def _read_and_send(path: Path, pipe: Connection) -> None:
    try:
        found = read_file(path)
    except Exception:
        pipe.send(None)
    else:
        pipe.send(found)
    finally:
        pipe.close()


def _can_fork() -> bool:
    # The hashes of texts agree between the processes only if one is the other's fork.
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
