"""A fresh task, opened by a person: predictions come by themselves, and what they submit goes home.

Label Studio, Chromium and `curate serve` are the real ones; nobody pushes a prediction or pulls.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from curate.labelstudio.client import LabelStudio
from curate.model import Annotation
from curate.store import Store
from curate.store.engine import sqlite_url
from tests.browser.conftest import Person, Studio
from tests.conftest import Curate
from tests.integration.serving import Server, serving

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Page, expect

from tests.browser.screen import LabellingScreen, log_in

pytestmark = [pytest.mark.studio, pytest.mark.browser]

TEXT = (
    "SYRTE 🇱🇾 – Le colonel Omar Zlitni, commandant de la 9e brigade, a reçu mardi à Hun "
    "Mme Aïda Ferchichi.\r\n\r\n« L’aéroport de Hun est à nous », dit-il ;  la 9e brigade le garde."
)


@dataclass
class Bench:
    """A workspace with one document, pushed without a prediction; and the server beside it."""

    workspace: Path
    project: dict[str, Any]
    task: int
    server: Server

    def stored(self) -> list[Any]:
        """What the store holds of annotators."""
        url = sqlite_url(self.workspace / ".curate" / "store.db")
        with Store.open(url) as store, store.read() as unit:
            return list(unit.annotations.current())


@pytest.fixture
def bench(
    curate: Curate,
    studio: Studio,
    label_studio: LabelStudio,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Bench]:
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio.token)
    workspace, title = tmp_path / "ws", f"serve {uuid.uuid4().hex[:8]}"
    assert curate("init", workspace, "--project", title).code == 0
    texts = tmp_path / "texts.jsonl"
    texts.write_text(json.dumps({"id": "d1", "text": TEXT}) + "\n", "utf-8")
    assert curate("-w", workspace, "ingest", texts).code == 0
    assert curate("-w", workspace, "push").code == 0
    (project,) = label_studio.projects(title=title)
    listing = label_studio.get("/api/tasks/", params={"project": project["id"]})
    try:
        with serving(workspace, studio, "--register", "--every", "0") as server:
            yield Bench(workspace, project, listing["tasks"][0]["id"], server)
    finally:
        label_studio.delete_project(project["id"])


def spans(annotation: Annotation) -> set[tuple[str, str]]:
    return {(TEXT[e.start : e.end], e.label) for e in annotation.entities}


def links(annotation: Annotation) -> set[tuple[str, str, str]]:
    return {
        (TEXT[r.head.start : r.head.end], r.label, TEXT[r.tail.start : r.tail.end])
        for r in annotation.relations
    }


def test_a_fresh_task_is_predicted_corrected_submitted_and_stored(
    bench: Bench, page: Page, studio: Studio, label_studio: LabelStudio, annotator: Person
) -> None:
    """Predictions on opening, without a push; three seconds after submitting the store has it."""
    light = {"project": bench.project["id"], "include": "id,predictions", "fields": "all"}
    (before,) = label_studio.get("/api/tasks/", params=light)["tasks"]
    assert before["predictions"] == []
    log_in(page, studio.url, annotator.email, annotator.password)
    screen = LabellingScreen(page, studio.url)
    screen.open(bench.project["id"], bench.task)
    expect(page.locator(".htx-highlight:visible").first).to_be_visible()
    assert "Omar Zlitni" in screen.marked
    screen.delete("mardi")
    screen.change_label("aéroport de Hun", "LOC")
    assert bench.stored() == []
    screen.submit()
    since = time.monotonic()
    while not (found := bench.stored()):
        assert time.monotonic() - since < 3.0, bench.server.said
        time.sleep(0.05)
    (stored,) = found
    assert stored.document_id == "d1"
    assert stored.parent is not None
    assert stored.parent.name == "bootstrap"
    corrected = spans(stored.annotation)
    assert {("Omar Zlitni", "PER"), ("9e brigade", "MIL"), ("aéroport de Hun", "LOC")} <= corrected
    assert "mardi" not in {text for text, _ in corrected}
    assert ("Omar Zlitni", "commands", "9e brigade") in links(stored.annotation)
    (prediction,) = label_studio.task(bench.task)["predictions"]
    assert {e["value"]["text"] for e in prediction["result"] if e["type"] == "labels"} >= {"mardi"}


def test_a_region_that_is_drawn_gets_its_relations(
    bench: Bench, page: Page, studio: Studio, annotator: Person
) -> None:
    """With « Auto-Annotation » on, a span drawn anew comes with what hangs on it, and the screen
    can be submitted; each mention is one in the store, however many regions stand for it."""
    log_in(page, studio.url, annotator.email, annotator.password)
    screen = LabellingScreen(page, studio.url)
    screen.open(bench.project["id"], bench.task)
    expect(page.locator(".htx-highlight:visible").first).to_be_visible()
    screen.ask_the_model()
    screen.delete("Omar Zlitni")
    with page.expect_response(lambda answer: "interactive-annotating" in answer.url) as caught:
        screen.add("Omar Zlitni", "PER")
    assert caught.value.ok
    expect(page.locator(".htx-highlight:visible", has_text="Omar Zlitni")).to_have_count(2)
    screen.submit()
    since = time.monotonic()
    while not (found := bench.stored()):
        assert time.monotonic() - since < 15.0, bench.server.said
        time.sleep(0.05)
    (stored,) = found
    assert {
        ("Omar Zlitni", "has_role", "colonel"),
        ("Omar Zlitni", "commands", "9e brigade"),
    } <= links(stored.annotation)
    people = [e for e in stored.annotation.entities if TEXT[e.start : e.end] == "Omar Zlitni"]
    assert len(people) == 1
