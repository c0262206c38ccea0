"""The whole store in one file, and back: from SQLite or PostgreSQL into either of them.

The file is a ZIP: ``manifest.json`` (form, the migration the tables stand at, rows and SHA-256 of
each table) and one ``<table>.jsonl`` a table, an object a row, bytes as base64.  It is read from
one consistent state, written under another name and put in place whole.  A restore checks every
digest before it touches the database, and fills an empty store in one transaction.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sqlalchemy import (
    JSON,
    Connection,
    Engine,
    LargeBinary,
    MetaData,
    Table,
    column,
    func,
    insert,
    select,
    table,
    text,
)
from sqlalchemy.exc import DataError as SqlDataError
from sqlalchemy.exc import IntegrityError, InterfaceError, ProgrammingError

from curate.errors import DataError, DiskError, WorkspaceError
from curate.store import engine as _engine
from curate.store.clock import now

FORM = "curate-backup"
VERSION = 1
_BATCH = 500
_LONGEST_LINE = 256 << 20
_SHORTEST_ROW = 16
"""Bytes; the names of the columns alone are longer."""
_ALWAYS = 64 << 20
_RATIO = 100
"""No table of a store shrinks so much; zeros shrink a thousandfold."""
_UNFIT = (OverflowError, UnicodeError, TypeError, ValueError)
"""What a driver raises for a value of a wrong form."""
_PASSING = {"lock_holder"}
"""Facts that speak of a running process."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What a backup holds: rows by table; ``revision``: the migration its tables stand at."""

    revision: str
    rows: dict[str, int]


def backup(url: str, target: Path, advance: Callable[[int], None]) -> Saved:
    """Write the store at ``url``, of this version or an older one, to the new file ``target``.

    Raises WorkspaceError where there is no store, DiskError where the file exists or cannot be
    written.
    """
    if target.exists():
        raise DiskError("this file exists already; name another one", path=target)
    parsed = _engine.parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise WorkspaceError("there is no store to back up", path=parsed.database)
    engine = _engine.open_engine(url)
    try:
        revision = _engine.version_of(engine)
        if revision is None:
            raise WorkspaceError("the database holds no curate store; there is nothing to back up")
        with _whole(target) as handle, _engine.translated(engine):
            saved = _write(engine, revision, handle, advance)
    finally:
        engine.dispose()
    return saved


def restore(url: str, source: Path, advance: Callable[[int], None]) -> Saved:
    """Fill the empty or missing store at ``url`` from a backup, and bring it to this version.

    Raises DataError for a file that is no backup or is damaged, WorkspaceError where the store
    holds something or the backup was made by a newer curate.
    """
    with _opened(source) as archive:
        manifest = _manifest(archive, source)
        saved = Saved(manifest["revision"], {n: t["rows"] for n, t in manifest["tables"].items()})
        if saved.revision > _engine.HEAD:
            raise WorkspaceError(
                f"the backup stands at version {saved.revision}, newer than the {_engine.HEAD} "
                "this curate knows; install a newer curate",
                path=source,
            )
        for name, said in manifest["tables"].items():
            _check(archive, name, said, source)
        engine = _engine.open_engine(url)
        try:
            _fill(engine, archive, saved, source, advance)
        finally:
            engine.dispose()
    return saved


# -- writing


@contextlib.contextmanager
def _whole(target: Path) -> Iterator[IO[bytes]]:
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise DiskError(f"the backup cannot be written: {error.strerror}", path=target) from None


def _write(
    engine: Engine, revision: str, handle: IO[bytes], advance: Callable[[int], None]
) -> Saved:
    options = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    tables: dict[str, Any] = {}
    with (
        zipfile.ZipFile(handle, "w", zipfile.ZIP_DEFLATED) as archive,
        engine.connect().execution_options(**options) as connection,
    ):
        for each in _tables(connection):
            sums = hashlib.sha256()
            rows = 0
            with archive.open(f"{each.name}.jsonl", "w", force_zip64=True) as out:
                for line in _lines(connection, each):
                    sums.update(line)
                    out.write(line)
                    rows += 1
                    advance(1)
            tables[each.name] = {"rows": rows, "sha256": sums.hexdigest()}
        manifest = {
            "form": FORM,
            "form_version": VERSION,
            "revision": revision,
            "made_at": now(),
            "tables": tables,
        }
        archive.writestr("manifest.json", json.dumps(manifest, indent=1) + "\n")
    return Saved(revision, {name: said["rows"] for name, said in tables.items()})


def _tables(connection: Connection) -> list[Table]:
    """The store's tables as they are in the database, parents before children."""
    found = MetaData()
    found.reflect(connection)
    return [each for each in found.sorted_tables if each.name != "alembic_version"]


def _lines(connection: Connection, each: Table) -> Iterator[bytes]:
    query = select(each).order_by(*each.primary_key.columns)
    result = connection.execution_options(yield_per=_BATCH).execute(query)
    for row in result.mappings():
        if each.name == "fact" and row["key"] in _PASSING:
            continue
        values = {
            name: {"base64": base64.b64encode(value).decode()}
            if isinstance(value, bytes | memoryview)
            else value
            for name, value in row.items()
        }
        yield (json.dumps(values, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


# -- reading


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[zipfile.ZipFile]:
    if source.exists() and not source.is_file():
        raise DataError("this is no file; name a backup of curate's", path=source)
    try:
        with zipfile.ZipFile(source) as archive:
            yield archive
    # RuntimeError: encrypted; NotImplementedError: packed in a way that we never use
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError):
        raise DataError("this is no backup of curate's, or it is damaged", path=source) from None
    except OSError as error:
        raise DiskError(f"the backup cannot be read: {error.strerror}", path=source) from None


def _manifest(archive: zipfile.ZipFile, source: Path) -> dict[str, Any]:
    try:
        with archive.open("manifest.json") as handle:
            manifest = json.loads(handle.read(1 << 20))
        sound = manifest["form"] == FORM and all(
            type(said["rows"]) is int and isinstance(said["sha256"], str)
            for said in manifest["tables"].values()
        )
        version, revision = manifest["form_version"], manifest["revision"]
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        sound, version, revision = False, VERSION, ""
    known = isinstance(revision, str) and bool(re.fullmatch("[0-9]{4}", revision))
    if not sound or not known or revision == "0000":
        raise DataError("this is no backup of curate's, or it is damaged", path=source)
    if version != VERSION:
        raise DataError(
            f"the backup has form {version}, this curate reads {VERSION}; install a newer curate",
            path=source,
        )
    assert isinstance(manifest, dict)
    return manifest


def _check(archive: zipfile.ZipFile, name: str, said: dict[str, Any], source: Path) -> None:
    try:
        inside = archive.getinfo(f"{name}.jsonl")
    except KeyError:
        raise DataError(f"the backup lacks its table {name}", path=source) from None
    if inside.file_size > max(_ALWAYS, _RATIO * inside.compress_size):
        raise DataError(
            f"the backup's table {name} would unpack to {inside.file_size >> 20} MB, which no "
            "store's does; nothing was read",
            path=source,
        )
    sums = hashlib.sha256()
    rows = 0
    for line in _raw_lines(archive, name, source):
        sums.update(line)
        rows += 1
        if rows > said["rows"] or len(line) < _SHORTEST_ROW:
            break
    if rows != said["rows"] or sums.hexdigest() != said["sha256"]:
        raise DataError(f"the backup is damaged in its table {name}; use another one", path=source)


def _raw_lines(archive: zipfile.ZipFile, name: str, source: Path) -> Iterator[bytes]:
    try:
        handle = archive.open(f"{name}.jsonl")
    except KeyError:
        raise DataError(f"the backup lacks its table {name}", path=source) from None
    with handle:
        while line := handle.readline(_LONGEST_LINE):
            yield line


def _fill(
    engine: Engine,
    archive: zipfile.ZipFile,
    saved: Saved,
    source: Path,
    advance: Callable[[int], None],
) -> None:
    from curate.store.migrations import upgrade

    _demand_empty(engine)
    with _engine.translated(engine):
        if _engine.version_of(engine) is None:
            upgrade(engine, saved.revision)
    if _engine.version_of(engine) != saved.revision:
        raise WorkspaceError(
            "the empty store is at another version than the backup; restore into a new one"
        )
    with (
        _engine.translated(engine),
        engine.connect().execution_options(curate_writes=True) as connection,
    ):
        known = {each.name: each for each in _tables(connection)}
        if strange := sorted(set(saved.rows) - set(known)):
            raise DataError(f"the backup has a table {strange[0]!r} of no store", path=source)
        for name, each in known.items():
            if name in saved.rows:
                _load(connection, each, _raw_lines(archive, name, source), source, advance)
        connection.commit()
    with _engine.translated(engine):
        upgrade(engine)


def _demand_empty(engine: Engine) -> None:
    if _engine.version_of(engine) is None:
        if not _engine.is_empty(engine):
            raise WorkspaceError(
                "the database holds tables that are not curate's; name an empty one in "
                "CURATE_DATABASE_URL"
            )
        return
    with _engine.translated(engine), engine.connect() as connection:
        for each in _tables(connection):
            if each.name != "fact" and connection.execute(select(each).limit(1)).first():
                raise WorkspaceError(
                    "the store holds data already; restore into a new workspace or an empty "
                    "database (move a damaged store.db aside first)"
                )


def _load(
    connection: Connection,
    each: Table,
    lines: Iterator[bytes],
    source: Path,
    advance: Callable[[int], None],
) -> None:
    # A null in a JSON column that may be empty is SQL's null, not JSON's.
    slim = table(
        each.name,
        *(
            column(c.name, JSON(none_as_null=c.nullable or False))
            if isinstance(c.type, JSON)
            else column(c.name, c.type)
            for c in each.columns
        ),
    )
    binary = {c.name for c in each.columns if isinstance(c.type, LargeBinary)}
    names = {c.name for c in each.columns}
    if each.name == "fact":
        connection.execute(each.delete())
    while batch := list(itertools.islice(lines, _BATCH)):
        try:
            rows = [json.loads(line) for line in batch]
            for row in rows:
                if set(row) != names:
                    raise ValueError
                for name in binary:
                    if row[name] is not None:
                        row[name] = base64.b64decode(row[name]["base64"], validate=True)
        except (ValueError, TypeError, KeyError, RecursionError):
            raise DataError(
                f"the backup's table {each.name} does not have the store's form", path=source
            ) from None
        try:
            connection.execute(insert(slim), rows)
        except (IntegrityError, ProgrammingError, InterfaceError, SqlDataError, *_UNFIT):
            raise DataError(
                f"the backup's table {each.name} holds a row that a store does not take",
                path=source,
            ) from None
        advance(len(rows))
    if connection.dialect.name == "postgresql":
        _set_sequences(connection, each)


def _set_sequences(connection: Connection, each: Table) -> None:
    for c in each.primary_key.columns:
        sequence = connection.scalar(
            text("SELECT pg_get_serial_sequence(:t, :c)"), {"t": f'"{each.name}"', "c": c.name}
        )
        if sequence is not None:
            top = connection.scalar(select(func.max(c)))
            if top is not None:
                connection.execute(text("SELECT setval(:s, :v)"), {"s": sequence, "v": top})
