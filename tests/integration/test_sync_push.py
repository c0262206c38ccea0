"""Each document becomes one task, whatever happens on the way."""

from __future__ import annotations

import threading

import pytest

from curate.errors import DataError, LockedError
from curate.flows.choosing import plan
from curate.flows.reporter import Silent
from curate.labelstudio.tasks import Tasks
from curate.model import Annotation, Document, Entity, Source
from curate.schema import EntityType, LabelSchema
from tests.integration.proxy import Kind
from tests.integration.sync_fixtures import make_world, world
from tests.integration.world import (
    BETTER,
    SCHEMA,
    Killed,
    Killer,
    MakeWorld,
    World,
    document,
    prediction,
)

__all__ = ["make_world", "world"]
pytestmark = pytest.mark.studio


def test_a_push_makes_one_task_of_each_document(world: World) -> None:
    """Tasks hold text and id and nothing else; the label stream shows the predictions."""
    result = world.push()
    assert (result.pushed, result.with_predictions, result.created) == (10, 10, True)
    world.assert_each_once(10)
    record = world.real.project(world.project_id)
    assert record["model_version"] == "model@1#aa"
    assert record["show_instruction"] is True
    assert "PER" in record["expert_instruction"]


def test_a_second_push_changes_nothing(world: World) -> None:
    """Nothing is written to the server by a push that has nothing to do."""
    world.push()
    world.proxy.log.clear()
    again = world.push()
    assert (again.pushed, again.replaced, again.recovered, again.created) == (0, 0, 0, False)
    assert world.proxy.writes() == []


@pytest.mark.parametrize("after", [False, True], ids=["before it is sent", "before the answer"])
def test_killed_at_every_request_and_run_again(make_world: MakeWorld, after: bool) -> None:
    """No task twice, none missing, no prediction twice, at whichever request the process died."""
    at = 0
    while True:
        at += 1
        world = make_world(6)
        killer = Killer(at, after=after)
        try:
            world.push(killer)
        except Killed:
            world.push()
            world.assert_each_once(6)
            titled = world.real.projects(title=world.options.title)
            assert len(titled) == 1
            assert titled[0]["model_version"] == "model@1#aa"
        else:
            assert at > 5
            return


@pytest.mark.parametrize("after", [False, True], ids=["before it is sent", "before the answer"])
def test_killed_while_predictions_are_replaced(make_world: MakeWorld, after: bool) -> None:
    """The same while a new model's predictions take the place of old ones."""
    at = 0
    while True:
        at += 1
        world = make_world(6)
        world.push()
        with world.store.write() as unit:
            unit.predictions.put([prediction(document(n), BETTER) for n in range(6)])
            unit.commit()
        try:
            world.push(Killer(at, after=after))
        except Killed:
            world.push()
            world.assert_each_once(6, "model@2#bb")
        else:
            assert at > 4
            return
        assert world.real.project(world.project_id)["model_version"] == "model@2#bb"


def test_a_request_that_arrives_after_we_looked_leaves_no_double(make_world: MakeWorld) -> None:
    """A killed request may be carried out later than any look: the next push takes it away."""
    world = make_world(4)
    world.push(limit=0)
    world.proxy.fail(Kind.LATE, "POST", "/import", seconds=1.5)
    world.push()
    world.proxy.settle()
    assert len(world.tasks()) == 8
    assert world.push().doubles_removed == 4
    world.assert_each_once(4)
    assert world.push().doubles_removed == 0


def test_a_double_that_somebody_has_begun_is_kept(make_world: MakeWorld) -> None:
    """Of two equal tasks the annotated one stays, whichever we knew first."""
    world = make_world(2)
    world.push(limit=0)
    world.proxy.fail(Kind.LATE, "POST", "/import", seconds=1.0)
    world.push()
    world.proxy.settle()
    late = max(world.tasks(), key=lambda task: int(task["id"]))
    world.annotate(late)
    world.push()
    world.assert_each_once(2)
    assert late["id"] in {task["id"] for task in world.tasks()}
    assert world.pull(full=True).stored == 1


def test_a_new_models_predictions_replace_old_ones_of_untouched_tasks(world: World) -> None:
    """Tasks with an annotation, a skip or a draft keep what the annotator saw."""
    world.push()
    tasks = world.tasks()
    world.annotate(tasks[0])
    world.annotate(tasks[1], [], was_cancelled=True)
    world.real.post(f"/api/tasks/{tasks[2]['id']}/drafts", json={"result": [], "lead_time": 1.0})
    with world.store.write() as unit:
        unit.predictions.put([prediction(document(n), BETTER) for n in range(10)])
        unit.commit()
    result = world.push()
    assert (result.pushed, result.replaced, result.kept) == (0, 7, 3)
    versions = [[p["model_version"] for p in task["predictions"]] for task in world.tasks()]
    assert versions == [["model@1#aa"]] * 3 + [["model@2#bb"]] * 7
    assert world.real.project(world.project_id)["model_version"] == "model@2#bb"
    assert world.push().replaced == 0


def test_the_order_is_by_uncertainty_chance_or_age(make_world: MakeWorld) -> None:
    """uncertainty: what the model doubts most first, unscored last; random: by seed and id
    alone."""
    world = make_world()
    items = [document(n) for n in range(6)]
    world.add(items, None)
    scores = {0: 0.9, 1: 0.2, 2: None, 3: 0.5, 4: 0.1}
    with world.store.write() as unit:
        unit.predictions.put(
            Annotation.of(f"doc {n:03}", [Entity(0, 3, "PER", score)], [], Source.model("m"))
            for n, score in scores.items()
        )
        unit.commit()
        run = unit.sync.current_run()
        assert run is not None
        number = run[0]
        made = plan(unit, -1, number, "uncertainty", None, 0, Silent(), share=0.0)
        assert [seq - 1 for seq in made.seqs][:4] == [4, 1, 3, 0]
        assert {seq - 1 for seq in made.seqs[4:]} == {2, 5}
        drawn = [list(unit.sync.unpushed(-1, number, "random", seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    result = world.push(limit=2, order="uncertainty")
    assert result.chosen is not None
    assert (result.chosen.uncertain, result.chosen.by_lot) == (2, 0)
    assert [task["data"]["curate_id"] for task in world.tasks()] == ["doc 001", "doc 004"]


def test_a_dry_run_says_what_the_push_then_does(world: World) -> None:
    """The counts are exact, and neither side is changed."""
    said = world.push(dry_run=True, limit=7)
    assert world.proxy.writes() == []
    with world.store.read() as unit:
        assert unit.projects.all() == []
    done = world.push(limit=7)
    for name in ("pushed", "with_predictions", "waiting", "replaced", "kept", "created"):
        assert getattr(said, name) == getattr(done, name), name


def test_overlap_is_set_and_changed(world: World) -> None:
    """A task stays open until so many annotators have done it; a push without the option leaves
    it as it is."""
    world.push(first_overlap=2)
    assert world.real.project(world.project_id)["maximum_annotations"] == 2
    world.push(overlap=3)
    assert world.real.project(world.project_id)["maximum_annotations"] == 3
    world.push(first_overlap=2)
    assert world.real.project(world.project_id)["maximum_annotations"] == 3


def test_a_schema_that_would_orphan_annotations_is_refused_with_the_counts(world: World) -> None:
    """Label Studio would take it; annotations with a lost label could no longer be edited."""
    world.push()
    for task in world.tasks()[:3]:
        world.annotate(task)
    narrow = LabelSchema("test", (EntityType("PER"),))
    world.schema = narrow
    world.proxy.log.clear()
    refusals = []
    for dry_run in (True, False):
        with pytest.raises(DataError, match=r"LOC \(3×\), visits \(3×\)") as refused:
            world.push(dry_run=dry_run)
        refusals.append(str(refused.value))
    assert refusals[0] == refusals[1]
    assert world.proxy.writes() == []
    assert "LOC" in world.real.project(world.project_id)["label_config"]
    wider = LabelSchema("test", (*SCHEMA.entities, EntityType("ORG")), SCHEMA.relations)
    world.schema = wider
    world.push()
    assert "ORG" in world.real.project(world.project_id)["label_config"]


def test_a_prediction_that_does_not_fit_the_schema_is_left_out(make_world: MakeWorld) -> None:
    """The document is pushed without it, and the reason is told."""
    world = make_world()
    item = document(0)
    world.add([item], None)
    with world.store.write() as unit:
        unit.predictions.put([Annotation.of(item.id, [Entity(0, 3, "DOG")], [], MODEL_X)])
        unit.commit()
    result = world.push()
    assert result.with_predictions == 0
    assert "'DOG' is not in schema" in result.unfit[item.id]
    world.assert_each_once(1, None)


MODEL_X = Source.model("x")


def test_a_deleted_project_is_not_guessed_away(world: World) -> None:
    """What was pushed to it is not pushed again until the user says so."""
    world.push()
    world.real.delete_project(world.project_id)
    for dry_run in (True, False):
        with pytest.raises(DataError, match="--recreate"):
            world.push(dry_run=dry_run)
    assert world.push(recreate=True, dry_run=True).pushed == 10
    assert world.push(recreate=True).pushed == 10
    world.assert_each_once(10)


def test_a_project_of_another_workspace_is_not_taken_by_chance(make_world: MakeWorld) -> None:
    """Two workspaces with one title: the second is told, and may take over by --adopt."""
    first, second = make_world(5), make_world(5)
    first.push()
    second.options = first.options
    for dry_run in (True, False):
        with pytest.raises(DataError, match="--adopt"):
            second.push(dry_run=dry_run)
    result = second.push(adopt=True)
    assert (result.recovered, result.pushed) == (5, 0)
    second.assert_each_once(5)


def test_two_at_once_is_one_too_many(world: World) -> None:
    """The second is told who is at work; when the first is done, it may go on."""
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with world.store.lock("push"):
            entered.set()
            leave.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert entered.wait(20)
        with pytest.raises(LockedError, match=r"`curate push` \(process \d+ on "):
            world.pull()
        with pytest.raises(LockedError, match="wait until it is done"):
            world.push()
    finally:
        leave.set()
        holder.join()
    assert world.push().pushed == 10


def test_a_chunk_is_bounded_in_bytes_and_count(world: World) -> None:
    """A chunk holds at most so many tasks and so many bytes, but at least one task."""
    world.push(limit=0)
    world.proxy.log.clear()
    world.push(limit=5, chunk_tasks=2)
    imports = [entry for entry in world.proxy.log if "/import" in entry[1]]
    assert len(imports) == 3
    world.proxy.log.clear()
    world.push(chunk_tasks=100, chunk_bytes=10)
    imports = [entry for entry in world.proxy.log if "/import" in entry[1]]
    assert len(imports) == 5


def test_every_id_is_found_again(make_world: MakeWorld) -> None:
    """Quotes, backslashes, digits, wildcards, markup: a look finds each task by its id, and only
    it."""
    world = make_world()
    ids = ["1", "01", "1.0", "true", "null", "%", "_", "a'b", 'a"b', "a\\b", "a,b", "é", "e\u0301"]
    ids += ["[1]", "{}", "<b>", "a b", "x" * 200, "文" * 100, "doc?x=1&y=2#z", "../..", "$a"]
    world.add(Document.of(f"Awa Touré {n} visite Tripoli.", id=name) for n, name in enumerate(ids))
    world.push()
    with world.client() as client:
        tasks = Tasks(client, world.project_id)
        for name in ids:
            assert [task.document_id for task in tasks.find([name])] == [name]
        assert sorted(str(task.document_id) for task in tasks.find(ids)) == sorted(ids)
