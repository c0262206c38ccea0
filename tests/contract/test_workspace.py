"""init, doctor, schema, db."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from curate.resources import default_schema
from curate.settings import read_settings
from tests.conftest import Curate

ENGLISH = """\
name: firms
language: en
entities:
  - {name: PERSON, color: "#1f77b4", hotkey: p}
  - {name: FIRM, color: "#ff7f0e", hotkey: f}
  - {name: PLACE, color: "#2ca02c", hotkey: l}
relations:
  - {name: works_for, head: [PERSON], tail: [FIRM]}
"""


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("store.db")
    }


def test_init_makes_a_workspace_and_again_changes_nothing(curate: Curate, tmp_path: Path) -> None:
    folder = tmp_path / "ws"
    first = curate("init", folder, "--json")
    assert first.code == 0
    assert {"curate.toml", "label_configs/sahel.yaml", ".curate/store.db"} <= set(
        first.json["created"]
    )
    before = files(folder)
    second = curate("init", folder, "--json")
    assert second.code == 0
    assert second.json["created"] == []
    assert files(folder) == before


def test_init_keeps_what_the_user_changed(curate: Curate, workspace: Path) -> None:
    path = workspace / "curate.toml"
    path.write_text(path.read_text() + "\n# mine\n")
    assert curate("init", workspace).code == 0
    assert path.read_text().endswith("# mine\n")


def test_init_takes_another_schema_and_language(curate: Curate, tmp_path: Path) -> None:
    schema = tmp_path / "mine.yaml"
    schema.write_text(ENGLISH)
    assert curate("init", tmp_path / "en", "--schema", schema).code == 0
    text = (tmp_path / "en" / "curate.toml").read_text()
    assert 'name = "firms"' in text
    assert 'language = "en"' in text
    result = curate("-w", tmp_path / "en", "schema", "check", "--json")
    assert result.json["entities"] == ["PERSON", "FIRM", "PLACE"]


def test_init_refuses_a_file_and_a_bad_schema(curate: Curate, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert curate("init", tmp_path / "file").code == 3
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\n")
    result = curate("init", tmp_path / "new", "--schema", bad)
    assert result.code == 3
    assert "bad.yaml:1: " in result.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--language", 'x"y'),
        ("--project", "ab"),
        ("--corpus", "../x"),
        ("--corpus", "Ünfug"),
        ("--project", "x" * 51),
    ],
)
def test_init_refuses_what_it_could_not_read_again(
    curate: Curate, tmp_path: Path, options: tuple[str, str]
) -> None:
    """Refused before anything is made."""
    result = curate("init", *options, tmp_path / "new")
    assert result.code == 2
    assert options[0] in result.err
    assert list(tmp_path.iterdir()) == []


def test_any_title_is_read_back_as_it_was_given(curate: Curate, tmp_path: Path) -> None:
    title = 'a"b\\c é\u2028🇱🇾'
    assert curate("init", tmp_path / "w", "--project", title).code == 0
    assert read_settings(tmp_path / "w").studio.project == title
    assert curate("-w", tmp_path / "w", "db", "check").code == 0


@pytest.mark.parametrize("name", ["../../evil", "a/b", ".hidden", "a\\\\b"])
def test_a_schema_name_never_becomes_a_path(curate: Curate, tmp_path: Path, name: str) -> None:
    schema = tmp_path / "s.yaml"
    schema.write_text(ENGLISH.replace("name: firms", f'name: "{name}"'))
    assert curate("schema", "check", schema).code == 3
    assert curate("init", "--schema", schema, tmp_path / "deep" / "er").code == 3
    assert [path.name for path in tmp_path.iterdir()] == ["s.yaml"]


def test_a_fresh_workspace_with_ones_own_schema_is_sound(curate: Curate, tmp_path: Path) -> None:
    """Its Label Studio configuration is rendered at once."""
    schema = tmp_path / "mine.yaml"
    schema.write_text(ENGLISH)
    assert curate("init", tmp_path / "en", "--schema", schema).code == 0
    assert curate("-w", tmp_path / "en", "schema", "render", "--check").code == 0
    wrong = [
        c for c in curate("-w", tmp_path / "en", "doctor", "--json").json["checks"] if not c["ok"]
    ]
    assert [check["name"] for check in wrong] == ["Label Studio"]


def test_init_where_no_folder_can_be_is_a_sentence(curate: Curate) -> None:
    result = curate("init", "/proc/curate-test")
    assert result.code == 3
    assert "/proc/curate-test" in result.err


def test_a_database_of_somebody_else_is_not_taken_over(
    curate: Curate, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE documents (id)")
    connection.close()
    monkeypatch.setenv("CURATE_DATABASE_URL", f"sqlite:///{other}")
    result = curate("-w", workspace, "db", "upgrade")
    assert result.code == 3
    assert "not curate's" in result.err


@pytest.mark.parametrize(
    "shell", ['"$0" -m curate "$@" >&-', 'PYTHONIOENCODING=ascii "$0" -m curate "$@"']
)
def test_a_closed_or_narrow_output_is_no_bug(shell: str, workspace: Path) -> None:
    """What cannot be shown is escaped; what nobody reads goes nowhere."""
    run = subprocess.run(
        ["sh", "-c", shell, sys.executable, "-w", str(workspace), "gold", "show", "1.0.0", "😀"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 3
    assert "bug" not in run.stderr


def test_schema_check_names_file_and_line(curate: Curate, tmp_path: Path) -> None:
    text = default_schema().read_text("utf-8").replace("tail: [ROLE]", "tail: [ROLES]", 1)
    line = text[: text.index("[ROLES]")].count("\n") + 1
    path = tmp_path / "s.yaml"
    path.write_text(text, "utf-8")
    result = curate("schema", "check", path)
    assert result.code == 3
    assert f"s.yaml:{line}: " in result.err


def test_doctor_says_how_to_mend(curate: Curate, workspace: Path) -> None:
    """Without a Label Studio one check fails, and its line says what to run."""
    result = curate("-w", workspace, "doctor", "--json")
    assert result.code == 1
    wrong = [check for check in result.json["checks"] if not check["ok"]]
    assert [check["name"] for check in wrong] == ["Label Studio"]
    assert "curate studio up" in wrong[0]["mend"]


def test_doctor_finds_a_configuration_that_is_not_the_schemas(
    curate: Curate, workspace: Path
) -> None:
    path = workspace / "label_configs" / "sahel.xml"
    path.write_text(path.read_text("utf-8").replace("PER", "PERS", 1), "utf-8")
    result = curate("-w", workspace, "doctor", "--json")
    assert result.code == 1
    assert "configuration" in [c["name"] for c in result.json["checks"] if not c["ok"]]


def test_db_upgrade_twice_changes_nothing(curate: Curate, workspace: Path) -> None:
    result = curate("-w", workspace, "db", "upgrade", "--json")
    assert result.code == 0
    assert result.json["changed"] is False


def test_db_upgrade_makes_a_lost_store_again(curate: Curate, workspace: Path) -> None:
    for path in (workspace / ".curate").glob("store.db*"):
        path.unlink()
    result = curate("-w", workspace, "db", "check")
    assert result.code == 3
    assert "curate db upgrade" in result.err
    assert curate("-w", workspace, "db", "upgrade").code == 0
    assert curate("-w", workspace, "db", "check").code == 0


def test_db_check_finds_a_changed_text(curate: Curate, workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "a", "text": "Alger, le 3 mai."}\n')
    assert curate("-w", workspace, "ingest", tmp_path / "a.jsonl").code == 0
    with sqlite3.connect(workspace / ".curate" / "store.db") as connection:
        connection.execute("UPDATE document SET text = 'Oran'")
    connection.close()
    result = curate("-w", workspace, "db", "check", "--json")
    assert result.code == 1
    assert "'a'" in result.json["findings"][0]


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0garbage", b"nonsense" * 1000])
def test_a_damaged_store_is_one_sentence(curate: Curate, workspace: Path, content: bytes) -> None:
    for path in (workspace / ".curate").glob("store.db*"):
        path.unlink()
    (workspace / ".curate" / "store.db").write_bytes(content)
    result = curate("-w", workspace, "db", "check")
    assert result.code == 3
    assert result.err.count("\n") == 1


def test_db_backup_and_restore_move_a_workspace(
    curate: Curate, workspace: Path, tmp_path: Path
) -> None:
    """The same documents stand in another workspace; a second restore is refused."""
    (tmp_path / "a.txt").write_text("Un convoi est parti mardi de Sebha pour Ghat.\n", "utf-8")
    assert curate("-w", workspace, "ingest", tmp_path / "a.txt").code == 0
    saved = curate("-w", workspace, "db", "backup", tmp_path / "b.zip", "--json")
    assert saved.code == 0
    assert saved.json["rows"]["document"] == 1
    assert curate("-w", workspace, "db", "backup", tmp_path / "b.zip").code == 3
    other = tmp_path / "other"
    assert curate("init", other).code == 0
    assert curate("-w", other, "db", "restore", tmp_path / "b.zip").code == 0
    assert (
        curate("-w", other, "status", "--json").json["documents"]
        == (curate("-w", workspace, "status", "--json").json["documents"])
    )
    again = curate("-w", other, "db", "restore", tmp_path / "b.zip")
    assert again.code == 3
    assert "holds data already" in again.err
