"""What `curate serve` takes to answer, warm: a task opened, a region drawn, a webhook.

Run: python -m benchmarks.serve [REQUESTS]

The server is a process of its own, asked over HTTP by one client at a time, as Label Studio asks.
Texts have 2,000 characters and are new to the server, but where it says «from the store».  Wall
time is what an annotator waits, and depends on who else uses the machine; the server's own CPU
time does not.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from curate.labelstudio.config import render_config
from curate.schema import read_schema

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "label_configs" / "sahel.yaml"
DISPATCHES = ROOT / "examples" / "sahel" / "dispatches.jsonl"
RELEASE = ROOT / "gold" / "sahel" / "1.0.0"
REQUESTS = 200
KNOWN = 20


def text(number: int) -> str:
    """Sample number so-and-so, of 2,000 characters; no two are alike."""
    raw = [json.loads(line)["text"] for line in DISPATCHES.read_text("utf-8").splitlines()]
    joined = "\n\n".join(raw[number % len(raw) :] + raw)
    return f"{number:06} – {joined}"[:2000]


class Server:
    """A server in a workspace of its own."""

    def __init__(self, workspace: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "curate", "-w", workspace, "serve", "--port", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={k: v for k, v in os.environ.items() if not k.startswith("LABEL_STUDIO")},
        )
        assert self.process.stderr is not None
        self.model = self.url = ""
        for line in self.process.stderr:
            if line.startswith("model "):
                self.model = line.split()[1]
            if "serving on " in line:
                self.url = line.split("serving on ")[1].split()[0]
                break
        self.http = httpx.Client(base_url=self.url, trust_env=False, timeout=120)

    def cpu(self) -> float:
        """Seconds of a core that the process has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.http.close()
        self.process.terminate()
        self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()


@contextlib.contextmanager
def serving(workspace: Path) -> Iterator[Server]:
    server = Server(workspace)
    try:
        yield server
    finally:
        server.stop()


def measure(
    server: Server, what: str, count: int, path: str, body: Callable[[int], dict[str, Any]]
) -> None:
    server.http.post(path, json=body(-1)).raise_for_status()
    waited = []
    cpu = server.cpu()
    for number in range(count):
        asked = body(number)
        began = time.perf_counter()
        server.http.post(path, json=asked).raise_for_status()
        waited.append((time.perf_counter() - began) * 1000)
    cpu = (server.cpu() - cpu) * 1000 / count
    cuts = statistics.quantiles(waited, n=100)
    print(
        f"{what:44} median {statistics.median(waited):6.1f} ms, 95 of 100 below {cuts[94]:6.1f}, "
        f"CPU {cpu:5.1f} ms",
        flush=True,
    )


def measure_all(workspace: Path, count: int) -> None:
    schema = read_schema(SCHEMA)
    config = render_config(schema)

    def task(content: str, document_id: str = "") -> dict[str, Any]:
        return {"id": 1, "project": 1, "data": {"text": content, "curate_id": document_id}}

    def fresh(number: int) -> dict[str, Any]:
        return {"tasks": [task(text(10_000 + number))], "label_config": config, "params": {}}

    def known(number: int) -> dict[str, Any]:
        number %= KNOWN
        return {"tasks": [task(text(number), f"d{number}")], "label_config": config, "params": {}}

    def drawn(number: int) -> dict[str, Any]:
        value = {"start": 10, "end": 20, "labels": ["PER"]}
        region = {"id": "r", "type": "labels", "value": value, "origin": "manual"}
        number %= KNOWN
        return {
            "tasks": [task(text(number), f"d{number}")],
            "label_config": config,
            "params": {"context": {"result": [region]}},
        }

    def event(number: int) -> dict[str, Any]:
        return {"action": "ANNOTATION_UPDATED"}

    with serving(workspace) as server:
        print(f"{server.model}, {count} requests each")
        measure(server, "/predict, a new text", count, "/predict", fresh)
        for number in range(KNOWN):
            server.http.post("/predict", json=known(number))
        measure(server, "/predict, from the store", count, "/predict", known)
        measure(server, "/predict, relations of a region", count, "/predict", drawn)
        measure(server, "/webhook", count, "/webhook", event)
        many = {"tasks": [task(text(20_000 + n)) for n in range(200)], "label_config": config}
        busy = threading.Thread(
            target=lambda: httpx.post(
                f"{server.url}/predict", json=many, timeout=120, trust_env=False
            )
        )
        busy.start()
        time.sleep(0.2)
        measure(
            server, "/webhook, while 200 tasks are predicted", min(count, 50), "/webhook", event
        )
        busy.join()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else REQUESTS
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "ws"

        def curate(*arguments: object) -> None:
            subprocess.run(
                [sys.executable, "-m", "curate", *map(str, arguments)],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

        curate("init", workspace)
        documents = Path(folder) / "documents.jsonl"
        documents.write_text(
            "".join(json.dumps({"id": f"d{n}", "text": text(n)}) + "\n" for n in range(KNOWN)),
            "utf-8",
        )
        curate("-w", workspace, "ingest", documents)
        measure_all(workspace, count)
        if RELEASE.is_dir():
            curate("-w", workspace, "train", "--gold", RELEASE, "--name", "bench")
            aliases = workspace / "models" / "aliases.json"
            aliases.write_text(json.dumps({"champion": "bench@1"}), "utf-8")
            measure_all(workspace, count)


if __name__ == "__main__":
    main()
