"""What the manifest and the data card count, and the share of relations across sentences.

Releases are verified by these numbers for ever, so nothing here may follow a tokenizer or word
lists that are improved later: words are what white space parts, sentences what :func:`apart` says.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from curate.gold.card import TEMPLATE
from curate.gold.items import SPLITS, GoldDocument
from curate.gold.provenance import AgreementTally
from curate.model import Entity

_LOWER = "a-zß-öø-ÿ"
_UPPER = "A-ZÀ-ÖØ-Þ"
_BREAK = re.compile(
    rf"""
      \n[^\S\n]*\n                          # an empty line
    | (?<![,;\s])[^\S\n]*\n[^\S\n]*(?![{_LOWER},;:.)\]»”\s])   # a line's end, no lower case after
    | (?<!\b[{_UPPER}])(?<!\b[{_UPPER}][{_LOWER}])  # not "M." or "Dr."
      (?<![.!?…])[.!?…]++ [\s»”"’')\]]*+
      (?: (?<=\s)(?=\d) | (?<=\s)(?=[^\w\s]) | (?=[^\W\d_{_LOWER}]) )
    | (?<=[{_LOWER}])(?=[{_UPPER}])         # two sentences run together
    """,
    re.VERBOSE,
)


def apart(text: str, a: Entity, b: Entity) -> bool:
    """Whether a sentence ends between two mentions; never where they overlap.

    It does after ``.!?…`` before anything but a lower-case letter, at an empty line, at a line's
    end before a capital or a digit, and where a capital is glued to a lower-case letter.
    """
    first, last = (a, b) if a.start <= b.start else (b, a)
    if last.start <= first.end:
        return False
    between = text[first.start : last.start + 1].replace("\r\n", "\n").replace("\r", "\n")
    return any(m.end() > first.end - first.start for m in _BREAK.finditer(between))


class Facts:
    """What the manifest and the card count, summed over documents."""

    def __init__(self) -> None:
        self.documents = self.entities = self.relations = self.chains = 0
        self.words = self.characters = 0
        self.rules: Counter[str] = Counter()
        self._groups: set[str] = set()
        self.agreement = AgreementTally()
        self._entity_labels: Counter[tuple[str, str]] = Counter()
        self._relation_labels: Counter[tuple[str, str]] = Counter()
        self._across: Counter[str] = Counter()
        self._splits: Counter[tuple[str, str]] = Counter()

    def add(self, gold: GoldDocument) -> None:
        annotation, text, split = gold.annotation, gold.document.text, gold.split
        words = len(text.split())
        self.documents += 1
        self._groups.add(gold.group)
        self.entities += len(annotation.entities)
        self.relations += len(annotation.relations)
        self.chains += len(annotation.chains)
        self.words += words
        self.characters += len(text)
        self._splits[split, "documents"] += 1
        self._splits[split, "words"] += words
        self._splits[split, "entities"] += len(annotation.entities)
        self._splits[split, "relations"] += len(annotation.relations)
        for entity in annotation.entities:
            self._entity_labels[entity.label, split] += 1
        for relation in annotation.relations:
            self._relation_labels[relation.label, split] += 1
            self._across[relation.label] += apart(text, relation.head, relation.tail)

    def add_provenance(self, provenance: Mapping[str, Any]) -> None:
        decided = provenance["decided"]
        self.rules[f"{decided['by']} {decided['name']}"] += 1
        self.agreement.add(provenance)

    def as_counts(self, template: int = TEMPLATE) -> dict[str, Any]:
        """The manifest's ``counts``, as a release of this card's template holds them.

        The first template had no words per split and no relations across sentences.
        """
        newer = template > 1
        keys = ("documents", *(("words",) if newer else ()), "entities", "relations")
        counts: dict[str, Any] = {
            "documents": self.documents,
            "groups": len(self._groups),
            "words": self.words,
            "characters": self.characters,
            "entities": self.entities,
            "relations": self.relations,
            "chains": self.chains,
            "per_split": {s: {k: self._splits[s, k] for k in keys} for s in SPLITS},
            "entity_labels": _by_split(self._entity_labels),
            "relation_labels": _by_split(self._relation_labels),
        }
        if newer:
            counts["across_sentences"] = dict(sorted(self._across.items()))
        return counts


def _by_split(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    labels = sorted({label for label, _ in counts})
    return {label: {s: counts[label, s] for s in SPLITS if counts[label, s]} for label in labels}
