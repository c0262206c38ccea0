"""The values everything speaks about."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import DataError
from curate.model import Annotation, Document, Entity, Relation, Source

TEXT = "Le maréchal Haftar à Tobrouk"


def test_a_document_without_id_is_named_by_its_digest() -> None:
    document = Document.of(TEXT)
    assert document.digest == hashlib.sha256(TEXT.encode()).hexdigest()
    assert document.id == document.digest[:16]


def test_the_text_is_kept_but_for_nfc() -> None:
    """CRLF, NBSP, ZWSP and outer spaces stay; decomposed letters are composed."""
    raw = " \r\nQadame\u0300s\u00a0»\u200b "
    assert Document.of(raw).text == " \r\nQadamès\u00a0»\u200b "


@pytest.mark.parametrize(
    ("text", "said"), [("a\0b", "NUL character at offset 1"), ("ab\ud800", "U+D800 at offset 2")]
)
def test_what_no_server_keeps_is_refused(text: str, said: str) -> None:
    with pytest.raises(DataError, match=said.replace("+", r"\+")):
        Document.of(text)


@pytest.mark.parametrize("document_id", ["", " a", "a\n", "x" * 201, "a\u0085b", "\ud800"])
def test_ids_that_cannot_be_shown_are_refused(document_id: str) -> None:
    with pytest.raises(DataError):
        Document.of("texte", id=document_id)


@given(
    st.permutations([Entity(0, 2, "A"), Entity(0, 2, "B"), Entity(3, 4, "A"), Entity(0, 2, "A")])
)
def test_an_annotation_is_a_set(entities: list[Entity]) -> None:
    """Order and repeats of the input leave no trace."""
    annotation = Annotation.of("d", entities, [], Source.annotator("a"))
    assert [e.key for e in annotation.entities] == [(0, 2, "A"), (0, 2, "B"), (3, 4, "A")]


@given(st.permutations([None, 0.2, 0.9, 0.4]))
def test_of_repeats_the_best_score_stays(scores: list[float | None]) -> None:
    """Whatever the order of the input."""
    entities = [Entity(0, 2, "A", score) for score in scores]
    links = [Relation(entity, entity, "r", entity.score) for entity in entities]
    annotation = Annotation.of("d", entities, links, Source.annotator("a"))
    assert [e.score for e in annotation.entities] == [0.9]
    assert [r.score for r in annotation.relations] == [0.9]


def test_a_relation_to_no_entity_is_refused() -> None:
    inside, outside = Entity(0, 2, "A"), Entity(5, 6, "A")
    with pytest.raises(DataError, match="no entity"):
        Annotation.of("d", [inside], [Relation(inside, outside, "r")], Source.annotator("a"))


def test_scores_are_no_part_of_identity() -> None:
    assert Entity(0, 2, "A", 0.5) == Entity(0, 2, "A", 0.9)
