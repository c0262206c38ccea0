"""Listening: uvicorn, bounded in every direction, and stopped gently."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from curate.errors import ConfigurationError, UsageError
from curate.labelstudio import ports

if TYPE_CHECKING:
    from starlette.types import ASGIApp

HEAD_SECONDS = 10.0
"""A connection whose request line and headers are not there by then is closed."""
CONNECTIONS = 200
GRACE_SECONDS = 20
TURN_SECONDS = 0.001
"""How long a model may keep Python's lock while a request waits for it; by default 5 ms, and a
webhook waits several times.  While 200 tasks are predicted this halves what it waits, and makes no
prediction slower."""


def require() -> None:
    """Raises ConfigurationError where the extra is not installed."""
    from importlib.util import find_spec

    if any(find_spec(name) is None for name in ("starlette", "uvicorn", "prometheus_client")):
        raise ConfigurationError(
            "`curate serve` needs starlette, uvicorn and prometheus-client; install them with "
            "`pip install 'curate[serve]'`"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to this address."""
    import ipaddress

    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.  Raises UsageError for a port that is taken or an address not ours."""
    name = host.strip("[]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    if port and is_loopback(host) and not ports.is_free(port):
        raise UsageError(f"port {port} is taken; choose another with --port")
    # the protocol is named, since asyncio turns Nagle's waiting off only where it is: head and
    # body go out one after the other, and the body would be held back for 40 ms
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((name, port))
        found.listen(128)
    except OSError as error:
        found.close()
        raise UsageError(
            f"cannot listen on {host}:{port}: {(error.strerror or 'no such address').lower()}; "
            "choose another --host or --port"
        ) from None
    found.set_inheritable(False)
    return found


def run(app: ASGIApp, listening: socket.socket, on_ready: Callable[[], None]) -> int:
    """Serve until SIGINT or SIGTERM; the number of the signal (0 where none came).

    ``on_ready`` is called, in a thread, once requests are answered.  What is being answered when
    the signal comes is finished, within ``GRACE_SECONDS``.
    """
    server = make_server(app, on_ready)
    before = sys.getswitchinterval()
    sys.setswitchinterval(TURN_SECONDS)
    try:
        server.run(sockets=[listening])
    finally:
        sys.setswitchinterval(before)
    caught: int = server.caught
    return caught


def make_server(app: ASGIApp, on_ready: Callable[[], None]) -> Any:
    """A uvicorn server of our ways; ``caught`` is the signal that ended it."""
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Protocol(H11Protocol):
        """uvicorn waits for headers without end; we do not."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            asyncio.get_running_loop().call_later(HEAD_SECONDS, self._drop_if_silent)

        def _drop_if_silent(self) -> None:
            if getattr(self, "cycle", None) is None and not self.transport.is_closing():
                self.transport.close()

    class Server(uvicorn.Server):
        caught = 0

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            # uvicorn raises the signal again when it is done; we have more to put in order
            if threading.current_thread() is not threading.main_thread():
                yield
                return
            before = {n: signal.signal(n, self.stop) for n in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

        def stop(self, number: int, frame: Any) -> None:
            # the second one of a kind is for the impatient: what is being answered is cut off
            self.force_exit = bool(self.caught)
            self.caught = number
            self.should_exit = True

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            threading.Thread(target=on_ready, name="ready", daemon=True).start()

    return Server(
        uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            h11_max_incomplete_event_size=32 * 1024,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
