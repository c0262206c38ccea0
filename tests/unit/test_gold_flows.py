"""What the store holds becomes the same release on every database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curate.errors import DataError
from curate.flows.gold_build import build_gold
from curate.flows.gold_import import import_gold
from curate.flows.reporter import Silent
from curate.gold.building import Recipe
from curate.gold.judge import Judge
from curate.gold.reading import Release
from curate.interchange import write
from curate.model import Document
from curate.store import NewDocument, Store
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


def rows_of(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


TWO = [{"id": "e1", "start": 0, "end": 3, "label": "PER"}]
ALI = {"text": "Ali à Gao.", "entities": TWO}
BARE = {"text": "Ali à Gao.", "entities": []}


def stored(store: Store) -> tuple[list[str], dict[str, int]]:
    """The ids of the documents, and how many entities are decided on each."""
    with store.read() as unit:
        found = unit.decisions.many(unit.decisions.ids())
        said = {d.annotation.document_id: len(d.annotation.entities) for d in found}
        return sorted(unit.documents.ids()), said


def test_a_text_under_another_id_is_no_second_document(store: Store, tmp_path: Path) -> None:
    """Equal decisions fall together, in one file and later; twice changes nothing."""
    file = rows_of(tmp_path / "g.jsonl", {"id": "a", **ALI}, {"id": "b", **ALI})
    silent = Silent()
    told = import_gold(store, file, SCHEMA, silent)
    assert (told.records, told.added, told.unchanged, told.documents) == (2, 1, 1, 1)
    assert (told.duplicates, told.duplicate_documents) == (1, {"b": "a"})
    assert any("'b'" in warning and "'a'" in warning for warning in silent.warnings)
    later = rows_of(tmp_path / "h.jsonl", {"id": "c", **ALI})
    for path, count, held in ((file, 2, {"b": "a"}), (later, 1, {"c": "a"})):
        again = import_gold(store, path, SCHEMA, Silent())
        assert (again.added, again.replaced, again.unchanged) == (0, 0, count)
        assert (again.documents, again.as_dict()["duplicate_documents"]) == (0, held)
    assert stored(store) == (["a"], {"a": 1})


def test_a_decision_goes_to_the_undecided_document_that_holds_its_text(
    store: Store, tmp_path: Path
) -> None:
    with store.write() as unit:
        unit.documents.add([NewDocument(Document.of(ALI["text"], id="held"), "held")])
        unit.commit()
    file = rows_of(tmp_path / "g.jsonl", {"id": "b", **ALI})
    told = import_gold(store, file, SCHEMA, Silent())
    assert (told.added, told.documents, told.duplicates) == (1, 0, 1)
    assert import_gold(store, file, SCHEMA, Silent()).unchanged == 1
    assert stored(store) == (["held"], {"held": 1})


@pytest.mark.parametrize("first", ["a", "b"])
def test_one_text_decided_in_two_ways_is_refused_with_its_line(
    store: Store, tmp_path: Path, first: str
) -> None:
    """In one file, in whichever order; with keep_going the later record is passed over."""
    with store.write() as unit:
        unit.documents.add([NewDocument(Document.of(ALI["text"], id="a"), "a")])
        unit.commit()
    second = "b" if first == "a" else "a"
    file = rows_of(tmp_path / "g.jsonl", {"id": first, **ALI}, {"id": second, **BARE})
    with pytest.raises(DataError, match="decided differently") as error:
        import_gold(store, file, SCHEMA, Silent())
    assert error.value.line == 2
    assert stored(store) == (["a"], {})
    for added in (1, 0):
        told = import_gold(store, file, SCHEMA, Silent(), keep_going=True)
        assert (told.records, told.added, told.replaced, told.passed_over) == (1, added, 0, 1)
        assert stored(store) == (["a"], {"a": 1})


def test_a_record_of_another_id_never_replaces_a_decision(store: Store, tmp_path: Path) -> None:
    import_gold(store, rows_of(tmp_path / "g.jsonl", {"id": "a", **ALI}), SCHEMA, Silent())
    other = rows_of(tmp_path / "h.jsonl", {"id": "b", **BARE})
    with pytest.raises(DataError, match=r"h\.jsonl:1: document 'b' has the text of 'a'"):
        import_gold(store, other, SCHEMA, Silent())
    assert stored(store) == (["a"], {"a": 1})
    own = rows_of(tmp_path / "i.jsonl", {"id": "a", **BARE})
    assert import_gold(store, own, SCHEMA, Silent()).replaced == 1
