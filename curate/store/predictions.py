"""Model runs and what they predicted: also the cache of every model's answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select

from curate.model import Annotation, Source, SourceKind
from curate.store.bodies import from_body, to_body
from curate.store.clock import now
from curate.store.documents import _batches
from curate.store.tables import documents, model_runs, predictions


class Predictions:
    """The predictions of a unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, annotations: Iterable[Annotation]) -> int:
        """Store predictions; one by the same model run of the same document is replaced."""
        rows: list[dict[str, Any]] = []
        for annotation in annotations:
            rows.append(
                {
                    "document_id": annotation.document_id,
                    "model_run_id": self.run_id(annotation.source),
                    "body": to_body(annotation),
                    "score": mean_score(annotation),
                    "created_at": now(),
                }
            )
        by_run: dict[int, list[str]] = {}
        for row in rows:
            by_run.setdefault(row["model_run_id"], []).append(row["document_id"])
        for run, ids in by_run.items():
            for batch in _batches(ids):
                self._connection.execute(
                    delete(predictions).where(
                        predictions.c.model_run_id == run, predictions.c.document_id.in_(batch)
                    )
                )
        if rows:
            self._connection.execute(predictions.insert(), rows)
        return len(rows)

    def run_id(self, model: Source) -> int:
        """The number of this model run, entered if it is new."""
        if model.kind is not SourceKind.MODEL:
            raise ValueError(f"{model} is not a model")
        found = self._find(model)
        if found is not None:
            return found
        key = self._connection.execute(
            model_runs.insert().values(
                name=model.name, version=model.version, digest=model.digest, first_used_at=now()
            )
        ).inserted_primary_key
        assert key is not None
        return int(key[0])

    def runs(self) -> list[tuple[int, Source, int]]:
        """``(number, model, predictions)`` of every model run, oldest first."""
        rows = self._connection.execute(
            select(model_runs, func.count(predictions.c.document_id).label("n"))
            .outerjoin(predictions, predictions.c.model_run_id == model_runs.c.id)
            .group_by(model_runs.c.id)
            .order_by(model_runs.c.id)
        )
        return [(row.id, _model(row), row.n) for row in rows]

    def find_runs(self, name: str, version: str | None = None) -> list[Source]:
        """The model runs of this name (and version), oldest first."""
        query = select(model_runs).where(model_runs.c.name == name).order_by(model_runs.c.id)
        if version is not None:
            query = query.where(model_runs.c.version == version)
        return [_model(row) for row in self._connection.execute(query)]

    def missing(self, model: Source) -> list[str]:
        """The ids of documents without a prediction by this model run, in order of ingestion."""
        run = self._find(model)
        query = select(documents.c.id).order_by(documents.c.seq)
        if run is not None:
            done = select(predictions.c.document_id).where(predictions.c.model_run_id == run)
            query = query.where(documents.c.id.not_in(done))
        return list(self._connection.scalars(query))

    def of(self, model: Source, ids: Iterable[str] | None = None) -> Iterator[Annotation]:
        """The predictions of this model run, of these documents or of all, ordered by id."""
        run = self._find(model)
        if run is None:
            return
        query = (
            select(predictions)
            .where(predictions.c.model_run_id == run)
            .order_by(predictions.c.document_id)
        )
        if ids is None:
            for row in self._connection.execute(query):
                yield from_body(row.document_id, row.body, model)
            return
        for batch in _batches(sorted(ids)):
            for row in self._connection.execute(query.where(predictions.c.document_id.in_(batch))):
                yield from_body(row.document_id, row.body, model)

    def get(self, document_id: str, model: Source) -> Annotation | None:
        return next(self.of(model, [document_id]), None)

    def _find(self, model: Source) -> int | None:
        return self._connection.scalar(
            select(model_runs.c.id).where(
                model_runs.c.name == model.name,
                model_runs.c.version == model.version,
                model_runs.c.digest == model.digest,
            )
        )


def mean_score(annotation: Annotation) -> float | None:
    """The mean score of the entities and relations that have one; None where none has."""
    scores = [e.score for e in annotation.entities if e.score is not None]
    scores += [r.score for r in annotation.relations if r.score is not None]
    return sum(scores) / len(scores) if scores else None


def _model(row: Row[Any]) -> Source:
    return Source.model(row.name, row.version, row.digest)
