"""curate report annotators."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.common import JsonOption, TerminalReporter, context_of, emit, show

if TYPE_CHECKING:
    from rich.console import Console

group = typer.Typer(no_args_is_help=True, help="Pages to read in a browser, each one file.")


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="report")


@group.command(epilog="Example: curate report annotators --output annotators.html")
def annotators(
    ctx: typer.Context,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The page to write.", metavar="FILE")
    ] = Path("annotators.html"),
    as_json: JsonOption = False,
) -> None:
    """A page on the annotators: pace, agreement, confusions.

    Per pseudonym: throughput, lead time, agreement over time, confusions with examples.
    """
    from curate.flows.report_annotators import annotators_report, write_report

    context = context_of(ctx)
    found = annotators_report(context.store, context.schema)
    write_report(found, output)
    TerminalReporter().step(f"wrote {output}")

    def table(console: Console) -> None:
        from rich.table import Table
        from rich.text import Text

        drawn = Table(box=None, padding=(0, 2, 0, 0))
        columns = ("annotator", "documents", "a day", "median s", "agreement", "with decisions")
        for column in columns:
            drawn.add_column(column, justify="left" if column == "annotator" else "right")
        for portrait in found.portraits:
            drawn.add_row(
                Text(portrait.name),
                str(portrait.documents),
                show(portrait.per_day, 1),
                show(None if portrait.lead is None else portrait.lead[1], 0),
                show(portrait.overall[1]),
                show(portrait.with_decision[1]),
            )
        console.print(drawn)

    emit(found.as_dict(), as_json, table)
