"""The command line: the groups, and what stands before every command."""

from __future__ import annotations

import signal
import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from curate import __version__
from curate.cli.boundary import INTERRUPTED, guarded, prepare_streams
from curate.cli.common import Context
from curate.cli.terminal import printable
from curate.errors import UsageError

app = typer.Typer(
    name="curate",
    help="Gold corpora of entities and relations: models propose, people correct in Label "
    "Studio, curate decides, publishes, scores and retrains.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    epilog="Begin with `curate init my-corpus`; in it, `curate status` says what comes next.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"curate {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    ctx: typer.Context,
    workspace: Annotated[
        Path | None,
        typer.Option("--workspace", "-w", help="The workspace to stand in.", metavar="DIR"),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    # In process the commands may run twice with one object (tests); close what each opened.
    ctx.obj = Context(workspace)
    ctx.call_on_close(ctx.obj.close)


def _register() -> None:
    """Each module adds its commands to the app."""
    from curate.cli import modules

    for module in modules():
        module.register(app)


@cache
def _commands() -> Any:
    """The tree of commands; typer makes it slowly, so it is made once."""
    return typer.main.get_command(app)


def _command_of(arguments: list[str]) -> str:
    """The command that is meant, as it is typed: ``curate gold build``."""
    path, group = ["curate"], _commands()
    for word in arguments:
        found = getattr(group, "commands", {}).get(word)
        if found is not None:
            path.append(word)
            group = found
    return " ".join(path)


def run(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code."""

    command = _command_of(sys.argv[1:] if arguments is None else arguments)

    def call() -> int:
        try:
            result = _commands()(args=arguments, prog_name="curate", standalone_mode=False)
        except typer.Abort:
            raise KeyboardInterrupt from None
        except typer.Exit as stop:
            return stop.exit_code
        except typer.TyperException as error:
            if "\n" in error.format_message():  # a group called without a command: its help
                sys.stderr.write(f"{printable(error.format_message().rstrip())}\n")
                return UsageError.exit_code
            said = error.format_message().rstrip(".")
            raise UsageError(f"{said}; see `{command} --help`") from None
        if result == INTERRUPTED:  # typer's word for Ctrl-C
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0

    return guarded(call, command)


def main() -> None:
    """The console script."""
    prepare_streams()
    # A command that is asked to end clears up after itself as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run())


_register()
