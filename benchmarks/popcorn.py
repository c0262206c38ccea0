"""POPCORN reports: entities of 55 nested types, and relations between given entities."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from curate.extractors.train import TrainSettings, learn, learn_relations, predict, related
from curate.gold.items import GoldDocument
from curate.model import Annotation, Source
from curate.schema import LabelSchema
from curate.scoring import score

SETTINGS: Mapping[str, Any] = {"window": 99, "l2": 10.0}
"""Any two mentions of a report may be related; chosen on a third of the reports to learn from."""
Link = tuple[Any, Any, str]


def measure(
    train: Sequence[GoldDocument],
    test: Sequence[GoldDocument],
    schema: LabelSchema,
    seed: int,
    words_alone: Mapping[str, GoldDocument],
) -> dict[str, Any]:
    """Train on some reports, score on others; the figures by name, times in processor seconds.

    The reports carry their recovered chains; ``words_alone`` are all of them with chains that were
    recovered without a look at the relations.
    """
    settings = TrainSettings(seed=seed, **SETTINGS)
    began = time.process_time()
    learned = learn(train, [], schema, settings)
    trained = time.process_time() - began
    found = predict(learned.nlp, [g.document for g in test], Source.model("bench"))
    whole = {a.document_id: a for a in found}
    bare = [_without_chains(g) for g in test]
    both = score([(g.annotation, whole[g.id]) for g in bare], schema=schema, draws=1000)
    nlp = learned.nlp
    for pipe in [p for p in nlp.pipe_names if p != "relation_classifier"]:
        nlp.remove_pipe(pipe)
    said = [(g, related(nlp, g)) for g in bare]
    chained = [(g, related(nlp, g)) for g in test]
    spent = time.process_time() - began
    given = score([(g.annotation, a) for g, a in said], schema=schema, draws=1000)
    things = score([(g.annotation, a) for g, a in chained], schema=schema, draws=1000)
    plain = learn_relations([words_alone[g.id] for g in train], schema, settings, chains=True)
    unseen = [related(plain, words_alone[g.id]) for g in test]
    return {
        "entities": both.entities,
        "end to end": both.relations,
        "pairs": given.relations,
        "chains": by_chain(chained),
        "measured chains": things.relations.measures["chains"],
        "chains, pairs learned": by_chain([(g, a) for g, (_, a) in zip(test, said, strict=True)]),
        "chains, words alone": by_chain(list(zip(test, unseen, strict=True))),
        "both by words alone": by_chain(
            [(words_alone[g.id], a) for g, a in zip(test, unseen, strict=True)]
        ),
        "ece": relation_ece(said),
        "trained": trained,
        "spent": spent,
    }


def _without_chains(gold: GoldDocument) -> GoldDocument:
    return replace(gold, annotation=replace(gold.annotation, chains=()))


def by_chain(said: Sequence[tuple[GoldDocument, Annotation]]) -> tuple[float, float]:
    """Micro and macro F1 (over the types of gold) of relations between gold's chains, in per cent.

    A mention outside every chain is one of its own.  Unlike the measure ``relations.chains`` of
    ``curate evaluate`` it keeps mentions of the same words with different labels apart, since here
    a person and the function named by the same word are two things.
    """
    counts: dict[str, list[int]] = {}
    for gold, found in said:
        chain = {e.key: n for n, e in enumerate(gold.annotation.entities)}
        for members in gold.annotation.chains:
            chain |= dict.fromkeys((e.key for e in members), chain[members[0].key])
        wanted = _links(gold.annotation, chain)
        got = _links(found, chain)
        for part, links in enumerate((wanted & got, got, wanted)):
            for *_, label in links:
                counts.setdefault(label, [0, 0, 0])[part] += 1
    micro = _f1([sum(c[k] for c in counts.values()) for k in range(3)])
    kinds = [_f1(c) for c in counts.values() if c[2]]
    return micro, sum(kinds) / len(kinds)


def _links(annotation: Annotation, chain: Mapping[tuple[int, int, str], int]) -> set[Link]:
    return {(chain[r.head.key], chain[r.tail.key], r.label) for r in annotation.relations}


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
