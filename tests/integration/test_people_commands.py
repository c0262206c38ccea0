"""`curate studio`, `annotators` and `schema diff` on a real Label Studio."""

from __future__ import annotations

import shlex
import uuid
from pathlib import Path
from typing import Any

import pytest

from curate.labelstudio import people
from curate.labelstudio.client import LabelStudio
from tests.conftest import Curate
from tests.integration.conftest import CONFIG, MakeProject, Studio

pytestmark = pytest.mark.studio


@pytest.fixture
def housed(studio: Studio, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose embedded studio is the session's; nothing in the environment."""
    monkeypatch.delenv("LABEL_STUDIO_URL", raising=False)
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)
    (workspace / ".curate" / "studio").symlink_to(studio.server.folder)
    return workspace


def test_the_workspace_s_own_studio_is_found(
    curate: Curate,
    housed: Path,
    studio: Studio,
) -> None:
    """up, status and env tell one story; no secret but where it was asked for."""
    up = curate("-w", housed, "studio", "up", "--json")
    assert up.json["url"] == studio.url
    assert up.json["started"] is False
    plain = curate("-w", housed, "studio", "up")
    assert studio.username in plain.out
    assert str(housed / ".curate" / "studio" / "credentials.json") in plain.out.replace("\n", "")
    for secret in (studio.password, studio.token):
        assert secret not in up.out + up.err + plain.out + plain.err
    assert studio.password in curate("-w", housed, "studio", "up", "--show-password").out
    assert curate("-w", housed, "studio", "status", "--json").json["state"] == "up"
    lines = curate("-w", housed, "studio", "env").out.splitlines()
    assigned = dict(shlex.split(line)[0].split("=", 1) for line in lines)
    assert assigned == {"LABEL_STUDIO_URL": studio.url, "LABEL_STUDIO_API_KEY": studio.token}


def test_invite_makes_a_person_who_logs_in_with_the_password_in_the_file(
    curate: Curate,
    housed: Path,
    studio: Studio,
) -> None:
    """And a second time changes nothing; the list knows them by pseudonym."""
    email = f"p{uuid.uuid4().hex[:8]}@example.org"
    first = curate("-w", housed, "annotators", "invite", email.upper(), "--json").json
    kept = Path(first["password_file"])
    assert kept.stat().st_mode & 0o077 == 0
    assert people.can_log_in(studio.url, email, kept.read_text().strip())
    second = curate("-w", housed, "annotators", "invite", email, "--json").json
    assert second == first | {"created": False, "password_file": None}
    listed = curate("-w", housed, "annotators", "list", "--json").json
    assert [(a["pseudonym"], a["email"]) for a in listed] == [(first["pseudonym"], email)]
    assert curate("-w", housed, "annotators", "rename", first["pseudonym"], "lynx").code == 0
    assert curate("-w", housed, "annotators", "list", "--json").json[0]["pseudonym"] == "lynx"


def test_a_given_password_is_taken_from_its_file_and_never_shown(
    curate: Curate,
    housed: Path,
    studio: Studio,
    tmp_path: Path,
) -> None:
    """The first line, without its end."""
    email = f"p{uuid.uuid4().hex[:8]}@example.org"
    file = tmp_path / "password"
    file.write_bytes("mot de passe très long\r\nsecond line\n".encode())
    done = curate("-w", housed, "annotators", "invite", email, "--password-file", file)
    assert done.code == 0
    assert "mot de passe" not in done.out + done.err
    assert people.can_log_in(studio.url, email, "mot de passe très long")
    file.write_text("short\n")
    refused = curate("-w", housed, "annotators", "invite", "x" + email, "--password-file", file)
    assert refused.code == 2
    assert "short" not in refused.err


def test_a_wrong_token_is_one_sentence_without_the_token(
    curate: Curate,
    housed: Path,
    studio: Studio,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Legacy and personal; exit code 4."""
    personal = "eyJhbGciOiJIUzI1NiJ9.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCJ9.c2ln"
    for token in ("f" * 40, personal):
        monkeypatch.setenv("LABEL_STUDIO_URL", studio.url)
        monkeypatch.setenv("LABEL_STUDIO_API_KEY", token)
        result = curate("-w", housed, "annotators", "invite", "n@example.org")
        assert result.code == 4
        assert result.err.count("\n") == 1
        assert token not in result.err
        assert "LABEL_STUDIO_API_KEY" in result.err


def test_schema_diff_counts_labels_in_use_that_would_be_orphaned(
    curate: Curate,
    housed: Path,
    label_studio: LabelStudio,
    make_project: MakeProject,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In predictions and imported annotations, which Label Studio's own check never counts."""
    xml = CONFIG.read_text(encoding="utf-8").replace('value="LOC"', 'value="GPE"')
    made = make_project(xml)
    value: dict[str, Any] = {"start": 0, "end": 3, "text": "Gao", "labels": ["GPE"]}
    item = {
        "id": "e1",
        "from_name": "label",
        "to_name": "text",
        "type": "labels",
        "value": value,
    }
    task = {
        "data": {"text": "Gao.", "curate_id": "d"},
        "predictions": [{"model_version": "m", "result": [item]}],
        "annotations": [{"result": [item], "ground_truth": False}],
    }
    label_studio.import_tasks(made["id"], [task])
    monkeypatch.setenv("CURATE_STUDIO_PROJECT", made["title"])
    found = curate("-w", housed, "schema", "diff", "--project", "--json")
    assert found.code == 1
    assert found.json["missing_entities"] == ["LOC"]
    assert found.json["extra_entities"] == ["GPE"]
    assert found.json["orphaned_entities"] == {"GPE": 2}


def test_schema_diff_of_a_project_made_from_the_schema_is_empty(
    curate: Curate,
    housed: Path,
    make_project: MakeProject,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though Label Studio strips the line feed at its end."""
    monkeypatch.setenv("CURATE_STUDIO_PROJECT", make_project()["title"])
    assert curate("-w", housed, "schema", "diff", "--project").code == 0
