"""The lines of a release's files: canonical JSON, written by hand because there are millions.

Every function gives exactly what :func:`curate.interchange.canonical_json` would (a test holds
the two equal): sorted keys, UTF-8, no spaces, no floats.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.encoder import encode_basestring as quote
from typing import Any

from curate.errors import DataError
from curate.gold.items import (
    GOLD,
    GoldDocument,
    entity_id,
    from_millionths,
    parse_entity_id,
    to_millionths,
)
from curate.model import Annotation, Document, Entity, Relation, digest_of

_ENCODER = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
)
_DECODER = json.JSONDecoder()


def encode(value: Any) -> str:
    """Canonical JSON as text."""
    return _ENCODER.encode(value)


def without_floats(value: Any) -> Any:
    """Plain JSON with every float as the text of its shortest decimal; objects' keys as texts."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return {str(key): without_floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_floats(item) for item in value]
    return value


def document_line(gold: GoldDocument) -> str:
    document = gold.document
    meta = {k: v for k, v in document.metadata.items() if not k.startswith("_")}
    if meta.get("source") == document.source:
        meta.pop("source", None)
    record: dict[str, Any] = {
        "group": gold.group,
        "id": document.id,
        "source": document.source,
        "split": gold.split,
        "text": document.text,
    }
    if meta:
        record["meta"] = without_floats(meta)
    return _ENCODER.encode(record) + "\n"


def entity_lines(gold: GoldDocument) -> str:
    """The lines of one document's entities, sorted."""
    text = gold.document.text
    document = quote(gold.document.id)
    rows = []
    for e in gold.annotation.entities:
        canonical = "" if e.canonical is None else f'"canonical":{quote(e.canonical)},'
        score = "" if e.score is None else f'"score_millionths":{to_millionths(e.score)},'
        rows.append(
            f'{{{canonical}"document":{document},"end":{e.end},"id":{quote(entity_id(e))},'
            f'"label":{quote(e.label)},{score}"start":{e.start},'
            f'"text":{quote(text[e.start : e.end])}}}\n'
        )
    return "".join(rows)


def relation_lines(gold: GoldDocument) -> str:
    """The lines of one document's relations, sorted."""
    document = quote(gold.document.id)
    rows = []
    for r in gold.annotation.relations:
        score = "" if r.score is None else f'"score_millionths":{to_millionths(r.score)},'
        rows.append(
            f'{{"document":{document},"head":{quote(entity_id(r.head))},"label":{quote(r.label)},'
            f'{score}"tail":{quote(entity_id(r.tail))}}}\n'
        )
    return "".join(rows)


def chain_lines(gold: GoldDocument) -> str:
    """The lines of one document's coreference chains, sorted."""
    return "".join(
        _ENCODER.encode({"document": gold.document.id, "mentions": [entity_id(e) for e in chain]})
        + "\n"
        for chain in gold.annotation.chains
    )


def parse_gold(
    document: bytes, entities: list[bytes], relations: list[bytes], chains: list[bytes]
) -> GoldDocument:
    """A document from its lines.  Raises DataError saying what is wrong with them."""
    row = parse(document)
    text = _typed(row, "text", str)
    identifier = _typed(row, "id", str)
    meta = row.get("meta", {})
    if not isinstance(meta, dict):
        raise DataError("'meta' must be an object")
    value = Document(
        id=identifier,
        text=text,
        digest=digest_of(text),
        source=_typed(row, "source", str),
        metadata=meta,
    )
    by_id: dict[str, Entity] = {}
    for line in entities:
        entity = _entity(parse(line), text)
        by_id[entity_id(entity)] = entity
    links = [_relation(parse(line), by_id) for line in relations]
    groups = [_chain(parse(line), by_id) for line in chains]
    return GoldDocument(
        document=value,
        annotation=Annotation(
            document_id=identifier,
            entities=tuple(by_id.values()),
            relations=tuple(links),
            source=GOLD,
            chains=tuple(groups),
        ),
        group=_typed(row, "group", str),
        split=_typed(row, "split", str),
    )


def parse(line: bytes) -> dict[str, Any]:
    """Raises DataError where the line is no JSON object."""
    try:
        value = _DECODER.decode(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise DataError("malformed JSON; the release was changed after it was published") from None
    if not isinstance(value, dict):
        raise DataError("the line is not a JSON object")
    return value


def _entity(row: dict[str, Any], text: str) -> Entity:
    start, end = row.get("start"), row.get("end")
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
        raise DataError(f"entity {row.get('id')!r} spans {start}–{end}, which is not in the text")
    score = row.get("score_millionths")
    if score is not None and type(score) is not int:
        raise DataError("'score_millionths' must be a whole number")
    entity = Entity(
        start, end, _typed(row, "label", str), from_millionths(score), row.get("canonical")
    )
    if row.get("id") != entity_id(entity):
        raise DataError(f"entity id {row.get('id')!r} is not {entity_id(entity)!r}")
    if row.get("text") != text[start:end]:
        raise DataError(f"entity {row['id']!r} shows another text than the document has there")
    return entity


def _relation(row: dict[str, Any], by_id: Mapping[str, Entity]) -> Relation:
    ends = []
    for side in ("head", "tail"):
        mention = row.get(side)
        if not isinstance(mention, str) or mention not in by_id:
            raise DataError(f"{side} {mention!r} of a relation is no entity of the document")
        ends.append(by_id[mention])
    score = row.get("score_millionths")
    if score is not None and type(score) is not int:
        raise DataError("'score_millionths' must be a whole number")
    return Relation(ends[0], ends[1], _typed(row, "label", str), from_millionths(score))


def _chain(row: dict[str, Any], by_id: Mapping[str, Entity]) -> tuple[Entity, ...]:
    mentions = row.get("mentions")
    if not isinstance(mentions, list):
        raise DataError("'mentions' must be a list")
    for mention in mentions:
        parse_entity_id(str(mention))
        if mention not in by_id:
            raise DataError(f"a chain names {mention!r}, which is no entity of the document")
    return tuple(by_id[mention] for mention in mentions)


def _typed(row: Mapping[str, Any], key: str, kind: type[str]) -> str:
    value = row.get(key)
    if not isinstance(value, kind):
        raise DataError(f"{key!r} must be a string")
    return value
