"""Prodigy's JSON Lines: text, tokens, spans and relations, as its ``rel.manual`` has them.

``head`` and ``child`` of a relation are the last token of their span; ``head_span`` and
``child_span`` say which spans they are, and are what reading goes by.  A span that cuts a token
keeps its offsets and has no ``token_start``: Prodigy shows it, but its manual interfaces do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from curate.errors import DataError
from curate.gold.formats.loss import Loss, writing
from curate.gold.items import GoldDocument, entity_id
from curate.interchange import Record, canonical_json, parse_record, read_lines
from curate.model import Source
from curate.tokenization import tokenize


def export(documents: Iterable[GoldDocument], target: Path, *, language: str = "fr") -> Loss:
    """Write one JSON Lines file."""
    loss = Loss("prodigy")
    with writing(target, "wb") as stream:
        for gold in documents:
            loss.saw(gold.annotation)
            stream.write(canonical_json(_row(gold, language, loss)) + b"\n")
    return loss


def _row(gold: GoldDocument, language: str, loss: Loss) -> dict[str, Any]:
    text = gold.document.text
    tokens = tokenize(text, language)
    starts = {start: i for i, (start, _) in enumerate(tokens)}
    ends = {end: i for i, (_, end) in enumerate(tokens)}
    spans: dict[tuple[int, int, str], dict[str, Any]] = {}
    for entity in gold.annotation.entities:
        span: dict[str, Any] = {"start": entity.start, "end": entity.end, "label": entity.label}
        first, last = starts.get(entity.start), ends.get(entity.end)
        if first is None or last is None:
            loss.add("entity cuts a token: no token positions", f"{gold.id} {entity_id(entity)}")
        else:
            span |= {"token_start": first, "token_end": last}
        if entity.canonical is not None:
            span["canonical"] = entity.canonical
        if entity.score is not None:
            span["score"] = entity.score
        spans[entity.key] = span
    relations = []
    for relation in gold.annotation.relations:
        head, child = spans[relation.head.key], spans[relation.tail.key]
        row: dict[str, Any] = {
            "label": relation.label,
            "head_span": _bare(head),
            "child_span": _bare(child),
        }
        if "token_end" in head and "token_end" in child:
            row |= {"head": head["token_end"], "child": child["token_end"]}
        if relation.score is not None:
            row["score"] = relation.score
        relations.append(row)
    loss.add("chain not carried", gold.id, len(gold.annotation.chains))
    meta = {**gold.document.metadata}
    if gold.document.source:
        meta.setdefault("source", gold.document.source)
    if gold.split:
        loss.add("group not carried", gold.id)
    return {
        "id": gold.id,
        "text": text,
        "tokens": [
            {
                "id": i,
                "text": text[start:end],
                "start": start,
                "end": end,
                "ws": text[end : end + 1].isspace(),
            }
            for i, (start, end) in enumerate(tokens)
        ],
        "spans": list(spans.values()),
        "relations": relations,
        "meta": meta,
        "answer": "accept",
        **({"split": gold.split} if gold.split else {}),
    }


def _bare(span: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in span.items() if key not in ("canonical", "score")}


def read(
    path: Path, *, source: Source, on_error: Callable[[DataError], None] | None = None
) -> Iterator[Record]:
    """The accepted records of a Prodigy file; what was rejected or ignored is passed over.

    The id is ``id``, else ``meta.id``, else the text's digest.  Raises DataError with file and
    line for anything malformed; where ``on_error`` is given it is called instead.
    """
    seen: dict[str, int] = {}
    for number, row in read_lines(path, on_error):
        if row.get("answer", "accept") != "accept":
            continue
        try:
            record = parse_record(_interchange(row), source, line=number)
            first = seen.setdefault(record.document.id, number)
            if first != number:
                raise DataError(
                    f"document {record.document.id!r} stands twice, first on line {first}"
                )
        except DataError as error:
            if on_error is None:
                raise error.at(path, number) from None
            on_error(error.at(path, number))
            continue
        yield record


def _interchange(row: Mapping[str, Any]) -> dict[str, Any]:
    meta = row.get("meta") or {}
    if not isinstance(meta, dict):
        raise DataError("'meta' must be an object")
    entities: dict[tuple[Any, Any, Any], dict[str, Any]] = {}
    for span in _objects(row, "spans"):
        key = _key(span)
        entity = entities.setdefault(
            key, {"id": f"e{len(entities)}", "start": key[0], "end": key[1], "label": key[2]}
        )
        for extra in ("canonical", "score"):
            if extra in span:
                entity[extra] = span[extra]
    relations = []
    for relation in _objects(row, "relations"):
        ends = {}
        for side, name in (("head", "head_span"), ("tail", "child_span")):
            named = relation.get(name)
            if not isinstance(named, dict):
                raise DataError(f"relation {relation.get('label')!r} has no {name}")
            key = _key(named)
            if key not in entities:
                raise DataError(
                    f"{name} {key} of relation {relation.get('label')!r} is no span of the record"
                )
            ends[side] = entities[key]["id"]
        link = {**ends, "label": relation.get("label")}
        if "score" in relation:
            link["score"] = relation["score"]
        relations.append(link)
    record: dict[str, Any] = {
        "text": row.get("text"),
        "entities": list(entities.values()),
        "relations": relations,
        "meta": meta,
    }
    identifier = row.get("id", meta.get("id"))
    if identifier is not None:
        record["id"] = identifier
    return record


def _objects(row: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    rows = row.get(key) or []
    if not isinstance(rows, list) or not all(isinstance(item, dict) for item in rows):
        raise DataError(f"{key!r} must be a list of objects")
    return rows


def _key(span: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    key = (span.get("start"), span.get("end"), span.get("label"))
    if any(isinstance(part, dict | list) for part in key):
        raise DataError("a span needs 'start', 'end' and 'label'")
    return key
