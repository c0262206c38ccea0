"""Documents become tasks in Label Studio, each once, with the current model's predictions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from curate.errors import RemoteError
from curate.flows import project as projects_flow
from curate.flows.ahead import ahead
from curate.flows.choosing import Chosen, Order, Plan, plan
from curate.flows.recover import Recovery, recover, remove_doubles, repair_predictions
from curate.flows.reporter import Reporter, Silent
from curate.labelstudio import projects
from curate.labelstudio.client import encode
from curate.labelstudio.codec import model_version, prediction_payload, task_data
from curate.labelstudio.outbox import Outbox, Payload
from curate.model import Source
from curate.schema import LabelSchema
from curate.selection import SHARE
from curate.store import Outgoing, PushedTask, Store, StudioProject, UnitOfWork

if TYPE_CHECKING:
    from array import array

    from curate.labelstudio.client import LabelStudio

PREDICTIONS_PER_CALL = 2000
"""Every call to import predictions recounts the whole project: few large calls."""


@dataclass(frozen=True, slots=True)
class PushOptions:
    """``chunk_tasks`` and ``chunk_bytes`` bound one import; ``limit`` the documents of one push.

    ``overlap``: annotators a task; None leaves it as it is, and a new project gets
    ``first_overlap``.  ``blind``: the share of documents with a prediction that is pushed without
    it, drawn by ``seed``; who was drawn once stays so.  ``share``: of the documents chosen by
    uncertainty, how many are drawn by lot instead.
    """

    title: str
    overlap: int | None = None
    first_overlap: int = 1
    limit: int | None = None
    order: Order = "oldest"
    seed: int = 0
    blind: float | None = None
    share: float = SHARE
    dry_run: bool = False
    adopt: bool = False
    recreate: bool = False
    chunk_tasks: int = 250
    chunk_bytes: int = 8 * 1024 * 1024
    quiet_seconds: float = 4.0


@dataclass(frozen=True, slots=True)
class PushResult:
    """What a push did, in documents and tasks.

    ``pushed`` documents became tasks, ``with_predictions`` of them with a prediction;
    ``recovered`` tasks were found to have arrived in an earlier push; ``replaced`` tasks got the
    current model's predictions in place of old ones, ``kept`` had annotations and keep theirs;
    ``doubles_removed`` tasks stood twice; ``refused``: document id → Label Studio's reason;
    ``blind`` of the pushed ones have a prediction that annotators are not shown;
    ``unfit``: document id → why its prediction does not fit the schema and was left out;
    ``waiting`` documents remain; ``chosen`` says how, where they were chosen by uncertainty.
    """

    project: str
    project_id: int | None
    url: str
    created: bool
    pushed: int
    with_predictions: int
    waiting: int
    recovered: int = 0
    replaced: int = 0
    kept: int = 0
    doubles_removed: int = 0
    model_version: str | None = None
    blind: int = 0
    dry_run: bool = False
    refused: dict[str, str] = field(default_factory=dict)
    unfit: dict[str, str] = field(default_factory=dict)
    chosen: Chosen | None = None


def push(
    store: Store,
    client: LabelStudio,
    schema: LabelSchema,
    options: PushOptions,
    reporter: Reporter | None = None,
) -> PushResult:
    """Push what is not there yet.  Raises LockedError, RemoteError, DataError."""
    reporter = reporter or Silent()
    if options.dry_run:
        return _dry_run(store, client, schema, options, reporter)
    with store.lock("push"):
        return locked_push(store, client, schema, options, reporter)


def locked_push(
    store: Store,
    client: LabelStudio,
    schema: LabelSchema,
    options: PushOptions,
    reporter: Reporter,
) -> PushResult:
    """The same under a lock that the caller holds."""
    project, remote, created = projects_flow.opened(
        store,
        client,
        schema,
        options.title,
        overlap=options.overlap,
        first_overlap=options.first_overlap,
        reporter=reporter,
        adopt=options.adopt,
        recreate=options.recreate,
    )
    outbox = Outbox(
        client, project.project_id, note=reporter.warn, quiet_seconds=options.quiet_seconds
    )
    run = _Push(store, outbox, project, schema, options, reporter)
    recovery = recover(store, outbox, project, reporter)
    if options.adopt:
        recovery += run.adopt()
    with store.read() as unit:
        current = unit.sync.current_run()
        planned = _planned(unit, project.id, current, options, reporter)
        run.lanes = unit.review.lanes()
    if planned.ledger is not None:
        # before anything is sent: what is drawn by lot does not depend on what then goes wrong
        with store.write() as unit:
            unit.selections.enter(project.id, planned.ledger)
            unit.commit()
    run.send(planned.seqs, None if current is None else current[0])
    replaced, kept = run.refresh(current)
    recovery += remove_doubles(store, outbox, project)
    if current is not None:
        with store.read() as unit:
            shown = unit.sync.any_shows(project.id, current[0])
        if shown:
            projects.show_model(client, remote, model_version(current[1]))
    return PushResult(
        project=project.title,
        project_id=project.project_id,
        url=f"{client.url}/projects/{project.project_id}/data",
        created=created,
        pushed=run.pushed,
        with_predictions=run.with_predictions,
        waiting=planned.waiting - run.pushed - len(run.refused),
        recovered=recovery.recovered,
        replaced=replaced,
        kept=kept,
        doubles_removed=recovery.doubles,
        model_version=None if current is None else model_version(current[1]),
        blind=run.blind,
        refused=run.refused,
        unfit=run.unfit,
        chosen=planned.chosen,
    )


def _planned(
    unit: UnitOfWork,
    project: int,
    current: tuple[int, Source] | None,
    options: PushOptions,
    reporter: Reporter,
) -> Plan:
    return plan(
        unit,
        project,
        None if current is None else current[0],
        options.order,
        options.limit,
        options.seed,
        reporter,
        options.share,
    )


def drawn_blind(document_id: str, share: float, seed: int) -> bool:
    """Whether a document falls into the blind share: by a hash, so that no order matters."""
    drawn = hashlib.sha256(f"blind\n{seed}\n{document_id}".encode()).digest()
    return int.from_bytes(drawn[:8], "big") < share * 2**64


class _Push:
    """The state of one push."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        project: StudioProject,
        schema: LabelSchema,
        options: PushOptions,
        reporter: Reporter,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._project = project
        self._schema = schema
        self._options = options
        self._reporter = reporter
        self.pushed = 0
        self.with_predictions = 0
        self.refused: dict[str, str] = {}
        self.unfit: dict[str, str] = {}
        self.lanes: dict[str, str] = {}
        self.blind = 0

    def send(self, seqs: array[int], run: int | None) -> None:
        with self._reporter.progress("pushing", len(seqs)) as advance:
            # the next chunk is prepared while Label Studio works on this one
            for chunk in ahead(self._chunks(seqs, run)):
                self._send_chunk(chunk)
                advance(len(chunk))

    def _chunks(
        self, seqs: Sequence[int], run: int | None
    ) -> Iterator[list[tuple[Outgoing, Payload, int | None]]]:
        chunk: list[tuple[Outgoing, Payload, int | None]] = []
        size = 0
        step = self._options.chunk_tasks
        for start in range(0, len(seqs), step):
            with self._store.read() as unit:
                outgoing = unit.sync.outgoing(seqs[start : start + step], run)
            for item in outgoing:
                payload, shown = self._payload(item)
                length = len(payload.body)
                if chunk and (len(chunk) >= step or size + length > self._options.chunk_bytes):
                    yield chunk
                    chunk, size = [], 0
                chunk.append((item, payload, shown))
                size += length
        if chunk:
            yield chunk

    def _payload(self, item: Outgoing) -> tuple[Payload, int | None]:
        document = item.document
        task: dict[str, Any] = {"data": task_data(document.id, document.text)}
        shown = None
        if item.prediction is not None:
            reason = self._schema.misfit(item.prediction, document.text)
            if reason is not None:
                self.unfit[document.id] = reason
            elif not self._drawn_blind(document.id):
                task["predictions"] = [
                    prediction_payload(item.prediction, document.text, self._schema)
                ]
                shown = item.run_id
        return Payload(document.id, encode(task)), shown

    def _drawn_blind(self, document_id: str) -> bool:
        """Whether annotators must not see this document's prediction; drawn once, for good."""
        if document_id not in self.lanes and self._options.blind is not None:
            drawn = drawn_blind(document_id, self._options.blind, self._options.seed)
            self.lanes[document_id] = "blind" if drawn else "assisted"
        return self.lanes.get(document_id) == "blind"

    def _send_chunk(self, chunk: list[tuple[Outgoing, Payload, int | None]]) -> None:
        with self._store.write() as unit:
            number = unit.journal.open(
                self._project.id, "tasks", [(item.document.id, run) for item, _, run in chunk]
            )
            if self._options.blind is not None:
                names = [item.document.id for item, _, _ in chunk if item.document.id in self.lanes]
                unit.review.draw(
                    {name: self.lanes[name] == "blind" for name in names},
                    self._options.blind,
                    self._options.seed,
                )
            unit.commit()
        sent = self._outbox.send([payload for _, payload, _ in chunk])
        known_at = self._outbox.known_at()
        tasks = [
            PushedTask(
                item.document.id,
                sent.tasks[item.document.id],
                item.document.digest,
                # what a look found is not proven to show its prediction
                None if item.document.id in sent.found else run,
                known_at=known_at,
            )
            for item, _, run in chunk
            if item.document.id in sent.tasks
        ]
        with self._store.write() as unit:
            unit.sync.confirm(self._project.id, tasks)
            if sent.repeated:
                unit.journal.doubt(number)
            else:
                unit.journal.close(number)
            unit.commit()
        if sent.found:
            repair_predictions(
                self._store,
                self._outbox,
                self._project,
                {
                    sent.tasks[item.document.id]: run
                    for item, _, run in chunk
                    if item.document.id in sent.found
                },
            )
        self.pushed += len(tasks)
        self.blind += sum(1 for task in tasks if self.lanes.get(task.document_id) == "blind")
        self.with_predictions += sum(
            1 for item, _, run in chunk if run is not None and item.document.id in sent.tasks
        )
        for document_id, reason in sent.refused.items():
            self.refused[document_id] = reason
            self._reporter.warn(f"document {document_id!r} was refused: {reason}")

    def adopt(self) -> Recovery:
        """Recognise the tasks of a project made elsewhere by their document ids."""
        found = 0
        for page in self._outbox.tasks.light():
            with self._store.write() as unit:
                digests = unit.documents.digests_by_id(
                    [task.document_id for task in page if task.document_id]
                )
                taken = unit.sync.tasks_of(self._project.id, list(digests))
                ours = unit.sync.ours(self._project.id, [task.id for task in page])
                tasks = [
                    PushedTask(
                        task.document_id,
                        task.id,
                        digests[task.document_id],
                        None,
                        made_at=task.created_at or None,
                    )
                    for task in page
                    if task.document_id in digests
                    and task.document_id not in taken
                    and task.id not in ours
                ]
                unit.sync.confirm(self._project.id, tasks)
                unit.commit()
            repair_predictions(
                self._store,
                self._outbox,
                self._project,
                {task.task_id: None for task in tasks},
                quiet_seconds=0.0,  # nothing of ours is under way here
            )
            found += len(tasks)
        return Recovery(recovered=found)

    def refresh(self, current: tuple[int, Source] | None) -> tuple[int, int]:
        """Give untouched tasks the current run's predictions: ``(replaced, kept)``."""
        if current is None:
            return 0, 0
        run, model = current
        with self._store.read() as unit:
            total, kept = unit.sync.count_outdated(self._project.id, run)
        replaced = after = 0
        if not total:
            return 0, kept
        with self._reporter.progress("replacing predictions", total) as advance:
            while True:
                with self._store.read() as unit:
                    batch = unit.sync.outdated(self._project.id, run, after, PREDICTIONS_PER_CALL)
                if not batch:
                    return replaced, kept
                after = batch[-1][0]
                begun = self._outbox.begun([task_id for task_id, _ in batch], dict(batch))
                kept += len(begun)
                replaced += self._replace([row for row in batch if row[0] not in begun], run, model)
                advance(len(batch))

    def _replace(self, batch: list[tuple[int, str]], run: int, model: Source) -> int:
        by_document = {document_id: task_id for task_id, document_id in batch}
        payloads: dict[int, dict[str, Any]] = {}
        with self._store.read() as unit:
            texts = {d.id: d.text for d in unit.documents.many(list(by_document))}
            for prediction in unit.predictions.of(model, list(by_document)):
                text = texts[prediction.document_id]
                reason = self._schema.misfit(prediction, text)
                if reason is not None:
                    self.unfit[prediction.document_id] = reason
                    continue
                payloads[by_document[prediction.document_id]] = prediction_payload(
                    prediction, text, self._schema
                )
        if not payloads:
            return 0
        wanted = dict.fromkeys(payloads, run)
        with self._store.write() as unit:
            number = unit.journal.open(self._project.id, "predictions", list(wanted.items()))
            unit.sync.shows(self._project.id, payloads, None)
            unit.commit()
        try:
            created = self._outbox.replace_predictions(payloads)
        except RemoteError as error:
            self._reporter.warn(f"{error}; looking at what arrived")
            shown = repair_predictions(self._store, self._outbox, self._project, wanted)
            if shown < len(payloads):
                raise
            created = shown
        if created != len(payloads):
            shown = repair_predictions(self._store, self._outbox, self._project, wanted)
            self._reporter.warn(
                f"Label Studio dropped {len(payloads) - shown} of {len(payloads)} predictions"
            )
        else:
            shown = created
            with self._store.write() as unit:
                unit.sync.shows(self._project.id, payloads, run)
                unit.commit()
        with self._store.write() as unit:
            unit.journal.close(number)
            unit.commit()
        return shown


def _dry_run(
    store: Store,
    client: LabelStudio,
    schema: LabelSchema,
    options: PushOptions,
    reporter: Reporter,
) -> PushResult:
    """Exact counts, or the error that the push would end with; nothing written here or there."""
    project, remote = projects_flow.foreseen(
        store,
        client,
        schema,
        options.title,
        overlap=options.overlap,
        adopt=options.adopt,
        recreate=options.recreate,
    )
    number = -1 if project is None else project.id
    with store.read() as unit:
        current = unit.sync.current_run()
        run = None if current is None else current[0]
        planned = _planned(unit, number, current, options, reporter)
        chosen = planned.seqs
        fit, unfit, blind = 0, {}, 0
        lanes = unit.review.lanes()
        for start in range(0, len(chosen), options.chunk_tasks):
            for item in unit.sync.outgoing(chosen[start : start + options.chunk_tasks], run):
                if item.prediction is None:
                    continue
                reason = schema.misfit(item.prediction, item.document.text)
                if reason is not None:
                    unfit[item.document.id] = reason
                    continue
                lane = lanes.get(item.document.id)
                if lane is None and options.blind is not None:
                    drawn = drawn_blind(item.document.id, options.blind, options.seed)
                    lane = "blind" if drawn else "assisted"
                blind += lane == "blind"
                fit += lane != "blind"
        free, kept = (0, 0) if run is None else unit.sync.count_outdated(number, run)
    begun = 0
    if project is not None and run is not None and free:
        outbox, after = Outbox(client, project.project_id), 0
        while True:
            with store.read() as unit:
                batch = unit.sync.outdated(number, run, after, PREDICTIONS_PER_CALL)
            if not batch:
                break
            after = batch[-1][0]
            begun += len(outbox.begun([task_id for task_id, _ in batch], dict(batch)))
    return PushResult(
        project=options.title,
        project_id=None if remote is None else remote.id,
        url=client.url,
        created=remote is None,
        pushed=len(chosen),
        with_predictions=fit,
        waiting=planned.waiting - len(chosen),
        replaced=free - begun,
        kept=kept + begun,
        model_version=None if current is None else model_version(current[1]),
        blind=blind,
        dry_run=True,
        unfit=unfit,
        chosen=planned.chosen,
    )
