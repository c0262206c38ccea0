"""`curate ingest`: files into the store, in batches; a run that was cut short is taken up again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from curate.corpus import DroppedLine, Found, Ingested, Note, Options, discover, languages, read
from curate.corpus.passages import split
from curate.errors import DataError
from curate.flows.reporter import Reporter
from curate.model import Document, passage_id
from curate.similarity import regroup, signature
from curate.store import NewDocument, RawPage, Store, UnitOfWork

BATCH_DOCUMENTS = 500
BATCH_CHARACTERS = 8 * 1024 * 1024
WARNINGS = 50


@dataclass(frozen=True, slots=True)
class Page:
    """What cleaning did to one page; ``mapped`` is the share of its text found in the page."""

    path: Path
    document_id: str
    kept_characters: int
    mapped: float | None
    dropped: tuple[DroppedLine, ...]


@dataclass(slots=True)
class IngestResult:
    """What became of the records: ``read`` = ``added`` + ``unchanged`` + ``duplicates`` +
    ``conflicts``, where documents that were ``cut`` count by their passages.

    ``unchanged`` were in the store before, under this id; ``duplicates`` have the text of another
    record or document; ``conflicts`` have another text than the document of their id, and are among
    ``rejected``.  ``near_duplicates`` are the groups that an added document belongs to.
    """

    read: int = 0
    cut: int = 0
    added: int = 0
    unchanged: int = 0
    duplicates: int = 0
    conflicts: int = 0
    dropped_lines: int = 0
    near_duplicates: dict[str, list[str]] = field(default_factory=dict)
    rejected: list[DataError] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)


def ingest(
    store: Store | None,
    paths: Iterable[Path],
    options: Options,
    reporter: Reporter,
    *,
    dry_run: bool = False,
    passages: int = 0,
) -> IngestResult:
    """Read files and folders into the store; each batch is committed whole.

    ``passages``: documents are cut into runs of so many sentences, each a document of its own.
    With ``dry_run`` nothing is written, and ``pages`` says what cleaning dropped; ``store`` may
    then be None.  Bad records are collected in ``rejected`` and passed over.
    """
    result = IngestResult()
    work = _Work(store, result, dry_run)
    files: list[Found] = []
    for item in discover(paths):
        if isinstance(item, Found):
            files.append(item)
        else:
            _collect(item, result, reporter)
    with reporter.progress("reading", len(files)) as advance:
        for found in files:
            for outcome in read(found, options):
                if isinstance(outcome, Ingested):
                    try:
                        parts = split(outcome, passages, options.language) if passages else []
                    except DataError as error:
                        _collect(error, result, reporter)
                        continue
                    work.take(outcome, parts)
                else:
                    _collect(outcome, result, reporter)
            advance()
    work.flush()
    if work.pages and options.language not in languages():
        reporter.warn(
            f"no words are known for {options.language!r}: pages were cleaned by the rules that "
            f"need none (words are known for {', '.join(languages())})"
        )
    return result


def _collect(item: Note | DataError, result: IngestResult, reporter: Reporter) -> None:
    said = len(result.notes) + len(result.rejected)
    if said < WARNINGS:
        reporter.warn(str(item))
    elif said == WARNINGS:
        reporter.warn("further problems are not shown here; --json lists them all")
    if isinstance(item, Note):
        result.notes.append(item)
    else:
        result.rejected.append(item)


class _Work:
    """Gathers documents and stores them batch by batch."""

    def __init__(self, store: Store | None, result: IngestResult, dry_run: bool) -> None:
        self.store = store
        self.result = result
        self.dry_run = dry_run
        self.batch: list[list[Ingested]] = []
        self.waiting = 0
        self.characters = 0
        # What a dry run would have stored by now; a real run finds it in the store.
        self.pending: dict[str, Document] = {}
        self.signatures: dict[str, bytes] = {}
        # What near-duplicates are told by: a passage stands for its whole document.
        self.wholes: dict[str, str] = {}
        self.groups: dict[str, str] = {}
        self.added: set[str] = set()
        self.pages = 0

    def take(self, item: Ingested, passages: list[Ingested]) -> None:
        """Take a document, or its passages, which are stored in one batch."""
        whole = item.document
        parts = passages or [item]
        self.result.read += len(parts)
        self.result.cut += len(parts) > 1
        self.pages += item.raw is not None
        self.result.dropped_lines += len(item.dropped)
        if self.dry_run and item.raw is not None:
            self.result.pages.append(
                Page(item.path, whole.id, len(whole.text), item.mapped, item.dropped)
            )
        if len(parts) > 1:
            self.wholes.setdefault(whole.id, whole.text)
        self.batch.append(parts)
        self.waiting += len(parts)
        self.characters += len(whole.text) + len(item.raw.content if item.raw else b"")
        if self.waiting >= BATCH_DOCUMENTS or self.characters >= BATCH_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        batch, self.batch, self.waiting, self.characters = self.batch, [], 0, 0
        if not batch:
            return
        if self.store is None:
            self._group(self._fresh(batch, {}, {}), {}, {}, None)
        elif self.dry_run:
            with self.store.read() as unit:
                self._store(batch, unit)
        else:
            with self.store.write() as unit:
                self._store(batch, unit)
                unit.commit()
        if not self.dry_run:
            self.wholes.clear()

    def _store(self, batch: list[list[Ingested]], unit: UnitOfWork) -> None:
        documents = unit.documents
        ids = documents.digests_by_id(
            dict.fromkeys(k for record in batch for item in record for k in _kin(item.document))
        )
        digests = documents.ids_by_digest(
            item.document.digest for record in batch for item in record
        )
        fresh = self._fresh(batch, ids, digests)
        if not fresh:
            return
        known = dict(documents.signatures())
        before = documents.groups()
        signatures, groups = self._group(fresh, known, before, unit)
        if self.dry_run:
            return
        documents.regroup({key: groups[key] for key in before if groups[key] != before[key]})
        documents.add(
            NewDocument(
                item.document,
                groups[item.document.id],
                signatures.get(item.document.id),
                _raw(item),
                item.pieces,
                _as_json(item.dropped),
            )
            for item in fresh
        )

    def _fresh(
        self, batch: list[list[Ingested]], ids: Mapping[str, str], digests: Mapping[str, str]
    ) -> list[Ingested]:
        """Those of the batch that are to be added; the others are counted."""
        ids = {**ids, **{key: document.digest for key, document in self.pending.items()}}
        digests = {
            **digests,
            **{document.digest: key for key, document in self.pending.items()},
        }
        fresh: list[Ingested] = []
        for record in batch:
            reason = _cut_otherwise(record, ids)
            if reason:
                first = record[0]
                self.result.conflicts += len(record)
                self.result.rejected.append(DataError(reason, path=first.path, line=first.line))
                continue
            fresh += self._new(record, ids, digests)
        self.result.added += len(fresh)
        if self.dry_run:
            self.pending.update({item.document.id: item.document for item in fresh})
        return fresh

    def _new(
        self, record: list[Ingested], ids: dict[str, str], digests: dict[str, str]
    ) -> list[Ingested]:
        fresh = []
        for item in record:
            document = item.document
            known = ids.get(document.id)
            if known == document.digest:
                if document.id in self.added:
                    self.result.duplicates += 1
                else:
                    self.result.unchanged += 1
            elif known is not None:
                self.result.conflicts += 1
                self.result.rejected.append(
                    DataError(
                        f"document {document.id!r} is known with another text, and documents never "
                        "change; give the new text an id of its own",
                        path=item.path,
                        line=item.line,
                    )
                )
            elif document.digest in digests:
                self.result.duplicates += 1
            else:
                ids[document.id] = document.digest
                digests[document.digest] = document.id
                self.added.add(document.id)
                fresh.append(item)
        return fresh

    def _group(
        self,
        fresh: list[Ingested],
        known: Mapping[str, bytes],
        before: Mapping[str, str],
        unit: UnitOfWork | None,
    ) -> tuple[dict[str, bytes], dict[str, str]]:
        """Signatures of the fresh documents, and everybody's near-duplicate group with them in."""
        # Parent → the passage that stands for it.
        first: dict[str, str] = {}
        joined: dict[str, str] = {}
        told: dict[str, str] = {}
        for item in fresh:
            document = item.document
            if document.parent is None:
                told[document.id] = document.text
            elif document.parent in first:
                joined[document.id] = first[document.parent]
            else:
                first[document.parent] = document.id
                told[document.id] = self.wholes[document.parent]
        signatures = {key: signature(text) for key, text in told.items()}

        def text_of(key: str) -> str:
            if key in told:
                return told[key]
            if key in self.pending:
                document = self.pending[key]
                return self.wholes.get(document.parent or "", document.text)
            return unit.documents.whole_text(key) if unit is not None else ""

        groups = regroup(
            signatures,
            {**known, **self.signatures},
            {**before, **self.groups, **joined},
            text_of,
        )
        if self.dry_run:
            self.signatures |= signatures
            self.groups = groups
        self._report(set(told), groups, {*known, *self.signatures, *signatures})
        return signatures, groups

    def _report(self, added: set[str], groups: Mapping[str, str], alike: Collection[str]) -> None:
        """``alike``: what was compared; of the passages of a document one stands for all."""
        found = self.result.near_duplicates
        ours = added.union(*found.values()) if found else added
        wanted = {groups[key] for key in ours if key in groups}
        members: dict[str, list[str]] = {}
        for key, group in groups.items():
            if group in wanted and key in alike:
                members.setdefault(group, []).append(key)
        found.clear()
        found.update({group: keys for group, keys in sorted(members.items()) if len(keys) > 1})


def _kin(document: Document) -> tuple[str, ...]:
    """Ids that tell whether the document was cut otherwise before."""
    if document.parent is None:
        return document.id, passage_id(document.id, 1)
    count = document.metadata["passage"]["count"]
    return document.id, document.parent, passage_id(document.parent, count + 1)


def _cut_otherwise(record: list[Ingested], ids: Mapping[str, str]) -> str:
    """Why a document cannot be taken that is there in other pieces; empty where it is not."""
    parent = record[0].document.parent
    if parent is None:
        name = record[0].document.id
        if name in ids or passage_id(name, 1) not in ids:
            return ""
        return (
            f"document {name!r} is known in passages, and documents never change; ingest it with "
            "the same --passages"
        )
    if parent in ids:
        return (
            f"document {parent!r} is known whole, and documents never change; ingest it without "
            "--passages"
        )
    same = all(
        ids.get(one.document.id, one.document.digest) == one.document.digest for one in record
    )
    if same and passage_id(parent, len(record) + 1) not in ids:
        return ""
    return (
        f"document {parent!r} is known in other passages or with another text, and documents never "
        "change; ingest it with the same --passages, or give a new text an id of its own"
    )


def _raw(item: Ingested) -> RawPage | None:
    if item.raw is None:
        return None
    import hashlib

    digest = hashlib.sha256(item.raw.content).hexdigest()
    return RawPage(digest, item.raw.path, item.raw.encoding, item.raw.content)


def _as_json(dropped: Iterable[DroppedLine]) -> list[dict[str, str | int]]:
    return [
        {"line": line.number, "text": line.text, "reason": str(line.reason)} for line in dropped
    ]
