"""After a push that did not end: find out what arrived, and take away what arrived twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from curate.flows.reporter import Reporter
from curate.labelstudio.codec import model_version
from curate.labelstudio.outbox import Outbox
from curate.store import Chunk, PushedTask, Store, StudioProject, UnitOfWork

DOUBT_SECONDS = 15 * 60.0
"""How long a request that was given up may still be carried out; Label Studio's slowest import
of a chunk takes a minute."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """``recovered`` tasks were found to be there; ``doubles`` stood twice and were removed."""

    recovered: int = 0
    doubles: int = 0

    def __add__(self, other: Recovery) -> Recovery:
        return Recovery(self.recovered + other.recovered, self.doubles + other.doubles)


def recover(store: Store, outbox: Outbox, project: StudioProject, reporter: Reporter) -> Recovery:
    """Settle every chunk of the journal that was sent and never confirmed.

    What is found is confirmed; what is not found after the server has been quiet for a while is
    pushed again by the caller, and the chunk stays in doubt, since the lost request may still
    arrive (:func:`remove_doubles`).
    """
    total = Recovery()
    with store.read() as unit:
        chunks = unit.journal.chunks(project.id)
    for chunk in chunks:
        if not chunk.doubtful:
            reporter.step("an earlier push did not end; looking at what arrived")
        if chunk.kind == "predictions":
            _recover_predictions(store, outbox, project, chunk)
        elif not chunk.doubtful:
            total += _recover_tasks(store, outbox, project, chunk)
    return total


def _recover_predictions(
    store: Store, outbox: Outbox, project: StudioProject, chunk: Chunk
) -> None:
    """What each task shows now is written down; what it shows twice, the next refresh mends."""
    wanted = {int(task_id): run for task_id, run in chunk.items}
    repair_predictions(
        store, outbox, project, wanted, quiet_seconds=0.0 if chunk.doubtful else None
    )
    with store.write() as unit:
        if chunk.doubtful and _age_seconds(chunk.sent_at) > DOUBT_SECONDS:
            unit.journal.close(chunk.id)
        else:
            unit.journal.doubt(chunk.id)
        unit.commit()


def _recover_tasks(store: Store, outbox: Outbox, project: StudioProject, chunk: Chunk) -> Recovery:
    runs = {str(document_id): run for document_id, run in chunk.items}
    there = outbox.look(list(runs))
    with store.write() as unit:
        digests = unit.documents.digests_by_id(list(runs))
        known = unit.sync.tasks_of(project.id, list(runs))
        there = _unclaimed(unit, project, there)
        fresh = {
            document_id: task_ids[0]
            for document_id, task_ids in there.items()
            if document_id not in known and document_id in digests
        }
        unit.sync.confirm(
            project.id,
            [
                PushedTask(
                    document_id, task_id, digests[document_id], None, known_at=outbox.known_at()
                )
                for document_id, task_id in fresh.items()
            ],
        )
        if len(there) == len(runs):
            unit.journal.close(chunk.id)
        else:
            unit.journal.doubt(chunk.id)
        unit.commit()
    repair_predictions(
        store, outbox, project, {task_id: runs[name] for name, task_id in fresh.items()}
    )
    return Recovery(recovered=len(fresh))


def repair_predictions(
    store: Store,
    outbox: Outbox,
    project: StudioProject,
    wanted: Mapping[int, int | None],
    quiet_seconds: float | None = None,
) -> int:
    """Write down which run each of these tasks really shows; how many show the one wanted.

    A task with none, or more than one, counts as showing none: the next refresh mends it.
    """
    if not wanted:
        return 0
    with store.read() as unit:
        runs = {model_version(model): number for number, model in unit.sync.models().items()}
    shown: dict[int | None, list[int]] = {}
    for task_id, versions in outbox.versions(sorted(wanted), quiet_seconds).items():
        run = runs.get(versions[0] or "") if len(versions) == 1 else None
        shown.setdefault(run, []).append(task_id)
    with store.write() as unit:
        for run, task_ids in shown.items():
            unit.sync.shows(project.id, task_ids, run)
        unit.commit()
    return sum(
        1
        for run, task_ids in shown.items()
        for task_id in task_ids
        if run is not None and wanted[task_id] == run
    )


def remove_doubles(store: Store, outbox: Outbox, project: StudioProject) -> Recovery:
    """Look again at every chunk that was repeated; doubles that nobody has begun are removed.

    A chunk stays in doubt, and is looked at by every push, until its first attempt can no longer
    be under way.
    """
    with store.read() as unit:
        chunks = [
            chunk
            for chunk in unit.journal.chunks(project.id)
            if chunk.doubtful and chunk.kind == "tasks"
        ]
    removed = 0
    for chunk in chunks:
        names = [str(document_id) for document_id, _ in chunk.items]
        there = outbox.look(names, quiet_seconds=0.0)
        with store.read() as unit:
            ours = unit.sync.tasks_of(project.id, names)
            there = _unclaimed(unit, project, there)
        doubles = {
            name: [ours[name][0], *(task for task in tasks if task != ours[name][0])]
            for name, tasks in there.items()
            if len(tasks) > 1 and name in ours and ours[name][0] in tasks
        }
        keep, gone = outbox.remove_doubles(doubles)
        moved = {name: task for name, task in keep.items() if task != ours[name][0]}
        with store.write() as unit:
            digests = unit.documents.digests_by_id(list(moved))
            unit.sync.forget_tasks(project.id, gone)
            unit.sync.confirm(
                project.id,
                [PushedTask(name, task, digests[name], None) for name, task in moved.items()],
            )
            if _age_seconds(chunk.sent_at) > DOUBT_SECONDS:
                unit.journal.close(chunk.id)
            unit.commit()
        removed += len(gone)
    return Recovery(doubles=removed)


def _unclaimed(
    unit: UnitOfWork, project: StudioProject, there: Mapping[str, list[int]]
) -> dict[str, list[int]]:
    """Without tasks that we pushed for another document: someone has put this one's id there."""
    ours = unit.sync.ours(project.id, [task_id for ids in there.values() for task_id in ids])
    found = {
        name: [key for key in ids if key not in ours or ours[key].document_id == name]
        for name, ids in there.items()
    }
    return {name: ids for name, ids in found.items() if ids}


def _age_seconds(sent_at: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(sent_at)).total_seconds()
