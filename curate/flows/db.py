"""`curate db check`: is the store sound?"""

from __future__ import annotations

from curate.model import digest_of
from curate.store import Store


def check(store: Store) -> list[str]:
    """What is wrong with the store, one sentence each; empty where it is sound."""
    with store.read() as unit:
        findings = unit.integrity()
        for document in unit.documents.all():
            if digest_of(document.text) != document.digest:
                findings.append(
                    f"document {document.id!r}: the text no longer has its digest; restore a backup"
                )
        return findings
