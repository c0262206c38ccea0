"""`curate gold import` and `gold decisions import`: gold made elsewhere becomes decisions here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from curate import similarity
from curate.errors import DataError, UsageError
from curate.flows.reporter import Reporter
from curate.gold.items import canonical
from curate.interchange import Record
from curate.interchange import read as read_jsonl
from curate.model import Annotation, Document, Source
from curate.schema import LabelSchema
from curate.store import Decision, NewDocument, Store, UnitOfWork

BATCH = 500
SHOWN = 20
"""Warnings of one kind, after which the others are only counted."""
FORMATS = ("jsonl", "conll", "prodigy", "brat")


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: decisions ``added``, ``replaced``, found ``unchanged``; ``documents``
    are those that were new; ``duplicates`` are items that stood twice and count once, and with them
    ``duplicate_documents``: the id that a record gave → the document that holds its text."""

    records: int = 0
    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    documents: int = 0
    entities: int = 0
    relations: int = 0
    duplicates: int = 0
    passed_over: int = 0
    errors: tuple[str, ...] = ()
    duplicate_documents: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "records": self.records,
            "added": self.added,
            "replaced": self.replaced,
            "unchanged": self.unchanged,
            "documents": self.documents,
            "entities": self.entities,
            "relations": self.relations,
            "duplicates": self.duplicates,
            "passed_over": self.passed_over,
            "errors": list(self.errors),
            "duplicate_documents": dict(self.duplicate_documents),
        }


@dataclass(frozen=True, slots=True)
class Incoming:
    """A decision on its way in; ``line`` is where it stands in the file."""

    document: Document
    decision: Decision
    line: int = 0
    duplicates: int = 0


@dataclass
class Counts:
    """What has been entered so far."""

    records: int = 0
    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    documents: int = 0
    entities: int = 0
    relations: int = 0
    duplicates: int = 0
    signatures: dict[str, bytes] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    agreed: dict[str, tuple[str, Decision]] = field(default_factory=dict)
    """Document → the record of another id that was taken for it, and what it said."""


def read_gold(
    path: Path,
    form: str,
    source: Source,
    on_error: Callable[[DataError], None] | None = None,
    ignored: Counter[str] | None = None,
) -> Iterator[Record]:
    """The records of a file or folder in one of :data:`FORMATS`.

    ``ignored`` counts what a form holds that has no place in an annotation (brat's events).
    """
    if form == "jsonl":
        return read_jsonl(path, source=source, on_error=on_error)
    if form == "conll":
        from curate.gold.formats.conll import read as read_conll

        return read_conll(path, source=source)
    if form == "prodigy":
        from curate.gold.formats.prodigy import read as read_prodigy

        return read_prodigy(path, source=source, on_error=on_error)
    if form == "brat":
        from curate.gold.formats.brat import read as read_brat

        return read_brat(path, source=source, on_error=on_error, ignored=ignored)
    raise UsageError(f"{form!r} cannot be read; formats are {', '.join(FORMATS)}")


def import_gold(
    store: Store,
    path: Path,
    schema: LabelSchema,
    reporter: Reporter,
    *,
    form: str = "jsonl",
    by: str = "gold",
    keep_going: bool = False,
) -> Imported:
    """Enter a gold set as the decisions of curator ``by``.

    All of it or nothing, in one transaction; with ``keep_going`` records that are wrong are passed
    over and told.  A decision that the store holds on the same document is replaced; one that says
    the same is left as it is, provenance included.  A text that is held under another id is no
    second document: the decision is its holder's, unless that has a different one.  Raises
    DataError with file and line where a record is malformed, does not fit the schema, has another
    text than the store's document, or differs on a text that is held under another id.
    """
    if not by or by != by.strip() or not by.isprintable() or len(by) > 100:
        raise UsageError(
            f"the curator's name {by!r} must be 1 to 100 printable characters, trimmed"
        )
    errors: list[DataError] = []
    source = Source.curator(by)
    ignored: Counter[str] = Counter()
    records = read_gold(path, form, source, errors.append if keep_going else None, ignored)

    def incoming() -> Iterator[Incoming]:
        for record in records:
            reason = schema.misfit(record.annotation, record.document.text)
            if reason:
                error = DataError(
                    f"document {record.document.id!r}: {reason}",
                    path=path,
                    line=record.line or None,
                )
                if not keep_going:
                    raise error
                errors.append(error)
                continue
            annotation = canonical(record.annotation, schema)
            yield Incoming(
                record.document,
                Decision(annotation, {"decided": {"by": "curator", "name": by}}),
                record.line,
                record.duplicates,
            )

    with reporter.progress(f"importing {path.name}") as advance, store.write() as unit:
        counts = enter(unit, incoming(), path, errors if keep_going else None, advance, merge=True)
        if not counts.records and not errors:
            raise DataError("holds no record", path=path)
        unit.commit()
    for error in errors:
        reporter.warn(str(error))
    told = list(counts.held.items())
    for given, holder in told[:SHOWN]:
        reporter.warn(f"document {given!r} has the text of {holder!r}: counted as that one")
    if len(told) > SHOWN:
        reporter.warn(f"and {len(told) - SHOWN} documents more have the text of another")
    for kind, count in sorted(ignored.items()):
        reporter.warn(f"{count} lines of kind {kind} have no place in an annotation: left out")
    return result_of(counts, errors)


def result_of(counts: Counts, errors: list[DataError]) -> Imported:
    """The outcome of an import."""
    return Imported(
        records=counts.records,
        added=counts.added,
        replaced=counts.replaced,
        unchanged=counts.unchanged,
        documents=counts.documents,
        entities=counts.entities,
        relations=counts.relations,
        duplicates=counts.duplicates,
        passed_over=len(errors),
        errors=tuple(map(str, errors)),
        duplicate_documents=counts.held,
    )


def enter(
    unit: UnitOfWork,
    incoming: Iterable[Incoming],
    path: Path,
    errors: list[DataError] | None,
    advance: Callable[[int], None],
    *,
    merge: bool = False,
) -> Counts:
    """Enter decisions batch by batch; new documents are entered and grouped with them.

    With ``merge`` a text that is held under another id is no second document; without, what a store
    held is restored as it was.  Raises DataError where a text differs from the store's or is
    decided differently under another id, or collects it in ``errors``.
    """
    counts = Counts()
    known = dict(unit.documents.signatures())
    groups = unit.documents.groups()
    stream = iter(incoming)
    while batch := list(islice(stream, BATCH)):
        _enter_batch(unit, batch, path, errors, counts, merge)
        advance(len(batch))
    if counts.signatures:
        texts = unit.documents.whole_text
        unit.documents.regroup(similarity.regroup(counts.signatures, known, groups, texts))
    return counts


def _enter_batch(
    unit: UnitOfWork,
    batch: list[Incoming],
    path: Path,
    errors: list[DataError] | None,
    counts: Counts,
    merge: bool,
) -> None:
    digests = unit.documents.digests_by_id(item.document.id for item in batch)
    holders = unit.documents.ids_by_digest(i.document.digest for i in batch) if merge else {}
    wanted = dict.fromkeys([*(item.document.id for item in batch), *holders.values()])
    decided = {item.annotation.document_id: item for item in unit.decisions.many(wanted)}
    new: list[NewDocument] = []
    decisions: dict[str, Decision] = {}
    for item in batch:
        document, decision = item.document, item.decision
        stored = digests.get(document.id)
        holder = document.id
        if stored is None and merge:
            holder = holders.setdefault(document.digest, document.id)
        reason = _conflict(document, decision, stored, holder, decided, counts)
        if reason:
            error = DataError(reason, path=path, line=item.line or None)
            if errors is None:
                raise error
            errors.append(error)
            continue
        counts.records += 1
        counts.entities += len(decision.annotation.entities)
        counts.relations += len(decision.annotation.relations)
        counts.duplicates += item.duplicates
        if holder != document.id:
            decision = replace(
                decision, annotation=replace(decision.annotation, document_id=holder)
            )
            counts.duplicates += 1
            counts.held[document.id] = holder
            counts.agreed[holder] = (document.id, decision)
        elif stored is None:
            signature = similarity.signature(document.text)
            counts.signatures[document.id] = signature
            counts.documents += 1
            digests[document.id] = document.digest
            new.append(NewDocument(document, document.id, signature))
        before = decided.get(holder)
        if before is not None and _says_the_same(before, decision):
            counts.unchanged += 1
            continue
        if before is None:
            counts.added += 1
        else:
            counts.replaced += 1
        decided[holder] = decisions[holder] = decision
    unit.documents.add(new)
    unit.decisions.put(decisions.values())


def _conflict(
    document: Document,
    decision: Decision,
    stored: str | None,
    holder: str,
    decided: Mapping[str, Decision],
    counts: Counts,
) -> str:
    """Why a decision cannot be entered; empty where it can."""
    if stored is not None and stored != document.digest:
        return (
            f"document {document.id!r} has another text in the store; a text never changes, "
            "so give this one another id"
        )
    other, before = holder, decided.get(holder)
    if holder == document.id:
        other, before = counts.agreed.get(holder, ("", None))
    if before is None or _says_the_same(before, decision):
        return ""
    return (
        f"document {document.id!r} has the text of {other!r}, which is decided differently; "
        "leave one of them out, or make them equal"
    )


def _says_the_same(before: Decision, after: Decision) -> bool:
    """Equal claims; where the newcomer brings a story of its own, an equal one too."""
    if _claims(before.annotation) != _claims(after.annotation):
        return False
    return set(after.provenance) <= {"decided"} or dict(before.provenance) == dict(after.provenance)


def _claims(annotation: Annotation) -> Any:
    return (
        [(e.key, e.score, e.canonical) for e in annotation.entities],
        [(r.key, r.score) for r in annotation.relations],
        [[e.key for e in chain] for chain in annotation.chains],
    )
