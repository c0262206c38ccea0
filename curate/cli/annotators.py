"""curate annotators list · invite · rename."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.common import JsonOption, context_of, emit

if TYPE_CHECKING:
    from rich.console import Console

group = typer.Typer(no_args_is_help=True, help="People and the pseudonyms they go by.")


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="annotators")


@group.command("list", epilog="Example: curate annotators list")
def list_(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """List pseudonyms and whom they stand for; this stays in the store."""
    from curate.flows.annotators import annotators

    found = annotators(context_of(ctx).store)
    data = [
        {"pseudonym": a.pseudonym, "server": a.server, "user_id": a.user_id, "email": a.email}
        for a in found
    ]

    def table(console: Console) -> None:
        from rich.table import Table
        from rich.text import Text

        if not found:
            console.print("no annotators yet; invite one with `curate annotators invite`")
            return
        drawn = Table("pseudonym", "e-mail", "user", "Label Studio", box=None)
        for a in found:
            cells = (a.pseudonym, a.email or "n/a", str(a.user_id), a.server)
            drawn.add_row(*(Text(cell) for cell in cells))
        console.print(drawn)

    emit(data, as_json, table)


@group.command(epilog="Example: curate annotators invite nadia@example.org")
def invite(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(help="What the person will log in with.")],
    password_file: Annotated[
        Path | None,
        typer.Option(help="Take the password from this file's first line; default: make one up."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a login in Label Studio, and a pseudonym for it.

    A password that is made up is kept in a file only you may read; hand it over by a safe way.
    """
    from curate.flows import annotators as flow

    context = context_of(ctx)
    password = None if password_file is None else flow.read_password(password_file)
    store = context.store
    with context.label_studio() as client:
        done = flow.invite(
            client, store, email, password=password, keep=context.state / "invitations"
        )
    data = {
        "email": done.email,
        "user_id": done.user_id,
        "pseudonym": done.pseudonym,
        "created": done.created,
        "password_file": None if done.password_file is None else str(done.password_file),
    }

    def table(console: Console) -> None:
        if done.created:
            said = f"{done.email} can log in at {client.url}, and goes by {done.pseudonym}"
        else:
            said = f"{done.email} was there already, and goes by {done.pseudonym}; nothing changed"
        console.print(said, markup=False)
        if done.password_file is not None:
            console.print(f"the password is in {done.password_file}", markup=False)

    emit(data, as_json, table)


@group.command(epilog="Example: curate annotators rename annotator-1 lynx")
def rename(
    ctx: typer.Context,
    old: Annotated[str, typer.Argument(help="The pseudonym now.")],
    new: Annotated[str, typer.Argument(help="The pseudonym from now on.")],
    as_json: JsonOption = False,
) -> None:
    """Give an annotator another pseudonym."""
    from curate.flows.annotators import rename as flow

    flow(context_of(ctx).store, old, new)

    def table(console: Console) -> None:
        console.print(f"{old} is now {new}", markup=False)

    emit({"old": old, "new": new}, as_json, table)
