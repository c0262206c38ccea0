"""curate preannotate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.common import JsonOption, TerminalReporter, context_of, emit, warn_of_no_card
from curate.errors import DataError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from curate.extractors.interface import Below
    from curate.flows.bulk import Bulk
    from curate.flows.preannotate import Preannotated


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Example: curate preannotate --model bootstrap\n\n"
        "Example: curate preannotate --engine dask://10.0.0.5:8786 --input s3://archive/docs/ "
        "--output s3://archive/predictions/\n\n"
        "A model is `bootstrap`, the NAME or NAME@VERSION of one that `curate train` made, the "
        "folder of a spaCy pipeline, `module:function`, a plugin's name, or a URL."
    )(preannotate)


def preannotate(
    ctx: typer.Context,
    model: Annotated[
        str | None,
        typer.Option(help="The model; default: the champion, or `bootstrap` where there is none."),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            help="A model of `curate train` whose confidence is to stand on the other's entities: "
            "calibrated, and comparable between models. Default: `judge` under [models] in "
            "curate.toml; an empty one ('') leaves the scores as they are.",
            metavar="MODEL",
        ),
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
            help="Where the documents are read: `local`, or a Dask cluster, by its scheduler's "
            "address: dask://HOST:PORT or tls://HOST:PORT (docs/cluster.md).",
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
    source: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="Read documents from JSON Lines or Parquet (a file, a folder or a pattern, at any "
            "address of fsspec: s3://…), not from the store.",
            metavar="URL",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            help="Write predictions as Parquet into this folder (at any address of fsspec), not "
            "into the store. A second run does what is missing.",
            metavar="URL",
        ),
    ] = None,
    partition: Annotated[
        int | None,
        typer.Option(
            help="Documents that are read, kept and, at worst, lost together; default: 200, with "
            "--output 1000.",
            min=1,
            max=100_000,
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 if a bad record was passed over.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Let a model annotate what it has not annotated yet."""
    context = context_of(ctx)
    schema = context.schema
    from curate.extractors.engines import choose
    from curate.extractors.registry import BETWEEN, judged, resolve

    if judge and model is not None and BETWEEN in model:
        raise UsageError(f"--model {model!r} names its judge; leave --judge out")
    chose = model is not None or bool(judge)
    judge = context.judge(model, judge)
    if judge:
        model = judged(model, judge, context.models)
    extractor = resolve(model, schema=schema, models=context.models)
    reporter = TerminalReporter()
    warn_of_no_card(model, reporter)
    chosen = choose(engine, extractor, model, schema, processes=processes, say=reporter.step)
    if source is None and output is None:
        from curate.flows.preannotate import preannotate as run

        result = run(
            context.store,
            extractor,
            schema,
            reporter,
            limit=limit,
            min_score=min_score,
            force=force,
            chosen=chose,
            engine=chosen,
            partition=partition,
        )
        emit(result.as_dict(), as_json, lambda console: _table(console, result, min_score))
        _end(result.lost)
        return
    from curate.flows import bulk
    from curate.flows.preannotate import BATCH

    if output is not None:
        done = bulk.to_files(
            extractor,
            schema,
            reporter,
            engine=chosen,
            output=output,
            source=source or context.store,
            limit=limit,
            min_score=min_score,
            force=force,
            partition=partition or bulk.PARTITION,
        )
    else:
        assert source is not None
        done = bulk.to_store(
            context.store,
            extractor,
            schema,
            reporter,
            engine=chosen,
            source=source,
            limit=limit,
            min_score=min_score,
            force=force,
            chosen=chose,
            partition=partition or BATCH,
        )
    emit(done.as_dict(), as_json, lambda console: _bulk_table(console, done, min_score))
    _end(done.lost, done.refused if strict else 0)


def _table(console: Console, result: Preannotated, min_score: float | None) -> None:
    console.print(
        f"{result.model}: {result.predicted} documents predicted, {result.skipped} skipped "
        f"(of {result.documents}); {result.entities} entities, {result.relations} relations",
        markup=False,
    )
    _below(console, result.below, min_score)


def _bulk_table(console: Console, done: Bulk, min_score: float | None) -> None:
    where = f" in {done.partitions} files of {done.output}" if done.output else ""
    console.print(
        f"{done.model}: {done.documents} documents read, {done.predicted} predicted, "
        f"{done.skipped} done before{where}; {done.entities} entities, {done.relations} relations",
        markup=False,
    )
    if done.refused:
        console.print(f"passed over: {done.refused} bad records", markup=False)
    _below(console, done.below, min_score)


def _below(console: Console, below: Below, min_score: float | None) -> None:
    """What the least score costs: a right item left out is one to add, a wrong one is spared."""
    if min_score is not None:
        owed, spared = below.right, below.items - below.right
        console.print(
            f"left out below {min_score:g}: {below.items} items; by their scores about {owed} of "
            f"them are right: annotators owe these and are spared removing {spared}, in all "
            f"{abs(owed - spared)} edits {'more' if owed >= spared else 'fewer'}",
            markup=False,
        )


def _end(lost: tuple[str, ...], refused: int = 0) -> None:
    if lost:
        raise DataError(
            f"{len(lost)} partitions were given up, {lost[0]}; the other answers are kept: run the "
            "command again, or look at these documents"
        )
    if refused:
        raise DataError(f"{refused} bad records were passed over (--strict)")
