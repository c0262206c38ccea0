"""What the store holds becomes the same release on every database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.errors import DataError
from curate.flows.gold_build import build_gold
from curate.flows.gold_import import import_gold
from curate.flows.reporter import Silent
from curate.gold.building import Recipe
from curate.gold.judge import Judge
from curate.gold.reading import Release
from curate.interchange import write
from curate.store import Store
from tests.gold_cases import SCHEMA, corpus
from tests.unit.test_gold_release import publish

RECIPE = Recipe("tiny", SCHEMA)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with Store.create(database_url) as opened:
        yield opened


def names() -> list[str]:
    """Ids that databases collate in different orders."""
    return ["b", "B", "a-2", "a_1", "é", "e", "Z", "10", "9", "a b"]


def gold(path: Path, count: int = 10) -> Path:
    items = [
        (type(item.document).of(item.document.text, id=name), item.annotation)
        for item, name in zip(corpus(count), names(), strict=False)
    ]
    rows = [
        (document, type(said)(document.id, said.entities, said.relations, said.source))
        for document, said in items
    ]
    write(path, rows)
    return path


def test_every_database_gives_the_same_release(store: Store, tmp_path: Path) -> None:
    file = gold(tmp_path / "g.jsonl")
    told = import_gold(store, file, SCHEMA, Silent(), by="desk")
    assert (told.added, told.documents) == (10, 10)
    built = build_gold(store, tmp_path / "gold" / "tiny", RECIPE, Judge(SCHEMA), Silent()).built
    ids = [g.id for g in Release(tmp_path / "gold" / "tiny" / "1.0.0").documents()]
    assert ids == sorted(names())
    from curate.gold.items import Decided
    from curate.interchange import read
    from curate.model import Source

    items = [
        Decided(record.document, record.annotation)
        for record in read(file, source=Source.curator("desk"))
    ]
    assert publish(tmp_path / "other" / "tiny", items).digest == built.digest


def test_an_import_that_fails_late_enters_nothing(store: Store, tmp_path: Path) -> None:
    rows = gold(tmp_path / "g.jsonl").read_text("utf-8").splitlines()
    last = json.loads(rows[-1])
    last["entities"][0]["label"] = "FOO"
    bad = tmp_path / "bad.jsonl"
    bad.write_text("\n".join([*rows[:-1], json.dumps(last)]) + "\n", "utf-8")
    with pytest.raises(DataError, match="FOO") as error:
        import_gold(store, bad, SCHEMA, Silent())
    assert error.value.line == 10
    with store.read() as unit:
        assert unit.decisions.count() == 0
        assert unit.documents.count() == 0


def test_decisions_come_back_in_the_order_asked_for(store: Store, tmp_path: Path) -> None:
    import_gold(store, gold(tmp_path / "g.jsonl"), SCHEMA, Silent())
    with store.read() as unit:
        assert unit.decisions.ids() == sorted(names())
        wanted = ["é", "9", "nobody", "B"]
        found = [d.annotation.document_id for d in unit.decisions.many(wanted)]
    assert found == ["é", "9", "B"]


def test_documents_that_leave_the_release_are_warned_of(store: Store, tmp_path: Path) -> None:
    import_gold(store, gold(tmp_path / "g.jsonl"), SCHEMA, Silent(), by="desk")
    folder = tmp_path / "gold" / "tiny"
    publish(folder, corpus(3))
    silent = Silent()
    result = build_gold(store, folder, RECIPE, Judge(SCHEMA), silent, dry_run=True)
    assert result.built.counts["document_removed"] == 3
    assert any("3 documents of 1.0.0 are not decided" in warning for warning in silent.warnings)
