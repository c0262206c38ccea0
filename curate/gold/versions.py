"""Version numbers of releases, and which one a difference calls for.

The first release is 1.0.0.  Afterwards: ``major`` where anything changed inside an old document,
a document went away or changed its split, or the schema lost or altered a label or relation type;
``minor`` where whole documents were added, or the schema grew; ``patch`` where the same data are
repackaged (provenance, texts of the schema, settings, notes).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from curate.errors import DataError, UsageError

_VERSION = re.compile(r"(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})", re.ASCII)
_CORPUS = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)


class Bump(StrEnum):
    """Which part of the version a difference moves."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


_RANK = {Bump.PATCH: 0, Bump.MINOR: 1, Bump.MAJOR: 2}


def larger(a: Bump | None, b: Bump | None) -> Bump | None:
    """The one that moves more; None moves nothing."""
    if a is None or b is None:
        return a or b
    return a if _RANK[a] >= _RANK[b] else b


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """``major.minor.patch``, ordered as numbers."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Version:
        """Raises UsageError for anything but three plain numbers: a version names a folder."""
        match = _VERSION.fullmatch(text)
        if match is None:
            raise UsageError(f"{text!r} is no version; versions look like 1.0.0")
        return cls(*(int(part) for part in match.groups()))

    def next(self, bump: Bump) -> Version:
        if bump is Bump.MAJOR:
            return Version(self.major + 1, 0, 0)
        if bump is Bump.MINOR:
            return Version(self.major, self.minor + 1, 0)
        return Version(self.major, self.minor, self.patch + 1)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


FIRST = Version(1, 0, 0)


def published(folder: Path) -> list[Version]:
    """The versions in a corpus's folder, oldest first; none where there is no such folder."""
    if not folder.is_dir():
        return []
    found = []
    for entry in folder.iterdir():
        match = _VERSION.fullmatch(entry.name)
        if match is not None and entry.is_dir() and not entry.is_symlink():
            found.append(Version(*(int(part) for part in match.groups())))
    return sorted(found)


def check_corpus(name: str) -> None:
    """Raises DataError for a corpus name that is not safe as a folder's."""
    if not _CORPUS.fullmatch(name):
        raise DataError(
            f"corpus name {name!r} must be lower-case letters, digits, _ and -, starting with a "
            "letter or digit, at most 63"
        )


def resolve(folder: Path, wanted: str) -> Path:
    """The folder of a published version, or of ``latest``.

    Raises UsageError for what is no version, DataError where it is not published.
    """
    versions = published(folder)
    if wanted == "latest":
        if not versions:
            raise DataError("no version is published yet; run `curate gold build`", path=folder)
        return folder / str(versions[-1])
    version = Version.parse(wanted)
    if version not in versions:
        known = ", ".join(map(str, versions)) or "none"
        raise DataError(f"version {version} is not published; published: {known}", path=folder)
    return folder / str(version)
