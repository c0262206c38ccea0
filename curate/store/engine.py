"""Opening the store: the engine, its transactions, and what a library's error means to a user."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc, inspect, text
from sqlalchemy.engine import URL, make_url

from curate.errors import ConfigurationError, CurateError, DiskError, WorkspaceError
from curate.store.tables import metadata

_WRITER_LOCK = 0x63757261  # "cura"; any number that is ours alone in this database
READ_ONLY = "curate_read_only"
"""An execution option of engines whose file, or its folder, we may not write."""
_STRANGE = (
    "no released curate made this store: restore a backup, or make a new workspace and import into "
    "it what the curate that made the store exports"
)
_ABSENT = ("no such column", "no such table", "has no column named")
HEAD = "0001"
"""The migration this version of curate works with; a test holds it equal to Alembic's head."""


def sqlite_url(path: Path) -> str:
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def parse_url(url: str) -> URL:
    """The address.  Raises ConfigurationError, without repeating it: it may hold a password."""
    try:
        return make_url(url)
    except (exc.ArgumentError, ValueError):
        raise ConfigurationError(
            "CURATE_DATABASE_URL is not a database address; it looks like "
            "postgresql+psycopg://user@host/name or sqlite:///file.db"
        ) from None


def open_engine(url: str) -> Engine:
    """An engine for this address.  Raises ConfigurationError for one that cannot be used."""
    parsed = parse_url(url)
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigurationError(
            f"CURATE_DATABASE_URL names {parsed.get_backend_name()!r}; curate keeps its store in "
            "SQLite or PostgreSQL"
        )
    read_only = parsed.get_backend_name() == "sqlite" and _is_read_only(parsed.database)
    try:
        if read_only:
            engine = create_engine(
                parsed,
                creator=partial(_connect_read_only, str(parsed.database)),
                execution_options={READ_ONLY: True},
            )
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        engine = create_engine(parsed)
    except (ImportError, exc.NoSuchModuleError):
        raise ConfigurationError(
            f"the driver for {parsed.drivername} is not installed; install curate[postgres]"
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "begin", _begin_postgresql)
    return engine


def _is_read_only(database: str | None) -> bool:
    """Whether this is a file that we may read and not write, or whose folder we may not."""
    if not database or database == ":memory:" or not Path(database).is_file():
        return False
    return not (os.access(database, os.W_OK) and os.access(Path(database).parent, os.W_OK))


def _connect_read_only(database: str) -> sqlite3.Connection:
    """A connection that writes nothing.  A store that nobody has open is read as it lies there:
    SQLite would make files beside it, which it may not."""
    path = Path(database).absolute()
    is_open = path.with_name(f"{path.name}-wal").exists()
    options = "mode=ro" if is_open else "mode=ro&immutable=1"
    connection = sqlite3.connect(f"{path.as_uri()}?{options}", uri=True, check_same_thread=False)
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout=30000")
    return connection


def _set_up_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, below
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "busy_timeout=30000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the write lock at once: upgrading a read transaction fails under concurrency.
    writes = connection.get_execution_options().get("curate_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    # The same promise as SQLite's: one writer at a time, and each sees what the last one did.
    if connection.get_execution_options().get("curate_writes", False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")


def is_empty(engine: Engine) -> bool:
    with translated(engine), engine.connect() as connection:
        return not inspect(connection).get_table_names()


def version_of(engine: Engine) -> str | None:
    """The migration the store stands at; None for a database without a store."""
    with translated(engine), engine.connect() as connection:
        if "alembic_version" not in inspect(connection).get_table_names():
            return None
        row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
        return None if row is None else str(row[0])


def check_version(engine: Engine) -> None:
    """Raises WorkspaceError where the store is missing, older or newer than this curate."""
    version = version_of(engine)
    if version == HEAD:
        return
    if version is None:
        raise WorkspaceError("the database holds no curate store; run `curate db upgrade`")
    if version < HEAD:
        raise WorkspaceError(
            f"the store is at version {version}, this curate needs {HEAD}; "
            "run `curate db backup FILE`, then `curate db upgrade`"
        )
    raise _newer(version)


def _newer(version: str) -> WorkspaceError:
    return WorkspaceError(
        f"the store is at version {version}, newer than the {HEAD} this curate knows; "
        "install a newer curate"
    )


@contextlib.contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """Turn SQLAlchemy's exceptions into ours; none of them, nor the address, reaches a user."""
    try:
        yield
    except CurateError:
        raise
    except exc.DBAPIError as error:
        raise _translate(engine, error) from None
    except exc.SQLAlchemyError as error:
        raise WorkspaceError(f"the store failed: {type(error).__name__}") from error


def _translate(engine: Engine, error: exc.DBAPIError) -> CurateError:
    place = engine.url.database if engine.dialect.name == "sqlite" else "the PostgreSQL store"
    said = str(error.orig).splitlines()[0] if error.orig is not None else ""
    low = said.lower()
    if "disk is full" in low or "no space left" in low or "could not extend file" in low:
        return DiskError("the disk is full; free some space and run the command again", path=place)
    if "disk i/o error" in low:
        return DiskError("the disk failed to read or write the store", path=place)
    if "readonly" in low or "read-only" in low:
        return DiskError("the store cannot be written; check its permissions", path=place)
    if "unable to open database file" in low:
        return DiskError("the store cannot be opened; check the folder's permissions", path=place)
    if "not a database" in low or "malformed" in low:
        return WorkspaceError(
            "the store is damaged or no SQLite file; restore a backup", path=place
        )
    if "locked" in low:
        return WorkspaceError("the store is in use by another process; try again", path=place)
    if isinstance(error, exc.IntegrityError):
        raise error
    absent = type(error.orig).__name__ in ("UndefinedColumn", "UndefinedTable")
    if absent or any(words in low for words in _ABSENT):
        return WorkspaceError(
            "the store's tables are not those of this curate; run `curate db check`", path=place
        )
    if isinstance(error, exc.OperationalError) and engine.dialect.name == "postgresql":
        return WorkspaceError(
            "the PostgreSQL store does not answer; check CURATE_DATABASE_URL and the server"
        )
    raise error


def strangeness(connection: Connection) -> list[str]:
    """Tables and columns that this version of curate needs and the store lacks, one sentence each:
    a store that an unreleased curate made, or that somebody changed by hand."""
    there = inspect(connection)
    tables = set(there.get_table_names())
    findings = []
    for table in metadata.sorted_tables:
        columns = {c["name"] for c in there.get_columns(table.name)} if table.name in tables else ()
        lacking = [column.name for column in table.columns if column.name not in columns]
        if table.name not in tables:
            findings.append(f"the table {table.name} is missing; {_STRANGE}")
        elif lacking:
            findings.append(f"the table {table.name} lacks {', '.join(lacking)}; {_STRANGE}")
    return findings


def integrity(connection: Connection) -> list[str]:
    """The database's own findings, one sentence each."""
    if connection.dialect.name != "sqlite":
        return []
    rows = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    findings = [f"the store is damaged: {row}; restore a backup" for row in rows if row != "ok"]
    for table, row_id, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        findings.append(f"row {row_id} of table {table} points at a missing {parent}")
    return findings


def create_all(engine: Engine) -> None:
    """Bring an empty database, or one with an older store, to this version.

    Raises WorkspaceError for a database that holds something else, or a newer store.
    """
    from curate.store.migrations import upgrade

    version = version_of(engine)
    if version is not None and version > HEAD:
        raise _newer(version)
    if version is None and not is_empty(engine):
        raise WorkspaceError(
            "the database holds tables that are not curate's; name an empty database in "
            "CURATE_DATABASE_URL"
        )
    with translated(engine):
        upgrade(engine)


__all__ = [
    "HEAD",
    "check_version",
    "create_all",
    "is_empty",
    "metadata",
    "open_engine",
    "sqlite_url",
    "translated",
    "version_of",
]
