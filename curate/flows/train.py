"""Training: a release's train split becomes a model, scored once on its test split."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import DataError, UsageError
from curate.extractors import models as _models
from curate.extractors.models import Card
from curate.extractors.train import (
    NO_AIDS,
    Aids,
    TrainSettings,
    check_leaks,
    check_support,
    learn,
    predict,
    recipe,
)
from curate.extractors.tuning import tries, tune
from curate.flows.looks import looks_at
from curate.flows.train_steps import SCORES, Steps, planned
from curate.interchange import read
from curate.model import Source
from curate.schema import LabelSchema, check_fit

if TYPE_CHECKING:
    from curate.flows.models import Promotion
    from curate.flows.reporter import Reporter
    from curate.gold.items import GoldDocument
    from curate.gold.opening import GoldSet

RELATIONS = "relation_classifier"
NAMES = "letters, digits, '-' and '_'"


@dataclass(frozen=True)
class Trained:
    """The model: its folder and its card.

    ``fresh`` is False where a model made from just the same was there already.  ``promotion`` is
    what came of trying to promote it, where that was asked for.
    """

    folder: Path
    card: Card
    fresh: bool = True
    promotion: Promotion | None = None

    def as_dict(self) -> dict[str, Any]:
        model = self.card.as_dict() | {"reference": self.card.reference}
        data = {"model": model, "folder": str(self.folder), "trained": self.fresh}
        if self.promotion is not None:
            data["promotion"] = self.promotion.as_dict()
        return data


def splits_of(gold: GoldSet) -> dict[str, list[GoldDocument]]:
    """The documents by split: a release's own, or ``meta.split`` of an interchange file; a file
    without splits is all train."""
    found: dict[str, list[GoldDocument]] = {"train": [], "dev": [], "test": []}
    if gold.release is not None:
        for document in gold.documents():
            if document.split not in found:
                raise DataError(f"document {document.id!r} has no split", path=gold.path)
            found[document.split].append(document)
        return found
    from curate.gold.items import GOLD, GoldDocument

    for record in read(gold.path, source=GOLD):
        split = record.document.metadata.get("split", "train")
        if split not in found:
            raise DataError(
                f"meta.split is {split!r}; it must be train, dev or test",
                path=gold.path,
                line=record.line,
            )
        found[split].append(GoldDocument(record.document, record.annotation, split=split))
    return found


def checked_splits(gold: GoldSet, schema: LabelSchema) -> dict[str, list[GoldDocument]]:
    """:func:`splits_of`, each document with its near-duplicate group.

    A release brings its groups; those of a file are found here.  Raises DataError for gold that
    does not fit the schema, or of which texts stand in two splits.
    """
    splits = splits_of(gold)
    for documents in splits.values():
        for one in documents:
            try:
                check_fit(one.annotation, one.document.text, schema)
            except DataError as error:
                raise error.at(gold.path) from None
    if gold.release is None:
        splits = _grouped(splits)
    try:
        check_leaks(splits)
    except DataError as error:
        raise error.at(gold.path) from None
    return splits


def _grouped(splits: Mapping[str, Sequence[GoldDocument]]) -> dict[str, list[GoldDocument]]:
    from curate.similarity import groups, near_duplicate_pairs

    texts = {g.id: g.document.text for documents in splits.values() for g in documents}
    links = [(pair.a, pair.b) for pair in near_duplicate_pairs(texts)]
    # passages of one document belong together; NUL is in no id
    links += [
        (g.id, f"\0{g.document.parent}")
        for documents in splits.values()
        for g in documents
        if g.document.parent is not None
    ]
    found = groups(texts, links)
    return {
        split: [replace(g, group=found[g.id]) for g in documents]
        for split, documents in splits.items()
    }


def train(
    gold: GoldSet,
    schema: LabelSchema,
    models: Path,
    reporter: Reporter,
    *,
    name: str = "",
    settings: TrainSettings | None = None,
    raw: Sequence[str] = (),
    auto: float | None = None,
    aids: Aids = NO_AIDS,
) -> Trained:
    """Train on ``gold``, score dev and, once, test, and publish the model whole.

    Where a model of this name was made from the same gold, schema, settings, texts and versions,
    it is the answer, and nothing is trained.
    ``raw`` are texts of the workspace without gold; a text that stands in dev or test is not used.
    ``auto``: the margin of a promotion to try afterwards (:func:`curate.flows.models.promote`).
    ``aids``: what the entity model may lean on beside gold.
    Raises UsageError for a bad name, DataError for gold that does not fit the schema or leaks.
    """
    done = _train(gold, schema, models, reporter, name, settings, raw, auto is not None, aids)
    if auto is None:
        return done
    from curate.flows.models import promote

    reporter.step(f"comparing {done.card.reference} with the champion")
    found = promote(models, done.card.reference, gold, schema, margin=auto)
    return replace(done, promotion=found)


def settings_from(models: Path, reference: str) -> TrainSettings:
    """The settings that a model of the workspace was trained with, tuned ones among them.

    Raises UsageError where there is no such model, or its config file is not known any more.
    """
    found = _models.find(models, reference)
    if found is None:
        known = ", ".join(card.reference for _, card in _models.cards(models)) or "none yet"
        raise UsageError(f"--from {reference!r} is no model of this workspace; there are: {known}")
    used = found[1].settings
    if used.get("config"):
        raise UsageError(
            f"{found[1].reference} was trained by a spaCy config ({used['config']['file']}); "
            "name that file with --config instead"
        )
    told = dict(used.get("asked", used)) | dict(used.get("tuning", {}).get("chosen", {}))
    names = {field.name for field in fields(TrainSettings)} - {"tune", "config"}
    return TrainSettings(**{key: value for key, value in told.items() if key in names})


def _train(
    gold: GoldSet,
    schema: LabelSchema,
    models: Path,
    reporter: Reporter,
    name: str,
    settings: TrainSettings | None,
    raw: Sequence[str],
    auto: bool,
    aids: Aids,
) -> Trained:
    chosen = settings or TrainSettings()
    name = name or schema.name
    if not name.replace("-", "").replace("_", "").isalnum():
        raise UsageError(f"{name!r} is no name for a model; use {NAMES}")
    by_spacy = chosen.config is not None or chosen.extractor != "crf"
    if chosen.tune and by_spacy:
        raise UsageError("--tune is for the extractor `crf`; spaCy's settings stand in its config")
    splits = checked_splits(gold, schema)
    if auto and not splits["test"]:
        raise DataError(
            "there is no test split to judge the model by; leave --auto out", path=gold.path
        )
    notes = [*check_support(splits["train"], schema), *_judged(splits, schema)]
    for note in notes:
        reporter.warn(note)
    if not splits["test"]:
        notes.append("there is no test split: the model was not scored")
    held = {g.document.digest for split in ("dev", "test") for g in splits[split]}
    from curate.model import digest_of

    texts = sorted({text for text in raw if digest_of(text) not in held})
    made_from = recipe(splits, schema, chosen, texts, versions(), aids)
    for folder, card in _models.cards(models):
        if card.name == name and card.recipe == made_from:
            reporter.step(f"{card.reference} was trained on just this, with this seed")
            return Trained(folder, card, fresh=False)
    reporter.step(
        f"training on {len(splits['train'])} documents of {gold.name}"
        + (f", {len(splits['dev'])} for dev" if splits["dev"] else "")
    )
    models.mkdir(parents=True, exist_ok=True)
    _models.sweep(models)
    plan = [] if by_spacy else _plan(splits, chosen)
    with (
        tempfile.TemporaryDirectory(prefix="curate-train-") as work,
        reporter.progress("train", sum(share for _, share in plan) or None) as advance,
    ):
        tick = Steps(plan, reporter.step, advance)
        tuned = None
        if chosen.tune and not by_spacy:
            tuned = tune(splits["train"], splits["dev"], schema, chosen, tick=tick, aids=aids)
        done = learn(
            splits["train"],
            splits["dev"],
            schema,
            chosen if tuned is None else tuned.settings,
            raw=texts,
            tick=tick,
            work=Path(work),
            aids=aids,
        )
        if not by_spacy:
            tick(SCORES)
        version = _models.next_version(models, name)
        source = Source.model(name, version)
        scores = {
            split: _scores(done.nlp, splits[split], schema, source)
            for split in ("dev", "test")
            if splits[split]
        }
        with _models.publishing(models, name, version) as folder:
            _meta(done.nlp, name, version)
            done.nlp.to_disk(folder)
            card = Card(
                name=name,
                version=version,
                digest=_models.digest_of_folder(folder),
                extractor=chosen.extractor if chosen.config is None else "config",
                schema=schema.digest,
                language=schema.language,
                labels=schema.entity_labels,
                relations=schema.relation_labels if done.nlp.has_pipe(RELATIONS) else (),
                release={
                    "name": gold.name,
                    "version": gold.version,
                    "digest": gold.digest,
                },
                settings=dict(done.settings)
                | ({} if tuned is None else {"tuning": tuned.as_json()})
                | {"asked": asdict(chosen) | {"config": None}, "versions": versions()},
                scores=scores,
                counts=_counts(splits) | dict(done.counts),
                notes=(*notes, *done.notes),
                looks=looks_at(models, gold) + bool(splits["test"]),
                recipe=made_from,
            )
            _models.write_card(folder, card)
    return Trained(models / f"{name}-{version}", card)


def _plan(
    splits: Mapping[str, Sequence[GoldDocument]], chosen: TrainSettings
) -> list[tuple[str, int]]:
    from curate.extractors.crf_ner import FEW

    train = splits["train"]
    related = any(gold.annotation.relations for gold in train)
    return planned(
        dev=bool(splits["dev"]),
        few=len(train) <= FEW,
        relations=related,
        clusters=chosen.clusters != 0,
        tuned=tries(chosen, related) if chosen.tune else (),
    )


def _judged(splits: Mapping[str, Sequence[GoldDocument]], schema: LabelSchema) -> list[str]:
    """Which labels the test split cannot judge, in a sentence."""
    if not splits["test"]:
        return []
    train, test = (mentions(splits[split]) for split in ("train", "test"))
    none = [x for x in (*schema.entity_labels, *schema.relation_labels) if train[x] and not test[x]]
    if not none:
        return []
    return [f"no example in test, its scores say nothing of: {', '.join(none)}"]


def mentions(documents: Sequence[GoldDocument]) -> Counter[str]:
    """How often each entity label and relation type occurs."""
    labels: Counter[str] = Counter()
    for gold in documents:
        labels.update(e.label for e in gold.annotation.entities)
        labels.update(r.label for r in gold.annotation.relations)
    return labels


def _scores(
    nlp: Any, documents: Sequence[GoldDocument], schema: LabelSchema, source: Source
) -> dict[str, Any]:
    from curate.scoring import score
    from curate.scoring.promotion import edits_of

    said = {a.document_id: a for a in predict(nlp, [g.document for g in documents], source)}
    result = score(
        [(g.annotation, said[g.id]) for g in sorted(documents, key=lambda g: g.id)],
        schema=schema,
        draws=1000,
    )
    entities, relations = result.entities, result.relations
    return {
        "documents": result.documents,
        "entities": _headline(entities.measures["strict"].as_json()),
        "relations": _headline(relations.measures["boundaries"].as_json()),
        "edits": edits_of(result.tally).as_json(),
        "per_label": {
            label: None if measure.f1 is None else round(measure.f1, 4)
            for part in (entities, relations)
            for label, measure in part.per_label.items()
        },
    }


def _headline(measure: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: round(value, 4)
        if isinstance(value, float)
        else [round(x, 4) for x in value]
        if isinstance(value, list)
        else value
        for key, value in measure.items()
    }


def _counts(splits: Mapping[str, Sequence[GoldDocument]]) -> dict[str, Any]:
    return {
        "documents": {split: len(documents) for split, documents in splits.items()},
        "train": dict(sorted(mentions(splits["train"]).items())),
    }


def _meta(nlp: Any, name: str, version: str) -> None:
    nlp.meta["name"] = name.replace("-", "_")
    nlp.meta["version"] = f"{version}.0.0" if version.isdigit() else version
    nlp.meta["description"] = "trained by curate; see model.json"


def versions() -> dict[str, str]:
    """The versions of what training depends on, for the card."""
    return {name: installed(name) for name in ("curate", "spacy", "python-crfsuite", "scipy")}
