"""curate ingest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli.common import DryRunOption, JsonOption, TerminalReporter, context_of, emit

if TYPE_CHECKING:
    from rich.console import Console

    from curate.flows.ingest import IngestResult


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: curate ingest pages/ dispatches.jsonl --dry-run")(ingest)


def ingest(
    ctx: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Files (.txt, .html, .htm, .jsonl, .csv) and folders of them.", metavar="PATH..."
        ),
    ],
    dry_run: DryRunOption = False,
    text_column: Annotated[
        str, typer.Option(help="The column of CSV, or the key of JSONL, that holds the text.")
    ] = "text",
    id_column: Annotated[
        str, typer.Option(help="The column or key that holds the id, where there is one.")
    ] = "id",
    language: Annotated[
        str | None,
        typer.Option(
            help="The language of the pages (ISO 639-1); default: the workspace's.", metavar="CODE"
        ),
    ] = None,
    passages: Annotated[
        int | None,
        typer.Option(
            help="Cut documents into passages of N sentences, each a document of its own; 0: leave "
            "them whole. Default: as curate.toml says, else 0.",
            metavar="N",
            min=0,
            max=1000,
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 if a bad record was passed over.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Read text, HTML, JSONL and CSV into the store.

    Pages of text and HTML are cleaned of menus, forms, cookie notices and lines in another
    language; the raw page is kept.  Records of JSONL and CSV are taken as they are.  Exact
    duplicates are skipped, near-duplicates grouped.  A bad record is reported with file and line,
    and the rest goes on.  --dry-run shows each line that would be left out, with its reason, and
    writes nothing.
    """
    from curate.corpus import Options
    from curate.errors import DataError
    from curate.flows.ingest import ingest as run
    from curate.settings import CorpusSettings

    context = context_of(ctx)
    # Without a workspace a dry run still shows what cleaning would do.
    bare = dry_run and not context.has_workspace
    corpus = CorpusSettings() if bare else context.settings.corpus
    result = run(
        None if bare else context.store,
        paths,
        Options(language or corpus.language, text_column, id_column),
        TerminalReporter(),
        dry_run=dry_run,
        passages=corpus.passages if passages is None else passages,
    )
    emit(_as_json(result, dry_run), as_json, lambda console: _table(console, result, dry_run))
    if result.rejected and (strict or result.read == 0):
        first, more = result.rejected[0], len(result.rejected) - 1
        raise DataError(str(first) + (f" (and {more} more)" if more else ""))


def _as_json(result: IngestResult, dry_run: bool) -> dict[str, Any]:
    data: dict[str, Any] = {
        "dry_run": dry_run,
        "read": result.read,
        "cut": result.cut,
        "added": result.added,
        "unchanged": result.unchanged,
        "duplicates": result.duplicates,
        "near_duplicates": [
            {"group": group, "documents": ids} for group, ids in result.near_duplicates.items()
        ],
        "rejected": [
            {
                "path": None if error.path is None else str(error.path),
                "line": error.line,
                "reason": error.message,
            }
            for error in result.rejected
        ],
        "dropped_lines": result.dropped_lines,
        "notes": [
            {"path": str(note.path), "line": note.line, "note": note.text} for note in result.notes
        ],
    }
    if dry_run:
        data["pages"] = [
            {
                "path": str(page.path),
                "id": page.document_id,
                "characters": page.kept_characters,
                "mapped": page.mapped,
                "dropped": [
                    {
                        "line": line.number,
                        "text": line.text,
                        "reason": str(line.reason),
                        "why": line.reason.explanation,
                    }
                    for line in page.dropped
                ],
            }
            for page in result.pages
        ]
    return data


def _table(console: Console, result: IngestResult, dry_run: bool) -> None:
    from rich.text import Text

    for page in result.pages:
        console.print(f"{page.path}: {page.kept_characters} characters stay", markup=False)
        for line in page.dropped:
            shown = line.text if len(line.text) <= 100 else f"{line.text[:97]}..."
            console.print(
                Text(f"  {line.number:>5}  ")
                + Text(f"{line.reason:<10}", style="yellow")
                + Text(f" {shown}")
            )
    reasons = {line.reason for page in result.pages for line in page.dropped}
    if reasons:
        console.print("reasons:")
    for reason in sorted(reasons):
        console.print(f"  {reason:<10} {reason.explanation}", markup=False)
    would = "would be " if dry_run else ""
    if result.cut:
        console.print(f"{result.cut} documents {would}cut into passages, which count as records")
    console.print(
        f"{result.read} records read: {result.added} {would}added, "
        f"{result.unchanged} unchanged, {result.duplicates} exact duplicates skipped; "
        f"{len(result.rejected)} rejected; {result.dropped_lines} lines left out by cleaning",
        markup=False,
    )
    for group, ids in result.near_duplicates.items():
        shown = ", ".join(ids[:6]) + (f" and {len(ids) - 6} more" if len(ids) > 6 else "")
        console.print(f"near-duplicates, group {group}: {shown}", markup=False)
