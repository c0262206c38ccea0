"""The trainable component ``crf_ner``."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from curate.extractors.calibration import Curve, isotonic
from curate.extractors.clusters import learn_clusters
from curate.extractors.component import Component, gold_of, measures, set_spans
from curate.extractors.crf import CrfModel, CrfSettings
from curate.extractors.ensemble import Mention, Scored, learn_voices, names_of, together
from curate.extractors.features import Text
from curate.extractors.gazetteers import NameLists, read_lists, shipped
from curate.extractors.stacking import ModelStack
from curate.gold.formats.spacy import USER_DATA

FEW = 40
"""Documents up to which every one of them serves calibration, by five models more."""


class CrfNer(Component):
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
        self.model_stack: ModelStack | None = None
        self._gold: list[tuple[Text, list[Mention]]] = []
        """What was learned from, until :meth:`calibrate`."""
        self.stack_from = ""
        """The folder of a pipeline to stack in ``initialize``."""
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

    def read(self, doc: Any) -> Text:
        text = super().read(doc)
        if self.model_stack is not None:
            self.model_stack.put_on(text)
        return text

    def pipe(self, stream: Iterable[Any], *, batch_size: int = 128) -> Iterator[Any]:
        if self.model_stack is None:
            yield from super().pipe(stream, batch_size=batch_size)
            return
        stream = iter(stream)
        while docs := list(islice(stream, batch_size)):
            self.model_stack.look(doc.text for doc in docs)
            yield from map(self, docs)

    def __call__(self, doc: Any) -> Any:
        text = self.read(doc)
        found = self.crf.annotate(text)
        if self.stack is not None and self.crf.voices:
            found = together(found, self.stack.claims(text), self.crf.voices)
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
        if self.stack_from:
            self.model_stack = ModelStack.of(Path(self.stack_from))
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
        held: list[Held] = []
        if self.calibrate_alone and len(gold) >= 10:
            # Little gold is read by models of the rest, fold by fold; of more a fifth is enough.
            tick("calibration")
            for fold in range(5 if len(gold) <= FEW else 1):
                probe = CrfModel(self.settings, clusters, names)
                rest = [pair for i, pair in enumerate(gold) if i % 5 != fold]
                probe.fit(rest)
                other = another(self.settings, rest)
                held += [Held.of(text, m, probe, other) for text, m in gold[fold::5]]
        elif not self.calibrate_alone:
            self._gold = gold
        self.crf = CrfModel(self.settings, clusters, names)
        self.crf.fit(gold, tick)
        self._weigh(held, gold)

    def _weigh(
        self,
        held: Sequence[Held],
        more: Sequence[tuple[Text, Sequence[Mention]]] = (),
    ) -> None:
        """From documents that were not learned from, with what was found in them: the curve, and
        the rules that may speak.  ``more`` gold helps to tell what the rules' labels mean."""
        self.crf.curve = calibrated(held)
        self.crf.judge_curve = judging(held)
        self.crf.voices = {}
        if self.stack is not None and held:
            claims = [self.stack.claims(one.text) for one in held]
            golds = [*((one.text, one.gold) for one in held), *more]
            names = names_of((self.stack.claims(text), mentions) for text, mentions in golds)
            self.crf.voices = learn_voices(
                [(c, h.found, h.gold) for c, h in zip(claims, held, strict=True)], names
            )

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
        if self.model_stack is not None:
            self.model_stack.look(doc.text for doc, _ in pairs)
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
        """Set the curve and the rules that may speak from documents that were not learned from."""
        cut = self.misaligned
        gold = self.prepared(pairs)
        self.misaligned = cut
        other, self._gold = another(self.settings, self._gold), []
        self._weigh([Held.of(text, mentions, self.crf, other) for text, mentions in gold])

    def judge(self, doc: Any, entities: Sequence[tuple[int, int, str]]) -> list[float]:
        """The calibrated confidence in given entities of a Doc (``start``, ``end`` in code points,
        ``label``), whoever found them.  One that cuts a token takes the whole of it."""
        text = self.read(doc)
        starts = [start for start, _ in text.tokens]
        ends = [end for _, end in text.tokens]
        spans = [(bisect_right(ends, a), bisect_left(starts, b), x) for a, b, x in entities]
        curve = self.crf.judge_curve
        return [
            round(curve(raw), 4) if first < end else 0.0
            for (first, end, _), raw in zip(spans, self.crf.weigh(text, spans), strict=True)
        ]

    def score(self, examples: Iterable[Any], **_: Any) -> dict[str, Any]:
        """Strict precision, recall and F1 of the entities, nested ones too."""
        right = found = wanted = 0
        for example in examples:
            gold = set(gold_of(example.reference)[0])
            predicted = {(a, b, c) for a, b, c in gold_of(example.predicted)[0]}
            right += len(gold & predicted)
            found += len(predicted)
            wanted += len(gold)
        return measures("ents", right, found, wanted)

    def _files(self) -> dict[str, bytes]:
        stacked = {} if self.model_stack is None else self.model_stack.as_files()
        return super()._files() | stacked | self.crf.as_files()

    def _take(self, files: Mapping[str, bytes]) -> None:
        super()._take(files)
        self.model_stack = ModelStack.from_files(files)
        self.crf = CrfModel.from_files(files)
        self.settings = self.crf.settings


@dataclass(frozen=True, slots=True)
class Held:
    """A document that was not learned from, what a model found in it, and how far it believed in
    what another one found (:func:`another`)."""

    text: Text
    gold: Sequence[Mention]
    found: Sequence[Scored]
    weighed: Sequence[tuple[float, bool]]

    @classmethod
    def of(cls, text: Text, gold: Sequence[Mention], model: CrfModel, other: CrfModel) -> Held:
        known = set(gold)
        tried = [(one.first, one.end, one.label) for one in other.annotate(_bare(text))]
        weighed = [
            (raw, mention in known)
            for mention, raw in zip(tried, model.weigh(text, tried), strict=True)
        ]
        return cls(text, gold, model.annotate(text), weighed)


def another(settings: CrfSettings, gold: Sequence[tuple[Text, Sequence[Mention]]]) -> CrfModel:
    """A model of less gold, features and patience.  What it finds is the kind of thing that a judge
    is asked about: mistakes made up at random are easier to tell."""
    plain = replace(
        settings, swaps=0, gazetteer=False, consistency=False, iterations=30, min_level=2**31
    )
    other = CrfModel(plain, {})
    other.fit([(_bare(text), mentions) for text, mentions in gold[::2]])
    return other


def _bare(text: Text) -> Text:
    """The text without the tags of others."""
    return Text(text.text, text.tokens, text.words, text.sentences)


def judging(held: Sequence[Held]) -> Curve:
    """The curve from how far the model believes in a mention to the share that is right."""
    pairs = [pair for one in held for pair in one.weighed]
    return isotonic([raw for raw, _ in pairs], [right for _, right in pairs])


def calibrated(held: Sequence[Held]) -> Curve:
    """The curve from the raw confidence of mentions found to the share that is in gold."""
    scores: list[float] = []
    right: list[bool] = []
    for document in held:
        known = set(document.gold)
        for one in document.found:
            scores.append(one.raw)
            right.append((one.first, one.end, one.label) in known)
    return isotonic(scores, right)
