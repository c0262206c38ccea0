"""A gold set by the name a user gives it: a version, ``latest``, a release's folder, or a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curate.errors import DataError, UsageError
from curate.gold.items import GOLD, GoldDocument
from curate.gold.manifest import NAME
from curate.gold.reading import Release, open_release
from curate.gold.versions import resolve
from curate.interchange import read
from curate.schema import LabelSchema


@dataclass(frozen=True)
class GoldSet:
    """Gold documents and where they come from.

    ``name`` is for people (``sahel 1.0.0`` or the file's name); ``digest`` is the root digest of a
    release, None for a file.
    """

    name: str
    path: Path
    release: Release | None = None

    @property
    def schema(self) -> LabelSchema | None:
        """The release's schema; None for a file."""
        return None if self.release is None else self.release.schema

    @property
    def version(self) -> str | None:
        return None if self.release is None else self.release.version

    @property
    def digest(self) -> str | None:
        return None if self.release is None else self.release.manifest.digest

    def documents(self, split: str | None = None) -> Iterator[GoldDocument]:
        """Every document (of a split): by id from a release, in its own order from a file.

        Raises UsageError where a split is asked of a file, DataError for damaged lines.
        """
        if self.release is not None:
            yield from self.release.documents(split)
            return
        if split is not None:
            raise UsageError(f"{self.path} is a file and has no splits; leave --split out")
        for record in read(self.path, source=GOLD):
            yield GoldDocument(record.document, record.annotation)


def open_gold(reference: str, folder: Path | None = None) -> GoldSet:
    """The gold set that ``reference`` names.

    ``folder`` is the workspace's ``gold/<corpus>``, for versions and ``latest``; None outside a
    workspace.  Raises UsageError or DataError saying what was looked for.
    """
    path = Path(reference)
    if reference != "latest" and path.is_dir():
        if not (path / NAME).is_file():
            raise DataError("is no release: it holds no manifest.json", path=path)
        return _of(open_release(path))
    if path.is_file():
        return GoldSet(path.name, path)
    if path.suffix in (".jsonl", ".json") or "/" in reference:
        raise DataError("there is no such file or release", path=path)
    if folder is None:
        raise UsageError(
            f"{reference!r} is no file here, and outside a workspace no version can be named; "
            "stand in a workspace or name one with -w"
        )
    return _of(open_release(resolve(folder, reference)))


def _of(release: Release) -> GoldSet:
    manifest = release.manifest
    return GoldSet(f"{manifest.corpus} {manifest.version}", release.folder, release)
