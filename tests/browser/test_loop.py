"""Through the browser and back: what an annotator submits is what `curate pull` brings."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from curate.labelstudio.client import LabelStudio
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
PREDICTED = [
    ("e1", "SYRTE", "LOC"),
    ("e2", "colonel", "ROLE"),
    ("e3", "Omar Zlitni", "PER"),
    ("e4", "mardi", "EVENT"),
    ("e5", "Aïda Ferchichi", "ORG"),
    ("e6", "aéroport de Hun", "FAC"),
]


def prediction() -> dict[str, Any]:
    entities = []
    for name, surface, label in PREDICTED:
        start = TEXT.index(surface)
        entity = {"id": name, "start": start, "end": start + len(surface), "label": label}
        entities.append(entity | {"score": 0.75})
    link = {"head": "e3", "tail": "e2", "label": "has_role", "score": 0.5}
    return {"id": "d1", "text": TEXT, "entities": entities, "relations": [link]}


def test_what_is_corrected_in_the_browser_is_what_pull_brings(
    curate: Curate,
    page: Page,
    studio: Studio,
    label_studio: LabelStudio,
    annotator: Person,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A label changed, a span deleted, a span and a relation added: that, and nothing else."""
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio.token)
    workspace, title = tmp_path / "ws", f"browser {uuid.uuid4().hex[:8]}"
    assert curate("init", workspace, "--project", title).code == 0

    def run(*arguments: object) -> Any:
        result = curate("-w", workspace, *arguments, "--json")
        assert result.code == 0, result.err
        return result.json

    texts, guesses = tmp_path / "texts.jsonl", tmp_path / "guesser.jsonl"
    texts.write_text(json.dumps({"id": "d1", "text": TEXT}) + "\n", "utf-8")
    guesses.write_text(json.dumps(prediction()) + "\n", "utf-8")
    run("ingest", texts)
    run("predictions", "import", guesses)
    assert run("push")["pushed"] == 1
    (project,) = (p for p in label_studio.projects(title=title) if p["title"] == title)
    try:
        listing = label_studio.get("/api/tasks/", params={"project": project["id"]})
        log_in(page, studio.url, annotator.email, annotator.password)
        screen = LabellingScreen(page, studio.url)
        screen.open(project["id"], listing["tasks"][0]["id"])
        screen.change_label("Aïda Ferchichi", "PER")
        screen.delete("mardi")
        screen.add("9e brigade", "MIL", nth=1)
        screen.relate("9e brigade", "aéroport de Hun", "controls")
        screen.submit()

        pulled = run("pull")
        assert (pulled["received"], pulled["stored"], pulled["quarantined"]) == (1, 1, 0)
        assert run("gold", "build")["version"] == "1.0.0"
        exported = tmp_path / "gold.jsonl"
        run("gold", "export", "--format", "jsonl", "--output", exported)
        (gold,) = (json.loads(line) for line in exported.read_text("utf-8").splitlines())
        by_id = {e["id"]: e for e in gold["entities"]}
        assert gold["text"] == TEXT
        second = TEXT.index("9e brigade", TEXT.index("9e brigade") + 1)
        assert sorted((TEXT[e["start"] : e["end"]], e["label"]) for e in by_id.values()) == [
            ("9e brigade", "MIL"),
            ("Aïda Ferchichi", "PER"),
            ("Omar Zlitni", "PER"),
            ("SYRTE", "LOC"),
            ("aéroport de Hun", "FAC"),
            ("colonel", "ROLE"),
        ]
        assert next(e["start"] for e in by_id.values() if e["label"] == "MIL") == second
        links = {
            (
                TEXT[by_id[r["head"]]["start"] : by_id[r["head"]]["end"]],
                r["label"],
                TEXT[by_id[r["tail"]]["start"] : by_id[r["tail"]]["end"]],
            )
            for r in gold["relations"]
        }
        assert links == {
            ("Omar Zlitni", "has_role", "colonel"),
            ("9e brigade", "controls", "aéroport de Hun"),
        }
        fate = curate("-w", workspace, "status", "--fate", "--json").json["fate"][0]["entities"]
        assert (fate["kept"], fate["relabelled"], fate["removed"], fate["added"]) == (4, 1, 1, 1)
        assert run("pull")["stored"] == 0
    finally:
        label_studio.delete_project(project["id"])
