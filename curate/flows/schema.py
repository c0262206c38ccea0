"""`curate schema render · diff`: the schema and the Label Studio configuration made from it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from curate.errors import ConfigurationError, DiskError, RejectedError
from curate.flows.reporter import Reporter, Silent
from curate.schema import LabelSchema, read_schema

if TYPE_CHECKING:
    from curate.labelstudio.client import LabelStudio
    from curate.labelstudio.config import ConfigDiff


@dataclass(frozen=True, slots=True)
class Rendered:
    """The configuration of a schema; ``changed`` says whether the file differed."""

    path: Path
    xml: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """How something differs from the schema, and which labels in use would be orphaned."""

    other: str
    diff: ConfigDiff
    orphaned_entities: Mapping[str, int]
    orphaned_relations: Mapping[str, int]

    @property
    def is_empty(self) -> bool:
        return self.diff.is_empty and not (self.orphaned_entities or self.orphaned_relations)


def config_path(schema_path: Path) -> Path:
    """Where the configuration of this schema lies: beside it, as .xml."""
    return schema_path.with_suffix(".xml")


def render(schema: LabelSchema, path: Path, *, write: bool = True) -> Rendered:
    """Render the configuration; write the file where it differs and ``write`` is true."""
    from curate.labelstudio.config import render_config

    xml = render_config(schema)
    try:
        changed = not path.exists() or path.read_bytes() != xml.encode("utf-8")
        if changed and write:
            temporary = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                temporary.write_bytes(xml.encode("utf-8"))
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DiskError(f"cannot be written: {error.strerror}", path=path) from None
    return Rendered(path, xml, changed)


def diff_file(schema: LabelSchema, path: Path) -> Difference:
    """Compare the schema with a configuration (.xml) or with another schema (.yaml)."""
    from curate.labelstudio.config import diff_config, diff_schemas

    if path.suffix.lower() != ".xml":
        return Difference(str(path), diff_schemas(read_schema(path), schema), {}, {})
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise ConfigurationError(
            "there is no such file; make it with `curate schema render`", path=path
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"is not UTF-8 (byte {error.start})", path=path) from None
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", path=path) from None
    try:
        return Difference(str(path), diff_config(text, schema), {}, {})
    except ConfigurationError as error:
        raise error.at(path) from None


def diff_project(
    schema: LabelSchema, client: LabelStudio, title: str, reporter: Reporter | None = None
) -> Difference:
    """Compare the schema with a project's configuration and with every label in use there."""
    from curate.labelstudio.config import diff_config, orphans, used_labels
    from curate.labelstudio.tasks import Tasks

    reporter = reporter or Silent()
    projects = client.projects(title=title)
    if not projects:
        raise RejectedError(f"Label Studio has no project {title!r}; `curate push` makes it")
    project = client.project(int(projects[0]["id"]))
    entities, relations = used_labels(())
    with reporter.progress("tasks looked at", int(project.get("task_number") or 0)) as advance:
        for tasks in Tasks(client, int(project["id"])).heavy():
            more_entities, more_relations = used_labels(tasks)
            entities.update(more_entities)
            relations.update(more_relations)
            advance(len(tasks))
    left = orphans(schema, entities, relations)
    return Difference(
        f"project {title!r}",
        diff_config(str(project.get("label_config", "")), schema),
        left.entities,
        left.relations,
    )
