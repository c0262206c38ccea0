"""Laws of the queue of suspects."""

from __future__ import annotations

import random

from curate.agreement.points import DisagreementKind
from curate.gold.items import GoldDocument
from curate.gold.suspicion import by_entropy, by_signature, folds, from_model, rank
from curate.model import Annotation, Document, Entity, Relation, Source

GOLD, MODEL = Source.curator("c"), Source.model("m")


def gold(number: int, text: str, *entities: Entity, links=()) -> GoldDocument:
    made = Document.of(text, id=f"d{number}")
    return GoldDocument(made, Annotation.of(made.id, entities, links, GOLD))


def test_a_surface_with_a_rare_label_is_raised_first() -> None:
    """Mali is LOC nine times and PER once: the one is raised before the nine."""
    documents = [gold(n, "Mali", Entity(0, 4, "LOC")) for n in range(9)]
    documents.append(gold(9, "MALI", Entity(0, 4, "PER")))
    queue = rank(by_entropy(documents))
    assert queue[0].document_id == "d9"
    assert "LOC 9×" in queue[0].point.note
    assert not by_entropy(documents[:9])


def test_a_relation_between_unusual_arguments_is_raised() -> None:
    """Once of many: raised; often: not."""
    a, b = Entity(0, 2, "PER"), Entity(3, 5, "LOC")
    documents = [gold(n, "ab cd", a, b, links=[Relation(a, b, "in")]) for n in range(30)]
    assert not by_signature(documents)
    odd = Entity(3, 5, "DATE")
    documents.append(gold(30, "ab cd", a, odd, links=[Relation(a, odd, "in")]))
    (hint,) = by_signature(documents)
    assert (hint.document_id, hint.point.kind) == ("d30", DisagreementKind.SUSPECT)


def test_the_model_is_heard_by_how_sure_it_is() -> None:
    """What it is surest of comes first; where it agrees nothing is raised."""
    said = Annotation.of("d", [Entity(0, 4, "PER"), Entity(9, 12, "LOC")], (), GOLD)
    guess = Annotation.of(
        "d",
        [Entity(0, 4, "PER", 0.9), Entity(9, 12, "ORG", 0.6), Entity(20, 25, "LOC", 0.95)],
        (),
        MODEL,
    )
    queue = rank(from_model(said, guess))
    assert [(s.point.start, s.point.end) for s in queue] == [(20, 25), (9, 12)]
    assert from_model(said, said) == []


def test_what_several_detectors_raise_comes_first_and_order_is_of_no_consequence() -> None:
    """Reciprocal ranks add up; shuffled hints give the same queue."""
    documents = [gold(n, "Mali", Entity(0, 4, "LOC")) for n in range(9)]
    documents.append(gold(9, "Mali", Entity(0, 4, "PER")))
    seen = Annotation.of("d9", [Entity(0, 4, "LOC", 0.3)], (), MODEL)
    alone = gold(20, "Omar", Entity(0, 4, "PER"))
    other = Annotation.of("d20", [Entity(0, 4, "ORG", 0.9)], (), MODEL)
    hints = [
        *by_entropy(documents),
        *from_model(documents[9].annotation, seen),
        *from_model(alone.annotation, other),
    ]
    queue = rank(hints)
    assert queue[0].document_id == "d9"
    assert set(queue[0].detectors) == {"entropy", "model"}
    assert queue[0].point.entities[1][0] == "model", "the model's claim is shown"
    shuffled = random.Random(1).sample(hints, len(hints))
    assert rank(shuffled) == queue


def test_near_duplicates_fall_into_one_fold() -> None:
    """A model must not have learned from the reprint of what it judges."""
    groups = {f"d{n}": f"g{n // 2}" for n in range(20)}
    parts = folds(groups, 5)
    assert sorted(key for part in parts for key in part) == sorted(groups)
    for part in parts:
        assert {groups[key] for key in part}.isdisjoint(
            {groups[key] for other in parts if other is not part for key in other}
        )
    assert max(map(len, parts)) - min(map(len, parts)) <= 2
