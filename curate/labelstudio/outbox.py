"""Sending to Label Studio so that nothing is there twice: look before anything is repeated.

Nothing in Label Studio is idempotent, and a request that failed may have been carried out, or
may still be: the server goes on with an import whose client is gone.  So after every failure
whose outcome is unknown we look for the tasks by our document ids until nothing changes any
more, and send only what is not there.  What was repeated all the same stays in doubt, and is
looked at again later (:func:`doubles`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from curate.errors import RejectedError, RemoteError, ServerFaultError, UnreachableError
from curate.labelstudio.client import NotSentError, outcome_unknown
from curate.labelstudio.faults import BusyError
from curate.labelstudio.tasks import Tasks, drafted, id_in, stamp

if TYPE_CHECKING:
    from curate.labelstudio.client import LabelStudio

ATTEMPTS = 6
QUIET_SECONDS = 4.0
"""How long the server must show nothing new before an unfinished request is taken for dead."""
HOPELESS = 8
"""So many documents refused one by one, and none taken: the fault is not theirs."""
_POLL_SECONDS = 0.5
_TOO_LARGE = 413
IMPORT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Payload:
    """A task on its way: our document id and the JSON to send, encoded."""

    document_id: str
    body: bytes


@dataclass(slots=True)
class Sent:
    """What became of a chunk.

    ``tasks``: document id → task id.  ``found``: those of them that a look found, whose
    predictions are not proven.  ``refused``: document id → the server's reason.  ``repeated``:
    something was sent a second time after an unknown outcome.
    """

    tasks: dict[str, int] = field(default_factory=dict)
    found: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    repeated: bool = False


class Outbox:
    """Writes to one project."""

    def __init__(
        self,
        client: LabelStudio,
        project_id: int,
        *,
        note: Callable[[str], None] = lambda message: None,
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        self._client = client
        self._project_id = project_id
        self._note = note
        self._sleep = client.sleep
        self._quiet = quiet_seconds
        self._taken = False
        self._refused = 0
        self.tasks = Tasks(client, project_id)

    def known_at(self) -> str | None:
        """The server's time at its last answer: what was there then was made no later."""
        try:
            return stamp(parsedate_to_datetime(self._client.server_date))
        except (ValueError, TypeError):
            return None

    # -- tasks

    def send(self, payloads: Sequence[Payload]) -> Sent:
        """Import these as tasks, each once."""
        sent = Sent()
        self._send(list(payloads), sent)
        return sent

    def _send(self, payloads: list[Payload], sent: Sent) -> None:
        attempt = 0
        while payloads:
            attempt += 1
            try:
                ids = self._client.import_encoded(self._project_id, [p.body for p in payloads])
                sent.tasks.update(
                    (payload.document_id, task_id)
                    for payload, task_id in zip(payloads, ids, strict=True)
                )
                self._taken = True
                return
            except RemoteError as error:
                if outcome_unknown(error):
                    payloads = self._rest(payloads, error, sent)
                    if not payloads:
                        return
                if _splits(error, attempt):
                    self._halves(payloads, error, sent)
                    return
                if attempt >= ATTEMPTS or not _passing(error):
                    raise
                sent.repeated = sent.repeated or outcome_unknown(error)
                self._wait(error, attempt, "push")

    def _halves(self, payloads: list[Payload], error: RemoteError, sent: Sent) -> None:
        if len(payloads) == 1:
            sent.refused[payloads[0].document_id] = str(error)
            self._refused += 1
            if not self._taken and self._refused >= HOPELESS:
                # not one document is at fault, but the server or what we send
                raise error
            return
        middle = len(payloads) // 2
        self._send(payloads[:middle], sent)
        self._send(payloads[middle:], sent)

    def _rest(self, payloads: list[Payload], error: RemoteError, sent: Sent) -> list[Payload]:
        ids = [payload.document_id for payload in payloads]
        # a 500 is the server's last word; a broken connection may leave it at work
        final = isinstance(error, ServerFaultError) and error.status == 500
        there = self._patiently(ids, 0.0 if final else self._quiet)
        for document_id, task_ids in there.items():
            sent.tasks[document_id] = task_ids[0]
            sent.found.add(document_id)
        if there:
            self._note(f"{len(there)} of {len(ids)} tasks had arrived all the same")
        return [payload for payload in payloads if payload.document_id not in there]

    def _patiently(self, ids: list[str], quiet_seconds: float) -> dict[str, list[int]]:
        """Look, also while the server is being restarted."""
        for attempt in range(1, ATTEMPTS):
            try:
                return self.look(ids, quiet_seconds)
            except (UnreachableError, ServerFaultError) as error:
                self._wait(error, attempt, "the look")
        return self.look(ids, quiet_seconds)

    def look(
        self, document_ids: Sequence[str], quiet_seconds: float | None = None
    ) -> dict[str, list[int]]:
        """Document id → its tasks, once all are there or nothing new has come for a while."""
        patience = self._quiet if quiet_seconds is None else quiet_seconds
        found: dict[str, list[int]] = {}
        since = time.monotonic()
        while True:
            seen: dict[str, list[int]] = {}
            for task in self.tasks.find(document_ids):
                seen.setdefault(str(task.document_id), []).append(task.id)
            if seen != found:
                found, since = seen, time.monotonic()
            if len(found) == len(set(document_ids)) or time.monotonic() - since >= patience:
                return {key: sorted(ids) for key, ids in found.items()}
            self._sleep(_POLL_SECONDS)

    def remove_doubles(
        self, doubles: Mapping[str, Sequence[int]]
    ) -> tuple[dict[str, int], list[int]]:
        """Of each document's tasks delete all but one, and only such as nobody has begun.

        ``doubles``: document id → tasks that we made of it, the one known to us first.  Returns
        which task is kept for each document, and the ids deleted.
        """
        begun = self.begun(task_id for tasks in doubles.values() for task_id in tasks)
        keep = {
            document_id: next((task for task in tasks if task in begun), tasks[0])
            for document_id, tasks in doubles.items()
        }
        doomed = sorted(
            task
            for document_id, tasks in doubles.items()
            for task in tasks
            if task not in begun and task != keep[document_id]
        )
        self.delete_tasks(doomed)
        return keep, doomed

    def delete_tasks(self, task_ids: Sequence[int]) -> None:
        """Delete these tasks; one that is gone already is no matter."""
        for start in range(0, len(task_ids), 1000):
            self._action("delete_tasks", task_ids[start : start + 1000])

    # -- predictions

    def begun(
        self, task_ids: Iterable[int], documents: Mapping[int, str] | None = None
    ) -> set[int]:
        """Those of the tasks that somebody has begun: submitted, skipped, or a draft.

        With ``documents`` (task id → document id) also those whose data name another document.
        """
        found: set[int] = set()
        ids = sorted(task_ids)
        for start in range(0, len(ids), 200):
            chosen = id_in(ids[start : start + 200])
            for page in self.tasks.light(chosen):
                found.update(t.id for t in page if t.total_annotations or t.cancelled_annotations)
                if documents is not None:
                    found.update(t.id for t in page if t.document_id != documents[t.id])
            for page in self.tasks.light(chosen, drafted()):
                found.update(task.id for task in page)
        return found

    def replace_predictions(self, predictions: Mapping[int, Mapping[str, Any]]) -> int:
        """Give each task (by id) this prediction in place of any it has; how many were taken.

        Not repeated here: after a failure ask :meth:`versions`.
        """
        ids = sorted(predictions)
        self._action("delete_tasks_predictions", ids)
        answer = self._client.post(
            f"/api/projects/{self._project_id}/import/predictions",
            json=[{"task": task_id, **predictions[task_id]} for task_id in ids],
            timeout=IMPORT_SECONDS,
        )
        created = answer.get("created") if isinstance(answer, dict) else None
        if type(created) is not int:
            raise ServerFaultError("Label Studio did not say how many predictions it took")
        return created

    def versions(
        self, task_ids: Sequence[int], quiet_seconds: float | None = None
    ) -> dict[int, list[str | None]]:
        """Task id → the model versions of its predictions, once nothing changes any more."""
        patience = self._quiet if quiet_seconds is None else quiet_seconds
        found = self.tasks.predictions(task_ids)
        since = time.monotonic()
        while time.monotonic() - since < patience:
            self._sleep(_POLL_SECONDS)
            seen = self.tasks.predictions(task_ids)
            if seen != found:
                found, since = seen, time.monotonic()
        return found

    def _action(self, name: str, task_ids: Sequence[int]) -> None:
        self._client.post(
            "/api/dm/actions",
            params={"id": name, "project": self._project_id},
            json={
                "ordering": ["tasks:id"],
                "selectedItems": {"all": False, "included": list(task_ids)},
                "filters": {"conjunction": "and", "items": []},
            },
            timeout=IMPORT_SECONDS,
        )

    def _wait(self, error: RemoteError, attempt: int, what: str) -> None:
        seconds = min(2.0 ** (attempt - 1), 15.0) * random.uniform(0.75, 1.25)
        if isinstance(error, BusyError) and error.retry_after.strip().isdigit():
            seconds = min(float(error.retry_after), 60.0)
        self._note(f"{error}; {what} tries again in {seconds:.0f} s ({attempt} of {ATTEMPTS})")
        self._sleep(seconds)


def _splits(error: RemoteError, attempt: int) -> bool:
    """Whether one item of the chunk may be at fault: then the others must not suffer."""
    if isinstance(error, RejectedError):
        return error.status in (400, _TOO_LARGE, 422)
    return isinstance(error, ServerFaultError) and error.status == 500 and attempt >= 2


def _passing(error: RemoteError) -> bool:
    """Whether trying again may help."""
    return isinstance(error, NotSentError) or (
        not isinstance(error, RejectedError)
        and (outcome_unknown(error) or isinstance(error, BusyError | ServerFaultError))
    )
