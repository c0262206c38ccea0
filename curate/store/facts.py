"""Single facts of a workspace, by key: plain JSON values."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, select

from curate.store.tables import facts


class Facts:
    """The facts of a unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, key: str) -> Any:
        """The value, or None where the fact is unknown."""
        return self._connection.scalar(select(facts.c.value).where(facts.c.key == key))

    def put(self, key: str, value: Any) -> None:
        self._connection.execute(delete(facts).where(facts.c.key == key))
        if value is not None:
            self._connection.execute(facts.insert().values(key=key, value=value))
