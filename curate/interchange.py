"""The JSON Lines form of annotated documents, and canonical bytes.

A document a line: ``{"id", "text", "entities": [{"id", "start", "end", "label"}], "relations":
[{"head", "tail", "label"}], "meta"}``, with optional ``score`` and ``canonical`` on an entity,
``score`` on a relation, and ``chains`` of entity ids.  Entity ids are local to the line.  The
text comes out in NFC; offsets into a text that was not NFC are mapped.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import DataError, DiskError
from curate.model import Annotation, Document, Entity, Relation, Source
from curate.offsets import OffsetMap, to_nfc
from curate.schema import LabelSchema

MAX_LINE_BYTES = 32 * 1024 * 1024
"""A longer line is refused: no news document is, and a reader must bound its memory."""

MAX_DEPTH = 64
"""Lists and objects inside each other in a document's metadata."""

_KEYS = frozenset({"id", "text", "entities", "relations", "meta", "chains", "source"})
_ENTITY_KEYS = frozenset({"id", "start", "end", "label", "score", "canonical"})
_RELATION_KEYS = frozenset({"head", "tail", "label", "score"})


@dataclass(frozen=True, slots=True)
class Record:
    """A line of an interchange file: the document and what the file says of it.

    ``line`` is 1-based (0 where the record did not come from a file); ``duplicates`` counts the
    entities and relations that stood more than once and were dropped.
    """

    document: Document
    annotation: Annotation
    line: int = 0
    duplicates: int = 0


def canonical_json(value: Any) -> bytes:
    """Sorted keys, UTF-8, no spaces, no NaN: the same value gives the same bytes anywhere."""
    return json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode("utf-8")


def read_lines(
    path: Path, on_error: Callable[[DataError], None] | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSON Lines file with their 1-based line numbers; empty lines are skipped.

    Raises DataError with file and line for bytes that are not UTF-8, for malformed JSON, for a
    line that is no object or over ``MAX_LINE_BYTES``; where ``on_error`` is given it is called
    instead, and reading goes on.  A file that cannot be opened is always raised.
    """
    with _open(path) as stream:
        number = 0
        while True:
            try:
                raw = stream.readline(MAX_LINE_BYTES + 1)
            except OSError as error:
                raise DiskError(f"cannot be read: {error.strerror}", path=path) from None
            if not raw:
                return
            number += 1
            try:
                if len(raw) > MAX_LINE_BYTES:
                    while raw and not raw.endswith(b"\n"):
                        raw = stream.readline(1 << 20)
                    raise DataError(
                        f"the line is longer than {MAX_LINE_BYTES >> 20} MB; split the document"
                    )
                value = parse_line(raw, number)
            except DataError as error:
                if on_error is None:
                    raise error.at(path, number) from None
                on_error(error.at(path, number))
                continue
            if value is not None:
                yield number, value


def read(
    path: Path,
    *,
    source: Source | None = None,
    schema: LabelSchema | None = None,
    on_error: Callable[[DataError], None] | None = None,
) -> Iterator[Record]:
    """The records of an interchange file, in its order.

    ``source`` is who the file speaks for (default: a curator named after the file's stem).
    With ``schema``, labels and arguments must be legal in it.  Raises DataError with file and
    line for anything malformed and for a document id that stands twice; where ``on_error`` is
    given it is called instead and the record is passed over.
    """
    speaker = Source.curator(path.stem) if source is None else source
    seen: dict[str, int] = {}
    for number, value in read_lines(path, on_error):
        try:
            record = parse_record(value, speaker, schema=schema, line=number)
            document_id = record.document.id
            if document_id in seen:
                raise DataError(
                    f"document {document_id!r} stands twice, first on line {seen[document_id]}"
                )
        except DataError as error:
            if on_error is None:
                raise error.at(path, number) from None
            on_error(error.at(path, number))
            continue
        seen[document_id] = number
        yield record


def parse_record(
    value: Mapping[str, Any],
    source: Source,
    *,
    schema: LabelSchema | None = None,
    line: int = 0,
) -> Record:
    """One record from its JSON object.  Raises DataError (without a file) saying what is wrong."""
    unknown = value.keys() - _KEYS
    if unknown:
        raise DataError(f"unknown key {sorted(unknown)[0]!r}; known are {', '.join(sorted(_KEYS))}")
    text = value.get("text")
    if not isinstance(text, str):
        raise DataError("a record needs a 'text' of type string")
    identifier = value.get("id")
    if identifier is not None and not isinstance(identifier, str):
        raise DataError("'id' must be a string")
    meta = value.get("meta")
    if meta is None:
        meta = {}
    if not isinstance(meta, dict):
        raise DataError("'meta' must be an object")
    check_storable(meta, "'meta'")
    origin = value.get("source", meta.get("source", ""))
    document = Document.of(
        text,
        id=identifier,
        source=_storable(origin, "'source'") if isinstance(origin, str) else "",
        metadata=meta,
    )
    offsets = None if document.text == text else to_nfc(text)[1].inverse()
    rows = _list(value, "entities")
    by_id: dict[str, Entity] = {}
    entities: list[Entity] = []
    for position, row in enumerate(rows):
        local, entity = _entity(row, len(text), offsets, position)
        if local in by_id:
            raise DataError(f"entity id {local!r} stands twice in document {document.id!r}")
        by_id[local] = entity
        entities.append(entity)
    relations = [_relation(row, by_id) for row in _list(value, "relations")]
    chains = [_chain(row, by_id) for row in _list(value, "chains")]
    annotation = Annotation.of(document.id, entities, relations, source, chains)
    if schema is not None:
        reason = schema.misfit(annotation, document.text)
        if reason:
            raise DataError(f"document {document.id!r}: {reason}")
    duplicates = len(entities) - len(annotation.entities)
    duplicates += len(relations) - len(annotation.relations)
    return Record(document, annotation, line, duplicates)


def as_record(document: Document, annotation: Annotation) -> dict[str, Any]:
    """The interchange form of an annotated document, as plain JSON types."""
    names = {entity.key: f"e{i}" for i, entity in enumerate(annotation.entities, start=1)}
    record: dict[str, Any] = {
        "id": document.id,
        "text": document.text,
        "entities": [
            _with_optional(
                {"id": names[e.key], "start": e.start, "end": e.end, "label": e.label},
                score=e.score,
                canonical=e.canonical,
            )
            for e in annotation.entities
        ],
        "relations": [
            _with_optional(
                {"head": names[r.head.key], "tail": names[r.tail.key], "label": r.label},
                score=r.score,
            )
            for r in annotation.relations
        ],
        "meta": dict(document.metadata),
    }
    if document.source and document.metadata.get("source") != document.source:
        record["source"] = document.source
    if annotation.chains:
        record["chains"] = [[names[e.key] for e in chain] for chain in annotation.chains]
    return record


def dump_line(document: Document, annotation: Annotation) -> bytes:
    """The record as one canonical line, newline included."""
    return canonical_json(as_record(document, annotation)) + b"\n"


def write(path: Path, records: Iterable[tuple[Document, Annotation]]) -> int:
    """Write an interchange file whole or not at all; returns how many records.

    Raises DiskError if the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    count = 0
    try:
        try:
            with temporary.open("wb") as stream:
                for document, annotation in records:
                    stream.write(dump_line(document, annotation))
                    count += 1
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DiskError(f"cannot be written: {error.strerror}", path=path) from None
    return count


def _open(path: Path) -> Any:
    try:
        if path.is_dir():
            raise DataError("is a directory; name a .jsonl file", path=path)
        return path.open("rb")
    except FileNotFoundError:
        raise DataError("there is no such file", path=path) from None
    except OSError as error:
        raise DiskError(f"cannot be read: {error.strerror}", path=path) from None


def parse_line(raw: bytes, number: int = 0) -> dict[str, Any] | None:
    """The JSON object of a line; None for an empty one.

    Raises DataError without a place, for a key that stands twice in an object too.
    """
    if number == 1 and raw.startswith(b"\xef\xbb\xbf"):
        raw = raw[3:]
    if not raw.strip():
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte {error.start + 1} of the line is not UTF-8; save the file as UTF-8"
        ) from None
    try:
        value = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_distinct)
    except json.JSONDecodeError as error:
        raise DataError(f"malformed JSON at column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise DataError("malformed JSON: nested too deeply") from None
    except ValueError as error:
        raise DataError(f"malformed JSON: {error}") from None
    if not isinstance(value, dict):
        raise DataError("the line is not a JSON object")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise DataError(f"the key {key!r} stands twice in one object; leave one")
            seen.add(key)
    return value


def check_storable(value: Any, what: str) -> None:
    """Refuse what no database keeps, wherever it is nested in plain JSON types: NUL, lone
    surrogates, infinity, NaN, and nesting beyond ``MAX_DEPTH``.  Raises DataError."""
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, str):
            _storable(item, what)
        elif isinstance(item, float) and not math.isfinite(item):
            raise DataError(f"{what} holds a number too large to be kept")
        elif isinstance(item, dict | list):
            if depth >= MAX_DEPTH:
                raise DataError(f"{what} is nested deeper than {MAX_DEPTH}")
            if isinstance(item, dict):
                waiting += [(part, depth + 1) for pair in item.items() for part in pair]
            else:
                waiting += [(part, depth + 1) for part in item]


def _storable(text: str, what: str) -> str:
    """The text.  Raises DataError where it holds NUL or a lone surrogate."""
    if text.isascii() and "\0" not in text:
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(f"{what} holds a lone surrogate; it is no valid Unicode") from None
    if "\0" in text:
        raise DataError(f"{what} holds a NUL character; remove it")
    return text


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _list(value: Mapping[str, Any], key: str) -> list[Any]:
    rows = value.get(key)
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise DataError(f"{key!r} must be a list")
    return rows


def _entity(row: Any, length: int, offsets: OffsetMap | None, position: int) -> tuple[str, Entity]:
    if not isinstance(row, dict):
        raise DataError("an entity must be an object")
    unknown = row.keys() - _ENTITY_KEYS
    if unknown:
        raise DataError(f"unknown key {sorted(unknown)[0]!r} in an entity")
    local = row.get("id", f"#{position + 1}")
    if not isinstance(local, str):
        raise DataError("an entity's 'id' must be a string")
    start, end, label = row.get("start"), row.get("end"), row.get("label")
    if type(start) is not int or type(end) is not int:
        raise DataError(f"entity {local!r} needs whole numbers as 'start' and 'end'")
    if not isinstance(label, str) or not label:
        raise DataError(f"entity {local!r} needs a 'label'")
    _storable(label, f"the label of entity {local!r}")
    if start >= end:
        raise DataError(f"entity {local!r} has start {start} not before end {end}")
    if start < 0 or end > length:
        raise DataError(
            f"entity {local!r} spans {start}–{end}, outside the text of {length} characters"
        )
    if offsets is not None:
        mapped = offsets.to_source(start, end)
        if mapped is None:
            raise DataError(f"entity {local!r} vanishes when the text is normalised to NFC")
        start, end = mapped
    canonical = row.get("canonical")
    if canonical is not None and not isinstance(canonical, str):
        raise DataError(f"'canonical' of entity {local!r} must be a string")
    if canonical is not None:
        _storable(canonical, f"'canonical' of entity {local!r}")
    return local, Entity(start, end, label, _score(row, f"entity {local!r}"), canonical)


def _relation(row: Any, by_id: Mapping[str, Entity]) -> Relation:
    if not isinstance(row, dict):
        raise DataError("a relation must be an object")
    unknown = row.keys() - _RELATION_KEYS
    if unknown:
        raise DataError(f"unknown key {sorted(unknown)[0]!r} in a relation")
    label = row.get("label")
    if not isinstance(label, str) or not label:
        raise DataError("a relation needs a 'label'")
    _storable(label, "the label of a relation")
    ends = []
    for side in ("head", "tail"):
        local = row.get(side)
        if not isinstance(local, str) or local not in by_id:
            raise DataError(f"{side} {local!r} of relation {label} is no entity of the document")
        ends.append(by_id[local])
    return Relation(ends[0], ends[1], label, _score(row, f"relation {label}"))


def _chain(row: Any, by_id: Mapping[str, Entity]) -> list[Entity]:
    if not isinstance(row, list):
        raise DataError("a chain must be a list of entity ids")
    for local in row:
        if not isinstance(local, str) or local not in by_id:
            raise DataError(f"a chain names {local!r}, which is no entity of the document")
    return [by_id[local] for local in row]


def _score(row: Mapping[str, Any], what: str) -> float | None:
    score = row.get("score")
    if score is None:
        return None
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise DataError(f"'score' of {what} must be a number from 0 to 1")
    if not math.isfinite(score) or not 0 <= score <= 1:
        raise DataError(f"'score' {score} of {what} is not from 0 to 1")
    return float(score)


def _with_optional(record: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return record | {key: value for key, value in optional.items() if value is not None}
