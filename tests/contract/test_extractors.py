"""Every kind of extractor that curate brings, held to the contract that plugins are held to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from curate.errors import (
    AuthenticationError,
    ConfigurationError,
    DataError,
    RejectedError,
    ServerFaultError,
    UnreachableError,
)
from curate.extractors.bootstrap import Bootstrap
from curate.extractors.function import load_function
from curate.extractors.http import Remote
from curate.extractors.interface import Extractor
from curate.extractors.registry import resolve
from curate.extractors.train import TrainSettings
from curate.flows.reporter import Silent
from curate.flows.train import train
from curate.gold.opening import open_gold
from curate.interchange import as_record
from curate.model import Document, Source
from curate.resources import default_schema, resource
from curate.schema import read_schema
from curate.testing import ExtractorContract
from tests.conftest import Curate

SCHEMA = read_schema(default_schema())


def capitals(documents: Iterable[Document]) -> Iterator[dict[str, Any]]:
    """A function as users write them: the first capitalised word is a place."""
    for document in documents:
        entities = []
        for word in document.text.split():
            if word[0].isupper():
                start = document.text.index(word)
                end = start + len(word)
                entities.append({"id": "e", "start": start, "end": end, "label": "LOC"})
                break
        yield {"id": document.id, "entities": entities, "relations": []}


def serve(request: httpx.Request) -> httpx.Response:
    """A remote model: the bootstrap rules behind HTTP."""
    if request.method == "GET":
        return httpx.Response(200, json={"name": "far", "version": "3", "digest": "abc"})
    asked = json.loads(request.content)["documents"]
    documents = [Document.of(d["text"], id=d["id"]) for d in asked]
    rows = []
    for document in documents:
        said = Bootstrap(SCHEMA).annotate(document, Source.model("far"))
        rows.append(
            {k: v for k, v in as_record(document, said).items() if k not in ("text", "meta")}
        )
    return httpx.Response(200, json={"annotations": rows[::-1]})


class TestBootstrap(ExtractorContract):
    def make(self) -> Extractor:
        return Bootstrap(SCHEMA)


class TestFunction(ExtractorContract):
    def make(self) -> Extractor:
        return load_function("tests.contract.test_extractors:capitals")


class TestRemote(ExtractorContract):
    def make(self) -> Extractor:
        return Remote("http://far.example/model", batch=3, transport=httpx.MockTransport(serve))


class TestTrained(ExtractorContract):
    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _trained(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        models = tmp_path_factory.mktemp("models")
        gold = tmp_path_factory.mktemp("gold") / "eight.jsonl"
        sample = resource("examples/sahel/annotator_a.jsonl").read_text(encoding="utf-8")
        gold.write_text("".join(sample.splitlines(keepends=True)[:8]), encoding="utf-8")
        settings = TrainSettings(swaps=0)
        cls.folder = train(  # type: ignore[attr-defined]
            open_gold(str(gold)), SCHEMA, models, Silent(), settings=settings
        ).folder

    def make(self) -> Extractor:
        return resolve(str(self.folder), schema=SCHEMA)  # type: ignore[attr-defined]


class TestSpacyPipeline(ExtractorContract):
    @pytest.fixture(autouse=True)
    def _pipeline(self, tmp_path: Path) -> None:
        import spacy

        nlp = spacy.blank("fr")
        ruler = nlp.add_pipe("entity_ruler")
        ruler.add_patterns([{"label": "LOC", "pattern": "Ghadamès"}])  # type: ignore[attr-defined]
        nlp.to_disk(tmp_path / "pipe")
        self.folder = tmp_path / "pipe"

    def make(self) -> Extractor:
        return resolve(str(self.folder), schema=SCHEMA)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(401), AuthenticationError),
        (httpx.Response(404), RejectedError),
        (httpx.Response(503), ServerFaultError),
        (httpx.Response(200, text="<html>"), ServerFaultError),
        (httpx.Response(200, json={"rows": []}), ServerFaultError),
        (httpx.Response(200, json={"annotations": [{"id": "other"}]}), DataError),
        (
            httpx.Response(
                200,
                json={
                    "annotations": [
                        {"id": "a", "entities": [{"start": 0, "end": 99, "label": "X"}]}
                    ]
                },
            ),
            DataError,
        ),
        (httpx.ConnectError("token=secret"), UnreachableError),
        (httpx.ReadTimeout("token=secret"), UnreachableError),
    ],
)
def test_a_failing_remote_is_told_in_one_sentence(
    answer: httpx.Response | Exception, error: type[Exception]
) -> None:
    """Every failure becomes one of curate's errors, without secrets of the URL."""

    def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(404)
        if isinstance(answer, Exception):
            raise answer
        return answer

    remote = Remote(
        "http://user:secret@far.example/m?key=secret",
        retries=1,
        pause=0,
        transport=httpx.MockTransport(handler),
    )
    assert (remote.name, remote.version) == ("far.example/m", "")
    with pytest.raises(error) as caught:
        list(remote.extract([Document.of("abc", id="a")]))
    assert "secret" not in str(caught.value)


def test_a_remote_that_stumbles_is_asked_again() -> None:
    """One 503 and one time-out cost a pause, not the run."""
    fate = iter([httpx.Response(503), httpx.ReadTimeout("slow"), None])

    def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(405)
        happens = next(fate)
        if isinstance(happens, Exception):
            raise happens
        return happens or serve(request)

    remote = Remote("http://far.example", pause=0, transport=httpx.MockTransport(handler))
    assert len(list(remote.extract([Document.of("à Tripoli", id="a")]))) == 1


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("tests.contract.test_extractors:nothing", "has no 'nothing'"),
        ("tests.contract.test_extractors:SCHEMA", "neither a function nor an extractor"),
        ("no.such.module:x", "no module"),
    ],
)
def test_a_wrong_function_is_named(reference: str, message: str) -> None:
    """What is missing stands in the message."""
    with pytest.raises(ConfigurationError, match=message):
        load_function(reference)


def test_what_a_function_raises_is_told_with_its_place_and_is_no_bug_of_ours(
    curate: Curate, tmp_path: Path
) -> None:
    """`os:system` is a function, but no extractor."""
    gold = tmp_path / "gold.jsonl"
    gold.write_text('{"id": "a", "text": "Alger", "entities": []}\n')
    result = curate("evaluate", "os:system", "--gold", gold)
    assert result.code == 3
    assert "os:system failed with TypeError at" in result.err


def test_a_pipeline_without_a_card_is_loaded_with_a_warning(curate: Curate, tmp_path: Path) -> None:
    """No digest says that its files are whole: that is told once, on standard error."""
    import spacy

    spacy.blank("fr").to_disk(tmp_path / "pipe")
    gold = tmp_path / "gold.jsonl"
    gold.write_text('{"id": "a", "text": "Alger", "entities": []}\n')
    result = curate("evaluate", tmp_path / "pipe", "--gold", gold, "--json")
    assert result.code == 0, result.err
    assert result.err.count("has no model card") == 1
    assert "no model card" not in curate("evaluate", "bootstrap", "--gold", gold).err
