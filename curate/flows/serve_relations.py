"""Which relations hang on a region that an annotator has just drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from curate.extractors.interface import Extractor
from curate.model import Annotation, Document, Entity, Relation


def answer_about(
    extractor: Extractor, document: Document, said: Annotation, entities: Sequence[Entity]
) -> list[Relation]:
    """The relations among what people marked and what the model found besides.

    What people marked stands for whatever the model found in its place.  A model that relates
    given entities (``relate``) is asked anew; of any other, the relations it gave (``said``) are
    carried over to what stands in the place of their arguments.
    """
    stand_in = {e.key: _standing_for(e, entities) for e in said.entities}
    relate = getattr(extractor, "relate", None)
    if relate is None:
        carried = (
            Relation(stand_in[r.head.key], stand_in[r.tail.key], r.label, r.score)
            for r in said.relations
        )
        return [r for r in carried if r.head.key != r.tail.key]
    given = {e.key: e for e in (*entities, *stand_in.values())}
    return list(relate(document, sorted(given.values(), key=lambda e: e.key)))


def hanging_on(
    said: Annotation, relations: Iterable[Relation], marked: Sequence[Entity]
) -> Annotation:
    """The relations of the marked entities, with the entities at both ends."""
    keys = {entity.key for entity in marked}
    kept = [r for r in relations if r.head.key in keys or r.tail.key in keys]
    ends = {e.key: e for r in kept for e in (r.head, r.tail)}
    return Annotation.of(said.document_id, ends.values(), kept, said.source)


def _standing_for(found: Entity, entities: Sequence[Entity]) -> Entity:
    """The marked entity in whose place the model found this: the one that it overlaps most."""
    best, share = found, 0.0
    for entity in entities:
        common = min(found.end, entity.end) - max(found.start, entity.start)
        union = max(found.end, entity.end) - min(found.start, entity.start)
        if common > 0 and common / union > share and 2 * common > union:
            best, share = entity, common / union
    return best
