"""Predictions for the documents that lack them."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from curate.extractors.engines import Answered, Engine, InProcess, Job, Lost, Partition
from curate.extractors.interface import NOTHING_LEFT, Below, Extractor, Misfits, pruned, source_of
from curate.model import Annotation, Source
from curate.schema import LabelSchema

if TYPE_CHECKING:
    from curate.flows.reporter import Reporter
    from curate.store import Store

BATCH = 200
"""Documents per partition and transaction: an interruption, and a lost worker, cost these."""


@dataclass(frozen=True)
class Preannotated:
    """``documents`` in the store; ``predicted`` now, ``skipped`` because this model had answered
    before, ``--limit`` was reached or their partition is ``lost``; what of the answers was left
    out, by reason."""

    model: Source
    documents: int = 0
    predicted: int = 0
    skipped: int = 0
    entities: int = 0
    relations: int = 0
    per_label: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    below: Below = NOTHING_LEFT
    lost: tuple[str, ...] = ()
    """Partitions that ended every worker they were given to, with the documents they hold."""

    def as_dict(self) -> dict[str, object]:
        return {
            "model": {
                "name": self.model.name,
                "version": self.model.version,
                "digest": self.model.digest,
            },
            "documents": self.documents,
            "predicted": self.predicted,
            "skipped": self.skipped,
            "entities": self.entities,
            "relations": self.relations,
            "per_label": dict(self.per_label),
            "left_out": dict(self.left_out),
            "below_score": self.below.items,
            "below_score_right": self.below.right,
            "lost": list(self.lost),
        }


class Tally:
    """What a run has answered so far."""

    def __init__(self) -> None:
        self.labels: Counter[str] = Counter()
        self.documents = self.entities = self.relations = 0
        self.below = Below()
        self.misfits = Misfits()
        self.lost: list[str] = []

    def add(self, answered: Answered) -> None:
        for row in answered.rows:
            self.labels.update(entity[2] for entity in row.entities)
            self.labels.update(relation[2] for relation in row.relations)
            self.entities += len(row.entities)
            self.relations += len(row.relations)
        self.documents += len(answered.rows)
        self.below = self.below.plus(answered.below)
        for reason, count in answered.misfits.items():
            self.misfits.counts[reason] = self.misfits.counts.get(reason, 0) + count

    def lose(self, lost: Lost, reporter: Reporter) -> None:
        self.lost.append(str(lost))
        reporter.warn(f"given up: {lost}")

    def tell_misfits(self, model: Source, reporter: Reporter) -> None:
        if self.misfits.total:
            worst = max(self.misfits.counts.items(), key=lambda pair: (pair[1], pair[0]))
            reporter.warn(
                f"{self.misfits.total} items of {model} did not fit and were left out; "
                f"most often: {worst[0]}"
            )


def identity(extractor: Extractor, min_score: float | None) -> Source:
    """The model run under which the answers are kept."""
    # Pruned answers apart, so that `evaluate` does not take them for the model's own.
    model = source_of(extractor)
    return model if min_score is None else pruned(model, min_score)


def preannotate(
    store: Store,
    extractor: Extractor,
    schema: LabelSchema,
    reporter: Reporter,
    *,
    limit: int | None = None,
    min_score: float | None = None,
    force: bool = False,
    chosen: bool = True,
    engine: Engine | None = None,
    partition: int | None = None,
) -> Preannotated:
    """Ask the extractor about every document it has not answered, and keep the answers.

    ``engine`` reads, by default in this process.  Committed by partitions (of ``partition``
    documents), so that an interrupted run goes on where it stopped.  ``force`` asks
    about all documents and replaces what this model said before.  From then on ``push`` shows this
    model's predictions; where the user did not choose the model (``chosen``), only if there was
    something to predict.
    """
    model = identity(extractor, min_score)
    notice = getattr(extractor, "notice", None)
    if notice:
        reporter.warn(notice)
    with store.read() as unit:
        total = unit.documents.count()
        wanted = unit.documents.ids() if force else unit.predictions.missing(model)
    if limit is not None:
        wanted = wanted[:limit]
    tally = Tally()
    if wanted:
        reporter.step(f"{model}: {len(wanted)} of {total} documents to read")
    drawn = partitions(store, wanted, partition or BATCH)
    with reporter.progress("pre-annotate", len(wanted)) as advance:
        run = (engine or InProcess(extractor)).run(Job(schema, min_score), drawn, advance)
        with contextlib.closing(run):
            for answer in run:
                if isinstance(answer, Lost):
                    tally.lose(answer, reporter)
                else:
                    keep(store, answer, model)
                    tally.add(answer)
    predicted = tally.documents
    if chosen or predicted:
        choose_run(store, model, reporter)
    tally.tell_misfits(model, reporter)
    return Preannotated(
        model=model,
        documents=total,
        predicted=predicted,
        skipped=total - predicted,
        entities=tally.entities,
        relations=tally.relations,
        per_label=dict(sorted(tally.labels.items())),
        left_out=dict(sorted(tally.misfits.counts.items())),
        below=tally.below,
        lost=tuple(tally.lost),
    )


def choose_run(store: Store, model: Source, reporter: Reporter) -> None:
    """From now on ``push`` shows the predictions of this model.

    Only at the end of a run: what it shows changes from one complete model to the next.
    ``evaluate`` keeps predictions, too, and must not change what annotators see.
    """
    with store.write() as unit:
        before = unit.sync.current_run()
        unit.sync.choose_run(model)
        unit.commit()
    if before is not None and before[1].name != model.name:
        reporter.step(f"push will show the predictions of {model}, no longer of {before[1]}")


def partitions(store: Store, ids: Sequence[str], size: int) -> Iterator[Partition]:
    """The documents of these ids, ``size`` at a time, read only when they are drawn."""
    for number, start in enumerate(range(0, len(ids), size)):
        with store.read() as unit:
            documents = tuple(unit.documents.many(ids[start : start + size]))
        if documents:
            yield Partition(number, documents)


def keep(store: Store, answered: Answered, model: Source) -> list[Annotation]:
    """Put the answers into the store, in one transaction; what this model said before is replaced,
    so that answers that come twice are there once."""
    found = [row.annotation(model) for row in answered.rows]
    with store.write() as unit:
        unit.predictions.put(found)
        unit.commit()
    return found
