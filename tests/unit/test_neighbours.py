"""Which mentions are probably one thing, and which stand nearest."""

from __future__ import annotations

from curate.extractors.neighbours import Neighbours, chains_of

NAMES = ["oliphie trameur", "elle", "mari", "elle", "mme trameur", "il"]
SPANS = [(2, 4), (9, 10), (20, 21), (30, 31), (40, 42), (50, 51)]
LABELS = ["PER"] * 6


def test_a_shared_name_makes_one_chain() -> None:
    """Names of one label of which one holds the other's words are one thing; others are not."""
    found = chains_of(["PER", "PER", "ORG"], ["trameur", "oliphie trameur", "trameur"], SPANS[:3])
    assert found[0] == found[1] != found[2]


def test_a_pronoun_joins_the_last_chain_its_gender_allows() -> None:
    """'elle' goes past nobody that is known to be 'il'; overlapping mentions are never one."""
    chains = chains_of(LABELS[:2], NAMES[:2], SPANS[:2])
    assert chains == [0, 0]
    women = chains_of(["PER"] * 4, ["anne", "elle", "paul", "il"], SPANS[:4])
    assert women == [0, 0, 1, 1]
    assert chains_of(["PER"] * 5, ["anne", "elle", "paul", "il", "elle"], SPANS[:5])[4] == 0
    assert len(set(chains_of(["PER", "PER"], ["voling", "voling"], [(0, 3), (1, 2)]))) == 2


def test_ranks_count_who_stands_nearer() -> None:
    """Mentions and chains that stand nearer are counted, the same from both ends."""
    near = Neighbours(
        ["PER", "PER", "LOC", "LOC"],
        ["anne", "paul", "oslo", "rome"],
        [(0, 1), (5, 6), (8, 9), (20, 21)],
    )
    assert near.of(1, 2) == (0, 0, 0, 0, True)
    assert near.of(0, 3) == (1, 1, 1, 1, True)
    assert near.of(3, 0) == (1, 1, 1, 1, True)
    again = Neighbours(["PER", "PER", "LOC"], ["anne", "anne", "oslo"], [(0, 1), (5, 6), (8, 9)])
    assert again.of(0, 2) == (1, 0, 0, 0, False)
    assert again.things == {"PER": 1, "LOC": 1}
