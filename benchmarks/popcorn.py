"""POPCORN reports: entities of 55 nested types, and relations between given entities."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from curate.extractors.rules import folded
from curate.extractors.train import TrainSettings, learn, predict, related
from curate.gold.items import GoldDocument
from curate.model import Annotation, Source
from curate.schema import LabelSchema
from curate.scoring import score

SETTINGS: Mapping[str, Any] = {"window": 99, "l2": 10.0}
"""Any two mentions of a report may be related; chosen on a third of the reports to learn from."""
Link = tuple[Any, Any, str]


def measure(
    train: Sequence[GoldDocument], test: Sequence[GoldDocument], schema: LabelSchema, seed: int
) -> dict[str, Any]:
    """Train on some reports, score on others; the figures by name, times in processor seconds."""
    began = time.process_time()
    learned = learn(train, [], schema, TrainSettings(seed=seed, **SETTINGS))
    trained = time.process_time() - began
    found = predict(learned.nlp, [g.document for g in test], Source.model("bench"))
    whole = {a.document_id: a for a in found}
    both = score([(g.annotation, whole[g.id]) for g in test], schema=schema, draws=1000)
    nlp = learned.nlp
    for pipe in [p for p in nlp.pipe_names if p != "relation_classifier"]:
        nlp.remove_pipe(pipe)
    said = [(g, related(nlp, g)) for g in test]
    spent = time.process_time() - began
    given = score([(g.annotation, a) for g, a in said], schema=schema, draws=1000)
    return {
        "entities": both.entities,
        "end to end": both.relations,
        "pairs": given.relations,
        "clusters": clustered(said),
        "ece": relation_ece(said),
        "trained": trained,
        "spent": spent,
    }


def clusters(gold: GoldDocument) -> dict[tuple[int, int, str], int]:
    """Each entity's cluster: mentions of one label whose words are the same or some of the other's.

    An approximation of the coreference chains that this copy lacks: a pronoun, or another word for
    the same thing, is a cluster of its own.
    """
    entities = gold.annotation.entities
    words = [
        frozenset(folded(gold.document.text[e.start : e.end]).replace("'", " ").split())
        for e in entities
    ]
    number = list(range(len(entities)))
    for i, one in enumerate(entities):
        for j, other in enumerate(entities[:i]):
            alike = words[i] and words[j] and (words[i] <= words[j] or words[j] <= words[i])
            if one.label == other.label and alike and number[i] != number[j]:
                old, new = number[i], number[j]
                number = [new if n == old else n for n in number]
    return {e.key: n for e, n in zip(entities, number, strict=True)}


def clustered(said: Sequence[tuple[GoldDocument, Annotation]]) -> tuple[float, float]:
    """Micro and macro F1 (over the types of gold) of relations between clusters, in per cent."""
    counts: dict[str, list[int]] = {}
    for gold, found in said:
        cluster = clusters(gold)
        wanted = _links(gold.annotation, cluster)
        got = _links(found, cluster)
        for part, links in enumerate((wanted & got, got, wanted)):
            for *_, label in links:
                counts.setdefault(label, [0, 0, 0])[part] += 1
    micro = _f1([sum(c[k] for c in counts.values()) for k in range(3)])
    kinds = [_f1(c) for c in counts.values() if c[2]]
    return micro, sum(kinds) / len(kinds)


def _links(annotation: Annotation, cluster: Mapping[tuple[int, int, str], int]) -> set[Link]:
    return {(cluster[r.head.key], cluster[r.tail.key], r.label) for r in annotation.relations}


def _f1(counts: Sequence[int]) -> float:
    right, found, wanted = counts
    return 200 * right / (found + wanted) if found + wanted else 0.0


def relation_ece(said: Iterable[tuple[GoldDocument, Annotation]], bins: int = 10) -> float:
    """Expected calibration error of the relations said, over equally wide bins."""
    cells = [[0.0, 0.0, 0.0] for _ in range(bins)]
    for gold, found in said:
        known = {(r.head.key, r.tail.key, r.label) for r in gold.annotation.relations}
        for r in found.relations:
            cell = cells[min(bins - 1, int((r.score or 0.0) * bins))]
            cell[0] += 1
            cell[1] += r.score or 0.0
            cell[2] += (r.head.key, r.tail.key, r.label) in known
    total = sum(cell[0] for cell in cells)
    return sum(abs(cell[1] - cell[2]) for cell in cells) / total if total else 0.0
