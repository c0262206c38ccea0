"""The backup: what goes in comes out, on either database, or nothing is touched."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, Boolean, Column, Float, Integer, LargeBinary, MetaData, null, select

from curate.errors import DataError, DiskError, WorkspaceError
from curate.model import Document
from curate.store import NewDocument, Store
from curate.store.backup import backup, restore
from curate.store.engine import open_engine, sqlite_url
from curate.store.tables import metadata


def silent(_rows: int) -> None:
    """No progress is shown."""


def value(column: Column[Any], row: int) -> Any:
    """Something awkward of the column's type; every second row leaves empty what may be."""
    if column.foreign_keys:
        parent = next(iter(column.foreign_keys)).column
        return null() if column.nullable and row == 2 else value(parent, row)
    if column.nullable and row == 2:
        return null()
    if isinstance(column.type, JSON):
        return {"n": [row, None, 0.1], "texte": "Ghadamès\u00a0! \U0001f937 \u2028"}
    if isinstance(column.type, LargeBinary):
        return bytes(range(256)) * row
    if isinstance(column.type, Boolean):
        return row == 1
    if isinstance(column.type, Integer):
        return row
    if isinstance(column.type, Float):
        return 0.1 + row
    return f"é\r\n'{row}"


def fill(url: str) -> None:
    """Two rows in every table there is."""
    Store.create(url).close()
    engine = open_engine(url)
    with engine.connect().execution_options(curate_writes=True) as connection:
        for table in metadata.sorted_tables:
            for row in (1, 2):
                connection.execute(table.insert().values({c: value(c, row) for c in table.c}))
        connection.commit()
    engine.dispose()


def content(url: str) -> dict[str, list[dict[str, Any]]]:
    engine = open_engine(url)
    found = MetaData()
    with engine.connect() as connection:
        found.reflect(connection)
        rows = {
            t.name: [
                dict(r) for r in connection.execute(select(t).order_by(*t.primary_key)).mappings()
            ]
            for t in found.sorted_tables
        }
        for table in found.sorted_tables:  # JSON's null and SQL's are not the same
            for column in table.c:
                if isinstance(column.type, JSON) and column.nullable:
                    count = connection.execute(select(table).where(column.is_(null()))).all()
                    rows[f"{table.name}.{column.name}"] = [{"nulls": len(count)}]
    engine.dispose()
    return rows


def test_every_table_comes_back_row_by_row(database_url: str, tmp_path: Path) -> None:
    """From either database into SQLite and back into it: nulls, bytes, floats, odd characters."""
    fill(database_url)
    file, other = tmp_path / "b.zip", sqlite_url(tmp_path / "other.db")
    saved = backup(database_url, file, silent)
    assert saved.rows == {t.name: 2 for t in metadata.sorted_tables}
    assert restore(other, file, silent) == saved
    assert content(other) == content(database_url)


def test_a_laptop_moves_to_postgresql_and_goes_on(database_url: str, tmp_path: Path) -> None:
    """New rows get numbers that no restored row has."""
    old = sqlite_url(tmp_path / "old.db")
    with Store.create(old) as store, store.write() as unit:
        unit.documents.add([NewDocument(Document.of(f"texte {n}"), "g") for n in range(1200)])
        unit.commit()
    backup(old, tmp_path / "b.zip", silent)
    restore(database_url, tmp_path / "b.zip", silent)
    with Store.open(database_url) as store, store.write() as unit:
        assert unit.documents.add([NewDocument(Document.of("encore"), "g")]) == 1
        unit.commit()
        assert [d.text for d in unit.documents.all()] == [f"texte {n}" for n in range(1200)] + [
            "encore"
        ]


def test_a_backup_is_whole_and_private_and_never_written_over(tmp_path: Path) -> None:
    url, file = sqlite_url(tmp_path / "s.db"), tmp_path / "b.zip"
    Store.create(url).close()
    backup(url, file, silent)
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    with pytest.raises(DiskError, match=r"b\.zip: this file exists"):
        backup(url, file, silent)
    assert file.read_bytes() == before
    with pytest.raises(KeyboardInterrupt):
        fill(sqlite_url(tmp_path / "t.db"))
        backup(sqlite_url(tmp_path / "t.db"), tmp_path / "c.zip", interrupted)
    assert sorted(p.name for p in tmp_path.glob("*.zip*")) == ["b.zip"]
    assert not list(tmp_path.glob(".c.zip*"))


def interrupted(_rows: int) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_restore_leaves_the_store_empty(database_url: str, tmp_path: Path) -> None:
    """And the next one fills it."""
    old, file = sqlite_url(tmp_path / "old.db"), tmp_path / "b.zip"
    fill(old)
    backup(old, file, silent)
    with pytest.raises(KeyboardInterrupt):
        restore(database_url, file, interrupted)
    with Store.open(database_url) as store, store.read() as unit:
        assert unit.documents.count() == 0
    restore(database_url, file, silent)
    assert content(database_url)["document"] == content(old)["document"]


def test_a_store_that_holds_something_is_never_filled(database_url: str, tmp_path: Path) -> None:
    fill(database_url)
    before = content(database_url)
    file = tmp_path / "b.zip"
    backup(database_url, file, silent)
    with pytest.raises(WorkspaceError, match="holds data already"):
        restore(database_url, file, silent)
    assert content(database_url) == before


@pytest.mark.parametrize("harm", ["cut", "text", "row", "table", "form", "newer", "column"])
def test_a_damaged_backup_is_refused_before_anything_is_made(harm: str, tmp_path: Path) -> None:
    url, file, bad = sqlite_url(tmp_path / "s.db"), tmp_path / "b.zip", tmp_path / "bad.zip"
    fill(url)
    backup(url, file, silent)
    if harm == "cut":
        bad.write_bytes(file.read_bytes()[:-300])
    elif harm == "text":
        bad.write_text("no zip", "utf-8")
    else:
        with zipfile.ZipFile(file) as archive, zipfile.ZipFile(bad, "w") as out:
            for name in archive.namelist():
                data = archive.read(name)
                if name == "document.jsonl" and harm == "row":
                    data = data[: data.index(b"\n") + 1]
                if name == "manifest.json" and harm in ("form", "newer"):
                    manifest = json.loads(data)
                    manifest.update({"form": "x"} if harm == "form" else {"revision": "9999"})
                    data = json.dumps(manifest).encode()
                if not (name == "document.jsonl" and harm == "table"):
                    out.writestr(name, data)
    if harm == "column":
        reshape(bad, file)
    with pytest.raises(DataError, match=r"bad\.zip: "):
        restore(sqlite_url(tmp_path / "new.db"), bad, silent)
    if harm != "column":
        assert not (tmp_path / "new.db").exists()


def reshape(bad: Path, good: Path) -> None:
    """A well-signed backup whose rows have another form."""
    import hashlib

    with zipfile.ZipFile(good) as archive, zipfile.ZipFile(bad, "w") as out:
        manifest = json.loads(archive.read("manifest.json"))
        data = b'{"digest":1}\n'
        manifest["tables"]["raw_page"] = {"rows": 1, "sha256": hashlib.sha256(data).hexdigest()}
        for name in archive.namelist():
            if name not in ("manifest.json", "raw_page.jsonl"):
                out.writestr(name, archive.read(name))
        out.writestr("raw_page.jsonl", data)
        out.writestr("manifest.json", json.dumps(manifest))


def test_without_a_store_there_is_nothing_to_save(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="no store"):
        backup(sqlite_url(tmp_path / "none.db"), tmp_path / "b.zip", silent)
    assert list(tmp_path.iterdir()) == []
