"""Adjudication on a real Label Studio: differences out, decisions back, corrections reopen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from curate.agreement.consensus import Rule
from curate.errors import FindingsError
from curate.flows.gold_build import build_gold
from curate.flows.gold_verify import verify_gold
from curate.flows.reporter import Silent
from curate.flows.review_project import review_title
from curate.flows.review_pull import ReviewPulled, review_pull
from curate.flows.review_push import ReviewPushed, ReviewPushOptions, review_push
from curate.flows.review_queue import Case
from curate.flows.review_status import ReviewStatus, review_status
from curate.flows.review_suspects import suspects
from curate.flows.status import status
from curate.gold.building import Recipe
from curate.gold.judge import Judge
from curate.gold.opening import open_gold
from curate.gold.provenance import read_provenance
from curate.gold.splits import SplitRule
from curate.labelstudio.codec import encode
from curate.model import Annotation, Entity, Relation, Source, SourceKind
from curate.store import Decision
from tests.integration.sync_fixtures import make_world, world
from tests.integration.test_sync_pull import user
from tests.integration.world import SCHEMA, Killed, Killer, World, document, prediction

__all__ = ["make_world", "world"]
pytestmark = pytest.mark.studio


@dataclass
class Desk:
    """A world whose documents two people annotated, and its review project."""

    world: World
    folder: Path
    people: tuple[int, int]
    judge: Judge
    recipe: Recipe
    made: dict[tuple[str, int], int] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return review_title(self.world.options.title)

    def push(
        self,
        transport: httpx.BaseTransport | None = None,
        suspects: Sequence[Case] = (),
        **more: Any,
    ) -> ReviewPushed:
        options = ReviewPushOptions(self.title, quiet_seconds=0.2, chunk_tasks=3, **more)
        with self.world.client(transport=transport) as client:
            return review_push(
                self.world.store,
                client,
                SCHEMA,
                self.judge,
                self.recipe,
                self.folder,
                options,
                Silent(),
                suspects=suspects,
            )

    def pull(self, transport: httpx.BaseTransport | None = None, **more: Any) -> ReviewPulled:
        with self.world.client(transport=transport) as client:
            return review_pull(self.world.store, client, SCHEMA, self.title, Silent(), **more)

    def tasks(self) -> dict[str, dict[str, Any]]:
        """What the review project holds, by document id."""
        (project,) = self.world.real.projects(title=self.title)
        query = json.dumps({"ordering": ["tasks:id"]})
        answer = self.world.real.get(
            "/api/tasks/",
            params={"project": project["id"], "fields": "all", "page_size": 500, "query": query},
        )
        found = {task["data"]["curate_id"]: task for task in answer["tasks"]}
        assert len(found) == len(answer["tasks"]), "a document stands twice"
        return found

    def said(self, task: dict[str, Any], who: int, annotation: Annotation) -> None:
        """An annotator submits in the project that is annotated in."""
        text = task["data"]["text"]
        made = self.world.annotate(
            task, encode(annotation, text, SCHEMA), completed_by=self.people[who]
        )
        self.made[annotation.document_id, who] = int(made["id"])

    def submit(self, document_id: str, annotation: Annotation, **more: Any) -> dict[str, Any]:
        """The curator submits."""
        task = self.tasks()[document_id]
        result = encode(annotation, task["data"]["text"], SCHEMA)
        body = {"result": result, "lead_time": 5.0} | more
        made: dict[str, Any] = self.world.real.post(
            f"/api/tasks/{task['id']}/annotations/", json=body
        )
        return made

    def decision(self, document_id: str) -> Decision | None:
        with self.world.store.read() as unit:
            return unit.decisions.get(document_id)

    def status(self) -> ReviewStatus:
        return review_status(self.world.store, SCHEMA, self.judge, self.recipe, self.folder)

    def build(self, **more: Any) -> Any:
        return build_gold(self.world.store, self.folder, self.recipe, self.judge, Silent(), **more)


def without_place(of: Annotation) -> Annotation:
    """The annotation without its LOC and the relation to it."""
    kept = [e for e in of.entities if e.label != "LOC"]
    return Annotation.of(of.document_id, kept, (), of.source)


@pytest.fixture
def desk(world: World, tmp_path: Path) -> Iterator[Desk]:
    """Ten documents; on the even ones the second annotator misses the LOC and its relation."""
    people = user(world), user(world)
    ratios = {"train": 100, "dev": 0, "test": 0}
    recipe = Recipe(corpus="t", schema=SCHEMA, splits=SplitRule(ratios=ratios))
    found = Desk(world, tmp_path / "gold", people, Judge(SCHEMA), recipe)
    world.push(overlap=2)
    for number, task in enumerate(world.tasks()):
        both = prediction(document(number))
        found.said(task, 0, both)
        found.said(task, 1, without_place(both) if number % 2 == 0 else both)
    world.pull()
    yield found
    for project in world.real.projects(title=found.title):
        world.real.delete_project(int(project["id"]))


def test_each_difference_becomes_a_task_once(desk: Desk) -> None:
    """Versions under pseudonyms, the agreement first, the points in the data; twice is once."""
    assert (desk.status().open, desk.status().to_push) == (5, 5)
    pushed = desk.push()
    assert (pushed.documents, pushed.pushed, pushed.standing) == (5, 5, 0)
    assert (desk.status().open, desk.status().to_push) == (5, 0)
    assert pushed.points == 10  # the LOC, and the relation whose argument fell
    again = desk.push()
    assert (again.pushed, again.standing, again.replaced) == (0, 5, 0)
    tasks = desk.tasks()
    assert sorted(tasks) == [f"doc {n:03}" for n in range(0, 10, 2)]
    task = tasks["doc 000"]
    ours = {"review_points", "review_count", "review_round"}
    assert set(task["data"]) == {"text", "curate_id", *ours}
    assert task["data"]["review_count"] == 2
    versions = {p["model_version"]: len(p["result"]) for p in task["predictions"]}
    assert versions == {"consensus": 1, "annotator-1": 3, "annotator-2": 1}
    assert "Tripoli" in task["data"]["review_points"]
    found = desk.status()
    assert (found.open, found.decided, found.points) == (5, 0, 10)
    assert found.labels == {"LOC": 5, "visits": 5}
    assert found.pairs == {"annotator-1 · annotator-2": 10}


def test_what_the_curator_submits_is_the_decision(desk: Desk) -> None:
    """With provenance: rule, points, who said what; pulling again changes nothing."""
    desk.push()
    wanted = without_place(prediction(document(0)))
    desk.submit("doc 000", wanted)
    pulled = desk.pull()
    assert (pulled.decided, pulled.unchanged) == (1, 0)
    decision = desk.decision("doc 000")
    assert decision is not None
    assert decision.annotation.source.kind is SourceKind.CURATOR
    assert [e.key for e in decision.annotation.entities] == [e.key for e in wanted.entities]
    record = decision.provenance
    assert record["decided"]["by"] == "curator"
    assert record["review"]["rule"] == "unanimous"
    assert [p["kind"] for p in record["review"]["points"]] == ["argument", "presence"]
    assert [row["annotator"] for row in record["annotations"]] == ["annotator-1", "annotator-2"]
    assert list(record["rejected"]["entities"]) == ["19:26:LOC"]
    again = desk.pull()
    assert (again.decided, again.changed, again.unchanged) == (0, 0, 1)
    pushed = desk.push()
    assert (pushed.documents, pushed.pushed, pushed.standing) == (4, 0, 4)
    assert (desk.status().open, desk.status().decided) == (4, 1)
    standing = status(desk.world.store, desk.world.options.title)
    assert standing.annotations == 20, "what curators submit is no annotation to be judged"


def test_the_curators_reason_travels_into_provenance(desk: Desk) -> None:
    """A word of why stands in the decision; changed alone, it is changed there, too."""
    desk.push()
    task = next(iter(desk.tasks().values()))
    document_id = task["data"]["curate_id"]
    said = prediction(document(int(document_id.split()[-1])))
    result = encode(said, task["data"]["text"], SCHEMA)
    made = desk.submit(document_id, said, result=[*result, reason("pas un lieu")])
    assert desk.pull().decided == 1
    found = desk.decision(document_id)
    assert found is not None
    assert found.provenance["review"]["why"] == "pas un lieu"
    desk.world.real.patch(
        f"/api/annotations/{made['id']}/", json={"result": [*result, reason("bornes")]}
    )
    assert desk.pull().changed == 1
    found = desk.decision(document_id)
    assert found is not None
    assert found.provenance["review"]["why"] == "bornes"
    assert desk.pull().changed == 0


def reason(text: str) -> dict[str, Any]:
    """What the field for the reason makes."""
    value = {"text": [text]}
    names = {"from_name": "reason", "to_name": "text", "type": "textarea"}
    return {"id": "why", "value": value, **names}


def test_a_killed_push_loses_and_doubles_nothing(desk: Desk) -> None:
    """Killed at each write, before and after: the next push makes it whole."""
    at, after = 1, False
    while True:
        killer = Killer(at, after=after, kinds=("POST", "PATCH"))
        try:
            desk.push(transport=killer)
        except Killed:
            at, after = (at + 1, False) if after else (at, True)
            continue
        break
    assert at > 1
    assert desk.push().pushed == 0
    assert sorted(desk.tasks()) == [f"doc {n:03}" for n in range(0, 10, 2)]
    assert desk.status().open == 5


def test_a_correction_that_contradicts_the_decision_reopens_its_place_alone(desk: Desk) -> None:
    """The rest of the decision stays; one that agrees with it reopens nothing."""
    desk.push()
    full = prediction(document(0))
    desk.submit("doc 000", without_place(full))
    desk.submit("doc 002", prediction(document(2)))
    desk.pull()
    person = full.entities[0]
    wrong = Entity(person.start, person.end - 2, "PER")
    edit(desk, 0, 0, Annotation.of("doc 000", [wrong], (), full.source))
    edit(desk, 2, 1, prediction(document(2)))  # comes to what was decided
    desk.world.pull()
    pushed = desk.push()
    assert pushed.reasons == {"difference": 3, "reopened": 1}
    assert (pushed.pushed, pushed.replaced, pushed.points) == (1, 1, 7)
    task = desk.tasks()["doc 000"]
    assert not task["annotations"]
    (start,) = (p for p in task["predictions"] if p["model_version"] == "consensus")
    assert [item["value"]["start"] for item in start["result"]] == [person.start]
    decision = desk.decision("doc 000")
    assert decision is not None, "the decision stands until it is made anew"
    desk.submit("doc 000", Annotation.of("doc 000", [wrong], (), full.source))
    assert desk.pull().decided == 1
    renewed = desk.decision("doc 000")
    assert renewed is not None
    assert [e.key for e in renewed.annotation.entities] == [wrong.key]
    assert desk.push().pushed == 0


def edit(desk: Desk, number: int, who: int, annotation: Annotation) -> None:
    """An annotator changes what they had submitted."""
    document_id = f"doc {number:03}"
    text = document(number).text
    result = encode(annotation, text, SCHEMA)
    desk.world.real.patch(
        f"/api/annotations/{desk.made[document_id, who]}/", json={"result": result}
    )


def test_a_task_the_curator_has_begun_is_never_taken_away(desk: Desk) -> None:
    """A correction outdates a task that holds a submission not yet pulled: it is left alone."""
    desk.push()
    desk.submit("doc 000", without_place(prediction(document(0))))
    edit(desk, 0, 1, prediction(document(0)))  # the annotators agree now
    desk.world.pull()
    pushed = desk.push()
    assert (pushed.begun, pushed.removed) == (1, 0)
    assert desk.tasks()["doc 000"]["annotations"]
    assert desk.pull().decided == 1
    assert desk.push().reasons["reopened"] == 1, "what changed since contradicts the decision"


def test_a_deleted_submission_takes_its_decision_with_it(desk: Desk) -> None:
    """And the document waits again."""
    desk.push()
    made = desk.submit("doc 000", without_place(prediction(document(0))))
    desk.pull()
    desk.world.real.delete(f"/api/annotations/{made['id']}/")
    assert desk.pull().withdrawn == 1
    assert desk.decision("doc 000") is None
    assert desk.push().standing == 5


def test_a_skipped_task_stays_open(desk: Desk) -> None:
    """A curator who skips decides nothing."""
    desk.push()
    desk.submit("doc 000", without_place(prediction(document(0))), was_cancelled=True, result=[])
    pulled = desk.pull()
    assert (pulled.decided, pulled.skipped) == (0, 1)
    assert desk.push().standing == 5


def test_gold_waits_for_the_test_documents(desk: Desk) -> None:
    """Refused with counts while a test document is open; left out when allowed; a pin decides."""
    desk.recipe = Recipe(
        corpus="t", schema=SCHEMA, splits=SplitRule(ratios={"train": 0, "dev": 0, "test": 100})
    )
    with pytest.raises(FindingsError, match=r"5 documents .* 10 differences"):
        desk.build(dry_run=True)
    left = desk.build(dry_run=True, allow_open=True)
    assert len(left.left_out) == 5
    assert left.built.documents == 5
    assert desk.push().reasons == {"difference": 5, "test": 5}, "a person looks at each"
    pinned = Desk(
        desk.world, desk.folder, desk.people, Judge(SCHEMA, Rule.parse("majority")), desk.recipe
    )
    assert pinned.build(dry_run=True).built.documents == 10
    for number in range(0, 10, 2):
        desk.submit(f"doc {number:03}", prediction(document(number)))
    desk.pull()
    told = Silent()
    made = build_gold(desk.world.store, desk.folder, desk.recipe, desk.judge, told)
    assert made.built.documents == 10
    assert any("5 documents still wait for a curator" in line for line in told.warnings)
    (checked,) = verify_gold(desk.folder, [])
    assert checked.ok, checked.findings
    release = open_gold("latest", desk.folder).release
    assert release is not None
    ((_, released),) = read_provenance(release.provenance_lines("doc 000"))
    assert released["review"]["rule"] == "unanimous"
    assert released["decided"]["by"] == "curator"


def test_relations_come_back_with_the_decision(desk: Desk) -> None:
    """A relation that the curator keeps is in the decision, argument for argument."""
    desk.push()
    full = prediction(document(4))
    desk.submit("doc 004", full)
    desk.pull()
    decision = desk.decision("doc 004")
    assert decision is not None
    (relation,) = decision.annotation.relations
    assert relation == Relation(*full.entities, "visits")
    assert decision.annotation.source == Source.curator(decision.annotation.source.name)


def test_suspects_are_queued_once_and_their_yield_is_measured(desk: Desk) -> None:
    """Of two places looked at one was an error; what was looked at is not raised again."""
    pinned = Desk(
        desk.world, desk.folder, desk.people, Judge(SCHEMA, Rule.parse("majority")), desk.recipe
    )
    store = desk.world.store

    def look(number: int) -> list[Case]:
        return suspects(store, SCHEMA, pinned.judge, number, Silent())

    chosen = look(2)
    assert [len(case.points) for case in chosen] == [1, 1]
    pushed = pinned.push(suspects=chosen)
    assert (pushed.suspects, pushed.pushed) == (2, 2)
    assert look(2) == [], "those that wait count"
    assert pinned.push().removed == 0, "a push without suspects leaves them alone"
    one, two = (case.document_id for case in chosen)
    start = chosen[0].start
    place = chosen[0].points[0]
    mended = Entity(place.start, place.end, "LOC")
    pinned.submit(one, Annotation.of(one, [*start.entities, mended], start.relations, start.source))
    pinned.submit(two, chosen[1].start)
    assert pinned.pull().decided == 2
    found = pinned.status()
    assert found.suspicions == {"open": 0, "error": 1, "sound": 1}
    assert found.yield_ == 0.5
    assert found.by_source["lint"]["precision"] == 0.5
    again = {case.document_id for case in look(20)}
    assert two not in again


def test_suspects_of_a_killed_push_are_pushed_by_the_next(desk: Desk) -> None:
    """Queued before the process died, they get their tasks from any later push."""
    pinned = Desk(
        desk.world, desk.folder, desk.people, Judge(SCHEMA, Rule.parse("majority")), desk.recipe
    )
    chosen = suspects(desk.world.store, SCHEMA, pinned.judge, 3, Silent())
    pinned.push(suspects=chosen[:1])
    with pytest.raises(Killed):
        pinned.push(transport=Killer(1, after=False, kinds=("POST",)), suspects=chosen)
    pinned.push()
    assert set(pinned.tasks()) == {case.document_id for case in chosen}


def test_a_killed_pull_is_made_whole_by_the_next(desk: Desk) -> None:
    """Killed at each request: the decision is made once, by whichever pull gets that far."""
    desk.push()
    desk.submit("doc 000", without_place(prediction(document(0))))
    at, decided = 1, 0
    while True:
        try:
            decided += desk.pull(transport=Killer(at, after=True)).decided
        except Killed:
            at += 1
            continue
        break
    assert at > 2
    assert decided == 1
    assert desk.pull().unchanged == 1
