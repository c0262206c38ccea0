"""Tags of other taggers as features: the bootstrap rules, carried inside the model.

The rules travel with the model, so that it says the same wherever it is loaded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from curate.extractors.features import OUTSIDE, Text
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

    def token_mentions(self, text: Text) -> list[tuple[int, int, str]]:
        """The rules' mentions on tokens, inner ones too, a doubtful one's label with ``?``."""
        starts = {start: i for i, (start, _) in enumerate(text.tokens)}
        ends = {end: i + 1 for i, (_, end) in enumerate(text.tokens)}
        return [
            (starts[m.start], ends[m.end], _label(m))
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
