"""`curate gold verify`: every release that was named, or all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from curate.errors import DataError, UsageError
from curate.gold.manifest import CHANGES, DATA, NAME, PROVENANCE
from curate.gold.verify import Verified, verify
from curate.gold.versions import published, resolve

MARKS = (NAME, *DATA, PROVENANCE, CHANGES)
"""A folder that holds one of these is a release, whole or not."""


def verify_gold(folder: Path | None, names: Sequence[str]) -> list[Verified]:
    """Verify these versions or folders; none named: every version in ``folder``.

    Raises UsageError or DataError where there is nothing to verify.
    """
    if not names:
        if folder is None:
            raise UsageError("name a release's folder, or stand in a workspace")
        versions = published(folder)
        if not versions:
            raise DataError("no version is published yet; run `curate gold build`", path=folder)
        return [verify(folder / str(version)) for version in versions]
    results = []
    for name in names:
        path = Path(name)
        if path.is_dir() and any((path / part).exists() for part in MARKS):
            results.append(verify(path.resolve()))
        elif folder is not None:
            results.append(verify(resolve(folder, name)))
        else:
            raise DataError("there is no release here", path=path)
    return results
