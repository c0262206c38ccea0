"""The page of the annotators: throughput, lead time, agreement over time, confusions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from curate.reports.pages import page

if TYPE_CHECKING:
    from curate.agreement.annotators import Example, Portrait

CONTEXT = 40
CONFUSIONS = 12


def render(
    portraits: Sequence[Portrait],
    texts: Mapping[str, str],
    origin: str = "",
    language: str | None = None,
) -> str:
    """The page; ``texts`` are those of the documents that examples are taken from.

    ``origin`` says of what; ``language`` is the texts' code, for screen readers.
    """
    return page(
        "annotators.html.j2",
        title=f"{len(portraits)} annotator{'' if len(portraits) == 1 else 's'}",
        origin=origin,
        language=language,
        portraits=[_shown(portrait, texts) for portrait in portraits],
    )


def _shown(portrait: Portrait, texts: Mapping[str, str]) -> dict[str, Any]:
    most = max(portrait.weeks.values(), default=1)
    return {
        "of": portrait,
        "weeks": [(week, n, round(100 * n / most)) for week, n in portrait.weeks.items()],
        "months": [
            (month, *values, None if values[1] is None else round(100 * values[1]))
            for month, values in portrait.months.items()
        ],
        "confusions": [
            (c, [_cut(example, texts.get(example.document_id, "")) for example in c.examples])
            for c in portrait.confusions[:CONFUSIONS]
        ],
        "more": max(0, len(portrait.confusions) - CONFUSIONS),
    }


def _cut(example: Example, text: str) -> dict[str, str]:
    """The example in its context; a long middle is cut."""
    inside = " ".join(text[example.start : example.end].split())
    if len(inside) > 120:
        inside = f"{inside[:58]} … {inside[-58:]}"
    before = text[max(0, example.start - CONTEXT) : example.start]
    after = text[example.end : example.end + CONTEXT]
    return {
        "document": example.document_id,
        "before": " ".join(before.split()) + (" " if before[-1:].isspace() else ""),
        "inside": inside,
        "after": (" " if after[:1].isspace() else "") + " ".join(after.split()),
    }
