"""The contract test that the author of an extractor runs.

::

    # test_my_extractor.py
    from curate.testing import ExtractorContract
    from my_package import MyExtractor

    class TestMyExtractor(ExtractorContract):
        def make(self):
            return MyExtractor()

``schema`` and ``documents`` may be overridden.  pytest collects the inherited tests; each states a
law that curate relies on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from curate.extractors.interface import Extractor, answers, source_of
from curate.model import Annotation, Document
from curate.schema import LabelSchema, read_schema

TEXTS = (
    "Le colonel Idris Tahar commande la 17e brigade d’infanterie à Ghadamès, en Libye.",
    "M. Ali Barka (ONU) s’est rendu lundi 3 mai 2021 à l’aéroport de Sebha.",
    "",
    " \u00a0\n\t ",
    "AlgérieL’opération a commencé.\r\nFin 🇩🇿.",
    "Aucun nom ici, seulement des mots.",
    "e\u0301cole — « guillemets » … " * 20,
)
"""Ordinary sentences and texts that break careless offset arithmetic."""


class ExtractorContract(ABC):
    """What every extractor must hold."""

    @abstractmethod
    def make(self) -> Extractor:
        """A new instance of the extractor under test."""

    @property
    def schema(self) -> LabelSchema:
        """The schema whose labels the extractor gives; curate's own sample schema."""
        from curate.resources import default_schema

        return read_schema(default_schema())

    @property
    def documents(self) -> Sequence[Document]:
        """What the extractor is asked about; ids differ, texts may repeat."""
        return [Document.of(text, id=f"contract-{i}") for i, text in enumerate(TEXTS)]

    def _ask(self, extractor: Extractor, documents: Sequence[Document]) -> dict[str, Annotation]:
        return {a.document_id: a for a in extractor.extract(documents)}

    def test_it_has_name_version_and_digest(self) -> None:
        """They are texts; the name is not empty, and two instances agree."""
        one, other = self.make(), self.make()
        assert isinstance(one.name, str)
        assert one.name
        assert isinstance(one.version, str)
        assert source_of(one).digest
        assert source_of(one) == source_of(other)

    def test_every_document_is_answered_once(self) -> None:
        """One annotation for each document, also for an empty one and for none at all."""
        documents = self.documents
        said = list(self.make().extract(documents))
        assert sorted(a.document_id for a in said) == sorted(d.id for d in documents)
        assert list(self.make().extract([])) == []

    def test_documents_may_come_from_an_iterator(self) -> None:
        """They are read once; nothing asks for their number."""

        def stream() -> Iterator[Document]:
            yield from self.documents

        assert len(list(self.make().extract(stream()))) == len(self.documents)

    def test_answers_fit_texts_and_schema(self) -> None:
        """Spans in code points inside the text, labels of the schema, legal arguments."""
        said = self._ask(self.make(), self.documents)
        for document in self.documents:
            reason = self.schema.misfit(said[document.id], document.text)
            assert reason is None, f"{document.id}: {reason}"

    def test_spans_do_not_begin_or_end_in_white_space(self) -> None:
        """A mention is what a person would mark."""
        said = self._ask(self.make(), self.documents)
        for document in self.documents:
            for entity in said[document.id].entities:
                marked = document.text[entity.start : entity.end]
                assert marked == marked.strip(), f"{document.id}: {marked!r}"

    def test_scores_are_probabilities(self) -> None:
        """Where there are scores they lie in [0, 1]."""
        for annotation in self.make().extract(self.documents):
            scores = [entity.score for entity in annotation.entities]
            scores += [relation.score for relation in annotation.relations]
            assert all(score is None or 0 <= score <= 1 for score in scores)

    def test_the_same_documents_get_the_same_answers(self) -> None:
        """In any order, in any company, by any instance."""
        documents = self.documents
        said = self._ask(self.make(), documents)
        backwards = self._ask(self.make(), list(reversed(documents)))
        alone = {d.id: next(iter(self.make().extract([d]))) for d in documents[:3]}
        for document in documents:
            assert _claims(said[document.id]) == _claims(backwards[document.id])
        for name, annotation in alone.items():
            assert _claims(said[name]) == _claims(annotation)

    def test_curate_takes_its_answers_as_they_are(self) -> None:
        """Nothing has to be left out on the way into the store."""
        taken = {a.document_id: a for a in answers(self.make(), self.documents, self.schema)}
        said = self._ask(self.make(), self.documents)
        for name, annotation in said.items():
            assert _claims(annotation) == _claims(taken[name])


def _claims(annotation: Annotation) -> tuple[object, ...]:
    return (
        [(e.key, e.score) for e in annotation.entities],
        [(r.key, r.score) for r in annotation.relations],
    )


__all__ = ["TEXTS", "ExtractorContract"]
