"""A task stays that of the document we pushed, whatever happens to it behind our back."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from curate.flows.pull import PullOptions, replay
from curate.flows.status import status
from curate.labelstudio.codec import task_data
from curate.labelstudio.tasks import Tasks, stamp
from curate.model import Document
from curate.store.tables import documents
from tests.integration.sync_fixtures import make_world, world
from tests.integration.world import BETTER, SCHEMA, MakeWorld, World, document, prediction

__all__ = ["make_world", "world"]
pytestmark = pytest.mark.studio


def patch(world: World, task: dict[str, Any], **data: Any) -> None:
    """Change the data of a task; None removes a key."""
    changed = {k: v for k, v in {**task["data"], **data}.items() if v is not None}
    world.real.patch(f"/api/tasks/{task['id']}/", json={"data": changed})


def reasons(world: World) -> list[str]:
    with world.store.read() as unit:
        return [item.reason for item in unit.annotations.quarantined()]


def import_foreign(world: World, text: str = "x y z") -> int:
    (number,) = world.real.import_tasks(world.project_id, [{"data": {"text": text}}])
    return int(number)


@pytest.mark.parametrize("begun", [True, False], ids=["annotated", "untouched"])
@pytest.mark.parametrize("pulled", [True, False], ids=["seen before", "never seen"])
@pytest.mark.parametrize("full", [True, False], ids=["full", "incremental"])
def test_an_edited_curate_id_is_a_finding_and_nothing_is_pushed_again(
    world: World, begun: bool, pulled: bool, full: bool
) -> None:
    """Without our id, or with another document's: edited, no more; mended, all is as before."""
    world.push()
    first, second, *_ = world.tasks()
    if begun:
        for task in (first, second):
            world.annotate(task)
    if pulled:
        world.pull()
    patch(world, first, curate_id=None)
    patch(world, second, curate_id="doc 007")
    assert world.pull(full=full).quarantined == 2 * begun
    here = status(world.store, world.options.title)
    assert (here.tasks_edited, here.tasks_foreign, here.tasks_double) == (2, 0, 0)
    assert (here.pushed, here.waiting, here.changed, here.tasks_deleted) == (10, 0, 0, 0)
    if begun:
        gone, other = reasons(world)
        assert f"the curate_id of task {first['id']} was edited" in gone
        assert "'doc 000', and its curate_id is gone" in gone
        assert "'doc 001', and its curate_id says 'doc 007'" in other
    assert world.push(dry_run=True).pushed == 0
    assert world.push().pushed == 0
    for task in (first, second):
        patch(world, task)
    assert world.pull(full=full).stored == 2 * begun
    here = status(world.store, world.options.title)
    assert (here.tasks_edited, here.tasks_double, here.quarantined) == (0, 0, 0)
    world.assert_each_once(10)


def test_what_was_edited_is_said(world: World) -> None:
    """The text, the curate_id, or both; a document that changed on our side is no edit."""
    world.push()
    tasks = world.tasks()
    for task in tasks[:3]:
        world.annotate(task)
    patch(world, tasks[0], text="other")
    patch(world, tasks[1], text="other", curate_id="nobody")
    with world.store.write() as unit:
        mine = Document.of("Awa was here, and in Tripoli.", id="doc 002")
        unit.connection.execute(
            update(documents)
            .where(documents.c.id == mine.id)
            .values(text=mine.text, digest=mine.digest)
        )
        unit.commit()
    world.pull()
    here = status(world.store, world.options.title)
    assert (here.tasks_edited, here.waiting) == (2, 0)
    text, both, ours = reasons(world)
    assert text.startswith(f"the text of task {tasks[0]['id']} was edited")
    assert both.startswith(f"the text and the curate_id of task {tasks[1]['id']} were edited")
    assert here.changed == 1
    assert "has another text since" in ours


def test_a_task_that_is_no_longer_ours_is_given_no_new_predictions(world: World) -> None:
    """Even before any pull has seen that its number belongs to another task now."""
    world.push()
    task = max(world.tasks(), key=lambda task: int(task["id"]))
    world.real.delete(f"/api/tasks/{task['id']}/")
    number = import_foreign(world)
    with world.store.write() as unit:
        unit.predictions.put([prediction(document(n), BETTER) for n in range(10)])
        unit.commit()
    assert world.push(dry_run=True).replaced == 9
    assert world.push().replaced == 9
    assert world.real.get(f"/api/tasks/{number}/")["predictions"] == []


def test_an_edited_task_is_given_no_new_predictions(world: World) -> None:
    """Offsets into another text mean nothing there either."""
    world.push()
    task = world.tasks()[0]
    patch(world, task, text="other")
    world.pull()
    with world.store.write() as unit:
        unit.predictions.put([prediction(document(n), BETTER) for n in range(10)])
        unit.commit()
    assert world.push().replaced == 9
    shown = world.real.get(f"/api/tasks/{task['id']}/")["predictions"]
    assert [one["model_version"] for one in shown] == ["model@1#aa"]


@pytest.mark.parametrize("pulled", [True, False], ids=["seen before", "never seen"])
@pytest.mark.parametrize("full", [True, False], ids=["full", "incremental"])
def test_a_number_given_to_another_task_is_a_deletion(
    world: World, pulled: bool, full: bool
) -> None:
    """Ours is deleted, theirs foreign; our document is not pushed again, here or by a replay."""
    world.push()
    task = max(world.tasks(), key=lambda task: int(task["id"]))
    if pulled:
        world.annotate(task)
        assert world.pull().stored == 1
    else:
        time.sleep(2.5)  # the server tells its time in whole seconds
        if not full:
            with world.store.write() as unit:
                (here,) = unit.projects.all()
                began = Tasks(world.real, world.project_id).server_now() - timedelta(seconds=1)
                unit.projects.set_bookmark(here.id, stamp(began), 0.0)
                unit.commit()
    world.real.delete(f"/api/tasks/{task['id']}/")
    number = import_foreign(world)
    if number != task["id"]:
        pytest.skip("this Label Studio gives no number twice")
    result = world.pull(full=full)
    assert (result.tasks_deleted, result.tasks_missing, result.deleted) == (1, 0, int(pulled))
    found = status(world.store, world.options.title)
    assert (found.tasks_deleted, found.tasks_foreign, found.tasks_edited) == (1, 1, 0)
    assert (found.pushed, found.waiting, found.annotations, found.changed) == (10, 0, 0, 0)
    options = PullOptions(world.options.title, replay=True)
    assert replay(world.store, SCHEMA, options).stored == 0
    assert world.push().pushed == 0
    world.real.delete(f"/api/tasks/{number}/")
    again = import_foreign(world, "something else")
    world.real.post(f"/api/tasks/{again}/annotations/", json={"result": []})
    assert world.pull(full=True).quarantined == 1
    assert status(world.store, world.options.title).tasks_deleted == 1
    assert len(world.tasks()) == 10


def test_a_number_given_to_a_new_task_of_ours_is_a_deletion(make_world: MakeWorld) -> None:
    """The push that gets the deleted task's number forgets neither document."""
    world = make_world(3)
    world.push()
    task = max(world.tasks(), key=lambda task: int(task["id"]))
    world.annotate(task)
    world.pull()
    world.real.delete(f"/api/tasks/{task['id']}/")
    world.add([document(8)])
    assert world.push().pushed == 1
    assert world.push().pushed == 0
    world.pull(full=True)
    here = status(world.store, world.options.title)
    assert (here.pushed, here.waiting, here.tasks_deleted, here.annotations) == (4, 0, 1, 0)
    options = PullOptions(world.options.title, replay=True)
    assert replay(world.store, SCHEMA, options).received == 0
    assert world.push().pushed == 0


def test_the_same_document_imported_anew_is_no_deletion(world: World) -> None:
    """Someone imports what we pushed under the number it had: it is our document's task."""
    world.push()
    task = max(world.tasks(), key=lambda task: int(task["id"]))
    world.pull()
    world.real.delete(f"/api/tasks/{task['id']}/")
    data = task_data(task["data"]["curate_id"], task["data"]["text"])
    world.real.import_tasks(world.project_id, [{"data": data}])
    world.pull(full=True)
    here = status(world.store, world.options.title)
    assert (here.waiting, here.tasks_double, here.tasks_foreign) == (0, 0, 0)
    assert world.push().pushed == 0
