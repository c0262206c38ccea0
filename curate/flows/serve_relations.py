"""Which relations hang on a region that an annotator has just drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from curate.extractors.interface import Extractor
from curate.model import Annotation, Document, Entity, Relation

Key = tuple[int, int, str]


def answer_about(
    extractor: Extractor,
    document: Document,
    said: Annotation,
    seen: Sequence[Entity],
    remembered: Sequence[Entity] = (),
) -> list[Relation]:
    """The relations among what people marked and what the model found besides.

    What people marked stands for whatever the model found in its place: what is ``seen`` on the
    screen before what is only ``remembered`` to have been there.  A model that relates given
    entities (``relate``) is asked anew; of any other, the relations it gave (``said``) are carried
    over to what stands in the place of their arguments.
    """
    stand_in = {
        e.key: _standing_for(e, seen) or _standing_for(e, remembered) or e for e in said.entities
    }
    relate = getattr(extractor, "relate", None)
    if relate is None:
        carried = (
            Relation(stand_in[r.head.key], stand_in[r.tail.key], r.label, r.score)
            for r in said.relations
        )
        return [r for r in carried if r.head.key != r.tail.key]
    given = {e.key: e for e in (*remembered, *seen, *stand_in.values())}
    return list(relate(document, sorted(given.values(), key=lambda e: e.key)))


def hanging_on(
    said: Annotation,
    relations: Iterable[Relation],
    marked: Sequence[Entity],
    known: Set[tuple[Key, Key]] = frozenset(),
) -> Annotation:
    """The relations of the marked entities, with the entities at both ends; what is related on
    the screen already (``known``, head and tail by key) is left out."""
    keys = {entity.key for entity in marked}
    kept = [
        r
        for r in relations
        if (r.head.key in keys or r.tail.key in keys) and (r.head.key, r.tail.key) not in known
    ]
    ends = {e.key: e for r in kept for e in (r.head, r.tail)}
    return Annotation.of(said.document_id, ends.values(), kept, said.source)


def _standing_for(found: Entity, entities: Sequence[Entity]) -> Entity | None:
    """The marked entity in whose place the model found this: the one that it overlaps most, by
    half at least."""
    best, share = None, 0.5
    for entity in entities:
        common = min(found.end, entity.end) - max(found.start, entity.start)
        union = max(found.end, entity.end) - min(found.start, entity.start)
        if common / union >= share:
            best, share = entity, common / union
    return best
