"""The strict reader of schemas."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.errors import ConfigurationError
from curate.model import Annotation, Entity, Relation, Source
from curate.resources import default_schema
from curate.schema import parse_schema, read_schema

GOOD = """\
name: news
entities:
  - name: PER
    color: "#112233"
    hotkey: p
  - name: ORG
    color: "#445566"
relations:
  - name: works_for
    head: [PER]
    tail: [ORG]
  - name: same_as
    head: [PER, ORG]
    tail: [PER, ORG]
    symmetric: true
    same_label: true
"""


def test_the_sahel_schema_says_what_the_corpus_needs() -> None:
    schema = read_schema(default_schema())
    assert schema.entity_labels == ("PER", "ROLE", "ORG", "MIL", "LOC", "FAC", "EVENT", "DATE")
    assert schema.symmetric == {"meets", "same_as"}
    assert schema.allows("commands", "PER", "MIL")
    assert not schema.allows("commands", "MIL", "PER")
    assert schema.allows("same_as", "LOC", "LOC")
    assert not schema.allows("same_as", "LOC", "ORG")
    for entity in schema.entities:
        assert entity.definition
        assert entity.examples
        assert entity.hotkey
    for relation in schema.relations:
        assert relation.definition
        assert relation.examples


def test_yaml_round_trips() -> None:
    schema = read_schema(default_schema())
    assert parse_schema(schema.to_yaml()) == schema
    assert parse_schema(schema.to_yaml()).digest == schema.digest


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("name: ORG", "name: PER", 6, "'PER' stands twice"),
        ("    hotkey: p", "    hotkeys: p", 5, "unknown key 'hotkeys'"),
        ("tail: [ORG]", "tail: [GPE]", 11, "tail 'GPE' of relation works_for is not"),
        ("name: ORG", 'name: "O<RG"', 6, "XML"),
        ("name: ORG", "name: 'A&B'", 6, "XML"),
        ('color: "#445566"', "color: red", 7, "#rrggbb"),
        ('color: "#445566"', 'color: "#112233"', 6, "color"),
        ("name: same_as", "name: works_for", 12, "'works_for' stands twice"),
        ("name: same_as", "name: PER", 12, "both an entity and a relation"),
        ("    tail: [ORG]\n", "", 9, "needs the key 'tail'"),
        ("symmetric: true", "symmetric: yes please", 15, "true or false"),
        ('    color: "#112233"', "    color: '#112233'\n    color: '#112234'", 5, "twice in this"),
        ("name: news", "name: [a", 1, "YAML"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(old: str, new: str, line: int, said: str) -> None:
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    with pytest.raises(ConfigurationError) as caught:
        parse_schema(text, "my.yaml")
    assert said in str(caught.value)
    assert str(caught.value).startswith("my.yaml")
    if "YAML" not in said:
        assert caught.value.line == line


@pytest.mark.parametrize("text", ["", "- a", "just text", "name: x\nentities: []"])
def test_what_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_schema(text)


@pytest.mark.parametrize("make", ["missing", "directory", "latin-1"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, make: str) -> None:
    path = tmp_path / "schema.yaml"
    if make == "directory":
        path.mkdir()
    elif make == "latin-1":
        path.write_bytes("name: é".encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"schema\.yaml"):
        read_schema(path)


def test_misfits_are_explained() -> None:
    schema = parse_schema(GOOD)
    person, firm = Entity(0, 3, "PER"), Entity(4, 7, "ORG")

    def misfit(entities: list[Entity], relations: list[Relation]) -> str | None:
        return schema.misfit(
            Annotation.of("d", entities, relations, Source.annotator("a")), "x" * 8
        )

    assert misfit([person, firm], [Relation(person, firm, "works_for")]) is None
    assert "outside the text" in (misfit([Entity(5, 9, "PER")], []) or "")
    assert "not in schema" in (misfit([Entity(5, 8, "GPE")], []) or "")
    assert "may not link ORG to PER" in (
        misfit([person, firm], [Relation(firm, person, "works_for")]) or ""
    )
    assert "with itself" in (misfit([person], [Relation(person, person, "same_as")]) or "")
