"""Learning curves: nested subsets, the power law, its interval, and the advice drawn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import DataError
from curate.model import Annotation, Entity, Source
from curate.reports.train_curve import draw, inline
from curate.scoring import Tally, tally
from curate.scoring.learning_curve import (
    Curve,
    Point,
    curves,
    fit_power,
    fold_of,
    nested,
    power,
    shuffled,
    sizes_of,
)
from curate.scoring.next_labels import Kind, advise

SIZES = (10, 20, 40, 80, 160)
GOLD, MODEL = Source.curator("g"), Source.model("m")
groups = st.dictionaries(
    st.text("abc123", min_size=1, max_size=4), st.sampled_from(["", "g1", "g2", "g3"]), min_size=2
)


@given(groups, st.integers(0, 5), st.integers(0, 5))
def test_subsets_are_nested_and_whole_by_group(
    known: dict[str, str], seed: int, repeat: int
) -> None:
    """Each subset lies in the next, holds no part of a group, and knows no order of input."""
    order = shuffled(known, seed, repeat)
    assert order == shuffled(dict(reversed(known.items())), seed, repeat)
    subsets = [set(subset) for subset in nested(order, sizes_of(len(known), (0.3, 0.6, 1.0)))]
    assert subsets[-1] == set(known)
    for small, large in zip(subsets, subsets[1:], strict=False):  # noqa: RUF007
        assert small <= large
    for subset in subsets:
        inside = {known[key] for key in subset} - {""}
        assert not any(known[key] in inside for key in set(known) - subset)


@given(groups, st.integers(2, 4))
def test_every_document_is_held_out_once_in_a_round_of_folds(
    known: dict[str, str], folds: int
) -> None:
    """The held-out parts of one round are a partition, and no group stands on both sides."""
    held = [fold_of(known, folds, 3, repeat) for repeat in range(folds)]
    assert sorted(key for _, part in held for key in part) == sorted(known)
    for rest, part in held:
        assert {known[k] for k in rest}.isdisjoint({known[k] for k in part} - {""})


@pytest.mark.parametrize("k", [0.0, 80.0])
def test_a_law_without_noise_is_found_again(k: float) -> None:
    """The fit goes through points that lie on a power law, and foretells the next; also where the
    model knew something before it saw gold, and the curve begins flat."""
    truth = np.array([[0.9, 1.2, 0.5, k]])
    points = np.column_stack([power(truth, n) for n in SIZES])
    found = fit_power(SIZES, points, np.ones((1, len(SIZES))))
    assert power(found, 320)[0] == pytest.approx(float(power(truth, 320)[0]), abs=0.003)
    assert found[0, 3] == k
    flat = fit_power(SIZES, np.array([[0.9, 0.8, 0.7, 0.6, 0.5]]), np.ones((1, 5)))
    assert flat[0, 1] == 0.0
    assert np.isnan(fit_power(SIZES, np.full((1, 5), np.nan), np.ones((1, 5)))).all()


def world(size: int, repeat: int, documents: int = 30, labels: Sequence[str] = ("A",)) -> Tally:
    """Scored documents of ten mentions a label, of which a share that follows a law is found."""
    rng = np.random.default_rng([size, repeat])
    share = 0.95 - 1.0 * size**-0.5
    rows = []
    for i in range(documents):
        entities = [
            Entity(40 * k + 10 * j, 40 * k + 10 * j + 5, label)
            for k in range(10)
            for j, label in enumerate(labels)
        ]
        found = [e for e in entities if rng.random() < share]
        rows.append((Annotation.of(f"d{i}", entities, (), GOLD), found))
    return tally(
        [(gold, Annotation.of(gold.document_id, found, (), MODEL)) for gold, found in rows]
    )


def points(sizes: Sequence[int] = SIZES, repeats: int = 3) -> list[Point]:
    return [
        Point(step, repeat, size, world(size, repeat))
        for step, size in enumerate(sizes)
        for repeat in range(repeats)
    ]


def test_the_interval_holds_the_truth_and_the_sentence_says_it() -> None:
    """What 160 more documents bring lies in the interval, and stands in the sentence in points."""
    main, label = curves(points(), 160, 160, draws=300)
    share = [0.95 - n**-0.5 for n in (160, 320)]
    truth = 2 * share[1] / (1 + share[1]) - 2 * share[0] / (1 + share[0])
    assert (main.part, main.label, label.label) == ("entities", None, "A")
    assert main.gain_ci is not None
    assert main.gain_ci[0] <= truth <= main.gain_ci[1]
    assert main.gain is not None
    assert main.half is not None
    assert main.sentence == (
        f"entities: +160 documents ≈ +{100 * main.gain:.1f} ± {100 * main.half:.1f}"
    )
    assert (label.gold, label.share) == (300, 1.0)
    assert curves(points(), 160, 160, draws=300)[0] == main
    assert curves(points()[::-1], 160, 160, draws=300)[0] == main


def test_what_is_foretold_lies_on_the_truth_on_average() -> None:
    """Over many curves with noise the mean of what is foretold is near what the law says, whether
    the model knew something before gold or not: it leant low by 0.4 and 1.1 points."""
    sizes = [8, 16, 32, 56, 80]
    for k in (0.0, 40.0):
        law = np.array([[0.95, 0.3 * (8 + k) ** 0.2, 0.2, k]])
        clean = np.concatenate([power(law, n) for n in sizes])
        spread = np.sqrt(0.02**2 * 8 / np.array(sizes) + 0.006**2)
        noise = np.random.default_rng(1).normal(size=(1000, 5)) * spread
        found = fit_power(sizes, clean + noise, 1 / spread[None, :] ** 2)
        foretold = (power(found, 160) - power(found, 80)).mean()
        assert foretold == pytest.approx(float((power(law, 160) - power(law, 80))[0]), abs=0.007)


def test_what_cannot_be_fitted_is_na_with_its_reason() -> None:
    """Too few sizes, too narrow a span, too little of a label: no figure, but why."""
    few = curves(points(SIZES[:3]), 40, 40, draws=50)[0]
    assert few.sentence == "entities: n/a: a curve needs 4 different sizes, there are 3"
    narrow = curves(points((10, 12, 14, 16)), 16, 16, draws=50)[0]
    assert "less than a factor of 3" in narrow.sentence
    rare = [Point(step, 0, size, world(size, 0, documents=1)) for step, size in enumerate(SIZES)]
    assert curves(rare, 160, 100)[0].why == "one scored document allows no interval"
    with pytest.raises(DataError, match="every size, every repetition"):
        curves(points()[:-1], 160, 100)


def curve(label: str, *, f1: float, gain: float | None, share: float = 0.1) -> Curve:
    ci = None if gain is None else (gain / 2, gain * 2)
    made = Curve("entities", label, (1.0,), (f1,), (None,), ((f1,),), 100, 100, 50, share)
    why = "few" if gain is None else ""
    return replace(made, gain=gain, gain_ci=ci, slope=gain, why=why)


def test_the_most_urgent_label_comes_first() -> None:
    """Absent and rare labels, then by what their gain is worth to all, then the flat and good."""
    known = [
        curve("RISES", f1=0.6, gain=0.05, share=0.1),
        curve("COMMON", f1=0.6, gain=0.03, share=0.5),
        curve("FLAT", f1=0.6, gain=0.001),
        curve("GOOD", f1=0.95, gain=0.02),
        curve("RARE", f1=0.3, gain=None),
    ]
    names = ("GOOD", "FLAT", "RISES", "RARE", "COMMON", "NONE")
    support = {"GOOD": 99, "FLAT": 99, "RISES": 99, "RARE": 3, "COMMON": 99}
    said = advise(known, {"entities": names}, support)
    assert [one.label for one in said] == ["NONE", "RARE", "COMMON", "RISES", "FLAT", "GOOD"]
    assert [one.kind for one in said][:2] == [Kind.ABSENT, Kind.FEW]
    assert said[2].text == "+100 documents ≈ +3.0 ± 2.2: annotate more of it"
    assert "guideline" in said[4].text


def test_the_same_curves_give_the_same_picture() -> None:
    """PNG and SVG have no clock in them; in a page the SVG takes the page's colours."""
    found = curves(points(), 160, 100, draws=50)[:1]
    for form, start in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        picture = draw(found, "dev", form)
        assert picture.startswith(start)
        assert draw(found, "dev", form) == picture
    page = inline(picture, "F1")
    assert page.startswith("<svg")
    assert "var(--gold)" in page
    assert "#116329" not in page
