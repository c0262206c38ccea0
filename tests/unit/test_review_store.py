"""Laws of the store of adjudication, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from curate.model import Annotation, Document, Entity, Source
from curate.store import NewDocument, ReviewItem, Store, Suspicion

A, B = Entity(0, 3, "PER", canonical="Awa"), Entity(4, 7, "LOC")
START = Annotation.of("d1", [A], (), Source.consensus("unanimous"))
SHOWN = {
    "x": Annotation.of("d1", [A, B], (), Source.annotator("x")),
    "y": Annotation.of("d1", [A], (), Source.annotator("y")),
}


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with Store.create(database_url) as opened:
        with opened.write() as unit:
            for name in ("d1", "d2"):
                unit.documents.add([NewDocument(Document.of(f"Awa Hun {name}", id=name), name)])
            unit.projects.add("http://s", 7, "t review", "2026", "review")
            unit.commit()
        yield opened


def item(document_id: str = "d1") -> ReviewItem:
    point = {"kind": "presence", "start": 4, "end": 7}
    start = replace(START, document_id=document_id)
    shown = {name: replace(said, document_id=document_id) for name, said in SHOWN.items()}
    return ReviewItem(
        document_id, 1, "difference", "unanimous", "f" * 64, 1.0, (point,), start, shown
    )


def test_an_item_comes_back_as_it_was_put(store: Store) -> None:
    """Points, start and versions, canonical names included; putting again replaces."""
    with store.write() as unit:
        unit.review.put([item(), item("d2")])
        unit.review.put([item()])
        unit.commit()
    with store.read() as unit:
        one, two = unit.review.items("open")
    assert one == item()
    assert two.document_id == "d2"
    assert one.start.entities[0].canonical == "Awa"


def test_a_decision_keeps_its_grounds_when_its_place_is_reopened(store: Store) -> None:
    """What the annotators said then stays known while new versions are shown."""
    changed = {"x": Annotation.of("d1", [B], (), Source.annotator("x"))}
    with store.write() as unit:
        unit.review.put([item()])
        unit.review.decided(["d1"], task_id=3, annotation_id=9)
        (found,) = unit.review.items("decided")
        assert (found.task_id, found.annotation_id) == (3, 9)
        assert found.decided_on == SHOWN
        unit.review.put([replace(item(), shown=changed, reason="reopened")])
        (again,) = unit.review.items("open")
        assert (again.shown, again.decided_on) == (changed, SHOWN)
        unit.review.settle(["d1"])
        (settled,) = unit.review.items("decided")
        assert (settled.points, settled.decided_on) == ((), SHOWN)


def test_a_withdrawn_decision_has_no_grounds_and_an_undecided_item_is_settled_away(
    store: Store,
) -> None:
    """Then the document waits like any other; with nothing left to decide it is gone."""
    with store.write() as unit:
        unit.review.put([item()])
        unit.review.decided(["d1"], task_id=3, annotation_id=9)
        unit.review.reopen(["d1"], withdrawn=True)
        (found,) = unit.review.items("open")
        assert (found.decided_on, found.annotation_id) == (None, None)
        unit.review.settle(["d1"])
        assert unit.review.items() == []


def test_suspicions_and_lanes_are_kept(store: Store) -> None:
    """Outcomes are entered once; a lane is drawn once, for good."""
    with store.write() as unit:
        unit.review.suspect([Suspicion("d1", ("lint", "model"), {"start": 1, "end": 2})])
        (found,) = unit.review.suspicions("open")
        assert found.sources == ("lint", "model")
        unit.review.settle_suspicions({found.id: "error"})
        assert [s.outcome for s in unit.review.suspicions()] == ["error"]
        unit.review.draw({"d1": True, "d2": False}, 0.1, 0)
        unit.review.draw({"d1": False, "d2": True}, 0.9, 1)
        assert unit.review.lanes() == {"d1": "blind", "d2": "assisted"}
        assert unit.review.lanes_of(["d1", "d3"]) == {"d1": "blind"}
