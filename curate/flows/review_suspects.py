"""`curate review push --suspects N`: what looks wrong in gold is put before the curator."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from curate.agreement.points import to_json
from curate.flows.gold_build import StoreDecisions, opinions_of
from curate.flows.reporter import Reporter
from curate.flows.review_queue import SUSPECT, Case
from curate.gold.items import GoldDocument
from curate.gold.judge import Judge
from curate.gold.lint import lint
from curate.gold.suspicion import (
    Hint,
    Suspect,
    by_entropy,
    by_signature,
    folds,
    from_lint,
    from_model,
    rank,
)
from curate.model import Annotation, Source
from curate.schema import LabelSchema
from curate.store import ReviewItem, Store, Suspicion

FOLDS = 5
FEWEST = 20
"""With fewer documents a retrained model has nothing to say."""
CROSS = Source.model("cross-validated")

Learner = Callable[[Sequence[GoldDocument], Sequence[GoldDocument]], Sequence[Annotation]]
"""Learns from the first documents and says what it makes of the second."""


def learner(schema: LabelSchema) -> Learner:
    """The trainable model that curate has, without rules: what they say, annotators have seen."""

    def learn(train: Sequence[GoldDocument], held: Sequence[GoldDocument]) -> list[Annotation]:
        from curate.extractors.train import TrainSettings, predict
        from curate.extractors.train import learn as teach

        settings = TrainSettings(rules="", swaps=0, clusters=0)
        done = teach(train, [], schema, settings)
        return list(predict(done.nlp, [gold.document for gold in held], CROSS))

    return learn


def suspects(
    store: Store,
    schema: LabelSchema,
    judge: Judge,
    number: int,
    reporter: Reporter,
    learn: Learner | None = None,
    lint_rules: Sequence[str] | None = None,
) -> list[Case]:
    """The cases of the ``number`` most suspicious places that nobody has looked at yet.

    With ``lint_rules`` only what these rules of lint find counts as suspicious.
    Places that wait already count towards the number.  Without ``learn`` no model is asked.
    """
    with store.read() as unit:
        source = StoreDecisions.of(unit, schema, judge)
        ids = [key for key in source.ids if key not in source.open]
        documents = [GoldDocument(d.document, d.annotation) for d in source.decided(ids)]
        groups = {m.id: m.group or m.id for m in source.members() if m.id in set(ids)}
        waiting = {
            item.document_id
            for item in unit.review.items("open")
            if item.reason == SUSPECT or item.points
        }
        past = unit.review.suspicions()
        said = {
            key: {row.annotation.source.name: row.annotation for row in rows}
            for key, rows in opinions_of(unit)
        }
    room = number - sum(1 for s in past if s.outcome == "open")
    if room <= 0 or not documents:
        return []
    if lint_rules is not None:
        predictions = {}
        queue = rank(from_lint(lint(lambda: documents, schema, rules=lint_rules)))
    else:
        predictions = _cross_validated(documents, groups, learn, reporter)
        queue = rank(_hints(documents, predictions, schema))
    looked_at = {(s.document_id, s.point["start"], s.point["end"]) for s in past}
    chosen: dict[str, list[Suspect]] = defaultdict(list)
    for suspect in queue:
        place = suspect.document_id, suspect.point.start, suspect.point.end
        if room and suspect.document_id not in waiting and place not in looked_at:
            chosen[suspect.document_id].append(suspect)
            room -= 1
    by_id = {gold.id: gold for gold in documents}
    return [
        _case(by_id[key], found, said.get(key, {}), predictions.get(key))
        for key, found in chosen.items()
    ]


def _case(
    gold: GoldDocument,
    found: Sequence[Suspect],
    versions: dict[str, Annotation],
    prediction: Annotation | None,
) -> Case:
    ordered = sorted(found, key=lambda s: (s.point.start, s.point.end))
    return Case(
        gold.id,
        SUSPECT,
        gold.annotation.source.name,
        gold.annotation,
        versions,
        tuple(s.point for s in ordered),
        extra={} if prediction is None else {CROSS.name: _unscored(prediction)},
        suspicions=tuple(Suspicion(gold.id, s.detectors, to_json(s.point)) for s in ordered),
    )


def _unscored(prediction: Annotation) -> Annotation:
    """Shown without scores: the curator is to judge the text."""
    from dataclasses import replace

    plain = {e.key: replace(e, score=None) for e in prediction.entities}
    return Annotation.of(
        prediction.document_id,
        plain.values(),
        [
            replace(r, head=plain[r.head.key], tail=plain[r.tail.key], score=None)
            for r in prediction.relations
        ],
        prediction.source,
    )


def pending(items: Sequence[ReviewItem], pushed: set[str]) -> list[Case]:
    """Suspects that were queued by a push that did not end: they have no task yet."""
    from curate.flows.review_queue import points_of

    return [
        Case(
            item.document_id,
            SUSPECT,
            item.rule,
            item.start,
            item.shown,
            tuple(points_of(item)),
        )
        for item in items
        if item.state == "open" and item.reason == SUSPECT and item.document_id not in pushed
    ]


def _cross_validated(
    documents: Sequence[GoldDocument],
    groups: dict[str, str],
    learn: Learner | None,
    reporter: Reporter,
) -> dict[str, Annotation]:
    """What a model says of each document that has learned from the others alone."""
    if learn is None:
        return {}
    if len(documents) < FEWEST:
        reporter.warn(
            f"{len(documents)} documents are too few to retrain a model on ({FEWEST} are needed); "
            "the other detectors are asked"
        )
        return {}
    by_id = {gold.id: gold for gold in documents}
    found: dict[str, Annotation] = {}
    parts = folds(groups, FOLDS)
    with reporter.progress("cross-validating", len(parts)) as advance:
        for part in parts:
            held = set(part)
            train = [gold for gold in documents if gold.id not in held]
            for prediction in learn(train, [by_id[key] for key in part]):
                found[prediction.document_id] = prediction
            advance()
    return found


def _hints(
    documents: Sequence[GoldDocument], predictions: dict[str, Annotation], schema: LabelSchema
) -> Iterator[Hint]:
    for gold in documents:
        if gold.id in predictions:
            yield from from_model(gold.annotation, predictions[gold.id], schema)
    yield from by_entropy(documents)
    yield from by_signature(documents)
    yield from from_lint(lint(lambda: documents, schema))
