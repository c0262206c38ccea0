"""The trainable component ``relation_classifier``.

Where at least half of the documents to learn from carry coreference chains, it learns relations
between chains besides, and says those of documents that come with chains; of all others it says
what it says without.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from curate.errors import DataError
from curate.extractors.chains import ChainModel
from curate.extractors.component import (
    Component,
    chains_of,
    entities_of,
    gold_of,
    measures,
    text_of,
)
from curate.extractors.pairs import Place
from curate.extractors.relations import RelationModel, RelationSettings, Triple
from curate.gold.formats.spacy import USER_DATA
from curate.model import Entity
from curate.schema import RelationType

_CHAINED = "chained-"
"""What the names of the files begin with that hold the model of relations between chains."""


class RelationClassifier(Component):
    """Relations between a Doc's entities; see :mod:`curate.extractors.relations`, and
    :mod:`curate.extractors.chains` for those of documents with coreference chains."""

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
        self.chained: ChainModel | None = None
        self.entity_labels: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(t.name for t in self.relations.types)

    def place(
        self, doc: Any, entities: Sequence[Entity], chains: Sequence[Sequence[int]] = ()
    ) -> Place:
        text = text_of(doc, self.language)
        place = Place.of(text, entities)
        place.chains = chains
        if self.stack is not None:
            labels = self.stack.labels_for(self.entity_labels)
            place.hints = self.stack.hints(text, entities, labels)
        return place

    def __call__(self, doc: Any) -> Any:
        entities = entities_of(doc)
        chains = chains_of(doc) if self.chained is not None else []
        model = self.chained if self.chained is not None and chains else self.relations
        found = model.relate(self.place(doc, entities, chains)) if entities else []
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
        self.chained = None
        chains = [chains_of(reference) for _, reference in pairs]
        if 2 * sum(map(bool, chains)) < max(1, len(chains)):
            return
        tick("relations between chains")
        with_chains = [
            (self.place(doc, [Entity(*e) for e in entities], groups), triples)
            for (doc, entities, triples), groups in zip(golds, chains, strict=True)
            if groups
        ]
        self.chained = ChainModel(self.settings, types)
        self.chained.fit(with_chains, tick)

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
        return measures("rels", right, found, wanted)

    def _files(self) -> dict[str, bytes]:
        meta = {"entity_labels": list(self.entity_labels)}
        files = {"labels.json": json.dumps(meta, sort_keys=True).encode()}
        chained = {} if self.chained is None else self.chained.as_files()
        files |= {_CHAINED + name: data for name, data in chained.items()}
        return super()._files() | files | self.relations.as_files()

    def _take(self, files: Mapping[str, bytes]) -> None:
        super()._take(files)
        self.entity_labels = tuple(json.loads(files["labels.json"])["entity_labels"])
        self.relations = RelationModel.from_files(files)
        chained = {
            name.removeprefix(_CHAINED): data
            for name, data in files.items()
            if name.startswith(_CHAINED)
        }
        self.chained = ChainModel.from_files(chained) if chained else None
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


def _triples(doc: Any, symmetric: frozenset[str]) -> set[tuple[Any, ...]]:
    entities, triples = gold_of(doc)
    made = set()
    for head, tail, label in triples:
        pair = [tuple(entities[head][:2]), tuple(entities[tail][:2])]
        made.add((label, *(sorted(pair) if label in symmetric else pair)))
    return made
