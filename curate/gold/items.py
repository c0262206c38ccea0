"""What a release is made of, and the ids by which its files name mentions and relations.

An entity's id is ``start:end:label``, a relation's ``head>label>tail``; labels cannot hold ``>``
(see :mod:`curate.schema`), so both are unambiguous within their document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from curate.errors import DataError
from curate.model import Annotation, Document, Entity, Relation, Source
from curate.schema import LabelSchema

SPLITS = ("train", "dev", "test")
MILLION = 1_000_000

GOLD = Source.curator("gold")
"""The source of annotations read back from a release."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A document, what was decided of it, and how that came about.

    ``provenance`` is the JSON of :mod:`curate.gold.provenance`; ``group`` names the known
    near-duplicate group (any name; None: unknown).
    """

    document: Document
    annotation: Annotation
    provenance: Mapping[str, Any] = field(default_factory=dict)
    group: str | None = None


@dataclass(frozen=True, slots=True)
class GoldDocument:
    """A document as a release holds it; ``group`` and ``split`` are empty outside a release."""

    document: Document
    annotation: Annotation
    group: str = ""
    split: str = ""

    @property
    def id(self) -> str:
        return self.document.id


def entity_id(entity: Entity) -> str:
    return f"{entity.start}:{entity.end}:{entity.label}"


def relation_id(relation: Relation) -> str:
    return f"{entity_id(relation.head)}>{relation.label}>{entity_id(relation.tail)}"


def parse_entity_id(value: str) -> tuple[int, int, str]:
    """``(start, end, label)``.  Raises DataError for anything :func:`entity_id` does not write."""
    parts = value.split(":", 2)
    if len(parts) == 3 and parts[2]:
        start, end = parts[0], parts[1]
        if _is_number(start) and _is_number(end):
            return int(start), int(end), parts[2]
    raise DataError(f"{value!r} is no id of an entity; it looks like 12:20:LOC")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")


def to_millionths(score: float | None) -> int | None:
    return None if score is None else round(score * MILLION)


def from_millionths(score: int | None) -> float | None:
    return None if score is None else score / MILLION


def canonical(annotation: Annotation, schema: LabelSchema) -> Annotation:
    """The annotation with the arguments of symmetric relations in one order, repeats dropped."""
    if not any(
        r.label in schema.symmetric and r.tail.key < r.head.key for r in annotation.relations
    ):
        return annotation
    return Annotation.of(
        annotation.document_id,
        annotation.entities,
        [ordered(relation, schema) for relation in annotation.relations],
        annotation.source,
        annotation.chains,
    )


def ordered(relation: Relation, schema: LabelSchema) -> Relation:
    """The relation; of a symmetric type, with the mention that comes first as its head."""
    if relation.label in schema.symmetric and relation.tail.key < relation.head.key:
        return replace(relation, head=relation.tail, tail=relation.head)
    return relation


def portable_source(source: str) -> str:
    """Where a document came from, without a folder of somebody's machine.

    Addresses (``https://…``) and plain names stay; of an absolute, home or dotted path the last
    part does.
    """
    drive = len(source) > 2 and source[1] == ":" and source[2] in "\\/"
    if source.startswith(("/", "\\", "./", "../", "~", ".\\", "..\\")) or drive:
        return source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    if source.startswith("file:"):
        return source.rstrip("/").rsplit("/", 1)[-1]
    return source
