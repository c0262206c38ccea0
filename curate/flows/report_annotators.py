"""`curate report annotators`: the page of the annotators, from the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.model import SourceKind

if TYPE_CHECKING:
    from curate.agreement.annotators import Portrait
    from curate.schema import LabelSchema
    from curate.store import Store, StoredAnnotation


@dataclass(frozen=True)
class AnnotatorsReport:
    """The portraits, the texts of the documents their examples are taken from, and of what."""

    portraits: list[Portrait]
    texts: dict[str, str]
    origin: str = ""
    language: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {"annotators": [portrait.as_dict() for portrait in self.portraits]}


def annotators_report(store: Store, schema: LabelSchema) -> AnnotatorsReport:
    """Everything that stands, per pseudonym; decisions are those a person took."""
    from curate.agreement.annotators import Work, portraits
    from curate.reports.pages import origin_of

    with store.read() as unit:
        rows = list(unit.annotations.current())
        ids = sorted({row.document_id for row in rows})
        texts = {document.id: document.text for document in unit.documents.many(ids)}
        decisions = {
            d.annotation.document_id: d.annotation
            for d in unit.decisions.many(ids)
            if d.annotation.source.kind is SourceKind.CURATOR
        }
    latest: dict[tuple[str, str], StoredAnnotation] = {}
    for row in rows:
        key = row.document_id, row.annotation.source.name
        if key not in latest or _rank(latest[key]) < _rank(row):
            latest[key] = row
    found = portraits(
        [
            Work(
                row.annotation,
                row.updated_at,
                row.lead_time,
                len(texts[row.document_id]),
                row.skipped,
            )
            for row in latest.values()
        ],
        decisions,
        schema,
    )
    shown = {e.document_id for p in found for c in p.confusions for e in c.examples}
    models = {str(row.parent) for row in rows if row.parent is not None}
    return AnnotatorsReport(
        found,
        {key: texts[key] for key in sorted(shown)},
        f"Annotations: {origin_of(schema, models)}.",
        schema.language,
    )


def _rank(row: StoredAnnotation) -> tuple[bool, str, int]:
    """The last word that says something stands."""
    return not row.skipped, row.updated_at, row.annotation_id


def write_report(report: AnnotatorsReport, path: Path) -> None:
    """Write the page.  Raises DiskError."""
    from curate.reports.annotators import render
    from curate.reports.pages import write_page

    write_page(path, render(report.portraits, report.texts, report.origin, report.language))
