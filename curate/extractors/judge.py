"""A trained entity model as judge: one calibrated confidence for the entities of any extractor.

Scores of different extractors mean different things, and some mean nothing; the judge's mean the
same for all of them: the share of such entities that is right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from curate.errors import ConfigurationError
from curate.extractors.interface import Extractor, source_of
from curate.extractors.spacy import Pipeline
from curate.model import Annotation, Document, Entity, Relation, Source


@dataclass(frozen=True)
class Judge:
    """The ``crf_ner`` of a pipeline directory."""

    pipeline: Pipeline

    @classmethod
    def of(cls, folder: Path) -> Judge:
        """Raises ConfigurationError where the folder holds no such model."""
        judge = cls(Pipeline(folder))
        if judge.component is None:
            raise ConfigurationError(
                "cannot judge: it has no crf_ner; name a model that `curate train` made",
                path=folder,
            )
        return judge

    @cached_property
    def component(self) -> Any:
        from curate.extractors.components import CrfNer

        found = (part for _, part in self.pipeline.nlp.pipeline if isinstance(part, CrfNer))
        return next(found, None)

    def judged(self, annotation: Annotation, text: str, source: Source) -> Annotation:
        """The annotation with the judge's scores on its entities."""
        if not annotation.entities:
            return annotation.from_source(source)
        doc = self.pipeline.nlp.make_doc(text)
        scores = self.component.judge(doc, [e.key for e in annotation.entities])
        entities: dict[tuple[int, int, str], Entity] = {
            entity.key: replace(entity, score=score)
            for entity, score in zip(annotation.entities, scores, strict=True)
        }
        relations: list[Relation] = [
            replace(r, head=entities[r.head.key], tail=entities[r.tail.key])
            for r in annotation.relations
        ]
        return Annotation.of(
            annotation.document_id,
            entities.values(),
            relations,
            source,
            [[entities[e.key] for e in chain] for chain in annotation.chains],
        )


@dataclass(frozen=True)
class Judged:
    """An extractor whose entities bear a judge's scores: a model run of its own."""

    extractor: Extractor
    judge: Judge

    @property
    def name(self) -> str:
        return self.extractor.name

    @property
    def version(self) -> str:
        pipeline = self.judge.pipeline
        return f"{self.extractor.version}+{pipeline.name}@{pipeline.version}"

    @property
    def digest(self) -> str:
        told = f"{source_of(self.extractor).digest}\0{self.judge.pipeline.digest}"
        return hashlib.sha256(told.encode()).hexdigest()

    @property
    def notice(self) -> str | None:
        found = getattr(self.extractor, "notice", None)
        return None if found is None else str(found)

    @property
    def relate(self) -> Any:
        """The extractor's own way from given entities to relations; as missing as there."""
        extractor: Any = self.extractor
        return extractor.relate

    def extract(self, documents: Iterable[Document]) -> Iterator[Annotation]:
        source = Source.model(self.name, self.version, self.digest)
        asked: dict[str, str] = {}

        def passed() -> Iterator[Document]:
            for document in documents:
                asked[document.id] = document.text
                yield document

        for annotation in self.extractor.extract(passed()):
            text = asked.pop(annotation.document_id, None)
            if text is None:  # said of a document that was not asked about: told by the caller
                yield annotation.from_source(source)
            else:
                yield self.judge.judged(annotation, text, source)
