"""Relations between given mentions: what the model learns, says and keeps."""

from __future__ import annotations

import pytest

from curate.errors import DataError
from curate.extractors import relations
from curate.extractors.features import Text
from curate.extractors.pairs import Place
from curate.extractors.relations import RelationModel, RelationSettings, Triple, best_threshold
from curate.gold.items import GoldDocument
from curate.model import Entity
from curate.schema import RelationType

TYPES = [RelationType("lives_in", ("PER",), ("LOC",))]


def report(number: int) -> tuple[Place, list[Triple]]:
    """A person who lives somewhere, and one who merely passes through."""
    first, second = f"Anna{number}", f"Paul{number}"
    words = [first, "lives", "in", "Oslo", ".", second, "flew", "over", "Rome", "."]
    tokens, at = [], 0
    for word in words:
        tokens.append((at, at + len(word)))
        at += len(word) + 1
    text = Text(" ".join(words), tokens, words, [(0, 5), (5, 10)])
    labels = {0: "PER", 3: "LOC", 5: "PER", 8: "LOC"}
    entities = [Entity(*tokens[i], label) for i, label in labels.items()]
    return Place.of(text, entities), [(0, 1, "lives_in")]


@pytest.fixture(autouse=True)
def _enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relations, "ENOUGH", 20)


@pytest.fixture
def model(_enough: None) -> RelationModel:
    made = RelationModel(RelationSettings(seed=1), TYPES)
    made.fit([report(i) for i in range(24)])
    return made


def test_the_nearest_legal_pair_is_learned(model: RelationModel) -> None:
    """Unseen names in a seen pattern are linked, the others are not."""
    found = model.relate(report(99)[0])
    assert [(h, t, label) for h, t, label, _ in found] == [(0, 1, "lives_in")]


def test_scores_are_calibrated_shares(model: RelationModel) -> None:
    """A curve from cross-validation stands behind every score; no score is certainty."""
    assert model.curve.points
    assert all(0 < score < 1 for *_, score in model.relate(report(99)[0]))


def test_little_gold_is_left_as_it_comes() -> None:
    """Below the number of examples no curve is learned and no one is asked who stands nearer."""
    little = RelationModel(RelationSettings(), TYPES)
    little.fit([report(i) for i in range(19)])
    assert not little.curve.points
    assert not any(feature.startswith("rk:") for feature in little.features)


def test_files_give_the_same_model(model: RelationModel) -> None:
    """Equal bytes for equal gold; what is read back says the same, scores included."""
    again = RelationModel(RelationSettings(seed=1), TYPES)
    again.fit([report(i) for i in range(24)])
    assert again.as_files() == model.as_files()
    read = RelationModel.from_files(model.as_files())
    assert read.curve == model.curve
    assert read.thresholds == model.thresholds
    assert [r[:3] for r in read.relate(report(7)[0])] == [r[:3] for r in model.relate(report(7)[0])]
    with pytest.raises(DataError, match="damaged"):
        RelationModel.from_files({"relations.json": b"{}", "weights.f4": b""})


def test_a_wanted_precision_lifts_the_threshold() -> None:
    """At the threshold for a precision at least that share is right, and no more is lost."""
    scored = [(0.9, True), (0.8, True), (0.7, False), (0.6, True), (0.5, True), (0.4, False)]
    assert best_threshold(scored) < 0.5
    strict = best_threshold(scored, 0.9)
    assert [good for p, good in scored if p >= strict] == [True, True]


def test_train_hands_the_precision_on() -> None:
    """The setting of a training reaches the relation classifier."""
    from curate.extractors.train import TrainSettings, learn_relations
    from tests.contract.test_train import SCHEMA, documents

    gold = [GoldDocument(d, a) for d, a in documents("t" * 6)]
    nlp = learn_relations(gold, SCHEMA, TrainSettings(precision=0.8))
    assert nlp.get_pipe("relation_classifier").settings.precision == 0.8
