"""What we push, accepted unchanged in a real browser, comes back equal."""

from __future__ import annotations

import pytest

from curate.model import Annotation, Document, Entity, Relation
from tests.browser.conftest import Person, Studio
from tests.integration.sync_fixtures import make_world
from tests.integration.test_sync_pull import HOSTILE
from tests.integration.world import MODEL, MakeWorld

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Page

from tests.browser.screen import LabellingScreen, log_in

__all__ = ["make_world"]
pytestmark = [pytest.mark.studio, pytest.mark.browser]


def prediction(item: Document) -> Annotation:
    """Overlapping, nested and adjacent spans over the whole text, and relations between them."""
    half, end = len(item.text) // 2, len(item.text)
    whole = Entity(0, end, "PER", 0.9)
    left, right = Entity(0, half, "LOC", 0.5), Entity(half, end, "LOC", 0.4)
    across = Entity(half - 1, half + 1, "PER", canonical="Zoé «x» 👍")
    links = [
        Relation(whole, left, "visits"),
        Relation(across, right, "visits"),
        Relation(left, right, "same_as"),
    ]
    return Annotation.of(item.id, [whole, left, right, across], links, MODEL)


def test_a_prediction_accepted_in_the_browser_comes_back_equal(
    page: Page, studio: Studio, make_world: MakeWorld, annotator: Person
) -> None:
    """Emoji, CRLF, NBSP, separators, markup, outer spaces: spans, relations, notes are the same."""
    world = make_world()
    items = [Document.of(text, id=f"hostile {number}") for number, text in enumerate(HOSTILE)]
    world.add(items, None)
    said = {item.id: prediction(item) for item in items}
    with world.store.write() as unit:
        unit.predictions.put(said.values())
        unit.commit()
    world.push()
    log_in(page, studio.url, annotator.email, annotator.password)
    screen = LabellingScreen(page, studio.url)
    for task in world.tasks():
        screen.open(world.project_id, task["id"])
        screen.submit()
    assert world.pull().stored == len(items)
    with world.store.read() as unit:
        stored = list(unit.annotations.current())
    for item in stored:
        wanted = said[item.document_id]
        assert item.annotation.entities == wanted.entities, item.document_id
        assert item.annotation.relations == wanted.relations, item.document_id
        notes = [entity.canonical for entity in item.annotation.entities]
        assert notes == [entity.canonical for entity in wanted.entities]
        assert item.parent == MODEL
        assert item.lead_time is not None
