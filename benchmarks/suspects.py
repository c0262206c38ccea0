"""Planted errors in the sample corpus: how many of the first places in the queue hold one.

Every error is one an annotator makes: a label changed, a mention removed, a border moved, a
relation turned round.  Precision is counted against a random choice of places of equal number.

Run: python -m benchmarks.suspects
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

from curate.flows.reporter import Silent
from curate.flows.review_suspects import _cross_validated, _hints, learner
from curate.gold.items import GoldDocument
from curate.gold.suspicion import rank
from curate.interchange import read
from curate.model import Annotation, Entity, Relation
from curate.schema import read_schema

ROOT = Path(__file__).parents[1]
SHARE = 0.06
"""Of all mentions and relations, how many are made wrong."""


def spoil(
    gold: GoldDocument, labels: tuple[str, ...], rng: random.Random
) -> tuple[GoldDocument, list[tuple[int, int]]]:
    """The document with errors planted, and where."""
    moved: dict[tuple[int, int, str], Entity | None] = {}
    places = []
    for entity in gold.annotation.entities:
        if rng.random() >= SHARE:
            continue
        kind = rng.choice(("label", "missed", "border"))
        changed: Entity | None = None
        if kind == "label":
            other = rng.choice([label for label in labels if label != entity.label])
            changed = Entity(entity.start, entity.end, other)
        elif kind == "border":
            text = gold.document.text[entity.start : entity.end]
            cut = text.find(" ")
            if cut < 1:
                continue
            changed = Entity(entity.start, entity.start + cut, entity.label)
        moved[entity.key] = changed
        places.append(entity.span)
    entities = [moved.get(e.key, e) for e in gold.annotation.entities]
    relations = []
    for relation in gold.annotation.relations:
        head = moved.get(relation.head.key, relation.head)
        tail = moved.get(relation.tail.key, relation.tail)
        if head is None or tail is None:
            continue
        if rng.random() < SHARE:
            head, tail = tail, head
            places.append((min(head.start, tail.start), max(head.end, tail.end)))
        relations.append(Relation(head, tail, relation.label))
    kept = [e for e in entities if e is not None]
    annotation = Annotation.of(gold.id, kept, relations, gold.annotation.source)
    return GoldDocument(gold.document, annotation), places


def main() -> int:
    schema = read_schema(ROOT / "label_configs" / "sahel.yaml")
    records = list(read(ROOT / "examples" / "sahel" / "annotator_a.jsonl"))
    clean = [GoldDocument(record.document, record.annotation) for record in records]
    rng = random.Random(11)
    spoiled, planted = [], {}
    for gold in clean:
        bad, places = spoil(gold, schema.entity_labels, rng)
        spoiled.append(bad)
        planted[gold.id] = places
    started = time.perf_counter()
    predictions = _cross_validated(
        spoiled, {gold.id: gold.id for gold in spoiled}, learner(schema), Silent()
    )
    queue = rank(_hints(spoiled, predictions, schema))
    seconds = time.perf_counter() - started
    total = sum(map(len, planted.values()))
    hits = [
        any(a < s.point.end and s.point.start < b for a, b in planted[s.document_id]) for s in queue
    ]
    marked = sum(len(g.annotation.entities) + len(g.annotation.relations) for g in spoiled)
    print(
        json.dumps(
            {
                "documents": len(spoiled),
                "planted": total,
                "places": len(queue),
                **{f"precision_at_{n}": round(sum(hits[:n]) / n, 2) for n in (10, 20, 40)},
                "by_chance": round(total / marked, 2),
                "seconds": round(seconds, 1),
            }
        )
    )
    return 0 if sum(hits[:20]) / 20 > 3 * total / marked else 1


if __name__ == "__main__":
    sys.exit(main())
