"""The how-tos that need no Label Studio, typed as they stand: every block of commands works."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from curate.cli.app import run
from curate.resources import default_schema, resource

HOWTO = Path(__file__).resolve().parents[2] / "docs" / "howto"
SAMPLE = resource("examples/sahel") / "annotator_a.jsonl"
FOUND = 1
"""The exit code of a command that did its work and found something, such as `gold lint`."""

Shell = Callable[..., str]


def blocks(page: str, language: str = "") -> list[str]:
    """The page's blocks of that language, commands where none is named."""
    text = (HOWTO / f"{page}.md").read_text("utf-8")
    found = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    return [block for named, block in found if named == language]


@pytest.fixture
def shell(plain_environment: None, tmp_path: Path) -> Shell:
    """Type lines into bash in a home of one's own; the first that fails ends the test."""
    scripts = Path(sys.executable).parent
    if not (scripts / "curate").exists():
        pytest.skip("curate is not installed as a command")
    home = tmp_path / "home"
    home.mkdir()
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")

    def typed(script: str, cwd: Path) -> str:
        environment = os.environ | {
            "HOME": str(home),
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        }
        lines = [
            f"{line} || test $? = {FOUND}" if line.startswith("curate ") else line
            for line in script.splitlines()
        ]
        done = subprocess.run(
            [bash, "-e", "-c", "\n".join(lines)],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return typed


@pytest.fixture
def corpus(workspace: Path) -> Path:
    """A workspace with a release of ten documents."""
    few = workspace / "few.jsonl"
    few.write_text("".join(SAMPLE.read_text("utf-8").splitlines(keepends=True)[:10]), "utf-8")
    assert run(["-w", str(workspace), "gold", "import", "--by", "desk", str(few)]) == 0
    assert run(["-w", str(workspace), "gold", "build"]) == 0
    return workspace


def test_a_brat_corpus_is_brought(corpus: Path, shell: Shell, tmp_path: Path) -> None:
    """From a folder of .txt and .ann to a release; the training is tested elsewhere."""
    mine = tmp_path / "home" / "corpora" / "mine"
    mine.parent.mkdir(parents=True)
    shell(f"curate gold export --format brat -o '{mine}'", corpus)
    there = tmp_path / "there"
    there.mkdir()
    shutil.copy(default_schema(), there / "my.yaml")
    first, second, third, last = blocks("brat-corpus")
    shell(first, there)
    assert "10 decisions: 10 added" in shell(second, there)
    assert "published 1.0.0" in shell(third, there)
    shell("\n".join(line for line in last.splitlines() if " train " not in line), there)
    assert len(list((there / "back").glob("*.ann"))) == 10


def test_predictions_made_elsewhere_come_in(corpus: Path, shell: Shell) -> None:
    """The texts out, a model's answers in, and their scores; `push` is tested elsewhere."""
    out, back = blocks("predictions-elsewhere")
    shell(out, corpus)
    shutil.copy(corpus / "texts.jsonl", corpus / "camembert.jsonl")
    shown = "\n".join(line for line in back.splitlines() if "push" not in line)
    assert "camembert@2: 10 predictions imported" in shell(shown, corpus)


def test_the_model_behind_http_answers(corpus: Path, shell: Shell, tmp_path: Path) -> None:
    """The server of the page, saved and started as it says."""
    (tmp_path / "server.py").write_text(blocks("http-model", "python")[0], "utf-8")
    start, ask = blocks("http-model")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert start == "uvicorn server:app --port 8000\n"
    server = subprocess.Popen(
        [sys.executable, "-m", *start.replace("8000", str(port)).split()],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        said = shell(ask.replace("8000", str(port)), corpus)
    finally:
        server.terminate()
        server.wait(30)
    assert "finder@1: 10 documents predicted" in said


def test_another_language_begins(shell: Shell, tmp_path: Path) -> None:
    """The schema of the page is a schema, and English articles go in."""
    (tmp_path / "my.yaml").write_text(blocks("language-and-schema", "yaml")[0], "utf-8")
    (tmp_path / "articles").mkdir()
    (tmp_path / "articles" / "a.txt").write_text("Ada Moreau resigned on Monday, she said.")
    (commands,) = blocks("language-and-schema")
    said = shell(commands, tmp_path)
    assert "schema firms 1: 2 entity labels" in said
    assert "1 records read: 1 added" in said


def test_a_workspace_moves(corpus: Path, shell: Shell, tmp_path: Path) -> None:
    """What was decided and released is there; its Label Studio is spoken of elsewhere."""
    here, there = blocks("move-a-workspace")
    shell(here.replace("curate studio down\n", ""), corpus)
    assert (tmp_path / "workspace.tgz").is_file()  # beside the workspace, as the page says
    said = shell(there, tmp_path)
    assert "10 documents, 0 corrections, 10 decisions" in said
    verified = shell("curate -w corpus gold verify\ncurate -w corpus gold build", tmp_path)
    assert "1.0.0: sound: 10 documents" in verified
    assert "1.0.0 holds these decisions already" in verified


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_workspace_goes_over_to_postgresql(corpus: Path, shell: Shell, database_url: str) -> None:
    """Backed up on SQLite, restored and checked there."""
    address = "postgresql+psycopg://curate@db.internal/curate"
    _, move = blocks("postgresql")
    assert address in move
    said = shell(move.replace(address, f"'{database_url}'"), corpus)
    assert "restored from before.zip: 10 documents, 0 corrections, 10 decisions" in said
    assert "the store is sound" in said
