"""`curate serve` beside the real Label Studio: who asks whom, and what comes of it."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from curate.errors import LockedError
from curate.labelstudio.client import LabelStudio
from curate.store import Store
from curate.store.engine import sqlite_url
from tests.conftest import Curate, Result
from tests.integration.conftest import Studio
from tests.integration.serving import serving

pytestmark = pytest.mark.studio

EXAMPLES = Path(__file__).parents[2] / "examples" / "sahel" / "dispatches.jsonl"
LOGIN = "studio:correct horse"


@dataclass
class Place:
    """A workspace whose documents are pushed without predictions."""

    folder: Path
    title: str
    project: int
    studio: Studio
    client: LabelStudio
    run: Curate

    @property
    def tasks(self) -> list[int]:
        # with `include`, so that asking asks no backend for predictions
        asked = {"project": self.project, "include": "id", "page_size": 100}
        return [t["id"] for t in self.client.get("/api/tasks/", params=asked)["tasks"]]

    @property
    def record(self) -> dict[str, Any]:
        return self.client.project(self.project)

    @property
    def backends(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get("/api/ml/", params={"project": self.project})
        return found

    @property
    def webhooks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get(
            "/api/webhooks/", params={"project": self.project}
        )
        return found

    def submit(self, task: int) -> float:
        """Annotate; the seconds that the annotator waited."""
        began = time.monotonic()
        self.client.post(f"/api/tasks/{task}/annotations/", json={"result": [], "lead_time": 1})
        return time.monotonic() - began

    def open_store(self) -> Store:
        return Store.open(sqlite_url(self.folder / ".curate" / "store.db"))

    def stored(self) -> int:
        with self.open_store() as store, store.read() as unit:
            return len(list(unit.annotations.current()))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """The store's lock, as soon as no pull holds it."""
        with self.open_store() as store, contextlib.ExitStack() as stack:
            end = time.monotonic() + 10
            while True:
                try:
                    stack.enter_context(store.lock("push"))
                    break
                except LockedError:
                    assert time.monotonic() < end
                    time.sleep(0.05)
            yield

    def until_pushed(self) -> Result:
        """Push, as soon as no pull holds the lock."""
        for _ in range(50):
            result = self.run("-w", self.folder, "push", "--json")
            if result.code != 3:
                return result
            time.sleep(0.1)
        raise AssertionError(result.err)

    def until(self, what: Callable[[], bool], seconds: float) -> float:
        began = time.monotonic()
        while not what():
            assert time.monotonic() - began < seconds, "it did not come about"
            time.sleep(0.05)
        return time.monotonic() - began


@pytest.fixture
def place(
    curate: Curate,
    studio: Studio,
    label_studio: LabelStudio,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio.token)
    folder, title = tmp_path / "ws", f"serve {uuid.uuid4().hex[:8]}"
    assert curate("init", folder, "--project", title).code == 0
    assert curate("-w", folder, "ingest", EXAMPLES).code == 0
    assert curate("-w", folder, "push").code == 0
    (project,) = label_studio.projects(title=title)
    yield Place(folder, title, int(project["id"]), studio, label_studio, curate)
    label_studio.delete_project(int(project["id"]))


def test_registering_is_idempotent_and_undone(place: Place) -> None:
    """One backend and one webhook however often, at the newest address; then none."""
    with serving(place.folder, place.studio, "--register") as first:
        (backend,) = place.backends
        assert backend["url"] == first.url
        with serving(place.folder, place.studio, "--register") as server:
            (backend,) = place.backends
            assert backend["url"] == server.url
            assert backend["readable_state"] == "Connected"
            (webhook,) = place.webhooks
            assert webhook["url"] == f"{server.url}/webhook"
            assert webhook["send_payload"] is False
            assert webhook["send_for_all_actions"] is False
            versions = place.client.get(f"/api/ml/{backend['id']}/versions")
            assert versions["versions"] == [backend["model_version"]]
            assert place.record["model_version"] == "curate serve"
            assert place.run("-w", place.folder, "preannotate").code == 0
            pushed = place.until_pushed()
            assert pushed.json["replaced"] == len(place.tasks)
            assert place.record["model_version"] == "curate serve"
    gone = place.run("-w", place.folder, "serve", "--unregister", "--json")
    assert gone.json["removed"] == 2
    assert (place.backends, place.webhooks) == ([], [])
    assert place.record["model_version"] == pushed.json["model_version"]
    assert place.run("-w", place.folder, "serve", "--unregister", "--json").json["removed"] == 0


def test_an_opened_task_is_predicted_and_a_submitted_one_pulled(place: Place) -> None:
    """What is opened has the champion's prediction; what is submitted comes home by itself.

    While another command works nothing is pulled; afterwards it is, without being told again.
    The owner's token, which /setup brings, is in no line that is said and in no file.
    """
    with serving(place.folder, place.studio, "--register", "--every", "0") as server:
        first, second = place.tasks[:2]
        (prediction,) = place.client.task(first)["predictions"]
        assert prediction["model_version"] == place.backends[0]["model_version"]
        assert prediction["result"]
        assert len(place.client.task(first)["predictions"]) == 1
        assert place.stored() == 0
        assert place.submit(first) < 1.0
        place.until(lambda: place.stored() == 1, 15.0)
        place.client.delete(f"/api/annotations/{place.client.task(first)['annotations'][0]['id']}/")
        place.until(lambda: place.stored() == 0, 15.0)
        with place.locked():
            place.submit(second)
            time.sleep(1.5)
            assert place.stored() == 0
        place.until(lambda: place.stored() == 1, 15.0)
        assert server.metric('curate_wakeups_total{outcome="woken"}') >= 3
        assert server.metric('curate_pulls_total{outcome="locked"}') >= 1
        assert server.metric('curate_requests_total{route="/setup",status="200"}') >= 1
        said = "\n".join(server.said) + server.get("/metrics").text
        assert server.stop(signal.SIGTERM) == 0
    assert place.studio.token not in said
    for path in place.folder.rglob("*"):
        if path.is_file():
            assert place.studio.token.encode() not in path.read_bytes(), path


def test_with_a_password_label_studio_brings_it(place: Place) -> None:
    """Basic auth for the backend, the webhook's own token for events; nobody else is heard."""
    wide = {"CURATE_SERVE_AUTH": LOGIN}
    with serving(place.folder, place.studio, "--register", environment=wide) as server:
        assert server.get("/health").status_code == 401
        assert server.post("/webhook", {"action": "ANNOTATION_CREATED"}).status_code == 401
        assert place.client.task(place.tasks[0])["predictions"]
        place.submit(place.tasks[0])
        place.until(lambda: place.stored() == 1, 15.0)
        (backend,) = place.backends
        assert backend["auth_method"] == "BASIC_AUTH"
        user, _, password = LOGIN.partition(":")
        assert password not in json.dumps(place.webhooks) + json.dumps(place.backends)
        assert server.get("/metrics", auth=(user, password)).status_code == 200
    # the door may be taken away again: a password that was set is unset
    with serving(place.folder, place.studio, "--register") as server:
        assert place.backends[0]["auth_method"] == "NONE"
        assert place.client.task(place.tasks[1])["predictions"]
        assert server.stop(signal.SIGINT) == 0
        assert server.process.stdout is not None
        assert "1 predictions given" in server.process.stdout.read()
        with pytest.raises(httpx.ConnectError):
            server.get("/health")


def test_promoting_switches_the_model_without_a_restart(place: Place, tmp_path: Path) -> None:
    """The alias moves; within seconds the other model answers what is opened next."""
    models = place.folder / "models"
    for version in ("1", "2"):
        _model(models / f"tiny-{version}", version)
    (models / "aliases.json").write_text('{"champion": "tiny@1"}\n', "utf-8")
    with serving(place.folder, place.studio, "--register") as server:
        first, second = place.tasks[:2]
        (old,) = place.client.task(first)["predictions"]
        assert old["model_version"].startswith("tiny@1#")
        (models / ".new").write_text('{"champion": "tiny@2"}\n', "utf-8")
        (models / ".new").replace(models / "aliases.json")
        server.until("tiny@2#", 20.0)
        server.until("answers now", 20.0)
        (new,) = place.client.task(second)["predictions"]
        assert new["model_version"].startswith("tiny@2#")
        shutil.rmtree(models / "tiny-1")
        (models / "aliases.json").write_text("{", "utf-8")
        server.until("stays in use", 10.0)
        assert place.client.task(place.tasks[2])["predictions"]


def _model(folder: Path, version: str) -> None:
    """A pipeline that finds « Gao », with a card."""
    import spacy

    from curate.extractors.models import Card, digest_of_folder, write_card

    nlp = spacy.blank("fr")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "LOC", "pattern": "Gao"}])  # type: ignore[attr-defined]
    nlp.meta["version"] = version
    folder.parent.mkdir(exist_ok=True)
    nlp.to_disk(folder)
    write_card(
        folder,
        Card(
            name="tiny",
            version=version,
            digest=digest_of_folder(folder),
            extractor="spacy",
            schema="sahel",
            language="fr",
            labels=("LOC",),
            relations=(),
            release={},
            settings={},
        ),
    )


def test_it_serves_without_any_label_studio(place: Place) -> None:
    """No address, no token: predictions are given all the same, and nothing is pulled.

    A second server on the same port is refused in one sentence.
    """
    nobody = {"LABEL_STUDIO_URL": "", "LABEL_STUDIO_API_KEY": ""}
    with serving(place.folder, place.studio, environment=nobody) as server:
        server.until("nothing is pulled")
        answer = server.post("/predict", {"tasks": [{"data": {"text": "Le maire de Gao."}}]})
        assert answer.json()["results"][0][0]["result"]
        woken = server.post("/webhook", {"action": "ANNOTATION_CREATED"})
        assert woken.json() == {"status": "ignored"}
        port = server.url.rpartition(":")[2]
        refused = place.run("-w", place.folder, "serve", "--port", port)
        assert refused.code == 2
        assert f"port {port} is taken" in refused.err
