"""What lint finds in the decisions goes to a person, once."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from curate.labelstudio.client import LabelStudio
from tests.conftest import Curate
from tests.integration.conftest import Studio

pytestmark = pytest.mark.studio


def test_lint_findings_become_review_tasks_once(
    curate: Curate,
    studio: Studio,
    label_studio: LabelStudio,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio.token)
    workspace, title = tmp_path / "ws", f"lint {uuid.uuid4().hex[:8]}"
    assert curate("init", workspace, "--project", title).code == 0
    rows = [
        {"id": "a", "text": "Vers l’Algérie, hier.", "entities": [{"start": 5, "end": 14}]},
        {"id": "b", "text": "Vers Oran, hier.", "entities": [{"start": 5, "end": 9}]},
    ]
    for row in rows:
        row["entities"][0]["label"] = "LOC"  # type: ignore[index]
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert curate("-w", workspace, "gold", "import", tmp_path / "gold.jsonl").code == 0
    try:
        first = curate("-w", workspace, "gold", "lint", "--push", "--json")
        assert first.code == 1, first.err
        assert {f["document"] for f in first.json["findings"]} == {"a"}
        assert first.json["pushed"] == 1
        again = curate("-w", workspace, "gold", "lint", "--push", "--json")
        assert again.json["pushed"] == 0
        status = curate("-w", workspace, "review", "status", "--json").json
        assert "open" in json.dumps(status)
    finally:
        for project in label_studio.projects():
            if str(project["title"]).startswith(title):
                label_studio.delete_project(project["id"])
