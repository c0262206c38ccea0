"""Counts for `curate status`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select

from curate.store.sync_tables import studio_annotations, studio_projects, studio_tasks
from curate.store.tables import annotators, documents, predictions


@dataclass(frozen=True, slots=True)
class Standing:
    """Documents and tasks of one project (all zero where there is none), see ``flows.status``."""

    documents: int
    predicted: int
    pushed: int = 0
    changed: int = 0
    removed: int = 0
    tasks_deleted: int = 0
    tasks_edited: int = 0
    tasks_foreign: int = 0
    tasks_unknown: int = 0
    tasks_double: int = 0
    annotated_by: dict[int, int] = field(default_factory=dict)
    per_annotator: dict[str, int] = field(default_factory=dict)


def standing(connection: Connection, project: int | None) -> Standing:
    def number(query: Any) -> int:
        return connection.scalar(query) or 0

    total = number(select(func.count()).select_from(documents))
    predicted = number(select(func.count(func.distinct(predictions.c.document_id))))
    by_count, by_person = _annotated(connection)
    if project is None:
        return Standing(total, predicted, annotated_by=by_count, per_annotator=by_person)
    tasks = studio_tasks
    ours = (tasks.c.project == project) & tasks.c.pushed
    there = (tasks.c.project == project) & (tasks.c.state == "present")

    def count(*conditions: Any) -> int:
        return number(select(func.count()).select_from(tasks).where(*conditions))

    doubles = (
        select(tasks.c.document_id)
        .where(there, tasks.c.document_id.is_not(None))
        .group_by(tasks.c.document_id)
        .having(func.count() > 1)
        .subquery()
    )
    known = tasks.join(documents, documents.c.id == tasks.c.document_id)
    return Standing(
        documents=total,
        predicted=predicted,
        pushed=number(select(func.count(func.distinct(tasks.c.document_id))).where(ours)),
        changed=number(
            select(func.count())
            .select_from(known)
            .where(ours, tasks.c.text_digest != documents.c.digest)
        ),
        removed=count(ours, tasks.c.document_id.not_in(select(documents.c.id))),
        tasks_deleted=count(tasks.c.project == project, tasks.c.state == "deleted"),
        tasks_edited=count(there, tasks.c.problem == "edited"),
        tasks_foreign=count(there, tasks.c.problem == "foreign"),
        tasks_unknown=count(there, tasks.c.problem == "unknown"),
        tasks_double=number(select(func.count()).select_from(doubles)),
        annotated_by=by_count,
        per_annotator=by_person,
    )


def changed_since(connection: Connection, moment: str) -> int:
    """Annotations of which the server says that they were changed after this moment (UTC)."""
    table = studio_annotations
    query = (
        select(func.count())
        .select_from(table.join(studio_projects, studio_projects.c.id == table.c.project))
        .where(
            table.c.state == "current",
            table.c.updated_at > moment,
            studio_projects.c.purpose == "annotate",
        )
    )
    return connection.scalar(query) or 0


def _annotated(connection: Connection) -> tuple[dict[int, int], dict[str, int]]:
    table = studio_annotations
    live = (
        (table.c.state == "current")
        & table.c.skipped.is_(False)
        & (studio_projects.c.purpose == "annotate")
    )
    source = table.join(studio_projects, studio_projects.c.id == table.c.project)
    per_document = (
        select(func.count(func.distinct(table.c.annotator_id)).label("n"))
        .select_from(source)
        .where(live)
        .group_by(table.c.document_id)
        .subquery()
    )
    by_count = {
        int(row[0]): int(row[1])
        for row in connection.execute(
            select(per_document.c.n, func.count())
            .group_by(per_document.c.n)
            .order_by(per_document.c.n)
        )
    }
    by_person = {
        str(row[0]): int(row[1])
        for row in connection.execute(
            select(annotators.c.pseudonym, func.count())
            .select_from(source.join(annotators, annotators.c.id == table.c.annotator_id))
            .where(live)
            .group_by(annotators.c.pseudonym)
            .order_by(annotators.c.pseudonym)
        )
    }
    return by_count, by_person
