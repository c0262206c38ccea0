"""A proxy between the tool and the real server that fails on demand.

Every fault is one the network or a server can commit; what is behind the proxy is always the
real Label Studio.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Kind(StrEnum):
    RESET = "reset"
    """The connection is reset before the request reaches the server."""
    LOST = "lost"
    """The server does its work; the answer never comes."""
    LATE = "late"
    """The connection is reset at once; the request reaches the server later."""
    CUT = "cut"
    """The connection is reset in the middle of the answer."""
    BROKEN_JSON = "broken json"
    """A complete answer whose JSON breaks off."""
    STATUS = "status"
    """An error status; the server is not asked."""
    STATUS_AFTER = "status after"
    """The server does its work; an error status comes back."""
    HANG = "hang"
    """The server does its work; the answer comes too late."""


@dataclass
class Fault:
    """Happens to ``times`` requests of this method whose path holds ``path`` and whose body holds
    ``body``, after the first ``skip`` of them."""

    kind: Kind
    method: str = ""
    path: str = ""
    body: str = ""
    times: int = 1
    skip: int = 0
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    hit: int = 0

    def takes(self, method: str, path: str, body: bytes) -> bool:
        if (self.method and method != self.method) or self.path not in path:
            return False
        if self.body and self.body.encode() not in body:
            return False
        self.hit += 1
        return self.skip < self.hit <= self.skip + self.times


class Proxy:
    """Listens on a free port of the loopback and forwards to ``target``."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        assert parts.hostname
        self.target = (parts.hostname, parts.port or 80)
        self.faults: list[Fault] = []
        self.log: list[tuple[str, str]] = []
        self.before: Callable[[str, str], None] | None = None
        """Called with method and path before a request is forwarded."""
        self._lock = threading.Lock()
        self._late: list[threading.Thread] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def fail(self, kind: Kind, method: str = "", path: str = "", **more: object) -> Fault:
        fault = Fault(kind, method, path, **more)  # type: ignore[arg-type]
        self.faults.append(fault)
        return fault

    def writes(self) -> list[tuple[str, str]]:
        return [entry for entry in self.log if entry[0] != "GET"]

    def settle(self) -> None:
        """Wait until every late request has reached the server."""
        for thread in self._late:
            thread.join()

    def close(self) -> None:
        self.settle()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _fault(self, method: str, path: str, body: bytes) -> Fault | None:
        with self._lock:
            self.log.append((method, path))
            return next((fault for fault in self.faults if fault.takes(method, path, body)), None)

    def _forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(*self.target, timeout=120)
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                """Silent."""

            def handle_one_request(self) -> None:
                with contextlib.suppress(ConnectionError, TimeoutError):
                    super().handle_one_request()

            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {
                    key: value
                    for key, value in self.headers.items()
                    if key.lower() not in ("connection", "accept-encoding")
                }
                # the server is to believe that it is called by this address
                request = (self.command, self.path, headers, body)
                fault = proxy._fault(self.command, self.path, body)
                if proxy.before is not None:
                    proxy.before(self.command, self.path)
                try:
                    if fault is None:
                        self.reply(*proxy._forward(*request))
                    else:
                        self.misbehave(fault, request)
                except (OSError, http.client.HTTPException):
                    self.reset()  # the server is down: so are we

            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = do  # noqa: N815

            def misbehave(
                self, fault: Fault, request: tuple[str, str, dict[str, str], bytes]
            ) -> None:
                if fault.kind is Kind.STATUS:
                    self.reply(fault.status, list(fault.headers.items()), b'{"detail": "no"}')
                elif fault.kind is Kind.RESET:
                    self.reset()
                elif fault.kind is Kind.LATE:
                    late = threading.Thread(target=self.later, args=(fault.seconds, request))
                    proxy._late.append(late)
                    late.start()
                    self.reset()
                else:
                    self.after(fault, *proxy._forward(*request))

            def after(
                self, fault: Fault, status: int, headers: list[tuple[str, str]], body: bytes
            ) -> None:
                if fault.kind is Kind.LOST:
                    self.reset()
                elif fault.kind is Kind.STATUS_AFTER:
                    self.reply(fault.status, list(fault.headers.items()), b"")
                elif fault.kind is Kind.HANG:
                    time.sleep(fault.seconds)
                    self.reply(status, headers, body)
                elif fault.kind is Kind.BROKEN_JSON:
                    self.reply(status, headers, body[: len(body) // 2])
                else:
                    self.reply(status, headers, body, sent=len(body) // 2)
                    self.reset()

            def later(
                self, seconds: float, request: tuple[str, str, dict[str, str], bytes]
            ) -> None:
                time.sleep(seconds)
                proxy._forward(*request)

            def reply(
                self,
                status: int,
                headers: list[tuple[str, str]],
                body: bytes,
                sent: int | None = None,
            ) -> None:
                self.send_response_only(status)
                for key, value in headers:
                    if key.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(key, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body if sent is None else body[:sent])

            def reset(self) -> None:
                self.close_connection = True
                # lingering switched off: the peer gets a reset, not an orderly end
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                self.wfile.flush()
                self.connection.close()

            def finish(self) -> None:
                with contextlib.suppress(OSError, ValueError):
                    super().finish()

        return Handler


@contextlib.contextmanager
def proxied(target: str) -> Iterator[Proxy]:
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
