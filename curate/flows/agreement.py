"""curate agreement: between annotators of the store, or between interchange files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import DataError, UsageError

if TYPE_CHECKING:
    from curate.agreement.units import Extent, Unit
    from curate.agreement.values import Agreement
    from curate.flows.reporter import Reporter
    from curate.model import Annotation
    from curate.schema import LabelSchema
    from curate.scoring.columns import Collector
    from curate.store import Store


@dataclass(frozen=True)
class Agreed:
    """The agreement, whose annotations it is of, and what should be known about it."""

    agreement: Agreement
    origin: str
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {**self.agreement.as_json(), "warnings": list(self.warnings)}


def agreement_of_files(
    paths: Sequence[Path],
    schema: LabelSchema | None,
    reporter: Reporter,
    *,
    unit: Unit,
    only_common: bool = False,
    draws: int = 10_000,
    seed: int | None = None,
) -> Agreed:
    """Agreement between files, each an annotator's, named after its stem.

    Raises DataError, with file and line, for malformed input, texts that differ and, unless
    ``only_common``, documents that not every file has.
    """
    from curate.agreement.measures import measure_collected
    from curate.scoring.reading import AnnotatedSet, pair, read_file
    from curate.scoring.resampling import SEED

    if len(paths) < 2:
        raise UsageError("agreement needs two files or more")
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("a file is named twice; an annotator always agrees with themselves")
    sets: dict[str, AnnotatedSet] = {}
    for path, name in zip(paths, annotator_names(paths), strict=True):
        sets[name] = read_file(path, name)
    first, *others = sets.values()
    for i, other in enumerate(others, start=1):
        for one in [first, *others][:i]:
            # Checks texts and documents; with only_common any two may share nothing.
            pair(one, other, only_common=only_common)
    warnings = [
        f"{found.duplicates} items of {name} stood more than once and counted once"
        for name, found in sets.items()
        if found.duplicates
    ]
    extents = {document: n for found in sets.values() for document, n in _extents(found, unit)}
    collectors = {name: found.collector for name, found in sets.items()}
    result = measure_collected(
        collectors,
        extents,
        schema=schema,
        unit=unit,
        draws=draws,
        seed=SEED if seed is None else seed,
    )
    if not result.documents:
        raise DataError("no document stands in two of the files")
    alone = {d for found in sets.values() for d in found.ids}
    if len(alone) > result.documents:
        warnings.append(
            f"{len(alone) - result.documents} documents stand in one file only and were left out"
        )
    for warning in warnings:
        reporter.warn(warning)
    return Agreed(result, ", ".join(path.name for path in paths), tuple(warnings))


def annotator_names(paths: Sequence[Path]) -> list[str]:
    """The stems of the files, or their paths where stems are equal."""
    stems = [path.stem for path in paths]
    return [
        stem if stems.count(stem) == 1 else str(path)
        for stem, path in zip(stems, paths, strict=True)
    ]


def _extents(found: Any, unit: Unit) -> Iterable[tuple[str, Extent]]:
    from curate.agreement.units import Unit as Units

    if unit is Units.CHARACTER:
        yield from zip(found.ids, found.lengths, strict=True)
        return
    from curate.interchange import read
    from curate.tokenization import tokenize

    for record in read(found.place):
        yield record.document.id, tokenize(record.document.text)


def agreement_of_store(
    store: Store,
    schema: LabelSchema | None,
    reporter: Reporter,
    *,
    unit: Unit,
    draws: int = 10_000,
    seed: int | None = None,
) -> Agreed:
    """Agreement between the annotators of the store, on their standing annotations, by month.

    Skipped annotations claim nothing and are left out; of several annotations of one annotator
    the last stands.
    """
    from curate.agreement.measures import measure_collected
    from curate.agreement.units import Unit as Units
    from curate.reports.pages import origin_of
    from curate.scoring.columns import Collector
    from curate.scoring.resampling import SEED

    latest: dict[tuple[str, str], tuple[tuple[str, int], Annotation]] = {}
    models: set[str] = set()
    with store.read() as unit_of_work:
        for stored in unit_of_work.annotations.current():
            if stored.skipped:
                continue
            if stored.parent is not None:
                models.add(str(stored.parent))
            key = stored.document_id, stored.annotation.source.name
            rank = stored.updated_at, stored.annotation_id
            if key not in latest or latest[key][0] < rank:
                latest[key] = rank, stored.annotation
        texts = {
            document.id: document.text
            for document in unit_of_work.documents.many(sorted({d for d, _ in latest}))
        }
    collectors: dict[str, Collector] = {}
    periods: dict[str, str] = {}
    for (document, name), ((updated, _), annotation) in sorted(
        latest.items(), key=lambda item: item[0]
    ):
        collectors.setdefault(name, Collector()).add(annotation)
        periods[document] = max(periods.get(document, ""), updated[:7])
    if len(collectors) < 2:
        raise DataError(
            f"the store has annotations of {'one annotator' if collectors else 'nobody yet'}; "
            "agreement needs two who annotated the same documents: `curate push --overlap 2` asks "
            "for that, `curate pull` brings it; or name files"
        )
    extents: Mapping[str, Extent]
    if unit is Units.CHARACTER:
        extents = {document: len(text) for document, text in texts.items()}
    else:
        from curate.tokenization import tokenize

        extents = {document: tokenize(text) for document, text in texts.items()}
    result = measure_collected(
        collectors,
        extents,
        schema=schema,
        unit=unit,
        periods=periods,
        draws=draws,
        seed=SEED if seed is None else seed,
    )
    if not result.documents:
        reporter.warn("no document has been annotated by two annotators yet")
    return Agreed(result, origin_of(schema, models))


def write_agreement(result: Agreed, folder: Path) -> list[Path]:
    """Write agreement.json and agreement.html; returns the paths."""
    import json

    from curate.reports.agreement import render
    from curate.reports.pages import write_bytes, write_page

    data = result.as_dict()
    text = json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    paths = [folder / "agreement.json", folder / "agreement.html"]
    write_bytes(paths[0], text.encode("utf-8"))
    write_page(paths[1], render(result.agreement, result.warnings, result.origin))
    return paths
