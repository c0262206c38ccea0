"""The store: what is committed stays, what is not never was."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.errors import ConfigurationError, DataError, DiskError, WorkspaceError
from curate.flows.db import check
from curate.model import Annotation, Document, Entity, Relation, Source, digest_of
from curate.offsets import OffsetMap, Piece
from curate.store import Decision, NewDocument, RawPage, Store, migrations
from curate.store.engine import HEAD, open_engine, sqlite_url, version_of

MODEL = Source.model("m", "1", "0" * 64)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with Store.create(database_url) as opened:
        yield opened


def add(store: Store, *ids: str) -> None:
    with store.write() as unit:
        unit.documents.add(
            NewDocument(Document.of(f"texte {name}", id=name), group_id=name) for name in ids
        )
        unit.commit()


def test_what_is_not_committed_is_rolled_back(store: Store) -> None:
    with store.write() as unit:
        unit.documents.add([NewDocument(Document.of("texte"), "g")])
    with store.read() as unit:
        assert unit.documents.count() == 0


def test_an_error_after_a_commit_keeps_the_commit_alone(store: Store) -> None:
    with pytest.raises(DataError), store.write() as unit:
        unit.documents.add([NewDocument(Document.of("un", id="a"), "a")])
        unit.commit()
        unit.documents.add([NewDocument(Document.of("deux", id="b"), "b")])
        raise DataError("half-way")
    with store.read() as unit:
        assert unit.documents.ids() == ["a"]


def test_documents_come_back_as_they_went_in(store: Store) -> None:
    text = " À \r\nQadamès\u00a0»\u200b 🇱🇾"
    document = Document.of(text, id="d/1", source="s", metadata={"date": "2021-03-14", "n": [1]})
    page = RawPage("f" * 64, "p.html", "utf-8", b"<p>\xc3\x80</p>")
    pieces = OffsetMap.of([Piece(0, 3, 5, 8), Piece(3, 4, 9, 14)])
    new = NewDocument(document, "g", b"sig", page, pieces, [{"line": 1, "reason": "menu"}])
    with store.write() as unit:
        assert unit.documents.add([new]) == 1
        unit.commit()
    with store.read() as unit:
        assert unit.documents.get("d/1") == document
        assert unit.documents.raw("d/1") == (page, pieces)
        assert unit.documents.dropped("d/1") == [{"line": 1, "reason": "menu"}]
        assert unit.documents.groups() == {"d/1": "g"}
        assert unit.documents.ids_by_digest([document.digest, "0"]) == {document.digest: "d/1"}
        assert list(unit.documents.signatures()) == [("d/1", b"sig")]


def test_all_documents_come_in_order_of_ingestion(store: Store) -> None:
    """Batches neither skip nor repeat."""
    names = [f"d{i * 7919 % 1201:04}" for i in range(1201)]
    add(store, *names)
    with store.read() as unit:
        assert [d.id for d in unit.documents.all()] == names
        assert [d.id for d in unit.documents.many(reversed(names))] == names[::-1]


def test_a_model_predicts_a_document_once(store: Store) -> None:
    add(store, "a", "b")
    first = Annotation.of("a", [Entity(0, 5, "X", 0.25)], [], MODEL)
    second = Annotation.of("a", [Entity(0, 4, "X", 0.5)], [], MODEL)
    with store.write() as unit:
        assert unit.predictions.missing(MODEL) == ["a", "b"]
        unit.predictions.put([first])
        unit.predictions.put([second])
        unit.commit()
    with store.read() as unit:
        assert unit.predictions.missing(MODEL) == ["b"]
        assert unit.predictions.get("a", MODEL) == second
        assert unit.predictions.get("a", Source.model("m", "2")) is None
        assert [(source, n) for _, source, n in unit.predictions.runs()] == [(MODEL, 1)]


def test_a_decision_is_replaced_as_a_whole(store: Store) -> None:
    add(store, "a")
    head, tail = Entity(0, 5, "X", canonical="q"), Entity(6, 7, "Y")
    chained = Annotation.of(
        "a", [head, tail], [Relation(head, tail, "r")], Source.curator("c"), [[head, tail]]
    )
    empty = Annotation.of("a", [], [], Source.consensus("unanimous"))
    with store.write() as unit:
        unit.decisions.put([Decision(chained, {"why": "lu"})])
        assert unit.decisions.get("a") == Decision(chained, {"why": "lu"})
        unit.decisions.put([Decision(empty, {})])
        unit.commit()
    with store.read() as unit:
        assert list(unit.decisions.all()) == [Decision(empty, {})]


def test_pseudonyms_are_stable_and_unique(store: Store) -> None:
    with store.write() as unit:
        people = unit.annotators
        assert people.pseudonym_of("http://a", 1) == "annotator-1"
        assert people.pseudonym_of("http://b", 1, "x@example.org") == "annotator-2"
        assert people.pseudonym_of("http://a", 1) == "annotator-1"
        people.rename("annotator-1", "Aïcha")
        assert people.pseudonym_of("http://a", 1) == "Aïcha"
        with pytest.raises(DataError, match="taken"):
            people.rename("annotator-2", "Aïcha")
        with pytest.raises(DataError, match="no annotator"):
            people.rename("nobody", "x")
        with pytest.raises(DataError, match="printable"):
            people.rename("annotator-2", "a\x1b[31m")
        assert people.pseudonym_of("http://c", 9) == "annotator-3"


def test_facts_are_replaced_and_forgotten(store: Store) -> None:
    with store.write() as unit:
        unit.facts.put("k", {"a": [1]})
        unit.facts.put("k", 2)
        assert unit.facts.get("k") == 2
        unit.facts.put("k", None)
        assert unit.facts.get("k") is None


def test_creating_twice_changes_nothing(database_url: str) -> None:
    url = database_url
    with Store.create(url) as store:
        add(store, "a")
    with Store.create(url) as store, store.read() as unit:
        assert unit.documents.ids() == ["a"]
        assert version_of(store.engine) == HEAD


def test_a_missing_store_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="curate db upgrade"):
        Store.open(sqlite_url(tmp_path / "s.db"))


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(WorkspaceError, match=r"s\.db: .*damaged"):
        Store.open(sqlite_url(path))


@pytest.mark.parametrize("url", ["nonsense", "mysql://a:geheim@h/x", "postgresql+nodriver://h/x"])
def test_a_wrong_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_engine(url)
    assert "geheim" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises((DiskError, WorkspaceError)):
        Store.create(sqlite_url(tmp_path / "no" / "such" / "folder" / "s.db"))


def test_the_migrations_lead_to_the_tables(database_url: str) -> None:
    """A store made by the migrations has just the tables that the code speaks to."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from curate.store.migrations import head
    from curate.store.tables import metadata

    assert head() == HEAD
    with Store.create(database_url) as store, store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_migration_is_never_changed_after_a_store_was_made_by_it() -> None:
    """A change of the tables is a new migration: the old ones are frozen, byte by byte."""
    folder = Path(migrations.__file__).parent / "versions"
    found = {file.name: digest_of(file.read_text("utf-8")) for file in folder.glob("*.py")}
    assert found == {
        "0001_initial.py": "5543d7b7e0f18851290a3ec937d95d409574f43faace35665e482890de0f9eab",
    }


@pytest.mark.parametrize(
    ("version", "advice"), [("0000", "db backup FILE`, then `curate db upgrade"), ("0999", "newer")]
)
def test_another_version_is_told_what_to_do_and_left_alone(
    database_url: str, version: str, advice: str
) -> None:
    """An older store waits for a backup and an upgrade; a newer one is no upgrade's business."""
    with Store.create(database_url) as store, store.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")
    with pytest.raises(WorkspaceError, match=advice):
        Store.open(database_url)
    if version > HEAD:
        with pytest.raises(WorkspaceError, match=advice):
            Store.create(database_url)
    engine = open_engine(database_url)
    assert version_of(engine) == version
    engine.dispose()


def test_a_store_that_lacks_a_column_is_named_and_no_riddle(database_url: str) -> None:
    """`db check` says which; a command that meets it says to run `db check`."""
    with Store.create(database_url) as store:
        with store.write() as unit:
            unit.connection.exec_driver_sql("ALTER TABLE studio_task DROP COLUMN made_at")
            unit.commit()
        (finding,) = check(store)
        assert "the table studio_task lacks made_at" in finding
        with pytest.raises(WorkspaceError, match="run `curate db check`"), store.read() as unit:
            unit.sync.ours(1, [1])


_WRITER = """
import sys
from curate.store import Store, NewDocument
from curate.model import Document
store = Store.open(sys.argv[1])
for i in range(40):
    with store.write() as unit:
        seen = unit.documents.count()
        unit.documents.add([NewDocument(Document.of(f"{sys.argv[2]} {i}"), "g")])
        unit.facts.put("count", seen + 1)
        unit.commit()
"""


def test_two_processes_write_at_once_and_nothing_is_lost(database_url: str) -> None:
    """Each unit sees the state it changes: a count kept by hand never loses an update."""
    url = database_url
    Store.create(url).close()
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, url, name], env=dict(os.environ))
        for name in ("un", "deux")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    with Store.open(url) as store, store.read() as unit:
        assert unit.documents.count() == 80
        assert unit.facts.get("count") == 80
