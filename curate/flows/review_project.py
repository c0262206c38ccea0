"""Opening the review project: one more project of the workspace, for adjudication."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from curate.errors import DataError
from curate.flows.project import _workspace, known
from curate.flows.reporter import Reporter
from curate.labelstudio import projects
from curate.labelstudio.review import create_review, find_review, review_changes
from curate.schema import LabelSchema
from curate.store import Store, StudioProject

if TYPE_CHECKING:
    from curate.labelstudio.client import LabelStudio

PURPOSE = "review"


def review_title(project: str) -> str:
    """The review project's title, from that of the project annotated in."""
    return f"{project[:43]} review"


def opened_review(
    store: Store,
    client: LabelStudio,
    schema: LabelSchema,
    title: str,
    reporter: Reporter,
    *,
    recreate: bool = False,
) -> tuple[StudioProject, projects.Remote, bool]:
    """The review project, made where there is none and brought up to the schema; whether new."""
    try:
        found = known(store, client, title, PURPOSE)
    except DataError:
        if not recreate:
            raise DataError(
                f"the review project {title!r} is no longer on {client.url}; the decisions made "
                "in it are safe in the store; `curate review push --recreate` starts a new one"
            ) from None
        found = None
        with store.write() as unit:
            for candidate in unit.projects.candidates(client.url, title, PURPOSE):
                if candidate.server == client.url:
                    unit.projects.abandon(candidate.id)
            unit.commit()
    if found is not None:
        project, remote = found
        return project, _up_to_date(client, remote, schema, reporter), False
    workspace = _workspace(store)
    there = find_review(client, title, workspace)
    new = there is None
    if there is None:
        reporter.step(f"creating project {title!r} on {client.url}")
        there = create_review(client, title, schema, workspace)
    with store.write() as unit:
        project = unit.projects.add(client.url, there.id, title, there.made_at, PURPOSE)
        unit.commit()
    return project, _up_to_date(client, there, schema, reporter), new


def required_review(
    store: Store, client: LabelStudio, title: str
) -> tuple[StudioProject, projects.Remote]:
    """Raises DataError where nothing was pushed for review yet."""
    found = known(store, client, title, PURPOSE)
    if found is None:
        raise DataError(
            f"nothing was pushed to a review project {title!r} on {client.url} yet; run "
            "`curate review push`"
        )
    return found


def _up_to_date(
    client: LabelStudio, remote: projects.Remote, schema: LabelSchema, reporter: Reporter
) -> projects.Remote:
    changes = review_changes(remote, schema)
    if not changes:
        return remote
    if "label_config" in changes:
        projects.refuse_orphans(client, remote, schema)
    reporter.step("updating the review project")
    projects.update(client, remote, changes)
    return replace(remote, record={**remote.record, **changes})
