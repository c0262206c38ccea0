"""Predictions for the documents that lack them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from curate.extractors.interface import (
    Extractor,
    Misfits,
    answers,
    least,
    pruned,
    source_of,
)
from curate.model import Source
from curate.schema import LabelSchema

if TYPE_CHECKING:
    from curate.flows.reporter import Reporter
    from curate.store import Store

BATCH = 200
"""Documents per transaction: an interruption costs at most these."""


@dataclass(frozen=True)
class Preannotated:
    """``documents`` in the store; ``predicted`` now, ``skipped`` because this model had answered
    before or ``--limit`` was reached; what of the answers was left out, by reason."""

    model: Source
    documents: int = 0
    predicted: int = 0
    skipped: int = 0
    entities: int = 0
    relations: int = 0
    per_label: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    below_score: int = 0

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
            "below_score": self.below_score,
        }


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
) -> Preannotated:
    """Ask the extractor about every document it has not answered, and keep the answers.

    Committed in batches, so that an interrupted run goes on where it stopped.  ``force`` asks
    about all documents and replaces what this model said before.  From then on ``push`` shows this
    model's predictions; where the user did not choose the model (``chosen``), only if there was
    something to predict.
    """
    model = source_of(extractor)
    if min_score is not None:
        # Kept apart, so that `evaluate` does not take the pruned answers for the model's own.
        model = pruned(model, min_score)
    notice = getattr(extractor, "notice", None)
    if notice:
        reporter.warn(notice)
    with store.read() as unit:
        total = unit.documents.count()
        wanted = unit.documents.ids() if force else unit.predictions.missing(model)
    if limit is not None:
        wanted = wanted[:limit]
    misfits = Misfits()
    labels: Counter[str] = Counter()
    entities = relations = predicted = below = 0
    if wanted:
        reporter.step(f"{model}: {len(wanted)} of {total} documents to read")
    with reporter.progress("pre-annotate", len(wanted)) as advance:
        for start in range(0, len(wanted), BATCH):
            with store.read() as unit:
                batch = list(unit.documents.many(wanted[start : start + BATCH]))
            found = []
            for annotation in answers(extractor, batch, schema, misfits, advance):
                if min_score is not None:
                    kept = least(annotation, min_score)
                    below += len(annotation.entities) - len(kept.entities)
                    below += len(annotation.relations) - len(kept.relations)
                    annotation = kept
                found.append(annotation.from_source(model))
                labels.update(e.label for e in annotation.entities)
                labels.update(r.label for r in annotation.relations)
                entities += len(annotation.entities)
                relations += len(annotation.relations)
            with store.write() as unit:
                unit.predictions.put(found)
                unit.commit()
            predicted += len(found)
    if chosen or predicted:
        with store.write() as unit:
            # Only now: what `push` shows changes from one complete model to the next.  `evaluate`
            # keeps predictions, too, and must not change what annotators see.
            before = unit.sync.current_run()
            unit.sync.choose_run(model)
            unit.commit()
        if before is not None and before[1].name != model.name:
            reporter.step(f"push will show the predictions of {model}, no longer of {before[1]}")
    if misfits.total:
        worst = max(misfits.counts.items(), key=lambda pair: pair[1])
        reporter.warn(
            f"{misfits.total} items of {model} did not fit and were left out; "
            f"most often: {worst[0]}"
        )
    return Preannotated(
        model=model,
        documents=total,
        predicted=predicted,
        skipped=total - predicted,
        entities=entities,
        relations=relations,
        per_label=dict(sorted(labels.items())),
        left_out=dict(sorted(misfits.counts.items())),
        below_score=below,
    )
