"""Laws of what a curator is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.agreement.consensus import Rule, decide
from curate.agreement.points import Disagreement, DisagreementKind, from_json, to_json
from curate.labelstudio.config import parse_config
from curate.labelstudio.review import MAX_POINTS, points_html, review_config, task_payload
from curate.model import Annotation, Entity, Relation, Source
from curate.schema import read_schema

SCHEMA = read_schema(Path(__file__).parents[2] / "label_configs" / "sahel.yaml")
TEXT = "Le <u>colonel</u> Zlitni & la 9e brigade quittent Syrte."


def said(name: str, *entities: Entity, links=()) -> Annotation:
    return Annotation.of("d", entities, links, Source.annotator(name))


ONE = said("annotator-1", Entity(6, 13, "ROLE"), Entity(18, 24, "PER"), Entity(50, 55, "LOC"))
TWO = said("annotator-2", Entity(6, 13, "ROLE"), Entity(6, 24, "PER"))


def test_the_configuration_is_the_schemas_with_a_place_for_the_points() -> None:
    """Same labels and relations as where annotators work; the points stand before the text."""
    found = parse_config(review_config(SCHEMA))
    assert found.entities == SCHEMA.entity_labels
    assert found.relations == SCHEMA.relation_labels
    assert not found.problems
    xml = review_config(SCHEMA)
    assert xml.index("$review_points") < xml.index("<Labels") < xml.index("$text")


def test_a_task_holds_each_version_once_the_start_first() -> None:
    """Under pseudonyms; an annotator who is called as the start is does not take its place."""
    found = decide([ONE, TWO], Rule.parse("unanimous"), SCHEMA)
    task = task_payload(
        "d",
        TEXT,
        SCHEMA,
        start=found.annotation,
        versions={"annotator-2": TWO, "consensus": ONE},
        points=found.open,
        round_="r",
    )
    versions = [p["model_version"] for p in task["predictions"]]
    assert versions == ["consensus", "annotator-2", "consensus (annotator)"]
    assert [len(p["result"]) for p in task["predictions"]] == [1, 2, 3]
    assert task["data"]["review_count"] == len(found.open) == 2


def test_the_points_say_what_where_and_who_and_escape_it() -> None:
    """Nothing of the text or a pseudonym becomes markup."""
    found = decide([ONE, said("<i>x", Entity(6, 24, "PER"))], Rule.parse("unanimous"), SCHEMA)
    html = points_html(found.open, TEXT, "fr")
    assert "À décider" in html
    assert "<u>" not in html
    assert "&lt;u&gt;" in html
    assert "&lt;i&gt;x" in html
    assert "annotator-1:" in html
    assert "rien" in html


def test_no_difference_and_very_many_are_said_in_words() -> None:
    """An empty list asks to confirm; a list too long for a screen ends in a count."""
    assert "No difference" in points_html([], TEXT, "en")
    point = Disagreement(DisagreementKind.LABEL, 6, 13)
    html = points_html([point] * (MAX_POINTS + 3), TEXT, "xx")
    assert html.count("<tr>") == MAX_POINTS
    assert "and 3 more" in html


@pytest.mark.parametrize("kind", list(DisagreementKind))
@pytest.mark.parametrize("language", ["fr", "en", "xx"])
def test_every_kind_has_a_name_in_every_language(kind, language) -> None:
    """A new kind that nobody named is found here."""
    assert "<b>" in points_html([Disagreement(kind, 6, 13)], TEXT, language)


entities = st.builds(Entity, st.integers(0, 20), st.integers(21, 40), st.sampled_from(["A", "B"]))


@given(st.lists(st.tuples(st.text(min_size=1, max_size=5), st.lists(entities, max_size=3))))
def test_points_survive_json(claims) -> None:
    """As plain JSON without floats and back."""
    by_name = {name: tuple(found) for name, found in claims}
    links = {
        name: tuple(Relation(e, e, "r") for e in found) for name, found in by_name.items() if found
    }
    point = Disagreement(
        DisagreementKind.RELATION, 1, 40, tuple(by_name.items()), tuple(links.items()), "why"
    )
    assert from_json(to_json(point)) == point
