"""Files that only the user may read, and handles of lock files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from curate.errors import DiskError


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only the user may read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(stream.fileno(), 0o600)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise DiskError(f"cannot be written: {error.strerror}", path=path) from None


@contextlib.contextmanager
def open_file(path: Path, flags: int = 0) -> Iterator[int]:
    """A file open for reading and writing, made where it is missing, mode 0600."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)
    except OSError as error:
        raise DiskError(f"cannot be opened: {error.strerror}", path=path) from None
    try:
        yield handle
    finally:
        os.close(handle)
