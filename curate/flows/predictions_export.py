"""The documents and what a model says of them, as one interchange file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curate.errors import DataError, UsageError
from curate.flows.reporter import Reporter
from curate.interchange import write
from curate.model import Annotation, Document, Source
from curate.store import Store, UnitOfWork

_BATCH = 500
_NOBODY = Source.model("none", "")


@dataclass(frozen=True, slots=True)
class Exported:
    """``documents`` were written, ``predicted`` of them with a prediction of ``model``."""

    model: Source | None
    documents: int
    predicted: int


def export_predictions(
    store: Store, path: Path, reporter: Reporter, *, name: str | None, version: str | None
) -> Exported:
    """Write every document, with its prediction by the model of this name, or by the current one.

    A document that the model has not read stands there without entities: so the file also serves
    to hand the texts, as the store has them, to a model elsewhere.  Raises UsageError for a file
    that exists, DataError for a model that has predicted nothing here.
    """
    if path.exists():
        raise UsageError(f"{path} exists already; name another file")
    with store.read() as unit:
        model = _model(unit, name, version)
        predicted = 0

        def records() -> Iterator[tuple[Document, Annotation]]:
            nonlocal predicted
            for batch in _batches(unit.documents.all()):
                found = {}
                if model is not None:
                    said = unit.predictions.of(model, [document.id for document in batch])
                    found = {annotation.document_id: annotation for annotation in said}
                predicted += len(found)
                for document in batch:
                    yield (
                        document,
                        found.get(document.id)
                        or Annotation.of(document.id, [], [], model or _NOBODY),
                    )
                advance(len(batch))

        with reporter.progress("documents", unit.documents.count()) as advance:
            count = write(path, records())
    return Exported(model, count, predicted)


def _model(unit: UnitOfWork, name: str | None, version: str | None) -> Source | None:
    if name is None:
        current = unit.sync.current_run()
        return None if current is None else current[1]
    runs = unit.predictions.find_runs(name, version)
    if not runs:
        known = ", ".join(sorted({source.name for _, source, _ in unit.predictions.runs()}))
        raise DataError(
            f"no model called {name!r} has predicted here; known: {known or 'none yet'}"
        )
    return runs[-1]


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    for document in documents:
        batch.append(document)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
