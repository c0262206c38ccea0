"""What an extractor is: documents in, annotations out.

Anything with a ``name``, a ``version`` and ``extract`` will do; see docs/extractors.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from curate.errors import DataError
from curate.model import Annotation, Document, Entity, Relation, Source
from curate.schema import LabelSchema

ENTRY_POINTS = "curate.extractors"
"""The entry-point group under which a package offers extractors."""


@runtime_checkable
class Extractor(Protocol):
    """Turns documents into annotations.

    ``digest`` changes whenever the answers may change: it names the model run under which
    predictions are kept, and documents that this digest has answered are not asked again.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def digest(self) -> str: ...

    def extract(self, documents: Iterable[Document]) -> Iterator[Annotation]:
        """An annotation for each document, in any order; scores where there are any."""
        ...


def source_of(extractor: Extractor) -> Source:
    """The model run under which this extractor's answers are kept."""
    digest = getattr(extractor, "digest", "")
    if not digest:
        digest = hashlib.sha256(f"{extractor.name}\0{extractor.version}".encode()).hexdigest()
    return Source.model(extractor.name, extractor.version, digest)


@dataclass
class Misfits:
    """What of a model's answers had to be left out, by reason."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, reason: str) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + 1

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def answers(
    extractor: Extractor,
    documents: Iterable[Document],
    schema: LabelSchema | None,
    misfits: Misfits | None = None,
    advance: Callable[[], None] | None = None,
) -> Iterator[Annotation]:
    """The extractor's annotations, held to the schema and the texts, under its own source.

    What does not fit (a label that the schema lacks, a span outside the text, illegal arguments)
    is left out and counted in ``misfits``.  Raises DataError for an answer about a document that
    was not asked, a second answer, and a document without one.
    """
    speaker = source_of(extractor)
    asked: dict[str, Document] = {}

    def passed() -> Iterator[Document]:
        for document in documents:
            asked[document.id] = document
            yield document

    waste = Misfits() if misfits is None else misfits
    for annotation in extractor.extract(passed()):
        document = asked.pop(annotation.document_id, None)
        if document is None:
            raise DataError(
                f"{speaker} answered about document {annotation.document_id!r}, which it was not "
                "asked about or had answered already"
            )
        yield _fitted(annotation, document, schema, waste).from_source(speaker)
        if advance is not None:
            advance()
    if asked:
        raise DataError(f"{speaker} gave no answer for document {next(iter(asked))!r}")


def _fitted(
    annotation: Annotation, document: Document, schema: LabelSchema | None, waste: Misfits
) -> Annotation:
    entities: list[Entity] = []
    length = len(document.text)
    for entity in annotation.entities:
        if not 0 <= entity.start < entity.end <= length:
            waste.add("span outside the text")
        elif schema is not None and not schema.has_entity(entity.label):
            waste.add(f"entity label {entity.label} not in the schema")
        else:
            entities.append(entity)
    if len(entities) == len(annotation.entities) and (schema is None or not annotation.relations):
        return annotation
    kept = {entity.key for entity in entities}
    relations: list[Relation] = []
    for relation in annotation.relations:
        if relation.head.key not in kept or relation.tail.key not in kept:
            waste.add("relation of an entity left out")
        elif schema is not None and schema.relation_misfit(relation):
            waste.add(f"relation {relation.label} not legal in the schema")
        else:
            relations.append(relation)
    chains = [[e for e in chain if e.key in kept] for chain in annotation.chains]
    return Annotation.of(
        annotation.document_id,
        entities,
        relations,
        annotation.source,
        [chain for chain in chains if len(chain) > 1],
    )


def pruned(model: Source, min_score: float) -> Source:
    """The model run that says only what it is this sure of: another run than the model itself."""
    digest = hashlib.sha256(f"{model.digest}\0{min_score!r}".encode()).hexdigest()
    return Source.model(model.name, f"{model.version}+min{min_score:g}", digest)


def least(annotation: Annotation, min_score: float) -> Annotation:
    """Without the entities and relations whose score is below ``min_score``.

    What has no score stays; a relation goes with its arguments.
    """
    entities = [e for e in annotation.entities if e.score is None or e.score >= min_score]
    kept = {entity.key for entity in entities}
    relations = [
        r
        for r in annotation.relations
        if (r.score is None or r.score >= min_score) and {r.head.key, r.tail.key} <= kept
    ]
    chains = [[e for e in chain if e.key in kept] for chain in annotation.chains]
    return Annotation.of(
        annotation.document_id,
        entities,
        relations,
        annotation.source,
        [chain for chain in chains if len(chain) > 1],
    )


class Below(NamedTuple):
    """What a least score left out: ``items``, and the sum of their scores in ten-thousandths.

    Where scores are calibrated, the sum is how many of the items are right: edits that annotators
    owe now, against those that they are spared.  Whole numbers, since the order of partitions must
    not show.
    """

    items: int = 0
    worth: int = 0

    @classmethod
    def between(cls, annotation: Annotation, kept: Annotation) -> Below:
        """What of the annotation is not in what :func:`least` kept of it."""
        entities = {e.key for e in annotation.entities} - {e.key for e in kept.entities}
        left = {r.key for r in kept.relations}
        scores = [e.score for e in annotation.entities if e.key in entities]
        scores += [r.score for r in annotation.relations if r.key not in left]
        return cls(len(scores), sum(round(10_000 * (score or 0.0)) for score in scores))

    def plus(self, other: Below) -> Below:
        return Below(self.items + other.items, self.worth + other.worth)

    @property
    def right(self) -> int:
        """How many are right, if their scores are true."""
        return (self.worth + 5_000) // 10_000


NOTHING_LEFT = Below()
