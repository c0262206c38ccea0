"""curate gold: import, build, list, show, diff, log, blame, verify, lint, decisions, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli.common import (
    Context,
    DryRunOption,
    JsonOption,
    TerminalReporter,
    context_of,
    emit,
)

if TYPE_CHECKING:
    from rich.console import Console

    from curate.gold.building import Recipe
    from curate.gold.judge import Judge
    from curate.gold.opening import GoldSet

group = typer.Typer(no_args_is_help=True, help="Releases of gold: numbered, and never rewritten.")
decisions_group = typer.Typer(
    no_args_is_help=True, help="The decisions with their provenance, as one file."
)
group.add_typer(decisions_group, name="decisions")


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="gold")


@group.command("import", epilog="Example: curate gold import gold.jsonl --by desk")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The gold set; a folder for brat.")],
    form: Annotated[
        str, typer.Option("--format", help="jsonl (interchange), conll, prodigy or brat.")
    ] = "jsonl",
    by: Annotated[
        str, typer.Option(help="The curator who decided, as provenance names it.")
    ] = "gold",
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Pass over records that are wrong, and say so.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 if a record was passed over.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Enter a gold set as curators' decisions, in place of older.

    A document that is decided already is replaced.
    """
    from curate.flows.gold_import import import_gold

    context = context_of(ctx)
    result = import_gold(
        context.store,
        file,
        context.schema,
        TerminalReporter(),
        form=form,
        by=by,
        keep_going=keep_going,
    )
    _tell_import(result, as_json)
    if strict and result.passed_over:
        raise typer.Exit(1)


def _tell_import(result: Any, as_json: bool) -> None:
    def table(console: Console) -> None:
        console.print(
            f"{result.records} decisions: {result.added} added, {result.replaced} replaced, "
            f"{result.unchanged} unchanged; {result.documents} new documents, "
            f"{result.entities} entities, {result.relations} relations",
            markup=False,
        )
        if result.duplicates:
            console.print(f"{result.duplicates} items stood twice and count once", markup=False)
        if result.passed_over:
            console.print(f"{result.passed_over} records were passed over", markup=False)

    emit(result.as_dict(), as_json, table)


@group.command(epilog="Example: curate gold build --dry-run")
def build(
    ctx: typer.Context,
    version: Annotated[
        str | None,
        typer.Option(help="The version expected; refused if the changes call for another."),
    ] = None,
    notes: Annotated[str, typer.Option(help="A sentence for the changelog.")] = "",
    allow_open: Annotated[
        bool,
        typer.Option("--allow-open", help="Leave out test documents with open differences."),
    ] = False,
    by_date: Annotated[
        bool, typer.Option("--by-date", help="Split in time: the newest documents are the test.")
    ] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Publish the next release from the decisions in the store."""
    from curate.flows.gold_build import build_gold

    context = context_of(ctx)
    result = build_gold(
        context.store,
        context.gold,
        _recipe(context, by_date, notes),
        _judge(context),
        TerminalReporter(),
        version=version,
        dry_run=dry_run,
        allow_open=allow_open,
    )

    def table(console: Console) -> None:
        from curate.cli.gold_tables import build_table

        build_table(console, result)

    emit(result.as_dict(), as_json, table)


def _recipe(context: Context, by_date: bool = False, notes: str = "") -> Recipe:
    from curate.gold.building import Recipe
    from curate.gold.card import CardInfo
    from curate.gold.splits import SplitRule

    corpus, card = context.settings.corpus, context.settings.card
    ratios = {str(split): weight for split, weight in corpus.splits.items()}
    return Recipe(
        corpus=corpus.name,
        schema=context.schema,
        splits=SplitRule(salt=corpus.salt, ratios=ratios, by_date=by_date),
        card=CardInfo(
            title=card.title,
            license=card.license,
            summary=card.summary,
            homepage=card.homepage,
            authors=tuple(card.authors),
            limits=tuple(card.limits),
            tags=tuple(card.tags),
            template=card.template,
        ),
        notes=notes,
    )


def _judge(context: Context) -> Judge:
    from curate.agreement.consensus import Rule
    from curate.errors import ConfigurationError, DataError
    from curate.gold.judge import Judge

    consensus = context.settings.consensus
    rule = Rule.parse(consensus.rule)
    if not consensus.pinned:
        return Judge(context.schema, rule=rule)
    named = consensus.pinned + (f":{consensus.first}" if consensus.pinned == "first" else "")
    try:
        return Judge(context.schema, Rule.parse(named), rule)
    except DataError as error:
        raise ConfigurationError(
            f"[consensus]: {error.message}", path=context.workspace / "curate.toml"
        ) from None


@group.command("list", epilog="Example: curate gold list")
def list_(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """The published versions, oldest first."""
    from curate.gold.manifest import read_manifest
    from curate.gold.versions import published

    folder = context_of(ctx).gold
    rows = []
    for version in published(folder):
        manifest = read_manifest(folder / str(version))
        rows.append(
            {
                "version": str(version),
                "parent": None if manifest.parent is None else manifest.parent["version"],
                "documents": manifest.counts["documents"],
                "entities": manifest.counts["entities"],
                "relations": manifest.counts["relations"],
                "digest": manifest.digest,
            }
        )

    def table(console: Console) -> None:
        from curate.cli.gold_tables import list_table

        list_table(console, rows)

    emit({"versions": rows}, as_json, table)


@group.command(epilog="Example: curate gold show latest depeche-01")
def show(
    ctx: typer.Context,
    version: Annotated[
        str, typer.Argument(help="A version, `latest`, a folder or a file.")
    ] = "latest",
    document: Annotated[str | None, typer.Argument(help="A document's id.")] = None,
    as_json: JsonOption = False,
) -> None:
    """What a release holds, or one document of it."""
    from curate.cli.gold_tables import document_table, manifest_table
    from curate.errors import DataError
    from curate.interchange import as_record

    gold = _open(ctx, version)
    if document is not None:
        found = next((item for item in gold.documents() if item.id == document), None)
        if found is None:
            raise DataError(f"{gold.name} has no document {document!r}; ids are exact")
        data = as_record(found.document, found.annotation)
        data |= {"group": found.group, "split": found.split}
        emit(data, as_json, lambda console: document_table(console, found))
        return
    if gold.release is None:
        raise DataError("is no release; name a document to show one of it", path=gold.path)
    manifest = gold.release.manifest
    data = {**manifest.body(), "digest": manifest.digest, "path": str(gold.path)}
    emit(data, as_json, lambda console: manifest_table(console, manifest))


@group.command(epilog="Example: curate gold diff 1.0.0 latest --html diff.html")
def diff(
    ctx: typer.Context,
    a: Annotated[str, typer.Argument(help="The older: a version, a folder or a file.")],
    b: Annotated[str, typer.Argument(help="The newer: a version, a folder or a file.")],
    html: Annotated[Path | None, typer.Option(help="Write a page to read.")] = None,
    as_json: JsonOption = False,
) -> None:
    """How two gold sets differ, change by change, in context."""
    import sys

    from curate.flows.gold_diff import diff_gold, write_json

    old, new = _open(ctx, a), _open(ctx, b)
    result = diff_gold(old, new, _schema(ctx, old, new))
    if html is not None:
        from curate.flows.gold_diff import write_page

        write_page(result, html)
        TerminalReporter().step(f"wrote {html}")

    def table(console: Console) -> None:
        from curate.cli.gold_tables import diff_table

        diff_table(console, result)

    if as_json:
        write_json(result, sys.stdout)
    else:
        emit(None, False, table)


@group.command(epilog="Example: curate gold log")
def log(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """The releases, newest first, with what changed in each."""
    from curate.flows.gold_diff import history

    entries = history(context_of(ctx).gold)

    def table(console: Console) -> None:
        from curate.cli.gold_tables import log_table

        log_table(console, entries)

    emit({"releases": entries}, as_json, table)


@group.command(epilog="Example: curate gold verify 1.0.0")
def verify(
    ctx: typer.Context,
    versions: Annotated[
        list[str] | None,
        typer.Argument(help="Versions or folders; default: every published one."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check releases to the byte; exits 1 if anything is wrong."""
    from curate.flows.gold_verify import verify_gold

    context = context_of(ctx)
    names = versions or []
    folder = context.gold if context.has_workspace else None
    results = verify_gold(folder, names)

    def table(console: Console) -> None:
        for result in results:
            for finding in result.findings:
                console.print(f"{result.version}: {finding}", markup=False)
            for note in result.notes:
                console.print(f"{result.version}: note: {note}", markup=False)
            if result.ok:
                console.print(
                    f"{result.version}: sound: {result.documents} documents, {result.entities} "
                    f"entities, {result.relations} relations, root digest {result.digest}",
                    markup=False,
                )

    ok = all(result.ok for result in results)
    data = {
        "ok": ok,
        "releases": [
            {
                "version": result.version,
                "ok": result.ok,
                "digest": result.digest,
                "findings": [finding.as_dict() for finding in result.findings],
                "notes": list(result.notes),
            }
            for result in results
        ],
    }
    emit(data, as_json, table)
    if not ok:
        raise typer.Exit(1)


@group.command(epilog="Example: curate gold blame depeche-01")
def blame(
    ctx: typer.Context,
    document: Annotated[str, typer.Argument(help="A document's id.")],
    version: Annotated[str, typer.Option(help="A version, `latest` or a release's folder.")] = (
        "latest"
    ),
    as_json: JsonOption = False,
) -> None:
    """How each entity and relation of a document came about."""
    from curate.flows.gold_lint import blame_document

    found = blame_document(_open(ctx, version), document)
    data = {
        "document": found.document,
        "told": list(found.head),
        "items": [story.as_dict() for story in found.items],
    }

    def table(console: Console) -> None:
        from curate.cli.gold_tables import blame_table

        blame_table(console, found)

    emit(data, as_json, table)


@group.command(epilog="Example: curate gold lint --rule repeat --rule article")
def lint(
    ctx: typer.Context,
    gold: Annotated[
        str | None,
        typer.Argument(
            help="A version, `latest`, a folder or a file; default: the store's decisions.",
            show_default=False,
        ),
    ] = None,
    rule: Annotated[list[str] | None, typer.Option(help="Only these rules.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many findings to show.")] = 100,
    push: Annotated[
        bool,
        typer.Option("--push", help="Send the places found in the store's decisions to review."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """What looks wrong, the surest first; exits 1 if anything does."""
    from curate.errors import UsageError
    from curate.flows.gold_lint import lint_set, lint_store

    context = context_of(ctx)
    if push and gold is not None:
        raise UsageError("--push sends the store's own decisions to review: leave the release out")
    if gold is None:
        findings = lint_store(context.store, context.schema, _judge(context), rule)
    else:
        opened = _open(ctx, gold)
        findings = lint_set(opened, _schema(ctx, opened), rule)
    data: dict[str, Any] = {
        "ok": not findings,
        "findings": [finding.as_dict() for finding in findings],
    }
    if push and findings:
        from curate.cli.review import push_findings

        data["pushed"] = push_findings(context, rule, len(findings))

    def table(console: Console) -> None:
        from curate.cli.gold_tables import lint_table

        lint_table(console, findings, limit)
        if "pushed" in data:
            console.print(f"{data['pushed']} tasks new in review: curate review status")

    emit(data, as_json, table)
    if findings:
        raise typer.Exit(1)


@decisions_group.command("export", epilog="Example: curate gold decisions export decisions.jsonl")
def decisions_export(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    version: Annotated[
        str | None,
        typer.Option(help="The decisions a release was built from; default: the store's."),
    ] = None,
    allow_open: Annotated[
        bool,
        typer.Option("--allow-open", help="Leave out test documents with open differences."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the decisions, to build the release elsewhere.

    They go with their provenance.
    """
    from curate.errors import UsageError
    from curate.flows.gold_decisions import export_decisions, export_release_decisions

    context = context_of(ctx)
    if version is not None:
        gold = _open(ctx, version)
        if gold.release is None:
            raise UsageError(f"{gold.path} is no release")
        result = export_release_decisions(gold.release, file)
    else:
        result = export_decisions(
            context.store,
            context.gold,
            _recipe(context),
            _judge(context),
            file,
            TerminalReporter(),
            allow_open=allow_open,
        )

    def table(console: Console) -> None:
        console.print(f"wrote {result.decisions} decisions to {file}", markup=False)

    emit(result.as_dict(), as_json, table)


@decisions_group.command("import", epilog="Example: curate gold decisions import decisions.jsonl")
def decisions_import(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file that `decisions export` wrote.")],
    as_json: JsonOption = False,
) -> None:
    """Enter decisions, in place of older ones.

    They come with their provenance.
    """
    from curate.flows.gold_decisions import import_decisions

    context = context_of(ctx)
    _tell_import(import_decisions(context.store, file, context.schema, TerminalReporter()), as_json)


@group.command(epilog="Example: curate gold export --format spacy --split train -o train.spacy")
def export(
    ctx: typer.Context,
    form: Annotated[
        str,
        typer.Option("--format", help="spacy, jsonl, prodigy, conll, brat, hf or docred."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file, or a folder for all splits.")
    ] = None,
    version: Annotated[
        str, typer.Option(help="A version, `latest`, a release's folder or an interchange file.")
    ] = "latest",
    split: Annotated[str | None, typer.Option(help="train, dev or test; default: all.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a release in another tool's form; count what is lost.

    What the form cannot carry is counted and named.
    """
    from curate.flows.gold_export import SUFFIX, export_gold

    gold = _open(ctx, version)
    context = context_of(ctx)
    name = f"{gold.release.manifest.corpus}-{gold.version}" if gold.release else gold.path.stem
    target = output or Path(
        f"{name}-{split}{SUFFIX[form]}"
        if split and form in SUFFIX
        else f"{name}-{form}" + ("" if gold.release or form not in SUFFIX else SUFFIX[form])
    )
    result = export_gold(
        gold,
        form,
        target,
        TerminalReporter(),
        split=split,
        schema=context.schema if context.has_workspace else None,
    )

    def table(console: Console) -> None:
        from curate.cli.gold_tables import export_table

        export_table(console, result)

    emit(result.as_dict(), as_json, table)


def _open(ctx: typer.Context, reference: str) -> GoldSet:
    from curate.gold.opening import open_gold

    context = context_of(ctx)
    return open_gold(reference, context.gold if context.has_workspace else None)


def _schema(ctx: typer.Context, *sets: GoldSet) -> Any:
    """The schema of the newest release among the sets, else the workspace's, else none."""
    for gold in reversed(sets):
        if gold.schema is not None:
            return gold.schema
    context = context_of(ctx)
    return context.schema if context.has_workspace else None
