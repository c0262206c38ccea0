"""curate evaluate: predictions against gold."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import DataError, FindingsError, UsageError
from curate.flows.annotation_sets import AnnotationSet, FileSet
from curate.model import Annotation, Document

if TYPE_CHECKING:
    from curate.extractors.interface import Extractor
    from curate.flows.annotation_sets import Predict
    from curate.flows.reporter import Reporter
    from curate.schema import LabelSchema
    from curate.scoring import Scores
    from curate.scoring.reading import AnnotatedSet, Paired
    from curate.store import Store

FACTS = ("split", "source", "group")
NO_FACT = "(none)"


@dataclass(frozen=True)
class Options:
    """What of the documents and labels is scored, and how.

    ``by``: a fact of the documents to score by, one of ``FACTS``.  ``only_common``: documents on
    one side only are left out instead of refused.  ``sample``: the documents drawn by lot, where
    only these are scored.
    """

    split: str | None = None
    labels: tuple[str, ...] = ()
    by: str | None = None
    only_common: bool = False
    draws: int = 10_000
    seed: int | None = None
    sample: frozenset[str] | None = None


@dataclass(frozen=True)
class Evaluation:
    """The scores, and of what."""

    scores: Scores
    predictions: AnnotationSet
    gold: AnnotationSet
    options: Options
    groups: Mapping[str, Scores] = field(default_factory=dict)
    left_out: int = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.scores.warnings

    def as_dict(self) -> dict[str, Any]:
        data = self.scores.as_json()
        data["predictions"] = {"name": self.predictions.name, "digest": self.predictions.digest}
        data["gold"] = {"name": self.gold.name, "digest": self.gold.digest}
        data["split"] = self.options.split
        data["labels"] = list(self.options.labels)
        data["left_out"] = self.left_out
        if self.options.sample is not None:
            data["by_lot"] = True
        if self.options.by:
            data["by"] = {
                self.options.by: {
                    name: {
                        key: value
                        for key, value in scores.as_json().items()
                        if key in ("documents", "entities", "relations")
                    }
                    for name, scores in self.groups.items()
                }
            }
        return data


def evaluate(
    predictions: AnnotationSet,
    gold: AnnotationSet,
    schema: LabelSchema | None,
    reporter: Reporter,
    options: Options | None = None,
) -> Evaluation:
    """Score predictions against gold.

    Raises DataError, with file and line, for malformed input, for texts that differ and for
    documents on one side only; UsageError for a split, fact or label that is not there.
    """
    from dataclasses import replace

    from curate.scoring.resampling import SEED
    from curate.scoring.scores import scores_of, tally_sides

    options = options or Options()
    seed = SEED if options.seed is None else options.seed
    loaded, paired = load_pair(predictions, gold, options)
    labels = frozenset(options.labels) or None
    _check_labels(options.labels, paired, schema)
    counts = tally_sides(paired.documents, paired.gold, paired.other, schema, labels)
    if loaded[1].duplicates or loaded[0].duplicates:
        counts = replace(counts, warnings=(*counts.warnings, *_repeats(*loaded)))
    scores = scores_of(counts, draws=options.draws, seed=seed)
    groups = {}
    if options.by:
        for name, documents in _grouped(loaded[0], paired.documents, options.by).items():
            groups[name] = scores_of(counts.subset(documents), draws=options.draws, seed=seed)
    for warning in scores.warnings:
        reporter.warn(warning)
    if paired.left_out:
        reporter.warn(f"{paired.left_out} documents stand on one side only and were left out")
    return Evaluation(scores, predictions, gold, options, groups, paired.left_out)


def load_pair(
    predictions: AnnotationSet,
    gold: AnnotationSet,
    options: Options,
    known: AnnotatedSet | None = None,
) -> tuple[tuple[AnnotatedSet, AnnotatedSet], Paired]:
    """Both sides, read and paired: ((gold, predictions), paired).

    ``known`` is gold where it was read before.
    """
    from curate.scoring.reading import pair, read_files

    chosen: set[str] = set()

    def of_gold(found: AnnotatedSet) -> set[str]:
        if options.split is None:
            return drawn(found, set(found.ids))
        splits = found.facts["split"]
        inside = {document for document, split in splits.items() if split == options.split}
        if not inside:
            known = ", ".join(sorted(set(splits.values()))) or "none"
            raise UsageError(
                f"{gold.name} has no documents of split {options.split!r}; it has: {known}"
            )
        return drawn(found, inside)

    def drawn(found: AnnotatedSet, inside: set[str]) -> set[str]:
        if options.sample is None:
            return inside
        both = inside & options.sample
        if not both:
            raise UsageError(
                f"{gold.name} holds no document that was drawn by lot"
                + (f" in split {options.split!r}" if options.split else "")
            )
        return both

    def asked() -> Iterator[Document]:
        for document, _ in gold.records(chosen):
            yield document

    if known is None and isinstance(gold, FileSet) and isinstance(predictions, FileSet):
        loaded = read_files(gold.path, predictions.path)
        chosen = of_gold(loaded[0])
    else:
        one = gold.load() if known is None else known
        chosen = of_gold(one)
        loaded = (one, predictions.load(asked))
    if not loaded[0].ids:
        raise DataError("holds no documents", path=loaded[0].place)
    paired = pair(
        loaded[0],
        loaded[1],
        chosen=None if options.split is None and options.sample is None else chosen,
        only_common=options.only_common,
    )
    if not paired.documents:
        raise DataError(f"{gold.name} and {predictions.name} have no document in common")
    return loaded, paired


def _repeats(gold: AnnotatedSet, other: AnnotatedSet) -> Iterator[str]:
    for side, name in ((gold, "gold"), (other, "predictions")):
        if side.duplicates:
            yield f"{side.duplicates} items of the {name} stood more than once and counted once"


def _check_labels(labels: Collection[str], paired: Paired, schema: LabelSchema | None) -> None:
    known = {*paired.gold.labels, *paired.gold.kinds, *paired.other.labels, *paired.other.kinds}
    if schema is not None:
        known.update(schema.entity_labels, schema.relation_labels)
    for label in labels:
        if label not in known:
            raise UsageError(
                f"--label {label!r} is in neither side; there are {', '.join(sorted(known))}"
            )


def _grouped(gold: AnnotatedSet, documents: tuple[str, ...], by: str) -> dict[str, set[str]]:
    values = gold.facts[by]
    if not any(document in values for document in documents):
        raise UsageError(f"no document of {gold.name} has a {by}; leave --by {by} out")
    groups: dict[str, set[str]] = {}
    for document in documents:
        groups.setdefault(values.get(document, NO_FACT), set()).add(document)
    return dict(sorted(groups.items()))


def predictor(extractor: Extractor, schema: LabelSchema | None, store: Store | None) -> Predict:
    """Ask the extractor, but for what it has answered before about the same text.

    Answers are kept under the model's digest for the documents that the store has, where it can be
    written.
    """
    from collections.abc import Iterable, Sequence

    from curate.extractors.interface import answers, source_of

    def predict(documents: Sequence[Document]) -> Iterable[Annotation]:
        known: dict[str, Annotation] = {}
        kept: set[str] = set()
        if store is not None:
            digests = {document.id: document.digest for document in documents}
            with store.read() as unit:
                kept = {d.id for d in unit.documents.many(digests) if d.digest == digests[d.id]}
                known = {a.document_id: a for a in unit.predictions.of(source_of(extractor), kept)}
        missing = [document for document in documents if document.id not in known]
        fresh = list(answers(extractor, missing, schema)) if missing else []
        if store is not None and fresh and not store.is_read_only:
            with store.write() as unit:
                unit.predictions.put(a for a in fresh if a.document_id in kept)
                unit.commit()
        return [*known.values(), *fresh]

    return predict


def check_gate(
    scores: Scores, fail_under: float | None, fail_under_relations: float | None = None
) -> None:
    """Raises FindingsError where an F1 is below its gate, or undefined."""
    for what, measure, gate in (
        ("entities", scores.entities.measures["strict"], fail_under),
        ("relations", scores.relations.measures["strict"], fail_under_relations),
    ):
        if gate is None:
            continue
        if measure.f1 is None:
            raise FindingsError(f"strict F1 of {what} is undefined, the gate asks for {gate:g}")
        if measure.f1 < gate:
            raise FindingsError(f"strict F1 of {what} is {measure.f1:.4f}, below {gate:g}")


def write_report(
    evaluation: Evaluation, folder: Path, schema: LabelSchema | None, limit: int = 300
) -> list[Path]:
    """Write metrics.json, counts.jsonl (for `curate compare`) and report.html; their paths."""
    import json

    from curate.reports.evaluation import examples, render
    from curate.reports.pages import write_bytes, write_page
    from curate.scoring.saved import dump_counts

    paths = [folder / name for name in ("metrics.json", "counts.jsonl", "report.html")]
    data = evaluation.as_dict()
    text = json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    errors = examples(_both(evaluation, limit), schema, evaluation.options.labels, limit)
    language = None if schema is None else schema.language
    page = render(evaluation.scores, evaluation.groups, data, errors, language)
    write_bytes(paths[0], text.encode("utf-8"))
    write_bytes(paths[1], dump_counts(evaluation.scores.tally))
    write_page(paths[2], page)
    return paths


def _both(evaluation: Evaluation, limit: int) -> Iterator[tuple[Document, Annotation, Annotation]]:
    """Documents with an error in ascending order of id, at most ``limit``, both sides."""
    counts = evaluation.scores.tally
    wrong = counts.entities.errors[:, 1:].sum(axis=1) + counts.relations.errors[:, 1:].sum(axis=1)
    wanted = [document for document, errors in zip(counts.documents, wrong, strict=True) if errors][
        :limit
    ]
    chosen = set(wanted)
    gold = {document.id: (document, said) for document, said in evaluation.gold.records(chosen)}
    other = {document.id: said for document, said in evaluation.predictions.records(chosen)}
    for document_id in wanted:
        document, said = gold[document_id]
        yield document, said, other[document_id]
