"""Predictions made elsewhere enter the store and are pushed and scored like any model's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curate.errors import DataError, DiskError, UsageError
from curate.flows.reporter import Reporter, Silent
from curate.interchange import Record, canonical_json, read
from curate.model import Annotation, Source
from curate.schema import LabelSchema
from curate.store import Store
from curate.store.bodies import to_body

_BATCH = 200


@dataclass(frozen=True, slots=True)
class Imported:
    """``imported`` are new or changed, ``unchanged`` stood in the store already.

    ``unknown``: documents of the file that the store lacks; ``refused``: lines that are wrong,
    with file and line.
    """

    model: Source
    imported: int
    unchanged: int
    unknown: tuple[str, ...]
    refused: tuple[str, ...]


def import_predictions(
    store: Store,
    path: Path,
    schema: LabelSchema,
    *,
    name: str | None = None,
    version: str | None = None,
    reporter: Reporter | None = None,
) -> Imported:
    """Read an interchange file as the predictions of a model run.

    The run's digest is that of the file's content; its name is the file's stem by default.
    Ids must be those of ingested documents, and texts equal.  Raises DataError for a file that
    holds no prediction for any document of the store, or no line that is right.
    """
    reporter = reporter or Silent()
    model = Source.model(_checked("name", name or path.stem), version or "", _digest(path))
    if version is not None:
        _checked("version", version)
    imported = unchanged = 0
    unknown: list[str] = []
    refused: list[DataError] = []

    def refuse(error: DataError) -> None:
        refused.append(error)
        reporter.warn(str(error))

    with reporter.progress("importing") as advance:
        for batch in _batches(read(path, source=model, schema=schema, on_error=refuse)):
            with store.write() as unit:
                fresh, same = [], 0
                known = unit.documents.digests_by_id([record.document.id for record in batch])
                before = {
                    old.document_id: old
                    for old in unit.predictions.of(model, [r.document.id for r in batch])
                }
                for record in batch:
                    document = record.document
                    if document.id not in known:
                        unknown.append(document.id)
                    elif known[document.id] != document.digest:
                        refuse(
                            DataError(
                                f"the text of document {document.id!r} differs from the one in "
                                "the store; offsets into it mean nothing",
                                path=path,
                                line=record.line,
                            )
                        )
                    elif _same(before.get(document.id), record.annotation):
                        same += 1
                    else:
                        fresh.append(record.annotation)
                imported += unit.predictions.put(fresh)
                unchanged += same
                if imported + unchanged:
                    unit.sync.choose_run(model)
                unit.commit()
            advance(len(batch))
    if not imported + unchanged and refused and not unknown:
        first, more = refused[0], len(refused) - 1
        raise DataError(
            first.message + (f" (and {more} more)" if more else ""),
            path=first.path,
            line=first.line,
        )
    if not imported + unchanged:
        raise DataError(
            "no line holds a prediction for a document of the store"
            + (f" (it lacks {unknown[0]!r}, for one)" if unknown else "")
            + "; run `curate ingest` on the documents first",
            path=path,
        )
    if unknown:
        reporter.warn(
            f"{len(unknown)} documents of {path.name} are not in the store, {unknown[0]!r} for one"
        )
    return Imported(model, imported, unchanged, tuple(unknown), tuple(map(str, refused)))


def _same(old: Annotation | None, new: Annotation) -> bool:
    return old is not None and canonical_json(to_body(old)) == canonical_json(to_body(new))


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise DataError("there is no such file", path=path) from None
    except IsADirectoryError:
        raise DataError("is a directory; name a .jsonl file", path=path) from None
    except OSError as error:
        raise DiskError(f"cannot be read: {error.strerror}", path=path) from None


def _checked(what: str, value: str) -> str:
    if not value or not value.isprintable() or value != value.strip() or len(value) > 200:
        raise UsageError(f"--{what} {value!r} must be 1 to 200 printable characters, trimmed")
    return value


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
