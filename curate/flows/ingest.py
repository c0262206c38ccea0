"""`curate ingest`: files into the store, in batches; a run that was cut short is taken up again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from curate.corpus import DroppedLine, Found, Ingested, Note, Options, discover, languages, read
from curate.errors import DataError
from curate.flows.reporter import Reporter
from curate.model import Document
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
    ``conflicts``.

    ``unchanged`` were in the store before, under this id; ``duplicates`` have the text of another
    record or document; ``conflicts`` have another text than the document of their id, and are among
    ``rejected``.  ``near_duplicates`` are the groups that an added document belongs to.
    """

    read: int = 0
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
) -> IngestResult:
    """Read files and folders into the store; each batch is committed whole.

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
                    work.take(outcome)
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
        self.batch: list[Ingested] = []
        self.characters = 0
        # What a dry run would have stored by now; a real run finds it in the store.
        self.pending: dict[str, Document] = {}
        self.groups: dict[str, str] = {}
        self.added: set[str] = set()
        self.pages = 0

    def take(self, item: Ingested) -> None:
        self.result.read += 1
        self.pages += item.raw is not None
        self.result.dropped_lines += len(item.dropped)
        if self.dry_run and item.raw is not None:
            document = item.document
            self.result.pages.append(
                Page(item.path, document.id, len(document.text), item.mapped, item.dropped)
            )
        self.batch.append(item)
        self.characters += len(item.document.text) + len(item.raw.content if item.raw else b"")
        if len(self.batch) >= BATCH_DOCUMENTS or self.characters >= BATCH_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        batch, self.batch, self.characters = self.batch, [], 0
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

    def _store(self, batch: list[Ingested], unit: UnitOfWork) -> None:
        documents = unit.documents
        ids = documents.digests_by_id(item.document.id for item in batch)
        digests = documents.ids_by_digest(item.document.digest for item in batch)
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
                signatures[item.document.id],
                _raw(item),
                item.pieces,
                _as_json(item.dropped),
            )
            for item in fresh
        )

    def _fresh(
        self, batch: list[Ingested], ids: Mapping[str, str], digests: Mapping[str, str]
    ) -> list[Ingested]:
        """Those of the batch that are to be added; the others are counted."""
        ids = {**ids, **{key: document.digest for key, document in self.pending.items()}}
        digests = {
            **digests,
            **{document.digest: key for key, document in self.pending.items()},
        }
        fresh: list[Ingested] = []
        for item in batch:
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
        self.result.added += len(fresh)
        if self.dry_run:
            self.pending.update({item.document.id: item.document for item in fresh})
        return fresh

    def _group(
        self,
        fresh: list[Ingested],
        known: Mapping[str, bytes],
        before: Mapping[str, str],
        unit: UnitOfWork | None,
    ) -> tuple[dict[str, bytes], dict[str, str]]:
        """Signatures of the fresh documents, and everybody's near-duplicate group with them in."""
        texts = {item.document.id: item.document.text for item in fresh}
        signatures = {key: signature(text) for key, text in texts.items()}
        earlier = {key: signature(d.text) for key, d in self.pending.items() if key not in texts}

        def text_of(key: str) -> str:
            if key in texts:
                return texts[key]
            if key in self.pending:
                return self.pending[key].text
            document = unit.documents.get(key) if unit is not None else None
            return "" if document is None else document.text

        groups = regroup(signatures, {**known, **earlier}, {**before, **self.groups}, text_of)
        if self.dry_run:
            self.groups = groups
        self._report(set(texts), groups)
        return signatures, groups

    def _report(self, added: set[str], groups: Mapping[str, str]) -> None:
        found = self.result.near_duplicates
        ours = added.union(*found.values()) if found else added
        wanted = {groups[key] for key in ours if key in groups}
        members: dict[str, list[str]] = {}
        for key, group in groups.items():
            if group in wanted:
                members.setdefault(group, []).append(key)
        found.clear()
        found.update({group: keys for group, keys in sorted(members.items()) if len(keys) > 1})


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
