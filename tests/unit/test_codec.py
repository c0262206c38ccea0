"""The codec between annotations and Label Studio's result items."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.labelstudio.codec import decode, encode
from curate.labelstudio.wire import MisfitError
from curate.model import Annotation, Entity, Relation, Source
from curate.offsets import to_nfc
from curate.schema import EntityType, LabelSchema, RelationType

SCHEMA = LabelSchema(
    name="test",
    entities=(EntityType("PER"), EntityType("LOC"), EntityType("ORG")),
    relations=(
        RelationType("visits", head=("PER", "ORG"), tail=("LOC",)),
        RelationType("same_as", head=("PER", "LOC"), tail=("PER", "LOC"), symmetric=True),
    ),
)
MODEL = Source.model("m", "1", "d")
READER = Source.annotator("annotator-1")
HOSTILE = (
    "👩‍👩‍👧 à Tripoli",
    "ligne 1\r\nligne 2\rligne 3\ttab",
    "« Al-Wattiya » : 12 %",
    "\u2028\u2029\u0085\ufeff\u200b\u00ad fin ",
    "<b>&amp;</b> \"x\" 'y' \\n",
    "   espaces   multiples   ",
    "e\u0301tat 🇩🇿🇲🇱",
)
texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60
    ),
).map(lambda text: to_nfc(text)[0])


@st.composite
def annotated(draw: st.DrawFn) -> tuple[str, Annotation]:
    text = draw(texts.filter(bool))
    spans = st.tuples(st.integers(0, len(text) - 1), st.integers(1, len(text))).filter(
        lambda span: span[0] < span[1]
    )
    entities = draw(
        st.lists(
            st.builds(
                lambda span, label, score, canonical: Entity(*span, label, score, canonical),
                spans,
                st.sampled_from(SCHEMA.entity_labels),
                st.none() | st.floats(0, 1),
                st.none() | st.text(min_size=1, max_size=8).filter(lambda s: bool(s.strip())),
            ),
            max_size=8,
            unique_by=lambda entity: entity.key,
        )
    )
    legal = [
        Relation(a, b, label)
        for a in entities
        for b in entities
        if a != b
        for label in SCHEMA.legal_relations(a.label, b.label)
    ]
    chosen = draw(st.lists(st.sampled_from(legal), max_size=6)) if legal else []
    return text, Annotation.of("d", entities, chosen, MODEL)


def through_json(items: list[dict[str, Any]]) -> Any:
    return json.loads(json.dumps(items))


@given(annotated())
def test_what_is_pushed_and_accepted_unchanged_comes_back_equal(
    case: tuple[str, Annotation],
) -> None:
    """decode(encode(a)) == a, scores and canonical names included, for any text and overlaps."""
    text, annotation = case
    back = decode(through_json(encode(annotation, text, SCHEMA)), "d", text, SCHEMA, MODEL)
    assert back == annotation
    assert [(e.score, e.canonical) for e in back.entities] == [
        (e.score, e.canonical) for e in annotation.entities
    ]


@given(annotated(), st.randoms())
def test_the_order_of_items_means_nothing(case: tuple[str, Annotation], random: Any) -> None:
    """Label Studio may send regions, notes and relations in any order."""
    text, annotation = case
    items = encode(annotation, text, SCHEMA)
    random.shuffle(items)
    assert decode(items, "d", text, SCHEMA, MODEL) == annotation


@given(annotated())
def test_the_text_that_label_studio_claims_is_never_read(case: tuple[str, Annotation]) -> None:
    """value.text holds collapsed spaces and literal \\n: any value of it gives the same."""
    text, annotation = case
    items = through_json(encode(annotation, text, SCHEMA))
    for item in items:
        if item["type"] == "labels":
            item["value"]["text"] = "\\n lies"
    assert decode(items, "d", text, SCHEMA, MODEL) == annotation


def test_a_person_has_no_score() -> None:
    """A region keeps the model's score after its label was changed: it is not the annotator's."""
    items = encode(Annotation.of("d", [Entity(0, 2, "PER", 0.9)], [], MODEL), "ab", SCHEMA)
    assert decode(items, "d", "ab", SCHEMA, READER).entities[0].score is None


def region(name: str, start: Any, end: Any, *labels: str) -> dict[str, Any]:
    return {
        "id": name,
        "type": "labels",
        "from_name": "label",
        "to_name": "text",
        "value": {"start": start, "end": end, "text": "x", "labels": list(labels)},
    }


def relation(head: str, tail: str, *labels: str, direction: str = "right") -> dict[str, Any]:
    return {
        "from_id": head,
        "to_id": tail,
        "type": "relation",
        "direction": direction,
        "labels": list(labels),
    }


PAIR = [region("p", 0, 3, "PER"), region("l", 4, 7, "LOC")]


@pytest.mark.parametrize(
    ("direction", "head"), [("right", "PER"), ("left", "PER")], ids=["right", "left"]
)
def test_left_turns_the_arguments_round(direction: str, head: str) -> None:
    """«left» means that the arrow points from to_id to from_id."""
    ends = ("p", "l") if direction == "right" else ("l", "p")
    items = [*PAIR, relation(*ends, "visits", direction=direction)]
    found = decode(items, "d", "abc def", SCHEMA, READER).relations
    assert [r.head.label for r in found] == [head]


def test_both_directions_of_a_directed_relation_are_two_relations() -> None:
    """«bi» says it in both directions; where one is illegal the annotation does not fit."""
    with pytest.raises(MisfitError, match="may not link LOC to PER"):
        decode(
            [*PAIR, relation("p", "l", "visits", direction="bi")], "d", "abc def", SCHEMA, READER
        )


def test_the_same_region_twice_is_one() -> None:
    """Label Studio may send an item twice; the same claim twice is no contradiction."""
    items = [*PAIR, PAIR[0], relation("p", "l", "visits"), relation("p", "l", "visits")]
    found = decode(items, "d", "abc def", SCHEMA, READER)
    assert (len(found.entities), len(found.relations)) == (2, 1)


MISFITS = {
    "starts below zero": ([region("a", -1, 2, "PER")], "outside the text"),
    "ends after the text": ([region("a", 0, 8, "PER")], "outside the text of 7"),
    "empty span": ([region("a", 2, 2, "PER")], "outside"),
    "start after end": ([region("a", 3, 2, "PER")], "outside"),
    "offset is text": ([region("a", "0", 2, "PER")], "value.start"),
    "offset is a fraction": ([region("a", 0.5, 2, "PER")], "value.start"),
    "offset is true": ([region("a", True, 2, "PER")], "value.start"),
    "unknown label": ([region("a", 0, 2, "ANIMAL")], "'ANIMAL' is not in schema"),
    "no label": ([region("a", 0, 2)], "no labels"),
    "two labels": ([region("a", 0, 2, "PER", "LOC")], "2 labels"),
    "conflicting ids": ([region("a", 0, 2, "PER"), region("a", 1, 2, "PER")], "stands for"),
    "dangling relation": ([*PAIR, relation("p", "gone", "visits")], "'gone', which is not there"),
    "relation without label": ([*PAIR, relation("p", "l")], "has no label"),
    "unknown relation": ([*PAIR, relation("p", "l", "eats")], "'eats' is not in schema"),
    "illegal relation": ([*PAIR, relation("l", "p", "visits")], "may not link LOC to PER"),
    "relation with itself": ([*PAIR, relation("p", "p", "same_as")], "with itself"),
    "direction unknown": ([*PAIR, relation("p", "l", "visits", direction="up")], "direction"),
    "unknown item": ([{"type": "choices", "id": "c"}], "'choices'"),
    "no type": ([{"id": "c"}], "without a type"),
    "no object": (["x"], "without a type"),
    "note on nothing": (
        [{"type": "textarea", "id": "z", "value": {"text": ["x"]}}],
        "which is not there",
    ),
}


@pytest.mark.parametrize(("items", "reason"), MISFITS.values(), ids=MISFITS.keys())
def test_a_misfit_is_named(items: list[Any], reason: str) -> None:
    """Whatever does not fit is refused with a reason a person understands, and the raw item."""
    with pytest.raises(MisfitError, match=reason) as caught:
        decode(items, "d", "abc def", SCHEMA, READER)
    assert caught.value.item == items[-1]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "id", "value", "start", "end", "labels", "from_id", "to_id"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.lists(json_values, max_size=4))
def test_any_json_decodes_or_is_a_misfit(items: list[Any]) -> None:
    """No answer of a server makes the decoder fail otherwise than by a misfit."""
    with contextlib.suppress(MisfitError):
        decode(items, "d", "abc def", SCHEMA, READER)
