"""Documents and the raw pages they were cut from."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, update

from curate.model import Document, passage_id
from curate.offsets import OffsetMap
from curate.store.clock import now
from curate.store.tables import documents, raw_pages

BATCH = 500


@dataclass(frozen=True, slots=True)
class RawPage:
    """The page as it came: its bytes, where from, and the encoding they were read by."""

    digest: str
    path: str
    encoding: str
    content: bytes


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document on its way into the store.

    ``pieces`` maps the text into the decoded raw page; ``dropped`` lists what cleaning left out,
    as plain JSON; ``signature`` is :func:`curate.similarity.signature` of the text.
    """

    document: Document
    group_id: str
    signature: bytes | None = None
    raw: RawPage | None = None
    pieces: OffsetMap | None = None
    dropped: Sequence[Mapping[str, Any]] = ()


class Documents:
    """The documents of a unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, new: Iterable[NewDocument]) -> int:
        """Add documents whose ids are new; returns how many.  An id that is known is an error."""
        rows, pages = [], {}
        for item in new:
            document = item.document
            if item.raw is not None:
                pages[item.raw.digest] = {
                    "digest": item.raw.digest,
                    "path": item.raw.path,
                    "encoding": item.raw.encoding,
                    "content": zlib.compress(item.raw.content, 6),
                }
            rows.append(
                {
                    "id": document.id,
                    "text": document.text,
                    "digest": document.digest,
                    "source": document.source,
                    "metadata": dict(document.metadata),
                    "group_id": item.group_id,
                    "signature": item.signature,
                    "raw_digest": None if item.raw is None else item.raw.digest,
                    "pieces": None if item.pieces is None else item.pieces.as_lists(),
                    "dropped": [dict(row) for row in item.dropped] or None,
                    "ingested_at": now(),
                }
            )
        known = self._known_pages(list(pages))
        fresh = [page for digest, page in pages.items() if digest not in known]
        if fresh:
            self._connection.execute(raw_pages.insert(), fresh)
        if rows:
            self._connection.execute(documents.insert(), rows)
        return len(rows)

    def get(self, document_id: str) -> Document | None:
        return next(iter(self.many([document_id])), None)

    def many(self, ids: Iterable[str]) -> Iterator[Document]:
        """The documents of these ids that exist, in the order of the ids."""
        for batch in _batches(ids):
            found = {
                row.id: _document(row)
                for row in self._connection.execute(
                    select(documents).where(documents.c.id.in_(batch))
                )
            }
            yield from (found[key] for key in batch if key in found)

    def all(self) -> Iterator[Document]:
        """Every document in the order of ingestion, read in batches (memory stays constant)."""
        last = 0
        while True:
            rows = self._connection.execute(
                select(documents)
                .where(documents.c.seq > last)
                .order_by(documents.c.seq)
                .limit(BATCH)
            ).all()
            if not rows:
                return
            yield from map(_document, rows)
            last = rows[-1].seq

    def ids(self) -> list[str]:
        """Every document id in the order of ingestion."""
        return list(self._connection.scalars(select(documents.c.id).order_by(documents.c.seq)))

    def count(self) -> int:
        return self._connection.scalar(select(func.count()).select_from(documents)) or 0

    def ids_by_digest(self, digests: Iterable[str]) -> dict[str, str]:
        """Digest of a text → id of the first document that has it."""
        found: dict[str, str] = {}
        for batch in _batches(digests):
            for row in self._connection.execute(
                select(documents.c.digest, documents.c.id)
                .where(documents.c.digest.in_(batch))
                .order_by(documents.c.seq.desc())
            ):
                found[row.digest] = row.id
        return found

    def digests_by_id(self, ids: Iterable[str]) -> dict[str, str]:
        """Id → digest, for those of the ids that exist."""
        found: dict[str, str] = {}
        for batch in _batches(ids):
            for row in self._connection.execute(
                select(documents.c.id, documents.c.digest).where(documents.c.id.in_(batch))
            ):
                found[row.id] = row.digest
        return found

    def groups(self) -> dict[str, str]:
        """Document id → id of its near-duplicate group."""
        return {
            row.id: row.group_id
            for row in self._connection.execute(select(documents.c.id, documents.c.group_id))
        }

    def signatures(self) -> Iterator[tuple[str, bytes]]:
        """``(id, signature)`` of every document that has one."""
        for row in self._connection.execute(
            select(documents.c.id, documents.c.signature)
            .where(documents.c.signature.is_not(None))
            .order_by(documents.c.seq)
        ):
            yield row.id, row.signature

    def regroup(self, groups: Mapping[str, str]) -> None:
        """Set the near-duplicate group of these documents."""
        for document_id, group_id in groups.items():
            self._connection.execute(
                update(documents)
                .where(documents.c.id == document_id, documents.c.group_id != group_id)
                .values(group_id=group_id)
            )

    def parents(self) -> dict[str, str]:
        """Passage id → id of the document that it was cut from."""
        rows = self._connection.execute(
            select(documents.c.id, parent_column().label("parent")).where(
                parent_column().is_not(None)
            )
        )
        return {row.id: row.parent for row in rows}

    def whole_text(self, document_id: str) -> str:
        """What near-duplicates are told by: the text, of a passage that of all its document's."""
        document = self.get(document_id)
        if document is None or document.parent is None:
            return "" if document is None else document.text
        count = int(document.metadata["passage"]["count"])
        ids = [passage_id(document.parent, number) for number in range(1, count + 1)]
        return "\n".join(passage.text for passage in self.many(ids))

    def raw(self, document_id: str) -> tuple[RawPage, OffsetMap] | None:
        """The page a document was cut from, and the map from its text into the decoded page."""
        row = self._connection.execute(
            select(raw_pages, documents.c.pieces)
            .join(documents, documents.c.raw_digest == raw_pages.c.digest)
            .where(documents.c.id == document_id)
        ).first()
        if row is None:
            return None
        page = RawPage(row.digest, row.path, row.encoding, zlib.decompress(row.content))
        return page, OffsetMap.from_lists(row.pieces or [])

    def dropped(self, document_id: str) -> list[dict[str, Any]]:
        """What cleaning left out of the page, with reasons."""
        rows = self._connection.scalar(
            select(documents.c.dropped).where(documents.c.id == document_id)
        )
        return list(rows or [])

    def _known_pages(self, digests: list[str]) -> set[str]:
        known: set[str] = set()
        for batch in _batches(digests):
            known.update(
                self._connection.scalars(
                    select(raw_pages.c.digest).where(raw_pages.c.digest.in_(batch))
                )
            )
        return known


def parent_column() -> ColumnElement[str]:
    """The id of the document that a passage was cut from; null for whole documents."""
    parent: ColumnElement[str] = documents.c.metadata[("passage", "of")].as_string()
    return parent


def _document(row: Any) -> Document:
    return Document(row.id, row.text, row.digest, row.source, row.metadata)


def _batches(items: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
