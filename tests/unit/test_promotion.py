"""The rule of promotion: better for sure, in no label worse, and not dearer to annotators."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.errors import UsageError
from curate.extractors import models as store
from curate.extractors.models import Card
from curate.flows.looks import looks_at, note_looks
from curate.flows.models import promote, show_model
from curate.gold.opening import GoldSet
from curate.model import Annotation, Entity, Source
from curate.schema import parse_schema
from curate.scoring import Tally, tally
from curate.scoring.promotion import edits_of, judge

SCHEMA = parse_schema("name: s\nlanguage: en\nentities:\n  - name: A\n  - name: B\n")
GOLD = [
    *(Entity(20 * i, 20 * i + 6, "A") for i in range(8)),
    *(Entity(20 * i, 20 * i + 6, "B") for i in range(8, 10)),
]


def counts(documents: int, found: list[Entity]) -> Tally:
    return tally(
        (
            Annotation.of(f"d{i}", GOLD, (), Source.curator("g")),
            Annotation.of(f"d{i}", found, (), Source.model("m")),
        )
        for i in range(documents)
    )


def test_a_better_model_is_promoted_on_enough_documents_only() -> None:
    """The same gain convinces on twelve documents and may be chance on three."""
    old, new = GOLD[:5], GOLD
    assert judge(counts(12, old), counts(12, new), draws=400).better
    few = judge(counts(3, old), counts(3, new), draws=400)
    assert not few.better
    assert "on 3 test documents" in few.missing[0]
    assert not judge(counts(12, old), counts(12, new), margin=0.5, draws=400).better


def test_a_label_lost_or_more_edits_stand_in_the_way() -> None:
    """A gain in one label does not pay for a sure loss in another."""
    old = [*GOLD[:4], *GOLD[8:]]
    verdict = judge(counts(12, old), counts(12, GOLD[:8]), draws=400)
    assert any("significantly worse in entities B" in why for why in verdict.missing)
    assert [d.label for d in verdict.significant] == ["A", "B"]
    many = [*GOLD, *(Entity(20 * i + 8, 20 * i + 12, "A") for i in range(9))]
    dearer = judge(counts(12, GOLD[:4]), counts(12, many), draws=400)
    assert "annotators would owe 0.900 edits per entity instead of 0.600" in dearer.missing


def test_edits_are_counted_as_annotators_make_them() -> None:
    """One missing, one too many, one relabelled, one moved, one cut in two, two joined, one both
    relabelled and moved."""
    gold = GOLD[:8]
    found = [
        Entity(20, 26, "B"),
        Entity(40, 49, "A"),
        Entity(60, 63, "A"),
        Entity(63, 66, "A"),
        Entity(80, 106, "A"),
        Entity(120, 129, "B"),
        GOLD[7],
        Entity(190, 195, "A"),
    ]
    said = tally(
        [
            (
                Annotation.of("d", gold, (), Source.curator("g")),
                Annotation.of("d", found, (), Source.model("m")),
            )
        ]
    )
    edits = edits_of(said)
    assert (edits.add, edits.remove, edits.relabel, edits.move) == (2, 2, 2, 4)
    assert edits.per_entity == pytest.approx(10 / 8)
    assert edits_of(tally([])).per_entity is None


def test_a_look_is_counted_once_for_each_model(tmp_path: Path) -> None:
    """The same model again is no new look; another gold set's looks are its own; a torn line
    is passed over."""
    one, other = (GoldSet(f"sahel {v}", tmp_path) for v in ("1.0.0", "2.0.0"))
    models = tmp_path / "models"
    assert note_looks(models, one, "promote", ["a", "b"]) == 2
    assert note_looks(models, one, "promote", ["b", "c"]) == 3
    with (models / "looks.jsonl").open("ab") as stream:
        stream.write(b'{"gold": "sah')
    assert (looks_at(models, one), looks_at(models, other)) == (3, 0)


def test_force_needs_a_reason_and_the_reason_is_shown(tmp_path: Path) -> None:
    """A blank reason is refused before anything is looked at; a kept one stands with the model."""
    card = Card("s", "1", "d1", "crf", "x", "en", ("A",), (), {"name": "g"}, {})
    with store.publishing(tmp_path, "s", "1") as folder:
        store.write_card(folder, card)
    with pytest.raises(UsageError, match="needs a reason"):
        promote(tmp_path, "s", GoldSet("g", tmp_path), SCHEMA, reason="  ")
    record = {"champion": "s@1", "digest": "d1", "forced": "asked for"}
    store.set_alias(tmp_path, store.CHAMPION, "s@1", record)
    store.set_alias(tmp_path, store.CHAMPION, "t@1", record | {"digest": "other"})
    assert [one["forced"] for one in show_model(tmp_path, "s").promotions] == ["asked for"]
