"""One command at a time talks to Label Studio for a store.

SQLite: a lock on a file beside the database, which the operating system takes back from a dead
process; PostgreSQL: an advisory lock, which the server takes back when the connection ends.  So
a lock never outlives its holder, and nothing has to be judged stale.  The holder's name is
written down only to be shown.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from curate.errors import DiskError, LockedError
from curate.store.clock import now
from curate.store.facts import Facts

_FACT = "lock_holder"
_KEY = zlib.crc32(b"curate sync")


@contextlib.contextmanager
def hold(engine: Engine, doing: str) -> Iterator[None]:
    """Hold the store's lock.  Raises LockedError, naming the holder, where another has it."""
    me = {"host": socket.gethostname(), "pid": os.getpid(), "since": now(), "doing": doing}
    if engine.dialect.name == "postgresql":
        with _advisory(engine, me):
            yield
        return
    database = engine.url.database
    if not database or database == ":memory:":
        yield
        return
    with _file(Path(f"{database}.lock"), me):
        yield


@contextlib.contextmanager
def _file(path: Path, me: dict[str, Any]) -> Iterator[None]:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DiskError(f"the lock cannot be opened: {error.strerror}", path=path) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(_sentence(_read(handle))) from None
        except OSError as error:
            raise DiskError(
                f"the file system locks no files: {error.strerror}", path=path
            ) from None
        with contextlib.suppress(OSError):  # a full disk must not stop us here: it is only a name
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(me).encode("utf-8"), 0)
        yield
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _read(handle: int) -> Any:
    try:
        return json.loads(os.pread(handle, 4096, 0).decode("utf-8"))
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def _advisory(engine: Engine, me: dict[str, Any]) -> Iterator[None]:
    with engine.connect() as connection:
        taken = connection.execute(
            text("SELECT pg_try_advisory_lock(:key)"), {"key": _KEY}
        ).scalar_one()
        if not taken:
            raise LockedError(_sentence(Facts(connection).get(_FACT)))
        Facts(connection).put(_FACT, me)
        connection.commit()
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _KEY})
            connection.commit()


def _sentence(holder: Any) -> str:
    if not isinstance(holder, dict):
        who = "another process"
    else:
        who = (
            f"`curate {holder.get('doing')}` (process {holder.get('pid')} on "
            f"{holder.get('host')}, since {str(holder.get('since'))[:19]}Z)"
        )
    return f"{who} is at work on this store; wait until it is done, then run the command again"
