"""curate db upgrade · check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from curate.cli.common import JsonOption, context_of, emit

if TYPE_CHECKING:
    from rich.console import Console

group = typer.Typer(no_args_is_help=True, help="The store: its version and its health.")


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="db")


@group.command(epilog="Example: curate db upgrade")
def upgrade(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Create the store, or bring an older one to this version."""
    from curate.store import Store
    from curate.store.engine import HEAD, open_engine, version_of

    context = context_of(ctx)
    context.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = open_engine(context.database_url)
    before = version_of(engine)
    engine.dispose()
    Store.create(context.database_url).close()

    def table(console: Console) -> None:
        if before == HEAD:
            console.print(f"the store is at version {HEAD} already; nothing changed")
        else:
            console.print(f"the store went from version {before or 'none'} to {HEAD}")

    emit({"before": before, "after": HEAD, "changed": before != HEAD}, as_json, table)


@group.command(epilog="Example: curate db check")
def check(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Check the store's version and integrity; exits 1 if something is wrong."""
    from curate.flows.db import check as flow

    findings = flow(context_of(ctx).store)

    def table(console: Console) -> None:
        for finding in findings:
            console.print(finding, markup=False)
        if not findings:
            console.print("the store is sound")

    emit({"ok": not findings, "findings": findings}, as_json, table)
    if findings:
        raise typer.Exit(1)
