"""Laws of the matching of spans that nearly all overlap each other."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from curate import alignment, crowded, matching, spans
from curate.alignment import EntityKind, align, compare_relations, compare_spans, jaccard
from curate.model import Annotation, Entity, Source

Keys = list[tuple[int, int, str]]

key = st.tuples(st.integers(0, 30), st.integers(1, 20), st.sampled_from("ABC")).map(
    lambda k: (k[0], k[0] + k[1], k[2])
)
sides = st.tuples(st.sets(key, max_size=14), st.sets(key, max_size=14)).map(
    lambda pair: (sorted(pair[0] - pair[1]), sorted(pair[1] - pair[0]))
)
solver = st.tuples(st.sampled_from([1, 9, 40]), st.sampled_from([4, 30, 1000]))
arguments = st.sampled_from([(n, n + width) for n in range(6) for width in (2, 5, 9)])
relations = st.sets(st.tuples(st.sampled_from("rs"), arguments, arguments), max_size=12)


def both_ways(a: Keys, b: Keys, how: tuple[int, int]):
    """The comparison with listed pairs, and the same without."""
    listed = compare_spans(a, b)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spans, "MANY", -1)
        patch.setattr(crowded, "_SMALLEST", how[0])
        patch.setattr(crowded, "_BLOCK", how[1])
        return listed, compare_spans(a, b)


def annotation(keys: Keys) -> Annotation:
    return Annotation.of("d", [Entity(*k) for k in keys], [], Source.curator("t"))


@settings(max_examples=150)
@given(sides, solver)
def test_a_crowd_is_compared_as_few_spans_are(pair, how) -> None:
    """Equal credits, equal splits and merges, and the same members; only ties may differ."""
    a, b = pair
    listed, crowd = both_ways(a, b, how)
    assert crowd.overlapping == listed.overlapping
    assert sum(w for *_, w in crowd.lenient) == pytest.approx(sum(w for *_, w in listed.lenient))
    assert all(w == jaccard(a[i], b[j]) and a[i][2] == b[j][2] for i, j, w in crowd.lenient)
    for kind in (EntityKind.LABEL, EntityKind.SPLIT, EntityKind.MERGE):
        assert sorted(e for e in crowd.events if e[0] is kind) == sorted(
            e for e in listed.events if e[0] is kind
        )
    overlaps = [
        sum(jaccard(a[i[0]], b[j[0]]) for kind, i, j in found.events if kind is EntityKind.BOUNDARY)
        for found in (listed, crowd)
    ]
    assert overlaps[0] == pytest.approx(overlaps[1])
    assert sorted(i for _, left, _ in crowd.events for i in left) == list(range(len(a)))
    assert sorted(j for *_, right in crowd.events for j in right) == list(range(len(b)))


@settings(max_examples=100)
@given(sides, solver, st.sampled_from([crowded.jaccard_of_spans, crowded.jaccard_of_others]))
def test_the_matching_is_that_of_the_full_matrix(pair, how, worth) -> None:
    """Prices prove it optimal; a dense solver on all pairs finds the same sum."""
    features = [
        np.array([(s, e, ord(label)) for s, e, label in keys], dtype=float).reshape(-1, 3).T
        for keys in pair
    ]
    matrix = np.maximum(worth(features[0][:, :, None], features[1][:, None, :]), 0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crowded, "_SMALLEST", how[0])
        patch.setattr(crowded, "_BLOCK", how[1])
        found = crowded.best_pairs(*features, worth) if all(pair) else []
    assert all(w == matrix[i, j] > 0 for i, j, w in found)
    assert len({i for i, *_ in found}) == len({j for _, j, _ in found}) == len(found)
    best = matrix[linear_sum_assignment(matrix, maximize=True)].sum()
    assert sum(w for *_, w in found) == pytest.approx(best)


@given(relations, relations, st.sampled_from([(), ("r",)]))
def test_crowded_relations_are_compared_as_few_are(left, right, symmetric) -> None:
    """As many argument errors come out, one to one, whichever way they are found."""
    a = [(name, *sorted((h, t))) if name in symmetric else (name, h, t) for name, h, t in left]
    b = [(name, *sorted((h, t))) if name in symmetric else (name, h, t) for name, h, t in right]
    a, b = sorted(set(a) - set(b)), sorted(set(b) - set(a))
    totals = []
    for many in (20_000, -1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(alignment, "MANY", many)
            patch.setattr(crowded, "_SMALLEST", 9)
            found = alignment._near_relations(
                a, b, list(range(len(a))), list(range(len(b))), symmetric
            )
            events = compare_relations(a, b, symmetric)
        worth = sum(alignment._closeness(a[i], b[j], a[i][0] in symmetric) for i, j in found)
        totals.append(worth)
        assert all(a[i][0] == b[j][0] for i, j in found)
        assert sorted(i for _, i, _ in events if i is not None) == list(range(len(a)))
        assert sorted(j for *_, j in events if j is not None) == list(range(len(b)))
    assert totals[0] == pytest.approx(totals[1])


@given(sides)
def test_components_and_counts_are_those_of_the_pairs(pair) -> None:
    """The sweeps find what the list of pairs says."""
    a, b = pair
    pairs = spans.overlapping_pairs(a, b)
    only = [[k[:2] for k in keys] for keys in pair]
    assert matching.count_overlaps(*only) == len(pairs)
    listed = matching._components([(i, j, 1.0) for i, j in pairs])
    assert sorted(matching.overlap_components(*only)) == sorted(
        (sorted({i for i, *_ in c}), sorted({j for _, j, _ in c})) for c in listed
    )


@given(sides, st.randoms(use_true_random=False))
def test_order_and_place_in_the_text_are_of_no_consequence(pair, rng: random.Random) -> None:
    """Entities shuffled, and everything moved to the right, give the same events."""
    a, b = pair
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spans, "MANY", -1)
        patch.setattr(crowded, "_SMALLEST", 9)
        straight = align(annotation(a), annotation(b))
        mixed = []
        for keys in (a, b):
            entities = [Entity(*k) for k in keys]
            rng.shuffle(entities)
            mixed.append(Annotation("d", tuple(entities), (), Source.curator("t")))
        assert align(*mixed) == straight
        far = [[(s + 10**9, e + 10**9, label) for s, e, label in keys] for keys in (a, b)]
        assert compare_spans(far[0], far[1]) == compare_spans(a, b)


def test_the_hash_seed_is_of_no_consequence() -> None:
    """Processes with different seeds of the hash print the same events."""
    program = (
        "import random\n"
        "from curate.spans import compare_spans\n"
        "rng = random.Random(4)\n"
        "def side():\n"
        "    starts = [rng.randrange(900) for _ in range(220)]\n"
        "    return {(s, s + rng.randint(400, 900), rng.choice('AB')) for s in starts}\n"
        "a, b = side(), side()\n"
        "print(compare_spans(sorted(a - b), sorted(b - a)))\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
