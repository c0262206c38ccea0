"""Laws of comparing two models on one gold."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest

from curate.errors import DataError
from curate.model import Annotation, Entity, Source
from curate.scoring import tally
from curate.scoring.comparison import compare_tallies
from curate.scoring.resampling import swap
from curate.scoring.saved import dump_counts, read_counts


def side(document: str, entities: list[tuple[int, int, str]]) -> Annotation:
    return Annotation.of(document, [Entity(*e) for e in entities], [], Source.curator("t"))


def models(documents: int, good: float, bad: float, seed: int = 1):
    rng = random.Random(seed)
    gold, one, two = [], [], []
    for d in range(documents):
        spans = [(i * 10, i * 10 + 5, rng.choice("PO")) for i in range(10)]
        gold.append(side(f"d{d:03}", spans))
        one.append(side(f"d{d:03}", [s for s in spans if rng.random() < bad]))
        two.append(side(f"d{d:03}", [s for s in spans if rng.random() < good]))
    return gold, one, two


def tallies(documents: int, good: float, bad: float):
    gold, one, two = models(documents, good, bad)
    return (
        tally(zip(gold, one, strict=True)),
        tally(zip(gold, two, strict=True)),
    )


def test_a_clear_difference_is_shown() -> None:
    """The better one is named, with an interval that leaves out zero and a small p."""
    found = compare_tallies(*tallies(60, 0.9, 0.6), draws=1000)
    entities = found.of("entities")
    assert entities.difference > 0.1
    assert entities.ci[0] > 0
    assert entities.p == pytest.approx(1 / 1001)
    assert found.sentences[0].startswith("B is better on entities: B - A = +")


def test_the_same_model_twice_is_no_difference() -> None:
    """p is 1, the difference 0; a p-value is never 0."""
    one, _ = tallies(20, 0.8, 0.8)
    found = compare_tallies(one, one, draws=200)
    assert found.of("entities").p == 1.0
    assert found.of("entities").difference == 0.0
    assert "no difference can be shown with 20 documents" in found.sentences[0]


def test_few_documents_say_how_many_would_do() -> None:
    """Where nothing can be shown, the number needed to see two points is estimated."""
    found = compare_tallies(*tallies(8, 0.71, 0.7), draws=500)
    assert found.of("entities").documents_needed > 8
    assert "would be needed to see 2 points" in found.sentences[0]


def test_swapping_the_models_turns_the_sign_alone() -> None:
    """B - A is - (A - B); p stays."""
    one, two = tallies(30, 0.85, 0.7)
    there, back = compare_tallies(one, two, draws=300), compare_tallies(two, one, draws=300)
    for a, b in zip(there.differences, back.differences, strict=True):
        if a.difference is not None:
            assert a.difference == pytest.approx(-b.difference)
            assert a.p == b.p


def test_p_agrees_with_trying_every_swap() -> None:
    """With five documents all 32 swaps can be tried."""
    one, two = tallies(5, 0.9, 0.5)
    p = compare_tallies(one, two, draws=20_000).of("entities").p
    a, b = one.entities.measures["strict"], two.entities.measures["strict"]

    def f1(table):
        total = table.sum(axis=0)
        return 2 * total[0] / (total[1] + total[2])

    observed = abs(f1(b) - f1(a))
    extreme = 0
    for pattern in range(32):
        mask = np.array([(pattern >> i) & 1 for i in range(5)], dtype=bool)[:, None]
        extreme += abs(f1(np.where(mask, a, b)) - f1(np.where(mask, b, a))) >= observed - 1e-12
    assert p == pytest.approx(extreme / 32, abs=0.02)


def test_holm_is_over_all_that_is_shown() -> None:
    """Adjusted values are never smaller than the plain ones."""
    found = compare_tallies(*tallies(25, 0.8, 0.7), draws=300)
    tested = [d for d in found.differences if d.p is not None]
    assert len(tested) >= 6
    assert all(d.p_holm >= d.p for d in tested)


def test_scores_of_other_documents_are_refused() -> None:
    """Two scores are compared only on the same gold."""
    one, _ = tallies(5, 0.8, 0.7)
    two, _ = tallies(6, 0.8, 0.7)
    with pytest.raises(DataError, match="same documents"):
        compare_tallies(one, two)


def test_undefined_scores_are_not_compared() -> None:
    """Nothing in gold or predictions: no difference, no p, and a sentence that says so."""
    one, two = tallies(5, 0.8, 0.7)
    found = compare_tallies(one, two, draws=100)
    assert found.of("relations").difference is None
    assert found.of("relations").p is None
    assert "cannot be compared" in found.sentences[1]


def test_saved_counts_come_back_the_same(tmp_path) -> None:
    """Comparing saved counts gives what comparing the scorings gave."""
    one, two = tallies(12, 0.8, 0.7)
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path, counts in zip(paths, (one, two), strict=True):
        path.write_bytes(dump_counts(counts))
    again = compare_tallies(*(read_counts(path) for path in paths), draws=200)
    assert again == compare_tallies(one, two, draws=200)


def test_a_paired_test_takes_a_second_at_most() -> None:
    """10,000 draws over 10,000 documents and eight measures (generous: machines are shared)."""
    table = np.random.default_rng(1).integers(0, 40, (10_000, 12)).astype(float)
    began = time.perf_counter()
    swap(table, 10_000)
    assert time.perf_counter() - began < 3
