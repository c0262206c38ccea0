"""curate agreement."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.common import Context, JsonOption, TerminalReporter, context_of, emit, show
from curate.cli.evaluate import DrawsOption, SchemaOption, SeedOption, schema_for
from curate.cli.score_tables import show_ci

if TYPE_CHECKING:
    from rich.console import Console

    from curate.agreement.values import Agreement, Value
    from curate.flows.agreement import Agreed


class UnitName(StrEnum):
    CHARACTER = "character"
    TOKEN = "token"


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Example: curate agreement annotator_a.jsonl annotator_b.jsonl\n\n"
        "Without files: between the annotators of the store. docs/scoring.md says what each "
        "number counts."
    )(agreement)


def agreement(
    ctx: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Interchange files, one annotator each.", metavar="[FILE]..."),
    ] = None,
    schema_file: SchemaOption = None,
    unit: Annotated[
        UnitName, typer.Option(help="What alpha and kappa are counted on.")
    ] = UnitName.CHARACTER,
    only_common: Annotated[
        bool,
        typer.Option(
            "--only-common",
            help="Measure on documents that at least two files have, instead of refusing others.",
        ),
    ] = False,
    bias: Annotated[
        bool,
        typer.Option(
            "--bias",
            help="Compare documents pushed with --blind with the assisted ones: how far the model "
            "leads annotators.",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="Write agreement.json and agreement.html here.", metavar="DIR"),
    ] = None,
    draws: DrawsOption = 10_000,
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how far annotators agree, with intervals."""
    from curate.agreement.units import Unit
    from curate.flows.agreement import agreement_of_files, agreement_of_store, write_agreement

    context = context_of(ctx)
    reporter = TerminalReporter()
    if bias:
        _bias(context, bool(files or output or only_common), reporter, draws, seed, as_json)
        return
    if files:
        schema = schema_for(context, schema_file, [], reporter)
        result = agreement_of_files(
            files,
            schema,
            reporter,
            unit=Unit(unit),
            only_common=only_common,
            draws=draws,
            seed=seed,
        )
    else:
        store = context.store
        schema = schema_for(context, schema_file, [], reporter)
        result = agreement_of_store(
            store, schema, reporter, unit=Unit(unit), draws=draws, seed=seed
        )
    if output is not None:
        for path in write_agreement(result, output):
            reporter.step(f"wrote {path}")
    emit(result.as_dict(), as_json, lambda console: _draw(console, result))


def _bias(
    context: Context,
    other: bool,
    reporter: TerminalReporter,
    draws: int,
    seed: int | None,
    as_json: bool,
) -> None:
    from curate.agreement.bias import MEASURES
    from curate.errors import UsageError
    from curate.flows.bias import agreement_bias

    if other:
        raise UsageError("--bias reads the store: it takes no files, --output or --only-common")
    found = agreement_bias(context.store, context.schema, reporter, draws=draws, seed=seed)

    def table(console: Console) -> None:
        from rich.table import Table

        for sentence in found.words:
            console.print(sentence, markup=False)
        drawn = Table()
        for column in ("measure", "blind", "assisted", "difference", "95 % interval"):
            drawn.add_column(column, justify="left" if column == "measure" else "right")
        for name, row in found.measures.items():
            drawn.add_row(
                MEASURES[name],
                show(row.blind.value),
                show(row.assisted.value),
                show(row.difference.value),
                show_ci(row.difference.ci),
            )
        console.print(drawn)

    emit(found.as_dict(), as_json, table)


def _draw(console: Console, result: Agreed) -> None:
    from rich.table import Table

    found = result.agreement
    console.print(
        f"{len(found.annotators)} annotators ({', '.join(found.annotators)}), "
        f"{found.documents} documents of two or more",
        markup=False,
    )
    table = Table()
    for column in ("measure", "value", "95 % interval"):
        table.add_column(column, justify="left" if column == "measure" else "right")
    for name, value in _headline(found):
        table.add_row(name, show(value.value), show_ci(value.ci))
    console.print(table)
    _labels(console, found)
    if len(found.pairs) > 1:
        _pairs(console, found)
    stages = found.stages
    if stages.relations:
        console.print(
            f"Of {stages.relations} relations drawn by one, the other has both arguments of "
            f"{stages.arguments_found}, links them in {stages.linked}, with the same label in "
            f"{stages.same_label}, in the same direction in {stages.same_direction}.",
            markup=False,
        )
    for period, (documents, entities, relations) in found.over_time.items():
        console.print(
            f"{period}: {documents} documents, entities {show(entities.value)} "
            f"{show_ci(entities.ci)}, relations {show(relations.value)}",
            markup=False,
        )
    for name, why in found.undefined.items():
        console.print(f"n/a: {name}: {why}", markup=False)


def _headline(found: Agreement) -> list[tuple[str, Value]]:
    unit = f"{found.unit}s"
    return [
        ("entities: F1, strict", found.f1),
        ("entities: F1, lenient", found.lenient_f1),
        (f"entities: {found.kappa_name}'s kappa, all {found.units} {unit}", found.kappa),
        (
            f"entities: {found.kappa_name}'s kappa, {found.marked_units} marked {unit}",
            found.kappa_marked,
        ),
        (f"entities: Krippendorff's alpha, all {found.units} {unit}", found.alpha),
        (
            f"entities: Krippendorff's alpha, {found.marked_units} marked {unit}",
            found.alpha_marked,
        ),
        ("relations: F1, end to end", found.relations_f1),
        ("relations: F1, with argument labels", found.relations_strict_f1),
        ("relations: kappa of the label, where both link", found.label_kappa),
    ]


_PEOPLE = 3


def _labels(console: Console, found: Agreement) -> None:
    from rich.table import Table

    table = Table(title="Per label", title_justify="left", title_style="bold")
    # more columns than these fit no screen; --json and --output have the counts of everybody
    people = found.annotators if len(found.annotators) <= _PEOPLE else ()
    columns = ("label", "F1", "95 % interval", "lenient F1", *people)
    for column in columns:
        table.add_column(
            column,
            justify="left" if column == "label" else "right",
            no_wrap=column == "95 % interval",
        )
    for label, of in found.per_label.items():
        table.add_row(
            label,
            show(of.f1.value),
            show_ci(of.f1.ci),
            show(of.lenient_f1.value),
            *(str(of.support[name]) for name in people),
        )
    for label, value in found.relations_per_label.items():
        blank = [""] * len(people)
        table.add_row(label, show(value.value), show_ci(value.ci), "", *blank)
    console.print(table)


def _pairs(console: Console, found: Agreement) -> None:
    from rich.table import Table

    table = Table(title="Per pair", title_justify="left", title_style="bold")
    for column in ("pair", "documents", "F1", "95 % interval", "kappa", "relations F1"):
        table.add_column(column, justify="left" if column == "pair" else "right")
    for pair in found.pairs:
        table.add_row(
            f"{pair.a} · {pair.b}",
            str(pair.documents),
            show(pair.f1.value),
            show_ci(pair.f1.ci),
            show(pair.kappa.value),
            show(pair.relations_f1.value),
        )
    console.print(table)
