"""Opening the project in Label Studio that a command works with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from curate.errors import DataError
from curate.flows.reporter import Reporter
from curate.labelstudio import projects
from curate.schema import LabelSchema
from curate.store import Store, StudioProject

if TYPE_CHECKING:
    from curate.labelstudio.client import LabelStudio

_WORKSPACE = "workspace_id"


def known(
    store: Store, client: LabelStudio, title: str, purpose: str = "annotate"
) -> tuple[StudioProject, projects.Remote] | None:
    """The project of this title that the store knows, found again on the server.

    A server that answers at a new address is recognised by its project.  None where the store
    knows no such project here.  Raises DataError where the project was deleted.
    """
    with store.read() as unit:
        candidates = unit.projects.candidates(client.url, title, purpose)
    for candidate in candidates:
        remote = projects.find(client, candidate.project_id, candidate.made_at)
        if remote is not None:
            if candidate.server == client.url:
                return candidate, remote
            with store.write() as unit:
                unit.projects.move_server(candidate.server, client.url)
                unit.commit()
            return replace(candidate, server=client.url), remote
    for candidate in candidates:
        if candidate.server == client.url:
            raise DataError(
                f"project {title!r} ({candidate.project_id}) is no longer on {client.url}; what "
                "was pulled from it is safe in the store; `curate push --recreate` starts over "
                "with a new project"
            )
    return None


def required(
    store: Store, client: LabelStudio, title: str, purpose: str = "annotate"
) -> tuple[StudioProject, projects.Remote]:
    """Like :func:`known`.  Raises DataError where nothing was pushed yet."""
    found = known(store, client, title, purpose)
    if found is None:
        raise DataError(
            f"nothing was pushed to a project {title!r} on {client.url} yet; run `curate push`"
        )
    return found


def opened(
    store: Store,
    client: LabelStudio,
    schema: LabelSchema,
    title: str,
    *,
    overlap: int | None,
    reporter: Reporter,
    first_overlap: int = 1,
    adopt: bool = False,
    recreate: bool = False,
) -> tuple[StudioProject, projects.Remote, bool]:
    """The project, made where there is none and brought up to the schema; whether it is new."""
    try:
        found = known(store, client, title)
    except DataError:
        if not recreate:
            raise
        found = None
        with store.write() as unit:
            for candidate in unit.projects.candidates(client.url, title):
                if candidate.server == client.url:
                    unit.projects.abandon(candidate.id)
            unit.commit()
    if found is not None:
        project, remote = found
        return project, _up_to_date(client, remote, schema, overlap, reporter), False
    workspace = _workspace(store)
    remote_found = _unknown_here(client, title, workspace, adopt)
    new = remote_found is None
    if remote_found is None:
        reporter.step(f"creating project {title!r} on {client.url}")
        remote_found = projects.create(client, title, schema, workspace, overlap or first_overlap)
    with store.write() as unit:
        project = unit.projects.add(client.url, remote_found.id, title, remote_found.made_at)
        unit.commit()
    if not new:
        remote_found = _up_to_date(client, remote_found, schema, overlap, reporter)
    return project, remote_found, new


def foreseen(
    store: Store,
    client: LabelStudio,
    schema: LabelSchema,
    title: str,
    *,
    overlap: int | None,
    adopt: bool = False,
    recreate: bool = False,
) -> tuple[StudioProject | None, projects.Remote | None]:
    """What :func:`opened` would find, as the store and the server know it; nothing is written.

    Raises what it would raise.
    """
    try:
        found = known(store, client, title)
    except DataError:
        if not recreate:
            raise
        found = None
    project, remote = (None, None) if found is None else found
    if remote is None:
        with store.read() as unit:
            mark = unit.facts.get(_WORKSPACE)
        remote = _unknown_here(client, title, mark if isinstance(mark, str) else None, adopt)
    if remote is not None:
        _, removes = projects.wanted_changes(remote, schema, overlap)
        if removes:
            projects.refuse_orphans(client, remote, schema)
    return project, remote


def _unknown_here(
    client: LabelStudio, title: str, workspace: str | None, adopt: bool
) -> projects.Remote | None:
    """The project of this title that the store does not know of and may take, if there is one."""
    found, others = projects.find_ours(client, title, workspace)
    if found is None and adopt:
        return projects.adoptable(client, title)
    if found is None and others:
        raise DataError(
            f"there is a project {title!r} on {client.url} that this workspace did not make; "
            "give yours another title (`project` under [studio] in curate.toml, which all commands "
            "follow; --project is for one command), or take it over with --adopt"
        )
    return found


def _up_to_date(
    client: LabelStudio,
    remote: projects.Remote,
    schema: LabelSchema,
    overlap: int | None,
    reporter: Reporter,
) -> projects.Remote:
    changes, removes = projects.wanted_changes(remote, schema, overlap)
    if not changes:
        return remote
    if removes:
        projects.refuse_orphans(client, remote, schema)
    names = {
        "label_config": "labels",
        "expert_instruction": "instructions",
        "maximum_annotations": "overlap",
    }
    reporter.step(f"updating the project's {', '.join(names[key] for key in changes)}")
    projects.update(client, remote, changes)
    return replace(remote, record={**remote.record, **changes})


def _workspace(store: Store) -> str:
    with store.write() as unit:
        found = unit.facts.get(_WORKSPACE)
        if not isinstance(found, str):
            found = uuid4().hex
            unit.facts.put(_WORKSPACE, found)
            unit.commit()
        return found
