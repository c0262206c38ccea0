"""docs/forms.md and docs/schemas/*.json from the models in curate/forms.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_HEADING = """\
# File forms

Made from `curate/forms.py` by `python tools/check_docs.py --write`; a test holds these forms to the
files that curate writes. Offsets count Unicode code points; spans are half-open. JSON Lines are
UTF-8, an object a line. What order and bytes a release's files have stands in
[Releases](releases.md); how other formats are written, in [Export formats](formats.md).
"""


def pages(docs: Path) -> dict[Path, str]:
    """Every generated file and its text."""
    from curate.forms import FORMS, json_schema

    made = {}
    parts = [_HEADING]
    for name in FORMS:
        schema = json_schema(name)
        made[docs / "schemas" / f"{name}.json"] = json.dumps(schema, indent=2) + "\n"
        parts.append("\n".join(_section(name, schema)))
    made[docs / "forms.md"] = "\n".join(parts)
    return made


def _section(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"## {name}\n"
    yield f"{schema['description']} JSON Schema: [{name}.json](schemas/{name}.json)\n"
    yield from _table(schema)
    for title, inner in schema.get("$defs", {}).items():
        yield f"`{title}`: {inner['description']}\n"
        yield from _table(inner)


def _table(schema: dict[str, Any]) -> Iterator[str]:
    yield "| field | type | needed | what |"
    yield "|---|---|---|---|"
    needed = set(schema.get("required", []))
    for name, field in schema["properties"].items():
        mark = "yes" if name in needed else ""
        said = str(field.get("description", "")).replace("|", "\\|")
        yield f"| `{name}` | {_type(field)} | {mark} | {said} |"
    yield ""


def _type(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type(each) for each in field["anyOf"])
    if "$ref" in field:
        return f"`{field['$ref'].rpartition('/')[2]}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    kind = field.get("type")
    if kind == "array":
        return f"list of {_type(field.get('items', {}))}"
    if kind == "object" and isinstance(field.get("additionalProperties"), dict):
        return f"object of {_type(field['additionalProperties'])}"
    if kind in ("integer", "number") and "minimum" in field:
        top = f" to {field['maximum']}" if "maximum" in field else ""
        return f"{kind}, from {field['minimum']}{top}"
    return str(kind or "anything")
