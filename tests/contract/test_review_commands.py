"""What users of `curate review`, `curate report` and `agreement --bias` meet without a server."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from curate.cli.common import Context
from tests.conftest import Curate


def test_an_empty_workspace_has_nothing_open(curate: Curate, workspace: Path) -> None:
    """Status reads the store alone: no Label Studio is needed."""
    result = curate("-w", workspace, "review", "status", "--json")
    assert result.code == 0
    assert (result.json["open"], result.json["decided"], result.json["points"]) == (0, 0, 0)
    assert result.json["suspicions"]["precision"] is None
    assert "0 documents" in curate("-w", workspace, "review", "status").out


def test_without_a_label_studio_push_and_pull_say_so(curate: Curate, workspace: Path) -> None:
    """One sentence, exit 4."""
    for command in ("push", "pull"):
        result = curate("-w", workspace, "review", command)
        assert result.code == 4
        assert "curate studio up" in result.err


def test_bias_without_a_draw_says_how_to_make_one(curate: Curate, workspace: Path) -> None:
    """Exit 3 with the command to run; files beside it are a wrong call."""
    result = curate("-w", workspace, "agreement", "--bias")
    assert result.code == 3
    assert "curate push --blind 0.1" in result.err
    wrong = curate("-w", workspace, "agreement", "--bias", "a.jsonl", "b.jsonl")
    assert wrong.code == 2


def test_the_annotators_page_is_written_where_asked(
    curate: Curate, workspace: Path, tmp_path: Path
) -> None:
    """Nobody yet: a page that says so, and empty JSON."""
    page = tmp_path / "pages" / "people.html"
    result = curate("-w", workspace, "report", "annotators", "--output", page, "--json")
    assert result.code == 0
    assert result.json == {"annotators": []}
    assert "Nobody has annotated yet" in page.read_text("utf-8")


def test_a_rule_that_is_none_is_refused_by_name(curate: Curate, workspace: Path) -> None:
    """curate.toml is named, with the key."""
    toml = workspace / "curate.toml"
    toml.write_text(toml.read_text("utf-8").replace('rule = "unanimous"', 'rule = "loudest"'))
    result = curate("-w", workspace, "review", "status")
    text = curate("-w", workspace, "gold", "build").err + result.err
    assert "consensus.rule" in text


def test_a_share_that_is_none_is_refused(curate: Curate, workspace: Path) -> None:
    assert curate("-w", workspace, "push", "--blind", "1.5").code == 2


def test_where_nothing_waits_no_review_project_is_made(
    curate: Curate, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Label Studio is not even asked; the sentence says where to look."""

    class Untouched:
        url = "http://127.0.0.1:8080"

    monkeypatch.setattr(Context, "label_studio", lambda self: nullcontext(Untouched()))
    result = curate("-w", workspace, "review", "push")
    assert result.code == 0
    assert "nothing waits for a curator" in result.out
    assert "`curate status`" in result.out
    pushed = curate("-w", workspace, "review", "push", "--json").json
    assert (pushed["project_id"], pushed["created"], pushed["documents"]) == (None, False, 0)
