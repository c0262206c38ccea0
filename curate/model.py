"""The values everything else speaks about: frozen, without input or output.

A model's prediction, an annotator's correction and a curator's decision are all an
:class:`Annotation` of an immutable :class:`Document`; they differ in their :class:`Source` alone.
Offsets are Unicode code points into ``Document.text``, spans half-open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from curate.errors import DataError
from curate.offsets import Span, to_nfc

MAX_ID_LENGTH = 200


def digest_of(text: str) -> str:
    """The SHA-256 of the text's UTF-8, in hex."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def check_text(text: str) -> None:
    """Refuse what neither Label Studio nor a database keeps: NUL and lone surrogates.

    Raises DataError naming the character and its offset.
    """
    nul = text.find("\0")
    if nul >= 0:
        raise DataError(f"the text holds a NUL character at offset {nul}; remove it")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"the text holds a lone surrogate U+{ord(text[error.start]):04X} "
            f"at offset {error.start}; it is no valid Unicode"
        ) from None


def check_id(document_id: str) -> None:
    """Raises DataError for an id that could not be shown, stored or found again."""
    if not document_id or document_id != document_id.strip():
        raise DataError(f"document id {document_id!r} is empty or has outer spaces")
    if len(document_id) > MAX_ID_LENGTH:
        raise DataError(
            f"document id {document_id[:40]!r}… is longer than {MAX_ID_LENGTH} characters"
        )
    if any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in document_id):
        raise DataError(f"document id {document_id!r} holds control characters")
    try:
        document_id.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(f"document id {document_id!r} holds a lone surrogate") from None


def passage_id(parent: str, number: int) -> str:
    """The id of a document's passage of this number, from 1."""
    return f"{parent}~{number:03}"


@dataclass(frozen=True, slots=True)
class Document:
    """A text that never changes once ingested.

    ``id`` is the user's where the input has one, else the first 16 hex digits of ``digest``,
    which is the SHA-256 of ``text``; ``source`` says where it came from (a name, a URL, a file).
    """

    id: str
    text: str
    digest: str
    source: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def of(
        cls,
        text: str,
        *,
        id: str | None = None,
        source: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> Document:
        """A document of this text in NFC.

        Callers that hold offsets into a text that may not be NFC map them with
        :func:`curate.offsets.to_nfc` first.  Raises DataError for NUL, lone surrogates, a bad id.
        """
        check_text(text)
        text, _ = to_nfc(text)
        digest = digest_of(text)
        if id is not None:
            check_id(id)
        return cls(
            id=digest[:16] if id is None else id,
            text=text,
            digest=digest,
            source=source,
            metadata=dict(metadata or {}),
        )

    @property
    def parent(self) -> str | None:
        """The id of the document that this one is a passage of; None for a whole document."""
        passage = self.metadata.get("passage")
        parent = passage.get("of") if isinstance(passage, Mapping) else None
        return parent if isinstance(parent, str) and parent else None


@dataclass(frozen=True, slots=True)
class Entity:
    """A mention: a span with a label.

    Two entities are the same mention if start, end and label agree (``key``); ``score`` is a
    confidence in [0, 1], ``canonical`` names the thing meant across spellings.
    """

    start: int
    end: int
    label: str
    score: float | None = field(default=None, compare=False)
    canonical: str | None = field(default=None, compare=False)

    @property
    def span(self) -> Span:
        return (self.start, self.end)

    @property
    def key(self) -> tuple[int, int, str]:
        return (self.start, self.end, self.label)


@dataclass(frozen=True, slots=True)
class Relation:
    """A labelled, directed pair of mentions; ``score`` is a confidence in [0, 1]."""

    head: Entity
    tail: Entity
    label: str
    score: float | None = field(default=None, compare=False)

    @property
    def key(self) -> tuple[int, int, str, int, int, str, str]:
        return (*self.head.key, *self.tail.key, self.label)


class SourceKind(StrEnum):
    MODEL = "model"
    ANNOTATOR = "annotator"
    CONSENSUS = "consensus"
    CURATOR = "curator"


@dataclass(frozen=True, slots=True)
class Source:
    """Who says so: a model run (name, version, digest), an annotator or a curator (pseudonym),
    or a consensus (the rule's name)."""

    kind: SourceKind
    name: str
    version: str = ""
    digest: str = ""

    @classmethod
    def model(cls, name: str, version: str = "", digest: str = "") -> Source:
        return cls(SourceKind.MODEL, name, version, digest)

    @classmethod
    def annotator(cls, pseudonym: str) -> Source:
        return cls(SourceKind.ANNOTATOR, pseudonym)

    @classmethod
    def consensus(cls, rule: str) -> Source:
        return cls(SourceKind.CONSENSUS, rule)

    @classmethod
    def curator(cls, pseudonym: str) -> Source:
        return cls(SourceKind.CURATOR, pseudonym)

    def __str__(self) -> str:
        return f"{self.name}@{self.version}" if self.version else self.name


@dataclass(frozen=True, slots=True)
class Annotation:
    """What one source says of one document.

    ``entities`` and ``relations`` are sets by their ``key``; :meth:`of` sorts them and drops
    repeats.  ``chains`` are groups of mentions of one thing, where the source has them.
    Every relation's arguments and every chain's mentions are among ``entities``.
    """

    document_id: str
    entities: tuple[Entity, ...]
    relations: tuple[Relation, ...]
    source: Source
    chains: tuple[tuple[Entity, ...], ...] = ()

    @classmethod
    def of(
        cls,
        document_id: str,
        entities: Iterable[Entity],
        relations: Iterable[Relation],
        source: Source,
        chains: Iterable[Iterable[Entity]] = (),
    ) -> Annotation:
        """An annotation in canonical order; of repeats the one with the best score stays.

        Raises DataError if a relation or a chain names a mention that is not among ``entities``.
        """
        kept: dict[tuple[int, int, str], Entity] = {}
        for entity in entities:
            if entity.key not in kept or _score(entity) > _score(kept[entity.key]):
                kept[entity.key] = entity
        links: dict[tuple[int, int, str, int, int, str, str], Relation] = {}
        for relation in relations:
            for argument in (relation.head, relation.tail):
                if argument.key not in kept:
                    raise DataError(
                        f"relation {relation.label} of document {document_id!r} points at "
                        f"{argument.key}, which is no entity of it"
                    )
            if relation.key not in links or _score(relation) > _score(links[relation.key]):
                links[relation.key] = relation
        groups: set[tuple[Entity, ...]] = set()
        for chain in chains:
            members = {entity.key: entity for entity in chain}
            if not members.keys() <= kept.keys():
                raise DataError(f"a chain of document {document_id!r} names no entity of it")
            groups.add(tuple(kept[key] for key in sorted(members)))
        return cls(
            document_id=document_id,
            entities=tuple(kept[key] for key in sorted(kept)),
            relations=tuple(links[key] for key in sorted(links)),
            source=source,
            chains=tuple(sorted(groups, key=lambda group: [entity.key for entity in group])),
        )

    def from_source(self, source: Source) -> Annotation:
        """The same claims under another source."""
        return Annotation(self.document_id, self.entities, self.relations, source, self.chains)

    @property
    def is_empty(self) -> bool:
        return not self.entities and not self.relations


def _score(item: Entity | Relation) -> float:
    return -1.0 if item.score is None else item.score
