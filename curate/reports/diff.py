"""The page of a diff between two gold sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from curate.reports.pages import fitting, page

LIMIT = 3_000
"""Changes shown one by one, as far as they fit; a longer diff says how many more there are."""
_MARKUP = 420
"""Bytes of markup around a change."""


def render(
    old: str,
    new: str,
    counts: Mapping[str, int],
    bump: str | None,
    changes: Sequence[Mapping[str, Any]],
    total: int | None = None,
) -> str:
    """The page; ``changes`` as :meth:`curate.gold.diff.Change.as_dict` gives them.

    ``total`` is how many there are, where ``changes`` are only the first.
    """
    shown = fitting(changes[:LIMIT], lambda change: _MARKUP + len(str(change).encode()))
    return page(
        "diff.html.j2",
        title=f"{old} → {new}",
        old=old,
        new=new,
        counts={kind.replace("_", " "): count for kind, count in counts.items()},
        bump=bump,
        documents=_documents(shown),
        rest=(len(changes) if total is None else total) - len(shown),
    )


def _documents(
    changes: Iterable[Mapping[str, Any]],
) -> list[tuple[str | None, list[dict[str, str]]]]:
    return [
        (document, [_change(change) for change in group])
        for document, group in groupby(changes, key=lambda change: change.get("document"))
    ]


def _change(change: Mapping[str, Any]) -> dict[str, str]:
    before, _, rest = str(change.get("context", "")).partition("[[")
    place, _, after = rest.rpartition("]]")
    return {
        "kind": str(change["kind"]).replace("_", " "),
        "old": _side(change.get("old")),
        "new": _side(change.get("new")),
        "before": before,
        "place": place,
        "after": after,
    }


def _side(value: Any) -> str:
    if isinstance(value, list):
        return " + ".join(_side(item) for item in value)
    if isinstance(value, Mapping):
        if "label" in value:
            has_span = "start" in value and "end" in value
            ends = f" {value['start']}–{value['end']}" if has_span else ""
            return f"{value.get('text', '')} [{value['label']}]{ends}"
        return ", ".join(f"{key}: {_plain(item)}" for key, item in value.items())
    return "" if value is None else str(value)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    text = str(value)
    return text[:12] + "…" if len(text) == 64 else text
