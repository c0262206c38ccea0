"""Training: from gold documents to a spaCy pipeline directory with its card.

The same documents, settings and seed give the same bytes.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import ConfigurationError, DataError
from curate.extractors.bootstrap import Bootstrap
from curate.extractors.gazetteers import read_lists, shipped
from curate.extractors.rules import available
from curate.interchange import canonical_json, dump_line
from curate.model import Annotation, Document, Source
from curate.schema import LabelSchema

if TYPE_CHECKING:
    from curate.extractors.stacking import ModelStack
    from curate.gold.items import GoldDocument

LITTLE = 5
"""Fewer examples of a label are named in the report: it will hardly be learned."""
RAW_LIMIT = 20_000_000
"""Characters of raw text that word clusters are learned from."""
CLUSTERED_FROM = 150_000
"""With fewer characters of text clusters are noise, and none are learned."""


@dataclass(frozen=True)
class TrainSettings:
    """How to train; written to the card as it is.

    ``extractor``: ``crf``, or spaCy's own ``ner`` or ``spancat``, each with relations; ``steps``
    bounds the latter two.  ``config``: a spaCy training config instead.  ``rules``: the bootstrap
    data to stack, None: those for the schema, where there are any; empty: none.  ``clusters``: how
    many word clusters, None: by the amount of text.  ``c1`` and ``c2``: the CRF's penalties, None:
    the component's own.  ``names``: use the lists of names that ship for the language.  ``tune``:
    choose ``c1``, ``c2``, ``window`` and ``l2`` (:mod:`curate.extractors.tuning`).  ``precision``:
    thresholds of relations for that precision instead of the best F1.
    """

    extractor: str = "crf"
    seed: int = 0
    rules: str | None = None
    clusters: int | None = None
    swaps: int = 1
    window: int = 1
    l2: float = 2.0
    c1: float | None = None
    c2: float | None = None
    names: bool = True
    config: str | None = None
    steps: int | None = None
    tune: bool = False
    precision: float | None = None


@dataclass(frozen=True)
class Aids:
    """What a model may lean on beside gold.

    ``names``: the user's gazetteers, kind → names.  ``stacked``: another pipeline, whose tags the
    entity model sees.
    """

    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    stacked: ModelStack | None = None

    @property
    def digest(self) -> str:
        """SHA-256 over all of it; empty where there is nothing."""
        if not self.names and self.stacked is None:
            return ""
        told: dict[str, Any] = {kind: sorted(set(names)) for kind, names in self.names.items()}
        stacked = None if self.stacked is None else self.stacked.identity
        return hashlib.sha256(canonical_json({"names": told, "stacked": stacked})).hexdigest()

    def check(self, train: Sequence[GoldDocument]) -> None:
        """Raises DataError where the stacked model learned from documents of ``train``."""
        if self.stacked is None:
            return
        seen = set(self.stacked.learned_from)
        both = [gold.id for gold in train if gold.document.digest[:16] in seen]
        if both:
            raise DataError(
                f"{self.stacked.name}@{self.stacked.version} learned from {len(both)} of the "
                f"training documents ({both[0]!r} first): on them its tags are better than they "
                "will ever be again; stack a model that was trained on other documents"
            )


NO_AIDS = Aids()


def aids_for(
    gazetteers: Path, models: Path, *, stack: str | None = None, like: str | None = None
) -> Aids:
    """The lists in the folder ``gazetteers`` and the model to stack: ``stack``, a model of the
    workspace or a pipeline's folder, else the one that the model ``like`` carries.

    Raises ConfigurationError where there is no such model.
    """
    from curate.extractors.registry import pipeline_folder
    from curate.extractors.stacking import ModelStack

    names = read_lists(gazetteers)
    if stack is not None:
        return Aids(names, ModelStack.of(pipeline_folder(stack, models)))
    if like is not None:
        return Aids(names, ModelStack.inside(pipeline_folder(like, models)))
    return Aids(names)


@dataclass(frozen=True)
class Learned:
    """A trained pipeline and what there is to say about how it was learned."""

    nlp: Any
    settings: Mapping[str, Any]
    counts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


Tick = Callable[[str], None]


def check_support(train: Sequence[GoldDocument], schema: LabelSchema) -> list[str]:
    """What of the training data is too little, one sentence each.

    Raises DataError where there is nothing to learn from.
    """
    if not train:
        raise DataError("there is no document to train on; the train split is empty")
    counts: Counter[str] = Counter()
    for gold in train:
        counts.update(e.label for e in gold.annotation.entities)
        counts.update(r.label for r in gold.annotation.relations)
    if not any(counts[label] for label in schema.entity_labels):
        raise DataError("the training documents hold no entity; nothing can be learned")
    notes = []
    none = [x for x in (*schema.entity_labels, *schema.relation_labels) if not counts[x]]
    few = [
        f"{label} ({counts[label]})"
        for label in (*schema.entity_labels, *schema.relation_labels)
        if 0 < counts[label] < LITTLE
    ]
    if none:
        notes.append(f"no example in train, cannot be learned: {', '.join(none)}")
    if few:
        notes.append(f"fewer than {LITTLE} examples in train: {', '.join(few)}")
    return notes


def check_leaks(splits: Mapping[str, Sequence[GoldDocument]]) -> None:
    """Raises DataError where a text or a near-duplicate group stands in two splits."""
    seen: dict[str, tuple[str, str]] = {}
    for split in sorted(splits):
        for gold in splits[split]:
            for key in (f"text {gold.document.digest}", f"group {gold.group}"):
                if key == "group ":
                    continue
                other, name = seen.setdefault(key, (split, gold.id))
                if other != split:
                    raise DataError(
                        f"documents {name!r} ({other}) and {gold.id!r} ({split}) are the same or "
                        "near-duplicates: the scores would be too good; build the release anew, or "
                        "give both the same meta.split in a file"
                    )


def learn(
    train: Sequence[GoldDocument],
    dev: Sequence[GoldDocument],
    schema: LabelSchema,
    settings: TrainSettings,
    *,
    raw: Sequence[str] = (),
    tick: Tick = lambda _: None,
    work: Path | None = None,
    calibrate: bool = True,
    aids: Aids = NO_AIDS,
) -> Learned:
    """Train a pipeline; ``raw`` are texts without gold, ``work`` a folder for spaCy's own training,
    ``aids`` what the entity model may lean on.

    Without ``calibrate`` the scores of mentions are left as they come, which saves a training where
    there is no ``dev``.

    Raises DataError or ConfigurationError where the data or the settings do not allow it.
    """
    aids.check(train)
    _seed(settings.seed)
    if settings.extractor == "crf" and settings.config is None:
        return _learn_crf(train, dev, schema, settings, raw, tick, calibrate, aids)
    if settings.config is None and settings.extractor not in ("ner", "spancat"):
        raise ConfigurationError(
            f"there is no extractor {settings.extractor!r} to train; there are `crf`, `ner` and "
            "`spancat`, and --config takes any spaCy training config"
        )
    from curate.extractors.spacy_train import learn_spacy

    if aids.stacked is not None:
        raise ConfigurationError("only the extractor `crf` can stack another model")
    if work is None:
        raise ConfigurationError("spaCy's own training needs a folder to work in")
    nlp, notes = learn_spacy(train, dev, schema, settings, work, tick)
    used = asdict(settings)
    counts: dict[str, Any] = {}
    if settings.config is None:
        rules = rules_for(schema) if settings.rules is None else settings.rules
        used["rules"] = rules
        if any(gold.annotation.relations for gold in train):
            counts = _add_relations(nlp, _pairs(nlp, train), schema, settings, rules, tick)
    else:
        path = Path(settings.config)
        used["config"] = {"file": path.name, "sha256": file_digest(path)}
    return Learned(nlp, used, counts, tuple(notes))


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _pairs(nlp: Any, documents: Sequence[GoldDocument]) -> list[tuple[Any, Any]]:
    """``(Doc to read, Doc with gold)`` of each document."""
    from curate.gold.formats.spacy import annotate

    made = []
    for gold in sorted(documents, key=lambda g: g.id):
        reference = nlp.make_doc(gold.document.text)
        annotate(reference, gold.annotation)
        made.append((nlp.make_doc(gold.document.text), reference))
    return made


def learn_relations(
    train: Sequence[GoldDocument],
    schema: LabelSchema,
    settings: TrainSettings,
    *,
    chains: bool = False,
) -> Any:
    """A pipeline of a ``relation_classifier`` alone, for entities that are given.

    Without ``chains`` those of gold are left out: what is pre-annotated has none.
    """
    from curate.extractors.components import register
    from curate.gold.formats.spacy import blank

    register()
    nlp = blank(schema.language)
    rules = rules_for(schema) if settings.rules is None else settings.rules
    if not chains:
        train = [replace(g, annotation=replace(g.annotation, chains=())) for g in train]
    _add_relations(nlp, _pairs(nlp, train), schema, settings, rules, lambda _: None)
    return nlp


def related(nlp: Any, gold: GoldDocument) -> Annotation:
    """The relations that a pipeline finds between the entities, or the chains, of gold."""
    from curate.extractors.spacy import annotation_of_doc
    from curate.gold.formats.spacy import annotate

    doc = nlp.make_doc(gold.document.text)
    annotate(doc, gold.annotation)
    for _, component in nlp.pipeline:
        doc = component(doc)
    return annotation_of_doc(doc, gold.id, Source.model("given"))


def _add_relations(
    nlp: Any,
    taught: Sequence[tuple[Any, Any]],
    schema: LabelSchema,
    settings: TrainSettings,
    rules: str,
    tick: Tick,
) -> dict[str, Any]:
    """Add a ``relation_classifier`` learned from what is taught; what there is to say about it."""
    from curate.extractors.components import plain_types

    component: Any = nlp.add_pipe(
        "relation_classifier",
        config={
            "language": schema.language,
            "rules": rules,
            "types": plain_types(schema.relations),
            "window": settings.window,
            "l2": settings.l2,
            "precision": settings.precision,
            "seed": settings.seed,
        },
    )
    component.learn(taught, tick)
    return {
        "relations_out_of_reach": component.relations.unreachable,
        "thresholds": dict(component.relations.thresholds),
    }


def _learn_crf(
    train: Sequence[GoldDocument],
    dev: Sequence[GoldDocument],
    schema: LabelSchema,
    settings: TrainSettings,
    raw: Sequence[str],
    tick: Tick,
    calibrate: bool,
    aids: Aids,
) -> Learned:
    from curate.extractors.components import CrfNer, register
    from curate.gold.formats.spacy import blank
    from curate.tokenization import TOKENIZER_NAME, make_tokenizer

    register()
    nlp = blank(schema.language)
    nlp.config["nlp"]["tokenizer"] = {"@tokenizers": TOKENIZER_NAME, "language": schema.language}
    nlp.tokenizer = make_tokenizer(schema.language)(nlp)
    rules = rules_for(schema) if settings.rules is None else settings.rules
    size = sum(len(g.document.text) for g in train) + sum(map(len, raw))
    clusters = settings.clusters
    if clusters is None:
        clusters = 150 if size >= CLUSTERED_FROM else 0
    crf: Any = nlp.add_pipe(
        "crf_ner",
        config={
            "language": schema.language,
            "rules": rules,
            "swaps": settings.swaps,
            "clusters": clusters,
            "names": settings.names,
            "calibrate": calibrate and not dev,
            "seed": settings.seed,
        }
        | {key: value for key in ("c1", "c2") if (value := getattr(settings, key)) is not None},
    )
    assert isinstance(crf, CrfNer)
    crf.own_names, crf.model_stack = aids.names, aids.stacked

    taught = _pairs(nlp, train)
    crf.learn(taught, _bounded(raw), tick)
    notes = [f"entity cuts a token and was not learned: {what}" for what in crf.misaligned]
    counts: dict[str, Any] = {"misaligned": len(crf.misaligned), "crossing": crf.crf.left_out}
    if dev and calibrate:
        tick("calibration")
        crf.calibrate(_pairs(nlp, dev))
    counts["names"] = {kind: len(names) for kind, names in crf.crf.names.kinds.items()}
    counts["rules_that_speak"] = {
        rule: {"as": voice.label, "right": voice.right, "of": voice.said}
        for rule, voice in crf.crf.voices.items()
        if voice.label
    }
    counts["calibrated"] = bool(crf.crf.curve.points)
    if any(gold.annotation.relations for gold in train):
        counts |= _add_relations(nlp, taught, schema, settings, rules, tick)
    used = asdict(settings) | {"rules": rules, "clusters": clusters}
    if aids.stacked is not None:
        used["stack"] = aids.stacked.identity
    return Learned(nlp, used, counts, tuple(notes))


def recipe(
    splits: Mapping[str, Sequence[GoldDocument]],
    schema: LabelSchema,
    settings: TrainSettings,
    raw: Sequence[str],
    versions: Mapping[str, str],
    aids: Aids = NO_AIDS,
) -> str:
    """SHA-256 over all that a model is made from: equal recipes give equal models."""
    digest = hashlib.sha256()

    def add(part: bytes) -> None:
        digest.update(len(part).to_bytes(8, "big") + part)

    config = file_digest(Path(settings.config)).encode() if settings.config else b""
    rules = Bootstrap(schema).digest if settings.rules != "" else ""
    told = asdict(settings) | {"config": None, "rules_digest": rules, "schema": schema.digest}
    lists = shipped(schema.language) if settings.names else {}
    told |= {"aids": aids.digest, "names_digest": Aids(lists).digest}
    add(canonical_json(told | {"versions": dict(versions)}))
    add(config)
    for split in sorted(splits):
        add(split.encode())
        for gold in sorted(splits[split], key=lambda one: one.id):
            add(dump_line(gold.document, gold.annotation))
    for text in sorted(raw):
        add(text.encode())
    return digest.hexdigest()


def rules_for(schema: LabelSchema) -> str:
    """The bootstrap data to stack for a schema: its own, else any of its language; or none."""
    offered = sorted(
        (name for language, name in available() if language == schema.language),
        key=lambda name: (name != schema.name, name),
    )
    return offered[0] if offered else ""


def _bounded(raw: Sequence[str]) -> Iterator[str]:
    room = RAW_LIMIT
    for text in raw:
        room -= len(text)
        if room < 0:
            return
        yield text


def _seed(seed: int) -> None:
    import numpy as np

    random.seed(seed)
    np.random.seed(seed % 2**32)


def predict(nlp: Any, documents: Sequence[Document], source: Source) -> Iterator[Annotation]:
    """What a pipeline says of the documents."""
    from curate.extractors.spacy import annotation_of_doc

    pairs = ((document.text, document.id) for document in documents)
    for doc, document_id in nlp.pipe(pairs, as_tuples=True):
        yield annotation_of_doc(doc, document_id, source)
