"""Laws of the one comparison."""

from __future__ import annotations

import json
import random
import time
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.alignment import (
    Alignment,
    EntityKind,
    RelationKind,
    align,
    jaccard,
    overlapping_pairs,
)
from curate.errors import DataError
from curate.matching import best_matching, cardinality, overlapping
from curate.model import Annotation, Entity, Relation, Source
from curate.schema import EntityType, LabelSchema, RelationType

SCHEMA = LabelSchema(
    "t",
    (EntityType("PER"), EntityType("ORG"), EntityType("LOC")),
    (
        RelationType("ally", ("PER",), ("PER",), symmetric=True),
        RelationType("leads", ("PER",), ("ORG",)),
    ),
)


def annotation(
    entities: list[tuple[int, int, str]],
    relations: list[tuple[int, int, str]] = (),  # type: ignore[assignment]
) -> Annotation:
    made = [Entity(*entity) for entity in entities]
    links = [Relation(made[head], made[tail], label) for head, tail, label in relations]
    return Annotation.of("d", made, links, Source.curator("t"))


def kinds(alignment: Alignment) -> list[tuple[str, int, int]]:
    return [(str(e.kind), len(e.a), len(e.b)) for e in alignment.entities]


def relation_kinds(alignment: Alignment) -> list[str]:
    return [str(event.kind) for event in alignment.relations]


spans = st.tuples(st.integers(0, 12), st.integers(1, 6), st.sampled_from(["PER", "ORG", "LOC"]))
entity_lists = st.lists(spans.map(lambda s: (s[0], s[0] + s[1], s[2])), max_size=5)


@st.composite
def annotations(draw: st.DrawFn) -> Annotation:
    entities = draw(entity_lists)
    links = []
    if entities:
        index = st.integers(0, len(entities) - 1)
        links = draw(
            st.lists(st.tuples(index, index, st.sampled_from(["ally", "leads", "r"])), max_size=5)
        )
    return annotation(entities, links)


@pytest.mark.parametrize(
    ("gold", "other", "expected"),
    [
        ([(0, 5, "PER")], [(0, 5, "PER")], [("correct", 1, 1)]),
        ([(0, 5, "PER")], [(0, 5, "ORG")], [("label", 1, 1)]),
        ([(0, 9, "PER")], [(0, 4, "PER"), (5, 9, "PER")], [("split", 1, 2)]),
        ([(0, 9, "PER")], [(0, 4, "PER"), (4, 9, "ORG")], [("split", 1, 2)]),
        ([(0, 4, "PER"), (5, 9, "PER")], [(0, 9, "PER")], [("merge", 2, 1)]),
        ([(0, 5, "PER")], [(1, 5, "PER")], [("boundary", 1, 1)]),
        ([(0, 5, "PER")], [(1, 5, "ORG")], [("label_boundary", 1, 1)]),
        ([(0, 5, "PER")], [(5, 9, "PER")], [("missed", 1, 0), ("spurious", 0, 1)]),
        ([(0, 5, "PER")], [], [("missed", 1, 0)]),
        ([], [(0, 5, "PER")], [("spurious", 0, 1)]),
        ([], [], []),
    ],
)
def test_each_kind_of_entity_event(gold, other, expected) -> None:
    """The table of the module's docstring, case by case; adjacent spans do not overlap."""
    assert kinds(align(annotation(gold), annotation(other))) == expected


def test_nested_pieces_do_not_split() -> None:
    """Two predictions inside each other are not two parts of the gold span."""
    found = align(annotation([(0, 10, "PER")]), annotation([(0, 8, "PER"), (0, 6, "PER")]))
    assert sorted(kinds(found)) == [("boundary", 1, 1), ("spurious", 0, 1)]


def test_a_chain_of_shifted_spans_is_neither_split_nor_merge() -> None:
    """Spans that each overlap two neighbours by half are boundary errors, one to one."""
    gold = annotation([(0, 10, "PER"), (12, 20, "PER")])
    other = annotation([(5, 15, "PER"), (17, 25, "PER")])
    assert kinds(align(gold, other)) == [("boundary", 1, 1), ("boundary", 1, 1)]


def test_an_inner_label_of_a_nested_pair_is_kept_apart() -> None:
    """With equal spans of several labels, the equal label is the correct one."""
    gold = annotation([(0, 5, "PER"), (0, 5, "ORG")])
    other = annotation([(0, 5, "ORG"), (0, 5, "LOC")])
    assert kinds(align(gold, other)) == [("correct", 1, 1), ("label", 1, 1)]


def test_the_matching_is_optimal_where_a_greedy_one_is_not() -> None:
    """First come first served would pair (0,10) with (0,9) and leave two unmatched."""
    gold = annotation([(0, 10, "PER"), (9, 20, "PER")])
    other = annotation([(8, 12, "PER"), (0, 3, "PER")])
    found = align(gold, other)
    assert found.overlapping == 2
    assert len(found.lenient) == 2


@pytest.mark.parametrize(
    ("gold", "other", "expected"),
    [
        ((0, 1, "leads"), (0, 1, "leads"), ["correct"]),
        ((0, 1, "leads"), (0, 1, "member"), ["type"]),
        ((0, 1, "leads"), (1, 0, "leads"), ["direction"]),
        ((0, 1, "leads"), (0, 2, "leads"), ["argument"]),
        ((0, 1, "leads"), (3, 1, "leads"), ["argument"]),
        ((0, 1, "leads"), (1, 0, "member"), ["missed", "spurious"]),
        ((0, 1, "ally"), (1, 0, "ally"), ["correct"]),
        ((0, 1, "ally"), (1, 0, "leads"), ["type"]),
        ((0, 1, "ally"), (2, 1, "ally"), ["argument"]),
        ((0, 1, "ally"), (1, 2, "ally"), ["argument"]),
        ((0, 1, "leads"), (2, 3, "leads"), ["missed", "spurious"]),
    ],
)
def test_each_kind_of_relation_event(gold, other, expected) -> None:
    """The relation table, symmetric types without order."""
    mentions = [(0, 5, "PER"), (10, 15, "ORG"), (20, 25, "ORG"), (30, 35, "PER")]
    found = align(annotation(mentions, [gold]), annotation(mentions, [other]), SCHEMA)
    assert relation_kinds(found) == expected


def test_arguments_that_overlap_are_argument_errors() -> None:
    """Both arguments a little off still are the same relation, wrongly drawn."""
    gold = annotation([(0, 5, "PER"), (10, 15, "ORG")], [(0, 1, "leads")])
    other = annotation([(0, 6, "PER"), (9, 15, "ORG")], [(0, 1, "leads")])
    assert relation_kinds(align(gold, other, SCHEMA)) == ["argument"]


def test_the_labels_of_arguments_are_no_part_of_a_relation() -> None:
    """A relabelled argument leaves the relation itself as it was."""
    gold = annotation([(0, 5, "PER"), (10, 15, "ORG")], [(0, 1, "leads")])
    other = annotation([(0, 5, "PER"), (10, 15, "LOC")], [(0, 1, "leads")])
    assert relation_kinds(align(gold, other, SCHEMA)) == ["correct"]


def test_a_missed_relation_says_whether_an_argument_was_missed() -> None:
    """What no relation model could have found is told apart."""
    mentions = [(0, 5, "PER"), (10, 15, "ORG")]
    gold = annotation(mentions, [(0, 1, "leads")])
    assert align(gold, annotation(mentions[:1])).relations[0].missed_argument
    assert not align(gold, annotation(mentions)).relations[0].missed_argument


def test_kinds_are_plain_json() -> None:
    """A kind is written as its name."""
    assert (
        json.dumps([EntityKind.LABEL_BOUNDARY, RelationKind.TYPE]) == '["label_boundary", "type"]'
    )


def test_two_documents_are_never_compared() -> None:
    """An alignment is of one document."""
    with pytest.raises(DataError, match="cannot compare"):
        align(
            Annotation.of("d", [], [], Source.curator("t")),
            Annotation.of("e", [], [], Source.curator("t")),
        )


@given(annotations(), annotations())
def test_every_member_is_in_exactly_one_event(a: Annotation, b: Annotation) -> None:
    """Members of the events of a side are that side, each once."""
    found = align(a, b, SCHEMA)
    assert sorted(e.key for event in found.entities for e in event.a) == [e.key for e in a.entities]
    assert sorted(e.key for event in found.entities for e in event.b) == [e.key for e in b.entities]
    assert sorted(r.key for event in found.relations for r in event.a) == [
        r.key for r in a.relations
    ]
    assert sorted(r.key for event in found.relations for r in event.b) == [
        r.key for r in b.relations
    ]


@given(annotations(), annotations(), st.randoms(use_true_random=False))
def test_order_of_input_is_of_no_consequence(
    a: Annotation, b: Annotation, rng: random.Random
) -> None:
    """Shuffled entities and relations, even of annotations not in canonical form."""

    def shuffled(side: Annotation) -> Annotation:
        entities, relations = list(side.entities), list(side.relations)
        rng.shuffle(entities)
        rng.shuffle(relations)
        return Annotation("d", tuple(entities), tuple(relations), side.source)

    assert align(a, b, SCHEMA) == align(shuffled(a), shuffled(b), SCHEMA)


@given(annotations())
def test_an_annotation_is_the_same_as_itself(a: Annotation) -> None:
    """No event but correct, and only then."""
    found = align(a, a, SCHEMA)
    assert found.is_same
    assert not found.changes()


@given(annotations(), annotations())
def test_sides_exchanged_exchange_missed_and_spurious(a: Annotation, b: Annotation) -> None:
    """Credits do not depend on which side is called gold."""
    one, two = align(a, b, SCHEMA), align(b, a, SCHEMA)
    assert one.exact == two.exact
    assert one.overlapping == two.overlapping
    assert sum(w for *_, w in one.lenient) == pytest.approx(sum(w for *_, w in two.lenient))


def best_by_trying(a: list, b: list, worth) -> float:
    """The largest sum over all one-to-one pairings."""
    if len(a) > len(b):
        return best_by_trying(b, a, lambda x, y: worth(y, x))
    return max(
        (sum(worth(x, y) for x, y in zip(a, order, strict=False)) for order in permutations(b)),
        default=0.0,
    )


@settings(max_examples=150)
@given(entity_lists, entity_lists)
def test_credits_are_the_best_there_are(left, right) -> None:
    """Partial credit and lenient sum equal those of trying every one-to-one pairing."""
    a, b = sorted(set(left)), sorted(set(right))
    found = align(annotation(a), annotation(b))
    partial = best_by_trying(
        a, b, lambda x, y: 1.0 if x[:2] == y[:2] else 0.5 if jaccard(x, y) else 0.0
    )
    assert found.exact + 0.5 * found.overlapping == partial
    lenient = best_by_trying(a, b, lambda x, y: jaccard(x, y) if x[2] == y[2] else 0.0)
    correct = found.entity_counts()[EntityKind.CORRECT]
    assert correct + sum(w for *_, w in found.lenient) == pytest.approx(lenient)


@given(entity_lists, entity_lists)
def test_overlapping_pairs_are_all_of_them(left, right) -> None:
    """The sweep finds what comparing each with each finds."""
    a, b = sorted(left), sorted(right)
    everything = [
        (i, j) for i, x in enumerate(a) for j, y in enumerate(b) if x[0] < y[1] and y[0] < x[1]
    ]
    assert overlapping_pairs(a, b) == everything


@given(entity_lists, entity_lists)
def test_the_greedy_sweep_finds_the_most_overlapping_pairs(left, right) -> None:
    """Taking spans by their end gives what augmenting paths give."""
    a, b = sorted(left), sorted(right)
    most = cardinality(overlapping_pairs(a, b))
    assert overlapping([s[:2] for s in a], [s[:2] for s in b]) == most


def test_small_and_large_solvers_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """The component's size decides who solves it, not what comes out."""
    rng = random.Random(3)
    for _ in range(30):
        edges = [
            (i, j, rng.randint(1, 200) / 100)
            for i in range(9)
            for j in range(11)
            if rng.random() < 0.4
        ]
        pairs = [(i, j) for i, j, _ in edges]
        small, few = best_matching(edges), cardinality(pairs)
        with monkeypatch.context() as patch:
            patch.setattr("curate.matching._SMALL", 0)
            large, many = best_matching(edges), cardinality(pairs)
        assert sum(w for *_, w in small) == pytest.approx(sum(w for *_, w in large))
        assert few == many


def test_every_stretch_of_words_may_be_an_entity() -> None:
    """A model that proposes all runs of up to eight words: everything overlaps a hundred others."""
    rng = random.Random(2)

    def side(shift: int) -> Annotation:
        runs = [(i, k) for i in range(400) for k in range(1, 9) if rng.random() < 0.9]
        return annotation([(i * 5 + shift, (i + k) * 5 - 1, "A") for i, k in runs])

    a, b = side(0), side(1)
    began = time.perf_counter()
    found = align(a, b)
    assert time.perf_counter() - began < 15
    assert found.overlapping > 2500


def test_four_thousand_entities_take_no_quadratic_time() -> None:
    """One document of 4,000 overlapping, chained, relabelled mentions a side."""
    rng = random.Random(1)

    def side(n: int) -> Annotation:
        starts = [rng.randrange(n * 10) for _ in range(n)]
        return annotation(
            [(s, s + rng.randint(1, 40), rng.choice("ABCD")) for s in starts],
            [(rng.randrange(n), rng.randrange(n), "r") for _ in range(n // 2)],
        )

    a, b = side(4000), side(4000)
    align(side(50), side(50))
    began = time.perf_counter()
    align(a, b)
    assert time.perf_counter() - began < 6
