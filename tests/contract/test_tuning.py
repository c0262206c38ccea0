"""Tuning: what is tried, on what, and that chance alone changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from curate.extractors import tuning
from curate.extractors.train import TrainSettings
from curate.extractors.tuning import tune
from curate.gold.items import GoldDocument
from curate.model import Annotation, Source
from curate.schema import LabelSchema
from tests.contract.test_train import SCHEMA, documents

SETTINGS = TrainSettings(rules="", clusters=0, swaps=0)


def gold(count: int) -> list[GoldDocument]:
    return [GoldDocument(d, a, group=d.id) for d, a in documents("t" * count)]


def judging(right: dict[float | None, float]) -> Any:
    """A judge that finds this share of each document's entities, by the penalty c1."""

    def judge(
        rest: Sequence[GoldDocument],
        held: Sequence[GoldDocument],
        schema: LabelSchema,
        settings: TrainSettings,
        aids: object,
    ) -> list[tuple[Annotation, Annotation]]:
        assert {g.id for g in rest}.isdisjoint(g.id for g in held)
        share = right.get(settings.c1, right[None])
        made = []
        for i, one in enumerate(held):
            few = one.annotation.entities[: round(share * 5 + 0.2 * (i % 2))]
            said = Annotation.of(one.id, few, (), Source.model("m"))
            made.append((one.annotation, said))
        return made

    return judge


@pytest.mark.parametrize(("better", "chosen"), [(0.8, 0.1), (0.4, None)])
def test_a_value_is_taken_only_where_it_is_shown_to_be_better(
    better: float, chosen: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clear gain is taken, the same score is not; everything tried is told."""
    monkeypatch.setattr(tuning, "_entities", judging({None: 0.4, 0.1: better}))
    monkeypatch.setattr(tuning, "_relations", judging({None: 0.4}))
    found = tune(gold(12), [], SCHEMA, SETTINGS)
    assert found.settings == replace(SETTINGS, c1=chosen)
    tried = [(one.part, dict(one.values)) for one in found.tried]
    assert tried == [
        (part, dict(values)) for part, grid in tuning.GRIDS.items() for values in ({}, *grid)
    ]
    assert found.on == "3 folds of train"
    assert found.as_json()["chosen"]["c1"] == chosen


def test_dev_is_used_where_it_is_large_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty documents with two hundred entities; what is learned from is bounded."""
    monkeypatch.setattr(tuning, "_entities", judging({None: 0.4}))
    monkeypatch.setattr(tuning, "_relations", judging({None: 0.4}))
    monkeypatch.setattr(tuning, "ENOUGH_ENTITIES", 60)
    everything = gold(40)
    dev = everything[:20]
    assert tune(everything[20:], dev, SCHEMA, SETTINGS).on == "dev"
    monkeypatch.setattr(tuning, "MOST", 1000)
    [(rest, held)] = tuning._folds(everything[20:], dev, 0)
    assert 0 < sum(len(g.document.text) for g in rest) <= 1000
    assert len(held) == 20


def test_tuning_is_the_same_for_a_seed_and_knows_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real trainings: the same gold in another order gives the same table."""
    known = gold(6)
    monkeypatch.setattr(tuning, "GRIDS", {"entities": ({"c1": 0.3},)})
    one = tune(known, [], SCHEMA, SETTINGS)
    assert tune(known[::-1], [], SCHEMA, SETTINGS) == one
    assert all(t.f1 is not None for t in one.tried)
    monkeypatch.setattr(tuning, "GRIDS", {"relations": ()})
    [given] = tune(known, [], SCHEMA, SETTINGS).tried
    assert given.f1 == 1.0
