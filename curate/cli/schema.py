"""curate schema check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.common import JsonOption, context_of, emit

if TYPE_CHECKING:
    from rich.console import Console

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
