"""How far pre-annotation leads annotators: documents annotated blind against assisted ones.

Which document is blind is drawn by lot, so that the two lanes differ in nothing but that.  Every
number is a ratio of sums over documents; intervals resample the documents of each lane, and the
difference is of independent samples.  What is undefined is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from curate.agreement.values import Value
from curate.alignment import EntityKind, RelationKind, align, relation_key
from curate.model import Annotation
from curate.schema import LabelSchema
from curate.scoring.columns import Floats
from curate.scoring.resampling import DRAWS, SEED, interval, resample

BLIND, ASSISTED = "blind", "assisted"


@dataclass(frozen=True, slots=True)
class Case:
    """A document of one lane: the model's prediction (shown to annotators in the assisted lane
    alone), what annotators made of it, and what a person decided, where one did."""

    document_id: str
    blind: bool
    prediction: Annotation
    annotations: Sequence[Annotation]
    decision: Annotation | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A measure in both lanes, and assisted minus blind."""

    blind: Value
    assisted: Value
    difference: Value

    @property
    def is_sure(self) -> bool:
        """Whether the interval of the difference leaves 0 out."""
        ci = self.difference.ci
        return ci is not None and (ci[0] > 0.0 or ci[1] < 0.0)


@dataclass(frozen=True, slots=True)
class Bias:
    """The measures by name (see :data:`MEASURES`), the documents of each lane, those a person has
    decided on, and what it means in words."""

    documents: Mapping[str, int]
    decided: Mapping[str, int]
    measures: Mapping[str, Comparison]
    words: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        def value(v: Value) -> dict[str, Any]:
            return {"value": v.value, "ci": None if v.ci is None else list(v.ci)}

        return {
            "documents": dict(self.documents),
            "decided": dict(self.decided),
            "measures": {
                name: {
                    "blind": value(found.blind),
                    "assisted": value(found.assisted),
                    "difference": value(found.difference),
                }
                for name, found in self.measures.items()
            },
            "words": list(self.words),
        }


MEASURES: dict[str, str] = {
    "agreement_entities": "agreement of annotators on entities, F1",
    "agreement_relations": "agreement of annotators on relations, F1",
    "model_entities": "the model's entities against the annotators', F1",
    "model_relations": "the model's relations against the annotators', F1",
    "kept_entities": "predicted entities that annotators have, too",
    "kept_relations": "predicted relations that annotators have, too",
    "wrong_entities_standing": "wrong predicted entities that annotators have, too",
    "wrong_relations_standing": "wrong predicted relations that annotators have, too",
    "missing_relations": "relations of the decision that annotators lack",
    "relations_per_entity": "relations drawn per entity marked",
}
"""Every measure with what it is; those against the decision take documents a person decided on."""


def measure_bias(
    cases: Iterable[Case],
    schema: LabelSchema | None = None,
    *,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Bias:
    """Compare the lanes; the order of the cases is of no consequence."""
    lanes: dict[bool, list[Case]] = {True: [], False: []}
    for case in sorted(cases, key=lambda c: c.document_id):
        lanes[case.blind].append(case)
    tables = {
        blind: np.array([_row(case, schema) for case in found], dtype=np.float64).reshape(
            len(found), 2 * len(MEASURES)
        )
        for blind, found in lanes.items()
    }
    drawn = {
        blind: resample(table, draws, seed + blind) if len(table) > 1 and draws else None
        for blind, table in tables.items()
    }
    measures = {}
    for number, name in enumerate(MEASURES):
        alone, helped = (_ratio(tables[blind].sum(axis=0), number) for blind in (True, False))
        alone_drawn, helped_drawn = (_ratios(drawn[blind], number) for blind in (True, False))
        gap, both = None, None
        if alone is not None and helped is not None:
            gap = helped - alone
            if alone_drawn is not None and helped_drawn is not None:
                both = interval(helped_drawn - alone_drawn)
        measures[name] = Comparison(
            _value(alone, alone_drawn),
            _value(helped, helped_drawn),
            Value(gap, both),
        )
    found_in = {BLIND: len(lanes[True]), ASSISTED: len(lanes[False])}
    decided = {
        name: sum(1 for case in lanes[blind] if case.decision is not None)
        for name, blind in ((BLIND, True), (ASSISTED, False))
    }
    return Bias(found_in, decided, measures, _words(measures, found_in, decided))


def _value(value: float | None, spread: Floats | None) -> Value:
    return Value(value, None if spread is None or value is None else interval(spread))


def _ratio(sums: Floats, number: int) -> float | None:
    part, whole = float(sums[2 * number]), float(sums[2 * number + 1])
    return part / whole if whole else None


def _ratios(sums: Floats | None, number: int) -> Floats | None:
    if sums is None:
        return None
    part, whole = sums[:, 2 * number], sums[:, 2 * number + 1]
    result: Floats = np.full(len(part), np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _row(case: Case, schema: LabelSchema | None) -> list[float]:
    """Numerator and denominator of every measure in one document."""
    found = dict.fromkeys(MEASURES, (0.0, 0.0))

    def add(name: str, part: float, whole: float) -> None:
        one, two = found[name]
        found[name] = one + part, two + whole

    for a, b in combinations(case.annotations, 2):
        same, links = _common(a, b, schema)
        add("agreement_entities", 2 * same, len(a.entities) + len(b.entities))
        add("agreement_relations", 2 * links, _relations(a, schema) + _relations(b, schema))
    guess = case.prediction
    for said in case.annotations:
        same, links = _common(said, guess, schema)
        add("model_entities", 2 * same, len(said.entities) + len(guess.entities))
        add("model_relations", 2 * links, _relations(said, schema) + _relations(guess, schema))
        add("kept_entities", same, len(guess.entities))
        add("kept_relations", links, _relations(guess, schema))
        add("relations_per_entity", _relations(said, schema), len(said.entities))
        if case.decision is not None:
            _against_decision(add, case.decision, guess, said, schema)
    return [value for name in MEASURES for value in found[name]]


def _against_decision(
    add: Callable[[str, float, float], None],
    decision: Annotation,
    guess: Annotation,
    said: Annotation,
    schema: LabelSchema | None,
) -> None:
    against = align(decision, guess, schema)
    wrong = {
        e.key for event in against.entities if event.kind is not EntityKind.CORRECT for e in event.b
    }
    add("wrong_entities_standing", len(wrong & {e.key for e in said.entities}), len(wrong))
    symmetric = frozenset() if schema is None else schema.symmetric
    drawn = {relation_key(r, symmetric) for r in said.relations}
    wrong_links = {
        relation_key(r, symmetric)
        for event in against.relations
        if event.kind is not RelationKind.CORRECT
        for r in event.b
    }
    add("wrong_relations_standing", len(wrong_links & drawn), len(wrong_links))
    _, links = _common(decision, said, schema)
    whole = _relations(decision, schema)
    add("missing_relations", whole - links, whole)


def _common(a: Annotation, b: Annotation, schema: LabelSchema | None) -> tuple[int, int]:
    """How many entities, and how many relations, the two have in common."""
    found = align(a, b, schema)
    return (
        found.entity_counts()[EntityKind.CORRECT],
        found.relation_counts()[RelationKind.CORRECT],
    )


def _relations(a: Annotation, schema: LabelSchema | None) -> int:
    symmetric = frozenset() if schema is None else schema.symmetric
    return len({relation_key(r, symmetric) for r in a.relations})


def _words(
    measures: Mapping[str, Comparison],
    documents: Mapping[str, int],
    decided: Mapping[str, int],
) -> tuple[str, ...]:
    size = f"{documents[BLIND]} blind and {documents[ASSISTED]} assisted documents"
    said = []
    for name, what in (("model_entities", "entities"), ("model_relations", "relations")):
        said.append(_flattery(measures[name], what, size))
    standing = measures["wrong_entities_standing"]
    if standing.assisted.value is None or standing.blind.value is None:
        said.append(
            "How many wrong predictions stand cannot be told: a curator must have decided on "
            f"documents of both lanes (so far {decided[BLIND]} blind, {decided[ASSISTED]} "
            "assisted)."
        )
    else:
        said.append(
            f"Of the model's wrong entities {_percent(standing.assisted)} stand in assisted "
            f"annotations; {_percent(standing.blind)} would have been made without it: "
            f"{_led(standing)}."
        )
    missing = measures["missing_relations"]
    if missing.difference.value is not None:
        verb = "more" if missing.difference.value > 0 else "fewer"
        said.append(
            f"Assisted annotators miss {_points(missing.difference, absolute=True)} points {verb} "
            f"of the relations{'' if missing.is_sure else ', which may be chance'}."
        )
    agreement = measures["agreement_entities"]
    if agreement.difference.value is not None:
        verb = "higher" if agreement.difference.value > 0 else "lower"
        said.append(
            f"Agreement on entities is {_points(agreement.difference, absolute=True)} points "
            f"{verb} where annotators saw the prediction"
            f"{'' if agreement.is_sure else ', which may be chance'}."
        )
    return tuple(said)


def _flattery(found: Comparison, what: str, size: str) -> str:
    if found.difference.value is None:
        return f"What assistance does to the model's score on {what} cannot be told from {size}."
    if not found.is_sure:
        return (
            f"No effect of assistance on the model's score on {what} can be told: "
            f"{_points(found.difference)} points, with {size}."
        )
    verb = "flatters" if found.difference.value > 0 else "slights"
    return (
        f"Assisted gold {verb} the model by {_points(found.difference, absolute=True)} points of "
        f"F1 on {what}."
    )


def _led(found: Comparison) -> str:
    if not found.is_sure:
        return "no effect can be told"
    value = found.difference.value or 0.0
    return "annotators are led by the model" if value > 0 else "annotators are put on their guard"


def _percent(value: Value) -> str:
    return "n/a" if value.value is None else f"{100 * value.value:.0f} %"


def _points(value: Value, *, absolute: bool = False) -> str:
    """In points, with the interval; ``absolute``: turned so that the value is positive."""
    assert value.value is not None
    turn = -1.0 if absolute and value.value < 0 else 1.0
    text = f"{100 * turn * value.value:.1f}"
    if value.ci is None:
        return text
    low, high = sorted(100 * turn * bound for bound in value.ci)
    return f"{text} [{low:.1f}, {high:.1f}]"
