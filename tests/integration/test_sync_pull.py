"""Everything annotators did comes back, once, and is counted."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from curate.flows.pull import PullOptions, replay
from curate.flows.status import fate, status
from curate.labelstudio.tasks import Tasks
from curate.model import Annotation, Document, Entity, Relation
from curate.schema import EntityType, LabelSchema
from curate.store import StoredAnnotation
from tests.integration.sync_fixtures import make_world, world
from tests.integration.world import MODEL, SCHEMA, MakeWorld, World, document, prediction

__all__ = ["make_world", "world"]
pytestmark = pytest.mark.studio


def current(world: World) -> list[StoredAnnotation]:
    with world.store.read() as unit:
        return list(unit.annotations.current())


def user(world: World) -> int:
    name = f"{uuid.uuid4().hex[:10]}@example.org"
    made = world.real.post("/api/users/", json={"email": name, "username": name, "first_name": "x"})
    return int(made["id"])


def region(name: str, start: int, end: int, *labels: str) -> dict[str, Any]:
    return {
        "id": name,
        "type": "labels",
        "from_name": "label",
        "to_name": "text",
        "value": {"start": start, "end": end, "text": "", "labels": list(labels)},
    }


def relation(head: str, tail: str, *labels: str) -> dict[str, Any]:
    return {
        "type": "relation",
        "from_id": head,
        "to_id": tail,
        "direction": "right",
        "labels": list(labels),
    }


HOSTILE = (
    "👩‍👩‍👧 et 🇩🇿🇲🇱 : Awa à Tripoli 👍🏽",
    "ligne 1\r\nligne 2\rligne 3\n\tfin ",
    " « Al-Wattiya » : 12 %  ",
    "a\u2028b\u2029c\u0085d\ufeffe\u200bf\u00adg",
    "<b>&amp;</b> \"x\" 'y' \\n \\\\ {{a}} $text",
    "   espaces    multiples   ",
    "q\u0323\u0307 z\u0335 ক্ষ نص عربي 中文",
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_pushed_and_accepted_comes_back_equal(make_world: MakeWorld, text: str) -> None:
    """Every span of a hostile text, overlaps, relations and canonical names included."""
    world = make_world()
    item = Document.of(text, id=f"hostile \"' {len(text)} é/\\&=%")
    half = len(item.text) // 2
    spans = {(0, 1), (0, half), (half - 1, half + 1), (half, len(item.text)), (0, len(item.text))}
    entities = [
        Entity(start, end, label, canonical="Zoé «x» 👍" if label == "PER" else None)
        for start, end in spans
        for label in SCHEMA.entity_labels
    ]
    links = [
        Relation(a, b, "visits") for a in entities for b in entities if (a.label, b.label) == VISIT
    ]
    links += [Relation(entities[0], entities[2], "same_as")]
    said = Annotation.of(item.id, entities, links, MODEL)
    world.add([item], None)
    with world.store.write() as unit:
        unit.predictions.put([said])
        unit.commit()
    world.push()
    (task,) = world.tasks()
    assert task["data"]["text"] == item.text
    world.annotate(task)
    assert world.pull().stored == 1
    (back,) = current(world)
    assert (back.annotation.entities, back.annotation.relations) == (said.entities, said.relations)
    assert {e.canonical for e in back.annotation.entities} == {None, "Zoé «x» 👍"}
    assert back.parent == MODEL


VISIT = ("PER", "LOC")


def test_all_of_it_comes_back(world: World) -> None:
    """Every annotator, skip, ground truth, lead time, and the prediction each started from."""
    world.push()
    tasks = world.tasks()
    other = user(world)
    world.annotate(tasks[0], lead_time=3.5)
    world.annotate(tasks[0], [region("a", 0, 3, "PER")], completed_by=other, ground_truth=True)
    world.annotate(tasks[1], [], was_cancelled=True)
    world.annotate(tasks[2], [], parent_prediction=None)
    result = world.pull()
    assert (result.received, result.stored, result.tasks) == (4, 4, 3)
    found = current(world)
    assert [f.document_id for f in found] == ["doc 000", "doc 000", "doc 001", "doc 002"]
    by_model, by_hand, skipped, empty = found
    assert by_model.annotation.source != by_hand.annotation.source
    assert by_model.annotation.source.name.startswith("annotator-")
    assert (by_model.lead_time, by_model.parent, by_hand.ground_truth) == (3.5, MODEL, True)
    assert by_model.annotation.entities == prediction(document(0)).entities
    assert all(entity.score is None for entity in by_model.annotation.entities)
    assert skipped.skipped
    assert not skipped.annotation.entities
    assert empty.parent is None
    assert not empty.skipped


def test_a_second_pull_changes_nothing(world: World) -> None:
    """Nothing changed: nothing is stored; a full pull finds everything unchanged."""
    world.push()
    for task in world.tasks()[:4]:
        world.annotate(task)
    world.pull()
    before = current(world)
    again = world.pull()
    assert (again.stored, again.quarantined, again.deleted) == (0, 0, 0)
    full = world.pull(full=True)
    assert (full.received, full.unchanged, full.deleted) == (4, 4, 0)
    assert current(world) == before


def test_changes_come_back_incrementally(world: World) -> None:
    """An edit, a skip, an unskip, a deletion and a new annotation: each is seen, alone."""
    world.push()
    tasks = world.tasks()
    made = [world.annotate(task) for task in tasks[:4]]
    world.pull()
    real = world.real
    real.patch(f"/api/annotations/{made[0]['id']}/", json={"result": [region("n", 0, 4, "LOC")]})
    real.patch(f"/api/annotations/{made[1]['id']}/", json={"was_cancelled": True})
    real.delete(f"/api/annotations/{made[2]['id']}/")
    world.annotate(tasks[8])
    result = world.pull()
    assert (result.stored, result.deleted, result.swept) == (3, 1, False)
    found = {item.document_id: item for item in current(world)}
    assert [e.key for e in found["doc 000"].annotation.entities] == [(0, 4, "LOC")]
    assert found["doc 001"].skipped
    assert "doc 002" not in found
    assert "doc 008" in found
    real.patch(f"/api/annotations/{made[1]['id']}/", json={"was_cancelled": False})
    assert world.pull().stored == 1
    assert not {item.document_id: item for item in current(world)}["doc 001"].skipped


def test_ground_truth_moves_from_one_annotation_to_the_other(world: World) -> None:
    """Label Studio clears the first flag without touching that annotation: both are replaced."""
    world.push()
    task = world.tasks()[0]
    first = world.annotate(task, ground_truth=True)
    second = world.annotate(task, completed_by=user(world))
    world.pull()
    world.real.patch(f"/api/annotations/{second['id']}/", json={"ground_truth": True})
    world.pull()
    flags = {item.annotation_id: item.ground_truth for item in current(world)}
    assert flags == {first["id"]: False, second["id"]: True}


def test_an_annotator_keeps_the_pseudonym(world: World) -> None:
    """A pseudonym belongs to a user of a server, whatever changes; renaming holds."""
    world.push()
    tasks, other = world.tasks(), user(world)
    world.annotate(tasks[0], completed_by=other)
    world.pull()
    (first,) = current(world)
    with world.store.write() as unit:
        unit.annotators.rename(first.annotation.source.name, "Zoé")
        unit.commit()
    world.annotate(tasks[1], completed_by=other)
    world.pull()
    assert {item.annotation.source.name for item in current(world)} == {"Zoé"}


MISFITS = {
    "out of range": ([region("a", 0, 999, "PER")], "outside the text"),
    "unknown label": ([region("a", 0, 3, "DOG")], "'DOG' is not in schema"),
    "dangling": ([region("a", 0, 3, "PER"), relation("a", "z", "visits")], "'z', which is not"),
    "illegal": (
        [region("a", 0, 3, "LOC"), region("b", 4, 9, "PER"), relation("a", "b", "visits")],
        "may not link LOC to PER",
    ),
    "no relation label": (
        [region("a", 0, 3, "PER"), region("b", 4, 9, "LOC"), relation("a", "b")],
        "has no label",
    ),
    "ids in conflict": ([region("a", 0, 3, "PER"), region("a", 1, 3, "PER")], "stands for"),
}


@pytest.mark.parametrize(("result", "reason"), MISFITS.values(), ids=MISFITS.keys())
def test_a_misfit_is_quarantined_until_it_is_mended(
    world: World, result: list[Any], reason: str
) -> None:
    """The whole annotation is set aside with raw item and reason; its neighbours come through."""
    world.push()
    tasks = world.tasks()
    world.annotate(tasks[0])
    bad = world.annotate(tasks[0], result, completed_by=user(world))
    found = world.pull()
    assert (found.received, found.stored, found.quarantined) == (2, 1, 1)
    with world.store.read() as unit:
        (held,) = unit.annotations.quarantined()
    assert reason in held.reason
    assert held.raw["result"] == result
    assert held.item == result[-1]
    assert "created_username" not in held.raw
    assert len(current(world)) == 1
    assert status(world.store, world.options.title).quarantined == 1
    mended = [region("a", 0, 3, "PER")]
    world.real.patch(f"/api/annotations/{bad['id']}/", json={"result": mended})
    found = world.pull()
    assert (found.stored, found.unchanged, found.quarantined) == (1, 1, 0)
    with world.store.read() as unit:
        assert unit.annotations.quarantined() == []
        assert [item.state for item in unit.annotations.quarantined(state=None)] == ["mended"]


def test_a_good_annotation_that_turns_bad_no_longer_stands(world: World) -> None:
    """What does not fit is no annotator's standing word, though it was before; nothing is lost."""
    world.push()
    made = world.annotate(world.tasks()[0])
    world.pull()
    bad = {"result": [region("a", 0, 999, "PER")]}
    world.real.patch(f"/api/annotations/{made['id']}/", json=bad)
    assert world.pull().quarantined == 1
    assert current(world) == []
    world.real.delete(f"/api/annotations/{made['id']}/")
    assert world.pull().deleted == 1
    with world.store.read() as unit:
        assert unit.annotations.quarantined() == []


def test_an_edited_text_quarantines_what_stands_on_it(world: World) -> None:
    """Offsets into another text mean nothing; status reports the task."""
    world.push()
    task = world.tasks()[0]
    world.annotate(task)
    world.real.patch(f"/api/tasks/{task['id']}/", json={"data": {**task["data"], "text": "other"}})
    assert world.pull().quarantined == 1
    assert status(world.store, world.options.title).tasks_edited == 1
    world.real.patch(f"/api/tasks/{task['id']}/", json={"data": task["data"]})
    assert world.pull().stored == 1
    assert status(world.store, world.options.title).tasks_edited == 0


def test_a_task_that_is_not_ours_is_counted_and_set_aside(world: World) -> None:
    """Tasks made by hand, and those of documents we do not have, are never guessed at."""
    world.push()
    ids = world.real.import_tasks(
        world.project_id,
        [{"data": {"text": "x y z"}}, {"data": {"text": "x", "curate_id": "nobody knows"}}],
    )
    for number in ids:
        world.real.post(f"/api/tasks/{number}/annotations/", json={"result": []})
    assert world.pull().quarantined == 2
    here = status(world.store, world.options.title)
    assert (here.tasks_foreign, here.tasks_unknown, here.quarantined) == (1, 1, 2)


def test_deleted_tasks_are_found_by_a_full_pull_alone(world: World) -> None:
    """An incremental pull says that some are missing; the full one proves which."""
    world.push()
    tasks = world.tasks()
    for task in tasks[:3]:
        world.annotate(task)
    world.pull()
    for task in (tasks[0], tasks[9]):
        world.real.delete(f"/api/tasks/{task['id']}/")
    result = world.pull()
    assert (result.tasks_missing, result.tasks_deleted, result.deleted) == (2, 0, 0)
    assert len(current(world)) == 3
    result = world.pull(full=True)
    assert (result.tasks_missing, result.tasks_deleted, result.deleted) == (0, 2, 1)
    assert len(current(world)) == 2
    assert status(world.store, world.options.title).tasks_deleted == 2
    assert world.push().pushed == 0


def test_a_listing_drifts_under_deletions_and_nothing_is_missed(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks deleted while we read shift no page, and a task that is there is never called gone."""
    import curate.labelstudio.tasks as listing

    world = make_world(12)
    world.push()
    tasks = world.tasks()
    for task in tasks:
        world.annotate(task)
    doomed = [task["id"] for task in tasks[:2]]
    monkeypatch.setattr(listing, "PAGE", 3)
    monkeypatch.setattr(Tasks.light, "__kwdefaults__", {"page": 3})

    def delete_in_mid_listing(method: str, path: str) -> None:
        if "updated_at" in path and len(world.proxy.log) > 8 and doomed:
            world.real.delete(f"/api/tasks/{doomed.pop()}/")

    world.proxy.before = delete_in_mid_listing
    world.pull(full=True)
    world.proxy.before = None
    assert not doomed
    world.pull(full=True)
    here = status(world.store, world.options.title)
    assert here.tasks_deleted <= 2
    assert {item.document_id for item in current(world)} == {
        f"doc {number:03}" for number in range(2, 12)
    }


def test_the_count_finds_what_the_clock_hid(world: World) -> None:
    """A bookmark beyond the server's time hides changes; the count of all annotations does not."""
    world.push()
    world.pull()
    with world.store.write() as unit:
        (project,) = unit.projects.all()
        later = datetime.now(UTC) + timedelta(days=1)
        skew = project.skew or 0.0
        unit.projects.set_bookmark(project.id, later.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), skew)
        unit.commit()
    world.annotate(world.tasks()[3])
    result = world.pull()
    assert result.stored == 1


def test_a_clock_that_was_set_widens_the_window(world: World) -> None:
    """If server and we no longer differ as before, one was set: look back as far as it moved."""
    world.push()
    made = world.annotate(world.tasks()[0])
    world.pull()
    with world.store.write() as unit:
        (project,) = unit.projects.all()
        assert project.bookmark is not None
        # as if the server's clock had been an hour ahead during the last pull
        ahead = datetime.fromisoformat(project.bookmark) + timedelta(hours=1)
        unit.projects.set_bookmark(
            project.id, ahead.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), (project.skew or 0.0) + 3600
        )
        unit.commit()
    world.real.patch(f"/api/annotations/{made['id']}/", json={"result": []})
    assert world.pull().stored == 1


def test_what_was_committed_late_is_fetched_by_the_overlap(world: World) -> None:
    """updated_at trails the commit: a change from just before the bookmark is still found."""
    world.push()
    made = world.annotate(world.tasks()[0])
    world.pull()
    world.real.patch(f"/api/annotations/{made['id']}/", json={"result": []})
    with world.store.write() as unit:
        (project,) = unit.projects.all()
        ahead = datetime.now(UTC) + timedelta(seconds=2)
        unit.projects.set_bookmark(project.id, ahead.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), 0.0)
        unit.commit()
    assert world.pull().stored == 1


def test_visible_drafts_are_kept(world: World) -> None:
    """A draft of the token's own user is visible; it is kept and counted, and goes when it goes."""
    world.push()
    task = world.tasks()[0]
    draft = world.real.post(
        f"/api/tasks/{task['id']}/drafts", json={"result": [region("a", 0, 3, "PER")]}
    )
    assert world.pull().drafts == 1
    assert status(world.store, world.options.title).drafts == 1
    assert current(world) == []
    world.real.delete(f"/api/drafts/{draft['id']}/")
    world.pull(full=True)
    assert status(world.store, world.options.title).drafts == 0


def test_history_is_replayed_by_a_better_decoder(world: World) -> None:
    """The raw answers are kept: with a schema that knows the label, the annotation fits."""
    world.push()
    world.annotate(world.tasks()[0], [region("a", 0, 3, "ORG")])
    assert world.pull().quarantined == 1
    wider = LabelSchema("test", (*SCHEMA.entities, EntityType("ORG")), SCHEMA.relations)
    world.proxy.log.clear()
    result = replay(world.store, wider, PullOptions(world.options.title, replay=True))
    assert (result.received, result.stored, result.quarantined) == (1, 1, 0)
    assert world.proxy.log == []
    (back,) = current(world)
    assert back.annotation.entities[0].label == "ORG"
    again = replay(world.store, wider, PullOptions(world.options.title, replay=True))
    assert (again.stored, again.unchanged) == (0, 1)


def test_the_fate_of_predictions_is_told(world: World) -> None:
    """Per model run: what annotators kept, moved, relabelled, removed and added."""
    world.push()
    tasks = world.tasks()
    world.annotate(tasks[0], lead_time=4.0)
    changed = [
        region("e1", 0, 3, "PER"),  # moved
        region("e2", *prediction(document(1)).entities[1].span, "PER"),  # relabelled
        region("n", 10, 12, "LOC"),  # added
    ]
    world.annotate(tasks[1], changed, lead_time=8.0)
    world.pull()
    (found,) = fate(world.store, SCHEMA)
    assert (found.model, found.annotations, found.untouched) == ("model@1", 2, 1)
    assert found.entities == {"kept": 2, "moved": 1, "relabelled": 1, "added": 1}
    assert found.relations == {"kept": 1, "removed": 1}
    assert found.median_lead_time == 6.0


def test_a_server_at_a_new_address_is_the_same_server(world: World) -> None:
    """The embedded studio may move to another port: its project is recognised, nothing doubles."""
    world.push()
    world.annotate(world.tasks()[0])
    world.pull()
    (before,) = current(world)
    world.proxy.url = world.proxy.url.replace("127.0.0.1", "localhost")
    assert world.push().pushed == 0
    world.annotate(world.tasks()[1])
    assert world.pull().stored == 1
    names = {item.annotation.source.name for item in current(world)}
    assert names == {before.annotation.source.name}
    world.options = replace(world.options)
    world.assert_each_once(10)
