"""Files at any address that fsspec knows: a path, ``file://``, ``memory://``, ``s3://`` …

The package of a storage (s3fs, gcsfs, adlfs …) is the user's own, as are its credentials, which
fsspec takes from its own configuration.  Nothing of them is part of a message.
"""

from __future__ import annotations

import contextlib
import gzip
import lzma
import os
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlsplit

from curate.errors import ConfigurationError, CurateError, DataError, DiskError, UnreachableError

_WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "memory"})
"""Storages in which an object appears whole or not at all; elsewhere a rename makes it so."""
_GLOB = frozenset("*?[")


@dataclass(frozen=True)
class Place:
    """A file or folder: ``url`` as the user wrote it, ``path`` as the file system ``fs`` says."""

    url: str
    fs: Any
    path: str

    @property
    def protocol(self) -> str:
        known = self.fs.protocol
        return str(known if isinstance(known, str) else known[0])

    def __str__(self) -> str:
        return shown(self.url)

    def at(self, path: str) -> Place:
        """Another file of the same file system."""
        url = (
            path if self.protocol in ("file", "local") else f"{self.protocol}://{path.lstrip('/')}"
        )
        return Place(url, self.fs, path)

    def __truediv__(self, name: str) -> Place:
        return self.at(f"{self.path.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        return self.path.rstrip("/").rsplit("/", 1)[-1]


def shown(url: str) -> str:
    """The address without user, password and query, which may hold secrets."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def place(url: str) -> Place:
    """Raises ConfigurationError for an address whose package is missing or that is none."""
    try:
        import fsspec
    except ImportError:
        raise ConfigurationError(
            "files at an address need packages that are not installed; install curate[dask]"
        ) from None
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except ImportError:
        raise ConfigurationError(
            "the package for this kind of storage is not installed (s3fs for s3://, gcsfs for "
            "gs://, adlfs for az://)",
            path=shown(url),
        ) from None
    except Exception as error:  # of the storage's own package
        raise ConfigurationError(
            f"is no address of files that can be used ({type(error).__name__})", path=shown(url)
        ) from None
    return Place(url, fs, str(path))


@contextlib.contextmanager
def translated(where: Place) -> Iterator[None]:
    """What a storage raises, as ours."""
    try:
        yield
    except CurateError:
        raise
    except FileNotFoundError:
        raise DataError("there is no such file or folder", path=str(where)) from None
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError):
        raise DataError("is cut short or damaged; write it again", path=str(where)) from None
    except IsADirectoryError:
        raise DataError("is a folder, not a file", path=str(where)) from None
    except OSError as error:
        if where.protocol in ("file", "local", "memory"):
            raise DiskError(
                f"cannot be read or written: {error.strerror or type(error).__name__}",
                path=str(where),
            ) from None
        raise _refused(where, error) from None
    except Exception as error:  # of the storage's own package
        raise _refused(where, error) from None


def _refused(where: Place, error: Exception) -> UnreachableError:
    return UnreachableError(
        f"{where}: the storage refused or failed ({type(error).__name__}); check the address and "
        f"the credentials that fsspec has for {where.protocol}://"
    )


def files(url: str, suffixes: tuple[str, ...]) -> list[Place]:
    """The files that an address names, in sorted order: itself, those of its pattern (``*``), or
    those of these suffixes in the folder and below, hidden ones left out.

    Raises DataError where there are none.
    """
    root = place(url)
    with translated(root):
        if _GLOB & set(root.path):
            found = sorted(map(str, root.fs.glob(root.path)))
        elif root.fs.isdir(root.path):
            inside = len(root.path.rstrip("/")) + 1
            found = sorted(
                str(path)
                for path in root.fs.find(root.path)
                if str(path).lower().endswith(suffixes)
                and not any(part.startswith(".") for part in str(path)[inside:].split("/"))
            )
        elif root.fs.exists(root.path):
            found = [root.path]
        else:
            found = []
    if not found:
        raise DataError(f"there is no such file ({', '.join(suffixes)})", path=str(root))
    return [root.at(path) for path in found]


@contextlib.contextmanager
def opened(where: Place, *, compression: str | None = None) -> Iterator[IO[bytes]]:
    """The file for reading."""
    import fsspec

    with translated(where), fsspec.core.OpenFile(where.fs, where.path, "rb", compression) as stream:
        yield stream


def publish(where: Place, content: bytes) -> None:
    """Write the file whole or not at all.  Raises DiskError or UnreachableError."""
    with translated(where):
        parent = where.path.rsplit("/", 1)[0]
        if where.protocol in _WHOLE:
            where.fs.pipe_file(where.path, content)
            return
        where.fs.makedirs(parent, exist_ok=True)
        temporary = f"{parent}/.{where.name}.{uuid.uuid4().hex[:8]}.tmp"
        try:
            where.fs.pipe_file(temporary, content)
            if where.protocol in ("file", "local"):
                os.replace(temporary, where.path)  # noqa: PTH105
            else:
                where.fs.mv(temporary, where.path)
        except BaseException:
            with contextlib.suppress(Exception):
                where.fs.rm_file(temporary)
            raise
