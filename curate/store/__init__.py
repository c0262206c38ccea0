"""The working memory: the only place that knows SQL.

::

    store = Store.open(url)
    with store.read() as unit:
        unit.documents.get("depeche-1")
    with store.write() as unit:
        unit.predictions.put(annotations)
        unit.commit()           # without it everything is rolled back
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine

from curate.store import engine as _engine
from curate.store import locks as _locks
from curate.store.annotations import Annotations, Quarantined, StoredAnnotation, Tally
from curate.store.annotators import Annotator, Annotators
from curate.store.decisions import Decision, Decisions
from curate.store.documents import Documents, NewDocument, RawPage
from curate.store.facts import Facts
from curate.store.journal import Archive, Chunk, Journal
from curate.store.predictions import Predictions
from curate.store.projects import Projects, StudioProject
from curate.store.review import Review, ReviewItem, Submission, Suspicion
from curate.store.selection import Ledger, Selections
from curate.store.sync import Outgoing, PushedTask, Sync

if TYPE_CHECKING:
    from types import TracebackType


class UnitOfWork:
    """One transaction and the repositories that share it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.committed = False

    @cached_property
    def documents(self) -> Documents:
        return Documents(self.connection)

    @cached_property
    def predictions(self) -> Predictions:
        return Predictions(self.connection)

    @cached_property
    def annotators(self) -> Annotators:
        return Annotators(self.connection)

    @cached_property
    def annotations(self) -> Annotations:
        return Annotations(self.connection)

    @cached_property
    def projects(self) -> Projects:
        return Projects(self.connection)

    @cached_property
    def sync(self) -> Sync:
        return Sync(self.connection)

    @cached_property
    def journal(self) -> Journal:
        return Journal(self.connection)

    @cached_property
    def archive(self) -> Archive:
        return Archive(self.connection)

    @cached_property
    def decisions(self) -> Decisions:
        return Decisions(self.connection)

    @cached_property
    def review(self) -> Review:
        return Review(self.connection)

    @cached_property
    def selections(self) -> Selections:
        return Selections(self.connection)

    @cached_property
    def facts(self) -> Facts:
        return Facts(self.connection)

    def strangeness(self) -> list[str]:
        """Tables and columns that the store lacks; empty where it is this version's."""
        return _engine.strangeness(self.connection)

    def integrity(self) -> list[str]:
        """What the database itself finds wrong; empty where it is sound."""
        return _engine.integrity(self.connection)

    def commit(self) -> None:
        """Keep everything done so far in this unit."""
        self.connection.commit()
        self.committed = True


class Store:
    """A store that is open and at this curate's version."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, url: str) -> Store:
        """Open an existing store.

        Raises WorkspaceError where there is none or its version differs (and says what to do),
        ConfigurationError for a wrong address, DiskError where the file cannot be used.
        """
        return cls._when(_engine.check_version, url)

    @classmethod
    def create(cls, url: str) -> Store:
        """Create the store, or bring an older one to this version."""
        return cls._when(_engine.create_all, url)

    @classmethod
    def _when(cls, holds: Callable[[Engine], None], url: str) -> Store:
        """The store at ``url`` once ``holds`` has passed it; no connection is left where not."""
        engine = _engine.open_engine(url)
        try:
            holds(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    @property
    def is_read_only(self) -> bool:
        """Whether the store's file, or its folder, may be read and not written."""
        return bool(self.engine.get_execution_options().get(_engine.READ_ONLY, False))

    @contextlib.contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """A unit that sees one consistent state and keeps nothing."""
        with _engine.translated(self.engine), self.engine.connect() as connection:
            yield UnitOfWork(connection)

    @contextlib.contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        """A unit that keeps what it did if, and only if, ``commit`` was called."""
        with _engine.translated(self.engine), self.engine.connect() as connection:
            yield UnitOfWork(connection.execution_options(curate_writes=True))

    def lock(self, doing: str) -> contextlib.AbstractContextManager[None]:
        """Hold the store for one command that talks to Label Studio (``doing``: its name).

        Raises LockedError, naming the holder, while another process that lives holds it; a dead
        holder's lock is taken over at once.
        """
        return _locks.hold(self.engine, doing)

    def close(self) -> None:
        self.engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


__all__ = [
    "Annotations",
    "Annotator",
    "Annotators",
    "Archive",
    "Chunk",
    "Decision",
    "Decisions",
    "Documents",
    "Facts",
    "Journal",
    "Ledger",
    "NewDocument",
    "Outgoing",
    "Predictions",
    "PushedTask",
    "Quarantined",
    "RawPage",
    "Review",
    "ReviewItem",
    "Selections",
    "Store",
    "StoredAnnotation",
    "StudioProject",
    "Submission",
    "Suspicion",
    "Sync",
    "Tally",
    "UnitOfWork",
]
