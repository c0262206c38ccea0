"""Whatever a server answers: bounded, one sentence, and the token goes to no other host."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest

from curate.errors import CurateError, DataError, RejectedError, RemoteError, ServerFaultError
from curate.extractors import http as http_extractor
from curate.extractors.http import Remote
from curate.labelstudio import bounded, client, people, projects, safety
from curate.labelstudio.client import LabelStudio
from curate.labelstudio.tasks import Tasks, annotated
from curate.model import Document

TOKEN = "0123456789abcdef0123456789abcdef01234567"
DEEP = b"[" * 200_000 + b"]" * 200_000
ODD: list[Any] = [
    None,
    True,
    0,
    -1.5,
    "",
    "x",
    "\x1b[31m\ud800",
    [],
    [None],
    [[]],
    [{}],
    [{"id": "1"}],
    [{"id": None, "email": []}],
    [{"id": True, "title": {}, "email": 3}],
    {},
    {"results": None},
    {"results": 3, "next": "x"},
    {"results": [1, 2], "next": None},
    {"results": [{"id": 10**30}], "next": None},
    {"results": [{"id": 1}], "next": None},
    {"tasks": None},
    {"tasks": [{"id": "1"}], "total": 1, "total_annotations": 1},
    {"tasks": [{"id": 1}], "total": "1", "total_annotations": []},
    {"tasks": [{"id": 2}, {"id": 1}], "total": 2, "total_annotations": 0},
    {"tasks": [{"id": 1, "data": [], "annotations": {}}], "total": 1, "total_annotations": 1},
    {"task_ids": [None]},
    {"task_ids": ["1"]},
    {"task_ids": {"1": 1}},
    {"id": 1},
    {"id": "1", "title": [], "created_at": {}, "label_config": 3},
    {"id": 1, "email": {"x": 1}, "username": []},
    {"release": {"x": "\x1b"}},
    {"access": 3},
    {"invite_url": 3},
]


def studio(answer: Callable[[httpx.Request], httpx.Response]) -> LabelStudio:
    return LabelStudio(
        "http://studio.example",
        TOKEN,
        transport=httpx.MockTransport(answer),
        sleep=lambda _: None,
        attempts=2,
    )


def sentence(call: Callable[[], object]) -> str:
    """What went wrong, in curate's own words; anything else that is raised is a bug."""
    try:
        call()
    except CurateError as error:
        return str(error)
    return ""


CALLS: dict[str, Callable[[LabelStudio], object]] = {
    "whoami": lambda s: s.whoami(),
    "version": lambda s: s.version(),
    "users": lambda s: s.users(),
    "projects": lambda s: s.projects(title="t"),
    "find": lambda s: projects.find(s, 1, "x"),
    "find ours": lambda s: projects.find_ours(s, "t", "w"),
    "adopt": lambda s: projects.adoptable(s, "t"),
    "import": lambda s: s.import_tasks(1, [{}]),
    "task": lambda s: s.task(1),
    "count": lambda s: Tasks(s, 1).count(annotated()),
    "light": lambda s: list(Tasks(s, 1).light()),
    "heavy": lambda s: list(Tasks(s, 1).heavy()),
    "heavy by id": lambda s: list(Tasks(s, 1).heavy_by_id([1, 2])),
    "documents": lambda s: list(Tasks(s, 1).find(["d"])),
    "predictions": lambda s: Tasks(s, 1).predictions([1]),
    "clock": lambda s: Tasks(s, 1).server_now(),
    "find user": lambda s: people.find_user(s, "a@b.example"),
    "invite": lambda s: people.invite(s, "a@b.example", "long-enough-password"),
    "safety": lambda s: safety.examine(s, embedded=False),
}


@pytest.mark.parametrize("call", CALLS)
def test_an_answer_of_any_form_is_taken_or_refused_in_a_sentence(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong types, missing keys, lists for objects: never a KeyError, never for ever."""
    monkeypatch.setattr(people, "_sign_up", lambda *_: None)
    monkeypatch.setattr(people, "can_log_in", lambda *_: False)
    monkeypatch.setattr(safety, "_signup", lambda url: safety.Finding("sign-up", True, "closed"))
    for value in ODD:
        body = json.dumps(value).encode()
        with studio(lambda _, body=body: httpx.Response(200, content=body)) as server:
            said = sentence(lambda server=server: CALLS[call](server))
        assert TOKEN not in said
        assert "\x1b" not in said


@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        b"{" * 9,
        b"\xff\xfe",
        b'{"a":' + b"9" * 5000 + b"}",
        b"<html><script>x</script>",
        b"{\0",
    ],
)
def test_a_body_that_is_no_json_is_a_sentence(body: bytes) -> None:
    """Nested beyond reading, cut, in no encoding, with a number of thousands of digits, a page."""
    with (
        studio(lambda _: httpx.Response(200, content=body)) as server,
        pytest.raises(RemoteError),
    ):
        server.get("/api/x")


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_without_end_is_cut(packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound counts what is unpacked: 10 kB can be 10 MB."""
    monkeypatch.setattr(client, "MAX_ANSWER_BYTES", 1 << 20)
    seen: list[int] = []

    def body() -> Iterator[bytes]:
        for n in range(1000):
            seen.append(n)
            yield b" " * (1 << 16)

    def answer(_: httpx.Request) -> httpx.Response:
        if packed:
            content = gzip.compress(b" " * (10 << 20))
            return httpx.Response(200, content=content, headers={"content-encoding": "gzip"})
        return httpx.Response(200, content=body())

    with studio(answer) as server, pytest.raises(RejectedError, match="more than 1 MB"):
        server.get("/api/x")
    assert len(seen) < 20


def test_a_list_that_never_ends_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may say «next» for ever."""
    monkeypatch.setattr(client, "_MAX_PAGES", 30)
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(
            200, json={"results": [{"id": len(asked), "title": "t"}], "next": "more"}
        )

    with studio(answer) as server, pytest.raises(ServerFaultError, match="does not end"):
        server.projects()
    assert len(asked) == 30


def test_the_words_of_an_error_are_plain_and_few() -> None:
    """Markup, escape sequences, our own token and a megabyte of words in a refusal."""
    said = f"<script>alert(1)</script>\x1b]0;x\x07 {TOKEN} " + "x" * (1 << 20)
    for kind in ("text/html", "application/json"):
        content = said if kind == "text/html" else json.dumps({"detail": said})
        with (
            studio(
                lambda _, c=content, k=kind: httpx.Response(
                    400, content=c.encode(), headers={"content-type": k}
                )
            ) as server,
            pytest.raises(RejectedError) as caught,
        ):
            server.get("/api/x")
        assert TOKEN not in str(caught.value)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 600


# -- real sockets: what really leaves


class Heard(HTTPServer):
    """Keeps the headers it was sent; answers as told."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                outer.headers.append({k.lower(): v for k, v in self.headers.items()})
                length = int(self.headers.get("content-length") or 0)
                self.rfile.read(length)
                answer(self)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Nothing is printed."""

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def listening(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[Heard]:
    server = Heard(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ok(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "2")
    handler.end_headers()
    handler.wfile.write(b"{}")


@pytest.mark.parametrize("status", [301, 303, 308])
def test_the_token_follows_no_redirect_to_another_host(status: int) -> None:
    """Another port is another server, whatever the method, the form of the address or its path."""
    with listening(ok) as thief:
        places = [thief.url, thief.url.replace("http:", ""), f"{thief.url}/user/login"]

        def away(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("location", places[len(server.headers) % 3])
            handler.send_header("content-length", "0")
            handler.end_headers()

        with (
            listening(away) as server,
            LabelStudio(server.url, TOKEN, sleep=lambda _: None) as asked,
        ):
            for method in ("get", "post", "patch", "delete", "get", "post", "get"):
                with pytest.raises(RemoteError) as caught:
                    getattr(asked, method)("/api/x")
                assert TOKEN in server.headers[-1]["authorization"]
                assert TOKEN not in str(caught.value)
        assert thief.headers == []


def test_an_extractor_follows_no_redirect_with_the_texts() -> None:
    """The texts go to the address that was named."""
    with listening(ok) as thief:

        def away(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(307)
            handler.send_header("location", thief.url)
            handler.send_header("content-length", "0")
            handler.end_headers()

        with listening(away) as server, pytest.raises(RejectedError, match="redirects elsewhere"):
            list(Remote(f"{server.url}/?key=s3cret").extract([Document.of("secret text")]))
        assert thief.headers == []


def test_a_page_of_log_in_or_sign_up_is_bounded() -> None:
    """These speak to the server outside the client."""

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("set-cookie", "csrftoken=x")
        handler.end_headers()
        try:
            for _ in range(64):
                handler.wfile.write(b" " * (1 << 20))
        except OSError:
            return

    with (
        listening(endless) as server,
        pytest.raises(RejectedError, match=f"more than {bounded.MAX_PAGE_BYTES >> 20} MB"),
    ):
        people.can_log_in(server.url, "a@b.example", "long-enough-password")


# -- extractors behind HTTP


def extractor(body: bytes, about: Any = None, **headers: str) -> Remote:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=about)
        return httpx.Response(200, content=body, headers=headers)

    return Remote(
        "http://model.example", pause=0.0, retries=1, transport=httpx.MockTransport(answer)
    )


@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        b'{"annotations":[{"id":"d","entities":[{"start":0,"end":1,"label":"L","score":NaN}]}]}',
        b'{"annotations":[{"id":"d","entities":[{"start":0,"end":1,"label":"L","score":1e999}]}]}',
        b'{"annotations":[{"id":"d","entities":[{"start":0,"end":'
        + b"9" * 5000
        + b',"label":"L"}]}]}',
        b'{"annotations":[{"id":"d","entities":[{"start":0,"end":99,"label":"L"}]}]}',
        b'{"annotations":[{"id":"d","entities":[{"start":0,"end":1,"label":"\\ud800"}]}]}',
        b'{"annotations":[{"id":"d","entities":[{"start":0,"end":1,"label":"L\\u0000"}]}]}',
        b'{"annotations":[{"id":"d","entities":[{"start":false,"end":true,"label":"L"}]}]}',
        b'{"annotations":[{"id":"other"}]}',
        b'{"annotations":[{"id":{}}]}',
        b'{"annotations":[[]]}',
        b'{"annotations":{}}',
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b"",
    ],
)
def test_a_bad_answer_of_an_extractor_is_a_sentence(body: bytes) -> None:
    """Bombs, NaN, infinity, spans outside the text, characters no database keeps."""
    with pytest.raises(CurateError) as caught:
        list(extractor(body).extract([Document.of("abc", id="d")]))
    assert isinstance(caught.value, RemoteError | DataError)


@pytest.mark.parametrize("packed", [False, True])
def test_an_extractors_answer_is_bounded(packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it was small before it was unpacked."""
    monkeypatch.setattr(http_extractor, "MAX_ANSWER_BYTES", 1 << 20)
    body = b" " * (4 << 20)
    found = (
        extractor(gzip.compress(body), **{"content-encoding": "gzip"})
        if packed
        else extractor(body)
    )
    with pytest.raises(RejectedError, match="more than 1 MB"):
        list(found.extract([Document.of("abc", id="d")]))


@pytest.mark.parametrize(
    "about",
    [
        {"name": "\x1b[31mx", "version": "\n", "digest": "\u202e"},
        {"name": "x" * 10_000, "version": {}, "digest": ["x"]},
        [1],
        None,
    ],
)
def test_an_extractor_cannot_call_itself_anything(about: Any) -> None:
    """Its name and version stand in tables, in reports and in Label Studio."""
    found = extractor(b"{}", about)
    assert found.name == "model.example"
    assert found.version == ""
    assert len(found.digest) == 64
