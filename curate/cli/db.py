"""curate db upgrade · check · backup · restore."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.common import JsonOption, TerminalReporter, context_of, emit

if TYPE_CHECKING:
    from rich.console import Console

    from curate.store.backup import Saved

group = typer.Typer(no_args_is_help=True, help="The store: its version, its health, its backup.")


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
    """Check the store's version and integrity; exits 1 if wrong."""
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


@group.command(epilog="Example: curate db backup curate-2026-11-23.zip")
def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The new file; it must not exist.")],
    as_json: JsonOption = False,
) -> None:
    """Write the whole store to one file; others may go on.

    The file holds texts, corrections and annotators' e-mail addresses: keep it as you keep the
    store.  It fits SQLite and PostgreSQL alike.  Releases, models and label_configs/ are files of
    the workspace and not in it.
    """
    from curate.flows.db import backup as flow

    context = context_of(ctx)
    saved = flow(context.database_url, file, TerminalReporter())
    _emit_saved(saved, f"saved to {file}", as_json)


@group.command(epilog="Example: curate db restore curate-2026-11-23.zip")
def restore(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file made by `curate db backup`.")],
    as_json: JsonOption = False,
) -> None:
    """Fill an empty store from a backup and bring it to this version.

    A store that holds something is never overwritten.
    """
    from curate.flows.db import restore as flow

    context = context_of(ctx)
    context.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    saved = flow(context.database_url, file, TerminalReporter())
    _emit_saved(saved, f"restored from {file}", as_json)


def _emit_saved(saved: Saved, what: str, as_json: bool) -> None:
    def table(console: Console) -> None:
        console.print(
            f"{sum(saved.rows.values()):,} rows {what}: {saved.rows.get('document', 0):,} "
            f"documents, {saved.rows.get('studio_annotation', 0):,} corrections, "
            f"{saved.rows.get('decision', 0):,} decisions",
            markup=False,
        )

    emit({"revision": saved.revision, "rows": saved.rows}, as_json, table)
