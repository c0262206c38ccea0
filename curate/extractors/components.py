"""curate's spaCy components: ``crf_ner`` and ``relation_classifier``.

Both learn inside ``initialize()``, so that ``spacy train`` works on them as it is; both keep their
models as plain files, survive pickling, ``nlp.pipe`` and ``n_process``.  What they find stands in
``doc.ents``, ``doc.spans["entities"]`` and ``doc.user_data["curate"]`` in the form of
:mod:`curate.gold.formats.spacy`, with ``entity_scores`` and ``relation_scores`` beside it.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Span

from curate.errors import DataError
from curate.extractors.calibration import isotonic
from curate.extractors.clusters import learn_clusters
from curate.extractors.crf import CrfModel, CrfSettings, Mention, Scored
from curate.extractors.features import Text
from curate.extractors.gazetteers import NameLists, read_lists, shipped
from curate.extractors.pairs import Place
from curate.extractors.relations import RelationModel, RelationSettings, Triple
from curate.extractors.rules import available, files_of
from curate.extractors.stacking import RuleStack
from curate.gold.formats.spacy import SPAN_GROUP, USER_DATA, without_overlaps
from curate.gold.formats.spacy import register as register_extensions
from curate.model import Entity
from curate.schema import RelationType
from curate.tokenization import of_doc, sentences
from curate.tokenization import register as register_tokenizer


def register() -> None:
    """Make spaCy know the components, the tokenizer and the extensions of ``Doc``.

    Importing this module registered the components.
    """
    register_tokenizer()
    register_extensions()


@Language.factory(
    "crf_ner",
    assigns=["doc.ents"],
    default_config={
        "language": "",
        "rules": "",
        "c1": 0.03,
        "c2": 0.05,
        "iterations": 100,
        "swaps": 1,
        "gazetteer": True,
        "consistency": True,
        "clusters": 0,
        "names": True,
        "gazetteers": "",
        "calibrate": True,
        "seed": 0,
    },
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0},
)
def make_crf_ner(
    nlp: Language,
    name: str,
    language: str,
    rules: str,
    c1: float,
    c2: float,
    iterations: int,
    swaps: int,
    gazetteer: bool,
    consistency: bool,
    clusters: int,
    names: bool,
    gazetteers: str,
    calibrate: bool,
    seed: int,
) -> CrfNer:
    """``rules`` names the bootstrap data to stack (``sahel``; empty: none); ``clusters`` how many
    word clusters to learn from the texts; ``names`` uses the lists of names that ship for the
    language, ``gazetteers`` a folder of lists of your own; ``calibrate`` holds a fifth of the
    examples out once."""
    settings = CrfSettings(
        c1=c1,
        c2=c2,
        iterations=iterations,
        swaps=swaps,
        gazetteer=gazetteer,
        consistency=consistency,
        seed=seed,
    )
    made = CrfNer(name, language or str(nlp.lang), rules, settings, clusters, calibrate)
    made.shipped_names = names
    made.gazetteers = gazetteers
    return made


@Language.factory(
    "relation_classifier",
    default_config={
        "language": "",
        "rules": "",
        "types": [],
        "window": 1,
        "l2": 2.0,
        "least": 2,
        "folds": 4,
        "precision": None,
        "seed": 0,
    },
    default_score_weights={"rels_f": 1.0, "rels_p": 0.0, "rels_r": 0.0},
)
def make_relation_classifier(
    nlp: Language,
    name: str,
    language: str,
    rules: str,
    types: list[dict[str, Any]],
    window: int,
    l2: float,
    least: int,
    folds: int,
    precision: float | None,
    seed: int,
) -> RelationClassifier:
    """``types`` are the schema's relation types as in its YAML (name, head, tail, symmetric,
    same_label); empty: what the examples hold."""
    settings = RelationSettings(
        window=window, l2=l2, least=least, folds=folds, precision=precision, seed=seed
    )
    return RelationClassifier(name, language or str(nlp.lang), rules, types, settings)


_LAST: list[tuple[Any, tuple[str, int], Text]] = []
"""The Doc read last, as the models see it."""


def text_of(doc: Any, language: str) -> Text:
    """The tokens of a Doc without white space, as the models read them."""
    # The components of a pipeline ask about the same Doc one after the other.
    if _LAST and _LAST[0][0] is doc and _LAST[0][1] == (language, len(doc)):
        last: Text = _LAST[0][2]
        return Text(last.text, last.tokens, last.words, last.sentences)
    known = of_doc(doc)
    if known is not None:
        text, spans = known
    else:
        text = doc.text
        spans = [
            (start, start + length)
            for start, length in doc.to_array(["IDX", "LENGTH"]).tolist()
            if not text[start : start + length].isspace()
        ]
    words = [text[start:end] for start, end in spans]
    made = Text(text, spans, words, sentences(text, spans))
    _LAST[:] = [(doc, (language, len(doc)), made)]
    return made


def gold_of(doc: Any) -> tuple[list[tuple[int, int, str]], list[Triple]]:
    """The entities (in code points) and relations of a reference Doc."""
    data = doc.user_data.get(USER_DATA)
    if isinstance(data, dict) and "entities" in data:
        entities = [(int(a), int(b), str(label)) for a, b, label in data["entities"]]
        return entities, [(int(h), int(t), str(label)) for h, t, label in data["relations"]]
    group = doc.spans.get(SPAN_GROUP, doc.ents)
    return [(s.start_char, s.end_char, s.label_) for s in group], []


def entities_of(doc: Any) -> list[Entity]:
    """The entities that an earlier component found in a Doc."""
    data = doc.user_data.get(USER_DATA)
    if isinstance(data, dict) and "entities" in data:
        scores = data.get("entity_scores") or [None] * len(data["entities"])
        rows = zip(data["entities"], scores, strict=True)
        return [Entity(start, end, label, score) for (start, end, label), score in rows]
    group = doc.spans.get(SPAN_GROUP, doc.ents)
    return sorted({Entity(s.start_char, s.end_char, s.label_) for s in group}, key=lambda e: e.key)


class _Component(ABC):
    """What both components share: spaCy's manners, the stacked rules, files on disk."""

    is_trainable = True
    model = True
    """spaCy asks for it; there is no thinc model."""

    def __init__(self, name: str, language: str, rules: str) -> None:
        self.name = name
        self.language = language
        self.stack: RuleStack | None = None
        if rules:
            if (language, rules) not in available():
                raise DataError(f"there are no bootstrap rules {rules!r} in language {language!r}")
            self.stack = RuleStack(language, rules, files_of(language, rules))

    def read(self, doc: Any) -> Text:
        text = text_of(doc, self.language)
        if self.stack is not None:
            self.stack.put_on(text)
        return text

    def pipe(self, stream: Iterable[Any], *, batch_size: int = 128) -> Iterator[Any]:
        for doc in stream:
            yield self(doc)

    @abstractmethod
    def __call__(self, doc: Any) -> Any:
        """The Doc with what the component found."""

    def update(
        self,
        examples: Iterable[Any],
        *,
        drop: float = 0.0,
        sgd: Any = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Nothing is left to learn after ``initialize``."""
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        return losses

    def finish_update(self, sgd: Any) -> None:
        """There are no gradients: whatever optimizer comes is not used."""
        del sgd

    def _files(self) -> dict[str, bytes]:
        files: dict[str, bytes] = {}
        if self.stack is not None:
            meta = {"language": self.stack.language, "schema": self.stack.schema}
            files["stack.json"] = json.dumps(meta, sort_keys=True).encode()
            for name, text in self.stack.files.items():
                files[f"rules-{name}"] = text.encode("utf-8")
        return files

    def _take(self, files: Mapping[str, bytes]) -> None:
        self.stack = None
        if "stack.json" in files:
            meta = json.loads(files["stack.json"])
            texts = {
                name.removeprefix("rules-"): data.decode("utf-8")
                for name, data in files.items()
                if name.startswith("rules-")
            }
            self.stack = RuleStack(meta["language"], meta["schema"], texts)

    def to_disk(self, path: Path | str, *, exclude: Iterable[str] = ()) -> None:
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self._files().items():
            (folder / name).write_bytes(data)

    def from_disk(self, path: Path | str, *, exclude: Iterable[str] = ()) -> Any:
        self._take({file.name: file.read_bytes() for file in sorted(Path(path).iterdir())})
        return self

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        import srsly

        return bytes(srsly.msgpack_dumps(self._files()))

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Any:
        import srsly

        self._take(srsly.msgpack_loads(data))
        return self


class CrfNer(_Component):
    """Entities, nested ones too, with calibrated scores; see :mod:`curate.extractors.crf`."""

    def __init__(
        self,
        name: str,
        language: str,
        rules: str,
        settings: CrfSettings,
        clusters: int,
        calibrate: bool,
    ) -> None:
        super().__init__(name, language, rules)
        self.settings, self.clusters, self.calibrate_alone = settings, clusters, calibrate
        self.shipped_names = True
        self.gazetteers = ""
        self.own_names: Mapping[str, Sequence[str]] = {}
        """Lists of names beside those of the folder ``gazetteers``: kind → names."""
        self.crf = CrfModel(settings, {})
        self.misaligned: list[str] = []
        """Entities of gold that cut a token and could not be learned, for the report."""

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.crf.labels) if self.crf.layers else ()

    def add_label(self, label: str) -> int:
        """Labels come from the examples; a label without examples cannot be learned."""
        return 0

    def __call__(self, doc: Any) -> Any:
        text = self.read(doc)
        found = self.crf.annotate(text)
        if self.stack is not None and self.crf.trusted:
            found = self.crf.supplement(found, self.stack.token_mentions(text))
        rows = sorted(
            (text.tokens[m.first][0], text.tokens[m.end - 1][1], m.label, m.score) for m in found
        )
        doc.user_data[USER_DATA] = {
            "entities": [[a, b, label] for a, b, label, _ in rows],
            "entity_scores": [score for *_, score in rows],
            "relations": [],
            "relation_scores": [],
            "misaligned": [],
        }
        set_spans(doc, rows)
        return doc

    def initialize(
        self, get_examples: Callable[[], Iterable[Any]], *, nlp: Any = None, labels: Any = None
    ) -> None:
        """Learn from the examples, from scratch."""
        self.learn([(e.predicted, e.reference) for e in get_examples()])

    def learn(
        self,
        pairs: Sequence[tuple[Any, Any]],
        raw: Iterable[str] = (),
        tick: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Learn from ``(Doc to read, Doc with gold)``; ``raw`` are more texts for the clusters."""
        gold = self.prepared(pairs)
        names = self.name_lists()
        clusters: dict[str, str] = {}
        if self.clusters:
            tick("word clusters")
            texts = [text.words for text, _ in gold]
            from curate.tokenization import tokenize

            texts += [[t[a:b] for a, b in tokenize(t, self.language)] for t in raw]
            clusters = learn_clusters(texts, self.clusters, self.settings.seed)
        curve = None
        if self.calibrate_alone and len(gold) >= 10:
            probe = CrfModel(self.settings, clusters, names)
            probe.fit([pair for i, pair in enumerate(gold) if i % 5])
            curve = calibrated(probe, gold[::5])
        self.crf = CrfModel(self.settings, clusters, names)
        self.crf.fit(gold, tick)
        if self.stack is not None:
            self.crf.learn_trust(
                [(self.stack.token_mentions(text), mentions) for text, mentions in gold]
            )
        if curve is not None:
            self.crf.curve = curve

    def name_lists(self) -> NameLists:
        """The lists that ship for the language and those of the user."""
        kinds: dict[str, list[str]] = {}
        lists = [shipped(self.language) if self.shipped_names else {}, self.own_names]
        if self.gazetteers:
            lists.append(read_lists(Path(self.gazetteers)))
        for found in lists:
            for kind, names in found.items():
                kinds.setdefault(kind, []).extend(names)
        return NameLists(kinds, self.language)

    def prepared(self, pairs: Sequence[tuple[Any, Any]]) -> list[tuple[Text, list[Mention]]]:
        self.misaligned = []
        made = []
        for doc, reference in pairs:
            text = self.read(doc)
            starts = {start: i for i, (start, _) in enumerate(text.tokens)}
            ends = {end: i + 1 for i, (_, end) in enumerate(text.tokens)}
            mentions = []
            for a, b, label in gold_of(reference)[0]:
                if a in starts and b in ends:
                    mentions.append((starts[a], ends[b], label))
                else:
                    self.misaligned.append(f"{label} {text.text[a:b]!r}")
            made.append((text, mentions))
        return made

    def calibrate(self, pairs: Sequence[tuple[Any, Any]]) -> None:
        """Set the curve from documents that were not learned from."""
        self.crf.curve = calibrated(self.crf, self.prepared(pairs))

    def score(self, examples: Iterable[Any], **_: Any) -> dict[str, Any]:
        """Strict precision, recall and F1 of the entities, nested ones too."""
        right = found = wanted = 0
        for example in examples:
            gold = set(gold_of(example.reference)[0])
            predicted = {(a, b, c) for a, b, c in gold_of(example.predicted)[0]}
            right += len(gold & predicted)
            found += len(predicted)
            wanted += len(gold)
        return _scores("ents", right, found, wanted)

    def _files(self) -> dict[str, bytes]:
        return super()._files() | self.crf.as_files()

    def _take(self, files: Mapping[str, bytes]) -> None:
        super()._take(files)
        self.crf = CrfModel.from_files(files)
        self.settings = self.crf.settings


class RelationClassifier(_Component):
    """Relations between a Doc's entities; see :mod:`curate.extractors.relations`."""

    def __init__(
        self,
        name: str,
        language: str,
        rules: str,
        types: Sequence[Mapping[str, Any]],
        settings: RelationSettings,
    ) -> None:
        super().__init__(name, language, rules)
        self.settings = settings
        self.types = [relation_type(row) for row in types]
        self.relations = RelationModel(settings, self.types)
        self.entity_labels: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(t.name for t in self.relations.types)

    def place(self, doc: Any, entities: Sequence[Entity]) -> Place:
        text = text_of(doc, self.language)
        place = Place.of(text, entities)
        if self.stack is not None:
            labels = self.stack.labels_for(self.entity_labels)
            place.hints = self.stack.hints(text, entities, labels)
        return place

    def __call__(self, doc: Any) -> Any:
        entities = entities_of(doc)
        found = self.relations.relate(self.place(doc, entities)) if entities else []
        data = doc.user_data.get(USER_DATA)
        if not isinstance(data, dict) or "entities" not in data:
            data = {"misaligned": [], "entities": [[e.start, e.end, e.label] for e in entities]}
            doc.user_data[USER_DATA] = data
        data["relations"] = [[head, tail, label] for head, tail, label, _ in found]
        data["relation_scores"] = [score for *_, score in found]
        return doc

    def initialize(
        self, get_examples: Callable[[], Iterable[Any]], *, nlp: Any = None, labels: Any = None
    ) -> None:
        """Learn from the examples, from scratch."""
        self.learn([(e.predicted, e.reference) for e in get_examples()])

    def learn(
        self, pairs: Sequence[tuple[Any, Any]], tick: Callable[[str], None] = lambda _: None
    ) -> None:
        """Learn from ``(Doc to read, Doc with gold)``."""
        golds = [(doc, *gold_of(reference)) for doc, reference in pairs]
        self.entity_labels = tuple(sorted({e[2] for _, entities, _ in golds for e in entities}))
        types = self.types
        if not types:
            types = types_of([(entities, triples) for _, entities, triples in golds])
        gold = [
            (self.place(doc, [Entity(*e) for e in entities]), triples)
            for doc, entities, triples in golds
        ]
        self.relations = RelationModel(self.settings, types)
        self.relations.fit(gold, tick)

    def score(self, examples: Iterable[Any], **_: Any) -> dict[str, Any]:
        """Precision, recall and F1 of relations with both argument spans (``boundaries``)."""
        right = found = wanted = 0
        symmetric = self.relations.schema.symmetric
        for example in examples:
            gold = _triples(example.reference, symmetric)
            predicted = _triples(example.predicted, symmetric)
            right += len(gold & predicted)
            found += len(predicted)
            wanted += len(gold)
        return _scores("rels", right, found, wanted)

    def _files(self) -> dict[str, bytes]:
        meta = {"entity_labels": list(self.entity_labels)}
        files = {"labels.json": json.dumps(meta, sort_keys=True).encode()}
        return super()._files() | files | self.relations.as_files()

    def _take(self, files: Mapping[str, bytes]) -> None:
        super()._take(files)
        self.entity_labels = tuple(json.loads(files["labels.json"])["entity_labels"])
        self.relations = RelationModel.from_files(files)
        self.settings = self.relations.settings


def relation_type(row: Mapping[str, Any]) -> RelationType:
    """A relation type from its plain form.  Raises DataError where it is incomplete."""
    try:
        return RelationType(
            name=str(row["name"]),
            head=tuple(row["head"]),
            tail=tuple(row["tail"]),
            symmetric=bool(row.get("symmetric", False)),
            same_label=bool(row.get("same_label", False)),
        )
    except (KeyError, TypeError):
        raise DataError("a relation type needs name, head and tail") from None


def plain_types(types: Iterable[RelationType]) -> list[dict[str, Any]]:
    """The inverse of :func:`relation_type`."""
    keys = ("name", "head", "tail", "symmetric", "same_label")
    rows = [{k: v for k, v in asdict(t).items() if k in keys} for t in types]
    return [row | {"head": list(row["head"]), "tail": list(row["tail"])} for row in rows]


def types_of(golds: Sequence[tuple[Sequence[Any], Sequence[Triple]]]) -> list[RelationType]:
    """The relation types that occur, with the labels that they link."""
    seen: dict[str, tuple[set[str], set[str]]] = {}
    for entities, triples in golds:
        for head, tail, label in triples:
            heads, tails = seen.setdefault(label, (set(), set()))
            heads.add(entities[head][2])
            tails.add(entities[tail][2])
    return [
        RelationType(name, tuple(sorted(heads)), tuple(sorted(tails)))
        for name, (heads, tails) in sorted(seen.items())
    ]


def set_spans(doc: Any, rows: Sequence[tuple[int, int, str, float]]) -> None:
    """Put entities on the Doc: all into the span group with their scores, flat ones into ents."""
    places = doc.to_array(["IDX", "LENGTH"]).tolist()
    starts = {start: i for i, (start, _) in enumerate(places)}
    ends = {start + length: i + 1 for i, (start, length) in enumerate(places)}
    spans = [Span(doc, starts[a], ends[b], label=label) for a, b, label, _ in rows]
    doc.spans[SPAN_GROUP] = spans
    doc.spans[SPAN_GROUP].attrs["scores"] = [score for *_, score in rows]
    doc.ents = without_overlaps(spans)


def calibrated(model: CrfModel, gold: Sequence[tuple[Text, Sequence[Mention]]]) -> Any:
    """The curve from the raw confidence of a model's mentions to the share that is in gold."""
    scores: list[float] = []
    right: list[bool] = []
    for text, mentions in gold:
        known = set(mentions)
        for found in model.annotate(text):
            scores.append(found.raw)
            right.append((found.first, found.end, found.label) in known)
    return isotonic(scores, right)


def _triples(doc: Any, symmetric: frozenset[str]) -> set[tuple[Any, ...]]:
    entities, triples = gold_of(doc)
    made = set()
    for head, tail, label in triples:
        pair = [tuple(entities[head][:2]), tuple(entities[tail][:2])]
        made.add((label, *(sorted(pair) if label in symmetric else pair)))
    return made


def _scores(prefix: str, right: int, found: int, wanted: int) -> dict[str, Any]:
    return {
        f"{prefix}_p": right / found if found else None,
        f"{prefix}_r": right / wanted if wanted else None,
        f"{prefix}_f": 2 * right / (found + wanted) if found + wanted else None,
    }


__all__ = ["CrfNer", "RelationClassifier", "Scored", "register"]
