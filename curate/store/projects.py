"""The Label Studio projects that this store knows, and up to where each has been read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from curate.store.sync_tables import studio_chunks, studio_projects
from curate.store.tables import annotators


@dataclass(frozen=True, slots=True)
class StudioProject:
    """A project of a Label Studio as this store knows it; ``id`` is the store's own number."""

    id: int
    server: str
    project_id: int
    title: str
    purpose: str
    made_at: str
    bookmark: str | None = None
    skew: float | None = None


class Projects:
    """The projects, in a unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def candidates(self, server: str, title: str, purpose: str = "annotate") -> list[StudioProject]:
        """The projects of this title in use, those of this server first."""
        rows = self._connection.execute(
            select(studio_projects)
            .where(
                studio_projects.c.title == title,
                studio_projects.c.purpose == purpose,
                studio_projects.c.abandoned.is_(False),
            )
            .order_by((studio_projects.c.server != server), studio_projects.c.id.desc())
        )
        return [_project(row) for row in rows]

    def move_server(self, old: str, new: str) -> None:
        """The same Label Studio answers at another address now."""
        self._connection.execute(
            update(studio_projects).where(studio_projects.c.server == old).values(server=new)
        )
        taken = select(annotators.c.user_id).where(annotators.c.server == new)
        known = set(self._connection.scalars(taken))
        self._connection.execute(
            update(annotators)
            .where(annotators.c.server == old, annotators.c.user_id.not_in(known))
            .values(server=new)
        )

    def all(self, server: str | None = None) -> list[StudioProject]:
        """Every project in use (of one server), oldest first."""
        query = select(studio_projects).where(studio_projects.c.abandoned.is_(False))
        if server is not None:
            query = query.where(studio_projects.c.server == server)
        rows = self._connection.execute(query.order_by(studio_projects.c.id))
        return [_project(row) for row in rows]

    def add(
        self,
        server: str,
        project_id: int,
        title: str,
        made_at: str,
        purpose: str = "annotate",
    ) -> StudioProject:
        key = self._connection.execute(
            studio_projects.insert().values(
                server=server,
                project_id=project_id,
                title=title,
                made_at=made_at,
                purpose=purpose,
                abandoned=False,
            )
        ).inserted_primary_key
        assert key is not None
        return StudioProject(int(key[0]), server, project_id, title, purpose, made_at)

    def abandon(self, project: int) -> None:
        """The project is gone for good: its documents may be pushed anew.

        What was pulled from it stays.
        """
        self._connection.execute(
            update(studio_projects).where(studio_projects.c.id == project).values(abandoned=True)
        )
        self._connection.execute(delete(studio_chunks).where(studio_chunks.c.project == project))

    def set_bookmark(self, project: int, bookmark: str, skew: float) -> None:
        """Call it in the unit that stores the last of the data."""
        self._connection.execute(
            update(studio_projects)
            .where(studio_projects.c.id == project)
            .values(bookmark=bookmark, skew=skew)
        )


def _project(row: Row[Any]) -> StudioProject:
    return StudioProject(
        row.id,
        row.server,
        row.project_id,
        row.title,
        row.purpose,
        row.made_at,
        row.bookmark,
        row.skew,
    )
