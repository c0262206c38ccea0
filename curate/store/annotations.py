"""What annotators said, as last pulled, and what came in and did not fit."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, Row, delete, func, select, tuple_, update

from curate.model import Annotation, Source
from curate.store.annotators import Annotators
from curate.store.bodies import from_body, to_body
from curate.store.clock import now
from curate.store.sync_tables import (
    quarantine,
    studio_annotations,
    studio_drafts,
    studio_projects,
)
from curate.store.tables import annotators, model_runs

_BATCH = 300


@dataclass(frozen=True, slots=True)
class StoredAnnotation:
    """An annotator's standing word on a document.

    ``annotation.source`` is the annotator under a pseudonym.  ``parent`` is the model run whose
    prediction the annotator started from, None where there was none.  ``lead_time`` is in
    seconds.  A ``skipped`` annotation claims nothing.
    """

    document_id: str
    annotation: Annotation
    project: int
    task_id: int
    annotation_id: int
    lead_time: float | None
    parent: Source | None
    ground_truth: bool
    skipped: bool
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of annotations that came in: received = stored + unchanged + quarantined."""

    received: int = 0
    stored: int = 0
    unchanged: int = 0
    quarantined: int = 0
    deleted: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.received + other.received,
            self.stored + other.stored,
            self.unchanged + other.unchanged,
            self.quarantined + other.quarantined,
            self.deleted + other.deleted,
        )


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An annotation that came in and did not fit; ``state``: open, mended or gone."""

    id: int
    project: int
    task_id: int
    annotation_id: int
    document_id: str | None
    reason: str
    state: str
    first_seen_at: str
    last_seen_at: str
    item: Any
    raw: Any


class IncomingAnnotation(Protocol):
    """An annotation as it comes in; see ``curate.labelstudio.inbox.Received``."""

    @property
    def annotation_id(self) -> int: ...
    @property
    def user_id(self) -> int: ...
    @property
    def raw(self) -> Mapping[str, Any]: ...
    @property
    def annotation(self) -> Annotation | None: ...
    @property
    def reason(self) -> str: ...
    @property
    def item(self) -> Any: ...
    @property
    def skipped(self) -> bool: ...
    @property
    def ground_truth(self) -> bool: ...
    @property
    def lead_time(self) -> float | None: ...
    @property
    def created_at(self) -> str: ...
    @property
    def updated_at(self) -> str: ...
    @property
    def parent_version(self) -> str | None: ...


class IncomingDraft(Protocol):
    @property
    def draft_id(self) -> int: ...
    @property
    def updated_at(self) -> str: ...
    @property
    def raw(self) -> Mapping[str, Any]: ...


class IncomingTask(Protocol):
    """A task as it comes in, with its whole set of annotations."""

    @property
    def task_id(self) -> int: ...
    @property
    def document_id(self) -> str | None: ...
    @property
    def annotations(self) -> Sequence[IncomingAnnotation]: ...
    @property
    def drafts(self) -> Sequence[IncomingDraft]: ...


class Annotations:
    """The annotations of a unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._annotators: dict[tuple[str, int], int] = {}

    # -- read

    def current(self, document_id: str | None = None) -> Iterator[StoredAnnotation]:
        """Every annotator's standing annotations (of one document), skipped ones included.

        Sorted by document id, pseudonym and annotation id.
        """
        query = (
            select(
                studio_annotations,
                annotators.c.pseudonym,
                model_runs.c.name,
                model_runs.c.version,
                model_runs.c.digest.label("run_digest"),
            )
            .join(annotators, annotators.c.id == studio_annotations.c.annotator_id)
            .join(studio_projects, studio_projects.c.id == studio_annotations.c.project)
            .outerjoin(model_runs, model_runs.c.id == studio_annotations.c.parent_run_id)
            .where(
                studio_annotations.c.state == "current",
                studio_projects.c.purpose == "annotate",
            )
            .order_by(
                studio_annotations.c.document_id,
                annotators.c.pseudonym,
                studio_annotations.c.annotation_id,
                studio_annotations.c.project,
            )
        )
        if document_id is not None:
            query = query.where(studio_annotations.c.document_id == document_id)
        for row in self._connection.execute(query):
            yield _stored(row)

    def quarantined(
        self, *, state: str | None = "open", after: int = 0, limit: int | None = None
    ) -> list[Quarantined]:
        """What did not fit, in order of arrival; ``state=None``: also what is settled."""
        query = select(quarantine).where(quarantine.c.id > after).order_by(quarantine.c.id)
        if state is not None:
            query = query.where(quarantine.c.state == state)
        if limit is not None:
            query = query.limit(limit)
        return [_quarantined(row) for row in self._connection.execute(query)]

    def quarantine_reasons(self) -> list[tuple[str, int]]:
        """``(reason, how many)`` of what is open, most frequent first."""
        count = func.count().label("n")
        rows = self._connection.execute(
            select(quarantine.c.reason, count)
            .where(quarantine.c.state == "open")
            .group_by(quarantine.c.reason)
            .order_by(count.desc(), quarantine.c.reason)
        )
        return [(row.reason, row.n) for row in rows]

    def counts(self, project: int | None = None) -> dict[str, int]:
        """``current``, ``skipped``, ``ground_truth``, ``deleted``, ``quarantined``, ``drafts``."""
        table = studio_annotations

        def number(*conditions: Any) -> int:
            query = select(func.count()).select_from(table).where(*conditions)
            if project is None:
                annotated_in = select(studio_projects.c.id).where(
                    studio_projects.c.purpose == "annotate"
                )
                query = query.where(table.c.project.in_(annotated_in))
            else:
                query = query.where(table.c.project == project)
            return self._connection.scalar(query) or 0

        held = select(func.count()).select_from(quarantine).where(quarantine.c.state == "open")
        drafts = select(func.count()).select_from(studio_drafts)
        if project is not None:
            held = held.where(quarantine.c.project == project)
            drafts = drafts.where(studio_drafts.c.project == project)
        live = table.c.state == "current"
        return {
            "current": number(live),
            "skipped": number(live, table.c.skipped),
            "ground_truth": number(live, table.c.ground_truth),
            "deleted": number(table.c.state == "deleted"),
            "quarantined": self._connection.scalar(held) or 0,
            "drafts": self._connection.scalar(drafts) or 0,
        }

    def tasks_with_annotations(self, project: int) -> set[int]:
        """The tasks that hold, as far as we know, an annotation that fits or one that does not."""
        table = studio_annotations
        fit = select(table.c.task_id).where(table.c.project == project, table.c.state == "current")
        held = select(quarantine.c.task_id).where(
            quarantine.c.project == project, quarantine.c.state == "open"
        )
        return set(self._connection.scalars(fit)) | set(self._connection.scalars(held))

    # -- write

    def receive(
        self,
        project: int,
        server: str,
        tasks: Sequence[IncomingTask],
        runs: Mapping[str, int],
    ) -> Tally:
        """Replace the annotation set of each of these tasks as a whole.

        ``runs`` maps Label Studio's model versions to model runs.  What is no longer there is
        marked deleted; what does not fit goes to quarantine, and leaves it once it fits.
        """
        total = Tally()
        for start in range(0, len(tasks), _BATCH):
            total += self._receive(project, server, tasks[start : start + _BATCH], runs)
        return total

    def keep_drafts(self, project: int, task_ids: Iterable[int]) -> None:
        """Drafts stand on these tasks alone; those of others are gone."""
        kept = set(task_ids)
        held = self._connection.scalars(
            select(studio_drafts.c.task_id).where(studio_drafts.c.project == project).distinct()
        )
        gone = sorted(set(held) - kept)
        for start in range(0, len(gone), _BATCH):
            self._connection.execute(
                delete(studio_drafts).where(
                    studio_drafts.c.project == project,
                    studio_drafts.c.task_id.in_(gone[start : start + _BATCH]),
                )
            )

    def forget(self, project: int, task_ids: Iterable[int]) -> Tally:
        """Mark everything of these tasks deleted: the tasks are gone."""
        total = Tally()
        ids = sorted(task_ids)
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            known = self._known(project, batch)
            held = self._held(project, batch)
            total += Tally(deleted=self._delete(project, known, held, set()))
            self._connection.execute(
                delete(studio_drafts).where(
                    studio_drafts.c.project == project, studio_drafts.c.task_id.in_(batch)
                )
            )
        return total

    def _receive(
        self,
        project: int,
        server: str,
        tasks: Sequence[IncomingTask],
        runs: Mapping[str, int],
    ) -> Tally:
        ids = [task.task_id for task in tasks]
        known = self._known(project, ids)
        held = self._held(project, ids)
        fresh: list[dict[str, Any]] = []
        misfits: list[dict[str, Any]] = []
        mended: list[int] = []
        received = stored = unchanged = 0
        moment = now()
        for task in tasks:
            for item in task.annotations:
                received += 1
                old = known.get(item.annotation_id)
                if item.annotation is None or task.document_id is None:
                    misfits.append(_misfit(project, task, item, held, moment))
                    continue
                row = self._row(project, server, task, item, old, runs)
                if item.annotation_id in held and held[item.annotation_id].state == "open":
                    mended.append(item.annotation_id)
                if old is not None and old.state == "current" and old.digest == row["digest"]:
                    unchanged += 1
                else:
                    stored += 1
                    fresh.append(row)
        seen = {item.annotation_id for task in tasks for item in task.annotations}
        deleted = self._delete(project, known, held, seen)
        self._replace(project, fresh)
        self._quarantine(project, misfits, mended)
        self._drafts(project, tasks)
        return Tally(received, stored, unchanged, len(misfits), deleted)

    def _row(
        self,
        project: int,
        server: str,
        task: IncomingTask,
        item: IncomingAnnotation,
        old: Row[Any] | None,
        runs: Mapping[str, int],
    ) -> dict[str, Any]:
        assert item.annotation is not None
        parent = runs.get(item.parent_version) if item.parent_version is not None else None
        if parent is None and old is not None:
            # Label Studio forgets it once the prediction is deleted; we do not
            parent = old.parent_run_id
        said = {
            "task_id": task.task_id,
            "document_id": task.document_id,
            "annotator_id": self._annotator(server, item.user_id),
            "body": to_body(item.annotation),
            "skipped": item.skipped,
            "ground_truth": item.ground_truth,
            "lead_time": item.lead_time,
            "parent_run_id": parent,
            "created_at": item.created_at,
            "updated_at": item.updated_at,
        }
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode("utf-8")).hexdigest()
        return said | {
            "project": project,
            "annotation_id": item.annotation_id,
            "state": "current",
            "digest": digest,
        }

    def _annotator(self, server: str, user_id: int) -> int:
        key = (server, user_id)
        if key not in self._annotators:
            Annotators(self._connection).pseudonym_of(server, user_id)
            self._annotators[key] = self._connection.execute(
                select(annotators.c.id).where(
                    annotators.c.server == server, annotators.c.user_id == user_id
                )
            ).scalar_one()
        return self._annotators[key]

    def _known(self, project: int, task_ids: Sequence[int]) -> dict[int, Any]:
        table = studio_annotations
        rows = self._connection.execute(
            select(
                table.c.annotation_id, table.c.state, table.c.digest, table.c.parent_run_id
            ).where(table.c.project == project, table.c.task_id.in_(task_ids))
        )
        return {row.annotation_id: row for row in rows}

    def _held(self, project: int, task_ids: Sequence[int]) -> dict[int, Any]:
        rows = self._connection.execute(
            select(
                quarantine.c.annotation_id, quarantine.c.state, quarantine.c.first_seen_at
            ).where(quarantine.c.project == project, quarantine.c.task_id.in_(task_ids))
        )
        return {row.annotation_id: row for row in rows}

    def _delete(
        self,
        project: int,
        known: Mapping[int, Row[Any]],
        held: Mapping[int, Row[Any]],
        seen: set[int],
    ) -> int:
        gone = {key for key, row in known.items() if row.state != "deleted" and key not in seen}
        freed = {key for key, row in held.items() if row.state == "open" and key not in seen}
        if gone:
            self._connection.execute(
                update(studio_annotations)
                .where(
                    studio_annotations.c.project == project,
                    studio_annotations.c.annotation_id.in_(sorted(gone)),
                )
                .values(state="deleted")
            )
        self._settle(project, freed, "gone")
        return len(gone | freed)

    def _replace(self, project: int, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        self._connection.execute(
            delete(studio_annotations).where(
                studio_annotations.c.project == project,
                studio_annotations.c.annotation_id.in_([row["annotation_id"] for row in rows]),
            )
        )
        self._connection.execute(studio_annotations.insert(), rows)

    def _quarantine(
        self, project: int, misfits: list[dict[str, Any]], mended: Iterable[int]
    ) -> None:
        self._settle(project, mended, "mended")
        if not misfits:
            return
        ids = [row["annotation_id"] for row in misfits]
        self._connection.execute(
            update(studio_annotations)
            .where(
                studio_annotations.c.project == project,
                studio_annotations.c.annotation_id.in_(ids),
            )
            .values(state="quarantined")
        )
        fresh = []
        for row in misfits:
            # updated in place: people name a quarantined annotation by the row's number
            same = self._connection.execute(
                update(quarantine)
                .where(
                    quarantine.c.project == project,
                    quarantine.c.annotation_id == row["annotation_id"],
                )
                .values(**row)
            )
            if not same.rowcount:
                fresh.append(row)
        if fresh:
            self._connection.execute(quarantine.insert(), fresh)

    def _settle(self, project: int, ids: Iterable[int], state: str) -> None:
        listed = sorted(ids)
        if listed:
            self._connection.execute(
                update(quarantine)
                .where(quarantine.c.project == project, quarantine.c.annotation_id.in_(listed))
                .values(state=state, last_seen_at=now())
            )

    def _drafts(self, project: int, tasks: Sequence[IncomingTask]) -> None:
        self._connection.execute(
            delete(studio_drafts).where(
                studio_drafts.c.project == project,
                studio_drafts.c.task_id.in_([task.task_id for task in tasks]),
            )
        )
        rows = [
            {
                "project": project,
                "draft_id": draft.draft_id,
                "task_id": task.task_id,
                "updated_at": draft.updated_at,
                "content": pack(draft.raw),
            }
            for task in tasks
            for draft in task.drafts
        ]
        if rows:
            self._connection.execute(
                delete(studio_drafts).where(
                    tuple_(studio_drafts.c.project, studio_drafts.c.draft_id).in_(
                        [(project, row["draft_id"]) for row in rows]
                    )
                )
            )
            self._connection.execute(studio_drafts.insert(), rows)


def pack(value: Any) -> bytes:
    """JSON, compressed."""
    return compress(encode(value))


def encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def compress(content: bytes) -> bytes:
    # twice as fast as the default and hardly larger on JSON
    return zlib.compress(content, 2)


def unpack(content: bytes) -> Any:
    return json.loads(zlib.decompress(content).decode("utf-8", "surrogatepass"))


def _misfit(
    project: int,
    task: IncomingTask,
    item: IncomingAnnotation,
    held: Mapping[int, Row[Any]],
    moment: str,
) -> dict[str, Any]:
    before = held.get(item.annotation_id)
    return {
        "project": project,
        "annotation_id": item.annotation_id,
        "task_id": task.task_id,
        "document_id": task.document_id,
        "reason": item.reason,
        "content": pack(item.raw),
        "item": item.item,
        "state": "open",
        "first_seen_at": moment if before is None else before.first_seen_at,
        "last_seen_at": moment,
    }


def _stored(row: Row[Any]) -> StoredAnnotation:
    return StoredAnnotation(
        document_id=row.document_id,
        annotation=from_body(row.document_id, row.body, Source.annotator(row.pseudonym)),
        project=row.project,
        task_id=row.task_id,
        annotation_id=row.annotation_id,
        lead_time=row.lead_time,
        parent=(
            None
            if row.parent_run_id is None
            else Source.model(row.name, row.version, row.run_digest)
        ),
        ground_truth=row.ground_truth,
        skipped=row.skipped,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _quarantined(row: Row[Any]) -> Quarantined:
    return Quarantined(
        id=row.id,
        project=row.project,
        task_id=row.task_id,
        annotation_id=row.annotation_id,
        document_id=row.document_id,
        reason=row.reason,
        state=row.state,
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
        item=row.item,
        raw=unpack(row.content),
    )
