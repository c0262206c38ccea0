"""One command at a time, and a dead holder holds nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.errors import LockedError
from curate.store import Store
from curate.store.engine import sqlite_url

_HOLDER = """
import sys, time
from curate.store import Store
with Store.open(sys.argv[1]) as store, store.lock("push"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(sqlite_url(tmp_path / "a «folder»" / "store.db")) as store:
        yield store


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    (tmp_path / "a «folder»").mkdir()


def test_the_second_is_told_who_holds_it_and_a_dead_holder_is_taken_over(store: Store) -> None:
    """Another process's lock is refused by name; killed, it is free at once."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(store.engine.url)], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LockedError, match=rf"`curate push` \(process {holder.pid} on "):
            store.lock("pull").__enter__()
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        with store.lock("pull"):
            pass


def test_a_lock_is_given_back_whatever_happens(store: Store) -> None:
    """After an error the next command gets it."""
    with pytest.raises(ValueError, match="x"), store.lock("push"):
        raise ValueError("x")
    with store.lock("pull"):
        pass


def test_a_broken_holders_name_is_no_obstacle(store: Store, tmp_path: Path) -> None:
    """What is written in the lock file is only shown; nonsense there is survived."""
    path = tmp_path / "a «folder»" / "store.db.lock"
    path.write_bytes(b"\xff{")
    with store.lock("push"):
        path.write_bytes(b"nonsense")
        with pytest.raises(LockedError, match="another process is at work"):
            store.lock("pull").__enter__()


def test_the_lock_is_nobody_elses_to_read(store: Store, tmp_path: Path) -> None:
    """The file is the user's own."""
    with store.lock("push"):
        mode = (tmp_path / "a «folder»" / "store.db.lock").stat().st_mode & 0o777
    assert mode == 0o600
