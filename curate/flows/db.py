"""`curate db`: is the store sound?  All of it into a file, and back."""

from __future__ import annotations

from pathlib import Path

from curate.flows.reporter import Reporter
from curate.model import digest_of
from curate.store import Store
from curate.store.backup import Saved
from curate.store.backup import backup as save
from curate.store.backup import restore as fill


def backup(url: str, target: Path, reporter: Reporter) -> Saved:
    """Write the whole store at ``url`` to the new file ``target``, from one consistent state."""
    with reporter.progress("rows saved") as advance:
        return save(url, target, advance)


def restore(url: str, source: Path, reporter: Reporter) -> Saved:
    """Fill the empty or missing store at ``url`` from a backup, in one transaction."""
    with reporter.progress("rows restored") as advance:
        return fill(url, source, advance)


def check(store: Store) -> list[str]:
    """What is wrong with the store, one sentence each; empty where it is sound."""
    with store.read() as unit:
        findings = unit.strangeness()
        if findings:
            return findings
        findings = unit.integrity()
        for document in unit.documents.all():
            if digest_of(document.text) != document.digest:
                findings.append(
                    f"document {document.id!r}: the text no longer has its digest; restore a backup"
                )
        return findings
