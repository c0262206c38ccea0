"""Laws of the consensus rules."""

from __future__ import annotations

import random
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.agreement.consensus import DisagreementKind, Rule, decide
from curate.errors import DataError
from curate.model import Annotation, Entity, Relation, Source


def said(name, entities, relations=()) -> Annotation:
    made = [Entity(*entity) for entity in entities]
    links = [Relation(made[head], made[tail], label) for head, tail, label in relations]
    return Annotation.of("d", made, links, Source.annotator(name))


A, B, C = (0, 5, "PER"), (10, 15, "ORG"), (20, 25, "LOC")
UNANIMOUS, MAJORITY = Rule.parse("unanimous"), Rule.parse("majority")
WEIGHTED = Rule.parse("weighted")


def test_unanimity_takes_what_all_say_and_leaves_the_rest_open() -> None:
    """Agreements are accepted, every difference is open."""
    found = decide([said("x", [A, B]), said("y", [A, C])], UNANIMOUS)
    assert [e.key for e in found.annotation.entities] == [A]
    assert [d.kind for d in found.open] == [DisagreementKind.PRESENCE] * 2
    assert found.entity_votes[A] == ("x", "y")


def test_a_majority_decides_and_a_minority_is_rejected() -> None:
    """Two of three decide; one of three does not even stay open."""
    found = decide([said("x", [A, B]), said("y", [A]), said("z", [A, C])], MAJORITY)
    assert [e.key for e in found.annotation.entities] == [A]
    assert found.open == ()


def test_a_tie_stays_open() -> None:
    """One of two is no majority."""
    found = decide([said("x", [A]), said("y", [])], MAJORITY)
    assert found.annotation.is_empty
    assert len(found.open) == 1


def test_a_place_all_label_differently_stays_open() -> None:
    """Three labels of three annotators: something is there, and nobody knows what."""
    sides = [said(name, [(0, 5, label)]) for name, label in (("x", "P"), ("y", "O"), ("z", "L"))]
    found = decide(sides, MAJORITY)
    assert [d.kind for d in found.open] == [DisagreementKind.LABEL]
    assert [name for name, _ in found.open[0].entities] == ["x", "y", "z"]


@pytest.mark.parametrize(
    ("spans", "decided"),
    [
        ([(0, 9), (0, 9), (3, 9)], (0, 9)),  # the span that most give
        ([(0, 9), (3, 9), (0, 12)], (0, 9)),  # each border by itself
        ([(0, 4), (0, 5), (0, 6)], (0, 4)),  # of equals the shorter mention
    ],
)
def test_ties_of_boundaries_are_broken_by_the_stated_rules(spans, decided) -> None:
    """Something is there with one label: the borders are decided, not queued."""
    sides = [said(n, [(*span, "PER")]) for n, span in zip("xyz", spans, strict=True)]
    found = decide(sides, MAJORITY)
    assert [e.span for e in found.annotation.entities] == [decided]
    assert found.open == ()


def test_a_mention_nested_in_another_keeps_its_own_place() -> None:
    """Two of three mark both: both are decided, neither swallows the other."""
    outer, inner = (0, 20, "ROLE"), (14, 20, "LOC")
    sides = [said("x", [outer, inner]), said("y", [outer, inner]), said("z", [outer])]
    found = decide(sides, MAJORITY)
    assert [e.key for e in found.annotation.entities] == [outer, inner]


@pytest.mark.parametrize("rule", ["unanimous", "majority", "weighted"])
def test_of_two_annotators_every_difference_is_open(rule) -> None:
    """Agreements are accepted, whatever the rule; borders, labels and relations are queued."""
    sides = [
        said("x", [A, B, (30, 35, "PER")], [(0, 1, "leads")]),
        said("y", [A, (10, 16, "ORG"), (30, 35, "ORG")]),
    ]
    found = decide(sides, Rule.parse(rule))
    assert [e.key for e in found.annotation.entities] == [A]
    assert [d.kind for d in found.open] == ["argument", "boundary", "label"]


def test_relations_are_voted_on_per_pair_with_none_as_a_vote() -> None:
    """Two of three draw it; one of three is outvoted by none; two labels stay open."""
    sides = [
        said("x", [A, B, C], [(0, 1, "leads"), (1, 2, "at"), (0, 2, "in")]),
        said("y", [A, B, C], [(0, 1, "leads"), (0, 2, "near")]),
        said("z", [A, B, C]),
    ]
    found = decide(sides, MAJORITY)
    assert [r.label for r in found.annotation.relations] == ["leads"]
    assert sorted(d.labels for d in found.open) == [("in",), ("near",)]


def test_a_named_annotator_decides_everything() -> None:
    """A pinned rule leaves nothing open, and the source names it."""
    found = decide([said("x", [A]), said("y", [B])], Rule.parse("first:y"))
    assert [e.key for e in found.annotation.entities] == [B]
    assert found.open == ()
    assert found.annotation.source == Source.consensus("first:y")


def test_where_the_named_annotator_is_silent_the_others_must_agree() -> None:
    """The rule says what happens then: unanimous."""
    found = decide([said("x", [A]), said("y", [A, B])], Rule.parse("first:z"))
    assert [e.key for e in found.annotation.entities] == [A]
    assert len(found.open) == 1


def test_a_relation_whose_argument_fell_is_open() -> None:
    """Never lost: it stands in the list with its kind."""
    found = decide([said("x", [A, B], [(0, 1, "leads")]), said("y", [A]), said("z", [A])], MAJORITY)
    assert [d.kind for d in found.open] == [DisagreementKind.ARGUMENT]
    assert found.annotation.relations == ()


def test_relations_are_mapped_on_the_decided_entities() -> None:
    """A relation drawn from a slightly other span votes for the decided one."""
    near = (10, 16, "ORG")
    sides = [
        said("x", [A, B], [(0, 1, "leads")]),
        said("y", [A, near], [(0, 1, "leads")]),
        said("z", [A, B]),
    ]
    found = decide(sides, MAJORITY)
    assert [r.key for r in found.annotation.relations] == [(*A, *B, "leads")]
    assert next(iter(found.relation_votes.values())) == ("x", "y")


@pytest.mark.parametrize("text", ["most", "first", "majority:x", ""])
def test_unknown_rules_are_refused(text: str) -> None:
    """A rule is written as it is documented."""
    with pytest.raises(DataError):
        Rule.parse(text)


def test_bad_sets_of_annotations_are_refused() -> None:
    """None, an annotator twice, several for `single`."""
    for sides in ([], [said("x", []), said("x", [])]):
        with pytest.raises(DataError):
            decide(sides, UNANIMOUS)
    with pytest.raises(DataError, match="takes one"):
        decide([said("x", []), said("y", [])], Rule.parse("single"))


claims = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 4), st.sampled_from("PO")).map(
        lambda s: (s[0], s[0] + s[1], s[2])
    ),
    max_size=4,
)


@given(st.tuples(claims, claims, claims), st.sampled_from([UNANIMOUS, MAJORITY, WEIGHTED]))
def test_the_order_of_annotators_is_of_no_consequence(sides, rule) -> None:
    """Any order decides the same, and what is open is the same."""
    made = [
        said(name, entities, [(0, len(entities) - 1, "r")] if entities else [])
        for name, entities in zip("xyz", sides, strict=True)
    ]
    results = [decide(list(order), rule) for order in permutations(made)]
    assert all(result == results[0] for result in results)


@given(st.tuples(claims, claims, claims))
def test_every_relation_is_voted_on_or_open(sides) -> None:
    """No relation an annotator drew is lost under unanimity."""
    made = [
        said(name, entities, [(0, len(entities) - 1, "r")] if entities else [])
        for name, entities in zip("xyz", sides, strict=True)
    ]
    found = decide(made, UNANIMOUS)
    drawn = sum(len(side.relations) for side in made)
    listed = sum(len(rs) for d in found.open for _, rs in d.relations)
    settled = sum(
        len(votes) for key, votes in found.relation_votes.items() if len(votes) == len(made)
    )
    assert listed + settled == drawn


def test_marks_that_all_overlap_share_slots_as_few_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs taken band by band of their overlap make the slots that a sorted list makes."""
    from curate.agreement import slots as module

    rng = random.Random(5)
    for _ in range(60):
        reach = rng.choice([5, 20, 60])
        sides = []
        for name in "abcd"[: rng.choice([2, 3, 4])]:
            starts = [rng.randrange(reach) for _ in range(rng.choice([2, 6, 15]))]
            keys = {(s, s + rng.randint(1, 20), rng.choice("AB")) for s in starts}
            entities = [Entity(*key) for key in keys]
            sides.append(Annotation.of("d", entities, [], Source.annotator(name)))
        listed = module.slots(sides)
        with monkeypatch.context() as patch:
            patch.setattr(module, "MANY", -1)
            patch.setattr(module, "_ROWS", rng.choice([1, 3, 50]))
            assert module.slots(sides) == listed
