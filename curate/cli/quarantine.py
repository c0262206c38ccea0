"""curate quarantine list · show · retry."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.common import JsonOption, TerminalReporter, context_of, emit

if TYPE_CHECKING:
    from rich.console import Console

group = typer.Typer(no_args_is_help=True, help="What came in and did not fit.")


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="quarantine")


@group.command("list", epilog="Example: curate quarantine list")
def list_(
    ctx: typer.Context,
    every: Annotated[
        bool, typer.Option("--all", help="Also what was mended since, or is gone.")
    ] = False,
    limit: Annotated[int | None, typer.Option(help="At most this many.", min=1)] = None,
    as_json: JsonOption = False,
) -> None:
    """List the annotations that did not fit, with the reason for each."""
    from curate.flows.quarantine import listed, quoted

    found = listed(context_of(ctx).store, settled=every, limit=limit)
    data = [
        {
            "id": item.id,
            "document": item.document_id,
            "task": item.task_id,
            "annotation": item.annotation_id,
            "reason": item.reason,
            "state": item.state,
            "first_seen": item.first_seen_at,
            "last_seen": item.last_seen_at,
        }
        for item in found
    ]

    def table(console: Console) -> None:
        from rich.table import Table
        from rich.text import Text

        if not found:
            console.print("nothing is quarantined")
            return
        drawn = Table("id", "document", "task", "reason", box=None, padding=(0, 1, 0, 0))
        for item in found:
            note = "" if item.state == "open" else f"({item.state}) "
            drawn.add_row(
                str(item.id),
                Text(item.document_id or "-"),
                str(item.task_id),
                Text(": ".join(filter(None, (note + item.reason, quoted(item))))),
            )
        console.print(drawn)
        if any(item.state == "open" for item in found):
            console.print(
                "next: correct them in Label Studio (open the task, Update), then `curate pull`; "
                "`curate quarantine show ID` shows the place",
                soft_wrap=True,
            )

    emit(data, as_json, table)


@group.command(epilog="Example: curate quarantine show 3")
def show(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(help="The id in the list.")],
    as_json: JsonOption = False,
) -> None:
    """Show one with its raw JSON and the item at fault."""
    from curate.flows.quarantine import shown

    found = shown(context_of(ctx).store, number)

    def table(console: Console) -> None:
        from curate.cli.sync import _plain

        for name, value in (
            ("document", found.document_id or "-"),
            ("task", found.task_id),
            ("annotation", found.annotation_id),
            ("reason", found.reason),
            ("state", found.state),
            ("first seen", found.first_seen_at),
            ("last seen", found.last_seen_at),
        ):
            console.print(_plain(f"{name}: {value}"))
        if found.item is not None:
            console.print(_plain("item: " + json.dumps(found.item, ensure_ascii=False)))
        console.print(json.dumps(found.raw, ensure_ascii=False, indent=2), markup=False)

    emit(asdict(found), as_json, table)


@group.command(epilog="Example: curate quarantine retry")
def retry(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Read everything again, as after a change of the schema.

    What Label Studio sent was kept as it came; it is decoded anew.
    """
    from curate.flows.quarantine import retry as run

    context = context_of(ctx)
    result, mended = run(
        context.store, context.schema, context.settings.studio.project, TerminalReporter()
    )

    def table(console: Console) -> None:
        console.print(f"{mended} annotations fit now, {result.quarantined} still do not")

    emit(asdict(result) | {"mended": mended}, as_json, table)
