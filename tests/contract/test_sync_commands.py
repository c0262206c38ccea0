"""push, pull, status, quarantine and predictions import, as far as they need no Label Studio."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from curate.cli.app import run
from tests.contract.conftest import Curate

LINE = {
    "id": "d1",
    "text": "Awa Touré visite Tripoli.",
    "entities": [
        {"id": "e1", "start": 0, "end": 9, "label": "PER", "score": 0.9},
        {"id": "e2", "start": 17, "end": 24, "label": "LOC"},
    ],
    "relations": [{"head": "e1", "tail": "e2", "label": "visits"}],
}


@pytest.fixture
def folder(fresh_workspace: Path, tmp_path: Path) -> Path:
    """A workspace with one document."""
    folder = Path(shutil.copytree(fresh_workspace, tmp_path / "ws"))
    path = write(tmp_path / "docs.jsonl", LINE)
    assert run(["-w", str(folder), "ingest", str(path)]) == 0
    return folder


OTHER = {"id": "d2", "text": "Un tout autre texte, sur le marché de Gao."}


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


@pytest.mark.parametrize("command", ["push", "pull", "sync"])
def test_without_a_label_studio_it_says_what_to_do(
    curate: Curate, folder: Path, command: str
) -> None:
    """Exit 4, one sentence, the next command named."""
    result = curate("-w", folder, command)
    assert (result.code, result.out) == (4, "")
    assert "curate studio up" in result.err


def test_full_and_replay_exclude_each_other(curate: Curate, folder: Path) -> None:
    """One asks Label Studio for everything, the other for nothing."""
    result = curate("-w", folder, "pull", "--full", "--replay")
    assert result.code == 2
    assert "choose one" in result.err


def test_replay_of_nothing_is_nothing(curate: Curate, folder: Path) -> None:
    """No Label Studio is asked, and the keys are those of a pull."""
    found = curate("-w", folder, "pull", "--replay", "--json").json
    keys = ("received", "stored", "unchanged", "quarantined", "deleted")
    assert [found[key] for key in keys] == [0, 0, 0, 0, 0]


def test_status_says_what_comes_next(curate: Curate, folder: Path) -> None:
    """A fresh workspace, one with a document, and the fate of nothing."""
    found = curate("-w", folder, "status", "--json").json
    assert (found["documents"], found["waiting"], found["quarantined"]) == (1, 1, 0)
    assert found["next"] == ["curate preannotate", "curate push"]
    assert "curate preannotate" in curate("-w", folder, "status").out
    assert curate("-w", folder, "status", "--fate").code == 0
    assert curate("-w", folder, "status", "--fate", "--json").json["fate"] == []


def test_an_empty_quarantine_is_said_to_be_empty(curate: Curate, folder: Path) -> None:
    """list is empty, show refuses an unknown number, retry changes nothing."""
    assert "nothing is quarantined" in curate("-w", folder, "quarantine", "list").out
    assert curate("-w", folder, "quarantine", "list", "--json").json == []
    result = curate("-w", folder, "quarantine", "show", "7")
    assert result.code == 3
    assert "quarantine list" in result.err
    assert curate("-w", folder, "quarantine", "retry", "--json").json["mended"] == 0


def test_predictions_made_elsewhere_are_taken_once(
    curate: Curate, folder: Path, tmp_path: Path
) -> None:
    """Named by the file, its version as given, its digest that of the content; twice is once."""
    path = write(tmp_path / "mine.jsonl", LINE)
    first = curate("-w", folder, "predictions", "import", path, "--version", "7", "--json").json
    assert (first["imported"], first["unchanged"], first["refused"]) == (1, 0, [])
    assert (first["model"]["name"], first["model"]["version"]) == ("mine", "7")
    assert len(first["model"]["digest"]) == 64
    again = curate("-w", folder, "predictions", "import", path, "--version", "7", "--json").json
    assert (again["imported"], again["unchanged"]) == (0, 1)
    assert curate("-w", folder, "status", "--json").json["predicted"] == 1


BAD = {
    "another text": (LINE | {"id": "d2"}, "differs from the one"),
    "span outside": (
        LINE | {"entities": [{"id": "e", "start": 0, "end": 99, "label": "PER"}], "relations": []},
        "outside the text",
    ),
    "unknown label": (
        LINE | {"entities": [{"id": "e", "start": 0, "end": 3, "label": "DOG"}], "relations": []},
        "'DOG'",
    ),
    "dangling": (LINE | {"relations": [{"head": "e1", "tail": "x", "label": "visits"}]}, "'x'"),
    "no object": ([1], "not a JSON object"),
}


@pytest.mark.parametrize(("record", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_line_is_named_and_the_others_come_in(
    curate: Curate, folder: Path, tmp_path: Path, record: object, reason: str
) -> None:
    """File and line stand in the message; --strict makes it a failure."""
    curate("-w", folder, "ingest", write(tmp_path / "other.jsonl", OTHER))
    path = write(tmp_path / "mixed.jsonl", record, LINE)
    result = curate("-w", folder, "predictions", "import", path)
    assert result.code == 0
    assert "1 predictions imported" in result.out
    assert "mixed.jsonl:1: " in result.err
    assert reason in result.err
    assert curate("-w", folder, "predictions", "import", path, "--strict").code == 1


def test_a_file_of_unknown_documents_is_refused(
    curate: Curate, folder: Path, tmp_path: Path
) -> None:
    """Nothing to predict: exit 3, and what to do."""
    path = write(tmp_path / "other.jsonl", LINE | {"id": "d9"})
    result = curate("-w", folder, "predictions", "import", path)
    assert result.code == 3
    assert "'d9'" in result.err
    assert "curate ingest" in result.err


def test_a_file_whose_every_line_is_wrong_ends_with_the_first_error(
    curate: Curate, folder: Path, tmp_path: Path
) -> None:
    """Exit 3 with file, line and what is wrong; nothing about ingesting, which would not help."""
    wrong = [record for record, _ in BAD.values() if record != BAD["another text"][0]]
    path = write(tmp_path / "wrong.jsonl", *wrong)
    result = curate("-w", folder, "predictions", "import", path)
    assert result.code == 3
    last = " ".join(result.err.split())
    assert "wrong.jsonl:1: " in last
    assert f"(and {len(wrong) - 1} more)" in last
    assert "curate ingest" not in last
    single = curate("-w", folder, "predictions", "import", write(tmp_path / "one.jsonl", [1]))
    assert (single.code, "more)" in single.err) == (3, False)


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_file_that_is_none_is_refused(
    curate: Curate, folder: Path, tmp_path: Path, name: str
) -> None:
    """A missing file, a directory."""
    assert curate("-w", folder, "predictions", "import", tmp_path / name).code == 3


def test_predictions_go_out_and_come_back_the_same(
    curate: Curate, workspace: Path, tmp_path: Path
) -> None:
    """Every document stands in the file, read or not; what comes back is what went out."""
    for name in ("a", "b"):
        text = f"Le colonel Idris Tahar est arrivé mardi à Ghadamès, note {name}.\n"
        (tmp_path / f"{name}.txt").write_text(text, "utf-8")
    assert curate("-w", workspace, "ingest", tmp_path / "a.txt", tmp_path / "b.txt").code == 0
    bare = curate("-w", workspace, "predictions", "export", tmp_path / "bare.jsonl", "--json")
    assert (bare.json["documents"], bare.json["predicted"], bare.json["model"]) == (2, 0, None)
    assert curate("-w", workspace, "preannotate", "--limit", "1").code == 0
    out = curate("-w", workspace, "predictions", "export", tmp_path / "p.jsonl", "--json")
    assert (out.json["documents"], out.json["predicted"]) == (2, 1)
    back = curate("-w", workspace, "predictions", "import", tmp_path / "p.jsonl", "--json")
    assert (back.json["imported"], back.json["refused"], back.json["unknown"]) == (2, [], [])
    again = curate("-w", workspace, "predictions", "export", tmp_path / "p.jsonl")
    assert again.code == 2
    other = curate("-w", workspace, "predictions", "export", tmp_path / "x.jsonl", "--name", "nix")
    assert other.code == 3
    assert "bootstrap" in other.err
