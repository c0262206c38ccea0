"""A real `curate serve` beside the real Label Studio, as a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.integration.conftest import Studio

_READY_SECONDS = 60.0


@dataclass
class Server:
    """The process, and what it has said so far (stderr, line by line)."""

    process: subprocess.Popen[str]
    url: str = ""
    said: list[str] = field(default_factory=list)

    def until(self, words: str, seconds: float = _READY_SECONDS) -> str:
        """The first line with these words, waited for."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for line in list(self.said):
                if words in line:
                    return line
            assert self.process.poll() is None, "\n".join(self.said)
            time.sleep(0.02)
        raise AssertionError(f"never said {words!r}: {self.said}")

    def get(self, path: str, **more: object) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", trust_env=False, **more)  # type: ignore[arg-type]

    def post(self, path: str, json: object) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=json, trust_env=False, timeout=30.0)

    def metric(self, series: str) -> float:
        """The value of this series; 0 where there is none yet."""
        for line in self.get("/metrics").text.splitlines():
            name, _, value = line.rpartition(" ")
            if name == series:
                return float(value)
        return 0.0

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@contextlib.contextmanager
def serving(
    workspace: Path, studio: Studio, *arguments: str, environment: dict[str, str] | None = None
) -> Iterator[Server]:
    """`curate serve` on a free port, ready; ended afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "curate", "-w", str(workspace), "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ
        | {"LABEL_STUDIO_URL": studio.url, "LABEL_STUDIO_API_KEY": studio.token}
        | (environment or {}),
    )
    server = Server(process)
    assert process.stderr is not None

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            server.said.append(line.rstrip("\n"))

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        server.url = server.until("serving on ").split("serving on ")[1].split()[0]
        if "--register" in arguments:
            server.until("connected to project")
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        listener.join(5)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
