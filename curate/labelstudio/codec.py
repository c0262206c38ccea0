"""Between an Annotation and Label Studio's result items.

Offsets are code points on both sides.  ``value.text`` is written for people and never read: Label
Studio collapses spaces in it and writes newlines as a backslash and an n.  An annotator's
claims carry no score: Label Studio leaves a model's score on a region whose label was changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from curate.labelstudio.config import CANONICAL_CONTROL, LABEL_CONTROL, REASON_CONTROL, TEXT_OBJECT
from curate.labelstudio.wire import (
    DATA_ID,
    DATA_TEXT,
    MisfitError,
    NoteItem,
    RegionItem,
    RelationItem,
    parse_item,
)
from curate.model import Annotation, Entity, Relation, Source, SourceKind
from curate.schema import LabelSchema

MAX_REASON = 500


def encode(
    annotation: Annotation,
    text: str,
    schema: LabelSchema,
    known: Mapping[tuple[int, int, str], str] | None = None,
) -> list[dict[str, Any]]:
    """The result items of an annotation of ``text``; region ids are ``e1``, ``e2``, … in order.

    ``known``: the ids of entities (by key) that are on the screen already and keep theirs.  The
    order of a symmetric relation's arguments is kept; Label Studio shows it with two heads.
    """
    items: list[dict[str, Any]] = []
    names: dict[tuple[int, int, str], str] = {}
    for number, entity in enumerate(annotation.entities, start=1):
        name = names[entity.key] = (known or {}).get(entity.key, f"e{number}")
        items.append(_region(entity, name, text))
        if entity.canonical:
            items.append(_note(entity, name, text))
    for relation in annotation.relations:
        items.append(
            {
                "type": "relation",
                "from_id": names[relation.head.key],
                "to_id": names[relation.tail.key],
                "direction": "bi" if relation.label in schema.symmetric else "right",
                "labels": [relation.label],
            }
        )
    return items


def _region(entity: Entity, name: str, text: str) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": name,
        "from_name": LABEL_CONTROL,
        "to_name": TEXT_OBJECT,
        "type": "labels",
        "origin": "prediction",
        "value": {
            "start": entity.start,
            "end": entity.end,
            "text": text[entity.start : entity.end],
            "labels": [entity.label],
        },
    }
    if entity.score is not None:
        item["score"] = entity.score
    return item


def _note(entity: Entity, name: str, text: str) -> dict[str, Any]:
    return {
        "id": name,
        "from_name": CANONICAL_CONTROL,
        "to_name": TEXT_OBJECT,
        "type": "textarea",
        "origin": "prediction",
        "value": {
            "start": entity.start,
            "end": entity.end,
            "text": [entity.canonical],
        },
    }


def decode(
    result: Sequence[Any],
    document_id: str,
    text: str,
    schema: LabelSchema,
    source: Source,
) -> Annotation:
    """What result items say of ``text``.

    Scores are read for a model's source alone.  Raises MisfitError, naming the first item that
    does not fit: of unknown form, outside the text, with a label or relation type the schema
    lacks, a relation that is dangling, without a label or illegal, a region id that stands for
    two different spans.
    """
    scored = source.kind is SourceKind.MODEL
    regions: dict[str, tuple[Entity, Any]] = {}
    notes: list[tuple[NoteItem, Any]] = []
    links: list[tuple[RelationItem, Any]] = []
    for raw in result:
        item = parse_item(raw)
        if isinstance(item, RegionItem):
            entity = _entity(item, raw, len(text), schema, scored)
            known = regions.get(item.id)
            if known is not None and known[0] != entity:
                raise MisfitError(
                    f"region id {item.id!r} stands for {_say(known[0])} and for {_say(entity)}",
                    item=raw,
                )
            regions[item.id] = (entity, raw)
        elif isinstance(item, NoteItem):
            if item.from_name != REASON_CONTROL:  # which is about the task; see `reason_of`
                notes.append((item, raw))
        else:
            links.append((item, raw))
    entities = {name: entity for name, (entity, _) in regions.items()}
    _attach_notes(entities, notes)
    relations = [
        relation for item, raw in links for relation in _relations(item, raw, entities, schema)
    ]
    return Annotation.of(document_id, entities.values(), relations, source)


def reason_item(text: str) -> dict[str, Any]:
    """A curator's reason as Label Studio's field for it writes it."""
    return {
        "id": "reason",
        "from_name": REASON_CONTROL,
        "to_name": TEXT_OBJECT,
        "type": "textarea",
        "value": {"text": [text]},
    }


def reason_of(result: Any) -> str:
    """What a curator gave as the reason of a decision, in one line; empty where nothing."""
    said = []
    for raw in result if isinstance(result, list) else []:
        if isinstance(raw, dict) and raw.get("from_name") == REASON_CONTROL:
            try:
                item = parse_item(raw)
            except MisfitError:
                continue
            if isinstance(item, NoteItem):
                said += [item.value.text] if isinstance(item.value.text, str) else item.value.text
    return " ".join(" ".join(said).split())[:MAX_REASON]


def _entity(item: RegionItem, raw: Any, length: int, schema: LabelSchema, scored: bool) -> Entity:
    if len(item.value.labels) != 1:
        raise MisfitError(
            f"region {item.id!r} has {len(item.value.labels) or 'no'} labels; it needs one",
            item=raw,
        )
    score = item.score if scored else None
    entity = Entity(item.value.start, item.value.end, item.value.labels[0], score)
    reason = schema.entity_misfit(entity, length)
    if reason:
        raise MisfitError(reason, item=raw)
    return entity


def _attach_notes(entities: dict[str, Entity], notes: list[tuple[NoteItem, Any]]) -> None:
    for item, raw in notes:
        entity = entities.get(item.id)
        if entity is None:
            raise MisfitError(f"a note on region {item.id!r}, which is not there", item=raw)
        texts = [item.value.text] if isinstance(item.value.text, str) else item.value.text
        canonical = next((text for text in texts if text.strip()), None)
        entities[item.id] = Entity(entity.start, entity.end, entity.label, entity.score, canonical)


def _relations(
    item: RelationItem, raw: Any, entities: dict[str, Entity], schema: LabelSchema
) -> list[Relation]:
    for end in (item.from_id, item.to_id):
        if end not in entities:
            raise MisfitError(f"a relation to region {end!r}, which is not there", item=raw)
    head, tail = entities[item.from_id], entities[item.to_id]
    if not item.labels:
        raise MisfitError(f"the relation from {_say(head)} to {_say(tail)} has no label", item=raw)
    found = []
    for label in item.labels:
        pairs = [(tail, head)] if item.direction == "left" else [(head, tail)]
        if item.direction == "bi" and label not in schema.symmetric:
            pairs.append((tail, head))
        for first, second in pairs:
            relation = Relation(first, second, label)
            reason = schema.relation_misfit(relation)
            if reason:
                raise MisfitError(reason, item=raw)
            found.append(relation)
    return found


def _say(entity: Entity) -> str:
    return f"{entity.label} {entity.start}–{entity.end}"


def model_version(model: Source) -> str:
    """The name of a model run in Label Studio: exact, since two runs may share name and version."""
    return f"{model}#{model.digest[:12]}" if model.digest else str(model)


def task_data(document_id: str, text: str) -> dict[str, str]:
    """A task's data: what annotators see, and how we find the task again."""
    return {DATA_TEXT: text, DATA_ID: document_id}


def prediction_payload(
    prediction: Annotation,
    text: str,
    schema: LabelSchema,
    known: Mapping[tuple[int, int, str], str] | None = None,
) -> dict[str, Any]:
    """A prediction as `/import` takes it, and as an ML backend answers with it.

    Its score is the mean over the items that have one; ``known`` as in :func:`encode`.
    """
    scores = [e.score for e in prediction.entities if e.score is not None]
    scores += [r.score for r in prediction.relations if r.score is not None]
    payload: dict[str, Any] = {
        "model_version": model_version(prediction.source),
        "result": encode(prediction, text, schema, known),
    }
    if scores:
        payload["score"] = sum(scores) / len(scores)
    return payload
