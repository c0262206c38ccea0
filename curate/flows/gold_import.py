"""`curate gold import` and `gold decisions import`: gold made elsewhere becomes decisions here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
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
FORMATS = ("jsonl", "conll", "prodigy", "brat")


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: decisions ``added``, ``replaced``, found ``unchanged``; ``documents``
    are those that were new; ``duplicates`` are items that stood twice and count once."""

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
    the same is left as it is, provenance included.  Raises DataError with file and line where a
    record is malformed, does not fit the schema, or has another text than the store's document.
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
        counts = enter(unit, incoming(), path, errors if keep_going else None, advance)
        if not counts.records and not errors:
            raise DataError("holds no record", path=path)
        unit.commit()
    for error in errors:
        reporter.warn(str(error))
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
    )


def enter(
    unit: UnitOfWork,
    incoming: Iterable[Incoming],
    path: Path,
    errors: list[DataError] | None,
    advance: Callable[[int], None],
) -> Counts:
    """Enter decisions batch by batch; new documents are entered and grouped with them.

    Raises DataError where a text differs from the store's, or collects it in ``errors``.
    """
    counts = Counts()
    known = dict(unit.documents.signatures())
    groups = unit.documents.groups()
    stream = iter(incoming)
    while batch := list(islice(stream, BATCH)):
        _enter_batch(unit, batch, path, errors, counts)
        advance(len(batch))
    if counts.signatures:
        texts: Callable[[str], str] = lambda key: _text(unit, key)  # noqa: E731
        unit.documents.regroup(similarity.regroup(counts.signatures, known, groups, texts))
    return counts


def _enter_batch(
    unit: UnitOfWork,
    batch: list[Incoming],
    path: Path,
    errors: list[DataError] | None,
    counts: Counts,
) -> None:
    digests = unit.documents.digests_by_id(item.document.id for item in batch)
    decided = {
        item.annotation.document_id: item
        for item in unit.decisions.many([item.document.id for item in batch])
    }
    new: list[NewDocument] = []
    decisions: list[Decision] = []
    for item in batch:
        document, annotation = item.document, item.decision.annotation
        stored = digests.get(document.id)
        if stored is not None and stored != document.digest:
            error = DataError(
                f"document {document.id!r} has another text in the store; a text never changes, "
                "so give this one another id",
                path=path,
                line=item.line or None,
            )
            if errors is None:
                raise error
            errors.append(error)
            continue
        counts.records += 1
        counts.entities += len(annotation.entities)
        counts.relations += len(annotation.relations)
        counts.duplicates += item.duplicates
        if stored is None:
            signature = similarity.signature(document.text)
            counts.signatures[document.id] = signature
            counts.documents += 1
            new.append(NewDocument(document, document.id, signature))
        before = decided.get(document.id)
        if before is not None and _says_the_same(before, item.decision):
            counts.unchanged += 1
            continue
        if before is None:
            counts.added += 1
        else:
            counts.replaced += 1
        decisions.append(item.decision)
    unit.documents.add(new)
    unit.decisions.put(decisions)


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


def _text(unit: UnitOfWork, document_id: str) -> str:
    document = unit.documents.get(document_id)
    return "" if document is None else document.text
