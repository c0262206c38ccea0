"""Laws of weighing annotators, on simulated ones whose truth is known."""

from __future__ import annotations

import random

import pytest

from benchmarks.consensus import BAD, GOOD, OK, REQUIRED, TEAMS, annotate, measure, team, truths
from curate.agreement.reliability import PRIOR, USUAL, Rates, estimate


def test_the_estimated_rates_come_near_the_true_ones() -> None:
    """Of two good and one bad annotator: who misses, and who mislabels."""
    _, said = team((GOOD, GOOD, BAD), seed=3)
    found = estimate(said)
    for name, profile in zip(("a0", "a1", "a2"), (GOOD, GOOD, BAD), strict=True):
        rates = found.rates(name)
        assert abs(rates.hit - (1 - profile.miss)) < 0.05
        assert abs(rates.label - (1 - profile.label)) < 0.05
        # an annotator's border is wrong at one side
        assert abs(rates.edge - (1 - profile.border / 2)) < 0.05


def test_few_spans_say_little() -> None:
    """After one document rates stand near everybody's; after many they do not."""
    _, few = team((GOOD, GOOD, BAD), seed=3, documents=1)
    _, many = team((GOOD, GOOD, BAD), seed=3, documents=100)

    def spread(said) -> float:
        found = estimate(said)
        return found.rates("a0").hit - found.rates("a2").hit

    assert 0 <= spread(few) < spread(many)
    assert PRIOR > 0


def test_nobody_known_weighs_as_usual() -> None:
    """No document of two annotators: the usual rates."""
    gold = truths(random.Random(1), 3)
    alone = [[annotate(one, "a", OK, random.Random(2))] for one in gold]
    assert estimate(alone).rates("a") == USUAL == Rates()
    assert estimate([]).entities == {}


def test_order_is_of_no_consequence() -> None:
    """Documents and annotators in any order give the same weights."""
    _, said = team((GOOD, OK, BAD), seed=1, documents=20)
    turned = [list(reversed(sides)) for sides in reversed(said)]
    first, second = estimate(said), estimate(turned)
    for name in ("a0", "a1", "a2"):
        assert first.rates(name).hit == pytest.approx(second.rates(name).hit, abs=1e-9)
        assert first.relation_rates(name).false == pytest.approx(
            second.relation_rates(name).false, abs=1e-9
        )


@pytest.mark.parametrize("name", list(TEAMS))
def test_the_weighted_rule_is_worth_what_is_asked_of_it(name) -> None:
    """F1 against the truth: at least what is required, and more than exact majority."""
    found = measure(name, seed=1, documents=120)
    assert found["weighted"][0] >= REQUIRED[name] - 0.005
    assert found["weighted"][0] > found["exact majority"][0]
    assert found["weighted"][1] > found["exact majority"][1]
