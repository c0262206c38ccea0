"""How an annotation's claims are kept in a JSON column.

``{"e": [[start, end, label, score, canonical], …], "r": [[head, tail, label, score], …],
"c": [[…], …]}``: relations and chains name entities by their position in ``e``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curate.model import Annotation, Entity, Relation, Source


def to_body(annotation: Annotation) -> dict[str, Any]:
    place = {entity.key: i for i, entity in enumerate(annotation.entities)}
    body: dict[str, Any] = {
        "e": [[e.start, e.end, e.label, e.score, e.canonical] for e in annotation.entities],
        "r": [
            [place[r.head.key], place[r.tail.key], r.label, r.score] for r in annotation.relations
        ],
    }
    if annotation.chains:
        body["c"] = [[place[e.key] for e in chain] for chain in annotation.chains]
    return body


def from_body(document_id: str, body: Mapping[str, Any], source: Source) -> Annotation:
    entities = tuple(Entity(*row) for row in body["e"])
    return Annotation(
        document_id=document_id,
        entities=entities,
        relations=tuple(
            Relation(entities[head], entities[tail], label, score)
            for head, tail, label, score in body["r"]
        ),
        source=source,
        chains=tuple(tuple(entities[i] for i in chain) for chain in body.get("c", ())),
    )
