"""What `curate demo` needs beside the commands themselves: people who annotate by a script."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from curate.errors import DataError, RejectedError
from curate.flows.project import required
from curate.flows.reporter import Reporter
from curate.interchange import read
from curate.labelstudio.codec import encode, reason_item
from curate.schema import LabelSchema
from curate.store import Store

if TYPE_CHECKING:
    from curate.labelstudio.client import LabelStudio

_CONFLICT = 409


@dataclass(frozen=True, slots=True)
class Person:
    """A user of Label Studio and the file of what they annotated."""

    email: str
    password: str
    recorded: Path


def enter_recorded(
    person: Person,
    store: Store,
    client: LabelStudio,
    schema: LabelSchema,
    title: str,
    reporter: Reporter,
) -> int:
    """Submit the recorded annotations as this person, through Label Studio's API.

    Each is submitted once, however often this runs: the annotation's ``unique_id`` is derived
    from server, task and person, and Label Studio refuses a second one.  Returns how many are new.
    Raises DataError where a recorded document has no task.
    """
    from curate.labelstudio.client import LabelStudio as Client
    from curate.labelstudio.people import token_of
    from curate.labelstudio.tasks import Tasks

    project, _ = required(store, client, title)
    records = list(read(person.recorded, schema=schema))
    with store.read() as unit:
        tasks = unit.sync.tasks_of(project.id, [record.document.id for record in records])
    new = 0
    shown: dict[int, list[dict[str, Any]]] = {}
    holders: dict[int, set[int]] = {}
    for page in Tasks(client, project.id).heavy_by_id(ids[0] for ids in tasks.values() if ids):
        shown |= {int(row["id"]): row["predictions"] for row in page}
        holders |= {int(row["id"]): set(map(_author, row["annotations"])) for row in page}
    token = token_of(client.url, person.email, person.password)
    with (
        Client(client.url, token) as own,
        reporter.progress(f"{person.email} annotates", len(records)) as advance,
    ):
        me = own.whoami().id
        for record in records:
            if not tasks.get(record.document.id):
                raise DataError(
                    f"document {record.document.id!r} has no task; the texts in "
                    f"{person.recorded.name} are not those that were ingested",
                    path=person.recorded,
                    line=record.line,
                )
            task_id = tasks[record.document.id][0]
            unique = f"{client.url}/{project.made_at}/{task_id}/{person.email}"
            body: dict[str, Any] = {
                "result": encode(record.annotation, record.document.text, schema),
                "parent_prediction": next((p["id"] for p in shown.get(task_id, ())), None),
                "unique_id": str(uuid5(NAMESPACE_URL, unique)),
            }
            if me not in holders.get(task_id, ()):
                try:
                    own.post(f"/api/tasks/{task_id}/annotations/", json=body)
                    new += 1
                except RejectedError as error:
                    if error.status != _CONFLICT:
                        raise
            advance()
    return new


def _author(annotation: dict[str, Any]) -> int:
    """The number of the user whose annotation this is; 0 for nobody."""
    who = annotation.get("completed_by")
    return int((who.get("id") if isinstance(who, dict) else who) or 0)


def enter_decisions(
    recorded: Path,
    store: Store,
    client: LabelStudio,
    schema: LabelSchema,
    project: str,
    reporter: Reporter,
) -> int:
    """Submit a curator's recorded decisions to the open review tasks, each with its reason.

    ``recorded`` is a file of `curate gold decisions export`.  Each is submitted once, however
    often this runs.  Returns how many are new.
    """
    from curate.flows.gold_decisions import read_decisions
    from curate.flows.review_project import PURPOSE, review_title

    review, _ = required(store, client, review_title(project), PURPOSE)
    with store.read() as unit:
        queued = [item.document_id for item in unit.review.items("open")]
        tasks = unit.sync.tasks_of(review.id, queued)
    waiting = [each for each in read_decisions(recorded, schema) if tasks.get(each.document.id)]
    new = 0
    with reporter.progress("the curator decides", len(waiting)) as advance:
        for each in waiting:
            task_id = tasks[each.document.id][0]
            result = encode(each.decision.annotation, each.document.text, schema)
            why = (each.decision.provenance.get("review") or {}).get("why")
            if why:
                result.append(reason_item(why))
            unique = f"{client.url}/{review.made_at}/{task_id}/curator"
            body = {"result": result, "unique_id": str(uuid5(NAMESPACE_URL, unique))}
            try:
                client.post(f"/api/tasks/{task_id}/annotations/", json=body)
                new += 1
            except RejectedError as error:
                if error.status != _CONFLICT:
                    raise
            advance()
    return new
