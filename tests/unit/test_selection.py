"""Choosing what to annotate next: laws of the choice, and the same through the store."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import UsageError
from curate.flows.annotation_sets import FileSet
from curate.flows.choosing import drawn_by_lot, plan
from curate.flows.evaluate import Options, evaluate
from curate.flows.reporter import Silent
from curate.interchange import write
from curate.model import Annotation, Document, Entity, Source
from curate.selection import Candidate, Claims, by_lot, choose, claims_from, label_weights, lot
from curate.store import Ledger, NewDocument, PushedTask, Store

MODEL = Source.model("m", "1", "0" * 64)
WORDS = [f"mot{n}" for n in range(60)]
SLOW = settings(deadline=None, max_examples=40)


def doubting(total: float, label: str = "PER") -> Claims:
    return {label: (4, total)}


def candidates(number: int, *, groups: int = 0, seed: int = 0) -> list[Candidate]:
    rng = random.Random(seed)
    return [
        Candidate(
            f"d{n:03}",
            rng.randint(20, 400),
            doubting(rng.uniform(0.0, 4.0), rng.choice(["PER", "LOC"])),
            f"g{n % groups}" if groups else f"d{n:03}",
        )
        for n in range(number)
    ]


def texts(ids: Sequence[str]) -> Mapping[str, str]:
    return {key: " ".join(random.Random(key).choices(WORDS, k=30)) for key in ids}


@SLOW
@given(
    st.integers(0, 60), st.one_of(st.none(), st.integers(0, 70)), st.floats(0, 1), st.integers(0, 9)
)
def test_the_share_by_lot_is_kept_exactly(
    number: int, limit: int | None, share: float, before: int
) -> None:
    """Of n picks round(share · n) are drawn by lot, at every point of the order of work."""
    found = choose(candidates(number), limit, share=share, before=before, seed=3)
    assert len(found.picks) == (number if limit is None else min(limit, number))
    assert len({pick.id for pick in found.picks}) == len(found.picks)
    until = sum(by_lot(slot, share) for slot in range(before))
    for place, pick in enumerate(found.picks):
        until += pick.why == "random"
        assert abs(until - share * (before + place + 1)) <= 0.5 + 1e-6 * (place + 1 + before)


@settings(deadline=None, max_examples=8)
@given(st.randoms(use_true_random=False), st.integers(1, 50))
def test_the_order_of_candidates_does_not_matter(rng: random.Random, limit: int) -> None:
    """The same candidates in any order give the same picks."""
    every = candidates(50, groups=20)
    known = ["mot1 mot2 mot3", "mot5 mot6"]
    straight = choose(every, limit, texts=texts, known=known)
    shuffled, other = every.copy(), known.copy()
    rng.shuffle(shuffled)
    rng.shuffle(other)
    assert choose(shuffled, limit, texts=texts, known=other) == straight


def test_a_seed_gives_the_same_choice_and_another_seed_another() -> None:
    every = candidates(200)
    assert choose(every, 20, seed=1) == choose(every, 20, seed=1)
    assert choose(every, 20, seed=1).picks != choose(every, 20, seed=2).picks


@SLOW
@given(st.integers(1, 40), st.integers(1, 12), st.floats(0, 1))
def test_near_duplicates_wait_while_others_remain(limit: int, groups: int, share: float) -> None:
    """No group comes twice before every group has come, by lot or by doubt."""
    every = candidates(40, groups=groups)
    group = {c.id: c.group for c in every}
    picks = choose(every, limit, share=share, texts=texts).picks
    assert len({group[pick.id] for pick in picks}) == min(groups, limit)


def test_near_duplicates_of_what_is_there_wait_too() -> None:
    every = candidates(6, groups=3)
    found = choose(every, 2, share=0.0, taken=[("g1", "elsewhere")])
    assert {int(pick.id[1:]) % 3 for pick in found.picks} == {0, 2}


def test_passages_of_one_document_are_not_taken_for_near_duplicates() -> None:
    """They share its group, and may be chosen beside each other."""
    every = [Candidate(f"a~{n}", 50, doubting(n), "a", "a") for n in range(1, 5)]
    every += [Candidate("b~1", 50, doubting(0.1), "a", "b")]
    found = choose(every, 5, share=0.0)
    assert [pick.id for pick in found.picks] == ["a~4", "a~3", "a~2", "a~1", "b~1"]


@SLOW
@given(st.lists(st.floats(0.01, 9), min_size=2, max_size=30, unique=True), st.integers(1, 30))
def test_of_equal_length_the_more_doubtful_comes_first(doubts: list[float], limit: int) -> None:
    """The picks by doubt stand in that order, and come from the best part of the list."""
    every = [Candidate(f"d{n}", 100, doubting(d)) for n, d in enumerate(doubts)]
    chosen = [p for p in choose(every, limit, share=0.0).picks if p.why == "uncertain"]
    gains = [pick.gain or 0.0 for pick in chosen]
    assert gains == sorted(gains, reverse=True)
    best = sorted(doubts, reverse=True)[: max(limit, -(-len(doubts) // 4))]
    assert {doubts[int(pick.id[1:])] for pick in chosen} <= set(best)


def test_doubt_is_counted_by_the_word() -> None:
    """Twice the doubt in four times the words is worth less."""
    every = [Candidate("long", 800, doubting(2.0)), Candidate("short", 200, doubting(1.0))]
    assert [p.id for p in choose(every, 1, share=0.0).picks] == ["short"]


def test_a_rare_label_counts_more() -> None:
    every = [Candidate(f"d{n}", 100, {"PER": (10, 1.0)}) for n in range(10)]
    every.append(Candidate("rare", 100, {"EVENT": (28, 1.0)}))
    assert label_weights(every) == {"EVENT": 1.511858, "PER": 0.8}
    assert [p.id for p in choose(every, 1, share=0.0).picks] == ["rare"]


def test_what_is_written_in_the_same_words_is_less_wanted() -> None:
    """The second pick is the one unlike the first, and unlike what is there already."""
    said = {"a": "barrage rebelle frontière", "b": "barrage rebelle frontière", "c": "vaccin école"}
    every = [
        Candidate("a", 100, doubting(3.0)),
        Candidate("b", 100, doubting(2.9)),
        Candidate("c", 100, doubting(2.0)),
    ]

    def read(ids: Sequence[str]) -> Mapping[str, str]:
        return {key: said[key] for key in ids}

    both = choose(every, 2, share=0.0, texts=read, top=1.0)
    assert [p.id for p in both.picks] == ["a", "c"]
    one = choose(every, 1, share=0.0, texts=read, known=["barrage rebelle frontière"], top=1.0)
    assert [p.id for p in one.picks] == ["c"]


@SLOW
@given(st.lists(st.integers(0, 15), max_size=6), st.floats(0.05, 1), st.integers(0, 3))
def test_what_was_drawn_by_lot_is_a_prefix_of_the_lot(
    sizes: list[int], share: float, seed: int
) -> None:
    """After any pushes, every document up to the cursor is there, and the drawn ones are; so the
    sample is what the seed and the ids alone decide, whatever the model doubted."""
    left = {c.id: c for c in candidates(60, seed=seed)}
    picked: list[str] = []
    drawn: set[str] = set()
    cursor = None
    for size in sizes:
        found = choose(
            left.values(), size, seed=seed, share=share, before=len(picked), cursor=cursor
        )
        cursor = found.cursor
        drawn |= {p.id for p in found.picks if p.why == "random"}
        picked += [p.id for p in found.picks]
        for pick in found.picks:
            del left[pick.id]
    assert len(set(picked)) == len(picked) == min(60, sum(sizes))
    assert len(drawn) == sum(by_lot(slot, share) for slot in range(len(picked)))
    if cursor is None:
        assert not drawn
    else:
        assert all(lot(seed, key) > cursor for key in left)
        assert all(lot(seed, key) <= cursor for key in drawn)


def test_a_new_document_before_the_cursor_takes_it_back_until_it_is_there() -> None:
    """A sample with a hole is none: the next lot fills the hole first."""
    every = candidates(30)
    first = choose(every, 10, share=1.0)
    assert first.cursor is not None
    gone = {p.id for p in first.picks}
    late = next(f"late{n}" for n in range(999) if lot(0, f"late{n}") < first.cursor)
    left = [c for c in every if c.id not in gone] + [Candidate(late, 100)]
    none = choose(left, 0, before=10, cursor=first.cursor)
    assert none.cursor == lot(0, late) - 1
    then = choose(left, 1, share=1.0, before=10, cursor=none.cursor)
    assert [p.id for p in then.picks] == [late]


def test_without_scores_there_are_no_doubts() -> None:
    """Items without scores say nothing; nothing found is an answer without doubts."""
    assert claims_from([("PER", None)]) is None
    assert claims_from([]) == {}
    assert claims_from([("PER", 0.75), ("PER", None), ("LOC", 1.0)]) == {
        "LOC": (1, 0.0),
        "PER": (1, 0.25),
    }


def test_what_has_no_scores_comes_last() -> None:
    every = [
        Candidate("none", 10),
        Candidate("sure", 10, {}),
        Candidate("unsure", 10, doubting(0.1)),
    ]
    found = choose(every, None, share=0.0)
    assert [(p.id, p.why) for p in found.picks] == [
        ("unsure", "uncertain"),
        ("sure", "rest"),
        ("none", "rest"),
    ]


def test_a_share_is_between_none_and_all() -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        choose([], 1, share=1.5)


# -- through the store


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with Store.create(database_url) as opened:
        yield opened


class Told(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def warn(self, message: str) -> None:
        self.said.append(message)


def filled(store: Store, scores: Sequence[float | None]) -> int:
    """Documents with an entity of each score; the number of a project."""
    with store.write() as unit:
        for n, score in enumerate(scores):
            text = f"Document {n:03} parle de mot{n} et de mot{n + 1}."
            metadata = {"passage": {"of": "P", "number": n}} if n < 2 else {}
            document = Document.of(text, id=f"d{n:03}", metadata=metadata)
            unit.documents.add([NewDocument(document, "P" if n < 2 else document.id)])
            unit.predictions.put(
                [Annotation.of(document.id, [Entity(0, 8, "PER", score)], [], MODEL)]
            )
        project = unit.projects.add("http://here", 7, "p", "made").id
        unit.commit()
        return project


def pushed(store: Store, project: int, limit: int, told: Told | None = None) -> list[str]:
    """What `push` does with a plan, Label Studio aside."""
    with store.write() as unit:
        run = unit.sync.current_run()
        assert run is not None
        made = plan(unit, project, run[0], "uncertainty", limit, 0, told or Silent())
        assert made.ledger is not None
        assert made.chosen is not None
        unit.selections.enter(project, made.ledger)
        names = [item.document.id for item in unit.sync.outgoing(made.seqs, run[0])]
        first = 1 + unit.sync.totals(project)[0]
        unit.sync.confirm(
            project, [PushedTask(name, first + n, "x", run[0]) for n, name in enumerate(names)]
        )
        unit.commit()
        return names


def test_a_second_push_goes_on_and_never_repeats(store: Store) -> None:
    """In steps or at once every document comes once, with the same share by lot, and the sample
    is the beginning of the lot."""
    project = filled(store, [n / 40 for n in range(40)])
    steps = [pushed(store, project, limit) for limit in (3, 7, 1, 9)]
    names = [name for step in steps for name in step]
    assert len(names) == len(set(names)) == 20
    with store.read() as unit:
        ledger = unit.selections.ledger(project)
        assert ledger is not None
        assert (ledger.seed, ledger.picked) == (0, 20)
        sample = unit.selections.sample(project)
        order = sorted(unit.documents.ids(), key=lambda key: lot(0, key))
        assert sample == sorted(order[: len(sample)])
        assert len(sample) >= 4
    assert len(pushed(store, project, 99)) == 20
    assert pushed(store, project, 99) == []
    with store.read() as unit:
        assert len(unit.selections.sample(project)) == 40


def test_the_store_tells_passages_words_and_doubts(store: Store) -> None:
    project = filled(store, [0.25, None, 1.0])
    with store.read() as unit:
        run = unit.sync.current_run()
        assert run is not None
        found = [candidate for _, candidate in unit.selections.candidates(project, run[0])]
        assert unit.selections.taken(project) == []
    assert found == [
        Candidate("d000", 6, {"PER": (1, 0.75)}, "P", "P"),
        Candidate("d001", 6, None, "P", "P"),
        Candidate("d002", 6, {"PER": (1, 0.0)}, "d002", "d002"),
    ]
    first = pushed(store, project, 1)
    with store.read() as unit:
        left = [c.id for _, c in unit.selections.candidates(project, run[0])]
        assert sorted([*first, *left]) == ["d000", "d001", "d002"]
        assert len(unit.selections.taken(project)) == 1


def test_where_no_prediction_has_scores_the_lot_decides(store: Store) -> None:
    """One sentence says so, and the documents are taken by lot."""
    project = filled(store, [None] * 6)
    told = Told()
    names = pushed(store, project, 4, told)
    assert names == sorted((f"d{n:03}" for n in range(6)), key=lambda key: lot(0, key))[:4]
    assert len(told.said) == 1
    assert "none of the 6 waiting documents has a prediction with scores" in told.said[0]
    with store.read() as unit:
        assert unit.selections.ledger(project) == Ledger(0, 4, max(lot(0, name) for name in names))


def test_only_what_was_drawn_by_lot_can_be_scored(store: Store, tmp_path: Path) -> None:
    """Gold outside of the sample does not count; without a sample the command says so."""
    project = filled(store, [n / 20 for n in range(20)])
    with pytest.raises(UsageError, match="nothing was drawn by lot in the project 'p'"):
        drawn_by_lot(store, "p")
    pushed(store, project, 10)
    sample = drawn_by_lot(store, "p")
    with store.read() as unit:
        documents = list(unit.documents.all())
    path = tmp_path / "gold.jsonl"
    write(path, [(d, Annotation.of(d.id, [Entity(0, 8, "PER")], [], MODEL)) for d in documents])
    gold = FileSet(path)
    found = evaluate(gold, gold, None, Silent(), Options(draws=0, sample=sample))
    assert found.scores.documents == len(sample)
    assert 2 <= len(sample) < 10
    with pytest.raises(UsageError, match="no document that was drawn by lot"):
        evaluate(gold, gold, None, Silent(), Options(draws=0, sample=frozenset({"other"})))
