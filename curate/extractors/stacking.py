"""Tags of other taggers as features: the bootstrap rules, and another trained pipeline.

Both travel inside the model, so that it says the same wherever it is loaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from curate.errors import ConfigurationError, DataError
from curate.extractors.ensemble import Claim
from curate.extractors.features import OUTSIDE, Text, tags_of
from curate.extractors.mentions import Found, Mention, find_mentions, nested
from curate.extractors.relate import find_relations
from curate.extractors.rules import NameIndex, Rulebook, from_files
from curate.model import Entity

_SURE = 0.8
_LAST: dict[str, tuple[str, Found]] = {}
"""Digest of the rules → the text read last and what they found in it."""


@dataclass
class RuleStack:
    """The rules of one data folder as two layers of tags: outer mentions and inner ones."""

    language: str
    schema: str
    files: Mapping[str, str]

    @cached_property
    def book(self) -> Rulebook:
        return from_files(self.files, self.language, self.schema)

    @cached_property
    def index(self) -> NameIndex:
        return NameIndex.of(self.book.gazetteers)

    def __getstate__(self) -> dict[str, object]:
        return {
            "language": self.language,
            "schema": self.schema,
            "files": dict(self.files),
        }

    def find(self, text: str) -> Found:
        # Two components with the same rules ask about the same text one after the other.
        last = _LAST.get(self.book.digest)
        if last is None or last[0] != text:
            last = (text, find_mentions(text, self.book, self.index))
            _LAST[self.book.digest] = last
        return last[1]

    def claims(self, text: Text) -> list[Claim]:
        """The rules' mentions on tokens, inner ones too, a doubtful one's label with ``?``."""
        starts = {start: i for i, (start, _) in enumerate(text.tokens)}
        ends = {end: i + 1 for i, (_, end) in enumerate(text.tokens)}
        return [
            (starts[m.start], ends[m.end], _label(m), m.rule)
            for m in self.find(text.text).all
            if m.start in starts and m.end in ends
        ]

    def labels_for(self, labels: Collection[str]) -> dict[str, str]:
        """The rules' labels → those of ``labels`` that mean the same."""
        return {
            label: next(name for name in names if name in labels)
            for label, names in self.book.aliases.items()
            if any(name in labels for name in names)
        }

    def hints(
        self, text: Text, entities: Sequence[Entity], labels: Mapping[str, str]
    ) -> dict[tuple[int, int], list[str]]:
        """What the relation patterns say of pairs of given entities (positions among them)."""
        ours = {name: label for label, name in labels.items()}
        mine = self.find(text.text)
        canonical = {m.key: m.canonical for m in mine.all}
        mentions = []
        for entity in entities:
            label = ours.get(entity.label, entity.label)
            key = (entity.start, entity.end, label)
            mentions.append(Mention(*key, 0.9, canonical=canonical.get(key)))
        at = {mention.key: i for i, mention in enumerate(mentions)}
        outer = nested(mentions)
        bonds = [b for b in mine.bonds if b.head in at and b.tail in at]
        found = Found(list(text.tokens), outer, bonds)
        hints: dict[tuple[int, int], list[str]] = {}
        for bond in find_relations(text.text, found, self.book, lambda *_: True):
            head, tail = at[bond.head], at[bond.tail]
            hints.setdefault((head, tail), []).append(bond.label)
            hints.setdefault((tail, head), []).append(bond.label + "<")
        return hints

    def put_on(self, text: Text) -> Found:
        """Add the layers to the text; returns what the rules found."""
        found = self.find(text.text)
        starts = {start: i for i, (start, _) in enumerate(text.tokens)}
        ends = {end: i + 1 for i, (_, end) in enumerate(text.tokens)}
        outer = [OUTSIDE] * len(text.words)
        inner = [OUTSIDE] * len(text.words)
        for mention in found.outer:
            _mark(outer, mention, starts, ends)
            for within in mention.inner:
                _mark(inner, within, starts, ends)
        text.stack = [outer, inner]
        return found


@dataclass
class ModelStack:
    """Another pipeline as two layers of tags: its outer mentions and those inside them.

    ``name``, ``version``, ``digest`` are the model's when it was stacked; ``config`` and ``data``
    are the pipeline as spaCy writes it.
    """

    name: str
    version: str
    digest: str
    config: str = field(repr=False)
    data: bytes = field(repr=False)
    learned_from: tuple[str, ...] = ()
    """Digests of the texts that it learned from, as far as it says (:attr:`CrfModel.taught`)."""
    _ahead: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        keys = ("name", "version", "digest", "config", "data", "learned_from")
        return {key: self.__dict__[key] for key in keys} | {"_ahead": {}}

    @classmethod
    def of(cls, folder: Path) -> ModelStack:
        """The pipeline in a folder.  Raises ConfigurationError where spaCy cannot load it."""
        from curate.extractors.spacy import Pipeline

        pipeline = Pipeline(folder)
        nlp = pipeline.nlp
        identity = (pipeline.name, pipeline.version, pipeline.digest)
        taught = {
            digest
            for _, component in nlp.pipeline
            for digest in getattr(getattr(component, "crf", None), "taught", ())
        }
        return cls(*identity, nlp.config.to_str(), nlp.to_bytes(), tuple(sorted(taught)))

    @classmethod
    def inside(cls, folder: Path) -> ModelStack | None:
        """The pipeline that a model of ours carries; None where it carries none."""
        for place in sorted(folder.glob("*/model-stack.json")):
            return cls.from_files({file.name: file.read_bytes() for file in place.parent.iterdir()})
        return None

    @property
    def identity(self) -> dict[str, str]:
        return {"name": self.name, "version": self.version, "digest": self.digest}

    def as_files(self) -> dict[str, bytes]:
        meta = self.identity | {"sha256": self._sum(), "learned_from": self.learned_from}
        return {
            "model-stack.json": json.dumps(meta, sort_keys=True).encode(),
            "model-stack.cfg": self.config.encode(),
            "model-stack.bin": self.data,
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> ModelStack | None:
        """None where no model is stacked.  Raises DataError where it is not the one it was."""
        if "model-stack.json" not in files:
            return None
        try:
            meta = json.loads(files["model-stack.json"])
            config, data = files["model-stack.cfg"].decode(), files["model-stack.bin"]
            identity = (meta["name"], meta["version"], meta["digest"])
            made = cls(*identity, config, data, tuple(meta["learned_from"]))
            wanted = meta["sha256"]
        except (KeyError, TypeError, ValueError):
            raise DataError("the model stacked in this crf_ner is damaged; train again") from None
        if made._sum() != wanted:
            raise DataError(
                f"the model {made.name}@{made.version} stacked in this crf_ner is not the one that "
                "it was trained with; train again"
            )
        return made

    def _sum(self) -> str:
        return hashlib.sha256(self.config.encode() + b"\0" + self.data).hexdigest()

    @cached_property
    def nlp(self) -> Any:
        from spacy.util import get_lang_class
        from thinc.api import Config

        from curate.extractors.components import register

        register()
        config = Config().from_str(self.config, interpolate=False)
        try:
            nlp = get_lang_class(config["nlp"]["lang"]).from_config(config)
            nlp.from_bytes(self.data)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ConfigurationError(
                f"spaCy cannot load the stacked model {self.name}@{self.version} "
                f"({type(error).__name__}); is a package missing?"
            ) from None
        return nlp

    def look(self, texts: Iterable[str]) -> None:
        """Read texts ahead, in one batch: the layers of just these are asked for next."""
        wanted = list(dict.fromkeys(texts))
        self._ahead = {
            text: _mentions(doc) for text, doc in zip(wanted, self.nlp.pipe(wanted), strict=True)
        }

    def put_on(self, text: Text) -> None:
        """Add the layers to the text."""
        found = self._ahead.get(text.text)
        if found is None:
            found = _mentions(self.nlp(text.text))
        text.stack += layers_of(found, text)


def _mentions(doc: Any) -> list[tuple[int, int, str]]:
    from curate.extractors.spacy import annotation_of_doc
    from curate.model import Source

    said = annotation_of_doc(doc, "text", Source.model("stacked"))
    return [entity.key for entity in said.entities]


def layers_of(mentions: Sequence[tuple[int, int, str]], text: Text) -> list[list[str]]:
    """Two layers of tags: mentions (in code points) that lie in no other one, and those that lie
    in one of them.  A mention that cuts a token takes the whole of it."""
    from bisect import bisect_left, bisect_right

    starts = [start for start, _ in text.tokens]
    ends = [end for _, end in text.tokens]
    levels: list[list[tuple[int, int, str]]] = [[], []]
    for a, b, label in sorted(mentions, key=lambda m: (m[0], -m[1], m[2])):
        first, end = bisect_right(ends, a), bisect_left(starts, b)
        if first >= end:
            continue
        for level in levels:
            if not level or level[-1][1] <= first:
                level.append((first, end, label))
                break
    return [tags_of(level, len(text.words)) for level in levels]


def _mark(
    tags: list[str], mention: Mention, starts: Mapping[int, int], ends: Mapping[int, int]
) -> None:
    first, end = starts.get(mention.start), ends.get(mention.end)
    if first is None or end is None:
        return
    label = _label(mention)
    tags[first] = "B-" + label
    for i in range(first + 1, end):
        tags[i] = "I-" + label


def _label(mention: Mention) -> str:
    # How sure the rule is belongs to the tag: a guess is weaker evidence than a title.
    return mention.label if mention.score >= _SURE else mention.label + "?"
