"""What may be chosen for annotation next, and what was drawn by lot so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from curate.selection import KNOWN, Candidate, claims_from, lot
from curate.store.documents import _batches, parent_column
from curate.store.facts import Facts
from curate.store.sync import chosen_predictions
from curate.store.sync_tables import studio_tasks
from curate.store.tables import documents

CHARACTERS = 6
"""A French word with its space: lengths stand for words, so that no text need be read."""
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the choices for a project came to: ``picked`` documents so far, some by lot.

    Every document whose :func:`curate.selection.lot` with ``seed`` is at most ``cursor`` has a
    task, or a near duplicate that has one: together a simple random sample of all documents.
    """

    seed: int
    picked: int = 0
    cursor: int | None = None


class Selections:
    """Candidates and ledgers, in a unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def candidates(self, project: int, run: int | None) -> Iterator[tuple[int, Candidate]]:
        """``(seq, candidate)`` of every document without a task, read in batches.

        Its claims are those of the prediction that a push would show: of ``run``, else its newest.
        """
        last = 0
        while True:
            rows = self._connection.execute(
                select(
                    documents.c.seq,
                    documents.c.id,
                    documents.c.group_id,
                    func.length(documents.c.text).label("characters"),
                    parent_column().label("parent"),
                )
                .where(documents.c.seq > last, ~_has_task(project))
                .order_by(documents.c.seq)
                .limit(_BATCH)
            ).all()
            if not rows:
                return
            bodies = self._bodies([row.id for row in rows], run)
            for row in rows:
                body = bodies.get(row.id)
                yield (
                    row.seq,
                    Candidate(
                        row.id,
                        max(1, round(row.characters / CHARACTERS)),
                        None if body is None else claims_from(_scored(body)),
                        row.group_id,
                        row.parent or row.id,
                    ),
                )
            last = rows[-1].seq

    def _bodies(self, ids: Sequence[str], run: int | None) -> dict[str, Any]:
        query = chosen_predictions(ids, run)
        return {row.document_id: row.body for row in self._connection.execute(query)}

    def taken(self, project: int) -> list[tuple[str, str]]:
        """``(group, parent)`` of every document that has a task; a document is its own parent."""
        rows = self._connection.execute(
            select(documents.c.id, documents.c.group_id, parent_column().label("parent"))
            .where(_has_task(project))
            .order_by(documents.c.seq)
        )
        return [(row.group_id, row.parent or row.id) for row in rows]

    def known(self, project: int, seed: int) -> list[str]:
        """The texts of some documents that have a task, drawn by lot."""
        ids = self._connection.scalars(select(documents.c.id).where(_has_task(project)))
        drawn = sorted(ids, key=lambda key: lot(seed, key))[:KNOWN]
        return list(self.texts(drawn).values())

    def texts(self, ids: Sequence[str]) -> dict[str, str]:
        """The texts of these documents, by id."""
        found: dict[str, str] = {}
        for batch in _batches(ids):
            rows = self._connection.execute(
                select(documents.c.id, documents.c.text).where(documents.c.id.in_(batch))
            )
            found |= {row.id: row.text for row in rows}
        return found

    def ledger(self, project: int) -> Ledger | None:
        """What was chosen so far; None where nothing was."""
        said = Facts(self._connection).get(_key(project))
        return None if said is None else Ledger(**said)

    def enter(self, project: int, ledger: Ledger) -> None:
        Facts(self._connection).put(_key(project), asdict(ledger))

    def sample(self, project: int) -> list[str]:
        """The documents with a task that were drawn by lot, or would have been: sorted ids."""
        ledger = self.ledger(project)
        if ledger is None or ledger.cursor is None:
            return []
        ids = self._connection.scalars(select(documents.c.id).where(_has_task(project)))
        return sorted(key for key in ids if lot(ledger.seed, key) <= ledger.cursor)


def _key(project: int) -> str:
    return f"selection:{project}"


def _has_task(project: int) -> ColumnElement[bool]:
    return (
        select(studio_tasks.c.task_id)
        .where(studio_tasks.c.project == project, studio_tasks.c.document_id == documents.c.id)
        .exists()
    )


def _scored(body: Any) -> Iterator[tuple[str, float | None]]:
    for row in (*body["e"], *body["r"]):
        yield row[2], row[3]


__all__ = ["Ledger", "Selections"]
