"""An annotator corrects a pre-annotated task in a real browser; the server holds just that."""

from __future__ import annotations

from typing import Any

import pytest

from curate.labelstudio.client import LabelStudio
from curate.labelstudio.config import render_instructions
from curate.schema import read_schema
from tests.browser.conftest import Person, Studio
from tests.integration.conftest import CONFIG

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Page, expect

from tests.browser.screen import LabellingScreen, log_in

pytestmark = [pytest.mark.studio, pytest.mark.browser]

TEXT = (
    "TOMBOUCTOU 🇲🇱 – Le colonel Idris Tahar a rencontré Mme Nadia Belkheir à Gao, mardi.\r\n\r\n"
    "« L’école e\u0301tait pleine », dit Belkheir ; la 17e brigade garde l'aéroport de Gao."
)


def region(id: str, mention: str, label: str, nth: int = 0) -> dict[str, Any]:
    start = -1
    for _ in range(nth + 1):
        start = TEXT.index(mention, start + 1)
    value = {"start": start, "end": start + len(mention), "text": mention, "labels": [label]}
    return {
        "id": id,
        "from_name": "label",
        "to_name": "text",
        "type": "labels",
        "value": value,
        "score": 0.8,
    }


PREDICTED = [
    region("e1", "TOMBOUCTOU", "LOC"),
    region("e2", "colonel", "ROLE"),
    region("e3", "Idris Tahar", "PER"),
    region("e4", "Nadia Belkheir", "ORG"),
    region("e5", "mardi", "EVENT"),
    region("e6", "17e brigade", "MIL"),
    {
        "type": "relation",
        "from_id": "e3",
        "to_id": "e2",
        "direction": "right",
        "labels": ["has_role"],
    },
]


def spans(result: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """What each region covers in the source, whatever Label Studio's copy of the text says."""
    return {
        (TEXT[item["value"]["start"] : item["value"]["end"]], item["value"]["labels"][0])
        for item in result
        if item["type"] == "labels"
    }


def links(result: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    by_id = {
        item["id"]: TEXT[item["value"]["start"] : item["value"]["end"]]
        for item in result
        if item["type"] == "labels"
    }
    return {
        (by_id[item["from_id"]], item["labels"][0], by_id[item["to_id"]])
        for item in result
        if item["type"] == "relation"
    }


@pytest.fixture
def task(label_studio: LabelStudio, project: dict[str, Any]) -> int:
    """A pre-annotated task."""
    prediction = {"model_version": "rules@1", "score": 0.8, "result": PREDICTED}
    data = {"text": TEXT, "curate_id": "doc-1"}
    task = {"data": data, "predictions": [prediction]}
    return label_studio.import_tasks(project["id"], [task])[0]


def test_an_annotator_corrects_a_task_and_the_server_holds_just_that(
    page: Page,
    studio: Studio,
    label_studio: LabelStudio,
    project: dict[str, Any],
    task: int,
    annotator: Person,
) -> None:
    """Logs in, changes a label, deletes a span, adds a span and a relation, submits."""
    log_in(page, studio.url, annotator.email, annotator.password)
    screen = LabellingScreen(page, studio.url)
    screen.open(project["id"], task)
    screen.change_label("Nadia Belkheir", "PER")
    screen.delete("mardi")
    screen.add("aéroport de Gao", "FAC")
    screen.relate("17e brigade", "aéroport de Gao", "controls")
    screen.submit()

    stored = label_studio.task(task)["annotations"]
    assert len(stored) == 1
    assert stored[0]["completed_by"]["id"] == annotator.user_id
    assert stored[0]["was_cancelled"] is False
    assert spans(stored[0]["result"]) == {
        ("TOMBOUCTOU", "LOC"),
        ("colonel", "ROLE"),
        ("Idris Tahar", "PER"),
        ("Nadia Belkheir", "PER"),
        ("17e brigade", "MIL"),
        ("aéroport de Gao", "FAC"),
    }
    assert links(stored[0]["result"]) == {
        ("Idris Tahar", "has_role", "colonel"),
        ("17e brigade", "controls", "aéroport de Gao"),
    }
    origins = {item["id"]: item["origin"] for item in stored[0]["result"] if "origin" in item}
    assert origins["e1"] == "prediction"
    assert origins["e4"] == "prediction-changed"
    assert "e5" not in origins
    assert sorted(origins.values()).count("manual") == 1


def test_the_screen_shows_names_titles_hints_and_instructions(
    page: Page,
    studio: Studio,
    label_studio: LabelStudio,
    project: dict[str, Any],
    task: int,
    annotator: Person,
) -> None:
    """What the schema tells annotators reaches them."""
    schema = read_schema(CONFIG.with_suffix(".yaml"))
    label_studio.update_project(
        project["id"], expert_instruction=render_instructions(schema), show_instruction=True
    )
    log_in(page, studio.url, annotator.email, annotator.password)
    screen = LabellingScreen(page, studio.url)
    screen.open(project["id"], task)
    for entity, shown in zip(schema.entities, screen.labels, strict=True):
        assert shown.startswith(f"{entity.name} {entity.title}")
    assert schema.entities[0].definition[:30] in screen.hint_of(schema.entities[0].name)
    page.get_by_role("button", name="Instructions").click()
    for relation in schema.relations:
        expect(page.get_by_text(f"{relation.name} · {relation.title}")).to_have_count(1)
