"""The page of an agreement between annotators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from curate.reports.pages import page

if TYPE_CHECKING:
    from curate.agreement.values import Agreement, PairAgreement


def render(agreement: Agreement, warnings: Sequence[str] = (), origin: str = "") -> str:
    """The page; everything it says is in ``curate agreement --json``, too.

    ``origin`` says whose annotations these are: a corpus, or files.
    """
    return page(
        "agreement.html.j2",
        title="Agreement of " + ", ".join(agreement.annotators),
        agreement=agreement,
        origin=origin,
        warnings=warnings,
        confusions=[(pair, differences(pair)) for pair in agreement.pairs],
    )


def differences(pair: PairAgreement, limit: int = 20) -> list[tuple[str | None, str | None, int]]:
    """What the two call differently, most frequent first."""
    found = [(one, two, n) for (one, two), n in pair.confusion.items() if one != two]
    return sorted(found, key=lambda row: (-row[2], row[0] or "", row[1] or ""))[:limit]
