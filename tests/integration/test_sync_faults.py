"""Faults between us and the real server: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event, text

from curate.cli.app import run
from curate.errors import (
    AuthenticationError,
    DiskError,
    RejectedError,
    RemoteError,
    UnreachableError,
)
from curate.interchange import write
from tests.integration.conftest import Studio
from tests.integration.proxy import Kind
from tests.integration.sync_fixtures import make_world, world
from tests.integration.world import Killed, Killer, MakeWorld, World, document, prediction

__all__ = ["make_world", "world"]
pytestmark = pytest.mark.studio

IMPORT = "/import"


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (Kind.RESET, {}),
        (Kind.LOST, {}),
        (Kind.CUT, {}),
        (Kind.BROKEN_JSON, {}),
        (Kind.STATUS, {"status": 500}),
        (Kind.STATUS, {"status": 502}),
        (Kind.STATUS, {"status": 503, "headers": {"Retry-After": "1"}}),
        (Kind.STATUS, {"status": 429, "headers": {"Retry-After": "1"}}),
        (Kind.STATUS_AFTER, {"status": 500}),
        (Kind.STATUS_AFTER, {"status": 504}),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else value,
)
def test_an_import_that_fails_once_is_survived(
    world: World, kind: Kind, more: dict[str, Any]
) -> None:
    """Refused, lost, cut, broken, failed before or after the server committed: each task once."""
    world.proxy.fail(kind, "POST", IMPORT, skip=1, **more)
    result = world.push()
    assert (result.pushed, result.refused) == (10, {})
    world.assert_each_once(10)
    assert world.push().pushed == 0
    world.assert_each_once(10)
    assert any("tries again" in said or "arrived" in said for said in world.reporter.warnings)


def test_an_answer_that_comes_too_late_is_survived(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server committed after our patience ended: a look finds the tasks."""
    monkeypatch.setattr("curate.labelstudio.client.IMPORT_SECONDS", 0.5)
    world.proxy.fail(Kind.HANG, "POST", IMPORT, seconds=2.0)
    assert world.push().pushed == 10
    world.assert_each_once(10)


@pytest.mark.parametrize("kind", [Kind.RESET, Kind.CUT, Kind.BROKEN_JSON, Kind.LOST])
def test_a_read_that_fails_is_repeated(world: World, kind: Kind) -> None:
    """Every second read fails; the pull is none the wiser."""
    world.push()
    for task in world.tasks()[:5]:
        world.annotate(task)
    for skip in range(0, 8, 2):
        world.proxy.fail(kind, "GET", "/api/tasks/", skip=skip)
    assert world.pull().stored == 5


def test_refused_predictions_are_looked_at_before_they_are_repeated(make_world: MakeWorld) -> None:
    """A lost answer to a replacement leaves one prediction on each task."""
    from tests.integration.world import BETTER

    world = make_world(6)
    world.push()
    with world.store.write() as unit:
        unit.predictions.put([prediction(document(n), BETTER) for n in range(6)])
        unit.commit()
    world.proxy.fail(Kind.LOST, "POST", "/import/predictions")
    assert world.push().replaced == 6
    world.assert_each_once(6, "model@2#bb")
    assert world.push().replaced == 0


def test_predictions_that_arrive_after_we_looked_leave_no_double(make_world: MakeWorld) -> None:
    """A replacement that was given up may be carried out later: the next push mends it."""
    from tests.integration.world import BETTER

    world = make_world(4)
    world.push()
    with world.store.write() as unit:
        unit.predictions.put([prediction(document(n), BETTER) for n in range(4)])
        unit.commit()
    world.proxy.fail(Kind.LATE, "POST", "/import/predictions", seconds=4.0)
    with pytest.raises(UnreachableError):
        world.push()
    world.push()
    world.proxy.settle()
    assert {len(task["predictions"]) for task in world.tasks()} == {2}
    world.push()
    world.assert_each_once(4, "model@2#bb")
    world.proxy.log.clear()
    world.push()
    assert world.proxy.writes() == []


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AuthenticationError), (403, AuthenticationError), (409, RejectedError)],
)
def test_a_refusal_is_told_and_costs_nothing(
    world: World, status: int, error: type[RemoteError]
) -> None:
    """It is not repeated; when it is allowed, everything is there once."""
    fault = world.proxy.fail(Kind.STATUS, "POST", IMPORT, skip=1, times=99, status=status)
    with pytest.raises(error, match=str(status)):
        world.push()
    assert fault.hit == 2
    world.proxy.faults.clear()
    assert world.push().pushed == 6
    world.assert_each_once(10)


def test_a_token_that_ran_out_is_renewed_once(studio: Studio, make_world: MakeWorld) -> None:
    """A 401 to an access token is answered by a fresh one, of a write too."""
    world = make_world(4)
    if world.real.get("/api/token/"):
        pytest.skip("a studio kept from an earlier run: its token is shown once only")
    world.token = str(world.real.post("/api/token/", json={})["token"])
    world.proxy.fail(Kind.STATUS, "POST", IMPORT, status=401)
    assert world.push().pushed == 4
    world.assert_each_once(4)
    assert sum("/token/refresh" in path for _, path in world.proxy.log) == 2


def test_nobody_listens(world: World) -> None:
    """A refused connection says what to do, and nothing has happened."""
    world.proxy.url = "http://127.0.0.1:9"
    with pytest.raises(UnreachableError, match="is it running"):
        world.push()
    with world.store.read() as unit:
        assert unit.projects.all() == []


def test_one_poisoned_document_does_not_hold_up_the_others(world: World) -> None:
    """The server fails at one task, whatever it is sent with: the others come through."""
    world.proxy.fail(Kind.STATUS, "POST", IMPORT, body="doc 003", times=999)
    result = world.push()
    assert (result.pushed, list(result.refused)) == (9, ["doc 003"])
    assert len(world.tasks()) == 9
    world.proxy.faults.clear()
    assert world.push().pushed == 1
    world.assert_each_once(10)


@pytest.mark.parametrize("status", [400, 500])
def test_a_server_that_takes_nothing_is_not_the_documents_fault(world: World, status: int) -> None:
    """No document is called refused when none at all is taken; all are pushed when it is well."""
    world.proxy.fail(Kind.STATUS, "POST", IMPORT, times=999, status=status)
    with pytest.raises(RemoteError, match=str(status)):
        world.push()
    world.proxy.faults.clear()
    assert world.push().pushed == 10
    world.assert_each_once(10)


def test_one_task_too_large_for_the_server_is_named(world: World) -> None:
    """413: the chunk is halved until the one at fault stands alone."""
    world.proxy.fail(Kind.STATUS, "POST", IMPORT, body="doc 005", times=999, status=413)
    result = world.push()
    assert (result.pushed, list(result.refused)) == (9, ["doc 005"])


def test_one_poisoned_task_does_not_hold_up_the_others(world: World, studio: Studio) -> None:
    """A lone surrogate makes Label Studio fail at every list that holds the task."""
    world.push()
    for task in world.tasks()[:3]:
        world.annotate(task)
    poison = b'[{"data": {"text": "\\ud800", "curate_id": "x"}}]'
    answer = httpx.post(
        f"{studio.url}/api/projects/{world.project_id}/import?return_task_ids=true",
        content=poison,
        headers={"Authorization": f"Token {studio.token}", "Content-Type": "application/json"},
    )
    (number,) = answer.json()["task_ids"]
    result = world.pull()
    assert (result.stored, result.poisoned) == (3, (number,))
    assert any(str(number) in said for said in world.reporter.warnings)
    world.real.delete(f"/api/tasks/{number}/")


def test_the_project_vanishes_in_mid_listing(world: World) -> None:
    """A 404 in the middle of a listing is no end of the list: nothing is called deleted."""
    world.push()
    for task in world.tasks():
        world.annotate(task)
    world.pull()
    world.proxy.fail(Kind.STATUS, "GET", "/api/tasks/", skip=2, times=99, status=404)
    with pytest.raises(RejectedError, match="404"):
        world.pull(full=True)
    world.proxy.faults.clear()
    with world.store.read() as unit:
        assert len(unit.sync.present(unit.projects.all()[0].id)) == 10
        assert len(list(unit.annotations.current())) == 10


@pytest.mark.parametrize("by", [Killed, KeyboardInterrupt])
@pytest.mark.parametrize("after", [False, True], ids=["before it is sent", "before the answer"])
def test_a_pull_killed_at_every_request(
    make_world: MakeWorld, after: bool, by: type[BaseException]
) -> None:
    """The bookmark never runs ahead of the data: the next pull brings the rest."""
    world = make_world(6)
    world.push()
    for task in world.tasks():
        world.annotate(task)
    for at in range(1, 99):
        with world.store.write() as unit:
            for name in ("studio_annotation", "studio_raw", "studio_task"):
                unit.connection.execute(text(f"DELETE FROM {name}"))
            unit.connection.execute(text("UPDATE studio_project SET bookmark = NULL"))
            unit.commit()
        try:
            world.pull(Killer(at, after=after, by=by))
        except by:
            world.pull()
            with world.store.read() as unit:
                assert len(list(unit.annotations.current())) == 6
        else:
            assert at > 4
            return


def test_a_full_disk_loses_nothing(world: World) -> None:
    """The store cannot grow: one sentence, nothing half-written, and afterwards it goes on."""
    world.push()
    for task in world.tasks():
        world.annotate(task)

    @event.listens_for(world.store.engine, "connect")
    def small(connection: Any, _: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")

    world.store.engine.dispose()
    with pytest.raises(DiskError, match="disk is full"):
        world.pull()
    event.remove(world.store.engine, "connect", small)
    world.store.engine.dispose()
    result = world.pull()
    assert result.received == 10
    with world.store.read() as unit:
        assert len(list(unit.annotations.current())) == 10


def test_a_full_disk_in_mid_push_leaves_no_double(make_world: MakeWorld) -> None:
    """The tasks were made and could not be written down: the next push finds them."""
    world = make_world(300, chunk_tasks=300)
    world.push(limit=0)
    full: list[bool] = []

    @event.listens_for(world.store.engine, "begin")
    def small(connection: Any) -> None:
        if full:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    world.proxy.before = lambda method, path: (
        full.append(IMPORT in path) if IMPORT in path else None
    )
    with pytest.raises(DiskError, match="disk is full"):
        world.push()
    world.proxy.before = None
    event.remove(world.store.engine, "begin", small)
    world.store.engine.dispose()
    result = world.push()
    assert (result.recovered, result.pushed) == (300, 0)
    world.assert_each_once(300)


def test_label_studio_is_restarted_in_mid_push(studio: Studio, make_world: MakeWorld) -> None:
    """The push waits for it, looks what arrived, and goes on."""
    world = make_world(10)
    world.push(limit=0)
    port = int(studio.url.rsplit(":", 1)[1])
    restarts: list[threading.Thread] = []

    def restart() -> None:
        studio.server.down()
        studio.server.up(port=port)

    def at_second_import(method: str, path: str) -> None:
        imports = [entry for entry in world.proxy.log if IMPORT in entry[1]]
        if len(imports) == 2 and not restarts:
            restarts.append(threading.Thread(target=restart))
            restarts[0].start()
            time.sleep(0.3)

    world.proxy.before = at_second_import
    with world.client(sleep=time.sleep) as client:
        from curate.flows.push import push

        push(world.store, client, world.schema, world.options, world.reporter)
    restarts[0].join()
    world.proxy.before = None
    world.assert_each_once(10)


@pytest.fixture
def workspace(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch, studio: Studio
) -> Path:
    """A workspace of the command line with eight documents and predictions."""
    folder = tmp_path / "ws"
    assert run(["init", str(folder)]) == 0
    items = [document(number) for number in range(8)]
    write(tmp_path / "docs.jsonl", ((item, prediction(item)) for item in items))
    monkeypatch.setenv("LABEL_STUDIO_URL", world.proxy.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio.token)
    monkeypatch.setenv("CURATE_STUDIO_PROJECT", world.options.title)
    monkeypatch.setenv("CURATE_STUDIO_CHUNK_TASKS", "3")
    (folder / "label_configs" / "sahel.yaml").write_text(world.schema.to_yaml(), "utf-8")
    assert run(["-w", str(folder), "ingest", str(tmp_path / "docs.jsonl")]) == 0
    assert run(["-w", str(folder), "predictions", "import", str(tmp_path / "docs.jsonl")]) == 0
    return folder


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)]
)
def test_a_process_that_is_killed_for_real(
    world: World, workspace: Path, sent: signal.Signals, code: int
) -> None:
    """The lock of a dead process is free at once, and the next push finishes its work."""
    script = "from curate.cli.app import main; main()"
    command = [sys.executable, "-c", script, "-w", str(workspace), "push"]
    child: list[subprocess.Popen[bytes]] = []
    seen: list[str] = []
    fatal = [0]

    def shoot(method: str, path: str) -> None:
        if IMPORT in path:
            seen.append(path)
            if len(seen) == fatal[0]:
                child[-1].send_signal(sent)
                child[-1].wait(20)

    world.proxy.before = shoot
    for fatal[0] in (1, 2):
        seen.clear()
        child.append(
            subprocess.Popen(
                command,
                stderr=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ,
                # a runner in the background ignores SIGINT, and its children would, too
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        )
        child[-1].communicate(timeout=60)
        assert child[-1].returncode == code
    world.proxy.before = None
    assert run(["-w", str(workspace), "push"]) == 0
    project = world.real.projects(title=world.options.title)
    assert len(project) == 1
    answer = world.real.get("/api/tasks/", params={"project": project[0]["id"], "page_size": 100})
    names = sorted(task["data"]["curate_id"] for task in answer["tasks"])
    assert names == [f"doc {number:03}" for number in range(8)]


def test_no_secret_is_printed_or_stored(
    world: World, workspace: Path, studio: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    """Token, cookie and header names: searched for in all output and in every byte kept."""
    here = ["-w", str(workspace)]
    world.proxy.fail(Kind.STATUS_AFTER, "POST", IMPORT, status=500)
    assert run([*here, "push"]) == 0
    project = world.real.projects(title=world.options.title)[0]
    answer = world.real.get(
        "/api/tasks/", params={"project": project["id"], "page_size": 100, "fields": "all"}
    )
    for task in answer["tasks"][:2]:
        world.annotate(task)
    world.annotate(answer["tasks"][2], [{"type": "labels", "id": "x", "value": {}}])
    commands = (
        ["pull", "--json"],
        ["pull", "--full"],
        ["status", "--json"],
        ["status", "--fate"],
        ["quarantine", "list"],
        ["quarantine", "show", "1"],
        ["sync", "--json"],
    )
    for command in commands:
        assert run([*here, *command]) == 0
    world.proxy.fail(Kind.STATUS, "GET", times=999, status=401)
    assert run([*here, "pull"]) == 4
    world.proxy.faults.clear()
    world.proxy.fail(Kind.STATUS, "GET", times=999, status=500)
    captured = capfd.readouterr()
    kept = captured.out.encode() + captured.err.encode()
    for path in workspace.rglob("*"):
        if path.is_file():
            kept += path.read_bytes()
    from curate.store import Store

    with Store.open(f"sqlite:///{workspace}/.curate/store.db") as store, store.read() as unit:
        for name in ("studio_raw", "quarantine", "studio_draft"):
            for (blob,) in unit.connection.execute(text(f"SELECT content FROM {name}")):
                kept += zlib.decompress(blob)
    for secret in (studio.token, studio.password, "sessionid", "csrftoken", "Authorization"):
        assert secret.encode() not in kept, secret
    assert studio.username.encode() not in kept


def test_a_refusing_server_is_told_with_its_exit_code(
    world: World, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """4 for Label Studio and the network, 3 for a locked store; one sentence each."""
    world.proxy.fail(Kind.STATUS, "GET", times=999, status=403)
    assert run(["-w", str(workspace), "push"]) == 4
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("curate: Label Studio refused")
    world.proxy.faults.clear()
    from curate.store import Store

    with Store.open(f"sqlite:///{workspace}/.curate/store.db") as store, store.lock("sync"):
        assert run(["-w", str(workspace), "pull"]) == 3
    assert "is at work on this store" in capsys.readouterr().err


def test_a_failed_half_leaves_the_others_result(world: World, workspace: Path) -> None:
    """sync: the push fails, and what was pulled stands."""
    here = ["-w", str(workspace)]
    assert run([*here, "push", "--limit", "2"]) == 0
    project = world.real.projects(title=world.options.title)[0]
    answer = world.real.get(
        "/api/tasks/", params={"project": project["id"], "page_size": 100, "fields": "all"}
    )
    world.annotate(answer["tasks"][0])
    world.proxy.fail(Kind.STATUS, "POST", IMPORT, times=999, status=403)
    assert run([*here, "sync"]) == 4
    from curate.store import Store

    with Store.open(f"sqlite:///{workspace}/.curate/store.db") as store, store.read() as unit:
        assert len(list(unit.annotations.current())) == 1
