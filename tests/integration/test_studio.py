"""The embedded Label Studio: started, found, lost, stopped; on real processes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from curate.errors import (
    ConfigurationError,
    RejectedError,
    UnreachableError,
    UsageError,
)
from curate.labelstudio import ports, server
from curate.labelstudio.client import LabelStudio
from curate.labelstudio.config import render_config, render_instructions
from curate.labelstudio.server import EmbeddedStudio, State
from curate.schema import EntityType, LabelSchema, RelationType, read_schema
from tests.integration.conftest import CONFIG, MakeProject, Studio

pytestmark = pytest.mark.studio


@pytest.fixture
def own(studio: Studio, tmp_path: Path) -> Iterator[EmbeddedStudio]:
    """A studio of this test's own, down; a copy of the session's, so that it starts in seconds."""
    folder = tmp_path / "studio"
    data = folder / "data"
    data.mkdir(parents=True)
    kept = studio.server.folder
    with (
        contextlib.closing(sqlite3.connect(kept / "data" / "label_studio.sqlite3")) as source,
        contextlib.closing(sqlite3.connect(data / "label_studio.sqlite3")) as copy,
    ):
        source.backup(copy)
    for name in ("credentials.json", "ready", "data/.env"):
        (folder / name).write_bytes((kept / name).read_bytes())
    mine = EmbeddedStudio(folder)
    yield mine
    mine.down()


@contextlib.contextmanager
def occupied(port: int) -> Iterator[None]:
    with socket.create_server((ports.LOOPBACK, port)):
        yield


def alive(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# -- the session's studio


def test_it_is_up_and_says_so(studio: Studio) -> None:
    """Status asks the server, not a file."""
    status = studio.server.status()
    assert (status.state, status.url) == (State.UP, studio.url)
    with LabelStudio(studio.url, studio.token) as client:
        assert client.whoami().email == studio.username
        assert client.version().startswith("1.")


def test_it_listens_on_the_loopback_alone(studio: Studio) -> None:
    """Nobody on the network reaches it."""
    port = int(studio.url.rpartition(":")[2])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")]
    assert listening == [f"0100007F:{port:04X}"]


def test_its_secrets_are_the_user_s_alone(studio: Studio) -> None:
    """Modes, and no secret in the log or in the process list."""
    folder = studio.server.folder
    assert folder.stat().st_mode & 0o077 == 0
    for path in (studio.server.credentials_path, studio.server.log_path):
        assert path.stat().st_mode & 0o077 == 0
    log = studio.server.log_path.read_text(encoding="utf-8", errors="replace")
    pid = studio.server.status().pid
    arguments = Path(f"/proc/{pid}/cmdline").read_text()
    for secret in (studio.token, studio.password):
        assert secret not in log
        assert secret not in arguments
        assert secret not in repr(studio.server.login())


def test_a_foreign_host_name_is_refused(studio: Studio) -> None:
    """A web page must not reach the server by a name of its own."""
    answer = httpx.get(f"{studio.url}/api/version", headers={"Host": "evil.example"})
    assert answer.status_code == 400


def test_the_password_opens_the_log_in_form(studio: Studio) -> None:
    """What `studio up` says is true."""
    from curate.labelstudio.people import can_log_in

    assert can_log_in(studio.url, studio.username, studio.password)


def test_the_server_takes_the_configuration_and_the_instructions(
    label_studio: LabelStudio, make_project: MakeProject
) -> None:
    """sahel.xml, and a schema of another language with awkward texts."""
    sahel = read_schema(CONFIG.with_suffix(".yaml"))
    awkward = LabelSchema(
        name="awkward",
        entities=(
            EntityType("A b", title='<i>"', definition="a & b < c > d \u2028 \"e\" 'f' $text"),
            EntityType("Ω", examples=("[x] & y",)),
        ),
        relations=(RelationType("is-a", ("A b",), ("Ω",)),),
    )
    for schema in (sahel, awkward):
        xml, page = render_config(schema), render_instructions(schema)
        label_studio.validate_config(xml)
        project = make_project(xml, expert_instruction=page, show_instruction=True)
        label_studio.validate_config(xml, project["id"])
        stored = label_studio.project(project["id"])
        assert stored["label_config"] == xml.strip()
        assert stored["expert_instruction"].strip() == page.strip()
        offered = stored["parsed_label_config"]["label"]["labels"]
        assert offered == list(schema.entity_labels)


def test_a_configuration_that_is_none_is_refused(label_studio: LabelStudio) -> None:
    """With Label Studio's words."""
    with pytest.raises(RejectedError) as caught:
        label_studio.validate_config("<View><Labels/></View>")
    assert caught.value.status == 400


def test_a_prediction_that_does_not_fit_is_refused_whole(
    label_studio: LabelStudio, project: dict[str, Any]
) -> None:
    """Label Studio takes unknown labels by default; the flag we set makes it 400, none imported."""
    item = {
        "id": "e1",
        "from_name": "label",
        "to_name": "text",
        "type": "labels",
        "value": {"start": 0, "end": 4, "text": "Gao.", "labels": ["NONSENSE"]},
    }
    task = {"data": {"text": "Gao.", "curate_id": "x"}, "predictions": [{"result": [item]}]}
    with pytest.raises(RejectedError) as caught:
        label_studio.import_tasks(project["id"], [task])
    assert caught.value.status == 400
    assert label_studio.project(project["id"])["task_number"] == 0


def test_a_webhook_may_point_at_this_machine(
    label_studio: LabelStudio, project: dict[str, Any]
) -> None:
    """`curate serve` listens on the loopback."""
    made = label_studio.post(
        "/api/webhooks/", json={"url": "http://127.0.0.1:9/hook", "project": project["id"]}
    )
    assert made["url"] == "http://127.0.0.1:9/hook"


# -- one of our own


def test_up_down_and_up_again_keep_address_and_people(own: EmbeddedStudio) -> None:
    """Twice the same verb changes nothing; the port stays through a restart."""
    assert own.status().state is State.DOWN
    assert own.down() is None
    first = own.up()
    again = own.up()
    assert (first.fresh, again.fresh) == (True, False)
    assert (again.pid, again.url) == (first.pid, first.url)
    assert own.down() == first.pid
    assert not alive(first.pid)
    assert own.status().state is State.DOWN
    assert own.access() is None
    back = own.up()
    assert (back.fresh, back.url) == (True, first.url)
    assert back.pid != first.pid


def test_nothing_of_our_environment_changes_the_server(
    own: EmbeddedStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Label Studio reads bare names, HOST and CI among them."""
    bad = {"CI": "true", "HOST": "http://evil.example", "PORT": "1", "DEBUG": "true"}
    bad |= {"USERNAME": "x@y.org", "PASSWORD": "hunter2", "LABEL_STUDIO_PORT": "1"}
    bad |= {"DJANGO_DB": "default", "HTTP_PROXY": "http://127.0.0.1:9", "PYTHONPATH": "/nowhere"}
    for name, value in bad.items():
        monkeypatch.setenv(name, value)
    started = own.up()
    raw = Path(f"/proc/{started.pid}/environ").read_bytes().decode().split("\0")
    theirs = dict(entry.split("=", 1) for entry in raw if entry)
    assert not (bad.keys() - {"CI"}) & theirs.keys()
    assert "CI" not in theirs
    assert theirs["HOME"] == str(own.folder / "home")


def test_two_ups_at_once_start_one_server(own: EmbeddedStudio) -> None:
    """Whoever comes second waits, and finds it."""
    found: list[server.Started] = []
    threads = [
        threading.Thread(target=lambda: found.append(EmbeddedStudio(own.folder).up()))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert found[0].pid == found[1].pid
    assert sorted(one.fresh for one in found) == [False, True]


def test_a_crash_is_told_and_mended(own: EmbeddedStudio) -> None:
    """Status is right after kill -9, and where another program took the port meanwhile."""
    first = own.up()
    os.kill(first.pid, signal.SIGKILL)
    while alive(first.pid):
        time.sleep(0.02)
    assert own.status().state is State.CRASHED
    assert own.access() is None
    with occupied(int(first.url.rpartition(":")[2])):
        assert "another program" in own.status().detail
        second = own.up()
        assert second.url != first.url
        assert second.moved_from == first.url
        assert own.status().is_up


def test_a_server_killed_while_it_starts_is_started_again(own: EmbeddedStudio) -> None:
    """`up` says that it ended, with its last words' place; the next `up` works."""

    def kill(seconds: float) -> None:
        record = own._running()
        if record is not None and seconds > 0.5:
            os.kill(int(record["pid"]), signal.SIGKILL)

    with pytest.raises(UnreachableError, match=r"ended while starting.*studio\.log"):
        own.up(on_wait=kill)
    assert own.up().fresh


def test_an_up_that_is_killed_leaves_a_server_that_the_next_finds(own: EmbeddedStudio) -> None:
    """The server is its own process from its first breath."""
    code = (
        "import sys; from pathlib import Path; from curate.labelstudio.server import "
        "EmbeddedStudio; EmbeddedStudio(Path(sys.argv[1])).up()"
    )
    command = subprocess.Popen([sys.executable, "-c", code, str(own.folder)])
    while (record := own._running()) is None:
        time.sleep(0.02)
    command.kill()
    command.wait()
    assert own.status().state is State.STARTING
    found = own.up()
    assert (found.pid, found.fresh) == (record["pid"], False)


def test_a_port_lost_at_the_last_moment_is_noticed(
    own: EmbeddedStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Label Studio silently takes the next free port; we do not take another's for ours."""
    free = next(ports.candidates(None))
    with socket.create_server((ports.LOOPBACK, 0)) as other:
        taken = other.getsockname()[1]
        monkeypatch.setattr(ports, "candidates", lambda preferred: iter([taken, free]))
        started = own.up()
    assert started.url == f"http://127.0.0.1:{free}"
    assert ports.listens(started.pid, free)


def test_a_port_that_is_taken_is_a_usage_error(own: EmbeddedStudio) -> None:
    """Where the user named it."""
    with socket.create_server((ports.LOOPBACK, 0)) as other, pytest.raises(UsageError):
        own.up(port=other.getsockname()[1])


def test_down_never_stops_what_is_not_ours(own: EmbeddedStudio) -> None:
    """A process id used again after a reboot, even with our lock file naming it."""
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        record = f'{{"pid": {stranger.pid}, "port": 20001, "started": "another boot:1"}}'
        (own.folder / "server.lock").write_text(record)
        assert own.status().state is State.CRASHED
        assert own.down() is None
        assert stranger.poll() is None
        assert own.status().state is State.DOWN
    finally:
        stranger.kill()
        stranger.wait()


def test_credentials_that_are_gone_are_told_not_made_anew(own: EmbeddedStudio) -> None:
    """The data could not be entered with new ones."""
    own.credentials_path.unlink()
    with pytest.raises(ConfigurationError, match="restore it"):
        own.up()
    own.credentials_path.write_text("{}")
    with pytest.raises(ConfigurationError, match="restore it"):
        own.login()


def test_without_the_extra_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is installed at run time."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"curate\[studio\]"):
        EmbeddedStudio(tmp_path / "studio").up()


def test_data_of_an_unfinished_first_start_are_set_aside(
    own: EmbeddedStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between making the user and giving it the token: begun anew, nothing thrown away."""
    (own.folder / "ready").unlink()
    calls: list[int] = []

    def wait(pid: int, *rest: Any) -> None:
        calls.append(pid)
        if len(calls) == 1:
            raise server._StaleDataError

    monkeypatch.setattr(own, "_wait", wait)
    own.up()
    assert len(calls) == 2
    assert (own.folder / "data.unfinished-1" / "label_studio.sqlite3").exists()
