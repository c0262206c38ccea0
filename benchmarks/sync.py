"""Push and pull against the bare loop and the SDK, on one Label Studio, in one run.

Run: python -m benchmarks.sync [TASKS]

A task has 2,000 characters, 40 entities and 10 relations.  Every contestant runs in a process of
its own, so that its peak memory is its own.  The bare loop is the least a script can do: chunks
of equal size to ``POST …/import``, pages of 100 from ``GET /api/tasks/``; it keeps no journal,
checks nothing and forgets everything.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from curate.flows.pull import PullOptions, pull
from curate.flows.push import PushOptions, push
from curate.labelstudio.client import LabelStudio
from curate.labelstudio.codec import encode, prediction_payload, task_data
from curate.labelstudio.config import render_config
from curate.labelstudio.server import EmbeddedStudio
from curate.model import Annotation, Document, Entity, Relation, Source
from curate.schema import LabelSchema, read_schema
from curate.store import NewDocument, Store
from curate.store.engine import sqlite_url

TASKS = 10_000
CHUNK = 250
ROUNDS = 5
SCHEMA = Path(__file__).parents[1] / "label_configs" / "sahel.yaml"
MODEL = Source.model("bench", "1", "0" * 64)
WORDS = ("colonel", "Touré", "ville", "Gao", "armée", "vers", "nord", "selon", "presse", "hier")


def sample(number: int) -> tuple[Document, Annotation]:
    """Document and prediction number so-and-so; the same on any machine."""
    draw = random.Random(number)
    text = f"{number:08} "
    while len(text) < 2000:
        text += draw.choice(WORDS) + " "
    document = Document.of(text[:2000], id=f"bench-{number:06}")
    entities = [Entity(k * 48, k * 48 + 9, "LOC", 0.9) for k in range(40)]
    links = [Relation(entities[k], entities[k + 1], "part_of", 0.5) for k in range(10)]
    return document, Annotation.of(document.id, entities, links, MODEL)


def payload(number: int, schema: LabelSchema, *, annotated: bool) -> dict[str, Any]:
    document, prediction = sample(number)
    task: dict[str, Any] = {
        "data": task_data(document.id, document.text),
        "predictions": [prediction_payload(prediction, document.text, schema)],
    }
    if annotated:
        result = encode(prediction, document.text, schema)
        task["annotations"] = [{"result": result, "ground_truth": False, "lead_time": 9.0}]
    return task


def main() -> None:
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else TASKS
    with _studio() as (url, token), tempfile.TemporaryDirectory() as folder:
        os.environ["BENCH_URL"], os.environ["BENCH_TOKEN"] = url, token
        store = sqlite_url(Path(folder) / "store.db")
        _fill(store, tasks)
        figures: dict[str, Any] = {"tasks": tasks}
        # by turns, in slices: the server slows down as it fills, and the machine may be shared
        turns: dict[str, list[dict[str, Any]]] = {"push_bare": [], "push": [], "push_sdk": []}
        phases = {"push_bare": "bare_push", "push": "our_push", "push_sdk": "sdk_push"}
        for _ in range(ROUNDS):
            for name, phase in phases.items():
                turns[name].append(_child(phase, store, tasks // ROUNDS))
        for name, parts in turns.items():
            seconds = sum(part["seconds"] for part in parts)
            figures[name] = {
                "seconds": seconds,
                "rate": tasks // ROUNDS * ROUNDS / seconds,
                "cpu_seconds": sum(part["cpu_seconds"] for part in parts),
                "peak_mb": max(part["peak_mb"] for part in parts),
            }
        project = _annotated_project(url, token, tasks)
        _child("adopt", store, tasks, project)
        figures["pull_bare"] = _child("bare_pull", store, tasks, project)
        figures["pull"] = _child("our_pull", store, tasks, project)
        figures["pull_sdk"] = _child("sdk_pull", store, tasks, project)
        _change(url, token, project, 10)
        figures["pull_ten_changes"] = _child("our_pull", store, tasks, project)
    figures["push_over_bare"] = figures["push"]["rate"] / figures["push_bare"]["rate"]
    figures["pull_over_bare"] = figures["pull"]["rate"] / figures["pull_bare"]["rate"]
    figures["push_over_sdk"] = figures["push"]["rate"] / figures["push_sdk"]["rate"]
    figures["pull_over_sdk"] = figures["pull"]["rate"] / figures["pull_sdk"]["rate"]
    print(json.dumps(_rounded(figures), indent=2))


@contextlib.contextmanager
def _studio() -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedStudio(Path(folder) / "studio")
        try:
            yield server.up().url, server.login().token
        finally:
            server.down()


def _fill(url: str, tasks: int) -> None:
    with Store.create(url) as store:
        for start in range(0, tasks, 500):
            rows = [sample(number) for number in range(start, min(tasks, start + 500))]
            with store.write() as unit:
                unit.documents.add(NewDocument(document, document.id) for document, _ in rows)
                unit.predictions.put(prediction for _, prediction in rows)
                unit.commit()


def _annotated_project(url: str, token: str, tasks: int) -> int:
    schema = read_schema(SCHEMA)
    with LabelStudio(url, token) as client:
        project = int(_project(client, schema, "bench annotated"))
        for start in range(0, tasks, CHUNK):
            rows = range(start, min(tasks, start + CHUNK))
            client.import_tasks(project, [payload(n, schema, annotated=True) for n in rows])
    return project


def _project(client: LabelStudio, schema: LabelSchema, title: str) -> int:
    return int(client.create_project(title=title, label_config=render_config(schema))["id"])


def _change(url: str, token: str, project: int, count: int) -> None:
    with LabelStudio(url, token) as client:
        answer = client.get(
            "/api/tasks/", params={"project": project, "page_size": count, "fields": "all"}
        )
        for task in answer["tasks"]:
            client.patch(f"/api/annotations/{task['annotations'][0]['id']}/", json={"result": []})


def _child(phase: str, store: str, tasks: int, project: int = 0) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.sync", "--phase", phase, store]
    done = subprocess.run(
        [*command, str(tasks), str(project)], stdout=subprocess.PIPE, check=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{phase}: {json.dumps(_rounded(found))}", file=sys.stderr, flush=True)
    return found


def _phase(phase: str, store_url: str, tasks: int, project: int) -> None:
    schema = read_schema(SCHEMA)
    url, token = os.environ["BENCH_URL"], os.environ["BENCH_TOKEN"]
    with LabelStudio(url, token) as client:
        work = _PHASES[phase](client, schema, store_url, tasks, project)
        started, busy = time.perf_counter(), time.process_time()
        work()
        seconds, busy = time.perf_counter() - started, time.process_time() - busy
    peak = _peak_mb()
    found = {"seconds": seconds, "rate": tasks / seconds, "cpu_seconds": busy, "peak_mb": peak}
    print(json.dumps(found))


def _peak_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        # ru_maxrss would count the parent's memory at the time of the fork
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


Work = Callable[[], object]


def _our_push(client: LabelStudio, schema: LabelSchema, url: str, tasks: int, _: int) -> Work:
    options = PushOptions("bench ours", chunk_tasks=CHUNK, limit=tasks)
    return lambda: push(Store.open(url), client, schema, options)


def _adopt(client: LabelStudio, schema: LabelSchema, url: str, tasks: int, _: int) -> Work:
    options = PushOptions("bench annotated", adopt=True, quiet_seconds=0.0)
    return lambda: push(Store.open(url), client, schema, options)


def _our_pull(client: LabelStudio, schema: LabelSchema, url: str, tasks: int, _: int) -> Work:
    return lambda: pull(Store.open(url), client, schema, PullOptions("bench annotated"))


def _chunks(schema: LabelSchema, tasks: int) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, tasks, CHUNK):
        rows = range(start, min(tasks, start + CHUNK))
        yield [payload(number, schema, annotated=False) for number in rows]


def _bare_push(client: LabelStudio, schema: LabelSchema, _: str, tasks: int, __: int) -> Work:
    import httpx

    project = _project(client, schema, "bench bare")
    bodies = [json.dumps(chunk).encode("utf-8") for chunk in _chunks(schema, tasks)]

    def work() -> None:
        with httpx.Client(headers=_headers(), timeout=600) as http:
            for body in bodies:
                http.post(
                    f"{client.url}/api/projects/{project}/import", content=body
                ).raise_for_status()

    return work


def _bare_pull(client: LabelStudio, _: LabelSchema, __: str, tasks: int, project: int) -> Work:
    import httpx

    def work() -> None:
        with httpx.Client(headers=_headers(), timeout=600) as http:
            page = 1
            while (page - 1) * 100 < tasks:
                params: Any = {"project": project, "fields": "all", "page": page, "page_size": 100}
                http.get(f"{client.url}/api/tasks/", params=params).raise_for_status().json()
                page += 1

    return work


def _headers() -> dict[str, str]:
    token = os.environ["BENCH_TOKEN"]
    return {"Authorization": f"Token {token}", "Content-Type": "application/json"}


def _sdk() -> Any:
    from label_studio_sdk import LabelStudio as Sdk

    made: Any = Sdk
    return made(base_url=os.environ["BENCH_URL"], api_key=os.environ["BENCH_TOKEN"])


def _sdk_push(client: LabelStudio, schema: LabelSchema, _: str, tasks: int, __: int) -> Work:
    project = _project(client, schema, "bench sdk")
    sdk, chunks = _sdk(), list(_chunks(schema, tasks))

    def work() -> None:
        for chunk in chunks:
            sdk.projects.import_tasks(id=project, request=chunk)

    return work


def _sdk_pull(client: LabelStudio, _: LabelSchema, __: str, tasks: int, project: int) -> Work:
    sdk = _sdk()
    return lambda: sum(1 for _ in sdk.tasks.list(project=project, fields="all"))


_PHASES: dict[str, Callable[[LabelStudio, LabelSchema, str, int, int], Work]] = {
    "our_push": _our_push,
    "our_pull": _our_pull,
    "adopt": _adopt,
    "bare_push": _bare_push,
    "bare_pull": _bare_pull,
    "sdk_push": _sdk_push,
    "sdk_pull": _sdk_pull,
}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 2)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value


if __name__ == "__main__":
    if sys.argv[1:2] == ["--phase"]:
        _phase(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        main()
