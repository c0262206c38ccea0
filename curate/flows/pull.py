"""What annotators did comes back: all of it, counted, with the raw answers kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from curate.flows import project as projects_flow
from curate.flows.ahead import ahead
from curate.flows.reporter import Reporter, Silent
from curate.labelstudio.codec import model_version
from curate.labelstudio.inbox import (
    Origin,
    ReceivedTask,
    problem_of,
    receive,
    task_without_noise,
)
from curate.labelstudio.tasks import (
    Tasks,
    annotated,
    created_before,
    created_since,
    drafted,
    moment_of,
    skipped,
    stamp,
    updated_before,
    updated_since,
)
from curate.labelstudio.wire import WireTask, parse_task
from curate.schema import LabelSchema
from curate.store import PushedTask, Store, StudioProject, Tally, UnitOfWork

if TYPE_CHECKING:
    from curate.labelstudio.client import LabelStudio

OVERLAP = timedelta(seconds=30)
"""updated_at is set before the change is committed: what was late for the last pull is fetched
by this one."""

_SKEW_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class PullOptions:
    """``full``: everything anew, deleted tasks included; ``replay``: from the kept raw answers."""

    title: str
    full: bool = False
    replay: bool = False


@dataclass(frozen=True, slots=True)
class PullResult:
    """What a pull did, in annotations: received = stored + unchanged + quarantined.

    ``deleted`` annotations are no longer there (those of deleted tasks too).  ``tasks`` were read
    with their annotations; ``tasks_deleted`` are gone; ``tasks_missing`` seem to be, which
    ``--full`` finds out (those whose id Label Studio gave to another task every pull does);
    ``poisoned`` tasks make the server fail and could not be read.
    ``drafts`` are visible unfinished annotations.  ``swept``: every task was looked at.
    """

    project: str
    received: int
    stored: int
    unchanged: int
    quarantined: int
    deleted: int
    tasks: int
    tasks_deleted: int = 0
    tasks_missing: int = 0
    drafts: int = 0
    swept: bool = False
    poisoned: tuple[int, ...] = ()


def pull(
    store: Store,
    client: LabelStudio,
    schema: LabelSchema,
    options: PullOptions,
    reporter: Reporter | None = None,
) -> PullResult:
    """Bring back what changed.  Raises LockedError, RemoteError, DataError."""
    reporter = reporter or Silent()
    with store.lock("pull"):
        return locked_pull(store, client, schema, options, reporter)


def locked_pull(
    store: Store,
    client: LabelStudio,
    schema: LabelSchema,
    options: PullOptions,
    reporter: Reporter,
) -> PullResult:
    """The same under a lock that the caller holds."""
    project, _ = projects_flow.required(store, client, options.title)
    return pull_project(store, client, schema, project, reporter, full=options.full)


def pull_project(
    store: Store,
    client: LabelStudio,
    schema: LabelSchema,
    project: StudioProject,
    reporter: Reporter,
    *,
    full: bool = False,
) -> PullResult:
    """The same of one project, whatever it is for."""
    run = _Pull(store, Tasks(client, project.project_id), project, schema, reporter)
    return run.full() if full or project.bookmark is None else run.incremental()


def replay(
    store: Store,
    schema: LabelSchema,
    options: PullOptions,
    reporter: Reporter | None = None,
) -> PullResult:
    """Decode the kept raw answers again; Label Studio is not asked.

    Every project of this title is replayed, whichever server it stands on.
    """
    reporter = reporter or Silent()
    total, tasks = Tally(), 0
    with store.lock("pull --replay"):
        with store.read() as unit:
            projects = [p for p in unit.projects.all() if p.title == options.title]
        for project in projects:
            with store.read() as unit:
                pages = list(unit.archive.pages(project.id))
            for page in pages:
                with store.write() as unit:
                    rows = unit.archive.read(page)
                    kept = _of_today(unit, project.id, [parse_task(row) for row in rows])
                    received = _read(unit, kept, schema, _origins(unit, project.id, kept))
                    total += unit.annotations.receive(
                        project.id, project.server, received, _runs(unit)
                    )
                    unit.commit()
                tasks += len(kept)
    reporter.step(f"replayed {tasks} tasks")
    return _result(options.title, total, tasks)


class _Pull:
    """The state of one pull."""

    def __init__(
        self,
        store: Store,
        tasks: Tasks,
        project: StudioProject,
        schema: LabelSchema,
        reporter: Reporter,
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._project = project
        self._schema = schema
        self._reporter = reporter
        self._began = tasks.server_now()
        # measured at every pull: if it moves, one of the clocks was set
        self._skew = (self._began - datetime.now(UTC)).total_seconds()
        self._tally = Tally()
        self._fetched: set[int] = set()
        self._drafts = 0
        self._replaced = 0
        self._with_drafts: list[int] = []

    # -- the two ways

    def full(self) -> PullResult:
        """Every task anew; those that are gone are found out."""
        seen: set[int] = set()
        total, _ = self._tasks.count()
        with self._reporter.progress("pulling", total) as advance:
            for page, rows in ahead(self._everything()):
                seen.update(task.id for task in page)
                self._note(page)
                self._store_rows(rows)
                advance(len(page))
        self._fetch(self._drafted())
        with self._store.read() as unit:
            believed = set(unit.sync.present(self._project.id))
        # annotations that vanished leave a task that is no longer begun
        self._fetch(sorted(self._once_begun(seen)))
        missing = sorted(believed - seen - set(self._tasks.poisoned))
        gone = self._proven_gone(missing)
        self._finish(gone)
        return self._outcome(gone=len(gone), missing=len(missing) - len(gone), swept=True)

    def incremental(self) -> PullResult:
        """What changed since the bookmark, with an overlap; then a count of everything."""
        changed: set[int] = set()
        with self._reporter.progress("looking for changes") as advance:
            for page in self._windows():
                changed.update(self._changed(page))
                self._note(page)
                advance(len(page))
        changed.update(self._drafted())
        self._fetch(sorted(changed))
        there_tasks, there_annotations = self._tasks.count()
        with self._store.read() as unit:
            tasks, annotations = unit.sync.totals(self._project.id)
        missing = max(0, tasks - there_tasks)
        swept = False
        if there_annotations != annotations and not missing:
            self._reporter.step(
                f"Label Studio counts {there_annotations} annotations and {annotations} are "
                "known; looking at every task"
            )
            swept = True
            for page in self._tasks.light():
                differing = self._changed(page)
                self._note(page)
                self._fetch(differing)
        if missing:
            self._reporter.warn(
                f"{missing} tasks are no longer in Label Studio; `curate pull --full` finds out "
                "which"
            )
        self._finish([])
        return self._outcome(gone=0, missing=missing, swept=swept)

    # -- steps

    def _everything(self) -> Iterator[tuple[list[WireTask], list[dict[str, Any]]]]:
        """Pages of tasks, or of raw tasks with their annotations where there are some."""
        tasks, annotations = self._tasks.count()
        if annotations * 2 > tasks:
            # most tasks are wanted whole: listing them first by themselves would cost a third
            for rows in self._tasks.heavy():
                whole = [parse_task(row) for row in rows]
                yield whole, [row for row, task in zip(rows, whole, strict=True) if _begun(task)]
            return
        for page in self._tasks.light():
            yield page, []
            for rows in self._tasks.heavy_by_id(task.id for task in page if _begun(task)):
                yield [], rows

    def _windows(self) -> Iterator[list[WireTask]]:
        """Tasks that changed since the bookmark, or shortly before.

        The overlap leaves out tasks made within it that carry no annotation: a push of ours,
        which may be thousands.
        """
        assert self._project.bookmark is not None
        bookmark = moment_of(self._project.bookmark)
        before = self._skew if self._project.skew is None else self._project.skew
        moved = abs(self._skew - before)
        low = min(bookmark, self._began) - OVERLAP
        if moved > _SKEW_SECONDS:
            self._reporter.step(
                f"a clock was set by {moved:.0f} s since the last pull; looking further back"
            )
            low -= timedelta(seconds=moved)
        yield from self._tasks.light(updated_since(bookmark))
        overlap = (updated_since(low), updated_before(bookmark))
        yield from self._tasks.light(*overlap, created_before(low))
        yield from self._tasks.light(*overlap, created_since(low), annotated())
        yield from self._tasks.light(*overlap, created_since(low), skipped())

    def _changed(self, page: Sequence[WireTask]) -> list[int]:
        """Tasks of the page whose annotations are, or were, other than we know."""
        with self._store.read() as unit:
            known = unit.sync.signatures(self._project.id, [task.id for task in page])
        changed = []
        for task in page:
            before = known.get(task.id)
            if before == task.signature:
                continue
            if _begun(task) or (before is not None and (before[1] or before[2])):
                changed.append(task.id)
        return changed

    def _drafted(self) -> list[int]:
        """Drafts touch no time stamp: they are asked for by themselves."""
        self._with_drafts = [task.id for page in self._tasks.light(drafted()) for task in page]
        return self._with_drafts

    def _once_begun(self, seen: set[int]) -> set[int]:
        with self._store.read() as unit:
            held = unit.annotations.tasks_with_annotations(self._project.id)
        return (held & seen) - self._fetched

    def _note(self, page: Sequence[WireTask]) -> None:
        """Remember tasks without annotations; the others are remembered with their data."""
        if not page:
            return
        with self._store.write() as unit:
            idle = [task for task in page if not _begun(task)]
            known = unit.sync.signatures(self._project.id, [task.id for task in idle])
            fresh = [
                task
                for task in idle
                if known.get(task.id) is None or not (known[task.id][1] or known[task.id][2])
            ]
            self._retire_replaced(unit, fresh)
            origins = _origins(unit, self._project.id, fresh)
            unit.sync.see(self._project.id, _bare(unit, fresh, origins))
            unit.commit()

    def _fetch(self, ids: Iterable[int]) -> None:
        wanted = [number for number in dict.fromkeys(ids) if number not in self._fetched]
        for rows in ahead(self._tasks.heavy_by_id(wanted)):
            self._store_rows(rows)

    def _store_rows(self, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        tasks = [parse_task(row) for row in rows]
        with self._store.write() as unit:
            self._retire_replaced(unit, tasks)
            origins = _origins(unit, self._project.id, tasks)
            received = _read(unit, tasks, self._schema, origins)
            unit.archive.keep(
                self._project.id, {row["id"]: task_without_noise(row) for row in rows}
            )
            unit.sync.see(self._project.id, received)
            self._tally += unit.annotations.receive(
                self._project.id, self._project.server, received, _runs(unit)
            )
            unit.commit()
        self._fetched.update(task.id for task in tasks)
        self._drafts += sum(len(task.drafts) for task in tasks)

    def _retire_replaced(self, unit: UnitOfWork, tasks: Sequence[WireTask]) -> None:
        """Where Label Studio gave the id of a deleted task of ours to another: ours is gone."""
        ours = unit.sync.ours(self._project.id, [task.id for task in tasks])
        gone = [task.id for task in tasks if task.id in ours and _is_another(task, ours[task.id])]
        if not gone:
            return
        self._tally += unit.annotations.forget(self._project.id, gone)
        self._replaced += unit.sync.retire(self._project.id, gone)

    def _proven_gone(self, missing: list[int]) -> list[int]:
        """Those of the missing tasks that, asked for by id, are not there; none while the server
        fails at some task or counts more tasks than we saw."""
        if not missing:
            return []
        there = {task.id for page in self._tasks.light_by_id(missing) for task in page}
        gone = [number for number in missing if number not in there]
        total, _ = self._tasks.count()
        with self._store.read() as unit:
            believed = len(unit.sync.present(self._project.id))
        if total > believed - len(gone) + len(self._tasks.poisoned):
            # tasks were made while we looked; those that are missing by id are missing all the same
            self._reporter.step("tasks were added during the sweep")
        if total < believed - len(gone):
            self._reporter.warn(
                "the listing could not be proven complete (tasks vanished while it was read); "
                "no task was marked deleted, run `curate pull --full` again"
            )
            return []
        return gone

    def _finish(self, gone: list[int]) -> None:
        """The last of the data and the bookmark, in one transaction."""
        with self._store.write() as unit:
            if gone:
                self._tally += unit.annotations.forget(self._project.id, gone)
                unit.sync.delete_tasks(self._project.id, gone)
            unit.annotations.keep_drafts(self._project.id, self._with_drafts)
            unit.projects.set_bookmark(self._project.id, stamp(self._began), self._skew)
            unit.commit()
        for number in self._tasks.poisoned:
            self._reporter.warn(
                f"Label Studio fails at task {number}: nothing of it can be read; delete it there"
            )

    def _outcome(self, *, gone: int, missing: int, swept: bool) -> PullResult:
        return _result(
            self._project.title,
            self._tally,
            len(self._fetched),
            tasks_deleted=gone + self._replaced,
            tasks_missing=missing,
            drafts=self._drafts,
            swept=swept,
            poisoned=tuple(self._tasks.poisoned),
        )


def _begun(task: WireTask) -> bool:
    return bool(task.total_annotations or task.cancelled_annotations)


def _is_another(task: WireTask, ours: PushedTask) -> bool:
    """Whether this is another task than the one that we pushed under its number.

    On SQLite Label Studio gives the number of the task made last, once it is deleted, to the next.
    """
    if task.document_id == ours.document_id or not task.created_at:
        return False
    made = moment_of(task.created_at)
    if ours.made_at is not None:
        return made != moment_of(ours.made_at)
    # the server's time was in whole seconds, rounded down
    return ours.known_at is not None and made > moment_of(ours.known_at) + timedelta(seconds=1)


def _of_today(unit: UnitOfWork, project: int, tasks: Sequence[WireTask]) -> list[WireTask]:
    """Without the kept answers about tasks whose numbers others bear today."""
    made_at = unit.sync.made_at(project, [task.id for task in tasks])
    ours = unit.sync.ours(project, [task.id for task in tasks])
    kept = []
    for task in tasks:
        today = made_at.get(task.id)
        if today is not None and task.created_at:
            if moment_of(today) != moment_of(task.created_at):
                continue
        elif task.id in ours and ours[task.id].document_id != task.document_id:
            continue
        kept.append(task)
    return kept


def _origins(unit: UnitOfWork, project: int, tasks: Sequence[WireTask]) -> dict[int, Origin]:
    """What we pushed as these tasks."""
    ours = unit.sync.ours(project, [task.id for task in tasks])
    return {key: Origin(task.document_id, task.text_digest) for key, task in ours.items()}


def _names(tasks: Sequence[WireTask], origins: Mapping[int, Origin]) -> dict[int, str]:
    """Task id → the document it is meant for: the one we pushed, else the one its data name."""
    named = {task.id: task.document_id for task in tasks if task.document_id is not None}
    return named | {task.id: origins[task.id].document_id for task in tasks if task.id in origins}


def _read(
    unit: UnitOfWork,
    tasks: Sequence[WireTask],
    schema: LabelSchema,
    origins: Mapping[int, Origin],
) -> list[ReceivedTask]:
    names = _names(tasks, origins)
    documents = {d.id: d for d in unit.documents.many(list(names.values()))}
    return [
        receive(task, documents.get(names.get(task.id, "")), schema, origins.get(task.id))
        for task in tasks
    ]


def _bare(
    unit: UnitOfWork, tasks: Sequence[WireTask], origins: Mapping[int, Origin]
) -> list[ReceivedTask]:
    """The tasks without their annotations."""
    names = _names(tasks, origins)
    digests = unit.documents.digests_by_id(list(names.values()))
    return [
        ReceivedTask(
            task.id,
            names.get(task.id),
            problem_of(task, digests.get(names.get(task.id, "")), origins.get(task.id)),
            task.updated_at,
            task.total_annotations,
            task.cancelled_annotations,
            created_at=task.created_at,
        )
        for task in tasks
    ]


def _runs(unit: UnitOfWork) -> dict[str, int]:
    return {model_version(model): number for number, model in unit.sync.models().items()}


def _result(title: str, tally: Tally, tasks: int, **rest: Any) -> PullResult:
    return PullResult(
        project=title,
        received=tally.received,
        stored=tally.stored,
        unchanged=tally.unchanged,
        quarantined=tally.quarantined,
        deleted=tally.deleted,
        tasks=tasks,
        **rest,
    )
