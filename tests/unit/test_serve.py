"""The door of `curate serve`: who may ask, how much, and what is answered."""

from __future__ import annotations

import base64
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from curate.errors import UsageError
from curate.labelstudio.backend import server
from curate.labelstudio.backend.app import Limits, make_app
from curate.labelstudio.backend.guard import WEBHOOK_HEADER, Login
from curate.labelstudio.backend.metrics import Metrics
from curate.labelstudio.backend.protocol import Question, RequestError, parse_json, parse_question
from curate.labelstudio.backend.server import is_loopback
from tests.conftest import Curate

SECRET = "hunter2 hunter2"
TOKEN = "0123456789abcdef0123456789abcdef01234567"


class Bell:
    """A service that answers simply, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.woken = 0

    def version(self) -> str:
        return "model@1#aa"

    def predict(self, question: Question) -> list[list[dict[str, Any]]]:
        self.asked.append(question)
        if any(task.text == "boom" for task in question.tasks):
            raise RuntimeError(f"secret of {SECRET}")
        return [[{"model_version": "model@1#aa", "result": []}] for _ in question.tasks]

    def assist(self, question: Question) -> dict[str, Any]:
        self.asked.append(question)
        return {"model_version": "model@1#aa", "result": []}

    def wake(self) -> bool:
        self.woken += 1
        return True


class Caller:
    """Speaks to an application in process."""

    def __init__(self, app: Any, host: str = "127.0.0.1:9090") -> None:
        self._app, self._host = app, host

    def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(
                transport=transport, base_url=f"http://{self._host}"
            ) as client:
                return await client.request(method, path, **more)

        return anyio.run(ask)


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def faults() -> list[str]:
    return []


@pytest.fixture
def ask(bell: Bell, faults: list[str]) -> Caller:
    """A server without a login, as it stands on loopback."""
    return Caller(make_app(bell, Metrics(), on_fault=faults.append))


def task(text: Any = "Awa Touré visite Gao.", **data: Any) -> dict[str, Any]:
    return {"id": 1, "project": 1, "data": {"text": text} | data}


def test_the_protocol_is_spoken(ask: Caller, bell: Bell) -> None:
    """health, setup, versions, predict and webhook answer as Label Studio reads them."""
    assert ask("GET", "/health").json()["status"] == "UP"
    setup = {"project": "1.2", "access_token": TOKEN, "schema": "<View/>", "hostname": "http://x"}
    assert ask("POST", "/setup", json=setup).json() == {"model_version": "model@1#aa"}
    assert ask("GET", "/versions").json() == {"versions": ["model@1#aa"]}
    answer = ask("POST", "/predict", json={"tasks": [task(), task()], "label_config": "<View/>"})
    assert [len(found) for found in answer.json()["results"]] == [1, 1]
    assert bell.asked[0].marked is None
    assert ask("POST", "/webhook", json={"action": "ANNOTATION_CREATED"}).json() == {"status": "ok"}
    assert bell.woken == 1


def test_the_token_that_setup_sends_goes_nowhere(ask: Caller, faults: list[str]) -> None:
    """Neither an answer, nor a metric, nor a fault repeats it."""
    said = ask("POST", "/setup", json={"access_token": TOKEN}).text
    said += ask("POST", "/setup", content=f'{{"access_token": "{TOKEN}"'.encode()).text
    said += ask("GET", "/metrics").text + "".join(faults)
    assert TOKEN not in said


def test_a_webhook_is_a_wake_up_and_nothing_more(ask: Caller, bell: Bell) -> None:
    """What a payload claims is not looked at; training is not ours; other events wake nobody."""
    claims = {"action": "ANNOTATION_UPDATED", "annotation": {"id": "x" * 1000}, "task": None}
    assert ask("POST", "/webhook", json=claims).status_code == 200
    assert bell.woken == 1
    for action in ("START_TRAINING", "PROJECT_UPDATED", None, 7):
        assert ask("POST", "/webhook", json={"action": action}).json()["status"] == "ignored"
    assert ask("POST", "/webhook", content=b"[]").status_code == 400
    assert bell.woken == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/health/", 404),
        ("POST", "/train", 404),
        ("GET", "/predict", 405),
        ("DELETE", "/setup", 405),
    ],
)
def test_what_is_not_ours_is_refused_in_json(
    ask: Caller, method: str, path: str, status: int
) -> None:
    """An unknown route is 404, a wrong method 405; both say so in JSON."""
    answer = ask(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b'{"tasks": 3}',
        b'{"tasks": [' + b"[" * 100_000,
        b'{"a": NaN, "tasks": []}',
        b'{"tasks": ["\\ud800"]}',
        b'{"tasks": ["\xff"]}',
        b'{"tasks": [], "params": {"context": {"result": []}}}',
    ],
    ids=["empty", "text", "list", "tasks", "deep", "nan", "surrogate", "bytes", "no-task"],
)
def test_a_body_that_is_no_request_is_400(ask: Caller, body: bytes) -> None:
    """Whatever comes is answered in one JSON sentence; nothing of it is repeated."""
    answer = ask("POST", "/predict", content=body)
    assert answer.status_code == 400
    assert len(answer.json()["error"]) < 120


def test_no_traceback_reaches_whoever_asked(ask: Caller, faults: list[str]) -> None:
    """A model may raise anything: the answer is 500 without its words, the log names its kind."""
    answer = ask("POST", "/predict", json={"tasks": [task("boom")]})
    assert answer.status_code == 500
    assert faults == ["/predict failed (RuntimeError)"]
    assert SECRET not in answer.text + faults[0]


def test_bodies_are_bounded(bell: Bell) -> None:
    """Too large is 413, by its header or by its bytes; compressed is 415."""
    ask = Caller(make_app(bell, Metrics(), limits=Limits(body=1000)))
    assert ask("POST", "/predict", json={"tasks": [task("a" * 2000)]}).status_code == 413

    async def drips() -> Any:
        for _ in range(20):
            yield b"a" * 100

    assert ask("POST", "/predict", content=drips()).status_code == 413
    assert ask("POST", "/predict", json={"tasks": [task()]}).status_code == 200
    packed = ask("POST", "/predict", content=b"x", headers={"Content-Encoding": "gzip"})
    assert packed.status_code == 415


def test_a_slow_body_is_not_waited_for(bell: Bell) -> None:
    """A body that drips is answered with 408 once its time is over."""
    ask = Caller(make_app(bell, Metrics(), limits=Limits(seconds=0.1)))

    async def drips() -> Any:
        yield b"{"
        await anyio.sleep(5)
        yield b"}"

    assert ask("POST", "/webhook", content=drips()).status_code == 408


def basic(text: str, scheme: str = "Basic") -> dict[str, str]:
    return {"Authorization": f"{scheme} {base64.b64encode(text.encode()).decode()}"}


@pytest.fixture
def locked(bell: Bell) -> Caller:
    return Caller(make_app(bell, Metrics(), login=Login("éva", SECRET)), "example.org")


def test_with_a_login_nothing_is_answered_without_it(locked: Caller, bell: Bell) -> None:
    """Every route, the unknown ones too, is 401 for all but the right user and password."""
    wrong: list[dict[str, str]] = [
        {},
        basic(f"éva:{SECRET}x"),
        basic(f"eva:{SECRET}"),
        basic("éva:"),
        basic(":"),
        basic(f"éva:{SECRET}", "Bearer"),
        {"Authorization": "Basic ééé".encode("latin-1").decode("latin-1")},
        {"Authorization": "Basic"},
        {WEBHOOK_HEADER: ""},
        {WEBHOOK_HEADER: SECRET},
    ]
    for path in ("/health", "/metrics", "/webhook", "/nothing", "/versions"):
        for headers in wrong:
            encoded = {name: value.encode("latin-1") for name, value in headers.items()}
            answer = locked("POST" if path == "/webhook" else "GET", path, headers=encoded)
            assert answer.status_code == 401, (path, headers)
            assert answer.headers["www-authenticate"].startswith("Basic")
    assert bell.woken == 0
    assert locked("GET", "/health", headers=basic(f"éva:{SECRET}")).status_code == 200


def test_a_webhook_brings_a_token_of_its_own(locked: Caller, bell: Bell) -> None:
    """It opens /webhook alone, and tells nothing of the password."""
    login = Login("éva", SECRET)
    token = {WEBHOOK_HEADER: login.webhook_token}
    event = {"action": "ANNOTATION_CREATED"}
    assert locked("POST", "/webhook", json=event, headers=token).status_code == 200
    assert locked("GET", "/metrics", headers=token).status_code == 401
    assert bell.woken == 1
    assert SECRET not in login.webhook_token + repr(login)
    assert login.webhook_token != Login("éva", SECRET + "x").webhook_token


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.7:9090", ""])
def test_on_loopback_only_its_own_names_are_answered(bell: Bell, host: str) -> None:
    """A web page that binds a name of its own to 127.0.0.1 gets nothing."""
    ask = Caller(make_app(bell, Metrics()))
    assert ask("GET", "/health", headers={"Host": host}).status_code == 421
    for good in ("127.0.0.1:9090", "localhost", "[::1]:9090", "LOCALHOST:1"):
        assert ask("GET", "/health", headers={"Host": good}).status_code == 200
    named = Caller(make_app(bell, Metrics(), names=["curate.internal"]))
    assert named("GET", "/health", headers={"Host": "curate.internal"}).status_code == 200


def test_metrics_count_what_was_done(ask: Caller) -> None:
    """Requests by route and status, latencies with the promises as edges; no client's words."""
    ask("GET", "/health")
    ask("GET", "/secret-path-of-a-client")
    ask("POST", "/webhook", json={"action": "ANNOTATION_MADE_UP"})
    answer = ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert 'curate_requests_total{route="/health",status="200"} 1.0' in lines
    assert 'curate_requests_total{route="other",status="404"} 1.0' in lines
    assert 'curate_wakeups_total{outcome="woken"} 1.0' in lines
    for edge in ("0.05", "0.3"):
        assert any(f'le="{edge}"' in line for line in lines)
    assert "secret-path" not in answer.text
    assert "MADE_UP" not in answer.text


def test_a_question_is_read_leniently_where_it_may_be() -> None:
    """A task that is none comes out unreadable and takes no other with it."""
    body = {"tasks": [task(curate_id="d1"), None, {"data": []}, task(7)], "params": None}
    read = parse_question(json.dumps(body).encode())
    assert [t.text for t in read.tasks] == ["Awa Touré visite Gao.", None, None, None]
    assert [t.document_id for t in read.tasks] == ["d1", None, None, None]
    assert read.marked is None
    assert read.config == ""


def test_texts_and_configurations_are_bounded(ask: Caller) -> None:
    """A text too long for any model counts as unreadable; a configuration too long is refused."""
    long = json.dumps({"tasks": [task("a" * 1_000_001), task()]}).encode()
    assert [t.text is None for t in parse_question(long).tasks] == [True, False]
    config = {"tasks": [task()], "label_config": "a" * 1_000_001}
    assert ask("POST", "/predict", json=config).status_code == 400


def region(id: str, start: int, end: int, label: str) -> dict[str, Any]:
    value = {"start": start, "end": end, "labels": [label]}
    return {"id": id, "type": "labels", "from_name": "label", "to_name": "text", "value": value}


def test_what_is_on_the_screen_is_what_was_saved_last() -> None:
    """Drafts; without any the one annotation, else the newest prediction."""
    saved = {
        "drafts": [{"result": [region("d", 0, 3, "PER")]}],
        "annotations": [{"result": [region("a", 0, 3, "PER")]}],
        "predictions": [{"result": [region("p", 0, 3, "PER"), {"type": "odd"}]}],
    }
    context = {"params": {"context": {"result": [region("x", 4, 6, "LOC")]}}}

    def ids(**kept: Any) -> set[str]:
        body = {"tasks": [task() | kept]} | context
        question = parse_question(json.dumps(body).encode())
        assert [r.id for r in question.marked or ()] == ["x"]
        return set(question.tasks[0].regions)

    assert ids(**saved) == {"d"}
    assert ids(**saved | {"drafts": []}) == {"a"}
    assert ids(**saved | {"drafts": [], "annotations": [{"result": []}, {"result": []}]}) == {"p"}
    assert ids() == set()


def test_depth_and_form_of_json_are_bounded() -> None:
    """Deep nesting is refused in time, not by a crash."""
    with pytest.raises(RequestError):
        parse_json(b'{"a":' * 50_000 + b"1" + b"}" * 50_000)
    with pytest.raises(RequestError):
        parse_json(b'"text"')
    assert parse_json('{"a": "é"}'.encode()) == {"a": "é"}


@contextmanager
def running(bell: Bell) -> Iterator[tuple[str, int]]:
    """A real server on a real socket."""
    ready = threading.Event()
    with server.listen("127.0.0.1", 0) as listening:
        made = server.make_server(make_app(bell, Metrics()), ready.set)
        thread = threading.Thread(target=made.run, kwargs={"sockets": [listening]}, daemon=True)
        address = listening.getsockname()
        thread.start()
        assert ready.wait(10)
        yield address
        made.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


def test_a_silent_connection_is_closed_and_others_are_answered(
    bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a request is not waited for without end; a header without end is refused."""
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)
    with running(bell) as address:
        with socket.create_connection(address) as silent:
            silent.sendall(b"GET /health HTTP/1.1\r\nHost: 127")
            answer = httpx.get(f"http://{address[0]}:{address[1]}/health", trust_env=False)
            assert answer.status_code == 200
            assert "server" not in answer.headers
            silent.settimeout(5)
            assert silent.recv(100) == b""
        with socket.create_connection(address) as talkative:
            talkative.sendall(b"GET /health HTTP/1.1\r\nX: " + b"a" * 200_000)
            talkative.settimeout(5)
            assert b" 400 " in talkative.recv(1000)


def test_answers_are_not_held_back_by_the_network(bell: Bell) -> None:
    """The best of some webhooks is answered well within 40 ms, which Nagle's waiting would cost."""
    with running(bell) as address, httpx.Client(trust_env=False) as client:
        url = f"http://{address[0]}:{address[1]}/webhook"
        waited = []
        for _ in range(20):
            began = time.perf_counter()
            assert client.post(url, json={"action": "ANNOTATION_CREATED"}).status_code == 200
            waited.append(time.perf_counter() - began)
        assert min(waited) < 0.035
    assert bell.woken == 20


def test_a_model_at_work_does_not_hold_a_webhook_back(
    bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While serving, Python's lock changes hands fast, and afterwards as before: most wake-ups are
    answered within 50 ms beside a prediction that never leaves Python."""
    held = []

    class Seen:
        caught = 15

        def run(self, sockets: list[socket.socket]) -> None:
            held.append(sys.getswitchinterval())

    before = sys.getswitchinterval()
    monkeypatch.setattr(server, "make_server", lambda app, on_ready: Seen())
    with server.listen("127.0.0.1", 0) as listening:
        assert server.run(make_app(bell, Metrics()), listening, lambda: None) == 15
    assert held[0] == pytest.approx(server.TURN_SECONDS)
    assert sys.getswitchinterval() == before
    monkeypatch.undo()

    ended = threading.Event()

    def busy(question: Question) -> list[list[dict[str, Any]]]:
        while not ended.is_set():
            sum(range(1000))
        return [[]]

    monkeypatch.setattr(bell, "predict", busy)
    sys.setswitchinterval(server.TURN_SECONDS)
    try:
        with running(bell) as address, httpx.Client(trust_env=False) as client:
            url = f"http://{address[0]}:{address[1]}"
            asking = threading.Thread(
                target=httpx.post,
                args=(f"{url}/predict",),
                kwargs={"json": {"tasks": [task()]}, "trust_env": False, "timeout": 30},
            )
            asking.start()
            waited = []
            for _ in range(21):
                began = time.perf_counter()
                client.post(f"{url}/webhook", json={"action": "ANNOTATION_CREATED"})
                waited.append(time.perf_counter() - began)
            ended.set()
            asking.join(10)
    finally:
        ended.set()
        sys.setswitchinterval(before)
    assert sorted(waited)[10] < 0.05


def test_a_port_or_address_that_cannot_be_had_is_said() -> None:
    """The sentence names it and says what to do."""
    with server.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} is taken"):
            server.listen("127.0.0.1", port)
    with pytest.raises(UsageError, match=r"cannot listen on 203\.0\.113\.7:0"):
        server.listen("203.0.113.7", 0)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--host", "0.0.0.0"), 2, "demand a password"),
        (("--auth", "nobody"), 2, "USER:PASSWORD"),
        (("--auth", "nobody:"), 2, "USER:PASSWORD"),
        (("--register", "--unregister"), 2, "exclude each other"),
        (("--register",), 4, "studio up"),
        (("--unregister",), 4, "studio up"),
        (("--url", "ftp://x"), 2, "--url"),
        (("--model", "no-such-model"), 3, "no-such-model"),
    ],
    ids=["open", "no-colon", "empty", "both", "register", "unregister", "url", "model"],
)
def test_what_cannot_be_served_is_said(
    curate: Curate, workspace: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """One sentence and the right exit code; a password is never repeated."""
    result = curate("-w", workspace, "serve", "--port", "0", *arguments)
    assert (result.code, result.out) == (code, "")
    assert words in result.err
    assert "nobody" not in result.err


def test_the_password_may_come_from_the_environment(
    curate: Curate, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CURATE_SERVE_AUTH opens the wide address, which then lacks a name to be registered under."""
    monkeypatch.setenv("CURATE_SERVE_AUTH", "user:nobody")
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", TOKEN)
    wide = ("--host", "0.0.0.0", "--port", "0", "--register")
    result = curate("-w", workspace, "serve", *wide)
    assert result.code == 2
    assert "--url" in result.err
    assert "nobody" not in result.err


def test_loopback_is_told_from_other_addresses() -> None:
    """Only what no other machine can reach counts."""
    assert all(map(is_loopback, ("127.0.0.1", "localhost", "::1", "[::1]", "127.8.8.8")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.1", "example.org", "")))
