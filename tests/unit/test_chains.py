"""Relations between coreference chains: used where they come, and of no effect where not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from benchmarks._chains import Report, recovered_chains
from curate.extractors import relations
from curate.extractors.chains import ChainModel, Chains, chain_features
from curate.extractors.features import Text
from curate.extractors.pairs import Place
from curate.extractors.relation_classifier import RelationClassifier
from curate.extractors.relations import RelationSettings, Triple
from curate.extractors.train import TrainSettings, learn_relations, related
from curate.gold.items import GOLD, GoldDocument
from curate.model import Annotation, Document, Entity, Relation
from curate.schema import RelationType, parse_schema

SCHEMA = parse_schema(
    "name: tiny\nlanguage: en\nentities:\n  - name: PER\n  - name: LOC\n"
    "relations:\n  - {name: lives_in, head: [PER], tail: [LOC]}\n"
)
TYPES = [RelationType("lives_in", ("PER",), ("LOC",))]
WORDS = "{} is a nurse . She lives in {} . {} flew over {} . He waved ."
SENTENCES = [(0, 5), (5, 10), (10, 15), (15, 18)]
PLACES = {0: "PER", 5: "PER", 8: "LOC", 10: "PER", 13: "LOC", 15: "PER"}
CHAINS = [[0, 1], [3, 5]]


def gold(number: int, chains: bool = True) -> GoldDocument:
    """One who lives somewhere, and one who passes through; each is mentioned twice."""
    words = WORDS.format(f"Anna{number}", "Oslo", f"Paul{number}", "Rome").split()
    starts = [len(" ".join([*words[:i], ""])) for i in range(len(words))]
    entities = [Entity(starts[i], starts[i] + len(words[i]), PLACES[i]) for i in PLACES]
    links = [Relation(entities[1], entities[2], "lives_in")]
    groups = [[entities[i] for i in chain] for chain in CHAINS] if chains else []
    document = Document.of(" ".join(words), id=f"d{number:03}")
    return GoldDocument(document, Annotation.of(document.id, entities, links, GOLD, groups))


def report(number: int, chains: Sequence[Sequence[int]] = CHAINS) -> tuple[Place, list[Triple]]:
    item = gold(number)
    words = item.document.text.split()
    starts = [len(" ".join([*words[:i], ""])) for i in range(len(words))]
    tokens = [(start, start + len(word)) for start, word in zip(starts, words, strict=True)]
    place = Place.of(Text(item.document.text, tokens, words, SENTENCES), item.annotation.entities)
    place.chains = chains
    return place, [(1, 2, "lives_in")]


def rows(place: Place) -> list[tuple[tuple[int, int], list[str]]]:
    chains = Chains(place)
    found = chains.candidates(SCHEMA, 9, {("PER", "LOC"): ("lives_in",)})
    return [(pair, chain_features(chains, one, other, pair)) for one, other, pair in found]


DOCUMENTS = 12
SETTINGS = TrainSettings(window=3, rules="")


def pipeline(with_chains: int = DOCUMENTS) -> Any:
    """Learned from documents of which so many carry chains."""
    documents = [gold(i, chains=i < with_chains) for i in range(DOCUMENTS)]
    return learn_relations(documents, SCHEMA, SETTINGS, chains=True)


def classifier(nlp: Any) -> RelationClassifier:
    component = nlp.get_pipe("relation_classifier")
    assert isinstance(component, RelationClassifier)
    return component


@pytest.fixture(scope="module")
def learned() -> Any:
    return pipeline()


@pytest.fixture
def enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relations, "ENOUGH", 20)


def test_a_pair_of_chains_comes_once_by_its_nearest_mentions() -> None:
    """Candidates are pairs of things, not of mentions; each by the mentions nearest by start."""
    place = report(0)[0]
    assert sorted(pair for pair, _ in rows(place)) == [(1, 2), (1, 4), (3, 2), (5, 4)]
    assert len(rows(report(0, [])[0])) == 8


def test_all_mentions_of_a_chain_speak() -> None:
    """The name of a chain is told of a pair whose nearest mention is a pronoun."""
    told = dict(rows(report(0)[0]))[(1, 2)]
    assert "hN:anna0>LOC" in told
    assert "hN:anna0>LOC" not in dict(rows(report(0, [])[0]))[(1, 2)]


def test_the_order_of_chains_does_not_matter() -> None:
    """Chains and their mentions in any order give the same; those that share one are joined."""
    expected = rows(report(0)[0])
    for seed in range(5):
        rng = random.Random(seed)
        shuffled = [rng.sample(chain, len(chain)) for chain in CHAINS]
        rng.shuffle(shuffled)
        assert rows(report(0, shuffled)[0]) == expected
    for halves in ([[0, 1], [1, 3], [5]], [[3, 1], [1, 0]]):
        joined = Chains(report(0, halves)[0])
        assert joined.members[0] == [0, 1, 3]


@pytest.mark.usefixtures("enough")
def test_examples_are_chains() -> None:
    """A relation between other mentions of the same two chains is the same example."""
    one, other = (
        ChainModel(RelationSettings(window=3), TYPES),
        ChainModel(RelationSettings(window=3), TYPES),
    )
    one.fit([report(i) for i in range(24)])
    other.fit([(report(i)[0], [(i % 2, 2, "lives_in")]) for i in range(24)])
    assert one.as_files() == other.as_files()
    assert [r[:3] for r in one.relate(report(99)[0])] == [(1, 2, "lives_in")]


def test_chains_of_the_input_are_used(learned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained on documents with chains, a document's own chains are asked about, no others."""
    item = gold(77)
    found = related(learned, item).relations
    assert [r.key for r in found] == [r.key for r in item.annotation.relations]
    model = classifier(learned).chained
    asked: list[list[tuple[int, ...]]] = []
    relate = ChainModel.relate

    def told(self: ChainModel, place: Place) -> list[tuple[int, int, str, float]]:
        assert self is model
        asked.append([tuple(chain) for chain in place.chains])
        return relate(self, place)

    monkeypatch.setattr(ChainModel, "relate", told)
    one, _, _, other, *_ = item.annotation.entities
    related(learned, replace(item, annotation=replace(item.annotation, chains=((one, other),))))
    related(learned, gold(77, chains=False))
    assert asked == [[(0, 3)]]


def test_nothing_changes_without_chains(learned: Any) -> None:
    """What is learned for documents without chains, and said of them, is as if none had any."""
    without = pipeline(0)
    assert classifier(without).chained is None
    files = classifier(learned)._files()
    plain = {name: data for name, data in files.items() if not name.startswith("chained-")}
    assert plain == classifier(without)._files() == classifier(pipeline(5))._files()
    bare = gold(50, chains=False)
    assert related(learned, bare) == related(without, bare) == related(without, gold(50))


def test_learning_is_reproducible_and_kept(learned: Any) -> None:
    """Equal bytes for equal gold; what is read back says the same."""
    first, again = classifier(learned), classifier(pipeline())
    assert first.to_bytes() == again.to_bytes()
    read = RelationClassifier("r", "en", "", [], RelationSettings()).from_bytes(first.to_bytes())
    assert read.chained is not None
    assert first.chained is not None
    assert read.chained.relate(report(50)[0]) == first.chained.relate(report(50)[0])


def test_recovered_chains_never_contradict_the_relations() -> None:
    """The benchmark's chains end with the label, and where two mentions have one partner."""
    text = "Anna et elle, puis Paul et lui, vont de Gao vers Rome."
    places = [("Anna", "CIVILIAN"), ("elle", "CIVILIAN"), ("Paul", "CIVILIAN")]
    places += [("lui", "CIVILIAN"), ("Gao", "PLACE"), ("Rome", "PLACE")]
    entities = [Entity(text.index(w), text.index(w) + len(w), label) for w, label in places]
    found = recovered_chains(Report(text, entities, [(1, 4), (3, 4)]))
    assert [0, 1] in found
    assert [2, 3] in found
    apart = recovered_chains(Report(text, entities, [(0, 4), (3, 5)]))
    assert all(not {0, 1} <= set(chain) for chain in apart)
    assert recovered_chains(Report(text, entities, []), relations=False)[-1] == [5]
