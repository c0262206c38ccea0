"""Where each document stands in Label Studio, what is on its way there, and what came back raw."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sqlalchemy import Connection, Row, Select, case, delete, func, select, update

from curate.model import Annotation, Document, Source
from curate.store.bodies import from_body
from curate.store.facts import Facts
from curate.store.review_tables import lanes
from curate.store.sync_tables import (
    studio_tasks,
)
from curate.store.tables import documents, model_runs, predictions

CURRENT_MODEL = "current_model"
"""The fact that names the model run whose predictions are pushed: name, version, digest."""

_BATCH = 300
_FIRST = 1 << 30
_BEGUN = studio_tasks.c.annotations + studio_tasks.c.cancelled

Order = Literal["oldest", "random"]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A document that is to become a task, with the prediction to go with it."""

    document: Document
    run_id: int | None
    prediction: Annotation | None


@dataclass(frozen=True, slots=True)
class PushedTask:
    """A task of ours.  ``run_id``: the model run of the prediction it shows.

    ``made_at``: when the server made it, where that is known; ``known_at``: a time of the server
    at which it was there.
    """

    document_id: str
    task_id: int
    text_digest: str
    run_id: int | None
    made_at: str | None = None
    known_at: str | None = None


class SeenTask(Protocol):
    @property
    def task_id(self) -> int: ...
    @property
    def document_id(self) -> str | None: ...
    @property
    def problem(self) -> str | None: ...
    @property
    def created_at(self) -> str: ...
    @property
    def updated_at(self) -> str: ...
    @property
    def total_annotations(self) -> int: ...
    @property
    def cancelled_annotations(self) -> int: ...


class Sync:
    """The state of the sync, in a unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # -- what to push

    def current_run(self) -> tuple[int, Source] | None:
        """The model run whose predictions are pushed: the one chosen, else that predicted last."""
        chosen = Facts(self._connection).get(CURRENT_MODEL)
        query = select(model_runs).join(predictions, predictions.c.model_run_id == model_runs.c.id)
        if isinstance(chosen, list) and len(chosen) == 3:
            row = self._connection.execute(
                query.where(
                    model_runs.c.name == chosen[0],
                    model_runs.c.version == chosen[1],
                    model_runs.c.digest == chosen[2],
                ).limit(1)
            ).first()
            if row is not None:
                return row.id, _model(row)
        row = self._connection.execute(
            query.order_by(predictions.c.created_at.desc(), model_runs.c.id.desc()).limit(1)
        ).first()
        return None if row is None else (row.id, _model(row))

    def choose_run(self, model: Source) -> None:
        """From now on this model run's predictions are the ones pushed."""
        Facts(self._connection).put(CURRENT_MODEL, [model.name, model.version, model.digest])

    def models(self) -> dict[int, Source]:
        """Every model run by its number."""
        return {row.id: _model(row) for row in self._connection.execute(select(model_runs))}

    def unpushed(
        self, project: int, run: int | None, order: Order = "oldest", seed: int = 0
    ) -> array[int]:
        """The documents without a task in this project, in this order, as their ``seq`` numbers.

        ``random``: by a hash of seed and id, so that it does not depend on order of ingestion.
        """
        has_task = (
            select(studio_tasks.c.task_id)
            .where(studio_tasks.c.project == project, studio_tasks.c.document_id == documents.c.id)
            .exists()
        )
        if order == "random":
            rows = self._connection.execute(
                select(documents.c.seq, documents.c.id).where(~has_task)
            )
            drawn = array("Q", ((_draw(seed, row.id) << 32) | row.seq for row in rows))
            return array("Q", (value & 0xFFFFFFFF for value in sorted(drawn)))
        query = select(documents.c.seq).where(~has_task).order_by(documents.c.seq)
        return array("Q", self._connection.scalars(query))

    def outgoing(self, seqs: Sequence[int], run: int | None) -> list[Outgoing]:
        """These documents, in this order, each with its prediction: of the run, else its newest."""
        rows = {
            row.seq: row
            for row in self._connection.execute(
                select(documents).where(documents.c.seq.in_(list(seqs)))
            )
        }
        found = self._predictions([row.id for row in rows.values()], run)
        return [
            Outgoing(
                Document(row.id, row.text, row.digest, row.source, row.metadata),
                *found.get(row.id, (None, None)),
            )
            for row in (rows[seq] for seq in seqs if seq in rows)
        ]

    def _predictions(
        self, document_ids: Sequence[str], run: int | None
    ) -> dict[str, tuple[int, Annotation]]:
        rows = self._connection.execute(chosen_predictions(document_ids, run))
        return {
            row.document_id: (
                row.model_run_id,
                from_body(row.document_id, row.body, _model(row)),
            )
            for row in rows
        }

    def outdated(
        self, project: int, run: int, after: int = 0, limit: int = 2000
    ) -> list[tuple[int, str]]:
        """Our tasks that should show this run's prediction and show another, or none, and that
        nobody had begun when last seen: ``(task id, document id)`` by task id above ``after``."""
        query = (
            self._outdated(project, run, studio_tasks.c.task_id, studio_tasks.c.document_id)
            .where(_BEGUN == 0, studio_tasks.c.task_id > after)
            .order_by(studio_tasks.c.task_id)
            .limit(limit)
        )
        return [(row.task_id, row.document_id) for row in self._connection.execute(query)]

    def count_outdated(self, project: int, run: int) -> tuple[int, int]:
        """How many such tasks there are, and how many others that somebody has begun."""
        every = self._connection.scalar(self._outdated(project, run, func.count())) or 0
        free = (
            self._connection.scalar(self._outdated(project, run, func.count()).where(_BEGUN == 0))
            or 0
        )
        return free, every - free

    def _outdated(self, project: int, run: int, *columns: Any) -> Select[Any]:
        return (
            select(*columns)
            .select_from(studio_tasks)
            .join(
                predictions,
                (predictions.c.document_id == studio_tasks.c.document_id)
                & (predictions.c.model_run_id == run),
            )
            .where(
                studio_tasks.c.project == project,
                studio_tasks.c.state == "present",
                studio_tasks.c.pushed,
                studio_tasks.c.problem.is_(None),
                (studio_tasks.c.run_id.is_(None)) | (studio_tasks.c.run_id != run),
                ~select(lanes.c.document_id)
                .where(lanes.c.document_id == studio_tasks.c.document_id, lanes.c.lane == "blind")
                .exists(),
            )
        )

    def any_shows(self, project: int, run: int) -> bool:
        """Whether some task of the project shows this run's prediction."""
        query = select(studio_tasks.c.task_id).where(
            studio_tasks.c.project == project,
            studio_tasks.c.state == "present",
            studio_tasks.c.run_id == run,
        )
        return self._connection.execute(query.limit(1)).first() is not None

    # -- tasks

    def confirm(self, project: int, tasks: Iterable[PushedTask]) -> None:
        """These tasks are there and ours.

        What we pushed earlier under the same number, of another document, was deleted.
        """
        listed = list(tasks)
        for start in range(0, len(listed), _BATCH):
            batch = listed[start : start + _BATCH]
            ids = [task.task_id for task in batch]
            old = self.ours(project, ids)
            self.retire(
                project,
                [
                    task.task_id
                    for task in batch
                    if task.task_id in old and old[task.task_id].document_id != task.document_id
                ],
            )
            rows = []
            for task in batch:
                before = old.get(task.task_id)
                if before is not None and before.document_id != task.document_id:
                    before = None
                rows.append(
                    {
                        "project": project,
                        "task_id": task.task_id,
                        "past": 0,
                        "document_id": task.document_id,
                        "state": "present",
                        "problem": None,
                        "pushed": True,
                        "made_at": task.made_at or (before and before.made_at),
                        "known_at": task.known_at or (before and before.known_at),
                        "text_digest": task.text_digest,
                        "run_id": task.run_id,
                        "updated_at": None,
                        "annotations": 0,
                        "cancelled": 0,
                    }
                )
            self._drop(project, ids)
            self._connection.execute(studio_tasks.insert(), rows)

    def ours(self, project: int, task_ids: Sequence[int]) -> dict[int, PushedTask]:
        """Those of the tasks that we pushed, by number, as they were pushed."""
        found: dict[int, PushedTask] = {}
        for start in range(0, len(task_ids), _BATCH):
            rows = self._connection.execute(
                select(studio_tasks).where(
                    studio_tasks.c.project == project,
                    studio_tasks.c.past == 0,
                    studio_tasks.c.pushed,
                    studio_tasks.c.task_id.in_(task_ids[start : start + _BATCH]),
                )
            )
            for row in rows:
                found[row.task_id] = PushedTask(
                    row.document_id,
                    row.task_id,
                    row.text_digest,
                    row.run_id,
                    row.made_at,
                    row.known_at,
                )
        return found

    def retire(self, project: int, task_ids: Sequence[int]) -> int:
        """These tasks were deleted, and Label Studio gave their numbers to others.

        How many of them were believed to be there.
        """
        believed = len(self.signatures(project, task_ids))
        for task_id in task_ids:
            one = (studio_tasks.c.project == project) & (studio_tasks.c.task_id == task_id)
            last = self._connection.scalar(select(func.max(studio_tasks.c.past)).where(one)) or 0
            self._connection.execute(
                update(studio_tasks)
                .where(one, studio_tasks.c.past == 0)
                .values(past=last + 1, state="deleted", annotations=0, cancelled=0)
            )
        return believed

    def made_at(self, project: int, task_ids: Sequence[int]) -> dict[int, str | None]:
        """When the server made these tasks, of those that we know."""
        rows = self._connection.execute(
            select(studio_tasks.c.task_id, studio_tasks.c.made_at).where(
                studio_tasks.c.project == project,
                studio_tasks.c.past == 0,
                studio_tasks.c.task_id.in_(task_ids),
            )
        )
        return {row.task_id: row.made_at for row in rows}

    def shows(self, project: int, task_ids: Iterable[int], run: int | None) -> None:
        """These tasks now show the prediction of this run."""
        ids = list(task_ids)
        for start in range(0, len(ids), _BATCH):
            self._connection.execute(
                update(studio_tasks)
                .where(
                    studio_tasks.c.project == project,
                    studio_tasks.c.past == 0,
                    studio_tasks.c.task_id.in_(ids[start : start + _BATCH]),
                )
                .values(run_id=run)
            )

    def see(self, project: int, tasks: Sequence[SeenTask]) -> None:
        """Remember how the server showed these tasks.

        A task that we pushed stays that of the document we pushed, whatever its data say now.
        """
        for start in range(0, len(tasks), _BATCH):
            batch = tasks[start : start + _BATCH]
            ids = [task.task_id for task in batch]
            old = {
                row.task_id: row
                for row in self._connection.execute(
                    select(studio_tasks).where(
                        studio_tasks.c.project == project,
                        studio_tasks.c.past == 0,
                        studio_tasks.c.task_id.in_(ids),
                    )
                )
            }
            rows = []
            for task in batch:
                before = old.get(task.task_id)
                ours = before is not None and before.pushed
                rows.append(
                    {
                        "project": project,
                        "task_id": task.task_id,
                        "past": 0,
                        "document_id": before.document_id
                        if before is not None and ours
                        else task.document_id,
                        "state": "present",
                        "problem": task.problem,
                        "pushed": ours,
                        "made_at": task.created_at or None,
                        "known_at": None if before is None else before.known_at,
                        "text_digest": None if before is None else before.text_digest,
                        "run_id": None if before is None else before.run_id,
                        "updated_at": task.updated_at,
                        "annotations": task.total_annotations,
                        "cancelled": task.cancelled_annotations,
                    }
                )
            self._drop(project, ids)
            self._connection.execute(studio_tasks.insert(), rows)

    def signatures(
        self, project: int, task_ids: Sequence[int]
    ) -> dict[int, tuple[str | None, int, int]]:
        """Task id → (updated_at, annotations, skipped) as last seen, of the tasks we know."""
        found: dict[int, tuple[str | None, int, int]] = {}
        for start in range(0, len(task_ids), _BATCH):
            rows = self._connection.execute(
                select(studio_tasks).where(
                    studio_tasks.c.project == project,
                    studio_tasks.c.state == "present",
                    studio_tasks.c.task_id.in_(task_ids[start : start + _BATCH]),
                )
            )
            for row in rows:
                found[row.task_id] = (row.updated_at, row.annotations, row.cancelled)
        return found

    def present(self, project: int) -> array[int]:
        """The ids of the tasks we believe to be there, ascending."""
        return array(
            "Q",
            self._connection.scalars(
                select(studio_tasks.c.task_id)
                .where(studio_tasks.c.project == project, studio_tasks.c.state == "present")
                .order_by(studio_tasks.c.task_id)
            ),
        )

    def totals(self, project: int) -> tuple[int, int]:
        """``(tasks, submitted annotations)`` that we believe to be there."""
        row = self._connection.execute(
            select(func.count(), func.coalesce(func.sum(studio_tasks.c.annotations), 0)).where(
                studio_tasks.c.project == project, studio_tasks.c.state == "present"
            )
        ).one()
        return int(row[0]), int(row[1])

    def delete_tasks(self, project: int, task_ids: Sequence[int]) -> None:
        """These tasks were deleted in Label Studio."""
        for start in range(0, len(task_ids), _BATCH):
            self._connection.execute(
                update(studio_tasks)
                .where(
                    studio_tasks.c.project == project,
                    studio_tasks.c.past == 0,
                    studio_tasks.c.task_id.in_(task_ids[start : start + _BATCH]),
                )
                .values(state="deleted", annotations=0, cancelled=0)
            )

    def forget_tasks(self, project: int, task_ids: Sequence[int]) -> None:
        """We removed these tasks ourselves: doubles."""
        self._drop(project, list(task_ids))

    def tasks_of(self, project: int, document_ids: Sequence[str]) -> dict[str, list[int]]:
        """Document id → the tasks we believe to be there."""
        found: dict[str, list[int]] = {}
        for start in range(0, len(document_ids), _BATCH):
            rows = self._connection.execute(
                select(studio_tasks.c.document_id, studio_tasks.c.task_id)
                .where(
                    studio_tasks.c.project == project,
                    studio_tasks.c.state == "present",
                    studio_tasks.c.document_id.in_(document_ids[start : start + _BATCH]),
                )
                .order_by(studio_tasks.c.task_id)
            )
            for row in rows:
                found.setdefault(row.document_id, []).append(row.task_id)
        return found

    def _drop(self, project: int, task_ids: Sequence[int]) -> None:
        self._connection.execute(
            delete(studio_tasks).where(
                studio_tasks.c.project == project,
                studio_tasks.c.past == 0,
                studio_tasks.c.task_id.in_(task_ids),
            )
        )


def chosen_predictions(document_ids: Sequence[str], run: int | None) -> Select[Any]:
    """Of each of these documents the prediction that is shown, with its model run: that of
    ``run``, else the newest that has one."""
    rank = (
        predictions.c.model_run_id
        if run is None
        else case((predictions.c.model_run_id == run, _FIRST), else_=predictions.c.model_run_id)
    )
    chosen = (
        select(predictions.c.document_id, func.max(rank).label("rank"))
        .where(predictions.c.document_id.in_(document_ids))
        .group_by(predictions.c.document_id)
        .subquery()
    )
    number = (
        chosen.c.rank if run is None else case((chosen.c.rank == _FIRST, run), else_=chosen.c.rank)
    )
    return (
        select(predictions, model_runs)
        .join(
            chosen,
            (chosen.c.document_id == predictions.c.document_id)
            & (predictions.c.model_run_id == number),
        )
        .join(model_runs, model_runs.c.id == predictions.c.model_run_id)
    )


def _draw(seed: int, document_id: str) -> int:
    drawn = hashlib.sha256(f"{seed}\n{document_id}".encode()).digest()
    return int.from_bytes(drawn[:4], "big")


def _model(row: Row[Any]) -> Source:
    return Source.model(row.name, row.version, row.digest)
