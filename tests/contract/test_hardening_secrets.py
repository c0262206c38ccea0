"""Secrets are searched for after commands ran: on the screen, in every file, in every log."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import zipfile
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from curate.interchange import write
from curate.labelstudio.client import LabelStudio
from tests.contract.conftest import Curate
from tests.contract.test_train import documents
from tests.contract.test_train_commands import TINY

TOKEN = "5ec4e700deadbeef5ec4e700deadbeef5ec4e700"
PASSWORD = "s3cret-database-passw0rd"
SERVE = "s3cret-serve-passw0rd"
OWNERS = "0wner5000deadbeef5ec4e700deadbeef0wner500"
"""What /setup brings."""
SECRETS = (TOKEN, PASSWORD, SERVE, OWNERS)
LINE = {
    "id": "d1",
    "text": "Awa Touré visite Tripoli, puis Gao, où elle parle de la paix.",
    "entities": [
        {"id": "e1", "start": 0, "end": 9, "label": "PER"},
        {"id": "e2", "start": 17, "end": 24, "label": "LOC"},
    ],
    "relations": [{"head": "e1", "tail": "e2", "label": "visits"}],
}


class Echo(BaseHTTPRequestHandler):
    """A server that says everything it was told, in headers and bodies, whatever the path."""

    def do_any(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        said = self.rfile.read(length).decode("utf-8", "replace")
        body = json.dumps({"detail": f"{self.headers} {said}", "token": TOKEN}).encode()
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("set-cookie", f"sessionid={TOKEN}")
        self.send_header("x-echo", str(self.headers.get("authorization")))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_DELETE = do_any  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """A Label Studio that repeats our token, set up by the environment, with all secrets there."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.status = 400  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("LABEL_STUDIO_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", TOKEN)
    monkeypatch.setenv("CURATE_SERVE_AUTH", f"user:{SERVE}")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def refuse_secrets(text: str, where: object) -> None:
    for secret in SECRETS:
        assert secret not in text, f"{secret} is in {where}"


def search(folder: Path) -> int:
    """Every file below, and what is packed inside databases and archives; how many there were."""
    count = 0
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        count += 1
        raw = path.read_bytes()
        refuse_secrets(raw.decode("latin-1"), path)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    refuse_secrets(archive.read(name).decode("latin-1"), f"{path}:{name}")
        if raw.startswith(b"SQLite format 3"):
            for value in _values(path):
                refuse_secrets(value, path)
    return count


def _values(path: Path) -> Iterator[str]:
    connection = sqlite3.connect(path)
    try:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
        for table in tables:
            if connection.execute(
                "SELECT 1 FROM sqlite_master WHERE type='table' AND name=?", (table,)
            ).fetchone():
                for row in connection.execute(f'SELECT * FROM "{table}"'):
                    for value in row:
                        yield _plain(value)
    finally:
        connection.close()


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        with contextlib.suppress(zlib.error):
            value = zlib.decompress(value)
        return bytes(value).decode("latin-1")  # type: ignore[arg-type]
    return str(value)


RUN = [
    ("doctor",),
    ("status",),
    ("push",),
    ("pull",),
    ("annotators", "list"),
    ("annotators", "invite", "nadia@example.org"),
    ("review", "push"),
    ("review", "pull"),
    ("gold", "build"),
    ("gold", "verify"),
    ("evaluate", "bootstrap", "--gold", "latest", "--output", "out"),
    ("agreement",),
    ("report", "annotators", "-o", "people.html"),
    ("quarantine", "list"),
    ("db", "check"),
    ("db", "backup", "store.zip"),
    ("schema", "diff", "--project"),
    ("gold", "export", "--format", "brat", "-o", "brat"),
]


@pytest.mark.parametrize("status", [200, 400, 500])
def test_no_secret_is_left_behind_by_a_run(
    status: int,
    curate: Curate,
    workspace: Path,
    echo: ThreadingHTTPServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Against a server that repeats them in everything it answers, with all logging on."""
    echo.status = status  # type: ignore[attr-defined]
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    defaults = LabelStudio.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "sleep", lambda _: None)
    monkeypatch.setitem(defaults, "attempts", 2)
    source = tmp_path / "docs.jsonl"
    source.write_text(json.dumps(LINE) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    commands = RUN if status == 400 else [c for c in RUN if c[0] in ("doctor", "push", "pull")]
    codes = {}
    with caplog.at_level(logging.DEBUG):
        for first in (("ingest", source), ("gold", "import", source)):
            curate("-w", workspace, *first)
        for command in commands:
            done = curate("-w", workspace, *command)
            codes[command] = done.code
            refuse_secrets(done.out + done.err, " ".join(command))
    assert codes["doctor",] in (0, 1, 4)
    assert codes["push",] == 4
    if status == 400:
        assert codes["gold", "build"] == 0
        assert codes["db", "backup", "store.zip"] == 0
        assert (tmp_path / "out" / "report.html").is_file()
    refuse_secrets(_own(caplog), "the log")
    assert search(tmp_path) > 5


def test_no_secret_is_in_a_model_its_card_a_postgresql_or_a_backup(
    curate: Curate,
    workspace: Path,
    echo: ThreadingHTTPServer,
    postgres: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A whole round of training with every secret in the environment, the database's one in an
    address that works; then every file, every row, and what is packed in either, are read."""
    from sqlalchemy import MetaData, create_engine, make_url

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.chdir(tmp_path)
    address = make_url(postgres).set(database="secrets", password=PASSWORD)
    admin = create_engine(postgres, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE secrets")
    monkeypatch.setenv("CURATE_DATABASE_URL", address.render_as_string(hide_password=False))
    (workspace / "label_configs" / "sahel.yaml").write_text(TINY)
    gold, source = tmp_path / "gold.jsonl", tmp_path / "docs.jsonl"
    write(gold, documents("t" * 10 + "x" * 8))
    source.write_text(json.dumps({"id": "d1", "text": LINE["text"]}) + "\n", encoding="utf-8")
    try:
        with caplog.at_level(logging.DEBUG):
            for command in (
                ("db", "upgrade"),
                ("ingest", source),
                ("train", "--gold", gold, "--name", "m"),
                ("models", "promote", "m@1", "--gold", gold, "--force", "the first"),
                ("models", "show", "m@1"),
                ("preannotate", "--processes", 2),
                ("evaluate", "m@1", "--gold", gold, "--output", "out"),
                ("status", "--fate"),
                ("doctor",),
                ("db", "check"),
                ("db", "backup", "store.zip"),
            ):
                done = curate("-w", workspace, *command)
                assert done.code == 0 or command == ("doctor",), (command, done)
                refuse_secrets(done.out + done.err, " ".join(map(str, command)))
        refuse_secrets(_own(caplog), "the log")
        assert (workspace / "models" / "m-1" / "model.json").is_file()
        assert search(tmp_path) > 10
        engine = create_engine(address)
        tables, rows = MetaData(), 0
        with engine.connect() as connection:
            tables.reflect(connection)
            for table in tables.sorted_tables:
                for row in connection.execute(table.select()):
                    rows += 1
                    for value in row:
                        refuse_secrets(_plain(value), table.name)
        engine.dispose()
        assert rows > 3
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql("DROP DATABASE secrets WITH (FORCE)")
        admin.dispose()


def test_a_server_keeps_and_says_no_secret(
    curate: Curate,
    workspace: Path,
    echo: ThreadingHTTPServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`curate serve` as a process: what /setup brings, right and wrong passwords, broken bodies,
    pulls that fail; then its output, its answers and every file are read."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "curate", "-w", workspace, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = answers = ""
    late = threading.Timer(60, process.kill)
    late.start()
    try:
        for line in process.stderr:
            said += line
            if "serving on " in line:
                break
        url = line.split("serving on ")[1].split()[0]
        arguments = Path(f"/proc/{process.pid}/cmdline").read_text(encoding="utf-8")
        refuse_secrets(arguments, "the list of processes")
        setup = {"project": "1.2", "access_token": OWNERS, "schema": "<View/>", "hostname": OWNERS}
        raw = json.dumps(setup)
        with httpx.Client(base_url=url, auth=("user", SERVE), trust_env=False) as client:
            assert client.post("/setup", json=setup).status_code == 200
            for path in ("/setup", "/predict", "/webhook", f"/{OWNERS}"):
                answers += client.post(path, content=raw).text
                answers += client.post(path, content=raw[:-1]).text
                answers += client.get(path, params={"access_token": OWNERS}).text
            task = {"data": {"text": LINE["text"], "access_token": OWNERS}}
            answers += client.post("/predict", json={"tasks": [task], "label_config": raw}).text
            answers += client.post("/webhook", json={"action": "ANNOTATION_CREATED"}).text
            answers += client.get("/health", auth=(OWNERS, TOKEN)).text
            answers += client.get("/metrics").text
        while "pull failed" not in said and (line := process.stderr.readline()):
            said += line
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    finally:
        late.cancel()
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode == 0
    assert "pull failed" in said
    assert 'curate_requests_total{route="/setup",status="200"}' in answers
    refuse_secrets(said + out + err, "what was said")
    refuse_secrets(answers, "the answers")
    assert search(tmp_path) > 2


def _own(caplog: pytest.LogCaptureFixture) -> str:
    """What was logged, without what httpcore tells of headers to who asks it for DEBUG."""
    return "\n".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("httpcore")
    )


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql+psycopg://user:{PASSWORD}@127.0.0.1:1/x",
        f"postgresql+psycopg://user:{PASSWORD}@nowhere.invalid/x?sslmode=nonsense",
        f"postgresql+psycopg://user:{PASSWORD}@[::bad/x",
        f"postgresql+nothing://user:{PASSWORD}@h/x",
        f"mysql://user:{PASSWORD}@h/x",
        f"user:{PASSWORD}@h",
    ],
)
def test_the_databases_password_is_in_no_error(
    address: str,
    curate: Curate,
    workspace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Refused, unknown, malformed; in messages, logs and what is left on the disk."""
    monkeypatch.setenv("CURATE_DATABASE_URL", address)
    with caplog.at_level(logging.DEBUG):
        for command in (("status",), ("db", "check"), ("db", "upgrade"), ("doctor",)):
            done = curate("-w", workspace, *command)
            assert done.code in (1, 3, 4), done
            refuse_secrets(done.out + done.err, " ".join(command))
    refuse_secrets(caplog.text, "the log")
    search(tmp_path)


def test_a_bug_is_logged_without_what_it_said(
    curate: Curate,
    workspace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An exception of a library may hold anything: its text goes nowhere."""
    from curate.cli.app import run

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", TOKEN)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"headers: Authorization: Token {TOKEN}")

    monkeypatch.setattr("curate.flows.doctor.examine", broken)
    assert run(["-w", str(workspace), "doctor"]) == 70
    refuse_secrets("".join(capsys.readouterr()), "the screen")
    [log] = tmp_path.glob("curate-*.log")
    refuse_secrets(log.read_text(encoding="utf-8"), log)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_objects_that_hold_secrets_do_not_show_them(echo: ThreadingHTTPServer) -> None:
    """In a debugger's or a logger's repr."""
    from curate.cli.common import Context
    from curate.settings import Environment

    with LabelStudio("http://x.example", TOKEN) as client:
        refuse_secrets(repr(client) + str(vars(client)), "the client")
    refuse_secrets(repr(Environment()) + str(Environment().model_dump()), "the environment")
    context = Context()
    refuse_secrets(repr(context) + repr(context.environment), "the context")


def test_the_studios_secrets_are_no_arguments_of_its_process(tmp_path: Path) -> None:
    """Arguments of a process can be read by everybody on the machine, its environment by us."""
    import inspect

    from curate.labelstudio import server

    source = inspect.getsource(server)
    spawned = source[source.index("arguments = [") :]
    arguments = spawned[: spawned.index("]")]
    for word in ("password", "token", "login", "secret"):
        assert word not in arguments.lower()
    assert "LABEL_STUDIO_PASSWORD" in source


def test_a_secret_in_curate_toml_is_refused_without_being_shown(
    curate: Curate, workspace: Path
) -> None:
    """It would be committed."""
    file = workspace / "curate.toml"
    for key in ("label_studio_api_key", "token", "database_password"):
        file.write_text(f'[studio]\n{key} = "{TOKEN}"\n', encoding="utf-8")
        done = curate("-w", workspace, "doctor")
        assert done.code in (1, 3)
        assert "environment" in done.out + done.err
        refuse_secrets(done.out + done.err, key)
