"""curate schema check · render · diff."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.common import JsonOption, TerminalReporter, context_of, emit
from curate.cli.terminal import echo

if TYPE_CHECKING:
    from rich.console import Console

    from curate.cli.common import Context

group = typer.Typer(
    no_args_is_help=True, help="The label schema and its Label Studio configuration."
)


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="schema")


@group.command(epilog="Example: curate schema check label_configs/sahel.yaml")
def check(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="A schema file; default: the workspace's.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read a schema strictly and say what it holds."""
    from curate.schema import read_schema

    schema = context_of(ctx).schema if file is None else read_schema(file)
    data = {
        "name": schema.name,
        "version": schema.version,
        "digest": schema.digest,
        "entities": list(schema.entity_labels),
        "relations": list(schema.relation_labels),
    }

    def table(console: Console) -> None:
        console.print(
            f"schema {schema.name} {schema.version}: {len(schema.entities)} entity labels, "
            f"{len(schema.relations)} relation types",
            markup=False,
        )

    emit(data, as_json, table)


@group.command(epilog="Example: curate schema render --check")
def render(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="A schema file; default: the workspace's.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write here; default: beside the schema, as .xml."),
    ] = None,
    check_only: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if the file is out of date.")
    ] = False,
    instructions: Annotated[
        bool, typer.Option("--instructions", help="Print the annotators' instructions (HTML).")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Render the Label Studio configuration that belongs to a schema."""
    from curate.flows import schema as flow
    from curate.labelstudio.config import render_instructions
    from curate.schema import read_schema

    context = context_of(ctx)
    source = _schema_path(context) if file is None else file
    schema = read_schema(source)
    if instructions:
        html = render_instructions(schema)
        emit({"instructions": html}, as_json, lambda _: echo(html))
        return
    done = flow.render(schema, output or flow.config_path(source), write=not check_only)

    def table(console: Console) -> None:
        if not done.changed:
            said = "is what the schema renders to; nothing changed"
        else:
            said = "is out of date; run `curate schema render`" if check_only else "written"
        console.print(f"{done.path}: {said}", markup=False)

    emit({"path": str(done.path), "changed": done.changed}, as_json, table)
    if check_only and done.changed:
        raise typer.Exit(1)


@group.command(epilog="Example: curate schema diff --project")
def diff(
    ctx: typer.Context,
    other: Annotated[
        Path | None,
        typer.Argument(
            help="A configuration (.xml) or schema (.yaml); default: the workspace's .xml."
        ),
    ] = None,
    project: Annotated[
        bool,
        typer.Option(
            "--project", help="Compare with the project in Label Studio, labels in use too."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare a configuration with the schema; exits 1 if they differ."""
    from dataclasses import asdict

    from curate.errors import UsageError
    from curate.flows import schema as flow

    context = context_of(ctx)
    if project and other is not None:
        raise UsageError("name a file or --project, not both")
    if project:
        with context.label_studio() as client:
            found = flow.diff_project(
                context.schema, client, context.settings.studio.project, TerminalReporter()
            )
    else:
        found = flow.diff_file(context.schema, other or flow.config_path(_schema_path(context)))
    data = {
        "other": found.other,
        "equal": found.is_empty,
        **asdict(found.diff),
        "orphaned_entities": dict(found.orphaned_entities),
        "orphaned_relations": dict(found.orphaned_relations),
    }

    def table(console: Console) -> None:
        if found.is_empty:
            console.print(f"{found.other} agrees with the schema", markup=False)
        for key, value in data.items():
            if key in ("other", "equal") or not value:
                continue
            if isinstance(value, dict):
                value = [f"{name} ({count} in use)" for name, count in value.items()]
            console.print(f"{key.replace('_', ' ')}: {', '.join(value)}", markup=False)

    emit(data, as_json, table)
    if not found.is_empty:
        raise typer.Exit(1)


def _schema_path(context: Context) -> Path:
    return context.workspace / context.settings.corpus.schema_file
