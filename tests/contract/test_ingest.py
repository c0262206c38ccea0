"""`curate ingest`, called as a user calls it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Curate

A = (
    "La garnison de Ghadamès a reçu mardi deux pelotons venus de Zintan, selon un élu local. "
    "Le commandant du secteur n'a fait aucune déclaration à la presse depuis son arrivée."
)
B = (
    "À Alger, le ministère des Affaires étrangères a demandé des éclaircissements au gouvernement. "
    "Une réponse est attendue avant la fin de la semaine, dit-on de source diplomatique."
)


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "a.txt").write_text(f"Accueil | Une | Sport\n\n{A}\n", encoding="utf-8")
    (folder / "b.html").write_text(
        f"<html><body><article><h1>Alger attend</h1><p>{B}</p></article></body></html>",
        encoding="utf-8",
    )
    (folder / "c.jsonl").write_text(
        "\n".join(
            [
                json.dumps({"id": "c1", "text": A.replace("mardi", "mercredi"), "source": "AFP"}),
                '{"id": "c2", "text":',
                json.dumps({"id": "c3", "text": A}),
            ]
        ),
        encoding="utf-8",
    )
    return folder


def test_what_was_read_is_accounted_for(curate: Curate, workspace: Path, pages: Path) -> None:
    """Added, duplicates and rejected add up; near-duplicates are named; a second run adds none."""
    first = curate("-w", workspace, "ingest", pages, "--json")
    assert first.code == 0
    said = first.json
    assert {key: said[key] for key in ("read", "added", "unchanged", "duplicates")} == {
        "read": 4,
        "added": 3,
        "unchanged": 0,
        "duplicates": 1,
    }
    [bad] = said["rejected"]
    assert (Path(bad["path"]).name, bad["line"]) == ("c.jsonl", 2)
    assert "malformed JSON" in bad["reason"]
    assert said["dropped_lines"] == 1
    [group] = said["near_duplicates"]
    assert "c1" in group["documents"]
    assert len(group["documents"]) == 2
    assert group["group"] == min(group["documents"])

    second = curate("-w", workspace, "ingest", pages, "--json").json
    assert (second["added"], second["unchanged"], second["duplicates"]) == (0, 3, 1)


def test_dry_run_shows_each_dropped_line_and_writes_nothing(
    curate: Curate, workspace: Path, pages: Path
) -> None:
    """The reasons are shown with their rule; the store stays empty."""
    shown = curate("-w", workspace, "ingest", pages, "--dry-run")
    assert shown.code == 0
    assert "1  menu       Accueil | Une | Sport" in shown.out
    assert "several short segments" in shown.out
    assert "3 would be added" in shown.out
    assert "1 exact duplicates" in shown.out
    page = curate("-w", workspace, "ingest", pages, "--dry-run", "--json").json["pages"][0]
    assert page["dropped"][0]["reason"] == "menu"
    assert page["mapped"] == 1.0
    assert curate("-w", workspace, "ingest", pages, "--json").json["added"] == 3


def test_dry_run_needs_no_workspace(curate: Curate, pages: Path) -> None:
    """To see what cleaning does one needs a page, nothing else."""
    said = curate("ingest", pages, "--dry-run", "--json").json
    assert (said["added"], said["duplicates"], len(said["near_duplicates"])) == (3, 1, 1)


def test_the_raw_page_is_kept_and_gold_can_be_projected(
    curate: Curate, workspace: Path, pages: Path
) -> None:
    """From a span of the document to the same words in the page's bytes."""
    from curate.store import Store
    from curate.store.engine import sqlite_url

    assert curate("-w", workspace, "ingest", pages).code == 0
    with Store.open(sqlite_url(workspace / ".curate" / "store.db")) as store, store.read() as unit:
        for document in unit.documents.all():
            kept = unit.documents.raw(document.id)
            if kept is None:
                assert document.id.startswith("c")
                continue
            raw, pieces = kept
            assert raw.content == (pages / raw.path).read_bytes()
            for word in ("Ghadamès", "Alger"):
                at = document.text.find(word)
                if at >= 0:
                    low, high = pieces.to_source(at, at + len(word)) or (0, 0)
                    assert raw.content.decode(raw.encoding)[low:high] == word


def test_documents_are_immutable(curate: Curate, workspace: Path, tmp_path: Path) -> None:
    """A known id with another text is a bad record, within a run and between runs."""
    path = tmp_path / "x.jsonl"
    path.write_text('{"id":"x","text":"un"}\n{"id":"x","text":"deux"}\n', encoding="utf-8")
    first = curate("-w", workspace, "ingest", path, "--json").json
    assert (first["added"], first["rejected"][0]["line"]) == (1, 2)
    path.write_text('{"id":"x","text":"trois"}\n', encoding="utf-8")
    second = curate("-w", workspace, "ingest", path, "--json")
    assert second.code == 0
    assert "known with another text" in second.json["rejected"][0]["reason"]
    assert second.json["added"] == 0


@pytest.mark.parametrize("name", ["missing.txt", "empty.txt", "folder", "nul.txt", "x.pdf"])
def test_nothing_readable_at_all_is_an_error(
    curate: Curate, workspace: Path, tmp_path: Path, name: str
) -> None:
    """Exit 3, one sentence naming the path; the JSON is still whole."""
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "nul.txt").write_bytes(b"a\0b")
    (tmp_path / "x.pdf").write_bytes(b"%PDF")
    (tmp_path / "folder").mkdir()
    result = curate("-w", workspace, "ingest", tmp_path / name, "--json")
    assert result.code == 3
    assert name in result.err.splitlines()[-1] or name in result.err
    assert result.json["read"] == 0
    assert len(result.json["rejected"]) == 1


def test_strict_fails_on_a_bad_record_but_keeps_the_rest(
    curate: Curate, workspace: Path, pages: Path
) -> None:
    """--strict exits with 3 and names the first problem; the good records are in."""
    result = curate("-w", workspace, "ingest", pages, "--strict", "--json")
    assert result.code == 3
    assert "c.jsonl:2" in result.err
    assert result.json["added"] == 3


def test_another_language_and_column(curate: Curate, workspace: Path, tmp_path: Path) -> None:
    """--language and --text-column, on English input."""
    page = tmp_path / "a.txt"
    text = "Two platoons from Zintan arrived in Ghadames on Tuesday, a local official said."
    page.write_text(f"Leave a reply\n\n{text}\n", encoding="utf-8")
    table = tmp_path / "b.csv"
    table.write_text("id;body\nx;Some text\n", encoding="utf-8")
    assert curate("-w", workspace, "ingest", page).code == 3
    assert curate("-w", workspace, "ingest", page, "--language", "en").code == 0
    german = curate("-w", workspace, "ingest", page, "--language", "de", "--dry-run")
    assert "no words are known for 'de'" in " ".join(german.err.split())
    assert curate("-w", workspace, "ingest", table).code == 3
    assert curate("-w", workspace, "ingest", table, "--text-column", "body").code == 0


def test_the_sample_is_annotated_on_the_very_texts_that_ingest_gives(
    curate: Curate, workspace: Path
) -> None:
    """A change of cleaning that moves one character of the sample would orphan its annotations."""
    from curate.interchange import read
    from curate.store import Store
    from curate.store.engine import sqlite_url

    sample = Path(__file__).parents[2] / "examples" / "sahel"
    paths = [sample / "pages", sample / "dispatches.jsonl"]
    assert curate("-w", workspace, "ingest", *paths).code == 0
    with Store.open(sqlite_url(workspace / ".curate" / "store.db")) as store, store.read() as unit:
        texts = {document.id: document.text for document in unit.documents.all()}
    annotated = {r.document.id: r.document.text for r in read(sample / "annotator_a.jsonl")}
    assert annotated.items() <= texts.items()


def test_groups_grow_over_runs(curate: Curate, workspace: Path, tmp_path: Path) -> None:
    """A reprint that comes later joins the group; a bridge renames it after its smallest id."""
    path = tmp_path / "x.jsonl"
    for identifier, text in (("m", A), ("z", A.replace("mardi", "jeudi")), ("a", f"{A} Fin.")):
        path.write_text(json.dumps({"id": identifier, "text": text}), encoding="utf-8")
        said = curate("-w", workspace, "ingest", path, "--json").json
    assert said["near_duplicates"] == [{"group": "a", "documents": ["a", "m", "z"]}]


def test_a_run_that_was_killed_is_taken_up_again(
    curate: Curate, workspace: Path, tmp_path: Path
) -> None:
    """After SIGKILL in the middle the next run adds what is missing, and doubles nothing."""
    rows = 4000
    path = tmp_path / "many.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        for i in range(rows):
            words = " ".join(f"mot{(i * 7919 + k * 104729) % 50021}" for k in range(60))
            stream.write(json.dumps({"id": f"d{i:05}", "text": words}) + "\n")
    program = "from curate.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "-w", str(workspace), "ingest", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    held = 0
    deadline = time.monotonic() + 60
    while held == 0 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
        held = _count(workspace)
    process.send_signal(signal.SIGKILL)
    process.wait()
    held = _count(workspace)
    assert 0 < held <= rows
    said = curate("-w", workspace, "ingest", path, "--json").json
    assert (said["unchanged"], said["added"]) == (held, rows - held)
    assert _count(workspace) == rows


def _count(workspace: Path) -> int:
    import sqlite3

    connection = sqlite3.connect(workspace / ".curate" / "store.db", timeout=30)
    try:
        return int(connection.execute("SELECT count(*) FROM document").fetchone()[0])
    finally:
        connection.close()


def test_a_folder_of_other_kinds_is_told_what_makes_text_of_them(
    curate: Curate, workspace: Path, tmp_path: Path
) -> None:
    """One sentence at the end, for PDF and for a word processor's files."""
    for folder, name, tool in (("p", "a.pdf", "pdftotext"), ("d", "b.docx", "pandoc")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(b"%PDF-1.4")
        for path in (tmp_path / folder, tmp_path / folder / name):
            done = curate("-w", workspace, "ingest", path)
            assert done.code == 3
            assert f"`{tool} " in done.err.splitlines()[-1]
