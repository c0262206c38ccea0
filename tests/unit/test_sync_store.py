"""What the store keeps of Label Studio: counted, replaced as a whole, never lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.labelstudio.inbox import Received, ReceivedTask
from curate.labelstudio.tasks import MAX_VALUE_BYTES, _fitting
from curate.model import Annotation, Document, Entity, Source
from curate.store import NewDocument, PushedTask, Store, StudioProject, Tally
from curate.store.engine import sqlite_url

SERVER = "http://here"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.create(sqlite_url(tmp_path_factory.mktemp("s") / "store.db")) as store:
        with store.write() as unit:
            unit.documents.add(
                NewDocument(Document.of(f"text {n} of it", id=f"d{n}"), f"d{n}") for n in range(4)
            )
            unit.commit()
        yield store


def project_in(store: Store, number: int) -> StudioProject:
    with store.write() as unit:
        found = unit.projects.add(SERVER, number, f"p{number}", f"made {number}")
        unit.commit()
        return found


_NUMBERS = iter(range(1, 100_000))


@dataclass(frozen=True)
class Said:
    """One annotation as a test says it: ``bad`` does not fit."""

    number: int
    end: int
    bad: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict)

    def received(self) -> Received:
        annotation = Annotation.of("d0", [Entity(0, self.end, "PER")], [], Source.annotator(""))
        return Received(
            annotation_id=self.number,
            user_id=1 + self.number % 3,
            raw={"id": self.number},
            annotation=None if self.bad else annotation,
            reason="does not fit" if self.bad else "",
            created_at="2026-01-01T00:00:00Z",
            updated_at="2026-01-01T00:00:00Z",
        )


said = st.builds(Said, st.integers(1, 6), st.integers(1, 3), st.booleans())
states = st.lists(st.lists(said, max_size=5, unique_by=lambda s: s.number), min_size=1, max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(history=states)
def test_whatever_comes_the_sum_holds_and_the_last_word_stands(
    store: Store, history: list[list[Said]]
) -> None:
    """received = stored + unchanged + quarantined; what stands is what came last and fits."""
    project = project_in(store, next(_NUMBERS))
    before: list[Said] = []
    for now in [*history, history[-1]]:
        task = ReceivedTask(7, "d0", None, "t", len(now), 0, tuple(item.received() for item in now))
        with store.write() as unit:
            tally = unit.annotations.receive(project.id, SERVER, [task], {})
            unit.commit()
            standing = {
                item.annotation_id: item.annotation.entities[0].end
                for item in unit.annotations.current()
                if item.project == project.id
            }
            held = {
                item.annotation_id
                for item in unit.annotations.quarantined()
                if item.project == project.id
            }
        assert tally.received == len(now)
        assert tally.received == tally.stored + tally.unchanged + tally.quarantined
        assert tally.deleted == len({s.number for s in before} - {s.number for s in now})
        assert standing == {s.number: s.end for s in now if not s.bad}
        assert held == {s.number for s in now if s.bad}
        before = now
    assert tally.stored == 0
    assert tally.deleted == 0


def test_a_tally_adds_up() -> None:
    """Tallies of pages add to that of the whole."""
    assert Tally(3, 1, 1, 1, 2) + Tally(1, 1, 0, 0, 0) == Tally(4, 2, 1, 1, 2)


def test_a_parent_is_remembered_when_label_studio_forgets_it(store: Store) -> None:
    """Once a prediction is deleted there, the annotation no longer names it; we still know."""
    project = project_in(store, next(_NUMBERS))
    model = Source.model("m", "1", "d")
    with store.write() as unit:
        runs = {"m@1#d": unit.predictions.run_id(model)}
        first = replace(Said(1, 2).received(), parent_version="m@1#d")
        for item in (first, replace(first, parent_version=None)):
            task = ReceivedTask(7, "d0", None, "t", 1, 0, (item,))
            unit.annotations.receive(project.id, SERVER, [task], runs)
        (stored,) = [a for a in unit.annotations.current() if a.project == project.id]
        assert stored.parent == model


def test_a_replaced_prediction_is_outdated_until_shown(store: Store) -> None:
    """Only present, untouched tasks whose document has a prediction of the run are outdated."""
    project = project_in(store, next(_NUMBERS))
    with store.write() as unit:
        model = Source.model("n", "1", "d")
        unit.predictions.put([Annotation.of(f"d{n}", [], [], model) for n in range(3)])
        run = unit.predictions.run_id(model)
        tasks = [PushedTask(f"d{n}", 10 + n, "x", None) for n in range(4)]
        unit.sync.confirm(project.id, tasks)
        assert unit.sync.outdated(project.id, run) == [(10, "d0"), (11, "d1"), (12, "d2")]
        assert unit.sync.outdated(project.id, run, after=10, limit=1) == [(11, "d1")]
        assert unit.sync.count_outdated(project.id, run) == (3, 0)
        unit.sync.shows(project.id, [10], run)
        unit.sync.delete_tasks(project.id, [11])
        unit.sync.see(project.id, [ReceivedTask(12, "d2", None, "t", 1, 0)])
        assert unit.sync.outdated(project.id, run) == []
        assert unit.sync.count_outdated(project.id, run) == (0, 1)
        assert unit.sync.totals(project.id) == (3, 1)


def test_ids_are_cut_into_addresses_that_every_proxy_takes() -> None:
    """Each part fits, and together they are all ids in order."""
    ids = [f"«{n}» " + "é" * (n % 150) for n in range(1, 400)]
    parts = list(_fitting(ids))
    assert [name for part in parts for name in part] == ids
    assert all(
        len(part) == 1 or sum(len(name.encode()) * 3 for name in part) < MAX_VALUE_BYTES * 1.5
        for part in parts
    )
    assert len(parts) > 10
