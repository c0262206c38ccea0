"""curate preannotate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.common import JsonOption, TerminalReporter, context_of, emit
from curate.errors import DataError

if TYPE_CHECKING:
    from rich.console import Console


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Example: curate preannotate --model bootstrap\n\n"
        "A model is `bootstrap`, the NAME or NAME@VERSION of one that `curate train` made, the "
        "folder of a spaCy pipeline, `module:function`, a plugin's name, or a URL."
    )(preannotate)


def preannotate(
    ctx: typer.Context,
    model: Annotated[
        str | None,
        typer.Option(help="The model; default: the champion, or `bootstrap` where there is none."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="At most this many documents, oldest first.", min=1)
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option(
            help="Leave out what scores less. Off by default: deleting a wrong proposal costs an "
            "annotator less than adding a missing one.",
            min=0.0,
            max=1.0,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also where this model has answered before.")
    ] = False,
    engine: Annotated[
        str,
        typer.Option(
            help="Where the documents are read: `local`, or a Dask cluster's scheduler, "
            "dask://HOST:PORT or tls://HOST:PORT (docs/cluster.md).",
            metavar="ENGINE",
        ),
    ] = "local",
    processes: Annotated[
        int | None,
        typer.Option(
            help="Worker processes of the engine `local`; default: one per processor, and none "
            "beside this one for few documents.",
            min=1,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Let a model annotate the documents that it has not annotated yet."""
    context = context_of(ctx)
    schema, store = context.schema, context.store
    from curate.extractors.engines import choose
    from curate.extractors.registry import resolve
    from curate.flows.preannotate import preannotate as run

    extractor = resolve(model, schema=schema, models=context.models)
    reporter = TerminalReporter()
    chosen = choose(engine, extractor, model, schema, processes=processes, say=reporter.step)
    result = run(
        store,
        extractor,
        schema,
        reporter,
        limit=limit,
        min_score=min_score,
        force=force,
        chosen=model is not None,
        engine=chosen,
    )

    def table(console: Console) -> None:
        console.print(
            f"{result.model}: {result.predicted} documents predicted, {result.skipped} skipped "
            f"(of {result.documents}); {result.entities} entities, {result.relations} relations",
            markup=False,
        )
        if min_score is not None:
            console.print(
                f"left out below {min_score:g}: {result.below_score} items; each right one among "
                "them is an edit that annotators now owe",
                markup=False,
            )

    emit(result.as_dict(), as_json, table)
    if result.lost:
        raise DataError(
            f"{len(result.lost)} partitions were given up, {result.lost[0]}; the other answers are "
            "kept: run the command again, or look at these documents"
        )
