"""The loop once more in English, with three labels and one relation type."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from curate.interchange import parse_record
from curate.labelstudio.client import LabelStudio
from curate.labelstudio.codec import encode
from curate.model import Source
from curate.schema import parse_schema
from tests.conftest import Curate
from tests.integration.conftest import Studio
from tests.integration.english import SCHEMA, records

pytestmark = pytest.mark.studio


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_the_loop_runs_in_another_language_under_another_schema(
    curate: Curate,
    studio: Studio,
    label_studio: LabelStudio,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ingest, predictions made elsewhere, push, pull, gold, training, scores, export."""
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio.token)
    schema_file = tmp_path / "firms.yaml"
    schema_file.write_text(SCHEMA, "utf-8")
    schema = parse_schema(SCHEMA)
    workspace = tmp_path / "ws"
    title = f"firms {uuid.uuid4().hex[:8]}"
    made = curate("init", workspace, "--schema", schema_file, "--project", title)
    assert made.code == 0, made.err

    def run(*arguments: object) -> Any:
        result = curate("-w", workspace, *arguments, "--json")
        assert result.code == 0, result.err
        return result.json

    truth = records()
    texts = [{"id": row["id"], "text": row["text"]} for row in truth]
    assert run("ingest", write_lines(tmp_path / "texts.jsonl", texts))["added"] == len(truth)
    guesses = [row | {"relations": [], "entities": row["entities"][:1]} for row in truth]
    run("predictions", "import", write_lines(tmp_path / "guesser.jsonl", guesses))
    assert run("push")["pushed"] == len(truth)
    project = next(p for p in label_studio.projects(title=title) if p["title"] == title)
    try:
        by_id = {row["id"]: row for row in truth}
        page = label_studio.get(
            "/api/tasks/", params={"project": project["id"], "page_size": 100, "fields": "all"}
        )
        for task in page["tasks"]:
            assert set(task["data"]) == {"text", "curate_id"}
            assert len(task["predictions"]) == 1
            record = parse_record(by_id[task["data"]["curate_id"]], Source.annotator("x"))
            result = encode(record.annotation, record.document.text, schema)
            label_studio.post(f"/api/tasks/{task['id']}/annotations/", json={"result": result})
        pulled = run("pull")
        assert pulled["received"] == pulled["stored"] == len(truth)
        gold = run("gold", "build")
        assert gold["version"] == "1.0.0"
        assert gold["documents"] == len(truth)
        exported = tmp_path / "gold.jsonl"
        run("gold", "export", "--format", "jsonl", "--output", exported)
        same = curate("evaluate", exported, "--gold", write_lines(tmp_path / "t.jsonl", truth),
                      "--schema", schema_file, "--json").json  # fmt: skip
        assert same["entities"]["strict"]["f1"] == 1.0
        assert same["relations"]["strict"]["f1"] == 1.0
        trained = run("train", "--gold", "latest")
        scores = run("evaluate", trained["model"]["reference"], "--gold", "latest")
        assert scores["documents"] == len(truth)
        assert scores["entities"]["strict"]["f1"] > 0.5
        for command in (("ingest", tmp_path / "texts.jsonl"), ("push",), ("pull",)):
            again = run(*command)
            assert not any(again.get(key) for key in ("added", "pushed", "stored"))
        assert run("gold", "build")["published"] is False
    finally:
        label_studio.delete_project(project["id"])
