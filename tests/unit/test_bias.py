"""Laws of the comparison of blind and assisted documents."""

from __future__ import annotations

import random

from curate.agreement.bias import MEASURES, Case, measure_bias
from curate.model import Annotation, Entity, Relation, Source


def document(number: int, blind: bool, led: float, rng: random.Random) -> Case:
    """20 mentions; the model finds 12 of them and 6 that are none; annotators find 16 by
    themselves, and of an assisted document accept what the model says with probability ``led``."""
    truth = [Entity(20 * i, 20 * i + 6, "PER") for i in range(20)]
    links = [Relation(a, b, "knows") for a, b in zip(truth[::2], truth[1::2], strict=True)]
    guess = [e for e in truth if rng.random() < 0.6]
    wrong = [Entity(20 * i + 10, 20 * i + 14, "PER") for i in range(20) if rng.random() < 0.3]
    said = {e for e in truth if rng.random() < 0.8}
    if not blind:
        said |= {e for e in (*guess, *wrong) if rng.random() < led}
    drawn = [r for r in links if r.head in said and r.tail in said]

    def of(entities, relations, source):
        return Annotation.of(f"d{number:04}", entities, relations, source)

    return Case(
        f"d{number:04}",
        blind,
        of([*guess, *wrong], (), Source.model("m")),
        [of(said, drawn, Source.annotator("a"))],
        of(truth, links, Source.curator("c")),
    )


def lanes(led: float, seed: int = 1, size: int = 120) -> list[Case]:
    rng = random.Random(seed)
    return [document(n, n % 3 == 0, led, rng) for n in range(size)]


def test_annotators_who_accept_what_they_see_are_found_out() -> None:
    """The model is flattered, wrong predictions stand, and the words say so with an interval."""
    found = measure_bias(lanes(led=0.6), draws=2000)
    flattered = found.measures["model_entities"]
    assert flattered.is_sure
    assert flattered.difference.value is not None
    assert flattered.difference.value > 0.1
    standing = found.measures["wrong_entities_standing"]
    assert standing.blind.value == 0
    assert standing.assisted.value is not None
    assert abs(standing.assisted.value - 0.6) < 0.06
    assert found.words[0].startswith("Assisted gold flatters the model by ")
    assert "are led by the model" in " ".join(found.words)


def test_annotators_who_are_not_led_are_not_accused() -> None:
    """Both lanes alike: the interval of the difference holds 0, and the words say so."""
    found = measure_bias(lanes(led=0.0, seed=2), draws=2000)
    gap = found.measures["model_entities"].difference
    assert gap.ci is not None
    assert gap.ci[0] < 0 < gap.ci[1]
    assert found.words[0].startswith("No effect of assistance")
    assert "40 blind and 80 assisted" in found.words[0]


def test_the_interval_covers_no_effect_about_as_often_as_it_says() -> None:
    """Of 40 worlds without effect, few intervals leave 0 out."""
    sure = sum(
        measure_bias(lanes(0.0, seed, 60), draws=500).measures["model_entities"].is_sure
        for seed in range(40)
    )
    assert sure <= 6


def test_what_cannot_be_told_is_undefined() -> None:
    """No decision, one annotator, no relation: None, in words, too."""
    bare = [Case(c.document_id, c.blind, c.prediction, c.annotations) for c in lanes(0.5, size=12)]
    found = measure_bias(bare, draws=100)
    assert found.measures["wrong_entities_standing"].difference.value is None
    assert found.measures["agreement_entities"].blind.value is None
    assert "cannot be told" in " ".join(found.words)
    assert set(found.measures) == set(MEASURES)
    assert found.as_dict()["decided"] == {"blind": 0, "assisted": 0}


def test_the_order_of_documents_is_of_no_consequence() -> None:
    """Cases in any order give the same numbers."""
    cases = lanes(0.3, size=30)
    shuffled = random.Random(5).sample(cases, len(cases))
    assert measure_bias(cases, draws=200) == measure_bias(shuffled, draws=200)
