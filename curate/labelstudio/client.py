"""A small client for Label Studio's API: it reads with patience and writes once.

Reads (GET) are repeated a bounded number of times after a broken connection, a time-out, 429 or
5xx.  Writes are never repeated here: nothing in Label Studio is idempotent, and a write that
timed out may have been carried out.  After a failed write ask :func:`outcome_unknown`: False
means that surely nothing happened.  (A 401 alone is answered by one more attempt with a fresh
access token, of a write too: the server refused it before looking at it.)
"""

from __future__ import annotations

import contextlib
import json as json_module
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from curate.errors import (
    AuthenticationError,
    ConfigurationError,
    DataError,
    RejectedError,
    ServerFaultError,
    UnreachableError,
)
from curate.labelstudio.faults import (
    BusyError,
    NotSentError,
    clean,
    outcome_unknown,
    status_error,
    transport_error,
)
from curate.labelstudio.tokens import Credentials

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

__all__ = [
    "LabelStudio",
    "NotSentError",
    "Retry",
    "User",
    "base_url_of",
    "outcome_unknown",
]

READ_ATTEMPTS = 5
MAX_WAIT_SECONDS = 60.0
READ_SECONDS = 60.0
WRITE_SECONDS = 120.0
IMPORT_SECONDS = 600.0
MAX_ANSWER_BYTES = 512 * 1024 * 1024
"""A longer answer, unpacked, is not taken: no page that is asked for here comes near it."""
_MAX_REDIRECTS = 5
_MAX_PAGES = 10_000
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Retry:
    """A read that failed and will be tried again, for showing to the user."""

    action: str
    attempt: int
    wait_seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class User:
    """A Label Studio user; ``email`` is what they log in with."""

    id: int
    email: str
    username: str = ""


def base_url_of(url: str) -> str:
    """The address in canonical form, without a slash at its end.

    Raises ConfigurationError for anything but http(s)://host[:port][/path], and for credentials
    in the address; what was given is not repeated, it may hold a password.
    """
    text = url.strip()
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ConfigurationError("LABEL_STUDIO_URL is no valid address") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            "LABEL_STUDIO_URL must be of the form http://host:port or https://host"
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            "LABEL_STUDIO_URL holds a user name or password; leave them out, the token in "
            "LABEL_STUDIO_API_KEY is enough"
        )
    if parts.query or parts.fragment:
        raise ConfigurationError("LABEL_STUDIO_URL must end with the host or path: drop ? and #")
    if any(char.isspace() or not char.isprintable() for char in text):
        raise ConfigurationError("LABEL_STUDIO_URL holds a space or control character")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return (
        f"{parts.scheme.lower()}://{host}" + (f":{port}" if port else "") + parts.path.rstrip("/")
    )


def is_loopback(url: str) -> bool:
    """Whether this address is on this machine."""
    return urlsplit(url).hostname in _LOOPBACK


class LabelStudio:
    """A connection to one Label Studio as one user.  A context manager; safe between threads.

    Paths begin with a slash and are relative to the address: ``get("/api/projects/3")``.
    Answers are parsed JSON (None where there is no body).  Raises the RemoteError tree only, and
    DataError for a body that JSON or UTF-8 cannot carry.  ``before`` is called before each
    request; what it raises ends the work there, between two steps.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        transport: httpx.BaseTransport | None = None,
        on_retry: Callable[[Retry], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        attempts: int = READ_ATTEMPTS,
        before: Callable[[], None] | None = None,
    ) -> None:
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        import httpx

        self.url = base_url_of(url)
        self._credentials = Credentials(token, self._refresh)
        self._on_retry = on_retry
        self._before = before
        self._sleep = sleep
        self._attempts = attempts
        self.server_date = ""
        """The Date header of the last answer: the server's clock."""
        self._foreign = _httpx_errors()
        self._http = httpx.Client(
            base_url=self.url,
            transport=transport,
            follow_redirects=False,
            timeout=httpx.Timeout(READ_SECONDS, connect=10.0),
            # a session cookie beside the token would make Django ask for a CSRF token
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            # a proxy from the environment is never right for this machine's own server
            trust_env=not is_loopback(self.url),
            headers={"Accept": "application/json", "User-Agent": "curate"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"LabelStudio({self.url!r})"

    def close(self) -> None:
        self._http.close()

    def sleep(self, seconds: float) -> None:
        """Wait as the client itself waits between attempts."""
        self._sleep(seconds)

    # -- the four verbs

    def get(
        self,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        timeout: float = READ_SECONDS,
        attempts: int | None = None,
    ) -> Any:
        """Read; repeated with growing, jittered waits while that may help.

        ``attempts`` bounds the repetitions after a 500 alone: the caller has another way.
        """
        from tenacity import Retrying, retry_if_exception

        retrying = Retrying(
            stop=lambda state: state.attempt_number >= self._bound(state, attempts),
            wait=_wait,
            retry=retry_if_exception(_worth_repeating),
            before_sleep=lambda state: self._tell(f"GET {path}", state),
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(self._request, "GET", path, params=params, timeout=timeout)

    def _bound(self, state: RetryCallState, after_500: int | None) -> int:
        error = state.outcome.exception() if state.outcome is not None else None
        broken = isinstance(error, ServerFaultError) and error.status == 500
        return self._attempts if after_500 is None or not broken else after_500

    def post(
        self,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        timeout: float = WRITE_SECONDS,
    ) -> Any:
        """Write, once."""
        return self._request("POST", path, json=json, params=params, timeout=timeout)

    def patch(
        self,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        timeout: float = WRITE_SECONDS,
    ) -> Any:
        """Change, once."""
        return self._request("PATCH", path, json=json, params=params, timeout=timeout)

    def delete(
        self,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        timeout: float = WRITE_SECONDS,
    ) -> Any:
        """Delete, once."""
        return self._request("DELETE", path, json=json, params=params, timeout=timeout)

    # -- what callers ask for by name

    def whoami(self) -> User:
        """The user the token belongs to; the cheapest proof that address and token fit."""
        return _user(self.get("/api/current-user/whoami"))

    def version(self) -> str:
        """Label Studio's release, as «1.23.2»; empty where it does not say."""
        answer = self.get("/api/version")
        return str(answer.get("release", "")) if isinstance(answer, dict) else ""

    def users(self) -> list[User]:
        """Every user of the organisation, by id."""
        answer = self.get("/api/users/")
        records = answer if isinstance(answer, list) else _list(answer, "results")
        return sorted((_user(record) for record in records), key=lambda user: user.id)

    def projects(self, *, title: str | None = None) -> list[dict[str, Any]]:
        """The projects this user sees, by id; with ``title``, those of exactly that title."""
        params = {} if title is None else {"title": title}
        found = {_whole(record, "id"): record for record in self._pages("/api/projects/", params)}
        return [
            found[key]
            for key in sorted(found)
            if title is None or _field(found[key], "title") == title
        ]

    def project(self, project_id: int) -> dict[str, Any]:
        return _object(self.get(f"/api/projects/{project_id}/"))

    def create_project(self, **fields: Any) -> dict[str, Any]:
        """``title`` (3 to 50 characters), ``label_config``, ``expert_instruction``, …"""
        return _object(self.post("/api/projects/", json=fields))

    def update_project(self, project_id: int, **fields: Any) -> dict[str, Any]:
        return _object(self.patch(f"/api/projects/{project_id}/", json=fields))

    def delete_project(self, project_id: int) -> None:
        self.delete(f"/api/projects/{project_id}/")

    def validate_config(self, label_config: str, project_id: int | None = None) -> None:
        """Ask the server whether it takes this configuration.  Raises RejectedError if not."""
        path = (
            "/api/projects/validate/"
            if project_id is None
            else f"/api/projects/{project_id}/validate/"
        )
        self.post(path, json={"label_config": label_config}, timeout=READ_SECONDS)

    def import_tasks(self, project_id: int, tasks: Sequence[Mapping[str, Any]]) -> list[int]:
        """Import tasks with what they carry; their ids, in the order of ``tasks``.

        Raises ServerFaultError if the answer does not hold an id for each: then look at what is
        there before anything is repeated.
        """
        return self.import_encoded(project_id, [encode(task) for task in tasks])

    def import_encoded(self, project_id: int, tasks: Sequence[bytes]) -> list[int]:
        """The same with each task encoded already (:func:`encode`)."""
        answer = self._request(
            "POST",
            f"/api/projects/{project_id}/import",
            body=b"[" + b",".join(tasks) + b"]",
            params={"return_task_ids": "true"},
            timeout=IMPORT_SECONDS,
        )
        ids = _field(answer, "task_ids")
        if not isinstance(ids, list) or len(ids) != len(tasks):
            raise ServerFaultError(
                f"Label Studio was sent {len(tasks)} tasks and answered with "
                f"{len(ids) if isinstance(ids, list) else 'no'} ids"
            )
        if not all(type(item) is int for item in ids):
            raise ServerFaultError("Label Studio answered with ids that are no whole numbers")
        return list(ids)

    def task(self, task_id: int) -> dict[str, Any]:
        """A task with its annotations and predictions."""
        return _object(self.get(f"/api/tasks/{task_id}/"))

    def _pages(self, path: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for page in range(1, _MAX_PAGES + 1):
            answer = self.get(path, params={**params, "page": page, "page_size": 100})
            if isinstance(answer, list):
                yield from answer
                return
            records = _list(answer, "results")
            yield from records
            if not answer.get("next") or not records:
                return
        raise ServerFaultError(f"Label Studio's list at {path} does not end; nothing was concluded")

    # -- one request

    def _request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        params: Mapping[str, Any] | None = None,
        timeout: float = READ_SECONDS,
    ) -> Any:
        if not path.startswith("/") or path.startswith("//"):
            raise ValueError(f"a path must begin with one slash: {path!r}")
        body = encode(json) if json is not None else body
        header = self._credentials.header()
        answer = self._send(method, path, header, body, params, timeout)
        if answer[0].status_code == 401 and self._credentials.renew(header):
            header = self._credentials.header()
            answer = self._send(method, path, header, body, params, timeout)
        return self._read(*answer, f"{method} {path}")

    def _refresh(self, token: str) -> str:
        action = "POST /api/token/refresh/"
        response, body = self._send(
            "POST", "/api/token/refresh/", None, encode({"refresh": token}), None, READ_SECONDS
        )
        if response.status_code in (400, 401, 403):
            raise AuthenticationError(
                "Label Studio does not accept the personal access token "
                f"({response.status_code}); it is expired, revoked, or of another server: make a "
                "new one under Account & Settings and set LABEL_STUDIO_API_KEY"
            )
        access = _field(self._read(response, body, action), "access")
        if not isinstance(access, str) or not access.isascii() or not access.isprintable():
            raise ServerFaultError(f"Label Studio answered {action} without an access token")
        return access

    def _send(
        self,
        method: str,
        path: str,
        authorization: str | None,
        body: bytes | None,
        params: Mapping[str, Any] | None,
        timeout: float,
    ) -> tuple[httpx.Response, bytes]:
        """The answer's head and its body, unpacked and bounded."""
        import httpx

        if self._before is not None:
            self._before()
        headers = {} if authorization is None else {"Authorization": authorization}
        if body is not None:
            headers["Content-Type"] = "application/json"
        limits = httpx.Timeout(timeout, connect=min(timeout, 10.0))
        target: Any = path
        query = dict(params) if params else None
        try:
            for _ in range(_MAX_REDIRECTS):
                request = self._http.build_request(
                    method, target, content=body, params=query, headers=headers, timeout=limits
                )
                response = self._http.send(request, stream=True)
                with contextlib.closing(response):
                    self.server_date = response.headers.get("date", "")
                    if not response.is_redirect:
                        return response, self._body(response, f"{method} {path}")
                target = self._redirect_target(method, request.url, response)
                query = None
        except self._foreign as error:
            raise transport_error(error, self.url) from None
        raise RejectedError(f"Label Studio at {self.url} redirects in a circle; check the address")

    def _redirect_target(
        self, method: str, asked: httpx.URL, response: httpx.Response
    ) -> httpx.URL:
        target = asked.join(response.headers.get("location", ""))
        origin = f"{target.scheme}://{target.host}" + (f":{target.port}" if target.port else "")
        own = (asked.scheme, asked.host, asked.port)
        if "/user/login" in target.path and (target.scheme, target.host, target.port) == own:
            raise AuthenticationError(
                f"Label Studio at {self.url} asks for a log-in; check LABEL_STUDIO_API_KEY"
            )
        if method != "GET" or (target.scheme, target.host, target.port) != own:
            raise RejectedError(
                f"{self.url} redirects to {clean(origin, self._credentials.secrets())}; set "
                "LABEL_STUDIO_URL to the address it really has",
                status=response.status_code,
            )
        return target

    def _body(self, response: httpx.Response, action: str) -> bytes:
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                raise RejectedError(
                    f"{self.url} answered {action} with more than {MAX_ANSWER_BYTES >> 20} MB, "
                    "which was not taken; is it the address of a Label Studio?",
                    status=response.status_code,
                )
        return bytes(body)

    def _read(self, response: httpx.Response, body: bytes, action: str) -> Any:
        status = response.status_code
        kind = response.headers.get("content-type", "")
        if not response.is_success:
            raise status_error(
                status,
                body,
                kind,
                action,
                self._credentials.secrets(),
                response.headers.get("retry-after", ""),
            )
        if not body.strip():
            return None
        try:
            return json_module.loads(body)
        except (ValueError, RecursionError):
            pass
        if "html" in kind.lower():
            raise RejectedError(
                f"{self.url} answered {action} with a web page; is it the address of a Label "
                "Studio?",
                status=status,
            )
        raise ServerFaultError(
            f"Label Studio answered {action} with JSON that breaks off or is broken "
            f"({len(body)} bytes)",
            status=status,
        )

    def _tell(self, action: str, state: RetryCallState) -> None:
        if self._on_retry is None or state.outcome is None:
            return
        wait = state.next_action.sleep if state.next_action else 0.0
        self._on_retry(
            Retry(action, state.attempt_number, wait, str(state.outcome.exception() or ""))
        )


def _httpx_errors() -> tuple[type[Exception], ...]:
    import httpx

    return (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError)


def encode(value: Any) -> bytes:
    """JSON in UTF-8, as it is sent.  Raises DataError for what JSON or UTF-8 cannot carry."""
    try:
        return json_module.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(
            "a lone surrogate is no valid Unicode and cannot be sent to Label Studio; nothing was "
            "sent"
        ) from None
    except ValueError:
        raise DataError(
            "NaN or infinity cannot be sent to Label Studio; nothing was sent"
        ) from None


def _worth_repeating(error: BaseException) -> bool:
    return isinstance(error, UnreachableError | ServerFaultError)


def _wait(state: RetryCallState) -> float:
    """Seconds before the next attempt: Retry-After where given, else 0.5·2ⁿ with jitter."""
    import random

    error = state.outcome.exception() if state.outcome is not None else None
    asked = _retry_after(error.retry_after) if isinstance(error, BusyError) else None
    if asked is not None:
        return min(asked, MAX_WAIT_SECONDS)
    return min(0.5 * 2.0 ** (state.attempt_number - 1), 8.0) * random.uniform(0.75, 1.25)


def _retry_after(value: str) -> float | None:
    """Retry-After in seconds or as an HTTP date (RFC 9110, 10.2.3); None where unreadable."""
    if value.strip().isdigit():
        return float(value)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _user(record: Any) -> User:
    return User(
        id=_whole(record, "id"),
        email=str(_field(record, "email")),
        username=str(record.get("username") or ""),
    )


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ServerFaultError("Label Studio answered with something that is no object")
    return value


def _list(value: Any, key: str) -> list[Any]:
    found = _field(value, key)
    if not isinstance(found, list):
        raise ServerFaultError(f"Label Studio's {key!r} is no list; is its version supported?")
    return found


def _whole(value: Any, key: str) -> int:
    found = _field(value, key)
    if type(found) is not int:
        raise ServerFaultError(f"Label Studio's {key!r} is no number; is its version supported?")
    return found


def _field(value: Any, key: str) -> Any:
    if not isinstance(value, dict) or key not in value:
        raise ServerFaultError(f"Label Studio's answer lacks {key!r}; is its version supported?")
    return value[key]
