"""The project in Label Studio: found again, made, and brought up to the schema safely."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.errors import ConfigurationError, DataError, RejectedError, ServerFaultError
from curate.labelstudio.config import (
    diff_config,
    orphans,
    render_config,
    render_instructions,
)
from curate.labelstudio.tasks import Tasks, annotated, drafted, skipped
from curate.schema import LabelSchema

if TYPE_CHECKING:
    from curate.labelstudio.client import LabelStudio

_MARK = "curate workspace "

BACKEND_TITLE = "curate serve"
"""Our name as an ML backend; as a project's model version it means «ask the backend»."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A project as the server describes it."""

    id: int
    title: str
    made_at: str
    record: dict[str, Any]


def find(client: LabelStudio, project_id: int, made_at: str) -> Remote | None:
    """The project of this number, if it is still the one made at that time."""
    try:
        record = client.project(project_id)
    except RejectedError as error:
        if error.status == 404:
            return None
        raise
    remote = _remote(record)
    # a new server at an old address gives old numbers to other projects
    return remote if remote.made_at == made_at else None


def find_ours(client: LabelStudio, title: str, workspace: str | None) -> tuple[Remote | None, int]:
    """The project of this title that this workspace made, and how many others bear the title.

    ``workspace``: None for one that has made none yet.
    """
    named = [_remote(record) for record in client.projects(title=title)]
    ours = [
        remote
        for remote in named
        if workspace is not None
        and str(remote.record.get("description") or "") == _MARK + workspace
    ]
    return (ours[0] if ours else None), len(named) - len(ours)


def adoptable(client: LabelStudio, title: str) -> Remote:
    """The one project of this title, whoever made it.  Raises DataError where it is not one."""
    named = client.projects(title=title)
    if len(named) != 1:
        raise DataError(
            f"there are {len(named)} projects called {title!r} on {client.url}; "
            "`--adopt` needs exactly one"
        )
    return _remote(named[0])


def create(
    client: LabelStudio, title: str, schema: LabelSchema, workspace: str, overlap: int
) -> Remote:
    """Make the project.  Raises DataError for a title that Label Studio would not take."""
    if not 3 <= len(title) <= 50:
        raise DataError(f"the project's title {title!r} must have 3 to 50 characters")
    return _remote(
        client.create_project(
            title=title,
            description=_MARK + workspace,
            label_config=render_config(schema),
            expert_instruction=render_instructions(schema),
            show_instruction=True,
            show_skip_button=True,
            enable_empty_annotation=True,
            maximum_annotations=overlap,
            sampling="Sequential sampling",
        )
    )


def wanted_changes(
    remote: Remote, schema: LabelSchema, overlap: int | None
) -> tuple[dict[str, Any], bool]:
    """What must be set for the project to be up to the schema, and whether labels are removed."""
    record = remote.record
    changes: dict[str, Any] = {}
    config = render_config(schema)
    removes = False
    if str(record.get("label_config") or "").strip() != config.strip():
        changes["label_config"] = config
        try:
            difference = diff_config(str(record.get("label_config") or ""), schema)
            removes = bool(
                difference.extra_entities or difference.extra_relations or difference.problems
            )
        except ConfigurationError:
            removes = True
    instructions = render_instructions(schema)
    if str(record.get("expert_instruction") or "") != instructions:
        changes["expert_instruction"] = instructions
    if overlap is not None and record.get("maximum_annotations") != overlap:
        changes["maximum_annotations"] = overlap
    return changes, removes


def refuse_orphans(client: LabelStudio, remote: Remote, schema: LabelSchema) -> None:
    """Raises DataError, with the counts, if annotations or drafts use labels the schema lacks.

    Label Studio's own check does not count imported annotations, and PATCH does not ask it.
    """
    entities: Counter[str] = Counter()
    relations: Counter[str] = Counter()
    tasks = Tasks(client, remote.id)
    seen: set[int] = set()
    for chosen in (annotated(), skipped(), drafted()):
        for page in tasks.heavy(chosen):
            for row in page:
                if row["id"] in seen:
                    continue
                seen.add(row["id"])
                for said in [*row.get("annotations", []), *row.get("drafts", [])]:
                    _count(said.get("result"), entities, relations)
    lost = orphans(schema, entities, relations)
    if not lost:
        return
    counts = ", ".join(
        f"{name} ({number}×)" for name, number in [*lost.entities.items(), *lost.relations.items()]
    )
    raise DataError(
        f"the schema would orphan annotations of project {remote.title!r}: it lacks {counts}; "
        "keep these labels in the schema, or push to another project with --project"
    )


def _count(result: Any, entities: Counter[str], relations: Counter[str]) -> None:
    for item in result if isinstance(result, list) else []:
        if not isinstance(item, dict):
            continue
        if item.get("type") == "relation":
            relations.update(str(label) for label in item.get("labels") or [])
        elif isinstance(item.get("value"), dict):
            entities.update(str(label) for label in item["value"].get("labels") or [])


def update(client: LabelStudio, remote: Remote, changes: dict[str, Any]) -> None:
    """Set these fields; setting them again is harmless, so a lost answer needs no look."""
    client.update_project(remote.id, **changes)


def show_model(client: LabelStudio, remote: Remote, version: str) -> bool:
    """Make the label stream show this model's predictions; whether that was a change.

    A project that asks `curate serve` goes on asking: it shows the champion's.
    """
    if remote.record.get("model_version") in (version, BACKEND_TITLE):
        return False
    client.update_project(remote.id, model_version=version)
    return True


def _remote(record: dict[str, Any]) -> Remote:
    number = record.get("id")
    if type(number) is not int:
        raise ServerFaultError("Label Studio's project has no number; is its version supported?")
    return Remote(
        id=number,
        title=str(record.get("title") or ""),
        made_at=str(record.get("created_at") or ""),
        record=record,
    )
