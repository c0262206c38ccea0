"""The label schema: entity labels, relation types and their legal arguments.

Written by people as YAML, read strictly: an unknown key, a name twice, an argument that is no
label, or a name that XML cannot carry is refused with file and line.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from curate.errors import ConfigurationError, DataError
from curate.model import Annotation, Entity, Relation

_UNSAFE = re.compile(r"[<>&\"'\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}\Z")
_LANGUAGE = re.compile(r"[a-z]{2,3}\Z")
MAX_SCHEMA = 500_000
MAX_NAME_LENGTH = 64


@dataclass(frozen=True)
class EntityType:
    """One entity label and what annotators are told about it."""

    name: str
    title: str = ""
    definition: str = ""
    examples: tuple[str, ...] = ()
    color: str = "#888888"
    hotkey: str | None = None


@dataclass(frozen=True)
class RelationType:
    """One relation type; legal are pairs of ``head`` × ``tail`` labels.

    ``symmetric``: the order of the arguments carries no meaning.
    ``same_label``: both arguments must carry the same label.
    """

    name: str
    head: tuple[str, ...]
    tail: tuple[str, ...]
    title: str = ""
    definition: str = ""
    examples: tuple[str, ...] = ()
    symmetric: bool = False
    same_label: bool = False

    def allows(self, head: str, tail: str) -> bool:
        if self.same_label and head != tail:
            return False
        if head in self.head and tail in self.tail:
            return True
        return self.symmetric and head in self.tail and tail in self.head


@dataclass(frozen=True)
class LabelSchema:
    """Entity labels and relation types of a corpus."""

    name: str
    entities: tuple[EntityType, ...]
    relations: tuple[RelationType, ...] = ()
    version: str = "1"
    language: str = "xx"
    title: str = ""
    instructions: str = ""

    @cached_property
    def entity_labels(self) -> tuple[str, ...]:
        return tuple(entity.name for entity in self.entities)

    @cached_property
    def relation_labels(self) -> tuple[str, ...]:
        return tuple(relation.name for relation in self.relations)

    @cached_property
    def _relations(self) -> dict[str, RelationType]:
        return {relation.name: relation for relation in self.relations}

    @cached_property
    def _entity_names(self) -> frozenset[str]:
        return frozenset(self.entity_labels)

    @cached_property
    def symmetric(self) -> frozenset[str]:
        """The names of the relation types whose arguments have no order."""
        return frozenset(relation.name for relation in self.relations if relation.symmetric)

    def has_entity(self, label: str) -> bool:
        return label in self._entity_names

    def relation(self, label: str) -> RelationType | None:
        return self._relations.get(label)

    def allows(self, label: str, head: str, tail: str) -> bool:
        """Whether a relation of this type may link a head and a tail with these labels."""
        relation = self._relations.get(label)
        return relation is not None and relation.allows(head, tail)

    def legal_relations(self, head: str, tail: str) -> tuple[str, ...]:
        """The relation types that may link these labels, in the order of the schema."""
        return tuple(r.name for r in self.relations if r.allows(head, tail))

    def misfit(self, annotation: Annotation, text: str) -> str | None:
        """Why the annotation does not fit this schema and text; None where it does."""
        for entity in annotation.entities:
            reason = self.entity_misfit(entity, len(text))
            if reason:
                return reason
        for relation in annotation.relations:
            reason = self.relation_misfit(relation)
            if reason:
                return reason
        return None

    def entity_misfit(self, entity: Entity, length: int) -> str | None:
        if not 0 <= entity.start < entity.end <= length:
            return f"span {entity.start}–{entity.end} lies outside the text of {length} characters"
        if entity.label not in self._entity_names:
            return (
                f"entity label {entity.label!r} is not in schema {self.name} "
                f"({', '.join(self.entity_labels)})"
            )
        return None

    def relation_misfit(self, relation: Relation) -> str | None:
        known = self._relations.get(relation.label)
        if known is None:
            return (
                f"relation type {relation.label!r} is not in schema {self.name} "
                f"({', '.join(self.relation_labels) or 'which has none'})"
            )
        if relation.head.span == relation.tail.span and relation.head == relation.tail:
            return f"relation {relation.label} links a mention with itself"
        if not known.allows(relation.head.label, relation.tail.label):
            return (
                f"relation {relation.label} may not link {relation.head.label} "
                f"to {relation.tail.label}"
            )
        return None

    def as_dict(self) -> dict[str, Any]:
        """The schema as plain JSON types, in the YAML's form, defaults left out."""
        return {
            "name": self.name,
            "version": self.version,
            "language": self.language,
            "title": self.title,
            "instructions": self.instructions,
            "entities": [
                _present(
                    {
                        "name": e.name,
                        "title": e.title,
                        "definition": e.definition,
                        "examples": list(e.examples),
                        "color": e.color,
                        "hotkey": e.hotkey,
                    }
                )
                for e in self.entities
            ],
            "relations": [
                _present(
                    {
                        "name": r.name,
                        "title": r.title,
                        "definition": r.definition,
                        "examples": list(r.examples),
                        "head": list(r.head),
                        "tail": list(r.tail),
                        "symmetric": r.symmetric,
                        "same_label": r.same_label,
                    }
                )
                for r in self.relations
            ],
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole schema, texts for annotators included, in hex."""
        canonical = json.dumps(self.as_dict(), ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(canonical.encode("utf-8")).hexdigest()

    def to_yaml(self) -> str:
        """Canonical YAML; :func:`parse_schema` reads it back equal."""
        import yaml

        return yaml.safe_dump(
            self.as_dict(), allow_unicode=True, sort_keys=False, width=100, line_break="\n"
        )


def _present(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if value not in ("", [], None, False)}


def read_schema(path: Path) -> LabelSchema:
    """Read a schema file.  Raises ConfigurationError with file and line for anything wrong."""
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise ConfigurationError("there is no schema file here", path=path) from None
    except IsADirectoryError:
        raise ConfigurationError(
            "is a directory; name the schema's .yaml file", path=path
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"is not UTF-8 (byte {error.start}); save it as UTF-8", path=path
        ) from None
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", path=path) from None
    return parse_schema(text, path)


def parse_schema(text: str, path: Path | str = "schema") -> LabelSchema:
    """Parse a schema from YAML.  Raises ConfigurationError with ``path`` and line."""
    import yaml

    if len(text) > MAX_SCHEMA:
        raise ConfigurationError(f"is longer than {MAX_SCHEMA} characters", path=path)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise ConfigurationError(
            f"is not valid YAML: {error.problem or error.context}",
            path=path,
            line=None if mark is None else mark.line + 1,
        ) from None
    except RecursionError:
        raise ConfigurationError("is nested too deeply", path=path) from None
    except (yaml.YAMLError, ValueError):
        raise ConfigurationError("is not valid YAML", path=path) from None
    if root is None:
        raise ConfigurationError("is empty; a schema needs a name and entities", path=path)
    try:
        return _SchemaReader().schema(root)
    except ConfigurationError as error:
        raise error.at(path) from None


class _SchemaReader:
    """Walks the YAML nodes, which know their lines."""

    def schema(self, root: Any) -> LabelSchema:
        fields = self._mapping(
            root,
            "schema",
            required=("name", "entities"),
            optional=("version", "language", "title", "instructions", "relations"),
        )
        name = self._name(fields["name"], "schema")
        if name.startswith(".") or "/" in name or "\\" in name:
            self._refuse(fields["name"], f"schema name {name!r} cannot be part of a file name")
        language = self._text(fields, "language", "xx")
        if not _LANGUAGE.match(language):
            self._refuse(
                fields["language"], f"language {language!r} is no code of two or three letters"
            )
        entities = [self._entity(node) for node in self._sequence(fields["entities"], "entities")]
        if not entities:
            self._refuse(fields["entities"], "a schema needs at least one entity label")
        self._distinct(fields["entities"], "entity label", [e.name for e in entities])
        self._distinct(fields["entities"], "hotkey", [e.hotkey for e in entities])
        self._distinct(
            fields["entities"], "color", [e.color.lower() for e in entities], skip="#888888"
        )
        labels = frozenset(e.name for e in entities)
        relations = (
            [
                self._relation(node, labels)
                for node in self._sequence(fields["relations"], "relations")
            ]
            if "relations" in fields
            else []
        )
        if "relations" in fields:
            self._distinct(fields["relations"], "relation type", [r.name for r in relations])
            for node, relation in zip(fields["relations"].value, relations, strict=True):
                if relation.name in labels:
                    self._refuse(node, f"{relation.name!r} names both an entity and a relation")
        return LabelSchema(
            name=name,
            entities=tuple(entities),
            relations=tuple(relations),
            version=self._text(fields, "version", "1"),
            language=language,
            title=self._text(fields, "title", ""),
            instructions=self._text(fields, "instructions", ""),
        )

    def _entity(self, node: Any) -> EntityType:
        fields = self._mapping(
            node,
            "entity",
            required=("name",),
            optional=("title", "definition", "examples", "color", "hotkey"),
        )
        color = self._text(fields, "color", "#888888")
        if not _COLOR.match(color):
            self._refuse(fields["color"], f"color {color!r} is not of the form #rrggbb")
        hotkey = self._text(fields, "hotkey", "") or None
        if hotkey is not None and (len(hotkey) != 1 or not hotkey.isalnum()):
            self._refuse(fields["hotkey"], f"hotkey {hotkey!r} is not one letter or digit")
        return EntityType(
            name=self._name(fields["name"], "entity"),
            title=self._text(fields, "title", ""),
            definition=self._text(fields, "definition", ""),
            examples=self._texts(fields, "examples"),
            color=color,
            hotkey=hotkey,
        )

    def _relation(self, node: Any, labels: frozenset[str]) -> RelationType:
        fields = self._mapping(
            node,
            "relation",
            required=("name", "head", "tail"),
            optional=("title", "definition", "examples", "symmetric", "same_label"),
        )
        name = self._name(fields["name"], "relation")
        arguments: dict[str, tuple[str, ...]] = {}
        for side in ("head", "tail"):
            for item in self._sequence(fields[side], side):
                label = self._scalar(item, side)
                if label not in labels:
                    self._refuse(
                        item, f"{side} {label!r} of relation {name} is not an entity label"
                    )
            arguments[side] = self._texts(fields, side)
            if not arguments[side]:
                self._refuse(fields[side], f"relation {name} has no {side} labels")
            self._distinct(fields[side], f"{side} label", list(arguments[side]))
        symmetric = self._flag(fields, "symmetric")
        if symmetric and set(arguments["head"]) != set(arguments["tail"]):
            self._refuse(node, f"relation {name} is symmetric, but its head and tail labels differ")
        return RelationType(
            name=name,
            head=arguments["head"],
            tail=arguments["tail"],
            title=self._text(fields, "title", ""),
            definition=self._text(fields, "definition", ""),
            examples=self._texts(fields, "examples"),
            symmetric=symmetric,
            same_label=self._flag(fields, "same_label"),
        )

    def _mapping(
        self, node: Any, what: str, required: Iterable[str], optional: Iterable[str]
    ) -> dict[str, Any]:
        import yaml

        if not isinstance(node, yaml.MappingNode):
            self._refuse(node, f"a {what} must be a mapping of keys to values")
        fields: dict[str, Any] = {}
        allowed = (*required, *optional)
        for key_node, value_node in node.value:
            key = self._scalar(key_node, "key")
            if key not in allowed:
                self._refuse(
                    key_node, f"unknown key {key!r} in a {what}; known are {', '.join(allowed)}"
                )
            if key in fields:
                self._refuse(key_node, f"key {key!r} stands twice in this {what}")
            fields[key] = value_node
        for key in required:
            if key not in fields:
                self._refuse(node, f"a {what} needs the key {key!r}")
        return fields

    def _sequence(self, node: Any, what: str) -> list[Any]:
        import yaml

        if not isinstance(node, yaml.SequenceNode):
            self._refuse(node, f"{what!r} must be a list")
        return list(node.value)

    def _scalar(self, node: Any, what: str) -> str:
        import yaml

        if not isinstance(node, yaml.ScalarNode):
            self._refuse(node, f"{what!r} must be a plain text")
        return str(node.value)

    def _name(self, node: Any, what: str) -> str:
        name = self._scalar(node, "name")
        if not name or name != name.strip() or len(name) > MAX_NAME_LENGTH:
            self._refuse(
                node, f"{what} name {name!r} must have 1 to {MAX_NAME_LENGTH} characters, trimmed"
            )
        unsafe = _UNSAFE.search(name)
        if unsafe or "," in name:
            char = unsafe.group() if unsafe else ","
            self._refuse(
                node, f"{what} name {name!r} holds {char!r}, which XML cannot carry safely"
            )
        return name

    def _text(self, fields: dict[str, Any], key: str, default: str) -> str:
        return self._scalar(fields[key], key) if key in fields else default

    def _texts(self, fields: dict[str, Any], key: str) -> tuple[str, ...]:
        if key not in fields:
            return ()
        return tuple(self._scalar(node, key) for node in self._sequence(fields[key], key))

    def _flag(self, fields: dict[str, Any], key: str) -> bool:
        value = self._text(fields, key, "false").lower()
        if value not in ("true", "false"):
            self._refuse(fields[key], f"{key!r} must be true or false")
        return value == "true"

    def _distinct(self, node: Any, what: str, values: list[Any], skip: str | None = None) -> None:
        seen: set[Any] = set()
        for item, value in zip(node.value, values, strict=True):
            if value is None or value == skip:
                continue
            if value in seen:
                self._refuse(item, f"{what} {value!r} stands twice")
            seen.add(value)

    def _refuse(self, node: Any, message: str) -> None:
        raise ConfigurationError(message, line=node.start_mark.line + 1)


def check_fit(annotation: Annotation, text: str, schema: LabelSchema) -> None:
    """Raises DataError where the annotation does not fit text and schema."""
    reason = schema.misfit(annotation, text)
    if reason:
        raise DataError(f"document {annotation.document_id!r}: {reason}")
