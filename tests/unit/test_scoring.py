"""Laws of the scores: sums over alignments, whatever the order, with honest intervals."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.alignment import EntityKind, RelationKind, align
from curate.errors import DataError
from curate.model import Annotation, Entity, Relation, Source
from curate.schema import EntityType, LabelSchema, RelationType
from curate.scoring import score
from curate.scoring.calibration import calibrate
from curate.scoring.resampling import f1, holm, interval, resample, swap

LABELS = ["PER", "ORG", "LOC"]
TYPES = ["ally", "leads", "member"]
SCHEMA = LabelSchema(
    "t",
    tuple(EntityType(name) for name in LABELS),
    (
        RelationType("ally", ("PER",), ("PER",), symmetric=True),
        RelationType("leads", ("PER",), ("ORG",)),
    ),
)
WHO = Source.curator("t")


def annotation(entities, relations=(), document="d", chains=()) -> Annotation:
    made = [Entity(*entity) for entity in entities]
    return Annotation.of(
        document,
        made,
        [Relation(made[head], made[tail], label) for head, tail, label in relations],
        WHO,
        [[made[i] for i in chain] for chain in chains],
    )


@st.composite
def annotations(draw: st.DrawFn, document: str = "d") -> Annotation:
    entities = draw(
        st.lists(
            st.tuples(st.integers(0, 25), st.integers(1, 8), st.sampled_from(LABELS)),
            max_size=9,
        )
    )
    links = []
    if entities:
        index = st.integers(0, len(entities) - 1)
        links = draw(st.lists(st.tuples(index, index, st.sampled_from(TYPES)), max_size=8))
    return annotation([(s, s + n, label) for s, n, label in entities], links, document)


@st.composite
def corpora(draw: st.DrawFn) -> list[tuple[Annotation, Annotation]]:
    names = [f"d{i}" for i in range(draw(st.integers(0, 4)))]
    return [(draw(annotations(name)), draw(annotations(name))) for name in names]


def relation_set(side: Annotation, strict: bool) -> set:
    found = set()
    for relation in side.relations:
        ends = [e.key if strict else e.span for e in (relation.head, relation.tail)]
        if relation.label in SCHEMA.symmetric:
            ends.sort()
        found.add((relation.label, *ends))
    return found


@settings(max_examples=150)
@given(corpora())
def test_scores_are_sums_over_alignments(pairs) -> None:
    """Counting in columns gives what adding up the alignments of the documents gives."""
    scores = score(pairs, schema=SCHEMA, draws=0)
    found = [align(gold, other, SCHEMA) for gold, other in pairs]
    total_g = sum(len(gold.entities) for gold, _ in pairs)
    total_o = sum(len(other.entities) for _, other in pairs)
    kinds: Counter[EntityKind] = sum((a.entity_counts() for a in found), Counter())
    assert scores.entities.errors == {str(kind): kinds[kind] for kind in EntityKind}
    members = {
        str(kind): (
            sum(len(e.a) for a in found for e in a.entities if e.kind is kind),
            sum(len(e.b) for a in found for e in a.entities if e.kind is kind),
        )
        for kind in EntityKind
    }
    assert scores.entities.error_members == members
    assert sum(g for g, _ in members.values()) == total_g
    assert sum(o for _, o in members.values()) == total_o
    measures = scores.entities.measures
    assert measures["strict"].credit == kinds[EntityKind.CORRECT]
    assert (measures["strict"].gold, measures["strict"].predicted) == (total_g, total_o)
    assert measures["exact"].credit == sum(a.exact for a in found)
    assert measures["partial"].credit == sum(a.exact + 0.5 * a.overlapping for a in found)
    lenient = [w for a in found for *_, w in a.lenient]
    assert measures["lenient"].credit == pytest.approx(
        kinds[EntityKind.CORRECT] + math.fsum(lenient)
    )
    linked: Counter[RelationKind] = sum((a.relation_counts() for a in found), Counter())
    assert scores.relations.errors == {str(kind): linked[kind] for kind in RelationKind}
    lost = sum(e.missed_argument for a in found for e in a.relations)
    assert scores.relations.missed_argument == lost
    for name, strict in (("strict", True), ("boundaries", False)):
        sides = [(relation_set(g, strict), relation_set(o, strict)) for g, o in pairs]
        measure = scores.relations.measures[name]
        assert measure.credit == sum(len(g & o) for g, o in sides)
        assert measure.gold == sum(len(g) for g, _ in sides)
        assert measure.predicted == sum(len(o) for _, o in sides)
    assert scores.relations.measures["boundaries"].credit == linked[RelationKind.CORRECT]


@settings(max_examples=60)
@given(corpora())
def test_labels_sum_to_the_whole(pairs) -> None:
    """Per label, credits, gold and predictions add up to those of all."""
    scores = score(pairs, schema=SCHEMA, draws=0)
    for part, name in ((scores.entities, "strict"), (scores.relations, "boundaries")):
        whole = part.measures[name]
        for field in ("credit", "gold", "predicted"):
            assert sum(getattr(m, field) for m in part.per_label.values()) == getattr(whole, field)
    pairs_counted = sum(scores.relations.confusion.values())
    assert pairs_counted == sum(scores.relations.errors.values())


def test_the_order_of_everything_is_of_no_consequence() -> None:
    """Documents, entities and relations shuffled give the same JSON to the last digit."""
    rng = random.Random(5)
    pairs = random_pairs(rng, 12)
    first = json.dumps(score(pairs, schema=SCHEMA, draws=200).as_json())
    for _ in range(3):
        rng.shuffle(pairs)
        mixed = [(shuffled(gold, rng), shuffled(other, rng)) for gold, other in pairs]
        assert json.dumps(score(mixed, schema=SCHEMA, draws=200).as_json()) == first


def random_pairs(rng: random.Random, documents: int) -> list[tuple[Annotation, Annotation]]:
    def side(name: str) -> Annotation:
        entities = []
        for _ in range(rng.randint(1, 12)):
            start = rng.randrange(60)
            entities.append((start, start + rng.randint(1, 9), rng.choice(LABELS)))
        links = [
            (rng.randrange(len(entities)), rng.randrange(len(entities)), rng.choice(TYPES))
            for _ in range(6)
        ]
        return annotation(entities, links, name)

    return [(side(f"d{i:03}"), side(f"d{i:03}")) for i in range(documents)]


def shuffled(side: Annotation, rng: random.Random) -> Annotation:
    entities, relations = list(side.entities), list(side.relations)
    rng.shuffle(entities)
    rng.shuffle(relations)
    return Annotation(side.document_id, tuple(entities), tuple(relations), side.source)


def test_the_hash_seed_is_of_no_consequence() -> None:
    """Two interpreters with other hash seeds print the same."""
    program = (
        "import random, json, sys; sys.path.insert(0, 'tests/unit')\n"
        "from test_scoring import random_pairs, SCHEMA, score\n"
        "print(json.dumps(score(random_pairs(random.Random(1), 8), schema=SCHEMA, draws=50)"
        ".as_json()))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "77")
    }
    assert len(outputs) == 1


def test_undefined_is_none() -> None:
    """Both sides empty is n/a, never 0 nor NaN; the JSON holds null."""
    empty = annotation([])
    data = score([(empty, empty)]).as_json()
    assert data["entities"]["strict"] == {
        "tp": 0, "fp": 0, "fn": 0, "precision": None, "recall": None, "f1": None, "ci": None,
    }  # fmt: skip
    assert data["entities"]["macro_label"]["f1"] is None
    json.dumps(data, allow_nan=False)
    assert score([]).entities.measures["strict"].f1 is None


def test_one_side_empty_is_zero() -> None:
    """Where there was something to find and nothing was found, F1 is 0 and precision n/a."""
    measure = score([(annotation([(0, 5, "PER")]), annotation([]))]).entities.measures["strict"]
    assert (measure.precision, measure.recall, measure.f1) == (None, 0.0, 0.0)


def test_unknown_labels_are_false_positives() -> None:
    """A label that neither gold nor schema has counts against precision, with a warning."""
    scores = score(
        [(annotation([(0, 5, "PER")]), annotation([(0, 5, "PER"), (7, 9, "MOON")]))],
        schema=SCHEMA,
    )
    assert scores.entities.measures["strict"].precision == 0.5
    assert scores.entities.per_label["MOON"].predicted == 1
    assert "MOON" not in scores.entities.macro_labels
    assert any("MOON" in warning for warning in scores.warnings)


def test_duplicates_count_once_and_are_reported() -> None:
    """Both sides are sets."""
    twice = Annotation("d", (Entity(0, 5, "PER"), Entity(0, 5, "PER")), (), WHO)
    scores = score([(annotation([(0, 5, "PER")]), twice)])
    assert scores.entities.measures["strict"].f1 == 1.0
    assert any("more than once" in warning for warning in scores.warnings)


def test_relation_measures_differ_in_what_they_ask_for() -> None:
    """strict wants argument labels, too; recall is over all gold, given_entities over the found."""
    gold = annotation(
        [(0, 5, "PER"), (10, 15, "ORG"), (20, 25, "ORG")], [(0, 1, "leads"), (0, 2, "leads")]
    )
    other = annotation([(0, 5, "PER"), (10, 15, "LOC")], [(0, 1, "leads")])
    scores = score([(gold, other)], schema=SCHEMA, draws=0)
    measures = scores.relations.measures
    assert (measures["strict"].credit, measures["strict"].recall) == (0, 0.0)
    assert (measures["boundaries"].credit, measures["boundaries"].recall) == (1, 0.5)
    assert (measures["given_entities"].recall, measures["given_entities"].precision) == (1.0, 1.0)
    assert scores.relations.missed_argument == 1


def test_symmetric_relations_have_no_order() -> None:
    """Drawn the other way round they are the same, also where the labels of arguments count."""
    gold = annotation([(0, 5, "PER"), (10, 15, "ORG")], [(0, 1, "ally")])
    other = annotation([(0, 5, "PER"), (10, 15, "ORG")], [(1, 0, "ally")])
    measures = score([(gold, other)], schema=SCHEMA, draws=0).relations.measures
    assert measures["strict"].f1 == measures["boundaries"].f1 == 1.0
    assert score([(gold, other)], draws=0).relations.measures["boundaries"].f1 == 0.0


def test_chains_forgive_another_mention_of_the_same_thing() -> None:
    """A triple of chains is right where head and tail share a mention with the gold chains."""
    mentions = [(0, 5, "PER"), (10, 15, "ORG"), (20, 25, "PER"), (30, 35, "PER")]
    gold = annotation(mentions, [(0, 1, "leads")], chains=[(0, 2), (1,)])
    right = annotation(mentions, [(2, 1, "leads")])
    wrong = annotation(mentions, [(3, 1, "leads")])
    assert score([(gold, right)], draws=0).relations.measures["chains"].f1 == 1.0
    assert score([(gold, right)], draws=0).relations.measures["boundaries"].f1 == 0.0
    assert score([(gold, wrong)], draws=0).relations.measures["chains"].f1 == 0.0
    both = annotation(mentions, [(2, 1, "leads"), (0, 1, "leads")])
    assert score([(gold, both)], draws=0).relations.measures["chains"].f1 == 1.0
    assert "chains" not in score([(right, right)], draws=0).relations.measures


def test_only_the_named_labels_are_counted() -> None:
    """A restriction leaves out other entities and relations, not the arguments of those kept."""
    gold = annotation([(0, 5, "PER"), (10, 15, "ORG")], [(0, 1, "leads")])
    scores = score([(gold, gold)], labels={"PER"}, draws=0)
    assert list(scores.entities.per_label) == ["PER"]
    assert scores.relations.measures["strict"].f1 is None
    scores = score([(gold, gold)], labels={"leads"}, draws=0)
    assert scores.relations.measures["given_entities"].f1 == 1.0


def test_pairs_of_two_documents_and_repeats_are_refused() -> None:
    """A score over the wrong pairs would be no score."""
    with pytest.raises(DataError, match="against"):
        score([(annotation([]), annotation([], document="e"))])
    with pytest.raises(DataError, match="twice"):
        score([(annotation([]), annotation([]))] * 2)


def test_a_subset_scores_like_its_documents_alone() -> None:
    """The counts of chosen documents are those of scoring them by themselves."""
    from curate.scoring.scores import scores_of

    pairs = random_pairs(random.Random(2), 10)
    chosen = {"d001", "d004", "d007"}
    part = scores_of(score(pairs, schema=SCHEMA, draws=0).tally.subset(chosen), draws=100)
    alone = score([p for p in pairs if p[0].document_id in chosen], schema=SCHEMA, draws=100)
    assert part.entities.measures == alone.entities.measures
    assert part.relations.per_label == alone.relations.per_label
    assert part.entities.errors == alone.entities.errors


def test_intervals_hold_the_score_and_shrink_with_documents() -> None:
    """A percentile interval of resampled documents lies around the score."""
    rng = random.Random(4)
    few, many = (score(random_pairs(rng, n), draws=500).entities.measures for n in (10, 160))
    for measures in (few, many):
        low, high = measures["strict"].ci
        assert low <= measures["strict"].f1 <= high
    assert (
        many["lenient"].ci[1] - many["lenient"].ci[0] < few["lenient"].ci[1] - few["lenient"].ci[0]
    )


def test_one_document_has_no_interval() -> None:
    """Resampling one document says nothing; the interval is undefined, with a reason."""
    found = score([(annotation([(0, 5, "PER")]), annotation([(0, 5, "PER")]))])
    assert found.entities.measures["strict"].ci is None
    assert any("one document" in warning for warning in found.warnings)


def test_resampling_draws_documents_evenly() -> None:
    """Sums have the mean and variance that drawing with replacement has."""
    table = np.arange(40, dtype=float).reshape(40, 1)
    sums = resample(table, 4000, 1)[:, 0]
    assert sums.mean() == pytest.approx(table.sum(), rel=0.01)
    assert sums.std() == pytest.approx(math.sqrt(40) * table.std(), rel=0.05)
    halves = swap(table, 4000, 1)[:, 0]
    assert halves.mean() == pytest.approx(table.sum() / 2, rel=0.01)


def test_intervals_leave_out_undefined_draws() -> None:
    """A draw where both sides are empty has no F1."""
    assert interval(np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0)
    assert interval(np.array([np.nan])) is None
    assert np.isnan(f1(np.zeros(1), np.zeros(1), np.zeros(1))).all()


def test_holm_steps_down() -> None:
    """The textbook example; undefined p-values are not counted."""
    assert holm([0.01, 0.04, None, 0.03]) == pytest.approx([0.03, 0.06, None, 0.06])


def test_calibration_of_what_is_right_as_often_as_it_says() -> None:
    """Brier by hand, ECE 0 where confidence equals accuracy, threshold by precision."""
    scores = np.array([0.5] * 4 + [1.0] * 2)
    right = np.array([1, 0, 1, 0, 1, 1])
    found = calibrate(scores, right)
    assert found is not None
    assert found.brier == pytest.approx(4 * 0.25 / 6)
    assert found.ece == pytest.approx(0.0)
    assert found.threshold_for(0.9).threshold == 1.0
    assert found.threshold_for(0.6).threshold == 0.5
    assert found.threshold_for(1.1) is None
    assert calibrate(np.zeros(0), np.zeros(0, dtype=int)) is None


def test_calibration_does_not_depend_on_the_order_of_ties() -> None:
    """Claims of equal score share bin and point."""
    scores, right = np.array([0.9] * 50), np.array([1] * 25 + [0] * 25)
    assert calibrate(scores, right) == calibrate(scores, right[::-1].copy())
