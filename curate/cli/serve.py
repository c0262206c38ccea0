"""curate serve."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

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
    from collections.abc import Callable

    from rich.console import Console

    from curate.extractors.interface import Extractor
    from curate.labelstudio.backend.guard import Login
    from curate.labelstudio.client import LabelStudio


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Example: curate serve --register\n\n"
        "Tasks opened without predictions get the champion's, from `curate models promote` on "
        "without a restart; what annotators submit is pulled within seconds. Bound to anything "
        "but loopback it demands --auth; CURATE_SERVE_AUTH keeps the password out of the list of "
        "processes. Ctrl-C or SIGTERM ends it."
    )(serve)


def serve(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="The port; 0: any that is free.", min=0, max=65535)
    ] = 9090,
    auth: Annotated[
        str,
        typer.Option(
            metavar="USER:PASSWORD",
            help="Basic auth that everyone must bring; default: CURATE_SERVE_AUTH.",
        ),
    ] = "",
    model: Annotated[
        str | None,
        typer.Option(help="The model; default: the champion, or `bootstrap` where there is none."),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(
            "--project", metavar="TITLE", help="The project; default: that of curate.toml."
        ),
    ] = None,
    url: Annotated[
        str,
        typer.Option(help="Where Label Studio reaches this server; default: http://HOST:PORT."),
    ] = "",
    connect: Annotated[
        bool,
        typer.Option(
            "--register", help="Connect backend and webhook to the project in Label Studio."
        ),
    ] = False,
    disconnect: Annotated[
        bool,
        typer.Option("--unregister", help="Remove them from the project, and serve nothing."),
    ] = False,
    pull: Annotated[
        bool, typer.Option("--pull/--no-pull", help="Pull when Label Studio says so.")
    ] = True,
    every: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Pull this often without being told: Label Studio repeats no webhook; 0: never.",
            min=0.0,
        ),
    ] = 300.0,
    as_json: JsonOption = False,
) -> None:
    """Predict as a task is opened, pull as one is submitted.

    This is Label Studio's model, and the listener to its webhook.
    """
    from curate.errors import UnreachableError, UsageError

    context = context_of(ctx)
    title = project or context.settings.studio.project
    if connect and disconnect:
        raise UsageError("--register and --unregister exclude each other")
    if disconnect:
        _unregister(context, title, as_json)
        return

    from curate.labelstudio.backend import server

    server.require()
    login = _login(auth or context.environment.curate_serve_auth.get_secret_value())
    reporter = TerminalReporter()
    if login is None and not server.is_loopback(host):
        raise UsageError(
            f"{host} can be reached from other machines: demand a password with --auth "
            "USER:PASSWORD, or better CURATE_SERVE_AUTH in the environment"
        )
    if not server.is_loopback(host) and not url.startswith("https://"):
        reporter.warn(
            "there is no TLS here: put a proxy with TLS before it, or the password is seen"
        )
    if auth:
        reporter.warn("--auth stands in the list of processes; CURATE_SERVE_AUTH does not")

    from curate.extractors.registry import judged, resolve
    from curate.flows.serve import ServeOptions
    from curate.flows.serve import serve as run
    from curate.flows.serve_model import mark_of
    from curate.flows.serve_pull import Rhythm

    schema, store, models = context.schema, context.store, context.models

    def load() -> Extractor:
        judge = context.judge(model)
        named = judged(model, judge, models) if judge else model
        return resolve(named, schema=schema, models=models)

    warn_of_no_card(model, reporter)
    try:
        context.label_studio_address()
        reachable = True
    except UnreachableError as error:
        if connect:
            raise
        reporter.warn(f"{error}; nothing is pulled")
        reachable = False
    with server.listen(host, port) as listening:
        here = _address(host, listening.getsockname()[1], url, connect)
        result = run(
            store,
            _connector(context) if reachable else None,
            schema,
            load,
            mark_of(models, model, context.settings.models.judge),
            listening,
            ServeOptions(
                title=title,
                url=here,
                login=login,
                names=(urlsplit(here).hostname or "",),
                register=connect,
                pulls=pull,
                rhythm=Rhythm(every=every),
            ),
            reporter,
        )

    def table(console: Console) -> None:
        console.print(
            f"{result.predictions} predictions given, {result.wakeups} wake-ups heard, "
            f"{result.pulls} pulls, {result.stored} annotations stored",
            markup=False,
        )

    emit(asdict(result), as_json, table)


def _unregister(context: Context, title: str, as_json: bool) -> None:
    from curate.flows.serve import take_leave

    with context.label_studio() as client:
        removed = take_leave(context.store, client, title)

    def table(console: Console) -> None:
        console.print(
            f"{removed} connections removed from project {title!r}"
            if removed
            else f"project {title!r} was not connected",
            markup=False,
        )

    emit({"project": title, "removed": removed}, as_json, table)


def _connector(context: Context) -> Callable[[Callable[[], None] | None], LabelStudio]:
    from curate.labelstudio.client import LabelStudio

    def connect(before: Callable[[], None] | None) -> LabelStudio:
        url, token = context.label_studio_address()
        return LabelStudio(url, token, before=before)

    return connect


def _login(text: str) -> Login | None:
    """Raises UsageError for what is no ``user:password``; what was given is not repeated."""
    from curate.errors import UsageError
    from curate.labelstudio.backend.guard import Login

    if not text:
        return None
    user, colon, password = text.partition(":")
    if not (user and colon and password) or not text.isprintable():
        raise UsageError("--auth (or CURATE_SERVE_AUTH) must be of the form USER:PASSWORD")
    return Login(user, password)


def _address(host: str, port: int, url: str, connect: bool) -> str:
    """Where Label Studio reaches us.  Raises UsageError where that cannot be known."""
    from curate.errors import ConfigurationError, UsageError
    from curate.labelstudio.client import base_url_of

    if url:
        try:
            return base_url_of(url)
        except ConfigurationError:
            raise UsageError("--url must be of the form http://host:port or https://host") from None
    name = host.strip("[]")
    if connect and name in ("0.0.0.0", "::"):
        raise UsageError(
            f"{host} is no address to reach this server under; say with --url where Label Studio "
            "finds it"
        )
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
