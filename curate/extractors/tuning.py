"""Tuning: a few settings tried on dev, or by cross-validation within train where dev is small.

A value other than the default must be better by more than the standard error of the paired
difference, over documents: with little gold the best of several tries is mostly luck.  How much is
tried depends on the gold alone, never on the clock, so that the same gold gives the same model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from curate.extractors.train import (
    NO_AIDS,
    Aids,
    TrainSettings,
    learn,
    learn_relations,
    predict,
    related,
)
from curate.model import Annotation, Source
from curate.schema import LabelSchema

if TYPE_CHECKING:
    from curate.gold.items import GoldDocument
    from curate.scoring import Tally

GRIDS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "entities": ({"c1": 0.1}, {"c2": 0.2}, {"c2": 0.01}),
    "relations": ({"window": 0}, {"window": 2}, {"l2": 1.0}, {"l2": 4.0}),
}
"""What is tried beside the defaults, one change at a time."""
FOLDS = 3
ENOUGH_DOCUMENTS = 20
ENOUGH_ENTITIES = 200
"""A dev split of less is too small to choose by."""
MOST = 300_000
"""Characters of train that candidates learn from at most: bounds the time on large gold."""
DRAWS = 400

Tick = Callable[[str], None]


@dataclass(frozen=True)
class Tried:
    """One candidate: what it changes, its F1, and how it differs from the defaults."""

    part: str
    values: Mapping[str, Any]
    f1: float | None
    difference: float | None
    error: float | None

    def as_json(self) -> dict[str, Any]:
        def short(value: float | None) -> float | None:
            return None if value is None else round(value, 4)

        return {
            "part": self.part,
            "values": dict(self.values),
            "f1": short(self.f1),
            "difference": short(self.difference),
            "error": short(self.error),
        }


@dataclass(frozen=True)
class Tuning:
    """The settings chosen, what was tried, and on what."""

    settings: TrainSettings
    on: str
    tried: tuple[Tried, ...]

    def as_json(self) -> dict[str, Any]:
        chosen = {
            key: getattr(self.settings, key)
            for grid in GRIDS.values()
            for values in grid
            for key in values
        }
        return {"on": self.on, "chosen": chosen, "tried": [one.as_json() for one in self.tried]}


def large_enough(dev: Sequence[GoldDocument]) -> bool:
    """Whether dev can be chosen by."""
    entities = sum(len(g.annotation.entities) for g in dev)
    return len(dev) >= ENOUGH_DOCUMENTS and entities >= ENOUGH_ENTITIES


def tune(
    train: Sequence[GoldDocument],
    dev: Sequence[GoldDocument],
    schema: LabelSchema,
    settings: TrainSettings,
    *,
    tick: Tick = lambda _: None,
    aids: Aids = NO_AIDS,
) -> Tuning:
    """Choose among the grid for entities and, where train has relations, for relations."""
    folds = _folds(train, dev, settings.seed)
    parts = [p for p in GRIDS if p == "entities" or any(g.annotation.relations for g in train)]
    tried: list[Tried] = []
    chosen = settings
    for part in parts:
        judge = _entities if part == "entities" else _relations
        tick(f"tuning {part}")
        base = _pooled(folds, schema, settings, aids, judge)
        tried.append(Tried(part, {}, _f1(base, part), 0.0, 0.0))
        best, winner = 0.0, dict[str, Any]()
        for values in GRIDS[part]:
            if all(getattr(settings, key) == value for key, value in values.items()):
                continue
            tick(f"tuning {part}: {', '.join(f'{k}={v}' for k, v in values.items())}")
            found = _pooled(folds, schema, replace(settings, **values), aids, judge)
            difference, error = _paired(base, found, part)
            tried.append(Tried(part, values, _f1(found, part), difference, error))
            if difference is not None and error is not None and difference > max(best, error):
                best, winner = difference, dict(values)
        chosen = replace(chosen, **winner)
    return Tuning(chosen, "dev" if large_enough(dev) else f"{FOLDS} folds of train", tuple(tried))


def tries(settings: TrainSettings, related: bool) -> list[tuple[str, int]]:
    """How many settings of each part :func:`tune` tries, with relations in train or without."""
    return [
        (part, 1 + sum(any(getattr(settings, k) != v for k, v in one.items()) for one in grid))
        for part, grid in GRIDS.items()
        if related or part == "entities"
    ]


_Fold = tuple[list["GoldDocument"], list["GoldDocument"]]


def _folds(train: Sequence[GoldDocument], dev: Sequence[GoldDocument], seed: int) -> list[_Fold]:
    """``(to learn from, to score on)``: train and dev, or the folds of train by group."""
    from curate.scoring.learning_curve import fold_of, shuffled

    known = {g.id: g for g in train}
    groups = {key: g.group for key, g in known.items()}
    kept: list[str] = []
    room = MOST
    for group in shuffled(groups, seed, 0):
        room -= sum(len(known[key].document.text) for key in group)
        if kept and room < 0:
            break
        kept += group
    if large_enough(dev):
        return [([known[key] for key in sorted(kept)], sorted(dev, key=lambda g: g.id))]
    inside = {key: groups[key] for key in kept}
    found = []
    for number in range(FOLDS):
        rest, held = fold_of(inside, FOLDS, seed, number)
        if rest and held:
            found.append(([known[key] for key in rest], [known[key] for key in held]))
    return found


_Judge = Callable[
    [list["GoldDocument"], list["GoldDocument"], LabelSchema, TrainSettings, Aids],
    list[tuple[Annotation, Annotation]],
]


def _pooled(
    folds: Sequence[_Fold],
    schema: LabelSchema,
    settings: TrainSettings,
    aids: Aids,
    judge: _Judge,
) -> Tally:
    from curate.scoring import tally

    rows = [pair for rest, held in folds for pair in judge(rest, held, schema, settings, aids)]
    return tally(rows, schema=schema)


def _entities(
    rest: list[GoldDocument],
    held: list[GoldDocument],
    schema: LabelSchema,
    settings: TrainSettings,
    aids: Aids,
) -> list[tuple[Annotation, Annotation]]:
    bare = [replace(g, annotation=_without_relations(g.annotation)) for g in rest]
    nlp = learn(bare, (), schema, settings, calibrate=False, aids=aids).nlp
    source = Source.model("tuning")
    said = {a.document_id: a for a in predict(nlp, [g.document for g in held], source)}
    return [(g.annotation, said[g.id]) for g in held]


def _relations(
    rest: list[GoldDocument],
    held: list[GoldDocument],
    schema: LabelSchema,
    settings: TrainSettings,
    aids: Aids,
) -> list[tuple[Annotation, Annotation]]:
    """Relations between given entities: those of gold."""
    nlp = learn_relations(rest, schema, settings)
    return [(g.annotation, related(nlp, g)) for g in held]


def _without_relations(annotation: Annotation) -> Annotation:
    return Annotation.of(annotation.document_id, annotation.entities, (), annotation.source)


_MEASURE = {"entities": "strict", "relations": "boundaries"}


def _f1(counts: Tally, part: str) -> float | None:
    from curate.scoring import scores_of

    scores = scores_of(counts, draws=0)
    return getattr(scores, part).measures[_MEASURE[part]].f1  # type: ignore[no-any-return]


def _paired(base: Tally, other: Tally, part: str) -> tuple[float | None, float | None]:
    """The difference in F1 and its standard error, from the width of the paired interval."""
    from curate.scoring.comparison import compare_tallies

    try:
        found = compare_tallies(base, other, draws=DRAWS).of(part, _MEASURE[part])
    except KeyError:
        return None, None
    if found.ci is None:
        return found.difference, None
    return found.difference, (found.ci[1] - found.ci[0]) / (2 * 1.96)
