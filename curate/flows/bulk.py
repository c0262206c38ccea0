"""Pre-annotation of more than a store is for: documents from files, predictions to files.

What can be at an address: the documents, the predictions, or both; see :mod:`curate.urls`.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from curate.corpus.urls import documents as documents_at
from curate.errors import CurateError, DataError
from curate.extractors.engines import Engine, Job, Lost, Partition
from curate.extractors.interface import NOTHING_LEFT, Below, Extractor
from curate.extractors.parquet import PredictionFolder, digest_of_partition
from curate.flows.preannotate import Tally, choose_run, identity, keep
from curate.model import Document, Source
from curate.schema import LabelSchema
from curate.urls import shown

if TYPE_CHECKING:
    from curate.extractors.engines import Advance
    from curate.flows.reporter import Reporter
    from curate.store import Store

PARTITION = 1000
"""Documents in a file of predictions, unless somebody says otherwise."""
MAX_CHARS = 8_000_000
"""A partition ends here though it holds fewer documents: workers must bound their memory."""
_TOLD = 10
_BATCH = 500


@dataclass(frozen=True)
class Bulk:
    """``documents`` read; ``predicted`` now, ``skipped`` because they were answered before.

    ``passed_over``: records that are no documents, with file and line (the first of them), and
    ``refused``, how many there were; ``unknown``: documents that the store lacks or knows with
    another text; ``doubled``: documents whose id had come before; ``digest``: of all that the
    folder holds (empty without ``output``).
    """

    model: Source
    output: str
    documents: int
    predicted: int
    skipped: int
    partitions: int
    entities: int
    relations: int
    refused: int
    unknown: int
    doubled: int
    digest: str
    per_label: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    below: Below = NOTHING_LEFT
    passed_over: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        model = {
            "name": self.model.name,
            "version": self.model.version,
            "digest": self.model.digest,
        }
        plain = {
            name: getattr(self, name)
            for name in (
                "output",
                "documents",
                "predicted",
                "skipped",
                "partitions",
                "entities",
                "relations",
                "refused",
                "unknown",
                "doubled",
                "digest",
            )
        }
        return {
            "model": model,
            **plain,
            "below_score": self.below.items,
            "below_score_right": self.below.right,
            "per_label": dict(self.per_label),
            "left_out": dict(self.left_out),
            "passed_over": list(self.passed_over),
            "lost": list(self.lost),
        }


class _Coming:
    """The documents on their way: counted, held to be documents, cut into partitions."""

    def __init__(
        self, found: Iterable[Document | DataError], reporter: Reporter, limit: int | None
    ) -> None:
        self.found = found
        self.reporter = reporter
        self.limit = limit
        self.documents = 0
        self.refused: list[str] = []
        self.refusals = 0
        self._ids = array("Q")  # eight bytes an id: ten million of them are 80 MB

    def partitions(self, size: int) -> Iterator[Partition]:
        """Cut by number and length alone, so that the same documents give the same partitions."""
        waiting: dict[str, Document] = {}
        chars = 0
        numbers = itertools.count()
        for document in itertools.islice(self._right(), self.limit):
            if waiting and (len(waiting) >= size or chars + len(document.text) > MAX_CHARS):
                yield Partition(next(numbers), tuple(waiting.values()))
                waiting, chars = {}, 0
            if document.id in waiting:
                self._refuse(f"document {document.id!r} comes twice; the first is kept")
                continue
            waiting[document.id] = document
            chars += len(document.text)
            self.documents += 1
            self._ids.append(_short(document.id))
        if waiting:
            yield Partition(next(numbers), tuple(waiting.values()))

    def doubled(self) -> int:
        """How many documents have an id that another partition has, too."""
        import numpy as np

        ids = np.frombuffer(self._ids, dtype=np.uint64) if self._ids else np.zeros(0, np.uint64)
        return int(ids.size - np.unique(ids).size)

    def _right(self) -> Iterator[Document]:
        for item in self.found:
            if isinstance(item, DataError):
                self._refuse(str(item))
            else:
                yield item

    def _refuse(self, why: str) -> None:
        self.refusals += 1
        if len(self.refused) < _TOLD:
            self.refused.append(why)
            self.reporter.warn(f"passed over: {why}")


def to_files(
    extractor: Extractor,
    schema: LabelSchema,
    reporter: Reporter,
    *,
    engine: Engine,
    output: str,
    source: str | Store,
    limit: int | None = None,
    min_score: float | None = None,
    force: bool = False,
    partition: int = PARTITION,
) -> Bulk:
    """Predictions for the documents of an address, or of the store, into a folder of Parquet files.

    What an earlier run has written for the same documents by the same model is left as it is,
    unless ``force``.  Interrupted, the folder holds whole partitions and a manifest that says so.
    """
    model = identity(extractor, min_score)
    _notice(extractor, reporter)
    folder = PredictionFolder(output, model, _legal(schema), partition)
    total = None
    if isinstance(source, str):
        found: Iterable[Document | DataError] = documents_at(source)
    else:
        with source.read() as unit:
            total = unit.documents.count()
        found = _all(source)
    coming = _Coming(found, reporter, limit)
    tally = Tally()
    skipped = 0

    def wanted(advance: Advance) -> Iterator[Partition]:
        nonlocal skipped
        for part in coming.partitions(partition):
            held = None if force else folder.known(part.number, digest_of_partition(part))
            if held is None:
                yield part
            else:
                folder.keep(part.number, held)
                skipped += len(part.documents)
                advance(len(part.documents))

    complete, digest = False, ""
    try:
        with reporter.progress("pre-annotate", _least(total, limit)) as advance:
            run = engine.run(Job(schema, min_score), wanted(advance), advance)
            with contextlib.closing(run):
                for answer in run:
                    if isinstance(answer, Lost):
                        tally.lose(answer, reporter)
                    else:
                        folder.write(answer)
                        tally.add(answer)
        if not coming.documents:
            raise DataError(
                "there is no document to read", path=source if isinstance(source, str) else None
            )
        complete = not tally.lost
    finally:
        if not complete and folder.parts:
            with contextlib.suppress(CurateError):  # what ended the run is what the user must hear
                digest = folder.write_manifest(complete=False, passed_over=coming.refusals)
    if complete:
        digest = folder.write_manifest(complete=True, passed_over=coming.refusals)
    strangers = folder.strangers()
    if strangers and limit is None:
        reporter.warn(
            f"{len(strangers)} files of {shown(output)} belong to no partition of this run, "
            f"{strangers[0]} for one; manifest.json does not name them: remove them"
        )
    return _told(model, output, coming, tally, reporter, skipped, len(folder.parts), digest)


def to_store(
    store: Store,
    extractor: Extractor,
    schema: LabelSchema,
    reporter: Reporter,
    *,
    engine: Engine,
    source: str,
    limit: int | None = None,
    min_score: float | None = None,
    force: bool = False,
    chosen: bool = True,
    partition: int,
) -> Bulk:
    """Predictions for the documents of an address into the store, which must know them already.

    A document that the store lacks, or has with another text, is counted and left alone.
    """
    model = identity(extractor, min_score)
    _notice(extractor, reporter)
    coming = _Coming(documents_at(source), reporter, limit)
    tally = Tally()
    skipped = unknown = partitions = 0

    def wanted(advance: Advance) -> Iterator[Partition]:
        nonlocal skipped, unknown, partitions
        for part in coming.partitions(partition):
            partitions += 1
            ids = [document.id for document in part.documents]
            with store.read() as unit:
                known = unit.documents.digests_by_id(ids)
                done = (
                    () if force else {said.document_id for said in unit.predictions.of(model, ids)}
                )
            right = [d for d in part.documents if known.get(d.id) == d.digest]
            fresh = tuple(d for d in right if d.id not in done)
            unknown += len(ids) - len(right)
            skipped += len(right) - len(fresh)
            advance(len(ids) - len(fresh))
            if fresh:
                yield Partition(part.number, fresh)

    with reporter.progress("pre-annotate", limit) as advance:
        run = engine.run(Job(schema, min_score), wanted(advance), advance)
        with contextlib.closing(run):
            for answer in run:
                if isinstance(answer, Lost):
                    tally.lose(answer, reporter)
                else:
                    keep(store, answer, model)
                    tally.add(answer)
    if unknown == coming.documents:
        raise DataError(
            "holds no document of the store; run `curate ingest` on it first, or name --output",
            path=shown(source),
        )
    if chosen or tally.documents:
        choose_run(store, model, reporter)
    if unknown:
        reporter.warn(f"{unknown} documents are not in the store, or with another text")
    return _told(model, "", coming, tally, reporter, skipped, partitions, "", unknown=unknown)


def _told(
    model: Source,
    output: str,
    coming: _Coming,
    tally: Tally,
    reporter: Reporter,
    skipped: int,
    partitions: int,
    digest: str,
    unknown: int = 0,
) -> Bulk:
    doubled = coming.doubled()
    if doubled:
        reporter.warn(f"{doubled} documents have an id that came before, in another partition")
    tally.tell_misfits(model, reporter)
    return Bulk(
        model=model,
        output=shown(output),
        documents=coming.documents,
        predicted=tally.documents,
        skipped=skipped,
        partitions=partitions,
        entities=tally.entities,
        relations=tally.relations,
        refused=coming.refusals,
        unknown=unknown,
        doubled=doubled,
        digest=digest,
        per_label=dict(sorted(tally.labels.items())),
        left_out=dict(sorted(tally.misfits.counts.items())),
        below=tally.below,
        passed_over=tuple(coming.refused),
        lost=tuple(tally.lost),
    )


def _all(store: Store) -> Iterator[Document]:
    # A unit for each batch: a read that lasts hours would keep SQLite's journal from shrinking.
    with store.read() as unit:
        ids = unit.documents.ids()
    for start in range(0, len(ids), _BATCH):
        with store.read() as unit:
            yield from list(unit.documents.many(ids[start : start + _BATCH]))


def _legal(schema: LabelSchema) -> str:
    """A digest of what decides which answers fit; what annotators are told may change."""
    relations = [(r.name, r.head, r.tail, r.symmetric, r.same_label) for r in schema.relations]
    told = repr((schema.entity_labels, relations))
    return hashlib.sha256(told.encode("utf-8")).hexdigest()


def _short(document_id: str) -> int:
    digest = hashlib.blake2b(document_id.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _least(total: int | None, limit: int | None) -> int | None:
    return limit if total is None else total if limit is None else min(total, limit)


def _notice(extractor: Extractor, reporter: Reporter) -> None:
    notice = getattr(extractor, "notice", None)
    if notice:
        reporter.warn(notice)
