"""The extractor for the day when there is no gold yet: rules from the data folders."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from curate.extractors.mentions import find_mentions
from curate.extractors.relate import find_relations
from curate.extractors.rules import DATA, NameIndex, Rulebook, available, load
from curate.model import Annotation, Document, Entity, Relation, Source
from curate.schema import LabelSchema

NAME = "bootstrap"
VERSION = "1"


@dataclass(frozen=True)
class Bootstrap:
    """Rules for the schema's language, their labels mapped onto the schema's.

    Where there is data for the schema's own name it is used; else any data of that language whose
    labels the schema knows under these or their usual other names.  Without data nothing is
    found, and ``notice`` says so.
    """

    schema: LabelSchema
    root: Path = DATA

    @property
    def name(self) -> str:
        return NAME

    @property
    def version(self) -> str:
        return VERSION

    @cached_property
    def book(self) -> Rulebook | None:
        """The rules that are used; None where there are none for this schema."""
        offered = [pair for pair in available(self.root) if pair[0] == self.schema.language]
        offered.sort(key=lambda pair: (pair[1] != self.schema.name, pair[1]))
        for language, schema in offered:
            book = load(language, schema, self.root)
            if self._labels_of(book):
                return book
        return None

    def _labels_of(self, book: Rulebook) -> dict[str, str]:
        labels: dict[str, str] = {}
        for label, names in book.aliases.items():
            for name in names:
                if self.schema.has_entity(name):
                    labels[label] = name
                    break
        return labels

    @cached_property
    def labels(self) -> dict[str, str]:
        """The rules' labels → the schema's; what the schema lacks is not emitted."""
        return {} if self.book is None else self._labels_of(self.book)

    @cached_property
    def notice(self) -> str | None:
        """What the user should know about the reach of the rules; None where they reach all."""
        if self.book is None:
            return (
                f"there are no bootstrap rules for schema {self.schema.name!r} in language "
                f"{self.schema.language!r}: the bootstrap extractor finds nothing; annotate some "
                "documents from scratch, then train"
            )
        without = [x for x in self.schema.entity_labels if x not in self.labels.values()]
        if without:
            return f"the bootstrap rules know nothing of {', '.join(without)}"
        return None

    @cached_property
    def digest(self) -> str:
        rules = self.book.digest if self.book else ""
        relations = [(r.name, r.head, r.tail) for r in self.schema.relations]
        told = repr((NAME, VERSION, rules, sorted(self.labels.items()), relations))
        return hashlib.sha256(told.encode()).hexdigest()

    @cached_property
    def _index(self) -> NameIndex:
        return NameIndex.of(self.book.gazetteers if self.book else ())

    def extract(self, documents: Iterable[Document]) -> Iterator[Annotation]:
        source = Source.model(self.name, self.version, self.digest)
        for document in documents:
            yield self.annotate(document, source)

    def annotate(self, document: Document, source: Source) -> Annotation:
        book = self.book
        if book is None:
            return Annotation.of(document.id, (), (), source)
        text = document.text
        found = find_mentions(text, book, self._index)
        entities: dict[tuple[int, int, str], Entity] = {}
        for mention in found.all:
            label = self.labels.get(mention.label)
            if label is not None:
                entities[mention.key] = Entity(
                    mention.start, mention.end, label, round(mention.score, 4), mention.canonical
                )
        relations: list[Relation] = []
        for bond in find_relations(text, found, book, self._allowed):
            head, tail = entities.get(bond.head), entities.get(bond.tail)
            if head is not None and tail is not None:
                relations.append(Relation(head, tail, bond.label, round(bond.score, 4)))
        return Annotation.of(document.id, entities.values(), relations, source)

    def _allowed(self, label: str, head: str, tail: str) -> bool:
        mapped = self.labels.get(head), self.labels.get(tail)
        return (
            mapped[0] is not None
            and mapped[1] is not None
            and self.schema.allows(label, mapped[0], mapped[1])
        )
