"""curate studio up · down · status · env."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.common import JsonOption, TerminalReporter, context_of, emit

if TYPE_CHECKING:
    from rich.console import Console

group = typer.Typer(no_args_is_help=True, help="The workspace's own Label Studio.")


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="studio")


@group.command(epilog="Example: curate studio up")
def up(
    ctx: typer.Context,
    port: Annotated[
        int | None,
        typer.Option(
            help="Listen on this port; default: the last one, or a free one.", min=1024, max=65535
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait until it answers.", min=1.0)
    ] = 180.0,
    show_password: Annotated[
        bool, typer.Option("--show-password", help="Print the password, too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Start Label Studio on this machine alone, and say how to log in."""
    from curate.flows import studio as flow

    context, reporter = context_of(ctx), TerminalReporter()
    studio = flow.studio_of(context.state, context.environment.curate_studio_python)
    started = flow.up(studio, reporter, port=port, timeout=timeout)
    if context.environment.label_studio_url not in ("", started.url):
        reporter.warn("LABEL_STUDIO_URL is set to another Label Studio: commands speak to that one")
    login = studio.login()
    data = {
        "url": started.url,
        "pid": started.pid,
        "started": started.fresh,
        "seconds": round(started.seconds, 1),
        "username": login.username,
        "credentials": str(studio.credentials_path),
        "log": str(studio.log_path),
    }
    if show_password:
        data["password"] = login.password

    def table(console: Console) -> None:
        verb = "is up" if started.fresh else "was up already"
        console.print(f"Label Studio {verb}: {started.url}", markup=False)
        console.print(f"user name: {login.username}", markup=False)
        where = login.password if show_password else f"in {studio.credentials_path}"
        console.print(f"password:  {where}", markup=False)

    emit(data, as_json, table)


@group.command(epilog="Example: curate studio down")
def down(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Stop the Label Studio that `studio up` started here, and no other."""
    from curate.flows import studio as flow

    pid = flow.studio_of(context_of(ctx).state).down()

    def table(console: Console) -> None:
        said = "it was not running" if pid is None else f"stopped Label Studio (process {pid})"
        console.print(said, markup=False)

    emit({"stopped": pid is not None, "pid": pid}, as_json, table)


@group.command(epilog="Example: curate studio status --json")
def status(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Say whether it runs, and where; after a crash, too."""
    from curate.flows import studio as flow

    found = flow.studio_of(context_of(ctx).state).status()
    data = {
        "state": str(found.state),
        "up": found.is_up,
        "url": found.url,
        "pid": found.pid,
        "detail": found.detail,
        "log": str(found.log),
    }

    def table(console: Console) -> None:
        where = f" at {found.url} (process {found.pid})" if found.url else ""
        console.print(f"{found.state}{where}: {found.detail}", markup=False)

    emit(data, as_json, table)


@group.command(epilog="Example: curate studio env --export")
def env(
    ctx: typer.Context,
    export: Annotated[
        bool, typer.Option("--export", help="Write `export` before each assignment.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print its address and token as shell assignments."""
    from curate.flows import studio as flow

    variables = flow.environment(flow.studio_of(context_of(ctx).state))

    def table(console: Console) -> None:
        for name, value in variables.items():
            typer.echo(f"{'export ' if export else ''}{name}={shlex.quote(value)}")

    emit(variables, as_json, table)
