"""Laws of the measures between annotators."""

from __future__ import annotations

import json
import random
from collections import Counter

import numpy as np
import pytest

from curate.agreement.measures import measure
from curate.agreement.units import (
    Unit,
    Units,
    alpha,
    alpha_columns,
    categorise,
    cohen,
    cohen_columns,
    fleiss,
    fleiss_columns,
)
from curate.errors import DataError
from curate.model import Annotation, Entity, Relation, Source
from curate.scoring.columns import Collector


def said(name, document, entities, relations=()) -> Annotation:
    made = [Entity(*entity) for entity in entities]
    links = [Relation(made[head], made[tail], label) for head, tail, label in relations]
    return Annotation.of(document, made, links, Source.annotator(name))


A, B, C = (0, 5, "PER"), (10, 15, "ORG"), (20, 25, "LOC")


def corpus(seed: int, names: str, documents: int = 8) -> dict[str, list[Annotation]]:
    rng = random.Random(seed)
    found: dict[str, list[Annotation]] = {name: [] for name in names}
    for d in range(documents):
        for name in names:
            entities = [e for e in (A, B, C, (30, 34, "PER")) if rng.random() < 0.8]
            links = [(0, len(entities) - 1, rng.choice("rs"))] if len(entities) > 1 else []
            found[name].append(said(name, f"d{d}", entities, links))
    return found


def extents(documents: int = 8) -> dict[str, int]:
    return {f"d{d}": 40 for d in range(documents)}


def test_full_agreement_is_one_everywhere() -> None:
    """Two that say the same agree by every measure."""
    sides = {name: [said(name, f"d{d}", [A, B], [(0, 1, "r")]) for d in range(3)] for name in "xy"}
    found = measure(sides, extents(3), draws=100)
    assert found.f1.value == found.lenient_f1.value == found.kappa.value == found.alpha.value == 1
    assert found.relations_f1.value == 1
    assert found.label_kappa.value is None
    assert "certain" in found.undefined["relations.label_kappa"]


def test_f1_is_the_same_either_way_and_the_mean_over_pairs() -> None:
    """Who is called gold is of no consequence; three annotators make three pairs."""
    sides = corpus(1, "xyz")
    found = measure(sides, extents(), draws=0)
    assert len(found.pairs) == 3
    known = [pair.f1.value for pair in found.pairs]
    assert found.f1.value == pytest.approx(sum(known) / 3)
    turned = measure({"x": sides["y"], "y": sides["x"]}, extents(), draws=0)
    assert turned.f1.value == found.pairs[0].f1.value
    assert found.kappa_name == "Fleiss"


def test_cohen_by_hand() -> None:
    """Wikipedia's example: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no give 0.4."""
    yes, no = ("y",), ("n",)
    counts = {(yes, yes): 20, (yes, no): 5, (no, yes): 10, (no, no): 15}
    assert cohen(cohen_columns(Units.of([counts])))[0] == pytest.approx(0.4)


def test_fleiss_by_hand() -> None:
    """Wikipedia's table of fourteen raters and ten subjects gives 0.210."""
    rows = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    counts: dict = {}
    for row in rows:
        said_by = tuple((str(c),) for c, n in enumerate(row) for _ in range(n))
        counts[said_by] = counts.get(said_by, 0) + 1
    assert fleiss(fleiss_columns(Units.of([counts])))[0] == pytest.approx(0.210, abs=5e-4)


def test_alpha_by_hand() -> None:
    """Krippendorff's own example of two observers and ten units gives 0.095."""
    one, two = "0100000000", "1110010010"
    counts: dict = {}
    for pair in zip(one, two, strict=True):
        key = tuple((c,) for c in pair)
        counts[key] = counts.get(key, 0) + 1
    assert alpha(alpha_columns(Units.of([counts])))[0] == pytest.approx(0.095, abs=5e-4)


def test_units_are_cut_where_somebody_begins_or_ends() -> None:
    """Every character gets the labels it lies under; nested ones together are a category."""
    counts = counted([[[(0, 4, "ORG"), (2, 4, "LOC")]], [[(0, 4, "ORG")]]], [6])
    assert counts == [{(("ORG",), ("ORG",)): 2, (("LOC", "ORG"), ("ORG",)): 2, ((), ()): 2}]
    tokens = counted([[[(0, 4, "ORG")]], [[]]], [[(0, 2), (3, 5), (6, 8)]])
    assert tokens == [{(("ORG",), ()): 2, ((), ()): 1}]


@pytest.mark.parametrize("labels", [2, 150])
@pytest.mark.parametrize("tokens", [False, True])
def test_every_unit_gets_the_labels_over_it(labels: int, tokens: bool) -> None:
    """What comes out for whole texts at once is what asking unit by unit gives."""
    rng = random.Random(labels)
    size = 40
    for _ in range(30):
        sides = [
            [
                [(s, s + rng.randint(1, 20), f"L{rng.randrange(labels)}") for s in starts]
                for starts in ([rng.randrange(20) for _ in range(rng.randint(0, 9))], [], [3])
            ]
            for _ in range(rng.choice([2, 3]))
        ]
        pieces = [(i, i + 1) for i in range(size)]
        if tokens:
            cuts = sorted(rng.sample(range(size + 1), 12))
            pieces = list(zip(cuts[::2], cuts[1::2], strict=True))
        expected = []
        for doc in range(3):
            one = Counter(
                tuple(
                    tuple(sorted({label for s, e, label in side[doc] if s < high and low < e}))
                    for side in sides
                )
                for low, high in pieces
            )
            expected.append(dict(one))
        assert counted(sides, [pieces if tokens else size] * 3) == expected


def counted(sides, extents) -> list[dict]:
    """How many units of each document got which categories."""
    columns = []
    for side in sides:
        collector = Collector()
        for number, mentions in enumerate(side):
            collector.add(said("x", str(number), mentions))
        columns.append(collector.side([str(number) for number in range(len(side))]))
    everywhere = np.ones(len(extents), dtype=np.bool_)
    units = categorise(columns, [everywhere] * len(sides), extents)
    found: list[dict] = [{} for _ in extents]
    for n, doc in enumerate(units.doc.tolist()):
        key = tuple(units.names[i] for i in units.said[:, n])
        found[doc][key] = found[doc].get(key, 0) + int(units.weight[n])
    return found


def test_what_is_undefined_says_why() -> None:
    """Nobody marked anything: no F1, no kappa, and a reason for each."""
    found = measure(
        {name: [said(name, f"d{d}", []) for d in range(2)] for name in "xy"}, extents(2), draws=50
    )
    data = found.as_json()
    assert data["entities"]["f1"] is None
    assert data["entities"]["kappa"] is None
    assert {"entities.f1", "entities.kappa", "relations.f1", "relations.label_kappa"} <= set(
        data["undefined"]
    )
    json.dumps(data, allow_nan=False)


def test_documents_of_one_annotator_are_left_out() -> None:
    """Agreement is of documents that two have; kappa of three needs documents of all."""
    sides = {
        "x": [said("x", "d0", [A]), said("x", "d1", [A])],
        "y": [said("y", "d0", [A]), said("y", "d2", [B])],
        "z": [said("z", "d1", [A])],
    }
    found = measure(sides, extents(3), draws=0)
    assert found.documents == 2
    assert found.kappa.value is None
    assert "all annotators" in found.undefined["entities.kappa"]
    assert found.alpha.value == 1.0


def test_stages_tell_where_relations_part() -> None:
    """A missed argument, another label and another direction are three things."""
    one = said("x", "d0", [A, B, C], [(0, 1, "r"), (1, 2, "r"), (0, 2, "r")])
    two = said("y", "d0", [A, B], [(1, 0, "r")])
    stages = measure({"x": [one], "y": [two]}, extents(1), draws=0).stages
    assert (stages.relations, stages.arguments_found, stages.linked) == (4, 2, 2)
    assert (stages.same_label, stages.same_direction) == (2, 0)


def test_the_order_of_annotators_and_documents_is_of_no_consequence() -> None:
    """Same numbers to the last digit, intervals included."""
    sides = corpus(3, "xyz")
    first = json.dumps(measure(sides, extents(), draws=200).as_json())
    turned = {name: list(reversed(sides[name])) for name in "zxy"}
    assert json.dumps(measure(turned, extents(), draws=200).as_json()) == first


def test_agreement_over_time() -> None:
    """Documents are grouped by the period given for them."""
    found = measure(
        corpus(2, "xy"),
        extents(),
        periods={f"d{d}": "2024-01" if d < 4 else "2024-02" for d in range(8)},
        draws=50,
    )
    assert list(found.over_time) == ["2024-01", "2024-02"]
    assert found.over_time["2024-01"][0] == 4


def test_one_annotator_cannot_agree() -> None:
    """It takes two."""
    with pytest.raises(DataError, match="two annotators"):
        measure({"x": []}, {})


def test_tokens_are_another_denominator() -> None:
    """The unit is named, and counts differ."""
    sides = corpus(5, "xy", 2)
    spans = {f"d{d}": [(0, 5), (10, 15), (20, 25), (30, 34), (36, 38)] for d in range(2)}
    found = measure(sides, spans, unit=Unit.TOKEN, draws=0)
    assert (found.unit, found.units) == (Unit.TOKEN, 10)
