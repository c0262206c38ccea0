"""A curator decides in a real browser: what is submitted is the decision."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curate.agreement.consensus import Rule, decide
from curate.labelstudio.client import LabelStudio
from curate.labelstudio.review import create_review, task_payload
from curate.model import Annotation, Entity, Relation, Source
from curate.schema import LabelSchema, read_schema
from tests.browser.conftest import Person, Studio
from tests.conftest import Curate

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Page

from tests.browser.screen import LabellingScreen, log_in

pytestmark = [pytest.mark.studio, pytest.mark.browser]

TEXT = (
    "SYRTE 🇱🇾 – Le colonel Omar Zlitni, qui commande la 9e brigade, a reçu mardi à Hun "
    "Mme Aïda Ferchichi.\r\n\r\n« L’aéroport de Hun est à nous », dit-il ;  la 9e brigade le garde."
)
SHARED = [("SYRTE", "LOC"), ("colonel", "ROLE"), ("Omar Zlitni", "PER")]
FIRST = [*SHARED, ("Aïda Ferchichi", "PER"), ("mardi", "DATE")]
SECOND = [*SHARED, ("Mme Aïda Ferchichi", "PER"), ("aéroport de Hun", "FAC")]


@pytest.fixture
def curator(
    label_studio: LabelStudio, annotator: Person, curate: Curate, tmp_path: Path
) -> Iterator[Person]:
    yield annotator
    for project in label_studio.projects():
        if str(project["title"]).startswith("adjudicate "):
            label_studio.delete_project(int(project["id"]))


def result(marks: list[tuple[str, str]]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for i, (surface, label) in enumerate(marks):
        start = TEXT.index(surface)
        value = {"start": start, "end": start + len(surface), "text": surface, "labels": [label]}
        common = {"id": f"r{i}", "from_name": "label", "to_name": "text", "type": "labels"}
        items.append(common | {"value": value})
    link = {"type": "relation", "from_id": "r2", "to_id": "r1", "direction": "right"}
    return [*items, link | {"labels": ["has_role"]}]


def test_the_curator_takes_a_version_changes_a_span_and_decides(
    curate: Curate,
    page: Page,
    studio: Studio,
    label_studio: LabelStudio,
    curator: Person,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both versions are seen, one is taken, one span changed: the decision is exactly that."""
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio.token)
    workspace, title = tmp_path / "ws", f"adjudicate {uuid.uuid4().hex[:8]}"
    assert curate("init", workspace, "--project", title).code == 0

    def run(*arguments: object) -> Any:
        done = curate("-w", workspace, *arguments, "--json")
        assert done.code == 0, done.err
        return done.json

    texts = tmp_path / "texts.jsonl"
    texts.write_text(json.dumps({"id": "d1", "text": TEXT}) + "\n", "utf-8")
    run("ingest", texts)
    run("push", "--overlap", "2")
    (project,) = (p for p in label_studio.projects(title=title) if p["title"] == title)
    task = label_studio.get("/api/tasks/", params={"project": project["id"]})["tasks"][0]
    first = label_studio.whoami().id
    for user, marks in ((first, FIRST), (curator.user_id, SECOND)):
        body = {"result": result(marks), "completed_by": user, "lead_time": 9.0}
        label_studio.post(f"/api/tasks/{task['id']}/annotations/", json=body)
    assert run("pull")["stored"] == 2
    names = [row["pseudonym"] for row in run("annotators", "list")]
    pushed = run("review", "push")
    assert (pushed["pushed"], pushed["points"]) == (1, 3)
    listing = label_studio.get("/api/tasks/", params={"project": pushed["project_id"]})
    log_in(page, studio.url, curator.email, curator.password)
    screen = LabellingScreen(page, studio.url)
    screen.open(pushed["project_id"], listing["tasks"][0]["id"])
    assert set(screen.versions) >= {*names, "consensus"}
    assert "À décider (3)" in screen.points
    assert "Aïda Ferchichi" in screen.points
    assert sorted(screen.marked) == sorted(surface for surface, _ in SHARED), "what both say"
    for name, marks in zip(names, (FIRST, SECOND), strict=True):
        screen.look_at(name)
        assert sorted(screen.marked) == sorted(surface for surface, _ in marks)
    screen.take(names[0])
    screen.change_label("mardi", "EVENT")
    screen.submit()

    pulled = run("review", "pull")
    assert (pulled["decided"], pulled["pulled"]["quarantined"]) == (1, 0)
    exported = tmp_path / "decisions.jsonl"
    run("gold", "build")
    run("gold", "export", "--format", "jsonl", "--output", exported)
    (gold,) = (json.loads(line) for line in exported.read_text("utf-8").splitlines())
    by_id = {e["id"]: e for e in gold["entities"]}
    assert sorted((TEXT[e["start"] : e["end"]], e["label"]) for e in by_id.values()) == sorted(
        [*FIRST[:-1], ("mardi", "EVENT")]
    )
    (link,) = gold["relations"]
    ends = [
        TEXT[by_id[link[side]]["start"] : by_id[link[side]]["end"]] for side in ("head", "tail")
    ]
    assert (*ends, link["label"]) == ("Omar Zlitni", "colonel", "has_role")
    assert run("review", "status")["open"] == 0
    assert run("review", "pull")["unchanged"] == 1


def large(schema: LabelSchema) -> tuple[str, Annotation, Annotation]:
    """A text of 60 entities and 20 relations, and two versions of it."""
    rng = random.Random(3)
    words = [
        "le",
        "colonel",
        "a",
        "quitté",
        "la",
        "ville",
        "pour",
        "une",
        "attaque",
        "près",
        "du",
        "front",
    ]
    names = ("Tripoli", "général Haftar", "9e brigade", "aéroport de Hun", "Conseil militaire")
    text, entities = "", []
    for i in range(60):
        text += " ".join(rng.sample(words, rng.randrange(4, 9))) + " "
        name = rng.choice(names)
        label = rng.choice(schema.entity_labels)
        entities.append(Entity(len(text), len(text) + len(name), label))
        text += name + (".\n\n" if i % 12 == 11 else ", ")
    relations: list[Relation] = []
    for a in entities:
        for b in entities:
            legal = schema.legal_relations(a.label, b.label)
            if a.start < b.start < a.start + 150 and legal and len(relations) < 20:
                relations.append(Relation(a, b, legal[0]))
    full = Annotation.of("large", entities, relations, Source.annotator("annotator-1"))
    kept = []
    for i, entity in enumerate(entities):
        if i % 9:
            shorter = Entity(entity.start, entity.end - 3, entity.label)
            kept.append(shorter if i % 10 == 1 else entity)
    there = {entity.key for entity in kept}
    links = [r for r in relations if r.head.key in there and r.tail.key in there]
    return text, full, Annotation.of("large", kept, links, Source.annotator("annotator-2"))


def test_a_crowded_task_is_legible(
    page: Page, studio: Studio, label_studio: LabelStudio, curator: Person, tmp_path: Path
) -> None:
    """60 entities and 20 relations: points and text are on the screen, and none overlaps."""
    schema = read_schema(Path(__file__).parents[2] / "label_configs" / "sahel.yaml")
    text, one, two = large(schema)
    assert (len(one.entities), len(one.relations)) == (60, 20)
    found = decide([one, two], Rule.parse("unanimous"), schema)
    title = f"adjudicate {uuid.uuid4().hex[:8]}"
    remote = create_review(label_studio, title, schema, "none")
    task = task_payload(
        "large",
        text,
        schema,
        start=found.annotation,
        versions={"annotator-1": one, "annotator-2": two},
        points=found.open,
        round_="r",
    )
    (task_id,) = label_studio.import_tasks(remote.id, [task])
    log_in(page, studio.url, curator.email, curator.password)
    screen = LabellingScreen(page, studio.url)
    screen.open(remote.id, task_id)
    page.screenshot(path=tmp_path / "start.png")
    screen.look_at("annotator-1")
    page.screenshot(path=tmp_path / "version.png")
    points = page.locator(".curate-points").bounding_box()
    words = page.locator(".lsf-htx-richtext:visible").last.bounding_box()
    assert points is not None
    assert words is not None
    assert points["y"] + points["height"] <= words["y"] + 1, "the points end above the text"
    assert points["height"] <= 0.35 * 1000 + 10, "and leave it room"
    rows = page.locator(".curate-points tr")
    assert rows.count() == len(found.open)
    height = rows.first.bounding_box()
    assert height is not None
    assert height["height"] < 60, "a point takes two or three lines"
    size = page.locator(".curate-points td").nth(2).evaluate("e => getComputedStyle(e).fontSize")
    assert float(size.removesuffix("px")) >= 12
