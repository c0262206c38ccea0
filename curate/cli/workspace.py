"""curate init · doctor · demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.common import JsonOption, context_of, emit, whole

if TYPE_CHECKING:
    from rich.console import Console


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: curate init my-corpus")(init)
    app.command(epilog="Example: curate -w my-corpus doctor")(doctor)


def init(
    ctx: typer.Context,
    directory: Annotated[
        Path | None, typer.Argument(help="The folder; default: here.", metavar="[DIR]")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(help="Your schema file; default: the sahel schema.")
    ] = None,
    corpus: Annotated[
        str | None, typer.Option(help="Name of the corpus; default: the schema's.")
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Language code; default: the schema's.")
    ] = None,
    project: Annotated[str | None, typer.Option(help="Title of the Label Studio project.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a workspace: settings, schema, store, room for gold."""
    from curate.flows.init import choices
    from curate.flows.init import init as flow
    from curate.resources import default_schema
    from curate.schema import read_schema
    from curate.settings import check_choices
    from curate.store.engine import sqlite_url

    context = context_of(ctx)
    workspace = whole(directory or context.workspace_option or Path.cwd())
    schema_file = schema or default_schema()
    companions = []
    if schema is None:
        guidelines = schema_file.with_name("guidelines.md")
        companions = [guidelines] if guidelines.exists() else []
    url = context.environment.curate_database_url.get_secret_value() or sqlite_url(
        workspace / ".curate" / "store.db"
    )
    chosen = choices(read_schema(schema_file), corpus, language, project)
    check_choices(chosen.corpus, chosen.language, chosen.project)
    result = flow(workspace, schema_file, url, chosen, companions)

    def table(console: Console) -> None:
        if not result.created:
            console.print(
                f"{result.workspace} is a workspace already; nothing changed", markup=False
            )
            return
        console.print(f"workspace {result.workspace}", markup=False)
        for path in result.created:
            console.print(f"  + {path}", markup=False)
        console.print("next: curate ingest PATH…", markup=False)

    emit({"workspace": str(result.workspace), "created": list(result.created)}, as_json, table)


def doctor(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Check that everything works; say how to mend the rest.

    Settings, store, schema and Label Studio. Exits 1 if something needs mending.
    """
    from curate.flows.doctor import examine

    checks = examine(context_of(ctx))
    data = {
        "ok": all(check.ok for check in checks),
        "checks": [{"name": c.name, "ok": c.ok, "said": c.said, "mend": c.mend} for c in checks],
    }

    def table(console: Console) -> None:
        from rich.text import Text

        for check in checks:
            mark = Text("ok    ", "green") if check.ok else Text("mend  ", "red")
            console.print(mark + Text(f"{check.name}: {check.said}"))
            if check.mend:
                console.print(f"      → {check.mend}", markup=False)

    emit(data, as_json, table)
    if not data["ok"]:
        raise typer.Exit(1)
