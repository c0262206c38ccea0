"""Any spaCy pipeline directory as an extractor, whatever trained it.

Entities are those of ``doc.spans["entities"]`` (curate's own pipelines, nested ones too), else
``doc.ents`` together with the groups that spaCy's ``spancat`` fills.  Scores come from
``doc.user_data["curate"]`` or from the span group's ``scores``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from curate.errors import ConfigurationError
from curate.extractors.models import CARD, Card, digest_of_folder, read_card
from curate.extractors.trust import check, check_config
from curate.gold.formats.spacy import SPAN_GROUP, USER_DATA
from curate.model import Annotation, Document, Entity, Relation, Source

BATCH = 64


@dataclass(frozen=True)
class Pipeline:
    """A spaCy pipeline directory.

    Of a model with a card, name, version and digest are the card's; of any other, the folder's
    name, the version in its ``meta.json``, and a digest of all its files.
    """

    folder: Path

    @cached_property
    def _identity(self) -> tuple[str, str, str]:
        card = check(self.folder)
        if card is not None:
            return card.name, card.version, card.digest
        import json

        try:
            meta = json.loads((self.folder / "meta.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            meta = {}
        version = str(meta.get("version", "")) if isinstance(meta, dict) else ""
        return self.folder.resolve().name, version, digest_of_folder(self.folder)

    @property
    def name(self) -> str:
        return self._identity[0]

    @property
    def version(self) -> str:
        return self._identity[1]

    @property
    def digest(self) -> str:
        return self._identity[2]

    @cached_property
    def nlp(self) -> Any:
        """The loaded pipeline, once its folder was checked (:mod:`curate.extractors.trust`).

        Raises DataError or ConfigurationError where it may not or cannot be loaded.
        """
        _ = self._identity
        return load_pipeline(self.folder)

    def extract(self, documents: Iterable[Document]) -> Iterator[Annotation]:
        source = Source.model(self.name, self.version, self.digest)
        pairs = ((document.text, document.id) for document in documents)
        for doc, document_id in self.nlp.pipe(pairs, as_tuples=True, batch_size=BATCH):
            yield annotation_of_doc(doc, document_id, source)

    def relate(self, document: Document, entities: Sequence[Entity]) -> list[Relation]:
        """The relations among given entities, by the pipeline's relation classifier; none where
        it has none."""
        from curate.extractors.components import RelationClassifier

        parts = [part for _, part in self.nlp.pipeline if isinstance(part, RelationClassifier)]
        if not parts or not entities:
            return []
        doc = self.nlp.make_doc(document.text)
        doc.user_data[USER_DATA] = {
            "entities": [[e.start, e.end, e.label] for e in entities],
            "entity_scores": [e.score for e in entities],
            "relations": [],
            "relation_scores": [],
            "misaligned": [],
        }
        source = Source.model(self.name, self.version, self.digest)
        return list(annotation_of_doc(parts[-1](doc), document.id, source).relations)


def load_pipeline(folder: Path) -> Any:
    """Load a pipeline directory with our components known.

    Raises ConfigurationError where spaCy cannot load it, or would reach for something else.
    """
    check_config(folder)
    import spacy

    from curate.extractors.components import register

    register()
    try:
        return spacy.load(folder)
    except Exception as error:  # a damaged, older or foreign pipeline raises anything
        if (folder / CARD).is_file():
            raise ConfigurationError(_older(read_card(folder), error), path=folder) from None
        raise ConfigurationError(
            f"spaCy cannot load this pipeline ({type(error).__name__}); was it made by another "
            "version, or is a package missing?",
            path=folder,
        ) from None


def _older(card: Card, error: Exception) -> str:
    """A model of ours whose files are whole and that does not load: another version wrote it."""
    from importlib.metadata import version

    made = (card.settings.get("versions") or {}) if isinstance(card.settings, dict) else {}
    by = f"curate {made.get('curate', '(unknown)')} and spaCy {made.get('spacy', '(unknown)')}"
    return (
        f"{card.reference}, trained by {by}, cannot be loaded by this curate {version('curate')} "
        f"with spaCy {version('spacy')} ({type(error).__name__}); train it again with the same "
        f"settings: `curate train --from {card.reference}`"
    )


def annotation_of_doc(doc: Any, document_id: str, source: Source) -> Annotation:
    """What a processed ``Doc`` says of its document."""
    data = doc.user_data.get(USER_DATA)
    if isinstance(data, dict) and "entities" in data:
        scores = data.get("entity_scores") or [None] * len(data["entities"])
        entities = [
            Entity(start, end, label, score)
            for (start, end, label), score in zip(data["entities"], scores, strict=True)
        ]
        scores = data.get("relation_scores") or [None] * len(data["relations"])
        relations = [
            Relation(entities[head], entities[tail], label, score)
            for (head, tail, label), score in zip(data["relations"], scores, strict=True)
        ]
        return Annotation.of(document_id, entities, relations, source)
    return Annotation.of(document_id, _spans(doc), (), source)


def _spans(doc: Any) -> Iterator[Entity]:
    if SPAN_GROUP in doc.spans:
        groups = [doc.spans[SPAN_GROUP]]
    else:
        groups = [doc.ents, *(doc.spans[key] for key in sorted(doc.spans))]
    for group in groups:
        scores = getattr(group, "attrs", {}).get("scores")
        for i, span in enumerate(group):
            if span.label_ and span.end_char > span.start_char:
                score = None if scores is None else min(1.0, max(0.0, float(scores[i])))
                yield Entity(
                    span.start_char, span.end_char, span.label_, score, span.kb_id_ or None
                )
