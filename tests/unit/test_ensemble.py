"""The model and the rules together: rules speak only where they were right often enough."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from curate.extractors.ensemble import (
    LEAST,
    Claim,
    Mention,
    Scored,
    Voice,
    learn_voices,
    names_of,
    together,
    wilson,
)

DATE: Claim = (0, 2, "DATE", "date-full")


def found(first: int, end: int, label: str, raw: float = 0.9) -> Scored:
    return Scored(first, end, label, raw, raw)


def test_a_rule_that_is_right_where_the_model_is_silent_speaks() -> None:
    """It speaks with gold's label and its precision as score, and not where the model spoke."""
    documents = [([DATE], [], [(0, 2, "Date")])] * 8
    voices = learn_voices(documents, names_of((c, g) for c, _, g in documents))
    assert voices == dict.fromkeys(("DATE/*", "DATE/date-full"), Voice("Date", 8, 8))
    assert together([], [DATE], voices) == [Scored(0, 2, "Date", 0.9, 0.9)]
    said = [found(0, 2, "Hour", 0.3)]
    assert together(said, [DATE], voices) == said


def test_a_rule_of_doubtful_worth_is_silent() -> None:
    """Few examples or many mistakes leave the lower bound too low."""
    once = [([DATE], [], [(0, 2, "Date")])]
    assert learn_voices(once, {"DATE": "Date"}) == {}
    mixed: list[tuple[list[Claim], list[Scored], list[Mention]]] = [
        ([DATE], [], [(0, 2, "Date")]),
        ([DATE], [], []),
    ]
    assert learn_voices(mixed * 10, {"DATE": "Date"}) == {}


def test_a_rule_without_a_record_speaks_for_its_label_and_a_bad_one_does_not() -> None:
    """The record of all rules of a label counts for those that hardly ever spoke."""
    good: list[tuple[list[Claim], list[Scored], list[Mention]]] = [([DATE], [], [(0, 2, "Date")])]
    bad: list[tuple[list[Claim], list[Scored], list[Mention]]] = [
        ([(4, 5, "DATE", "date-wild")], [], [])
    ]
    voices = learn_voices(good * 20 + bad * 2, {"DATE": "Date"})
    unknown: Claim = (7, 8, "DATE", "date-new")
    said = together([], [DATE, unknown, (4, 5, "DATE", "date-wild")], voices)
    assert [(m.first, m.label) for m in said] == [(0, "Date"), (7, "Date")]


def test_what_the_model_is_sure_of_stays() -> None:
    """An unsure rival gives way, a sure one does not; pushing out a right one counts as wrong."""
    voices = {"DATE/date-full": Voice("Date", 9, 9)}
    sure, unsure = [found(1, 3, "Event", 0.8)], [found(1, 3, "Event", 0.2)]
    assert together(sure, [DATE], voices) == sure
    assert [m.label for m in together(unsure, [DATE], voices)] == ["Date"]
    wrong: list[tuple[list[Claim], list[Scored], list[Mention]]] = [
        ([DATE], unsure, [(1, 3, "Event"), (0, 2, "Date")])
    ]
    assert learn_voices(wrong * 9, {"DATE": "Date"}) == {}


def test_a_rule_may_speak_inside_a_mention_of_both() -> None:
    """A nested mention is added where rules and model agree on the outer one."""
    voices = {"LOC/gazetteer": Voice("Place", 9, 9)}
    claims: list[Claim] = [(0, 4, "ORG", "institution"), (3, 4, "LOC", "gazetteer")]
    outer = [found(0, 4, "Organisation")]
    assert [m.label for m in together(outer, claims, voices)] == ["Organisation", "Place"]
    assert together(outer, claims[1:], voices) == outer


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_bound_lies_below_the_share_and_rises_with_evidence(right: int, wrong: int) -> None:
    """0 ≤ bound ≤ share; one more that is right lifts it, one more that is wrong does not."""
    said = right + wrong
    bound = wilson(right, said)
    assert 0 <= bound <= (right / said if said else 0) + 1e-12
    assert wilson(right + 1, said + 1) >= bound - 1e-12
    assert wilson(right, said + 1) <= bound + 1e-12


def test_two_right_of_two_are_not_enough() -> None:
    """Three of three are."""
    assert wilson(2, 2) < LEAST < wilson(3, 3)
