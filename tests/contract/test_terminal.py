"""What a terminal, a pipe and a reader in a hurry may rely on, for every command."""

from __future__ import annotations

import dataclasses
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.cells import cell_len

from curate.cli.app import run
from curate.cli.boundary import with_advice
from curate.errors import (
    ConfigurationError,
    CurateError,
    DataError,
    FindingsError,
    UnreachableError,
    UsageError,
)
from curate.flows.status import Status, _with_next
from curate.interchange import read
from curate.labelstudio.inbox import Received, ReceivedTask
from curate.resources import resource
from curate.store import NewDocument, PushedTask, Store
from curate.store import engine as store_engine
from curate.store.engine import sqlite_url
from tests.conftest import Curate

SERVER = "http://127.0.0.1:8080"
PROJECT = "curate sahel"
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
ANNOTATORS = ("annotator_a", "annotator_b")


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with documents of the sample, annotated by two, and a release of them."""
    folder = tmp_path_factory.mktemp("terminal") / "ws"
    assert run(["init", str(folder)]) == 0
    sides = [
        {r.document.id: r for r in read(resource("examples/sahel") / f"{name}.jsonl")}
        for name in ANNOTATORS
    ]
    chosen = sorted(sides[0])[:6]
    tasks = [
        ReceivedTask(
            n,
            document,
            None,
            "2026-01-02T00:00:00Z",
            2,
            0,
            tuple(
                Received(
                    annotation_id=10 * n + user,
                    user_id=user,
                    raw={"id": 10 * n + user},
                    annotation=side[document].annotation,
                    reason="",
                    created_at="2026-01-02T00:00:00Z",
                    updated_at="2026-01-02T00:00:00Z",
                )
                for user, side in enumerate(sides, start=1)
            ),
        )
        for n, document in enumerate(chosen, start=1)
    ]
    with Store.open(sqlite_url(folder / ".curate" / "store.db")) as store, store.write() as unit:
        documents = [sides[0][key].document for key in chosen]
        unit.documents.add(NewDocument(document, document.id) for document in documents)
        project = unit.projects.add(SERVER, 1, PROJECT, "2026-01-01T00:00:00Z")
        unit.sync.confirm(
            project.id,
            [
                PushedTask(document.id, n, document.digest, None)
                for n, document in enumerate(documents, start=1)
            ],
        )
        unit.annotations.receive(project.id, SERVER, tasks, {})
        unit.projects.set_bookmark(project.id, "2026-01-03T00:00:00Z", 0.0)
        unit.commit()
    toml = folder / "curate.toml"
    settings = toml.read_text("utf-8")
    settings = re.sub(r'(?m)^pinned = ""', 'pinned = "first"', settings)
    toml.write_text(re.sub(r'(?m)^first = ""', 'first = "annotator-1"', settings), "utf-8")
    assert run(["-w", str(folder), "gold", "build"]) == 0
    return folder


REPORTS = [
    "status",
    "status --fate",
    "agreement --draws 50",
    "annotators list",
    "quarantine list",
    "review status",
    "models list",
    "gold list",
    "gold show",
    "gold log",
    "evaluate bootstrap --gold latest --draws 50 --by split",
    "compare bootstrap latest --gold latest --draws 100",
    "report annotators -o page.html",
    "doctor",
    "studio status",
]


@pytest.mark.parametrize("line", REPORTS)
def test_tables_fit_eighty_columns_and_a_pipe_gets_no_controls(
    line: str, annotated: Path, curate: Curate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line of a table is longer; no cell is cut; no colour, bar or carriage return."""
    monkeypatch.setenv("COLUMNS", "80")
    words = line.replace("latest --gold", f"{annotated}/gold/sahel/1.0.0 --gold").split()
    done = curate("-w", annotated, *words)
    assert done.code in (0, 1), done.err
    assert not CONTROL.search(done.out + done.err)
    for row in done.out.splitlines():
        if row[:1] in "│┃┏┡└├╇":
            assert cell_len(row) <= 80, row
            assert "…" not in row, row


def on_a_screen(arguments: Sequence[object], **environment: str) -> str:
    """What a command writes to a terminal of 80 columns."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "curate", *map(str, arguments)],
        env={k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        | {"TERM": "xterm-256color", "COLUMNS": "80"}
        | environment,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    said = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:
            break
        if not part:
            break
        said += part
    assert process.wait(60) in (0, 1)
    os.close(leader)
    return said.decode("utf-8").replace("\r\n", "\n")


def test_colours_can_be_switched_off(annotated: Path, plain_environment: None) -> None:
    """On a screen there are colours; with NO_COLOR there are none; dumb terminals get none."""
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-7]m")
    assert coloured.search(on_a_screen(["-w", annotated, "doctor"]))
    assert not coloured.search(on_a_screen(["-w", annotated, "doctor"], NO_COLOR="1"))
    assert "\x1b" not in on_a_screen(["-w", annotated, "doctor"], TERM="dumb", NO_COLOR="1")


def test_the_status_is_one_screen(annotated: Path, plain_environment: None) -> None:
    """At most 24 lines of 80 columns, and the last one says what comes next."""
    rows = on_a_screen(["-w", annotated, "status"], NO_COLOR="1").rstrip().splitlines()
    assert len(rows) <= 24
    assert all(cell_len(row) <= 80 for row in rows)
    assert rows[-1].startswith("next")
    assert "curate train --gold latest" in rows[-1]
    assert any("1.0.0, 6 documents" in row for row in rows)


def test_many_annotators_stay_on_one_screen(capsys: pytest.CaptureFixture[str]) -> None:
    """Thirty people and every warning at once: still 24 lines."""
    from curate.cli.common import stdout
    from curate.cli.sync import _status_table

    found = dataclasses.replace(
        FRESH,
        per_annotator={f"annotator-{n}": n for n in range(30)},
        **dict.fromkeys(
            [
                "documents",
                "quarantined",
                "changed",
                "removed",
                "tasks_deleted",
                "tasks_edited",
                "tasks_foreign",
                "tasks_unknown",
                "tasks_double",
                "in_flight",
            ],
            7,
        ),
        models=3,
        model="sahel@3",
        release="1.0.0",
        next=("curate push",),
    )
    _status_table(stdout(), found)
    assert len(capsys.readouterr().out.splitlines()) <= 24


FRESH = Status(
    documents=0,
    predicted=0,
    project=PROJECT,
    project_id=None,
    server=None,
    pushed=0,
    waiting=0,
    annotated=0,
    annotated_by={},
    per_annotator={},
    annotations=0,
    skipped=0,
    ground_truth=0,
    drafts=0,
    deleted=0,
    quarantined=0,
    reasons={},
    decided=0,
    changed=0,
    removed=0,
    tasks_deleted=0,
    tasks_edited=0,
    tasks_foreign=0,
    tasks_unknown=0,
    tasks_double=0,
    in_flight=0,
    last_pull=None,
)
INGESTED = dataclasses.replace(FRESH, documents=9, waiting=9)
PREDICTED = dataclasses.replace(INGESTED, predicted=9)
PUSHED = dataclasses.replace(PREDICTED, waiting=0, pushed=9)
ANNOTATED = dataclasses.replace(
    PUSHED, annotated=9, annotated_by={1: 9}, annotations=9, last_pull="2026-01-03"
)
BY_TWO = dataclasses.replace(ANNOTATED, annotated_by={2: 9}, annotations=18)
DECIDED = dataclasses.replace(BY_TWO, decided=4)
RELEASED = dataclasses.replace(BY_TWO, release="1.0.0", release_digest="ab", released=9)
TRAINED = dataclasses.replace(RELEASED, models=1, model="sahel@1", model_release="ab")
STANDINGS = {
    "empty": (FRESH, ["curate ingest PATH"]),
    "ingested": (INGESTED, ["curate preannotate", "curate push"]),
    "predicted": (PREDICTED, ["curate push"]),
    "a push was broken off": (dataclasses.replace(PUSHED, in_flight=1), ["curate push"]),
    "pushed": (PUSHED, ["curate pull"]),
    "annotated by one": (ANNOTATED, ["curate gold build"]),
    "annotated by two": (BY_TWO, ["curate agreement", "curate review push", "curate gold build"]),
    "partly annotated": (
        dataclasses.replace(ANNOTATED, annotated=5),
        ["curate pull", "curate gold build"],
    ),
    "in review": (
        dataclasses.replace(DECIDED, in_review=5),
        ["curate review pull", "curate agreement", "curate gold build"],
    ),
    "released": (RELEASED, ["curate train --gold latest"]),
    "corrected since": (dataclasses.replace(RELEASED, since=1), "curate gold build"),
    "trained": (TRAINED, ["curate models promote sahel@1", "curate train-curve"]),
    "promoted": (
        dataclasses.replace(TRAINED, champion="sahel@1"),
        ["curate ingest PATH", "curate push --order uncertainty"],
    ),
}


def test_the_status_of_a_pushed_project_tells_people_to_annotate(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A pull alone brings nothing; and the last pull is told to the minute."""
    from curate.cli.common import stdout
    from curate.cli.sync import _status_table

    _status_table(stdout(), dataclasses.replace(PUSHED, next=("curate pull",)))
    assert "next         annotate in Label Studio" in capsys.readouterr().out
    pulled = dataclasses.replace(ANNOTATED, last_pull="2026-01-03T10:20:30.000000Z")
    _status_table(stdout(), dataclasses.replace(pulled, annotated=5, next=("curate pull",)))
    said = capsys.readouterr().out
    assert "2026-01-03 10:20 UTC" in said
    assert "annotate in" not in said
    assert "9 by 1 annotator " in said


@pytest.mark.parametrize("name", STANDINGS)
def test_the_status_says_which_command_comes_next(name: str, curate: Curate) -> None:
    """At every stage, and each command it names is one."""
    standing, expected = STANDINGS[name]
    found = list(_with_next(standing, pinned=False).next)
    if isinstance(expected, str):
        assert expected in found
    else:
        assert found == expected
    for command in found:
        words = [word for word in command.split()[1:] if word.islower() and word.isascii()]
        path = [word for word in words if "@" not in word and not word.startswith("-")]
        assert curate(*path[: 2 if path[0] in ("gold", "review", "models") else 1], "-h").code == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes(shell: str, plain_environment: None) -> None:
    """The script is printed for the shell named, and completes the commands."""
    path = shutil.which("curate") or str(Path(sys.executable).with_name("curate"))
    if not Path(path).exists():
        pytest.skip("curate is not installed as a command")
    environment = os.environ | {"_CURATE_COMPLETE": f"source_{shell}"}
    done = subprocess.run([path], env=environment, capture_output=True, text=True, check=True)
    assert "_CURATE_COMPLETE" in done.stdout
    if shell == "bash":
        environment = os.environ | {
            "_CURATE_COMPLETE": "complete_bash",
            "COMP_WORDS": "curate gol",
            "COMP_CWORD": "1",
        }
        done = subprocess.run([path], env=environment, capture_output=True, text=True, check=False)
        assert done.stdout.split() == ["gold"]


MISTAKES = [
    "ingest nothing.txt",
    "ingest bad.jsonl",
    "push",
    "pull",
    "sync",
    "review push",
    "gold show 9.9.9",
    "gold diff 1.0.0 2.0.0",
    "gold export --format nope -o x",
    "gold import bad.jsonl --from jsonl",
    "gold blame nobody",
    "gold import nothing.jsonl",
    "models show x",
    "models promote x",
    "train --gold 7.7.7",
    "train-curve --shares a",
    "evaluate nobody --gold latest",
    "evaluate nothing.jsonl --gold one.jsonl",
    "evaluate one.jsonl --gold missing.jsonl",
    "evaluate one.jsonl --gold one.jsonl --split test",
    "evaluate one.jsonl --gold one.jsonl --fail-under 0.9",
    "evaluate one.jsonl --gold one.jsonl --label NONE",
    "compare one.jsonl one.jsonl",
    "agreement one.jsonl",
    "agreement one.jsonl one.jsonl",
    "agreement --bias",
    "quarantine show 7",
    "annotators rename a b",
    "predictions import bad.jsonl",
    "preannotate --model nope",
    "schema validate bad.jsonl",
    "init other --schema missing.yaml",
    "db restore nothing",
    "frobnicate",
    "push --overlap 99",
    "-w nowhere status",
]


@pytest.mark.parametrize("line", MISTAKES)
def test_an_error_is_one_sentence_that_ends_with_what_to_do(
    line: str, annotated: Path, curate: Curate, tmp_path: Path
) -> None:
    """After a semicolon, or by naming a command or an option in backquotes."""
    (tmp_path / "bad.jsonl").write_text("{\n", "utf-8")
    (tmp_path / "one.jsonl").write_text('{"id": "a", "text": "x y"}\n', "utf-8")
    done = curate(*(() if line.startswith("-w") else ("-w", annotated)), *line.split())
    assert done.code in (1, 2, 3, 4)
    last = done.err.splitlines()[-1]
    assert last.startswith("curate: ")
    assert re.search(r"; \S+ \S+|; [a-z]+: \S|`curate [a-z]", last), last


ERRORS: list[tuple[CurateError, str]] = [
    (UsageError("that is wrong"), "that is wrong; see `curate gold build --help`"),
    (DataError("is odd", path="f", line=3), "f:3: is odd; mend that line and run the command"),
    (DataError("there is no file", path="f"), "f: there is no file; check its name"),
    (ConfigurationError("is odd."), "is odd; mend that"),
    (FindingsError("too low"), "too low; look into what it found"),
    (UnreachableError("no answer"), "no answer; run the command again"),
    (UsageError("x; do y"), "x; do y"),
    (UsageError("x: run `y`"), "x: run `y`"),
]


@pytest.mark.parametrize(("error", "said"), ERRORS)
def test_an_error_without_advice_is_given_one(error: CurateError, said: str) -> None:
    """One that says what to do itself is left as it is."""
    assert with_advice(error, "curate gold build").startswith(said)


def test_where_nothing_may_be_written_reading_goes_on(
    annotated: Path, curate: Curate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Commands that read do so and leave nothing behind; one that writes says that it cannot."""
    folder = tmp_path / "ro"
    shutil.copytree(annotated, folder)
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    monkeypatch.setattr(store_engine, "_is_read_only", lambda database: True)
    before = sorted(folder.rglob("*"))
    try:
        for line in (
            "status",
            "agreement --draws 0",
            "gold list",
            "gold show",
            "gold verify",
            "evaluate bootstrap --gold latest --draws 0 --split train",
            "annotators list",
        ):
            done = curate("-w", folder, *line.split())
            assert done.code == 0, done.err
        done = curate("-w", folder, "annotators", "rename", "annotator-1", "lynx")
        assert (done.code, done.err.count("\n")) == (3, 1)
        assert "the store cannot be written; check its permissions" in done.err
        assert sorted(folder.rglob("*")) == before
    finally:
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_outside_a_workspace_the_notice_is_said_once(curate: Curate, tmp_path: Path) -> None:
    """A model and a file, or two models: which schema is meant is said one time."""
    shutil.copy(resource("examples/sahel") / "annotator_a.jsonl", tmp_path / "gold.jsonl")
    done = curate("compare", "bootstrap", "bootstrap", "--gold", "gold.jsonl", "--draws", 100)
    assert done.code == 0, done.err
    assert done.err.count("no workspace here") == 1


def test_a_comparison_shows_whole_names_in_80_columns(
    curate: Curate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest measure and the longest differences stand on one line each."""
    monkeypatch.setenv("COLUMNS", "80")
    shutil.copy(resource("examples/sahel") / "annotator_a.jsonl", tmp_path / "gold.jsonl")
    other = resource("examples/sahel") / "annotator_b.jsonl"
    done = curate("compare", other, "gold.jsonl", "--gold", "gold.jsonl", "--draws", 100)
    assert done.code == 0, done.err
    assert " given_entities " in done.out
    assert " occurred_on " in done.out
    table = [line for line in done.out.splitlines() if line[:1] in "┏┃┡│└"]
    assert {len(line) for line in table} == {len(table[0])}


@pytest.mark.parametrize(
    "group",
    ["", "schema", "studio", "annotators", "quarantine", "review", "predictions"]
    + ["gold", "models", "report", "db"],
)
def test_a_list_of_commands_cuts_no_summary(
    group: str, curate: Curate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command is told in one whole phrase of a line of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = curate(*group.split(), "--help").out.splitlines()
    listed = lines[lines.index("Commands:") + 1 :]
    assert listed
    assert not [line for line in listed if line.endswith("...")]


def test_a_wrong_option_leads_to_the_help_of_its_command(curate: Curate) -> None:
    """Not to the list of all commands."""
    for words in (["gold", "build", "--schema", "x"], ["evaluate", "bootstrap"]):
        name = " ".join(words[: 2 if words[0] == "gold" else 1])
        assert curate(*words).err.rstrip().endswith(f"see `curate {name} --help`")
    assert curate("ingst").err.rstrip().endswith("see `curate --help`")


def test_what_comes_too_early_says_what_comes_first(curate: Curate, workspace: Path) -> None:
    """Building, linting and comparing before anybody annotated."""
    built = curate("-w", workspace, "gold", "build")
    assert "nothing is annotated and pulled yet; `curate status` says" in built.out
    assert "`curate status` says" in curate("-w", workspace, "gold", "lint").err
    assert "`curate push --overlap 2`" in curate("-w", workspace, "agreement").err


def test_a_workspace_is_named_without_detours(
    curate: Curate, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`../x` is shown as what it stands for."""
    (workspace / "below").mkdir()
    monkeypatch.chdir(workspace / "below")
    assert str(workspace.parent / "other") + "\n" in curate("init", "../../other").out
    assert f"workspace: {workspace}\n" in curate("-w", "..", "doctor").out


def test_the_demo_names_curate_as_this_shell_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make demo` runs it from .venv/bin, which is on nobody's PATH."""
    from curate.cli.demo import _called

    script = tmp_path / ".venv" / "bin" / "curate"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [".venv/bin/curate", "demo"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _called() == ".venv/bin/curate"
    monkeypatch.setenv("PATH", str(script.parent))
    assert _called() == "curate"
