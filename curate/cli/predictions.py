"""curate predictions import · export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.common import JsonOption, TerminalReporter, context_of, emit

if TYPE_CHECKING:
    from rich.console import Console

group = typer.Typer(
    no_args_is_help=True, help="Predictions as files: made elsewhere, or for elsewhere."
)


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="predictions")


@group.callback()
def _group() -> None:
    """Predictions as files: made elsewhere, or for elsewhere."""


@group.command(
    "import", epilog="Example: curate predictions import camembert.jsonl --name camembert"
)
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="An interchange file (JSON Lines).")],
    name: Annotated[
        str | None, typer.Option(help="The model's name; default: the file's name.")
    ] = None,
    version: Annotated[str | None, typer.Option(help="The model's version.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 if any line was passed over.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take predictions for ingested documents into the store.

    They are pushed from now on, and scored like any model's.
    """
    from curate.flows.predictions_import import import_predictions

    context = context_of(ctx)
    result = import_predictions(
        context.store,
        file,
        context.schema,
        name=name,
        version=version,
        reporter=TerminalReporter(),
    )
    data = {
        "model": {
            "name": result.model.name,
            "version": result.model.version,
            "digest": result.model.digest,
        },
        "imported": result.imported,
        "unchanged": result.unchanged,
        "unknown": list(result.unknown),
        "refused": list(result.refused),
    }

    def table(console: Console) -> None:
        console.print(
            f"{result.model}: {result.imported} predictions imported, {result.unchanged} "
            f"unchanged, {len(result.unknown)} of unknown documents, {len(result.refused)} refused",
            markup=False,
        )

    emit(data, as_json, table)
    if strict and (result.refused or result.unknown):
        raise typer.Exit(1)


@group.command(epilog="Example: curate predictions export texts.jsonl")
def export(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The new file (JSON Lines).")],
    name: Annotated[
        str | None, typer.Option(help="The model's name; default: the one that is pushed.")
    ] = None,
    version: Annotated[str | None, typer.Option(help="The model's version.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write every document, with a model's predictions.

    Also the way to hand the texts, exactly as they are pushed, to a model that runs elsewhere.
    """
    from curate.flows.predictions_export import export_predictions

    context = context_of(ctx)
    result = export_predictions(context.store, file, TerminalReporter(), name=name, version=version)
    data = {
        "model": None
        if result.model is None
        else {
            "name": result.model.name,
            "version": result.model.version,
            "digest": result.model.digest,
        },
        "documents": result.documents,
        "predicted": result.predicted,
        "file": str(file),
    }

    def table(console: Console) -> None:
        by = f", {result.predicted} with predictions of {result.model}" if result.model else ""
        console.print(f"{result.documents} documents written to {file}{by}", markup=False)

    emit(data, as_json, table)
