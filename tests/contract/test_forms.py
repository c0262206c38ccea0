"""The documented file forms are those of the files that curate writes and reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from curate.errors import DataError
from curate.forms import FORMS, json_schema
from curate.interchange import parse_record
from curate.model import Source

ROOT = Path(__file__).parents[2]
RELEASES = sorted((ROOT / "gold" / "sahel").iterdir())
LINES = {
    "documents.jsonl": "release-document",
    "entities.jsonl": "release-entity",
    "relations.jsonl": "release-relation",
    "provenance.jsonl": "release-provenance",
}


def objects(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_every_line_of_a_release_has_its_form(release: Path) -> None:
    """No field is undocumented, and none that is needed is missing."""
    for name, form in LINES.items():
        model = FORMS[form]
        for value in objects(release / name):
            model.model_validate(value)
    FORMS["release-manifest"].model_validate(json.loads((release / "manifest.json").read_text()))
    FORMS["release-changes"].model_validate(json.loads((release / "CHANGES.json").read_text()))


def test_the_sample_is_in_interchange_form_by_the_published_schema_too() -> None:
    validator = Draft202012Validator(json_schema("interchange"))
    for name in ("annotator_a.jsonl", "annotator_b.jsonl"):
        for value in objects(ROOT / "examples" / "sahel" / name):
            validator.validate(value)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"text": 1},
        {"text": "abc", "extra": 1},
        {"text": "abc", "id": 3},
        {"text": "abc", "entities": [{"start": 0, "end": 1}]},
        {"text": "abc", "entities": [{"start": -1, "end": 1, "label": "LOC"}]},
        {"text": "abc", "entities": [{"start": 0.5, "end": 1, "label": "LOC"}]},
        {"text": "abc", "entities": [{"start": 0, "end": 1, "label": "LOC", "score": 2.0}]},
        {"text": "abc", "relations": [{"head": "e1", "label": "x"}]},
        {"text": "abc", "meta": [1]},
    ],
)
def test_what_the_form_refuses_the_reader_refuses(value: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FORMS["interchange"].model_validate(value)
    with pytest.raises(DataError):
        parse_record(value, Source.curator("x"))


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_a_sound_schema_and_every_field_is_explained(name: str) -> None:
    schema = json_schema(name)
    Draft202012Validator.check_schema(schema)
    for part in (schema, *schema.get("$defs", {}).values()):
        for field, said in part["properties"].items():
            assert said.get("description"), f"{name}: {field}"
