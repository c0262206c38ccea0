"""What stands before every request: who may ask, under which name, and how much."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

MAX_BODY = 64 * 1024 * 1024
"""Bytes of a request: about 6,000 tasks of 2,000 characters with their regions."""
BODY_SECONDS = 20.0
"""A body must be here within this time, however slowly it drips."""

WEBHOOK_HEADER = "X-Curate-Webhook"
"""Label Studio sends no basic auth with webhooks; it sends the headers it was given."""

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


class RefusedError(Exception):
    """A request that is answered with this status and sentence."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Login:
    """The user and password that everyone must bring.  Never print ``password``."""

    user: str
    password: str

    def __repr__(self) -> str:
        return "Login(…)"

    @property
    def webhook_token(self) -> str:
        """What a webhook brings instead: it stands in Label Studio for its members to read, and
        tells nothing of the password."""
        return hmac.new(
            self.password.encode(), f"curate webhook {self.user}".encode(), hashlib.sha256
        ).hexdigest()

    def admits(self, authorization: str) -> bool:
        """Whether this is our basic auth; takes as long for a wrong one as for the right one."""
        scheme, _, encoded = authorization.partition(" ")
        try:
            given = base64.b64decode(encoded.strip().encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError, ValueError):
            given = b""
        right = _same(given, f"{self.user}:{self.password}".encode())
        return right and scheme.lower() == "basic"

    def admits_webhook(self, token: str) -> bool:
        return _same(token.encode("utf-8", "replace"), self.webhook_token.encode())


def _same(given: bytes, wanted: bytes) -> bool:
    # digests: compare_digest alone would tell the length
    return hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(wanted).digest())


class Guard:
    """ASGI middleware: refuses who may not ask before anything of the request is read.

    Without a login we are bound to loopback, and only names of loopback are answered to: a page
    in a browser on this machine cannot reach us under a name of its own.
    """

    def __init__(self, app: ASGIApp, login: Login | None, names: Iterable[str] = ()) -> None:
        self._app = app
        self._login = login
        self._names = frozenset((*_LOOPBACK_NAMES, *(name.lower() for name in names)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._refusal(scope)
        if refused is None:
            await self._app(scope, receive, send)
            return
        from starlette.responses import JSONResponse

        headers = {"Connection": "close"}
        if refused.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="curate", charset="UTF-8"'
        answer = JSONResponse({"error": refused.message}, refused.status, headers=headers)
        await answer(scope, receive, send)

    def _refusal(self, scope: Scope) -> RefusedError | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if self._login is None:
            if _host(headers.get(b"host", "")) in self._names:
                return None
            return RefusedError(421, "this server is not to be asked under this name")
        token = headers.get(WEBHOOK_HEADER.lower().encode())
        if scope["path"] == "/webhook" and token is not None and self._login.admits_webhook(token):
            return None
        if self._login.admits(headers.get(b"authorization", "")):
            return None
        return RefusedError(401, "user and password are wanted")


def _host(header: str) -> str:
    """The name without its port."""
    name = header.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]


async def body_of(request: Request, limit: int, seconds: float) -> bytes:
    """The body, all of it.  Raises RefusedError for one too large, too slow or compressed."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RefusedError(415, "the body must not be compressed")
    told = request.headers.get("content-length", "")
    if told.isdigit() and int(told[:20]) > limit:
        raise RefusedError(413, f"the body is larger than {limit} bytes")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise RefusedError(413, f"the body is larger than {limit} bytes")
                parts.append(part)
    except TimeoutError:
        raise RefusedError(408, f"the body did not arrive within {seconds:g} s") from None
    return b"".join(parts)
