"""Scoring inside a workspace: releases, models and their cache, annotators of the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from curate.flows.evaluate import predictor
from curate.interchange import write
from curate.model import Annotation, Document, Entity, Source
from curate.store import NewDocument, Store
from curate.store.engine import sqlite_url
from tests.conftest import Curate
from tests.contract.test_gold import annotate
from tests.gold_cases import corpus


@dataclass
class Counting:
    """Remembers which documents it was asked about."""

    digest: str = "d1"
    name: str = "counting"
    version: str = "1"
    asked: list[str] = field(default_factory=list)

    def extract(self, documents: Iterable[Document]) -> Iterator[Annotation]:
        for document in documents:
            self.asked.append(document.id)
            yield Annotation.of(document.id, [Entity(0, 1, "A")], [], Source.model("x"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.create(sqlite_url(tmp_path / "store.db"))
    yield opened
    opened.close()


def test_a_model_is_asked_once_per_document_and_digest(store: Store) -> None:
    """Answers come from the store where the same digest answered the same text."""
    known = [Document.of(f"text {i}", id=f"d{i}") for i in range(3)]
    stranger = Document.of("not in the store", id="s")
    changed = Document.of("another text", id="d0")
    with store.write() as unit:
        unit.documents.add(NewDocument(d, d.id) for d in known)
        unit.commit()
    model = Counting()
    predict = predictor(model, None, store)
    first = sorted(predict([*known, stranger]), key=lambda a: a.document_id)
    assert sorted(model.asked) == ["d0", "d1", "d2", "s"]
    again = sorted(predict([*known, stranger]), key=lambda a: a.document_id)
    assert model.asked[4:] == ["s"]
    assert again == first
    predict([changed])
    assert model.asked[5:] == ["d0"]
    other = Counting(digest="d2")
    predictor(other, None, store)(known)
    assert len(other.asked) == 3


def test_a_release_is_gold_by_version_latest_and_folder(
    curate: Curate, workspace: Path, tmp_path: Path
) -> None:
    """All three names are the same gold, with its splits and groups."""
    items = corpus(12)
    path = tmp_path / "gold.jsonl"
    write(path, ((item.document, item.annotation) for item in items))
    assert curate("-w", workspace, "gold", "import", path).code == 0
    assert curate("-w", workspace, "gold", "build").code == 0
    release = next((workspace / "gold" / "sahel").iterdir())
    found = [
        curate("-w", workspace, "evaluate", path, "--gold", name, "--draws", "50", "--json")
        for name in ("latest", release.name, release)
    ]
    assert [result.code for result in found] == [0, 0, 0]
    assert found[0].json == found[1].json == found[2].json
    assert found[0].json["entities"]["strict"]["f1"] == 1.0
    assert found[0].json["gold"]["digest"].startswith("release:")
    split = curate(
        "-w", workspace, "evaluate", path, "--gold", "latest", "--by", "split", "--json",
        "--draws", "0",
    )  # fmt: skip
    by = split.json["by"]["split"]
    assert sum(part["documents"] for part in by.values()) == 12
    assert set(by) <= {"train", "dev", "test"}
    unknown = curate("-w", workspace, "evaluate", path, "--gold", "9.9.9")
    assert unknown.code == 3
    model = curate("-w", workspace, "evaluate", "no-such-model", "--gold", "latest")
    assert model.code == 3
    assert "no model" in model.err


def test_a_release_can_be_scored_outside_its_workspace(
    curate: Curate, workspace: Path, tmp_path: Path
) -> None:
    """Its folder is enough: the release carries its schema."""
    items = corpus(6)
    path = tmp_path / "gold.jsonl"
    write(path, ((item.document, item.annotation) for item in items))
    curate("-w", workspace, "gold", "import", path)
    curate("-w", workspace, "gold", "build")
    release = next((workspace / "gold" / "sahel").iterdir())
    result = curate("evaluate", path, "--gold", release, "--json", "--draws", "0")
    assert result.code == 0
    assert "no workspace" not in result.err


def test_agreement_of_the_store_is_between_its_annotators(curate: Curate, workspace: Path) -> None:
    """Standing annotations under pseudonyms, by month, without naming files."""
    empty = curate("-w", workspace, "agreement")
    assert empty.code == 3
    assert "needs two" in empty.err
    annotate(workspace)
    result = curate("-w", workspace, "agreement", "--json", "--draws", "100")
    assert result.code == 0
    data = result.json
    assert data["documents"] == 12
    assert len(data["annotators"]) == 2
    assert data["entities"]["f1"] == 1.0
    assert data["relations"]["f1"] < 1.0
    assert [period["period"] for period in data["over_time"]] == ["2025-01"]
    assert curate("-w", workspace, "agreement", "--unit", "token").code == 0
