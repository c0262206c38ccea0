"""How each item of a decision came about, as plain JSON: who proposed, who agreed, who decided.

A decision carries one object::

    {"decided": {"by": "consensus", "name": "majority"},
     "task": 12,
     "models": {"bootstrap@1": "<digest>"},
     "annotations": [{"annotator": "a", "annotation": 31, "saw": "bootstrap@1", "lead_ms": 93000}],
     "entities": {"12:20:LOC": {"models": [{"model": "bootstrap@1", "score_millionths": 910000}],
                                "annotators": {"a": {"did": "accepted"}, "b": {"did": "missed"}}}},
     "relations": {…}, "rejected": {"entities": {…}, "relations": {…}}}

What an annotator ``did`` with an item that is theirs: ``marked`` (had seen no prediction),
``accepted``, ``relabelled``, ``moved``, ``changed`` (both), ``split``, ``merged``, ``turned``,
``added``.  With one that is not: ``missed``, or how theirs differs (``label``, ``boundary``,
``label_boundary``, ``split``, ``merge``, ``type``, ``direction``, ``argument``) and, under
``marked``, the ids of what they marked instead.  ``rejected`` holds what some annotator marked
and the decision left out.  Every annotator is a pseudonym.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.alignment import Alignment, align
from curate.errors import DataError
from curate.gold.items import canonical, entity_id, relation_id, to_millionths
from curate.gold.lines import encode, parse, without_floats
from curate.model import Annotation, Entity, Relation, SourceKind
from curate.schema import LabelSchema

DID = {
    "correct": "accepted",
    "label": "relabelled",
    "boundary": "moved",
    "label_boundary": "changed",
    "split": "split",
    "merge": "merged",
    "type": "relabelled",
    "direction": "turned",
    "argument": "moved",
    "spurious": "added",
}
"""What an annotator did to a prediction, by the event that joins the two."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one annotator says of a document, and what they had before them.

    ``saw`` is the prediction the annotator started from; ``task`` and ``annotation`` are Label
    Studio's ids; ``lead_ms`` the time they took.
    """

    annotation: Annotation
    saw: Annotation | None = None
    task: int | None = None
    annotation_id: int | None = None
    lead_ms: int | None = None


def decided_by(annotation: Annotation) -> dict[str, str]:
    """Who decided, as provenance names it."""
    kind = "consensus" if annotation.source.kind is SourceKind.CONSENSUS else "curator"
    return {"by": kind, "name": annotation.source.name}


def trace(
    decision: Annotation,
    schema: LabelSchema,
    opinions: Iterable[Opinion] = (),
    predictions: Iterable[Annotation] = (),
) -> dict[str, Any]:
    """The provenance of a decision from what models proposed and annotators said."""
    decision = canonical(decision, schema)
    said = sorted(opinions, key=lambda o: o.annotation.source.name)
    record: dict[str, Any] = {"decided": decided_by(decision)}
    tasks = sorted({o.task for o in said if o.task is not None})
    if tasks:
        record["task"] = tasks[0]
    proposed = list(predictions)
    digests = {str(model.source): model.source.digest for model in proposed if model.source.digest}
    if digests:
        record["models"] = digests
    if said:
        record["annotations"] = [_opinion(o) for o in said]
    entities: dict[str, dict[str, Any]] = {}
    relations: dict[str, dict[str, Any]] = {}
    lost_entities: dict[str, dict[str, Any]] = {}
    lost_relations: dict[str, dict[str, Any]] = {}
    for model in sorted(proposed, key=lambda a: (str(a.source), a.source.digest)):
        _proposed(decision, canonical(model, schema), schema, entities, relations)
    for opinion in said:
        _did(decision, opinion, schema, (entities, lost_entities), (relations, lost_relations))
    if entities:
        record["entities"] = entities
    if relations:
        record["relations"] = relations
    rejected = {
        kind: items
        for kind, items in (("entities", lost_entities), ("relations", lost_relations))
        if items
    }
    if rejected:
        record["rejected"] = rejected
    return record


def _opinion(opinion: Opinion) -> dict[str, Any]:
    row: dict[str, Any] = {"annotator": opinion.annotation.source.name}
    if opinion.annotation_id is not None:
        row["annotation"] = opinion.annotation_id
    row["saw"] = None if opinion.saw is None else str(opinion.saw.source)
    if opinion.lead_ms is not None:
        row["lead_ms"] = opinion.lead_ms
    return row


def _item(items: dict[str, dict[str, Any]], key: str, part: str, empty: Any) -> Any:
    return items.setdefault(key, {}).setdefault(part, empty)


def _proposed(
    decision: Annotation,
    model: Annotation,
    schema: LabelSchema,
    entities: dict[str, dict[str, Any]],
    relations: dict[str, dict[str, Any]],
) -> None:
    for event in _events(align(decision, model, schema)):
        if not event.a or not event.b:
            continue
        target = entities if event.of_entities else relations
        for item in event.a:
            row: dict[str, Any] = {"model": str(model.source)}
            same = [other for other in event.b if _id(other) == _id(item)]
            chosen = (same or list(event.b))[0]
            if not same:
                row["as"] = [_id(other) for other in event.b]
            if chosen.score is not None:
                row["score_millionths"] = to_millionths(chosen.score)
            _item(target, _id(item), "models", []).append(row)


def _did(
    decision: Annotation,
    opinion: Opinion,
    schema: LabelSchema,
    entities: tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]],
    relations: tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]],
) -> None:
    mine = canonical(opinion.annotation, schema)
    name = mine.source.name
    acts = _acts(mine, opinion.saw, schema)
    for event in _events(align(decision, mine, schema)):
        held, lost = entities if event.of_entities else relations
        theirs = {_id(other) for other in event.b}
        kept = {_id(item) for item in event.a}
        for key in sorted(kept):
            did: dict[str, Any]
            if key in theirs:
                did = {"did": acts.get(key, "marked")}
            elif theirs:
                # Equal argument spans, another label of an argument: it follows its entity.
                how = "argument" if event.kind == "correct" else event.kind
                did = {"did": how, "marked": sorted(theirs)}
            else:
                did = {"did": "missed"}
            _item(held, key, "annotators", {})[name] = did
        for key in sorted(theirs - kept):
            _item(lost, key, "annotators", {})[name] = {"did": acts.get(key, "marked")}


def _acts(mine: Annotation, saw: Annotation | None, schema: LabelSchema) -> dict[str, str]:
    """What the annotator did to come to each item, by id; empty where no prediction was seen."""
    if saw is None:
        return {}
    acts = {}
    for event in _events(align(canonical(saw, schema), mine, schema)):
        before = {_id(item) for item in event.a}
        how = DID.get(event.kind, "added")
        for item in event.b:
            key = _id(item)
            acts[key] = "accepted" if key in before else "changed" if how == "accepted" else how
    return acts


@dataclass(frozen=True, slots=True)
class _Event:
    of_entities: bool
    kind: str
    a: tuple[Entity, ...] | tuple[Relation, ...]
    b: tuple[Entity, ...] | tuple[Relation, ...]


def _events(alignment: Alignment) -> Iterator[_Event]:
    for entity_event in alignment.entities:
        yield _Event(True, str(entity_event.kind), entity_event.a, entity_event.b)
    for relation_event in alignment.relations:
        yield _Event(False, str(relation_event.kind), relation_event.a, relation_event.b)


def _id(item: Entity | Relation) -> str:
    return entity_id(item) if isinstance(item, Entity) else relation_id(item)


def provenance_lines(annotation: Annotation, provenance: Mapping[str, Any]) -> str:
    """The lines of provenance.jsonl about one document: itself, its items, what was rejected.

    ``annotation`` is in canonical form; every item of it gets a line, whatever is known of it.
    """
    document = encode(annotation.document_id)
    decided = provenance.get("decided") or decided_by(annotation)
    head = {
        key: value
        for key, value in provenance.items()
        if key not in ("entities", "relations", "rejected")
    }
    head |= {"decided": decided, "document": annotation.document_id, "item": "document"}
    rows = [encode(without_floats(head))]
    plain = f'{{"decided":{encode(without_floats(decided))},"document":{document},"id":'
    for kind, ids in (
        ("entity", [entity_id(e) for e in annotation.entities]),
        ("relation", [relation_id(r) for r in annotation.relations]),
    ):
        items = provenance.get("entities" if kind == "entity" else "relations") or {}
        for key in ids:
            known = items.get(key)
            if not known:
                rows.append(f'{plain}{encode(key)},"item":"{kind}"}}')
                continue
            rows.append(
                encode(
                    {
                        "decided": decided,
                        **without_floats(known),
                        "document": annotation.document_id,
                        "id": key,
                        "item": kind,
                    }
                )
            )
    rejected = provenance.get("rejected") or {}
    for kind in ("entity", "relation"):
        items = rejected.get("entities" if kind == "entity" else "relations") or {}
        for key in sorted(items):
            rows.append(
                encode(
                    {
                        **without_floats(items[key]),
                        "document": annotation.document_id,
                        "id": key,
                        "item": kind,
                        "rejected": True,
                    }
                )
            )
    return "\n".join(rows) + "\n"


def read_provenance(lines: Iterable[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Document id and provenance, as :func:`trace` gives it, of each document in these lines.

    Every item of the release is among ``entities`` and ``relations``, known or not.  Raises
    DataError where a line is not in the form that :func:`provenance_lines` writes.
    """
    current: dict[str, Any] | None = None
    last = ""
    for number, line in enumerate(lines, start=1):
        row = parse(line)
        document, item = row.pop("document", None), row.pop("item", None)
        if not isinstance(document, str) or item not in ("document", "entity", "relation"):
            raise DataError("the line names no document or no item", line=number)
        if item == "document":
            if current is not None:
                yield last, current
            last, current = document, {**row, "entities": {}, "relations": {}}
            continue
        if current is None or document != last:
            raise DataError(f"an item of {document!r} stands outside its document", line=number)
        key = row.pop("id", None)
        if not isinstance(key, str):
            raise DataError("the item has no id", line=number)
        kind = "entities" if item == "entity" else "relations"
        if row.pop("rejected", False):
            current.setdefault("rejected", {}).setdefault(kind, {})[key] = row
            continue
        if row.get("decided") == current.get("decided"):
            del row["decided"]
        current[kind][key] = row
    if current is not None:
        yield last, current


class AgreementTally:
    """Agreement between annotators as provenance tells it, summed over documents.

    Mean pairwise strict F1: of two annotators, twice what both marked over all that each did,
    on the documents that both annotated.
    """

    def __init__(self) -> None:
        self._both: Counter[tuple[str, str, str]] = Counter()
        self._sizes: Counter[tuple[str, str, str]] = Counter()
        self._documents: Counter[tuple[str, str]] = Counter()

    def add(self, provenance: Mapping[str, Any]) -> None:
        names = sorted({row["annotator"] for row in provenance.get("annotations") or ()})
        if len(names) < 2:
            return
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        for pair in pairs:
            self._documents[pair] += 1
        rejected = provenance.get("rejected") or {}
        for kind in ("entities", "relations"):
            for items in (provenance.get(kind) or {}, rejected.get(kind) or {}):
                for key, item in items.items():
                    theirs = holders(item)
                    label = f"{kind}/{label_of(key, kind)}"
                    for a, b in pairs:
                        found = (a in theirs) + (b in theirs)
                        self._sizes[a, b, label] += found
                        self._both[a, b, label] += found == 2

    def result(self) -> dict[str, Any] | None:
        """Documents, annotators and F1 in millionths; None where nobody annotated in common."""
        if not self._documents:
            return None
        names = sorted({name for pair in self._documents for name in pair})
        labels = sorted({key[2] for key in self._sizes})
        return {
            "measure": "mean pairwise strict F1, in millionths",
            "annotators": names,
            "documents": max(self._documents.values()),
            "entities": self._f1([v for v in labels if v.startswith("entities/")]),
            "relations": self._f1([v for v in labels if v.startswith("relations/")]),
            "per_label": {label.split("/", 1)[1]: self._f1([label]) for label in labels},
        }

    def _f1(self, labels: Sequence[str]) -> int | None:
        values = []
        for a, b in sorted(self._documents):
            size = sum(self._sizes[a, b, label] for label in labels)
            if size:
                both = sum(self._both[a, b, label] for label in labels)
                values.append((2 * both * 1_000_000 * 2 + size) // (2 * size))
        return None if not values else (2 * sum(values) + len(values)) // (2 * len(values))


def holders(item: Mapping[str, Any]) -> set[str]:
    """The annotators who marked exactly this item."""
    return {
        name
        for name, did in (item.get("annotators") or {}).items()
        if "marked" not in did and did.get("did") != "missed"
    }


def label_of(key: str, kind: str) -> str:
    """The label in an item's id."""
    return key.split(":", 2)[2] if kind == "entities" else key.split(">")[1]
