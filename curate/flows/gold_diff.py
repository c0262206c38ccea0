"""`curate gold diff` and `gold log`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from curate.errors import DataError
from curate.gold import manifest as names
from curate.gold.diff import Change, DiffTally, diff_releases, diff_sets
from curate.gold.manifest import read_manifest
from curate.gold.opening import GoldSet
from curate.gold.versions import published
from curate.schema import LabelSchema


@dataclass(frozen=True)
class GoldDiff:
    """The changes from ``old`` to ``new``; ``bump`` is None where there are none."""

    old: str
    new: str
    counts: dict[str, int]
    bump: str | None
    changes: Sequence[Change] = field(default=())

    def as_dict(self, limit: int | None = None) -> dict[str, Any]:
        """Plain JSON types; ``limit``: with the first changes only."""
        return {
            "old": self.old,
            "new": self.new,
            "counts": self.counts,
            "bump": self.bump,
            "changes": [change.as_dict() for change in self.changes[:limit]],
        }


def diff_gold(old: GoldSet, new: GoldSet, schema: LabelSchema | None) -> GoldDiff:
    """Compare two gold sets.  Raises DataError where one is damaged."""
    tally = DiffTally()
    stream: Iterable[Change]
    if old.release is not None and new.release is not None:
        stream = diff_releases(old.release, new.release)
    else:
        stream = diff_sets(old.documents(), new.documents(), schema)
    changes = list(tally.watch(stream))
    return GoldDiff(
        old.name,
        new.name,
        tally.as_counts(),
        None if tally.bump is None else str(tally.bump),
        changes,
    )


def history(folder: Path) -> list[dict[str, Any]]:
    """The releases of a corpus, newest first, with what CHANGES.json says of each."""
    entries = []
    for version in reversed(published(folder)):
        release = folder / str(version)
        manifest = read_manifest(release)
        summary = _summary(release / names.CHANGES)
        entries.append(
            {
                "version": manifest.version,
                "parent": None if manifest.parent is None else manifest.parent["version"],
                "bump": summary.get("bump"),
                "digest": manifest.digest,
                "documents": manifest.counts["documents"],
                "counts": summary.get("counts", {}),
                "repackaged": summary.get("repackaged", []),
                "notes": summary.get("notes", ""),
            }
        )
    return entries


def _summary(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        raise DataError("is damaged; run `curate gold verify`", path=path) from None
    if not isinstance(value, dict):
        raise DataError("is damaged; run `curate gold verify`", path=path)
    return value


def write_page(result: GoldDiff, path: Path) -> None:
    """The diff as a page to read."""
    from curate.reports.diff import LIMIT, render
    from curate.reports.pages import write_page as write

    shown = [change.as_dict() for change in result.changes[:LIMIT]]
    page = render(result.old, result.new, result.counts, result.bump, shown, len(result.changes))
    write(path, page)


def write_json(result: GoldDiff, stream: TextIO) -> None:
    """The diff as JSON, written change by change: there may be a million."""
    head = {key: value for key, value in result.as_dict(0).items() if key != "changes"}
    stream.write(json.dumps(head, ensure_ascii=False, indent=2)[:-2] + ',\n  "changes": [')
    for i, change in enumerate(result.changes):
        row = json.dumps(change.as_dict(), ensure_ascii=False)
        stream.write(("," if i else "") + "\n    " + row)
    stream.write("\n  ]\n}\n" if result.changes else "]\n}\n")
