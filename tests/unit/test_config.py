"""The labeling configuration and the instructions say what the schema says."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import ConfigurationError
from curate.labelstudio.config import (
    diff_config,
    diff_schemas,
    orphans,
    parse_config,
    render_config,
    render_instructions,
    used_labels,
)
from curate.schema import EntityType, LabelSchema, RelationType, read_schema

FOLDER = Path(__file__).parents[2] / "label_configs"
SAHEL = read_schema(FOLDER / "sahel.yaml")
SMALL = LabelSchema(
    name="small",
    entities=(
        EntityType("PERSON", title="Person", definition="Who?", color="#112233", hotkey="p"),
        EntityType("PLACE"),
    ),
    relations=(RelationType("lives_in", head=("PERSON",), tail=("PLACE",)),),
    language="en",
)


def test_the_committed_configuration_is_what_the_schema_renders_to() -> None:
    """`curate schema render` was run after the last change of sahel.yaml."""
    assert (FOLDER / "sahel.xml").read_text(encoding="utf-8") == render_config(SAHEL)


def test_rendering_is_deterministic_and_read_back_whole() -> None:
    """Every label and relation type, in the schema's order, and nothing else."""
    parsed = parse_config(render_config(SAHEL))
    assert parsed.entities == SAHEL.entity_labels
    assert parsed.relations == SAHEL.relation_labels
    assert parsed.problems == ()
    assert render_config(SAHEL) == render_config(read_schema(FOLDER / "sahel.yaml"))


def test_what_is_stored_is_the_schema_s_name_never_a_title() -> None:
    """Label Studio stores an alias in place of the value: there may be none."""
    root = ElementTree.fromstring(render_config(SAHEL))
    labels = root.findall(".//Label")
    assert [label.get("value") for label in labels] == list(SAHEL.entity_labels)
    assert all(label.get("alias") is None for label in labels)
    assert all(label.get("hint") for label in labels)


def test_symbols_are_marked_not_words() -> None:
    """Label Studio's words swallow the article of « l'école »."""
    text = ElementTree.fromstring(render_config(SAHEL)).find(".//Text")
    assert text is not None
    assert text.attrib == {"name": "text", "value": "$text", "granularity": "symbol"}


def test_nothing_but_the_schema_speaks() -> None:
    """An English schema gives an English page: the code has no language."""
    page = render_instructions(SMALL)
    assert "Personne" not in page
    assert "PERSON · Person" in page
    assert "PERSON → PLACE" in page


printable = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufffe\uffff"),
    max_size=30,
)


@given(title=printable, definition=printable, example=printable, instructions=printable)
def test_any_text_is_escaped_and_survives(
    title: str, definition: str, example: str, instructions: str
) -> None:
    """XML and HTML stay well-formed whatever a curator writes; the hint is the text."""
    schema = LabelSchema(
        name="x",
        entities=(EntityType("A", title=title, definition=definition, examples=(example,)),),
        relations=(RelationType("r", ("A",), ("A",), title, definition, (example,), True, True),),
        title=title,
        instructions=instructions,
    )
    root = ElementTree.fromstring(render_config(schema))
    hint = root.findall(".//Label")[0].get("hint", "")
    for part in (definition.strip(), example.strip()):
        assert part in hint
    page = render_instructions(schema).replace("<br>", "<br/>")
    ElementTree.fromstring(f"<div>{page}</div>")


@pytest.mark.parametrize("char", ["\x00", "\x08", "\x1f", "\n", "\t", "\ud800"])
def test_control_characters_become_spaces(char: str) -> None:
    """XML has no place for them."""
    schema = LabelSchema("x", (EntityType("A", definition=f"one{char}two"),))
    label = ElementTree.fromstring(render_config(schema)).find(".//Label")
    assert label is not None
    assert label.get("hint") == "one two"


def test_a_name_that_label_studio_would_take_for_a_field_is_refused() -> None:
    """`$text` is a task's field."""
    with pytest.raises(ConfigurationError, match=r"\$text"):
        render_config(LabelSchema("x", (EntityType("$text"),)))


def test_symmetric_and_same_label_relations_are_shown_as_such() -> None:
    """The legal arguments reach annotators: Label Studio itself knows none."""
    page = render_instructions(SAHEL)
    assert "PER, ORG ↔ PER, ORG" in page
    assert "PER ↔ PER | ORG ↔ ORG" in page
    assert "PER, MIL → ORG, MIL" in page


@pytest.mark.parametrize(("xml", "line"), [("<View>\n<Labels\n</View>", 3), ("", 1), ("hello", 1)])
def test_what_is_no_xml_is_refused_with_its_line(xml: str, line: int) -> None:
    """A project's configuration may be anything."""
    with pytest.raises(ConfigurationError, match="well-formed") as caught:
        parse_config(xml)
    assert caught.value.line == line


def test_entity_declarations_are_refused() -> None:
    """A billion laughs is no labeling configuration."""
    with pytest.raises(ConfigurationError, match="DOCTYPE"):
        parse_config('<!DOCTYPE x [<!ENTITY a "ha">]><View>&a;</View>')


def test_what_label_studio_lets_pass_is_a_problem_here() -> None:
    """It does not reject duplicates, aliases, or other names of control and text."""
    xml = """<View><Labels name="ner" toName="t"><Label value="A" alias="B"/><Label value="A"/>
    </Labels><Text name="t" value="$body"/><Relations><Relation/></Relations></View>"""
    problems = " ".join(parse_config(xml).problems)
    for part in ('name="label"', "label A stands twice", "alias", "relation has no value"):
        assert part in problems


def test_a_diff_names_every_side() -> None:
    """Missing, extra, restyled; and nothing where all is equal."""
    assert diff_config(render_config(SMALL), SMALL).is_empty
    other = LabelSchema(
        "small",
        (EntityType("PERSON", color="#ffffff"), EntityType("THING")),
        (RelationType("owns", ("PERSON",), ("THING",)),),
    )
    found = diff_config(render_config(other), SMALL)
    assert found.missing_entities == ("PLACE",)
    assert found.extra_entities == ("THING",)
    assert found.missing_relations == ("lives_in",)
    assert found.extra_relations == ("owns",)
    assert found.restyled == ("PERSON",)
    assert found.changes_labels


def test_a_changed_legal_argument_is_a_difference_of_schemas_alone() -> None:
    """The configuration does not hold it."""
    wider = LabelSchema(
        SMALL.name,
        SMALL.entities,
        (RelationType("lives_in", ("PERSON",), ("PLACE", "PERSON")),),
    )
    assert diff_config(render_config(wider), SMALL).is_empty
    assert diff_schemas(wider, SMALL).rearranged == ("lives_in",)


def test_orphans_are_counted_in_annotations_and_predictions() -> None:
    """Label Studio's own check looks at neither imported annotations nor predictions."""
    region = {"type": "labels", "value": {"labels": ["GPE"]}}
    relation = {"type": "relation", "labels": ["rules"]}
    task = {
        "annotations": [{"result": [region, relation]}],
        "predictions": [{"result": [region, {"type": "labels", "value": {"labels": ["PER"]}}]}],
    }
    entities, relations = used_labels([task, {"annotations": None}, {"predictions": ["odd"]}])
    assert entities == {"GPE": 2, "PER": 1}
    left = orphans(SAHEL, entities, relations)
    assert left.entities == {"GPE": 2}
    assert left.relations == {"rules": 1}
    assert not orphans(SAHEL, {"PER": 3}, {})
