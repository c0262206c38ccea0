"""A store with documents and predictions, and the real Label Studio behind a proxy."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from curate.flows.pull import PullOptions, PullResult, pull
from curate.flows.push import PushOptions, PushResult, push
from curate.flows.reporter import Silent
from curate.labelstudio.client import LabelStudio
from curate.model import Annotation, Document, Entity, Relation, Source
from curate.schema import EntityType, LabelSchema, RelationType
from curate.store import NewDocument, Store
from curate.store.engine import sqlite_url
from tests.integration.proxy import Proxy

SCHEMA = LabelSchema(
    name="test",
    entities=(EntityType("PER"), EntityType("LOC")),
    relations=(
        RelationType("visits", head=("PER",), tail=("LOC",)),
        RelationType("same_as", head=("PER", "LOC"), tail=("PER", "LOC"), symmetric=True),
    ),
)
MODEL = Source.model("model", "1", "aa")
BETTER = Source.model("model", "2", "bb")


class Killed(BaseException):
    """The process ends here: nothing may catch it."""


class Killer(httpx.BaseTransport):
    """Ends the process at the n-th request: before it is sent, or before its answer is read."""

    def __init__(
        self,
        at: int,
        *,
        after: bool,
        kinds: tuple[str, ...] = (),
        by: type[BaseException] = Killed,
    ) -> None:
        self._real = httpx.HTTPTransport()
        self._at, self._after, self._kinds, self._by = at, after, kinds, by
        self.seen = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        counted = not self._kinds or request.method in self._kinds
        self.seen += counted
        fatal = counted and self.seen == self._at
        if fatal and not self._after:
            raise self._by
        response = self._real.handle_request(request)
        if fatal:
            response.read()
            response.close()
            raise self._by
        return response

    def close(self) -> None:
        self._real.close()


def document(number: int, text: str | None = None) -> Document:
    return Document.of(
        text or f"Awa Touré {number} visite Tripoli. Elle quitte Tripoli.", id=f"doc {number:03}"
    )


def prediction(of: Document, model: Source = MODEL) -> Annotation:
    person = Entity(0, 9, "PER", 0.9)
    place = of.text.index("Tripoli")
    city = Entity(place, place + 7, "LOC", 0.4 if model is MODEL else 0.8)
    return Annotation.of(of.id, [person, city], [Relation(person, city, "visits", 0.5)], model)


@dataclass
class World:
    """One store, one project title, one way to the server."""

    store: Store
    proxy: Proxy
    real: LabelStudio
    token: str
    options: PushOptions
    schema: LabelSchema = SCHEMA
    reporter: Silent = field(default_factory=Silent)

    def client(self, **more: Any) -> LabelStudio:
        more.setdefault("sleep", lambda seconds: time.sleep(min(seconds, 0.05)))
        return LabelStudio(self.proxy.url, self.token, **more)

    def push(self, transport: httpx.BaseTransport | None = None, **more: Any) -> PushResult:
        with self.client(transport=transport) as client:
            options = replace(self.options, **more)
            return push(self.store, client, self.schema, options, self.reporter)

    def pull(self, transport: httpx.BaseTransport | None = None, **more: Any) -> PullResult:
        with self.client(transport=transport) as client:
            options = PullOptions(self.options.title, **more)
            found = pull(self.store, client, self.schema, options, self.reporter)
            assert found.received == found.stored + found.unchanged + found.quarantined
            return found

    def add(self, documents: Iterable[Document], model: Source | None = MODEL) -> None:
        listed = list(documents)
        with self.store.write() as unit:
            unit.documents.add(NewDocument(item, item.id) for item in listed)
            if model is not None:
                unit.predictions.put([prediction(item, model) for item in listed])
            unit.commit()

    @property
    def project_id(self) -> int:
        with self.store.read() as unit:
            return unit.projects.all()[-1].project_id

    def tasks(self) -> list[dict[str, Any]]:
        """Everything the server holds, by document id."""
        answer = self.real.get(
            "/api/tasks/",
            params={
                "project": self.project_id,
                "fields": "all",
                "page_size": 1000,
                "query": json.dumps({"ordering": ["tasks:id"]}),
            },
        )
        return sorted(answer["tasks"], key=lambda task: str(task["data"].get("curate_id")))

    def annotate(
        self, task: dict[str, Any], result: list[Any] | None = None, **more: Any
    ) -> dict[str, Any]:
        """Submit an annotation: by default the prediction as it stands."""
        predicted = task["predictions"][0] if task["predictions"] else None
        body: dict[str, Any] = {
            "result": predicted["result"] if result is None and predicted else result or [],
            "parent_prediction": predicted["id"] if predicted else None,
            "lead_time": 10.0,
        } | more
        made: dict[str, Any] = self.real.post(f"/api/tasks/{task['id']}/annotations/", json=body)
        return made

    def assert_each_once(self, documents: int, version: str | None = "model@1#aa") -> None:
        """Each document is exactly one task, with exactly one prediction."""
        tasks = self.tasks()
        names = Counter(task["data"]["curate_id"] for task in tasks)
        assert names == {f"doc {number:03}": 1 for number in range(documents)}
        for task in tasks:
            assert set(task["data"]) == {"text", "curate_id"}
            versions = [one["model_version"] for one in task["predictions"]]
            assert versions == ([version] if version else [])


MakeWorld = Callable[..., World]


def make_store(folder: Path, documents: int = 0) -> Store:
    store = Store.create(sqlite_url(folder / f"{uuid.uuid4().hex}.db"))
    items = [document(number) for number in range(documents)]
    with store.write() as unit:
        unit.documents.add(NewDocument(item, item.id) for item in items)
        unit.predictions.put([prediction(item) for item in items])
        unit.commit()
    return store
