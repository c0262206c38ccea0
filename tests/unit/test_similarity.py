from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate import similarity
from curate.errors import DataError

texts = st.lists(
    st.sampled_from(["aube", "bac", "col", "dune", "erg", "fort", "gué"]), max_size=9
).map(" ".join)
corpora = st.dictionaries(st.text("abc", min_size=1, max_size=3), texts, max_size=12)


def naive_jaccard(a: str, b: str) -> float:
    def grams(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        size = min(3, len(words))
        return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)} if size else set()

    x, y = grams(a), grams(b)
    return len(x & y) / len(x | y) if x | y else 1.0


@settings(deadline=None)
@given(texts, texts)
def test_jaccard_is_that_of_word_3_grams(a: str, b: str) -> None:
    """Hashing changes nothing: the similarity is that of the sets of 3-grams."""
    assert similarity.jaccard(a, b) == naive_jaccard(a, b)


@settings(deadline=None)
@given(corpora)
def test_pairs_are_verified_and_sorted(corpus: dict[str, str]) -> None:
    """Every pair reaches the threshold, is in order, and stands once."""
    pairs = similarity.near_duplicate_pairs(corpus)
    assert pairs == sorted(set(pairs))
    for pair in pairs:
        assert pair.a < pair.b
        assert pair.jaccard == naive_jaccard(corpus[pair.a], corpus[pair.b]) >= 0.5


@settings(deadline=None)
@given(corpora, st.randoms(use_true_random=False))
def test_order_does_not_matter(corpus: dict[str, str], rng: random.Random) -> None:
    """The same documents in any order give the same pairs and groups."""
    items = list(corpus.items())
    rng.shuffle(items)
    pairs = similarity.near_duplicate_pairs(items)
    assert pairs == similarity.near_duplicate_pairs(corpus)
    rng.shuffle(pairs)
    assert similarity.groups([key for key, _ in items], pairs) == similarity.groups(
        corpus, similarity.near_duplicate_pairs(corpus)
    )


@settings(deadline=None)
@given(corpora, st.integers(0, 12))
def test_grouping_in_two_steps_equals_grouping_at_once(corpus: dict[str, str], cut: int) -> None:
    """Documents that come later find the groups that they would have found at first."""
    ids = sorted(corpus)
    signatures = {key: similarity.signature(text) for key, text in corpus.items()}
    first = similarity.regroup(
        {key: signatures[key] for key in ids[cut:]}, {}, {}, corpus.__getitem__
    )
    second = similarity.regroup(
        {key: signatures[key] for key in ids[:cut]},
        {key: signatures[key] for key in ids[cut:]},
        first,
        corpus.__getitem__,
    )
    assert second == similarity.groups(corpus, similarity.near_duplicate_pairs(corpus))


def test_case_and_punctuation_do_not_count() -> None:
    """A reprint in capitals, with other quotes and apostrophes, is the same text."""
    a = "« L’armée algérienne a lancé l’opération », dit-il lundi."
    b = "L'ARMÉE algérienne a lancé l'opération, \"dit il\" — lundi"
    assert similarity.jaccard(a, b) == 1.0
    assert similarity.signature(a) == similarity.signature(b)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("", "", 1.0),
        ("…", "!", 1.0),
        ("", "Tripoli", 0.0),
        ("Tripoli", "tripoli.", 1.0),
        ("Tripoli libre", "Tripoli", 0.0),
        ("Tripoli libre", "tripoli, libre", 1.0),
    ],
)
def test_short_texts_are_compared_whole(a: str, b: str, expected: float) -> None:
    """Under three words the shingle is the whole text; no words at all are alike only."""
    assert similarity.jaccard(a, b) == expected


def test_groups_are_named_after_their_smallest_member() -> None:
    """a–b and b–c make one group named a; d stands alone; an old group goes with its new name."""
    pairs = [("b", "c"), ("a", "b")]
    assert similarity.groups("dcba", pairs) == {"a": "a", "b": "a", "c": "a", "d": "d"}
    assert similarity.groups("az", [("a", "z")], {"y": "y", "z": "y"}) == {
        "a": "a",
        "y": "a",
        "z": "a",
    }


def test_recall_at_the_threshold() -> None:
    """Of 600 pairs with a Jaccard similarity from 0.5 to 0.56, at least 0.99 are found."""
    rng = random.Random(3)
    corpus: dict[str, str] = {}
    expected = set()
    for i in range(600):
        words = [f"m{rng.randrange(10**6)}" for _ in range(240)]
        other = list(words)
        a, b = f"{i:03}a", f"{i:03}b"
        places = iter(rng.sample(range(240), 240))
        for _ in range(20):  # each changes three 3-grams at most: 178 / 298 is 0.597
            other[next(places)] = "autre"
        while naive_jaccard(" ".join(words), " ".join(other)) > 0.54:
            other[next(places)] = "autre"
        corpus[a], corpus[b] = " ".join(words), " ".join(other)
        if naive_jaccard(corpus[a], corpus[b]) >= 0.5:
            expected.add((a, b))
    assert len(expected) > 500
    found = {(pair.a, pair.b) for pair in similarity.near_duplicate_pairs(corpus)}
    assert len(found & expected) >= 0.99 * len(expected)
    assert found <= expected


def test_signature_does_not_depend_on_the_process() -> None:
    """The bytes are part of the store: no hash seed may enter into them."""
    code = "from curate.similarity import signature; print(signature('Le col de Salvador').hex())"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert seen == {similarity.signature("Le col de Salvador").hex()}
    assert next(iter(seen)).startswith(FIRST_BYTES)


FIRST_BYTES = "7ee7125871e6276c"


def test_long_text_stays_within_chunks() -> None:
    """A text of many 3-grams gives the same signature as its set in any order of chunks."""
    words = [f"m{i}" for i in range(10_000)]
    whole = similarity.signature(" ".join(words))
    assert len(whole) == similarity.SIGNATURE_BYTES
    assert similarity.signature(" ".join(words + words[:3000])) != b""
    assert similarity.jaccard(" ".join(words), " ".join(words[:6000])) == pytest.approx(
        0.6, abs=0.01
    )


def test_foreign_signature_is_refused() -> None:
    """A signature of another length comes from another version, and says so."""
    with pytest.raises(DataError, match="another version"):
        similarity.regroup({"a": b"123"}, {}, {}, {"a": ""}.__getitem__)
