"""`curate gold export`: a release in another tool's form, with an account of what it lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import DataError, UsageError
from curate.flows.reporter import Reporter
from curate.gold.formats.loss import MARK, Loss, new_folder, write_report
from curate.gold.items import SPLITS, GoldDocument
from curate.gold.opening import GoldSet
from curate.schema import LabelSchema

SUFFIX = {"spacy": ".spacy", "jsonl": ".jsonl", "prodigy": ".jsonl", "conll": ".conll"}
FOLDERS = ("brat", "hf", "docred")
FORMATS = (*SUFFIX, *FOLDERS)


@dataclass(frozen=True)
class Exported:
    """What was written where, and what the form could not carry."""

    target: Path
    gold: str
    splits: tuple[str, ...]
    files: tuple[str, ...]
    loss: Loss

    def as_dict(self) -> dict[str, Any]:
        return {
            "target": str(self.target),
            "gold": self.gold,
            "splits": list(self.splits),
            "files": list(self.files),
            "loss": self.loss.as_dict(),
        }


def export_gold(
    gold: GoldSet,
    form: str,
    target: Path,
    reporter: Reporter,
    *,
    split: str | None = None,
    schema: LabelSchema | None = None,
    language: str = "fr",
) -> Exported:
    """Write ``gold`` in this form to ``target``: one file where a split is named or ``target`` has
    the form's suffix, else a folder with a file for each split.

    Every export leaves a loss report as JSON: ``LOSS.json`` in a folder, ``<file>.loss.json``
    beside a file.  Raises UsageError for an unknown form or split, DataError where a leak between
    splits would be exported.
    """
    if form not in FORMATS:
        raise UsageError(f"unknown format {form!r}; formats are {', '.join(FORMATS)}")
    if split is not None and split not in SPLITS:
        raise UsageError(f"unknown split {split!r}; splits are {', '.join(SPLITS)}")
    refuse_leaks(gold)
    schema = gold.schema or schema
    language = schema.language if schema is not None else language
    splits = () if gold.release is None else ((split,) if split else SPLITS)
    reporter.step(f"exporting {gold.name} as {form}")
    if form in SUFFIX and (split is not None or not splits or target.suffix == SUFFIX[form]):
        loss = _one_file(form, gold.documents(split), target, language)
        files: tuple[str, ...] = (target.name,)
        write_report(loss, target.with_name(target.name + ".loss.json"))
    else:
        with new_folder(target) as work:
            loss, files = _folder(form, gold, work, splits, language, schema)
            write_report(loss, work / MARK)
    return Exported(target, gold.name, splits, files, loss)


def _folder(
    form: str,
    gold: GoldSet,
    work: Path,
    splits: tuple[str, ...],
    language: str,
    schema: LabelSchema | None,
) -> tuple[Loss, tuple[str, ...]]:
    if form in SUFFIX:
        total = Loss(form)
        names = []
        for part in splits:
            name = f"{part}{SUFFIX[form]}"
            names.append(name)
            _add(total, _one_file(form, gold.documents(part), work / name, language))
        return total, tuple(names)
    if form == "brat":
        from curate.gold.formats import brat

        loss = brat.export(gold.documents(None), work, schema=schema, keep=set(splits))
    elif form == "hf":
        from curate.gold.formats import hf

        loss = hf.export(gold, work, schema=schema, splits=splits, language=language)
    else:
        from curate.gold.formats import docred

        loss = docred.export(gold.documents, work, splits=splits, language=language)
    files = sorted(path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file())
    return loss, tuple(files)


def _one_file(form: str, documents: Iterator[GoldDocument], target: Path, language: str) -> Loss:
    if form == "jsonl":
        from curate.gold.formats import jsonl

        return jsonl.export(documents, target)
    if form == "conll":
        from curate.gold.formats import conll

        return conll.export(documents, target, language=language)
    if form == "spacy":
        from curate.gold.formats import spacy

        return spacy.export(documents, target, language=language)
    from curate.gold.formats import prodigy

    return prodigy.export(documents, target, language=language)


def _add(total: Loss, part: Loss) -> None:
    total.documents += part.documents
    total.entities += part.entities
    total.relations += part.relations
    total.chains += part.chains
    for reason, count in part.lost.items():
        shown = part.examples.get(reason, [])
        total.lost[reason] += count
        total.examples.setdefault(reason, []).extend(
            shown[: 20 - len(total.examples.get(reason, []))]
        )


def refuse_leaks(gold: GoldSet) -> None:
    """Raises DataError where a near-duplicate group of a release stands in two splits."""
    if gold.release is None:
        return
    from curate.gold.building import places_of

    splits: dict[str, set[str]] = defaultdict(set)
    for place in places_of(gold.release).values():
        splits[place.group].add(place.split)
    leaking = sorted(group for group, found in splits.items() if len(found) > 1)
    if leaking:
        raise DataError(
            f"{len(leaking)} near-duplicate groups stand in two splits ({leaking[0]!r}); "
            "run `curate gold verify`",
            path=gold.path,
        )
