"""Decisions: what a curator or a rule made of a document; releases are built from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, select

from curate.model import Annotation, Source, SourceKind
from curate.store.bodies import from_body, to_body
from curate.store.clock import now
from curate.store.documents import _batches
from curate.store.tables import decisions


@dataclass(frozen=True, slots=True)
class Decision:
    """What is gold of one document; ``annotation.source`` is the curator or the consensus rule.

    ``provenance`` is plain JSON without floats: how each item came about.
    """

    annotation: Annotation
    provenance: Mapping[str, Any]


class Decisions:
    """The decisions of a unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, items: Iterable[Decision]) -> int:
        """Store decisions; one on the same document is replaced.  Returns how many."""
        rows: list[dict[str, Any]] = []
        for item in items:
            annotation = item.annotation
            rows.append(
                {
                    "document_id": annotation.document_id,
                    "body": to_body(annotation),
                    "source_kind": str(annotation.source.kind),
                    "source_name": annotation.source.name,
                    "provenance": dict(item.provenance),
                    "decided_at": now(),
                }
            )
        for batch in _batches(row["document_id"] for row in rows):
            self._connection.execute(delete(decisions).where(decisions.c.document_id.in_(batch)))
        if rows:
            self._connection.execute(decisions.insert(), rows)
        return len(rows)

    def get(self, document_id: str) -> Decision | None:
        query = select(decisions).where(decisions.c.document_id == document_id)
        row = self._connection.execute(query).first()
        return None if row is None else _decision(row)

    def ids(self) -> list[str]:
        """The ids of every decided document, by code point whatever the database's collation."""
        return sorted(self._connection.scalars(select(decisions.c.document_id)))

    def many(self, ids: Iterable[str]) -> Iterator[Decision]:
        """The decisions on those of these documents that have one, in the order of the ids."""
        for batch in _batches(ids):
            found = {
                row.document_id: _decision(row)
                for row in self._connection.execute(
                    select(decisions).where(decisions.c.document_id.in_(batch))
                )
            }
            yield from (found[key] for key in batch if key in found)

    def all(self) -> Iterator[Decision]:
        """Every decision, ordered by document id, read in batches."""
        last = ""
        while True:
            rows = self._connection.execute(
                select(decisions)
                .where(decisions.c.document_id > last)
                .order_by(decisions.c.document_id)
                .limit(500)
            ).all()
            if not rows:
                return
            yield from map(_decision, rows)
            last = rows[-1].document_id

    def remove(self, ids: Iterable[str]) -> int:
        """Forget the decisions on these documents; returns how many there were."""
        gone = 0
        for batch in _batches(ids):
            gone += self._connection.execute(
                delete(decisions).where(decisions.c.document_id.in_(batch))
            ).rowcount
        return gone

    def count(self) -> int:
        return self._connection.scalar(select(func.count()).select_from(decisions)) or 0


def _decision(row: Any) -> Decision:
    source = Source(SourceKind(row.source_kind), row.source_name)
    return Decision(from_body(row.document_id, row.body, source), row.provenance)
