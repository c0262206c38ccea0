"""Entities by linear-chain conditional random fields (python-crfsuite), a layer per nesting level.

Lafferty et al. 2001.  Learned from whole documents: the layers, a gazetteer of the gold's own names
(used with each document's own names left out, as at test time they would be), how often a part of
a long name carries its label, and a curve from the least token marginal to the share of mentions
that are right.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from curate.errors import DataError
from curate.extractors.calibration import Curve
from curate.extractors.ensemble import Mention, Scored, Voice
from curate.extractors.features import (
    OUTSIDE,
    Text,
    WordFeatures,
    mentions_of,
    tags_of,
    token_features,
)
from curate.extractors.gazetteers import NO_NAMES, NameLists
from curate.model import digest_of


@dataclass(frozen=True)
class CrfSettings:
    """``c1`` and ``c2`` weigh the L1 and L2 penalties; ``swaps`` copies of each sentence get their
    mentions swapped for others of the label; ``min_level`` mentions make a nesting level."""

    c1: float = 0.03
    c2: float = 0.05
    iterations: int = 100
    swaps: int = 1
    gazetteer: bool = True
    consistency: bool = True
    min_level: int = 5
    seed: int = 0


class Gazetteer:
    """The names of gold with the documents they stand in."""

    def __init__(self) -> None:
        self.labels: dict[tuple[str, ...], dict[str, int]] = {}
        self._by_first: dict[str, list[int]] = {}

    def learn(self, words: Sequence[str], mentions: Sequence[Mention]) -> None:
        """Count a document's names, each once."""
        for key, label in self._names(words, mentions):
            counts = self.labels.setdefault(key, {})
            counts[label] = counts.get(label, 0) + 1
        self._by_first.clear()

    @staticmethod
    def _names(
        words: Sequence[str], mentions: Sequence[Mention]
    ) -> set[tuple[tuple[str, ...], str]]:
        return {(tuple(words[a:b]), label) for a, b, label in mentions}

    def tags(self, words: Sequence[str], own: Sequence[Mention] = ()) -> list[str]:
        """BIO tags of the longest known names; ``own`` are the names that this document itself
        brought and that do not count."""
        if not self._by_first:
            lengths: dict[str, set[int]] = {}
            for key in self.labels:
                lengths.setdefault(key[0], set()).add(len(key))
            self._by_first = {w: sorted(n, reverse=True) for w, n in lengths.items()}
        mine = Counter(self._names(words, own))
        tags = [OUTSIDE] * len(words)
        i = 0
        while i < len(words):
            step = 1
            for length in self._by_first.get(words[i], ()):
                key = tuple(words[i : i + length])
                counts = self.labels.get(key)
                if counts is None or len(key) < length:
                    continue
                left = {k: n - mine[(key, k)] for k, n in counts.items() if n > mine[(key, k)]}
                if not left:
                    continue
                label = min(left, key=lambda k: (-left[k], k))
                tags[i] = "B-" + label
                for j in range(i + 1, i + length):
                    tags[j] = "I-" + label
                step = length
                break
            i += step
        return tags

    def as_rows(self) -> list[list[Any]]:
        return [[list(key), dict(sorted(self.labels[key].items()))] for key in sorted(self.labels)]

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[Any]]) -> Gazetteer:
        made = cls()
        made.labels = {tuple(key): dict(counts) for key, counts in rows}
        return made


class CrfModel:
    """The trained sequence models of one pipeline; everything in it is JSON or crfsuite's bytes."""

    def __init__(
        self,
        settings: CrfSettings,
        clusters: Mapping[str, str],
        names: NameLists = NO_NAMES,
    ) -> None:
        self.settings = settings
        self.clusters = dict(clusters)
        self.names = names
        self.layers: list[bytes] = []
        self.gazetteer = Gazetteer()
        self.parts: dict[str, float] = {}
        self.curve = Curve()
        self.judge_curve = Curve()
        """From :meth:`weigh` to the share of mentions that are right."""
        self.voices: dict[str, Voice] = {}
        """The stacked rules that speak where the model is silent."""
        self.left_out = 0
        self.taught: tuple[str, ...] = ()
        """The beginnings of the digests of the texts that were learned from."""

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state.pop("_taggers", None)
        state.pop("_words", None)
        state.pop("_weighted", None)
        return state

    @cached_property
    def _words(self) -> WordFeatures:
        return WordFeatures(self.clusters)

    @cached_property
    def _taggers(self) -> list[Any]:
        import pycrfsuite

        taggers = []
        for model in self.layers:
            tagger = pycrfsuite.Tagger()
            tagger.open_inmemory(model)
            taggers.append(tagger)
        return taggers

    @cached_property
    def _weighted(self) -> list[WordFeatures]:
        """The features of words for each level: those that its model has weights for."""
        return [
            WordFeatures(self.clusters, frozenset(tagger.info().attributes))
            for tagger in self._taggers
        ]

    @property
    def labels(self) -> list[str]:
        return sorted({tag[2:] for t in self._taggers for tag in t.labels() if tag != OUTSIDE})

    # --- learning

    def fit(
        self,
        gold: Sequence[tuple[Text, Sequence[Mention]]],
        tick: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Learn from documents and their mentions (token indices)."""
        gold = [(text, sorted(set(mentions))) for text, mentions in gold]
        levels = [levels_of(mentions) for _, mentions in gold]
        self.left_out = sum(
            len(m) - sum(map(len, by_level)) for (_, m), by_level in zip(gold, levels, strict=True)
        )
        self.taught = tuple(sorted(digest_of(text.text)[:16] for text, _ in gold))
        self.gazetteer = Gazetteer()
        for text, mentions in gold:
            self.gazetteer.learn(text.words, mentions)
        self.parts = part_shares(gold)
        self.layers = []
        for level in range(max(map(len, levels), default=0)):
            wanted = [by[level] if level < len(by) else [] for by in levels]
            if level and sum(map(len, wanted)) < self.settings.min_level:
                break
            tick(f"entities, level {level + 1}")
            above = [by[level - 1] if 0 < level <= len(by) else [] for by in levels]
            self.layers.append(self._train_level(level, [t for t, _ in gold], wanted, above))
        self.__dict__.pop("_taggers", None)
        self.__dict__.pop("_weighted", None)

    def _train_level(
        self,
        level: int,
        texts: Sequence[Text],
        wanted: Sequence[Sequence[Mention]],
        above: Sequence[Sequence[Mention]],
    ) -> bytes:
        import pycrfsuite

        trainer = pycrfsuite.Trainer(verbose=False)
        trainer.select("lbfgs")
        trainer.set_params(
            {
                "c1": self.settings.c1,
                "c2": self.settings.c2,
                "max_iterations": self.settings.iterations,
            }
        )
        rng = random.Random(self.settings.seed)
        pool: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        for text, mentions in zip(texts, wanted, strict=True):
            for first, end, label in mentions:
                pool[label].append(tuple(text.words[first:end]))
        for text, mentions, over in zip(texts, wanted, above, strict=True):
            tags = tags_of(mentions, len(text.words))
            upper = tags_of(over, len(text.words)) if level else None
            known = self._known(text.words, mentions)
            only = [s for s in text.sentences if _worth(upper, *s)] if level else None
            features = token_features(_under(text, upper), known, self._words, only)
            for a, b in text.sentences if only is None else only:
                trainer.append(features[a:b], tags[a:b])
            if level == 0:
                for _ in range(self.settings.swaps):
                    for rows, row_tags in self._swapped(text, mentions, known, pool, rng):
                        trainer.append(rows, row_tags)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            trainer.train(str(path))
            return path.read_bytes()

    def _swapped(
        self,
        text: Text,
        mentions: Sequence[Mention],
        known: Sequence[Sequence[str]],
        pool: Mapping[str, list[tuple[str, ...]]],
        rng: random.Random,
    ) -> list[tuple[list[list[str]], list[str]]]:
        """Sentences with half of their mentions swapped (Dai and Adel 2020)."""
        made: list[tuple[list[list[str]], list[str]]] = []
        for a, b in text.sentences:
            inside = [m for m in mentions if a <= m[0] and m[1] <= b]
            if not inside:
                continue
            words: list[str] = []
            tags: list[str] = []
            stack: list[list[str]] = [[] for _ in text.stack]
            gold_names: list[str] = []
            position, changed = a, False
            for first, end, label in [*inside, (b, b, "")]:
                words += text.words[position:first]
                tags += [OUTSIDE] * (first - position)
                if self.settings.gazetteer:
                    gold_names += known[0][position:first]
                for layer, own in zip(stack, text.stack, strict=True):
                    layer += own[position:first]
                position = end
                if not label:
                    break
                old = tuple(text.words[first:end])
                new = rng.choice(pool[label]) if rng.random() < 0.5 else old
                changed = changed or new != old
                words += new
                tags += ["B-" + label] + ["I-" + label] * (len(new) - 1)
                if self.settings.gazetteer:
                    gold_names += known[0][first:end] if new == old else [OUTSIDE] * len(new)
                for layer, own in zip(stack, text.stack, strict=True):
                    layer += own[first:end] if new == old else _stretched(own[first:end], len(new))
            if changed:
                piece = Text("", [], words, [(0, len(words))], stack)
                layers = [gold_names] if self.settings.gazetteer else []
                if self.names:
                    layers.append(self.names.tags(words))
                made.append((token_features(piece, layers, self._words), tags))
        return made

    def _known(self, words: Sequence[str], own: Sequence[Mention] = ()) -> list[list[str]]:
        """The layers of names: those of gold without the document's ``own``, those of the lists."""
        layers = [self.gazetteer.tags(words, own)] if self.settings.gazetteer else []
        if self.names:
            layers.append(self.names.tags(words))
        return layers

    # --- using

    def annotate(self, text: Text) -> list[Scored]:
        """The mentions of a text, outer ones before those inside them."""
        found: list[Scored] = []
        known = self._known(text.words)
        upper: list[str] | None = None
        for level, tagger in enumerate(self._taggers):
            only = [s for s in text.sentences if _worth(upper, *s)] if level else None
            features = token_features(_under(text, upper), known, self._weighted[level], only)
            here: list[tuple[Mention, float]] = []
            for a, b in text.sentences if only is None else only:
                for first, end, label in mentions_of(tagger.tag(features[a:b])):
                    here.append(((a + first, a + end, label), _least(tagger, first, end, label)))
            if level == 0 and self.settings.consistency:
                here = self._consistent(text, here)
            tags = tags_of([m for m, _ in here], len(text.words))
            found += [Scored(*m, round(self.curve(raw), 4), raw) for m, raw in here]
            upper = tags
        return found

    def weigh(self, text: Text, mentions: Sequence[Mention]) -> list[float]:
        """How much the model believes in given mentions, whoever found them: the least marginal of
        what each asks of its tokens and of the one behind it, at the level that believes most;
        0 for a label that it does not know."""
        best = [0.0] * len(mentions)
        known = self._known(text.words)
        upper: list[str] | None = None
        for level, tagger in enumerate(self._taggers):
            labels = frozenset(tagger.labels())
            only = [s for s in text.sentences if _worth(upper, *s)] if level else text.sentences
            features = token_features(_under(text, upper), known, self._weighted[level], only)
            tags = [OUTSIDE] * len(text.words)
            sums = [1.0] * len(mentions)
            seen = [0] * len(mentions)
            for a, b in only:
                here = [i for i, m in enumerate(mentions) if m[0] < b and a < m[1]]
                if not here and level:
                    continue
                tags[a:b] = tagger.tag(features[a:b])
                for i in here:
                    first, end, label = mentions[i]
                    seen[i] += min(end, b) - max(first, a)
                    sums[i] = min(sums[i], _believed(tagger, labels, first, end, label, a, b))
            for i, (first, end, _) in enumerate(mentions):
                if seen[i] == end - first:
                    best[i] = max(best[i], sums[i])
            upper = tags
        return best

    def _consistent(
        self, text: Text, found: list[tuple[Mention, float]]
    ) -> list[tuple[Mention, float]]:
        """Names found once are found wherever they stand free; a last name takes the label of the
        full one, where gold's do."""
        taken = [False] * len(text.words)
        forms: dict[tuple[str, ...], tuple[str, float]] = {}
        for (first, end, label), score in sorted(found, key=lambda pair: (-pair[1], pair[0])):
            for i in range(first, end):
                taken[i] = True
            form = tuple(text.words[first:end])
            if not form[0][0].isupper() or score < 0.5:
                continue
            if len(form) > 1 or (len(form[0]) > 2 and score > 0.7):
                forms.setdefault(form, (label, score))
            if len(form) > 1 and self.parts.get(label, 0.0) > 0.5 and form[-1][0].isupper():
                forms.setdefault(form[-1:], (label, score))
        if not forms:
            return found
        by_first: dict[str, list[tuple[str, ...]]] = {}
        for form in sorted(forms, key=lambda f: (-len(f), f)):
            by_first.setdefault(form[0], []).append(form)
        more: list[tuple[Mention, float]] = []
        i = 0
        while i < len(text.words):
            step = 1
            for form in by_first.get(text.words[i], ()):
                end = i + len(form)
                if not any(taken[i:end]) and tuple(text.words[i:end]) == form:
                    label, score = forms[form]
                    more.append(((i, end, label), score * 0.8))
                    step = len(form)
                    break
            i += step
        return sorted([*found, *more])

    # --- keeping

    def as_files(self) -> dict[str, bytes]:
        """File names → bytes; :meth:`from_files` reads them."""
        import json

        meta = {
            "settings": asdict(self.settings),
            "layers": len(self.layers),
            "parts": self.parts,
            "curve": [list(point) for point in self.curve.points],
            "judge_curve": [list(point) for point in self.judge_curve.points],
            "left_out": self.left_out,
            "voices": {key: asdict(voice) for key, voice in self.voices.items()},
        }
        files = {f"level{i}.crfsuite": model for i, model in enumerate(self.layers)}
        for name, value in (
            ("crf.json", meta),
            ("gazetteer.json", self.gazetteer.as_rows()),
            ("clusters.json", self.clusters),
            ("taught.json", self.taught),
            ("names.json", {"language": self.names.language, "kinds": self.names.kinds}),
        ):
            files[name] = json.dumps(value, ensure_ascii=False, sort_keys=True).encode("utf-8")
        return files

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> CrfModel:
        """Raises DataError where something is missing or damaged."""
        import json

        try:
            meta = json.loads(files["crf.json"])
            names = json.loads(files.get("names.json", b'{"language": "", "kinds": {}}'))
            model = cls(
                CrfSettings(**meta["settings"]),
                json.loads(files["clusters.json"]),
                NameLists(names["kinds"], names["language"]),
            )
            model.layers = [files[f"level{i}.crfsuite"] for i in range(meta["layers"])]
            model.parts = meta["parts"]
            model.curve = Curve(tuple((x, y) for x, y in meta["curve"]))
            model.judge_curve = Curve(tuple((x, y) for x, y in meta["judge_curve"]))
            model.left_out = meta["left_out"]
            model.taught = tuple(json.loads(files["taught.json"]))
            model.voices = {key: Voice(**voice) for key, voice in meta["voices"].items()}
            model.gazetteer = Gazetteer.from_rows(json.loads(files["gazetteer.json"]))
        except (KeyError, TypeError, ValueError):
            raise DataError("the files of this crf_ner are damaged; train it again") from None
        return model


def levels_of(mentions: Sequence[Mention]) -> list[list[Mention]]:
    """Mentions by nesting level, outermost first, each level without overlap.

    A mention that crosses another without lying in it fits no level and is left out.
    """
    levels: list[list[Mention]] = []
    for mention in sorted(mentions, key=lambda m: (m[0], -m[1], m[2])):
        first, end, _ = mention
        for level in levels:
            last = level[-1]
            if first >= last[1]:
                level.append(mention)
                break
            if end > last[1]:
                break  # crosses
        else:
            levels.append([mention])
    return levels


def part_shares(gold: Sequence[tuple[Text, Sequence[Mention]]]) -> dict[str, float]:
    """Label → how often the last word of a long name, standing free in the same document, is a
    mention with that label."""
    seen: Counter[str] = Counter()
    same: Counter[str] = Counter()
    for text, mentions in gold:
        single = {a: label for a, b, label in mentions if b - a == 1}
        inside = {i for a, b, _ in mentions if b - a > 1 for i in range(a, b)}
        lasts = {text.words[b - 1]: label for a, b, label in mentions if b - a > 1}
        for i, word in enumerate(text.words):
            if i not in inside and word in lasts and word[0].isupper():
                seen[lasts[word]] += 1
                same[lasts[word]] += single.get(i) == lasts[word]
    return {label: round(same[label] / n, 4) for label, n in sorted(seen.items()) if n >= 3}


def _under(text: Text, upper: list[str] | None) -> Text:
    """The text with the tags of the level above as one more layer."""
    if upper is None:
        return text
    return Text(text.text, text.tokens, text.words, text.sentences, [*text.stack, upper])


def _worth(upper: Sequence[str] | None, a: int, b: int) -> bool:
    """Whether a sentence holds a mention of more than one word, in which others may lie."""
    return upper is not None and any(tag[0] == "I" for tag in upper[a:b])


def _stretched(tags: Sequence[str], length: int) -> list[str]:
    """The tags of a mention for one of another length, if they mark it as a whole."""
    if not tags or tags[0][0] != "B":
        return [tags[0] if tags else OUTSIDE] * length
    label = tags[0][2:]
    if any(tag != "I-" + label for tag in tags[1:]):
        return [OUTSIDE] * length
    return ["B-" + label] + ["I-" + label] * (length - 1)


def _believed(
    tagger: Any, labels: frozenset[str], first: int, end: int, label: str, a: int, b: int
) -> float:
    """The least marginal of a mention's tags in the sentence ``a`` to ``b`` just decoded, and that
    it ends where it ends."""
    low = 1.0
    begins, goes_on = "B-" + label, "I-" + label
    for i in range(max(first, a), min(end, b)):
        tag = begins if i == first else goes_on
        low = min(low, float(tagger.marginal(tag, i - a)) if tag in labels else 0.0)
    if end < b and goes_on in labels:
        low = min(low, 1.0 - float(tagger.marginal(goes_on, end - a)))
    return max(0.0, low)


def _least(tagger: Any, first: int, end: int, label: str) -> float:
    """The least marginal of a mention's tokens, of the tags just decoded."""
    low = 1.0
    for i in range(first, end):
        tag = ("B-" if i == first else "I-") + label
        try:
            low = min(low, tagger.marginal(tag, i))
        except ValueError:
            low = min(low, tagger.marginal("I-" + label, i))
    return float(low)
