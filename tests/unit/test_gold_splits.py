"""Splits: by group, by salted hash, frozen for ever; never a bridge between train and test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import DataError, UsageError
from curate.gold.building import Recipe, plan_splits
from curate.gold.items import SPLITS
from curate.gold.reading import Release
from curate.gold.splits import FLOOR, SMALL, Member, Place, SplitPlan, SplitRule, assign
from tests.gold_cases import SCHEMA, corpus
from tests.unit.test_gold_release import publish

RULE = SplitRule()


def plan(ids: Sequence[str], frozen: dict[str, Place] | None = None) -> SplitPlan:
    return assign([Member(key) for key in ids], frozen or {}, RULE)


@given(st.sets(st.text("abcdef", min_size=1, max_size=6), min_size=3, max_size=40), st.randoms())
def test_neither_order_nor_names_of_groups_matter(ids: set[str], random: object) -> None:
    members = [Member(key, group=f"g{ord(key[0])}") for key in ids]
    renamed = [replace(member, group=f"other-{member.group}") for member in reversed(members)]
    assert assign(members, {}, RULE) == assign(renamed, {}, RULE)


@given(st.integers(4, 250))
def test_no_split_stays_empty(count: int) -> None:
    counts = plan([f"d{i}" for i in range(count)]).counts()
    assert sum(counts.values()) == count
    shares = {"train": 70, "dev": 15, "test": 15}
    for split in SPLITS:
        least = count * shares[split] // 100
        assert counts[split] >= max(1, min(least, FLOOR))
        if 10 <= count < SMALL:
            assert counts[split] >= least


def test_a_large_corpus_is_split_by_the_hash_alone() -> None:
    """A document's split then does not depend on which other documents there are."""
    ids = [f"d{i}" for i in range(2000)]
    whole, half = plan(ids), plan(ids[:1000])
    assert all(whole.places[key] == half.places[key] for key in ids[:1000])
    counts = whole.counts()
    assert 1330 < counts["train"] < 1470
    assert 240 < counts["test"] < 360


def test_another_salt_splits_otherwise() -> None:
    members = [Member(f"d{i}") for i in range(200)]
    other = assign(members, {}, SplitRule(salt="x"))
    assert other.places != assign(members, {}, RULE).places


def test_ratios_are_obeyed_and_a_split_may_be_left_out() -> None:
    members = [Member(f"d{i}") for i in range(500)]
    counts = assign(members, {}, SplitRule(ratios={"train": 1, "test": 1})).counts()
    assert counts["dev"] == 0
    assert 200 < counts["train"] < 300


@pytest.mark.parametrize("ratios", [{"train": 0}, {"train": -1, "test": 2}, {"tests": 1}])
def test_senseless_ratios_are_refused(ratios: dict[str, int]) -> None:
    with pytest.raises(DataError):
        SplitRule(ratios=ratios)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 25)), min_size=1, max_size=40),
    st.integers(1, 39),
)
def test_a_document_keeps_its_split_and_group_whatever_comes(
    rows: list[tuple[int, int]], cut: int
) -> None:
    """Later members, even ones that join old groups, never move an old document."""
    known: dict[str, str] = {}
    for number, group in rows:
        known.setdefault(f"d{number}", f"g{group}")
    members = [Member(key, group) for key, group in known.items()]
    first = assign(members[:cut], {}, RULE)
    merged = [replace(m, group=f"g{int(str(m.group)[1:]) // 2}") for m in members]
    second = assign(merged, first.places, RULE)
    assert all(second.places[key] == place for key, place in first.places.items())
    groups: dict[str, set[str]] = {}
    for place in second.places.values():
        groups.setdefault(place.group, set()).add(place.split)
    assert all(len(splits) == 1 for splits in groups.values())


def test_near_duplicates_stay_together() -> None:
    members = [Member(f"d{i}", group=f"g{i // 3}") for i in range(60)]
    places = assign(members, {}, RULE).places
    for i in range(0, 60, 3):
        assert len({places[f"d{i + k}"] for k in range(3)}) == 1
        assert places[f"d{i}"].group == min(f"d{i + k}" for k in range(3))


def test_a_bridge_is_quarantined_with_the_splits_it_would_join() -> None:
    frozen = {"a": Place("a", "train"), "b": Place("b", "test"), "c": Place("c", "train")}
    members = [
        Member("a", "g"),
        Member("b", "g"),
        Member("new", "g"),
        Member("d", "h"),
        Member("c", "h"),
    ]
    found = assign(members, frozen, RULE)
    assert found.quarantined == {"new": ("train", "test")}
    assert "new" not in found.places
    assert found.places["a"] == frozen["a"]
    assert found.places["b"] == frozen["b"]
    assert found.places["d"] == Place("c", "train")


def test_only_what_hangs_on_both_sides_is_the_bridge() -> None:
    """A reprint of a train document does not suffer for another text that quotes train and test."""
    frozen = {"a": Place("a", "train"), "b": Place("b", "test")}

    def member(key: str, *near: str) -> Member:
        return Member(key, "g", near=near)

    members = [
        member("a", "bridge", "reprint"),
        member("b", "bridge"),
        member("bridge", "a", "b", "far"),
        member("reprint", "a"),
        member("far", "bridge"),
    ]
    found = assign(members, frozen, RULE)
    assert found.quarantined == {"bridge": ("train", "test")}
    assert found.places["reprint"] == Place("a", "train")
    assert found.places["far"].group == "far"
    chain = [member("a", "x"), member("b", "y"), member("x", "a", "y"), member("y", "x", "b")]
    assert assign(chain, frozen, RULE).quarantined == {
        "x": ("train", "test"),
        "y": ("train", "test"),
    }


def test_a_document_that_comes_back_keeps_its_old_split(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    items = corpus(6)
    publish(folder, items)
    before = {gold.id: gold.split for gold in Release(folder / "1.0.0").documents()}
    publish(folder, items[1:])
    publish(folder, items[2:])
    publish(folder, items)
    newest = Release(folder / "3.1.0")
    assert {gold.id: gold.split for gold in newest.documents()} == before
    assert newest.manifest.retired == {}


def test_by_date_the_newest_documents_are_the_test() -> None:
    members = [Member(f"d{i:02}", date=f"2020-01-{i + 1:02}T08:00") for i in range(20)]
    found = assign(members, {}, SplitRule(by_date=True))
    order = [found.places[member.id].split for member in members]
    assert order == ["train"] * 14 + ["dev"] * 3 + ["test"] * 3
    assert found.rule.boundaries == ("2020-01-15", "2020-01-18")


def test_the_dates_between_the_splits_are_frozen(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    recipe = Recipe("tiny", SCHEMA, SplitRule(by_date=True))
    items = corpus(12)
    publish(folder, items[:9], recipe=recipe)
    bounds = Release(folder / "1.0.0").manifest.splits["boundaries"]
    publish(folder, items)
    later = Release(folder / "1.1.0")
    assert later.manifest.splits["boundaries"] == bounds
    for gold in later.documents():
        date = str(gold.document.metadata["date"])
        expected = "test" if date >= bounds[1] else "dev" if date >= bounds[0] else "train"
        assert gold.split == expected


def test_a_split_by_date_without_dates_names_the_document() -> None:
    with pytest.raises(DataError, match="'b' has no date"):
        assign([Member("a", date="2020-01-01"), Member("b")], {}, SplitRule(by_date=True))
    with pytest.raises(DataError, match="1 different dates"):
        assign([Member("a", date="2020-01-01")], {}, SplitRule(by_date=True))


def test_a_corpus_keeps_its_way_of_splitting(tmp_path: Path) -> None:
    publish(tmp_path / "tiny", corpus(5))
    with pytest.raises(UsageError, match="by hash"):
        plan_splits([Member("a")], Release(tmp_path / "tiny" / "1.0.0"), SplitRule(by_date=True))
