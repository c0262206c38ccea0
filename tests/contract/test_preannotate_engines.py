"""`curate preannotate` over files, with several processes, interrupted."""

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

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")

SOURCE = """
import time
from curate.model import Annotation, Source

def slow(documents):
    for document in documents:
        time.sleep(0.03)
        yield Annotation.of(document.id, [], [], Source.model("m"))
"""


def write(path: Path, count: int) -> Path:
    lines = [json.dumps({"id": f"d{i}", "text": f"Le maire de Sebha, {i}."}) for i in range(count)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_files_in_and_files_out(curate: Curate, workspace: Path, tmp_path: Path) -> None:
    """The same files from one process and from two; a second run does nothing."""
    source = write(tmp_path / "in.jsonl", 30)
    seen = []
    for name, processes in (("a", 1), ("b", 2)):
        told = curate(
            *("-w", workspace, "preannotate", "--input", source, "--output", tmp_path / name),
            *("--partition", 7, "--processes", processes, "--json"),
        )
        assert told.code == 0, told.err
        assert (told.json["predicted"], told.json["partitions"]) == (30, 5)
        seen.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert seen[0] == seen[1]
    again = curate(
        *("-w", workspace, "preannotate", "--input", source, "--output", tmp_path / "a"),
        *("--partition", 7),
    )
    assert "30 documents read, 0 predicted, 30 done before" in again.out


def test_a_file_answers_for_documents_of_the_store(
    curate: Curate, workspace: Path, tmp_path: Path
) -> None:
    """--input alone: what the store knows is answered, and is not asked about again."""
    source = write(tmp_path / "in.jsonl", 5)
    assert curate("-w", workspace, "preannotate", "--input", source).code == 3
    assert curate("-w", workspace, "ingest", source).code == 0
    told = curate("-w", workspace, "preannotate", "--input", source, "--json")
    assert (told.json["predicted"], told.json["unknown"]) == (5, 0)
    assert curate("-w", workspace, "preannotate", "--json").json["skipped"] == 5


def test_bad_records_fail_a_strict_run_alone(
    curate: Curate, workspace: Path, tmp_path: Path
) -> None:
    """They are named with file and line; what is right is answered in either case."""
    source = write(tmp_path / "in.jsonl", 3)
    with source.open("a", encoding="utf-8") as stream:
        stream.write("{nonsense\n")
    line = ("-w", workspace, "preannotate", "--input", source, "--output")
    lax = curate(*line, tmp_path / "a")
    assert lax.code == 0
    assert "in.jsonl:4: malformed JSON" in lax.err
    strict = curate(*line, tmp_path / "b", "--strict")
    assert (strict.code, strict.out) == (3, lax.out.replace("/a;", "/b;"))


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--engine", "ray"], 2, "neither `local` nor the address of a Dask scheduler"),
        (["--engine", "dask://h:1", "--processes", "2"], 2, "--processes is of --engine local"),
        (["--output", "s4://b/x"], 3, "no address of files"),
        (["--input", "nothing.jsonl", "--output", "out"], 3, "no such file"),
    ],
)
def test_wrong_options_are_one_sentence(
    curate: Curate, workspace: Path, options: list[str], code: int, said: str
) -> None:
    """What is wrong, with the exit code of its kind."""
    told = curate("-w", workspace, "preannotate", *options)
    assert told.code == code
    assert said in told.err


def test_an_interrupted_run_keeps_what_is_done_and_leaves_no_process(
    curate: Curate, workspace: Path, tmp_path: Path
) -> None:
    """Ctrl-C reaches the whole group, as a terminal sends it: one sentence, exit code 130."""
    (tmp_path / "curate_test_slow.py").write_text(SOURCE, "utf-8")
    assert curate("-w", workspace, "ingest", write(tmp_path / "in.jsonl", 300)).code == 0
    command = [sys.executable, "-m", "curate", "-w", str(workspace), "preannotate"]
    process = subprocess.Popen(
        [*command, "--model", "curate_test_slow:slow", "--processes", "2", "--partition", "5"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # The runner of the tests may ignore it, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )

    def done() -> int:
        import sqlite3

        with sqlite3.connect(workspace / ".curate" / "store.db") as connection:
            found = int(connection.execute("SELECT count(*) FROM prediction").fetchone()[0])
        connection.close()
        return found

    deadline = time.monotonic() + 60
    while not done() and time.monotonic() < deadline:
        time.sleep(0.1)
    deadline = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert said.endswith("curate: interrupted; run the command again to go on where it stopped\n")
    assert "Traceback" not in said
    assert 0 < done() < 300
    # Python's own tracker of resources ends a moment after the process that it watched.
    while _any_left(process.pid) and time.monotonic() < deadline + 5:
        time.sleep(0.05)
    assert not _any_left(process.pid)


def _any_left(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
