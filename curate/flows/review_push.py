"""Disagreements become tasks of the review project, each once, worst first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from curate.flows.recover import recover, remove_doubles
from curate.flows.reporter import Reporter
from curate.flows.review_project import opened_review
from curate.flows.review_queue import SUSPECT, Case, gather
from curate.flows.review_suspects import pending
from curate.gold.building import Recipe
from curate.gold.judge import Judge
from curate.labelstudio.client import encode
from curate.labelstudio.outbox import Outbox, Payload
from curate.labelstudio.review import task_payload
from curate.labelstudio.tasks import drafted, id_in
from curate.schema import LabelSchema
from curate.store import PushedTask, ReviewItem, Store, StudioProject

if TYPE_CHECKING:
    from curate.labelstudio.client import LabelStudio


@dataclass(frozen=True, slots=True)
class ReviewPushOptions:
    """``limit`` bounds the documents of one push; ``chunk_*`` one import."""

    title: str
    limit: int | None = None
    dry_run: bool = False
    recreate: bool = False
    chunk_tasks: int = 50
    chunk_bytes: int = 8 * 1024 * 1024
    quiet_seconds: float = 4.0


@dataclass(frozen=True, slots=True)
class ReviewPushed:
    """What a push did, in documents.

    ``pushed`` became tasks; ``replaced`` of them stood there in an older form; ``standing`` tasks
    show what they should; ``removed`` tasks had nothing left to decide; ``begun`` tasks are out of
    date and somebody works on them: pull first.  ``points`` are open in all that waits;
    ``waiting`` documents were held back by the limit.  ``suspects`` were queued by suspicion.
    """

    project: str
    project_id: int | None
    url: str
    created: bool
    documents: int
    points: int
    pushed: int
    replaced: int = 0
    standing: int = 0
    removed: int = 0
    begun: int = 0
    waiting: int = 0
    recovered: int = 0
    doubles_removed: int = 0
    suspects: int = 0
    dry_run: bool = False
    reasons: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def review_push(
    store: Store,
    client: LabelStudio,
    schema: LabelSchema,
    judge: Judge,
    recipe: Recipe,
    folder: Path,
    options: ReviewPushOptions,
    reporter: Reporter,
    *,
    suspects: Sequence[Case] = (),
) -> ReviewPushed:
    """Push what waits for a curator.  Running it again changes nothing.

    ``suspects`` are queued besides.  Raises LockedError, RemoteError, DataError.
    """
    with store.read() as unit:
        cases = gather(unit, schema, judge, recipe, folder)
        items = unit.review.items()
        there = unit.projects.candidates(client.url, options.title, "review")
        tasks = {
            key
            for project in there
            for key in unit.sync.tasks_of(project.id, [item.document_id for item in items])
        }
        suspects = [*pending(items, tasks), *suspects]
    if judge.pinned is not None:
        reporter.step(
            f"the pinned rule {judge.pinned} decides every difference; only what later corrections "
            "reopened, and suspects, wait for a curator"
        )
    known = {case.document_id for case in cases}
    more = [case for case in suspects if case.document_id not in known]
    cases += more
    if options.dry_run:
        return _dry_run(store, client, cases, options, len(more))
    if not (cases or items or there):  # an empty project would only be in the way
        return ReviewPushed(options.title, None, client.url, False, 0, 0, 0)
    with store.lock("review push"):
        project, _, created = opened_review(
            store, client, schema, options.title, reporter, recreate=options.recreate
        )
        outbox = Outbox(
            client, project.project_id, note=reporter.warn, quiet_seconds=options.quiet_seconds
        )
        recovery = recover(store, outbox, project, reporter)
        run = _ReviewPush(store, outbox, project, schema, options, reporter)
        run.plan(cases)
        run.clear()
        run.send()
        recovery += remove_doubles(store, outbox, project)
    return ReviewPushed(
        project=project.title,
        project_id=project.project_id,
        url=f"{client.url}/projects/{project.project_id}/data",
        created=created,
        documents=len(cases),
        points=sum(len(case.points) for case in cases),
        pushed=run.pushed,
        replaced=run.replaced,
        standing=run.standing,
        removed=run.removed,
        begun=run.begun,
        waiting=run.waiting,
        recovered=recovery.recovered,
        doubles_removed=recovery.doubles,
        suspects=len(more),
        reasons=_reasons(cases),
        refused=run.refused,
    )


def _reasons(cases: Sequence[Case]) -> dict[str, int]:
    found: dict[str, int] = {}
    for case in cases:
        found[case.reason] = found.get(case.reason, 0) + 1
    return dict(sorted(found.items()))


class _ReviewPush:
    """The state of one push."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        project: StudioProject,
        schema: LabelSchema,
        options: ReviewPushOptions,
        reporter: Reporter,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._project = project
        self._schema = schema
        self._options = options
        self._reporter = reporter
        self._fresh: list[Case] = []
        self._old: dict[str, list[int]] = {}
        self._over: dict[str, list[int]] = {}
        self._lost: list[Case] = []
        self.pushed = self.replaced = self.standing = 0
        self.removed = self.begun = self.waiting = 0
        self.refused: dict[str, str] = {}

    def plan(self, cases: Sequence[Case]) -> None:
        """Sort the cases into new ones, those shown in an older form, and those that stand."""
        with self._store.read() as unit:
            items = {item.document_id: item for item in unit.review.items()}
            ids = sorted({case.document_id for case in cases} | items.keys())
            tasks = unit.sync.tasks_of(self._project.id, ids)
        for case in cases:
            there = tasks.get(case.document_id)
            item = items.get(case.document_id)
            if there is None:
                self._fresh.append(case)
            elif item is not None and item.digest == case.digest:
                self.standing += 1
                if item.state != "open":
                    self._lost.append(case)
            else:
                self._old[case.document_id] = there
                self._fresh.append(case)
        known = {case.document_id for case in cases}
        for document_id, item in items.items():
            if _is_over(item, known):
                self._over[document_id] = tasks.get(document_id, [])
        if self._options.limit is not None:
            # what stands in an older form is renewed in any case
            room = self._options.limit
            chosen = []
            for case in self._fresh:
                if case.document_id in self._old or room > 0:
                    chosen.append(case)
                    room -= case.document_id not in self._old
            self.waiting = len(self._fresh) - len(chosen)
            self._fresh = chosen

    def clear(self) -> None:
        """Take away tasks in an older form and those with nothing left to decide; nobody's work."""
        doomed = {**self._old, **self._over}
        busy = self._busy([task for tasks in doomed.values() for task in tasks])
        for document_id, tasks in doomed.items():
            if busy.intersection(tasks):
                self.begun += 1
                self._old.pop(document_id, None)
                self._over.pop(document_id, None)
                self._fresh = [c for c in self._fresh if c.document_id != document_id]
        gone = sorted(
            task for tasks in [*self._old.values(), *self._over.values()] for task in tasks
        )
        if gone:
            self._outbox.delete_tasks(gone)
        with self._store.write() as unit:
            unit.annotations.forget(self._project.id, gone)
            unit.sync.forget_tasks(self._project.id, gone)
            unit.review.settle(self._over)
            unit.review.put(case.item(self._project.id) for case in self._lost)
            unit.commit()
        self.removed = sum(1 for tasks in self._over.values() if tasks)
        if self.begun:
            self._reporter.warn(
                f"{self.begun} tasks are out of date and a curator has begun them: they are left "
                "alone; run `curate review pull`, then push again"
            )

    def _busy(self, task_ids: Sequence[int]) -> set[int]:
        """Those of the tasks that hold work which has not been pulled."""
        found: set[int] = set()
        with self._store.read() as unit:
            known = unit.sync.signatures(self._project.id, list(task_ids))
        for page in self._outbox.tasks.light_by_id(sorted(task_ids)):
            for task in page:
                begun = task.total_annotations or task.cancelled_annotations
                if begun and known.get(task.id) != task.signature:
                    found.add(task.id)
        ids = sorted(task_ids)
        for start in range(0, len(ids), 100):
            for page in self._outbox.tasks.light(id_in(ids[start : start + 100]), drafted()):
                found.update(task.id for task in page)
        return found

    def send(self) -> None:
        with self._reporter.progress("pushing", len(self._fresh)) as advance:
            for chunk in self._chunks():
                self._send_chunk(chunk)
                advance(len(chunk))

    def _chunks(self) -> Iterator[list[tuple[Case, Payload, str]]]:
        chunk: list[tuple[Case, Payload, str]] = []
        size = 0
        step = self._options.chunk_tasks
        for start in range(0, len(self._fresh), step):
            cases = self._fresh[start : start + step]
            with self._store.read() as unit:
                documents = {d.id: d for d in unit.documents.many([c.document_id for c in cases])}
            for case in cases:
                document = documents[case.document_id]
                task = task_payload(
                    document.id,
                    document.text,
                    self._schema,
                    start=case.start,
                    versions={**case.versions, **case.extra},
                    points=case.points,
                    round_=case.digest[:16],
                )
                payload = Payload(document.id, encode(task))
                length = len(payload.body)
                if chunk and (len(chunk) >= step or size + length > self._options.chunk_bytes):
                    yield chunk
                    chunk, size = [], 0
                chunk.append((case, payload, document.digest))
                size += length
        if chunk:
            yield chunk

    def _send_chunk(self, chunk: list[tuple[Case, Payload, str]]) -> None:
        with self._store.write() as unit:
            number = unit.journal.open(
                self._project.id, "tasks", [(case.document_id, None) for case, _, _ in chunk]
            )
            unit.review.put(case.item(self._project.id) for case, _, _ in chunk)
            unit.review.suspect([s for case, _, _ in chunk for s in case.suspicions])
            unit.commit()
        sent = self._outbox.send([payload for _, payload, _ in chunk])
        known_at = self._outbox.known_at()
        tasks = [
            PushedTask(
                case.document_id, sent.tasks[case.document_id], digest, None, known_at=known_at
            )
            for case, _, digest in chunk
            if case.document_id in sent.tasks
        ]
        with self._store.write() as unit:
            unit.sync.confirm(self._project.id, tasks)
            if sent.repeated:
                unit.journal.doubt(number)
            else:
                unit.journal.close(number)
            unit.commit()
        self.pushed += len(tasks)
        self.replaced += sum(1 for task in tasks if task.document_id in self._old)
        for document_id, reason in sent.refused.items():
            self.refused[document_id] = reason
            self._reporter.warn(f"document {document_id!r} was refused: {reason}")


def _is_over(item: ReviewItem, cases: set[str]) -> bool:
    """Whether nothing is left to decide in a document that waits."""
    return item.state == "open" and item.document_id not in cases and item.reason != SUSPECT


def _dry_run(
    store: Store,
    client: LabelStudio,
    cases: Sequence[Case],
    options: ReviewPushOptions,
    suspects: int,
) -> ReviewPushed:
    """Counts from the store; nothing is written here or there."""
    with store.read() as unit:
        found = unit.projects.candidates(client.url, options.title, "review")
        items = {item.document_id: item for item in unit.review.items()}
        ids = sorted({case.document_id for case in cases} | items.keys())
        tasks = unit.sync.tasks_of(found[0].id, ids) if found else {}
    standing = [
        case
        for case in cases
        if case.document_id in tasks
        and case.document_id in items
        and items[case.document_id].digest == case.digest
    ]
    replaced = sum(1 for c in cases if c.document_id in tasks) - len(standing)
    fresh = len(cases) - len(standing)
    new = fresh - replaced
    room = new if options.limit is None else min(new, options.limit)
    known = {case.document_id for case in cases}
    return ReviewPushed(
        project=options.title,
        project_id=found[0].project_id if found else None,
        url=client.url,
        created=not found,
        documents=len(cases),
        points=sum(len(case.points) for case in cases),
        pushed=replaced + room,
        replaced=replaced,
        standing=len(standing),
        removed=sum(1 for key, item in items.items() if key in tasks and _is_over(item, known)),
        waiting=new - room,
        suspects=suspects,
        dry_run=True,
        reasons=_reasons(cases),
    )
