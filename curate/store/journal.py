"""What is on its way to Label Studio, and what came back, raw."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from curate.store.annotations import compress, encode, unpack
from curate.store.clock import now
from curate.store.sync_tables import studio_chunks, studio_raws, studio_tasks


@dataclass(frozen=True, slots=True)
class Chunk:
    """What was on its way: ``items`` are (document id, run) for tasks, (task id, run) for
    predictions.  ``doubtful``: it was repeated, and the first attempt may still arrive."""

    id: int
    kind: str
    items: tuple[tuple[Any, int | None], ...]
    doubtful: bool
    sent_at: str


class Journal:
    """The chunks that are on their way, in a unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def open(self, project: int, kind: str, items: Sequence[tuple[Any, int | None]]) -> int:
        """Enter what is about to be sent; commit before sending."""
        key = self._connection.execute(
            studio_chunks.insert().values(
                project=project,
                kind=kind,
                state="sent",
                items=[list(item) for item in items],
                sent_at=now(),
            )
        ).inserted_primary_key
        assert key is not None
        return int(key[0])

    def chunks(self, project: int) -> list[Chunk]:
        """What was sent and not confirmed, or repeated and not yet verified; oldest first."""
        rows = self._connection.execute(
            select(studio_chunks)
            .where(studio_chunks.c.project == project)
            .order_by(studio_chunks.c.id)
        )
        return [
            Chunk(
                row.id,
                row.kind,
                tuple((first, second) for first, second in row.items),
                row.state == "doubtful",
                row.sent_at,
            )
            for row in rows
        ]

    def doubt(self, chunk: int) -> None:
        """The chunk was repeated: the first attempt may still arrive."""
        self._connection.execute(
            update(studio_chunks).where(studio_chunks.c.id == chunk).values(state="doubtful")
        )

    def close(self, chunk: int) -> None:
        self._connection.execute(delete(studio_chunks).where(studio_chunks.c.id == chunk))


class Archive:
    """The raw answers, in a unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def keep(self, project: int, tasks: Mapping[int, Any]) -> None:
        """Keep what the server sent of these tasks, where it differs from what was kept last."""
        if not tasks:
            return
        newest = (
            select(func.max(studio_raws.c.id))
            .where(studio_raws.c.project == project, studio_raws.c.task_id.in_(list(tasks)))
            .group_by(studio_raws.c.task_id)
        )
        last = {
            row.task_id: row.digest
            for row in self._connection.execute(
                select(studio_raws.c.task_id, studio_raws.c.digest).where(
                    studio_raws.c.id.in_(newest)
                )
            )
        }
        rows = []
        for task_id, raw in tasks.items():
            content = encode(raw)
            digest = hashlib.sha256(content).hexdigest()
            if last.get(task_id) != digest:
                rows.append(
                    {
                        "project": project,
                        "task_id": task_id,
                        "digest": digest,
                        "content": compress(content),
                        "received_at": now(),
                    }
                )
        if rows:
            self._connection.execute(studio_raws.insert(), rows)

    def pages(self, project: int, size: int = 100) -> Iterator[list[int]]:
        """The numbers of the newest raw answer of every task that is still there, in pages."""
        newest = (
            select(func.max(studio_raws.c.id))
            .join(
                studio_tasks,
                (studio_tasks.c.project == studio_raws.c.project)
                & (studio_tasks.c.task_id == studio_raws.c.task_id),
            )
            .where(studio_raws.c.project == project, studio_tasks.c.state == "present")
            .group_by(studio_raws.c.task_id)
        )
        ids = sorted(self._connection.scalars(newest))
        for start in range(0, len(ids), size):
            yield ids[start : start + size]

    def annotation(self, project: int, task_id: int, annotation_id: int) -> dict[str, Any]:
        """An annotation as it came last; empty where it was never seen."""
        content = self._connection.scalar(
            select(studio_raws.c.content)
            .where(studio_raws.c.project == project, studio_raws.c.task_id == task_id)
            .order_by(studio_raws.c.id.desc())
            .limit(1)
        )
        raw = {} if content is None else unpack(content)
        for found in raw.get("annotations") or []:
            if isinstance(found, dict) and found.get("id") == annotation_id:
                return found
        return {}

    def read(self, numbers: Sequence[int]) -> list[Any]:
        """These raw answers, by task."""
        rows = self._connection.execute(
            select(studio_raws.c.content)
            .where(studio_raws.c.id.in_(numbers))
            .order_by(studio_raws.c.task_id)
        )
        return [unpack(row.content) for row in rows]
