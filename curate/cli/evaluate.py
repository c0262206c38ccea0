"""curate evaluate · compare (and agreement, which stands in a module of its own)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.common import (
    Context,
    JsonOption,
    TerminalReporter,
    context_of,
    emit,
    warn_of_no_card,
)

if TYPE_CHECKING:
    from curate.flows.annotation_sets import AnnotationSet
    from curate.schema import LabelSchema


class By(StrEnum):
    SOURCE = "source"
    SPLIT = "split"
    GROUP = "group"


GoldOption = Annotated[
    str,
    typer.Option(
        "--gold",
        metavar="GOLD",
        help="An interchange file, a release's folder, a version, or `latest`.",
    ),
]
SchemaOption = Annotated[
    Path | None,
    typer.Option(
        "--schema",
        metavar="FILE",
        help="Says which relation types are symmetric; default: the release's, else the "
        "workspace's, else the one that comes with curate.",
    ),
]
SplitOption = Annotated[
    str | None, typer.Option(help="Only the gold documents of this split: train, dev or test.")
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option("--label", help="Only this entity label or relation type; may be repeated."),
]
OnlyCommonOption = Annotated[
    bool,
    typer.Option(
        "--only-common", help="Leave out documents on one side only, instead of refusing them."
    ),
]
DrawsOption = Annotated[
    int, typer.Option(help="Bootstrap draws for the intervals; 0: none.", min=0, max=1_000_000)
]
SeedOption = Annotated[int | None, typer.Option(help="Seed of the draws.", min=0)]


def register(app: typer.Typer) -> None:
    from curate.cli.agreement import register as register_agreement

    register_agreement(app)
    app.command(
        epilog="Example: curate evaluate predictions.jsonl --gold gold.jsonl --split test\n\n"
        "docs/scoring.md says what each number counts."
    )(evaluate)
    app.command(
        epilog="Example: curate compare old.jsonl new.jsonl --gold latest --split test\n\n"
        "A and B may be folders that `curate evaluate --output` wrote: then --gold is left out, "
        "and scores of different gold are refused."
    )(compare)


def evaluate(
    ctx: typer.Context,
    predictions: Annotated[
        str, typer.Argument(help="An interchange file, or a model.", metavar="PREDICTIONS")
    ],
    gold: GoldOption,
    split: SplitOption = None,
    label: LabelOption = None,
    by: Annotated[By | None, typer.Option(help="Also score each of these apart.")] = None,
    schema_file: SchemaOption = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Write metrics.json, counts.jsonl and report.html here.", metavar="DIR"),
    ] = None,
    fail_under: Annotated[
        float | None,
        typer.Option(help="Exit 1 if strict F1 of the entities is below this.", min=0.0, max=1.0),
    ] = None,
    fail_under_relations: Annotated[
        float | None,
        typer.Option(help="Exit 1 if strict F1 of the relations is below this.", min=0.0, max=1.0),
    ] = None,
    by_lot: Annotated[
        bool,
        typer.Option(
            "--by-lot",
            help="Only documents that `curate push --order uncertainty` drew by lot: an estimate "
            "that the model's doubts do not bend.",
        ),
    ] = False,
    only_common: OnlyCommonOption = False,
    draws: DrawsOption = 10_000,
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score predictions against gold, with intervals."""
    from curate.flows.annotation_sets import gold_set
    from curate.flows.choosing import drawn_by_lot
    from curate.flows.evaluate import Options, check_gate, write_report
    from curate.flows.evaluate import evaluate as run

    context = context_of(ctx)
    reporter = TerminalReporter()
    # A file that is not there is said to be missing before anything slow begins.
    if_file = _file(predictions)
    against = gold_set(gold, _gold_folder(context, gold))
    schema = schema_for(context, schema_file, [against], reporter)
    claimed = if_file or _model(context, predictions, reporter)
    options = Options(
        split=split,
        labels=tuple(label or ()),
        by=None if by is None else str(by),
        only_common=only_common,
        draws=draws,
        seed=seed,
        sample=drawn_by_lot(context.store, context.settings.studio.project) if by_lot else None,
    )
    result = run(claimed, against, schema, reporter, options)
    _note_looks(context, [claimed], against, split, reporter)
    if output is not None:
        for path in write_report(result, output, schema):
            reporter.step(f"wrote {path}")
    from curate.cli.score_tables import evaluation_table

    emit(result.as_dict(), as_json, lambda console: evaluation_table(console, result))
    check_gate(result.scores, fail_under, fail_under_relations)


def compare(
    ctx: typer.Context,
    a: Annotated[str, typer.Argument(help="A file, a model, or a saved evaluation.", metavar="A")],
    b: Annotated[str, typer.Argument(help="What to compare it with.", metavar="B")],
    gold: Annotated[
        str | None,
        typer.Option(
            metavar="GOLD", help="An interchange file, a release's folder, a version, or `latest`."
        ),
    ] = None,
    split: SplitOption = None,
    label: LabelOption = None,
    schema_file: SchemaOption = None,
    only_common: OnlyCommonOption = False,
    draws: Annotated[
        int, typer.Option(help="Draws of the test and the intervals.", min=100, max=1_000_000)
    ] = 10_000,
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether B is better than A, with intervals and p-values."""
    from curate.errors import UsageError
    from curate.flows.annotation_sets import gold_set
    from curate.flows.compare import compare as run
    from curate.flows.compare import compare_saved, saved_at
    from curate.flows.evaluate import Options

    context = context_of(ctx)
    reporter = TerminalReporter()
    options = Options(
        split=split, labels=tuple(label or ()), only_common=only_common, draws=draws, seed=seed
    )
    saved = [saved_at(Path(name)) for name in (a, b)]
    if saved[0] is not None and saved[1] is not None:
        if gold is not None or split is not None or label:
            raise UsageError(
                "saved evaluations are compared as they are; leave --gold, --split and --label out"
            )
        result = compare_saved(saved[0], saved[1], options)
    elif saved[0] is not None or saved[1] is not None:
        one, other = (a, b) if saved[0] is not None else (b, a)
        raise UsageError(
            f"{one} is a saved evaluation, {other} is not; name two saved ones, or score both "
            "again with --gold GOLD"
        )
    else:
        if gold is None:
            raise UsageError("say what both are scored on: --gold GOLD")
        against = gold_set(gold, _gold_folder(context, gold))
        schema = schema_for(context, schema_file, [against], reporter)
        sides = [_file(name) or _model(context, name, reporter) for name in (a, b)]
        result = run(sides[0], sides[1], against, schema, reporter, options)
        _note_looks(context, sides, against, split, reporter)
    from curate.cli.score_tables import comparison_table

    emit(result.as_dict(), as_json, lambda console: comparison_table(console, result))


def schema_for(
    context: Context,
    named: Path | None,
    sets: list[AnnotationSet],
    reporter: TerminalReporter,
) -> LabelSchema:
    """The schema named, else a release's, else the workspace's, else the packaged one."""
    from curate.flows.annotation_sets import ReleaseSet
    from curate.schema import read_schema

    if named is not None:
        return read_schema(named)
    for one in sets:
        if isinstance(one, ReleaseSet):
            return one.schema
    if context.has_workspace:
        return context.schema
    from curate.resources import default_schema

    schema = read_schema(default_schema())
    if "schema" not in context.told:
        context.told.add("schema")
        reporter.step(
            f"no workspace here: symmetric relation types are those of the schema {schema.name} "
            f"({', '.join(sorted(schema.symmetric)) or 'none'}); name another with --schema"
        )
    return schema


def _gold_folder(context: Context, reference: str) -> Path | None:
    """Where versions are looked up; None where a path is meant, or there is no workspace."""
    from curate.flows.annotation_sets import looks_like_path

    if looks_like_path(reference) or (reference != "latest" and Path(reference).exists()):
        return None
    return context.gold if context.has_workspace else None


def _file(reference: str) -> AnnotationSet | None:
    """The file or release of this name; None where a model is meant."""
    from curate.errors import DataError
    from curate.flows.annotation_sets import looks_like_path, set_at

    found = set_at(Path(reference))
    if found is None and looks_like_path(reference) and not Path(reference).exists():
        raise DataError("there is no such file", path=reference)
    return found


def _note_looks(
    context: Context,
    sides: list[AnnotationSet],
    against: AnnotationSet,
    split: str | None,
    reporter: TerminalReporter,
) -> None:
    """Count a look at a release's test split for each model of the workspace that was scored."""
    from curate.errors import DiskError
    from curate.flows.annotation_sets import ModelSet, ReleaseSet
    from curate.flows.looks import note

    models = [
        side.source.digest or str(side.source) for side in sides if isinstance(side, ModelSet)
    ]
    if not models or not isinstance(against, ReleaseSet) or split not in (None, "test"):
        return
    if context.has_workspace:
        release = against.digest.removeprefix("release:")
        try:
            looks = note(context.models, against.name, release, "evaluate", models)
        except DiskError as error:
            reporter.warn(f"the look at the test split was not counted: {error}")
            return
        reporter.step(f"models scored on the test split of {against.name} so far: {looks}")


def _model(context: Context, reference: str, reporter: TerminalReporter) -> AnnotationSet:
    """A model as a set of predictions, answers it gave before taken from the store."""
    from curate.extractors.interface import source_of
    from curate.extractors.registry import resolve
    from curate.flows.annotation_sets import ModelSet
    from curate.flows.evaluate import predictor

    inside = context.has_workspace
    schema = context.schema if inside else schema_for(context, None, [], reporter)
    extractor = resolve(
        None if reference == "champion" and not inside else reference,
        schema=schema,
        models=context.models if inside else None,
    )
    warn_of_no_card(reference, reporter)
    has_store = inside and (
        bool(context.environment.curate_database_url.get_secret_value())
        or (context.state / "store.db").is_file()
    )
    store = context.store if has_store else None
    return ModelSet(source_of(extractor), predictor(extractor, schema, store))
