"""Who annotates, under which pseudonym.  The map of pseudonyms to people stays in the store."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from curate.errors import DataError
from curate.store.tables import annotators


@dataclass(frozen=True, slots=True)
class Annotator:
    """A user of one Label Studio; ``email`` is known of those we invited."""

    pseudonym: str
    server: str
    user_id: int
    email: str | None = None


class Annotators:
    """The annotators of a unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def pseudonym_of(self, server: str, user_id: int, email: str | None = None) -> str:
        """The pseudonym of this user, made up (``annotator-N``) where the user is new."""
        row = self._connection.execute(
            select(annotators).where(annotators.c.server == server, annotators.c.user_id == user_id)
        ).first()
        if row is not None:
            if email is not None and row.email != email:
                self._connection.execute(
                    update(annotators).where(annotators.c.id == row.id).values(email=email)
                )
            return str(row.pseudonym)
        number = (self._connection.scalar(select(func.count()).select_from(annotators)) or 0) + 1
        while self._taken(f"annotator-{number}"):
            number += 1
        pseudonym = f"annotator-{number}"
        self._connection.execute(
            annotators.insert().values(
                pseudonym=pseudonym, server=server, user_id=user_id, email=email
            )
        )
        return pseudonym

    def all(self) -> list[Annotator]:
        """Every annotator by pseudonym."""
        rows = self._connection.execute(select(annotators).order_by(annotators.c.pseudonym))
        return [Annotator(r.pseudonym, r.server, r.user_id, r.email) for r in rows]

    def rename(self, old: str, new: str) -> None:
        """Give an annotator another pseudonym.  Raises DataError if ``old`` is unknown, ``new``
        taken or not printable."""
        if not new or new != new.strip() or not new.isprintable() or len(new) > 100:
            raise DataError(f"pseudonym {new!r} must be 1 to 100 printable characters, trimmed")
        if not self._taken(old):
            raise DataError(f"there is no annotator {old!r}; see `curate annotators list`")
        if old == new:
            return
        if self._taken(new):
            raise DataError(f"the pseudonym {new!r} is taken; choose another")
        self._connection.execute(
            update(annotators).where(annotators.c.pseudonym == old).values(pseudonym=new)
        )

    def _taken(self, pseudonym: str) -> bool:
        query = select(annotators.c.id).where(annotators.c.pseudonym == pseudonym)
        return self._connection.scalar(query) is not None
