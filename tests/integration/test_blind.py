"""The blind lane: some documents are annotated without the model's help, and nobody can tell."""

from __future__ import annotations

import pytest

from curate.errors import DataError
from curate.flows.bias import agreement_bias
from curate.flows.push import drawn_blind
from curate.flows.reporter import Silent
from curate.labelstudio.codec import encode
from curate.model import Annotation, Entity, Source
from tests.integration.sync_fixtures import make_world, world
from tests.integration.world import BETTER, SCHEMA, World, document, prediction

__all__ = ["make_world", "world"]
pytestmark = pytest.mark.studio


def blind_tasks(world: World) -> set[str]:
    return {t["data"]["curate_id"] for t in world.tasks() if not t["predictions"]}


def test_a_seeded_share_is_pushed_without_predictions_and_stays_so(world: World) -> None:
    """The draw is the seed's; a better model's predictions are withheld, too; data tell nothing."""
    expected = {f"doc {n:03}" for n in range(10) if drawn_blind(f"doc {n:03}", 0.4, 7)}
    assert 0 < len(expected) < 10
    planned = world.push(blind=0.4, seed=7, dry_run=True)
    result = world.push(blind=0.4, seed=7)
    assert (planned.blind, planned.with_predictions) == (result.blind, result.with_predictions)
    assert (result.pushed, result.blind) == (10, len(expected))
    assert result.with_predictions == 10 - len(expected)
    assert blind_tasks(world) == expected
    assert all(set(t["data"]) == {"text", "curate_id"} for t in world.tasks())
    with world.store.write() as unit:
        unit.predictions.put([prediction(document(n), BETTER) for n in range(10)])
        unit.sync.choose_run(BETTER)
        unit.commit()
    assert world.push().replaced == 10 - len(expected)
    assert blind_tasks(world) == expected
    with world.store.read() as unit:
        lanes = unit.review.lanes()
    assert {key for key, lane in lanes.items() if lane == "blind"} == expected
    assert len(lanes) == 10


def test_the_draw_is_close_to_its_share() -> None:
    """Of many documents the share that is drawn is the one asked for."""
    drawn = sum(drawn_blind(f"d{n}", 0.1, 3) for n in range(20_000))
    assert abs(drawn / 20_000 - 0.1) < 0.01
    assert not any(drawn_blind(f"d{n}", 0.0, 3) for n in range(1000))
    assert all(drawn_blind(f"d{n}", 1.0, 3) for n in range(1000))


def test_the_bias_is_measured_from_what_came_back(world: World) -> None:
    """Assisted annotators keep what they saw, blind ones do not mark the place: it is found out."""
    with pytest.raises(DataError, match="--blind"):
        agreement_bias(world.store, SCHEMA, Silent())
    world.push(blind=0.4, seed=7)
    for task in world.tasks():
        if task["predictions"]:
            world.annotate(task)
        else:
            text = task["data"]["text"]
            person = [Entity(0, 9, "PER")]
            said = Annotation.of(task["data"]["curate_id"], person, (), Source.annotator("a"))
            world.annotate(task, encode(said, text, SCHEMA))
    world.pull()
    found = agreement_bias(world.store, SCHEMA, Silent(), draws=200)
    assert sum(found.documents.values()) == 10
    kept = found.measures["kept_entities"]
    assert (kept.blind.value, kept.assisted.value) == (0.5, 1.0)
    assert found.measures["model_entities"].is_sure
    assert found.words[0].startswith("Assisted gold flatters the model by 33.3")
    assert found.measures["wrong_entities_standing"].assisted.value is None
