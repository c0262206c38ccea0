"""curate review push · pull · status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.common import (
    Context,
    DryRunOption,
    JsonOption,
    TerminalReporter,
    context_of,
    emit,
    show,
)

if TYPE_CHECKING:
    from rich.console import Console

    from curate.cli.common import Context
    from curate.flows.review_pull import ReviewPulled
    from curate.flows.review_push import ReviewPushed
    from curate.flows.review_status import ReviewStatus

group = typer.Typer(
    no_args_is_help=True, help="Adjudication: a curator decides where annotators differ."
)

ProjectOption = Annotated[
    str | None,
    typer.Option(
        "--project", metavar="TITLE", help="The review project; default: that of curate.toml."
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Exit 1 if anything was refused or quarantined.")
]


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="review")


@group.command(epilog="Example: curate review push")
def push(
    ctx: typer.Context,
    project: ProjectOption = None,
    limit: Annotated[
        int | None, typer.Option(help="Push at most this many new documents.", min=0)
    ] = None,
    suspects: Annotated[
        int | None,
        typer.Option(
            help="Queue the N most suspicious places of what is decided, besides.",
            metavar="N",
            min=1,
        ),
    ] = None,
    recreate: Annotated[
        bool,
        typer.Option("--recreate", help="Start over if the project was deleted in Label Studio."),
    ] = False,
    dry_run: DryRunOption = False,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Push what annotators differ on to a curator, worst first.

    Nothing is ever pushed twice; a task that an annotator's correction has outdated is replaced,
    unless a curator has begun it.
    """
    from curate.cli.gold import _judge, _recipe
    from curate.flows.review_push import ReviewPushOptions, review_push

    context = context_of(ctx)
    options = ReviewPushOptions(
        title=_title(context, project), limit=limit, dry_run=dry_run, recreate=recreate
    )
    judge, reporter = _judge(context), TerminalReporter()
    with context.label_studio() as client:
        found = []
        if suspects is not None:
            from curate.flows.review_suspects import learner
            from curate.flows.review_suspects import suspects as look

            schema = context.schema
            found = look(context.store, schema, judge, suspects, reporter, learner(schema))
        result = review_push(
            context.store,
            client,
            context.schema,
            judge,
            _recipe(context),
            context.gold,
            options,
            reporter,
            suspects=found,
        )
    emit(asdict(result), as_json, lambda console: _push_table(console, result))
    if strict and result.refused:
        raise typer.Exit(1)


def push_findings(context: Context, rules: Sequence[str] | None, number: int) -> int:
    """Queue what lint finds in the store's decisions; how many tasks are new."""
    from curate.cli.gold import _judge, _recipe
    from curate.flows.review_push import ReviewPushOptions, review_push
    from curate.flows.review_suspects import suspects
    from curate.gold.lint import RULES

    judge, reporter = _judge(context), TerminalReporter()
    with context.label_studio() as client:
        found = suspects(
            context.store,
            context.schema,
            judge,
            number,
            reporter,
            lint_rules=tuple(rules or RULES),
        )
        result = review_push(
            context.store,
            client,
            context.schema,
            judge,
            _recipe(context),
            context.gold,
            ReviewPushOptions(title=_title(context, None)),
            reporter,
            suspects=found,
        )
    return result.pushed


@group.command(epilog="Example: curate review pull")
def pull(
    ctx: typer.Context,
    project: ProjectOption = None,
    full: Annotated[
        bool, typer.Option("--full", help="Everything anew, and which tasks were deleted.")
    ] = False,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make what curators submitted the decision, with how it came about."""
    from curate.flows.review_pull import review_pull

    context = context_of(ctx)
    store, schema = context.store, context.schema
    with context.label_studio() as client:
        result = review_pull(
            store, client, schema, _title(context, project), TerminalReporter(), full=full
        )
    emit(asdict(result), as_json, lambda console: _pull_table(console, result))
    if strict and result.pulled.quarantined:
        raise typer.Exit(1)


@group.command(epilog="Example: curate review status")
def status(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Say what is open, by label and by pair of annotators.

    And what suspicion has yielded.
    """
    from curate.cli.gold import _judge, _recipe
    from curate.flows.review_status import review_status

    context = context_of(ctx)
    result = review_status(
        context.store, context.schema, _judge(context), _recipe(context), context.gold
    )
    emit(result.as_dict(), as_json, lambda console: _status_table(console, result))


def _title(context: Context, project: str | None) -> str:
    from curate.flows.review_project import review_title

    return project or review_title(context.settings.studio.project)


def _push_table(console: Console, result: ReviewPushed) -> None:
    if result.project_id is None and not result.documents:
        console.print(
            "nothing waits for a curator, and no review project is made: annotators agree, or "
            "nobody has annotated yet; `curate status` says what comes next",
            soft_wrap=True,
        )
        return
    would = "would be " if result.dry_run else ""
    reasons = ", ".join(f"{number} {name}" for name, number in result.reasons.items())
    lines = [
        f"{result.documents} documents wait for a curator, {result.points} points"
        + (f" ({reasons})" if reasons else ""),
        f"{result.pushed} {would}pushed to {result.project!r}, {result.replaced} of them in place "
        f"of an older form; {result.standing} stand, {result.waiting} wait",
    ]
    if result.removed:
        lines.append(f"{result.removed} tasks {would}removed: nothing is left to decide in them")
    if result.recovered:
        lines.append(f"{result.recovered} tasks had arrived in an earlier push")
    if result.doubles_removed:
        lines.append(f"{result.doubles_removed} tasks stood twice and were removed")
    lines += [f"refused: {key}: {reason}" for key, reason in result.refused.items()]
    if not result.dry_run:
        lines.append(result.url)
    for line in lines:
        console.print(line, markup=False)


def _pull_table(console: Console, result: ReviewPulled) -> None:
    pulled = result.pulled
    console.print(
        f"{pulled.received} submissions received: {pulled.stored} stored, {pulled.unchanged} "
        f"unchanged, {pulled.quarantined} quarantined; {pulled.deleted} deleted",
        markup=False,
    )
    console.print(
        f"{result.decided} documents decided, {result.changed} decided anew, {result.unchanged} "
        f"stand, {result.withdrawn} withdrawn, {result.skipped} skipped",
        markup=False,
    )
    if pulled.quarantined:
        console.print("why: curate quarantine list")


def _status_table(console: Console, found: ReviewStatus) -> None:
    from rich.table import Table

    from curate.cli.sync import _plain

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("open", f"{found.open} documents, {found.points} points")
    if found.to_push:
        table.add_row("to push", f"{found.to_push} (curate review push)")
    table.add_row("decided by curators", str(found.decided))
    for title, counts in (
        ("by reason", found.reasons),
        ("by kind", found.kinds),
        ("by label", found.labels),
        ("by pair", found.pairs),
    ):
        if counts:
            table.add_row(title, "")
        for name, number in counts.items():
            table.add_row(_plain(f"  {name}"), str(number))
    if found.blind or found.assisted:
        table.add_row("lanes", f"{found.blind} blind, {found.assisted} assisted")
    if any(found.suspicions.values()):
        table.add_row("suspicions", _suspicions(found.suspicions, found.yield_))
        for name, row in found.by_source.items():
            table.add_row(_plain(f"  {name}"), _suspicions(row, row["precision"]))
    console.print(table)


def _suspicions(counts: dict[str, int], precision: float | None) -> str:
    return (
        f"{counts['open']} open; of {counts['error'] + counts['sound']} looked at "
        f"{counts['error']} were errors ({show(precision, 2)})"
    )
