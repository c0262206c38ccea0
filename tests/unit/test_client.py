"""The laws of the client: patient reads, single writes, no secret in a message."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from curate.errors import (
    AuthenticationError,
    ConfigurationError,
    DataError,
    RejectedError,
    RemoteError,
    ServerFaultError,
    UnreachableError,
)
from curate.labelstudio.client import LabelStudio, Retry, base_url_of, outcome_unknown
from curate.labelstudio.faults import TRANSPORT_FAULTS, NotSentError, describe_body, transport_error
from curate.labelstudio.tokens import TokenKind, claims, kind_of

LEGACY = "0123456789abcdef0123456789abcdef01234567"


def jwt(**payload: Any) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256'})}.{part(payload)}.c2lnbmF0dXJl"


REFRESH = jwt(token_type="refresh", exp=2**40, iat=0)


class Server:
    """A script of answers; keeps what was asked."""

    def __init__(self, *answers: httpx.Response | Exception, then: httpx.Response | None = None):
        self.answers = list(answers)
        self.then = then
        self.asked: list[httpx.Request] = []
        self.slept: list[float] = []
        self.told: list[Retry] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if self.answers else self.then
        assert answer is not None, "asked more often than expected"
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, token: str = LEGACY, url: str = "http://ls.example:8080") -> LabelStudio:
        return LabelStudio(
            url,
            token,
            transport=httpx.MockTransport(self),
            sleep=self.slept.append,
            on_retry=self.told.append,
        )


def httpx_exceptions() -> list[type[Exception]]:
    names = [getattr(httpx, name) for name in httpx.__all__]
    return [x for x in names if isinstance(x, type) and issubclass(x, Exception)]


@pytest.mark.parametrize("kind", httpx_exceptions(), ids=lambda kind: kind.__name__)
def test_every_exception_of_httpx_has_its_own_place_in_the_map(kind: type[Exception]) -> None:
    """The map is exhaustive: a new httpx with a new exception fails here, not at a user's."""
    assert kind.__name__ in TRANSPORT_FAULTS


def test_the_map_names_nothing_that_httpx_does_not_have() -> None:
    """A name that httpx dropped would be dead weight."""
    assert set(TRANSPORT_FAULTS) == {kind.__name__ for kind in httpx_exceptions()}


@pytest.mark.parametrize("name", sorted(TRANSPORT_FAULTS))
def test_a_transport_error_never_repeats_the_library_s_words(name: str) -> None:
    """What httpx says may hold a URL with a password."""
    cls = getattr(httpx, name)
    error: Exception = cls.__new__(cls)
    error.args = ("http://user:hunter2@host",)
    told = transport_error(error, "http://host")
    assert isinstance(told, RemoteError)
    assert "hunter2" not in str(told)
    assert told.exit_code == 4


def test_a_refused_connection_was_surely_not_sent_a_time_out_may_have_been() -> None:
    """The one difference a writer needs."""
    refused = Server(httpx.ConnectError("refused")).client()
    with pytest.raises(NotSentError) as caught:
        refused.post("/api/projects/1/import", json=[])
    assert not outcome_unknown(caught.value)
    with pytest.raises(UnreachableError) as late:
        Server(httpx.ReadTimeout("late")).client().post("/api/projects/1/import", json=[])
    assert outcome_unknown(late.value)


@pytest.mark.parametrize(
    ("status", "unknown"),
    [(400, False), (403, False), (409, False), (429, False), (500, True), (502, True)],
)
def test_a_refusal_is_certain_and_a_server_fault_is_not(status: int, unknown: bool) -> None:
    """After a 5xx the tasks may be there: Label Studio was seen to commit and answer 500."""
    with pytest.raises(RemoteError) as caught:
        Server(httpx.Response(status, json={"detail": "no"})).client().post("/api/x")
    assert outcome_unknown(caught.value) is unknown


@pytest.mark.parametrize("verb", ["post", "patch", "delete"])
@pytest.mark.parametrize(
    "fault", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.Response(503)]
)
def test_a_write_is_sent_once(verb: str, fault: httpx.Response | Exception) -> None:
    """Nothing in Label Studio is idempotent."""
    server = Server(fault)
    call: Callable[..., Any] = getattr(server.client(), verb)
    with pytest.raises(RemoteError):
        call("/api/x", json={})
    assert len(server.asked) == 1
    assert not server.slept


def test_a_read_is_repeated_shown_and_then_answered() -> None:
    """Connection errors, time-outs and 5xx pass."""
    server = Server(
        httpx.ConnectError("x"),
        httpx.ReadTimeout("x"),
        httpx.Response(502),
        httpx.Response(200, json=[1]),
    )
    assert server.client().get("/api/x") == [1]
    assert len(server.slept) == 3
    assert [told.attempt for told in server.told] == [1, 2, 3]
    assert server.told[0].action == "GET /api/x"
    assert server.slept == sorted(server.slept)


def test_reads_give_up_after_a_bounded_number_of_attempts() -> None:
    """And the last failure is what the user hears."""
    server = Server(then=httpx.Response(500, json={"detail": "kaputt"}))
    with pytest.raises(ServerFaultError, match=r"GET /api/x with 500: kaputt"):
        server.client().get("/api/x")
    assert len(server.asked) == 5
    assert sum(server.slept) < 60


def test_retry_after_is_obeyed_within_reason() -> None:
    """A server may ask for patience, not for a day."""
    server = Server(
        httpx.Response(429, headers={"Retry-After": "7"}),
        httpx.Response(429, headers={"Retry-After": "86400"}),
        httpx.Response(429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        httpx.Response(200, json={}),
    )
    server.client().get("/api/x")
    assert server.slept == [7.0, 60.0, 0.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
def test_a_refused_read_is_not_repeated(status: int) -> None:
    """Trying again will not help."""
    server = Server(httpx.Response(status, json={"detail": "no"}))
    with pytest.raises((RejectedError, AuthenticationError)):
        server.client().get("/api/x")
    assert len(server.asked) == 1


def test_a_truncated_answer_is_a_server_fault() -> None:
    """Half a JSON document must never pass for a whole one."""
    server = Server(then=httpx.Response(200, content=b'{"results": [1, 2'))
    with pytest.raises(ServerFaultError, match="breaks off"):
        server.client().get("/api/x")


def test_a_web_page_is_told_apart_from_an_answer() -> None:
    """The usual mistake: an address that is not Label Studio's."""
    page = httpx.Response(200, html="<html><title>Welcome</title></html>")
    with pytest.raises(RejectedError, match="web page"):
        Server(page).client().get("/api/x")


def test_an_empty_answer_is_none() -> None:
    """204 has no body."""
    assert Server(httpx.Response(204)).client().delete("/api/x") is None


def test_a_message_holds_status_and_words_but_no_secret_header_or_markup() -> None:
    """Bounded, one line, tokens blotted out, also those of others."""
    other = "f" * 40
    body = {"detail": f"bad token {LEGACY}\n\x1b[31m {other} {REFRESH}" + "x" * 5000}
    response = httpx.Response(400, json=body, headers={"Set-Cookie": "sessionid=topsecret"})
    with pytest.raises(RejectedError) as caught:
        Server(response).client().get("/api/x")
    said = str(caught.value)
    assert caught.value.status == 400
    assert "bad token …" in said
    for secret in (LEGACY, other, REFRESH, "topsecret", "\x1b", "\n"):
        assert secret not in said
    assert len(said) < 600


def test_validation_errors_are_read_out() -> None:
    """What Label Studio says in 400 is what the user must hear."""
    body = json.dumps(
        {
            "detail": "Validation error",
            "exc_info": "Traceback …",
            "validation_errors": {"title": ["too short"], "non_field_errors": ["and odd"]},
        }
    ).encode()
    assert describe_body(body, "application/json") == "title: too short; and odd"


def test_a_page_of_html_is_shown_by_its_title() -> None:
    """Django's 404 is a page."""
    assert describe_body(b"<html><title>Not Found</title><body>...", "text/html") == "Not Found"


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hunter2@host",
        "http://hunter2@host",
        "ftp://host",
        "host:8080",
        "",
        "http://host/?token=hunter2",
        "http://host/#hunter2",
        "http://ho st",
        "http://host:99999",
        "http://[::1",
    ],
)
def test_a_bad_address_is_refused_without_repeating_it(url: str) -> None:
    """It may hold a password."""
    with pytest.raises(ConfigurationError) as caught:
        base_url_of(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://host:8080/", "http://host:8080"),
        ("HTTPS://Host/studio/", "https://host/studio"),
        (" http://[::1]:80/ ", "http://[::1]:80"),
    ],
)
def test_an_address_has_one_form(url: str, base: str) -> None:
    """Case, outer spaces and a slash at the end carry no meaning."""
    assert base_url_of(url) == base


def test_a_path_of_the_address_is_kept() -> None:
    """Label Studio may live below a path."""
    server = Server(httpx.Response(200, json={}))
    server.client(url="http://host/studio").get("/api/x")
    assert str(server.asked[0].url) == "http://host/studio/api/x"


def test_a_redirect_to_another_host_is_refused_and_gets_no_token() -> None:
    """The token belongs to one server."""
    server = Server(httpx.Response(302, headers={"Location": "https://user:pw@evil.example/x?t=1"}))
    with pytest.raises(RejectedError, match=r"redirects to https://evil\.example;") as caught:
        server.client().get("/api/x")
    assert len(server.asked) == 1
    assert "pw" not in str(caught.value)


def test_a_redirect_on_the_same_host_is_followed_for_reads_only() -> None:
    """Django adds slashes."""
    server = Server(
        httpx.Response(301, headers={"Location": "/api/x/"}), httpx.Response(200, json=1)
    )
    assert server.client().get("/api/x") == 1
    write = Server(httpx.Response(301, headers={"Location": "/api/x/"}))
    with pytest.raises(RejectedError):
        write.client().post("/api/x", json={})
    assert len(write.asked) == 1


def test_a_redirect_to_the_log_in_is_an_authentication_error() -> None:
    """Pages outside the API answer so."""
    server = Server(httpx.Response(302, headers={"Location": "/user/login/?next=/api/x"}))
    with pytest.raises(AuthenticationError, match="log-in"):
        server.client().get("/api/x")


@pytest.mark.parametrize("token", ["", "  ", "two words", "clé-privée", "a\nb", "x"])
def test_what_is_no_token_is_refused_before_anything_is_sent(token: str) -> None:
    """A newline in a header would be an injection."""
    with pytest.raises(AuthenticationError) as caught:
        Server().client(token)
    assert not token.strip() or token not in str(caught.value).split()


def test_tokens_are_told_apart_by_shape() -> None:
    """Legacy, personal access token, access token."""
    assert kind_of(LEGACY) is TokenKind.LEGACY
    assert kind_of(REFRESH) is TokenKind.REFRESH
    assert kind_of(jwt(token_type="access")) is TokenKind.ACCESS
    assert claims("no.jwt.here") == {}


def test_a_legacy_token_is_sent_as_it_is() -> None:
    """And no cookie is kept beside it."""
    answer = httpx.Response(200, json={}, headers={"Set-Cookie": "sessionid=1; Path=/"})
    server = Server(then=answer)
    client = server.client()
    client.get("/api/x")
    client.get("/api/x")
    assert server.asked[1].headers["Authorization"] == f"Token {LEGACY}"
    assert "cookie" not in server.asked[1].headers


def test_a_personal_access_token_is_exchanged_once_and_used_until_it_is_nearly_old() -> None:
    """One exchange for many calls."""
    access = jwt(token_type="access", iat=1000, exp=1300)
    server = Server(httpx.Response(200, json={"access": access}), then=httpx.Response(200, json={}))
    client = server.client(REFRESH)
    client.get("/api/x")
    client.get("/api/y")
    assert [request.url.path for request in server.asked] == [
        "/api/token/refresh/",
        "/api/x",
        "/api/y",
    ]
    assert server.asked[1].headers["Authorization"] == f"Bearer {access}"
    assert "Authorization" not in server.asked[0].headers


def test_an_access_token_is_renewed_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """With leeway, whatever the two machines' clocks say."""
    from curate.labelstudio.tokens import Credentials

    now = [0.0]
    made: list[str] = []

    def refresh(token: str) -> str:
        made.append(jwt(token_type="access", iat=5_000_000, exp=5_000_300, n=len(made)))
        return made[-1]

    credentials = Credentials(REFRESH, refresh, clock=lambda: now[0])
    for at in (0.0, 239.0, 241.0, 400.0):
        now[0] = at
        credentials.header()
    assert len(made) == 2
    assert REFRESH not in repr(credentials)


def test_a_401_is_answered_by_one_more_attempt_with_a_fresh_token() -> None:
    """Of a write too: the server refused it unseen."""
    first, second = jwt(token_type="access", n=1), jwt(token_type="access", n=2)
    server = Server(
        httpx.Response(200, json={"access": first}),
        httpx.Response(401, json={"detail": "token expired"}),
        httpx.Response(200, json={"access": second}),
        httpx.Response(201, json={"id": 1}),
    )
    assert server.client(REFRESH).post("/api/projects/", json={}) == {"id": 1}
    assert server.asked[3].headers["Authorization"] == f"Bearer {second}"


def test_a_second_401_is_an_authentication_error() -> None:
    """No endless circle."""
    access = {"access": jwt(token_type="access")}
    server = Server(
        httpx.Response(200, json=access),
        httpx.Response(401),
        httpx.Response(200, json=access),
        httpx.Response(401, json={"detail": "no"}),
    )
    with pytest.raises(AuthenticationError, match="LABEL_STUDIO_API_KEY"):
        server.client(REFRESH).get("/api/x")


def test_a_refused_refresh_says_what_to_do() -> None:
    """An expired personal access token."""
    server = Server(httpx.Response(401, json={"detail": f"Token {REFRESH} is blacklisted"}))
    with pytest.raises(AuthenticationError, match="make a new one") as caught:
        server.client(REFRESH).get("/api/x")
    assert REFRESH not in str(caught.value)


@pytest.mark.parametrize("value", ["\ud800", float("nan"), float("inf")])
def test_what_json_cannot_carry_is_refused_before_it_is_sent(value: Any) -> None:
    """Label Studio takes a lone surrogate and then fails on every read."""
    server = Server()
    with pytest.raises(DataError, match="nothing was sent"):
        server.client().post("/api/x", json={"text": value})
    assert not server.asked


@pytest.mark.parametrize("path", ["api/x", "//evil.example/x", "http://evil.example/x"])
def test_a_path_cannot_lead_elsewhere(path: str) -> None:
    """The token is sent along with every path."""
    server = Server()
    with pytest.raises(ValueError, match="slash"):
        server.client().get(path)


def test_import_wants_an_id_for_every_task() -> None:
    """Fewer ids than tasks means that nobody knows what happened."""
    good = Server(httpx.Response(201, json={"task_ids": [5, 6]}))
    assert good.client().import_tasks(3, [{"data": {}}, {"data": {}}]) == [5, 6]
    assert good.asked[0].url.query == b"return_task_ids=true"
    with pytest.raises(ServerFaultError, match="2 tasks"):
        Server(httpx.Response(201, json={"task_ids": [5]})).client().import_tasks(3, [{}, {}])


def test_projects_are_read_to_the_last_page_and_matched_by_whole_title() -> None:
    """Label Studio's own filter matches parts of a title."""
    server = Server(
        httpx.Response(200, json={"results": [{"id": 2, "title": "ab"}], "next": "…"}),
        httpx.Response(200, json={"results": [{"id": 1, "title": "a"}], "next": None}),
    )
    assert [p["id"] for p in server.client().projects(title="a")] == [1]


def test_text_goes_out_as_utf_8_untouched() -> None:
    """Code points are what offsets count."""
    text = "« Tiếng » 🇹🇩 e\u0301\u202f\r\n"
    server = Server(httpx.Response(200, json={}))
    server.client().post("/api/x", json={"text": text})
    assert json.loads(server.asked[0].content)["text"] == text
