"""Laws of what later corrections reopen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from curate.agreement.remerge import DECISION, reopened
from curate.model import Annotation, Entity, Relation, Source

A, B, C = Entity(0, 5, "PER"), Entity(10, 15, "ORG"), Entity(20, 25, "LOC")


def said(entities, relations=(), source=None) -> Annotation:
    return Annotation.of("d", entities, relations, source or Source.annotator("x"))


def test_nothing_changed_nothing_reopened() -> None:
    """What was overruled when the decision was made stays overruled."""
    shown = {"x": said([A, B]), "y": said([A])}
    assert reopened(said([A, C]), shown, shown) == ()


def test_a_change_that_comes_to_the_decision_reopens_nothing() -> None:
    """Added as decided, withdrawn as decided."""
    shown = {"x": said([A, C]), "y": said([A])}
    now = {"x": said([A, B]), "y": said([A, B])}
    assert reopened(said([A, B]), shown, now) == ()


def test_a_contradiction_reopens_its_place_and_only_that() -> None:
    """Another border at A: one point, at A, with everybody's claims; B and C are left alone."""
    longer = Entity(0, 7, "PER")
    shown = {"x": said([A, B]), "y": said([A, C])}
    now = {"x": said([longer, B]), "y": said([A, C])}
    (point,) = reopened(said([A, B, C]), shown, now)
    assert (point.start, point.end, point.kind) == (0, 7, "boundary")
    assert dict(point.entities) == {DECISION: (A,), "x": (longer,), "y": (A,)}


def test_a_withdrawn_claim_reopens_what_was_decided_on_it() -> None:
    """Both had it, one takes it back: nobody has looked at that yet."""
    shown = {"x": said([A, B]), "y": said([A, B])}
    now = {"x": said([A, B]), "y": said([A])}
    (point,) = reopened(said([A, B]), shown, now)
    assert (point.start, point.kind) == (10, "presence")


def test_relations_reopen_by_themselves() -> None:
    """A relation added, one withdrawn, the direction of a symmetric one of no consequence."""
    one, two = Relation(A, B, "leads"), Relation(B, C, "in")
    shown = {"x": said([A, B, C], [one])}
    now = {"x": said([A, B, C], [two])}
    points = reopened(said([A, B, C], [one]), shown, now)
    assert [p.labels for p in points] == [("leads",), ("in",)]
    assert all(p.kind == "relation" for p in points)


def test_of_a_new_annotator_only_new_claims_count() -> None:
    """A third one who misses B reopens nothing; one who marks C reopens C; a new name for an old
    annotator reopens nothing, though they were overruled."""
    shown = {"x": said([A, B])}
    decision = said([A, B])
    assert reopened(decision, shown, {**shown, "z": said([A])}) == ()
    (point,) = reopened(decision, shown, {**shown, "z": said([A, C])})
    assert point.start == 20
    overruled = said([A, C], [Relation(A, C, "in")])
    assert reopened(decision, {"x": overruled}, {"renamed": overruled}) == ()


spans = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 4), st.sampled_from("PO")).map(
        lambda s: Entity(s[0], s[0] + s[1], s[2])
    ),
    max_size=4,
)


@given(spans, spans, spans)
def test_every_contradicting_change_lies_in_a_reopened_place(decided, before, after) -> None:
    """And no place is reopened that holds none."""
    decision = said(decided)
    points = reopened(decision, {"x": said(before)}, {"x": said(after)})
    keys = [{e.key for e in side} for side in (decided, before, after)]
    contradicting = ((keys[2] - keys[1]) - keys[0]) | ((keys[1] - keys[2]) & keys[0])
    for start, end, _ in contradicting:
        assert any(p.start <= start and end <= p.end for p in points)
    for point in points:
        assert any(s < point.end and point.start < e for s, e, _ in contradicting)
