"""`curate studio`, `annotators` and `schema`, as far as they go without a Label Studio."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Curate


def test_a_workspace_without_a_studio_says_so(curate: Curate, workspace: Path) -> None:
    """Status is a report, exit code 0; env has nothing to print, exit code 4."""
    status = curate("-w", workspace, "studio", "status", "--json")
    assert status.code == 0
    assert (status.json["state"], status.json["up"], status.json["url"]) == ("down", False, None)
    env = curate("-w", workspace, "studio", "env")
    assert (env.code, env.out) == (4, "")
    assert "curate studio up" in env.err
    assert curate("-w", workspace, "studio", "down", "--json").json == {
        "stopped": False,
        "pid": None,
    }


def test_looking_leaves_nothing_behind(curate: Curate, workspace: Path) -> None:
    """Status and down make no folder."""
    for verb in ("status", "down"):
        curate("-w", workspace, "studio", verb)
    assert not (workspace / ".curate" / "studio").exists()


def test_a_taken_port_is_a_usage_error_at_once(curate: Curate, workspace: Path) -> None:
    """Typer bounds it; a privileged one is refused."""
    assert curate("-w", workspace, "studio", "up", "--port", "80").code == 2


def test_nobody_to_list_and_nobody_to_rename(curate: Curate, workspace: Path) -> None:
    """An empty list is a result; an unknown pseudonym is an error of data."""
    listed = curate("-w", workspace, "annotators", "list", "--json")
    assert (listed.code, listed.json) == (0, [])
    renamed = curate("-w", workspace, "annotators", "rename", "nobody", "lynx")
    assert renamed.code == 3
    assert "nobody" in renamed.err


def test_inviting_without_a_label_studio_is_4(curate: Curate, workspace: Path) -> None:
    """And says how to start one."""
    invited = curate("-w", workspace, "annotators", "invite", "nadia@example.org")
    assert invited.code == 4
    assert "curate studio up" in invited.err
    assert not (workspace / ".curate" / "invitations").exists()


def test_a_password_file_that_is_missing_is_named(curate: Curate, workspace: Path) -> None:
    """Before anybody is spoken to."""
    invited = curate(
        "-w", workspace, "annotators", "invite", "n@example.org", "--password-file", "nowhere"
    )
    assert invited.code == 3
    assert "nowhere" in invited.err


def test_render_writes_once_and_check_finds_what_is_out_of_date(
    curate: Curate, workspace: Path
) -> None:
    """The second run changes nothing; --check writes nothing and exits 1 where it would."""
    xml = workspace / "label_configs" / "sahel.xml"
    assert curate("-w", workspace, "schema", "render", "--json").json["changed"] is False
    before = xml.read_bytes()
    xml.write_bytes(b"<View/>")
    assert curate("-w", workspace, "schema", "render", "--check").code == 1
    assert xml.read_bytes() == b"<View/>"
    assert curate("-w", workspace, "schema", "render", "--json").json["changed"] is True
    assert xml.read_bytes() == before


def test_render_goes_where_it_is_told(curate: Curate, workspace: Path, tmp_path: Path) -> None:
    """And a folder in place of a file is one sentence."""
    out = tmp_path / "mine.xml"
    assert curate("-w", workspace, "schema", "render", "-o", out).code == 0
    assert out.read_bytes() == (workspace / "label_configs" / "sahel.xml").read_bytes()
    refused = curate("-w", workspace, "schema", "render", "-o", tmp_path)
    assert refused.code == 3


def test_the_instructions_can_be_read(curate: Curate, workspace: Path) -> None:
    """As HTML on standard output."""
    shown = curate("-w", workspace, "schema", "render", "--instructions")
    assert shown.out.startswith("<h2>")


def test_diff_is_0_where_equal_and_1_where_not(
    curate: Curate, workspace: Path, tmp_path: Path
) -> None:
    """Against the workspace's configuration, another's, and another schema."""
    assert curate("-w", workspace, "schema", "diff").code == 0
    other = tmp_path / "other.yaml"
    other.write_text("name: other\nentities:\n  - name: PER\n  - name: THING\n", encoding="utf-8")
    found = curate("-w", workspace, "schema", "diff", other, "--json")
    assert found.code == 1
    assert found.json["extra_entities"] == ["THING"]
    assert "LOC" in found.json["missing_entities"]
    assert curate("-w", workspace, "schema", "diff", other, "--project").code == 2


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "well-formed"), (b"<View>\n<a", "2"), (b"\xff<View/>", "UTF-8")]
)
def test_diff_names_file_and_line_of_what_is_no_configuration(
    content: bytes, said: str, curate: Curate, workspace: Path, tmp_path: Path
) -> None:
    """One sentence, exit code 3."""
    path = tmp_path / "bad.xml"
    path.write_bytes(content)
    found = curate("-w", workspace, "schema", "diff", path)
    assert found.code == 3
    assert "bad.xml" in found.err
    assert said in found.err
