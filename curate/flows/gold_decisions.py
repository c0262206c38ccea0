"""`curate gold decisions export · import`: decisions with their provenance, as one file.

JSON Lines: the interchange form with a key ``provenance`` more.  What a file holds and a release
is built from it in an empty workspace has the same bytes as here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import DataError
from curate.flows.gold_build import StoreDecisions, settle
from curate.flows.gold_import import Imported, Incoming, enter, result_of
from curate.flows.reporter import Reporter
from curate.gold.building import Recipe
from curate.gold.formats.loss import writing
from curate.gold.items import Decided, canonical
from curate.gold.judge import Judge
from curate.gold.lines import without_floats
from curate.gold.provenance import read_provenance
from curate.gold.reading import Release
from curate.interchange import as_record, canonical_json, parse_record, read_lines
from curate.model import Source, SourceKind
from curate.schema import LabelSchema
from curate.store import Decision, Store


@dataclass(frozen=True)
class ExportedDecisions:
    """How many decisions were written where; ``left_out`` are documents with open differences."""

    target: Path
    decisions: int
    left_out: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "target": str(self.target),
            "decisions": self.decisions,
            "left_out": list(self.left_out),
        }


def export_decisions(
    store: Store,
    folder: Path,
    recipe: Recipe,
    judge: Judge,
    target: Path,
    reporter: Reporter,
    *,
    allow_open: bool = False,
) -> ExportedDecisions:
    """Write the decisions that a build would take.  Raises as the build does."""
    with store.read() as unit:
        source = StoreDecisions.of(unit, recipe.schema, judge)
        source, waiting = settle(source, folder, recipe, reporter, allow_open=allow_open)
        count = _write(target, source.decided(source.ids), recipe.schema)
    return ExportedDecisions(target, count, tuple(waiting))


def export_release_decisions(release: Release, target: Path) -> ExportedDecisions:
    """Write the decisions that a release was built from.  Raises DataError where it is damaged."""
    return ExportedDecisions(target, _write(target, _of_release(release), release.schema))


def _of_release(release: Release) -> Iterator[Decided]:
    path = release.folder / "provenance.jsonl"
    with path.open("rb") as stream:
        traced = read_provenance(stream)
        for gold in release.documents():
            document_id, provenance = next(traced, ("", {}))
            if document_id != gold.id:
                raise DataError(f"document {gold.id!r} has no provenance", path=path)
            for kind in ("entities", "relations"):
                known = {key: item for key, item in provenance[kind].items() if item}
                provenance.pop(kind)
                if known:
                    provenance[kind] = known
            yield Decided(gold.document, gold.annotation, provenance)


def _write(target: Path, items: Iterable[Decided], schema: LabelSchema) -> int:
    count = 0
    with writing(target, "wb") as stream:
        for item in items:
            record = as_record(item.document, canonical(item.annotation, schema))
            record["provenance"] = without_floats(dict(item.provenance))
            stream.write(canonical_json(record) + b"\n")
            count += 1
    return count


def read_decisions(path: Path, schema: LabelSchema) -> Iterator[Incoming]:
    """The decisions of a file.  Raises DataError with file and line for what does not fit."""
    seen: dict[str, int] = {}
    for number, value in read_lines(path):
        try:
            provenance = value.pop("provenance", None)
            if not isinstance(provenance, dict) or not isinstance(provenance.get("decided"), dict):
                raise DataError(
                    "the record has no provenance that says who decided; a plain gold set is "
                    "entered by `curate gold import`"
                )
            source = _source(provenance["decided"])
            record = parse_record(value, source, schema=schema, line=number)
            first = seen.setdefault(record.document.id, number)
            if first != number:
                raise DataError(
                    f"document {record.document.id!r} stands twice, first on line {first}"
                )
        except DataError as error:
            raise error.at(path, number) from None
        annotation = canonical(record.annotation, schema)
        yield Incoming(
            record.document,
            Decision(annotation, without_floats(provenance)),
            number,
            record.duplicates,
        )


def _source(decided: dict[str, Any]) -> Source:
    kind, name = decided.get("by"), decided.get("name")
    if kind not in (SourceKind.CONSENSUS, SourceKind.CURATOR) or not isinstance(name, str):
        raise DataError("provenance.decided must say 'by' (consensus or curator) and 'name'")
    return Source(SourceKind(kind), name)


def import_decisions(store: Store, path: Path, schema: LabelSchema, reporter: Reporter) -> Imported:
    """Enter a file of decisions, all of it or nothing; a decision on the same document is replaced.

    Raises DataError with file and line.
    """
    with reporter.progress(f"importing {path.name}") as advance, store.write() as unit:
        counts = enter(unit, read_decisions(path, schema), path, None, advance)
        if not counts.records:
            raise DataError("holds no decision", path=path)
        unit.commit()
    return result_of(counts, [])
