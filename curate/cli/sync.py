"""curate push · pull · sync · status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli.common import (
    Context,
    DryRunOption,
    JsonOption,
    TerminalReporter,
    context_of,
    emit,
    show,
)
from curate.cli.terminal import printable

if TYPE_CHECKING:
    from rich.console import Console

    from curate.flows.choosing import Chosen
    from curate.flows.pull import PullResult
    from curate.flows.push import PushOptions, PushResult
    from curate.flows.status import Fate, Status


class Order(StrEnum):
    """In what order documents become tasks."""

    oldest = "oldest"
    random = "random"
    uncertainty = "uncertainty"


ProjectOption = Annotated[
    str | None,
    typer.Option("--project", metavar="TITLE", help="The project; default: that of curate.toml."),
]
LimitOption = Annotated[int | None, typer.Option(help="Push at most this many documents.", min=0)]
OrderOption = Annotated[
    Order,
    typer.Option(
        help="uncertainty: what the model doubts most per word, spread out, with a share by lot; "
        "random: by --seed."
    ),
]
SeedOption = Annotated[
    int, typer.Option(help="The seed of --order random, of the share by lot, and of --blind.")
]
ShareOption = Annotated[
    float,
    typer.Option(
        "--by-lot",
        metavar="SHARE",
        help="Of --order uncertainty: the share of documents drawn by lot instead, which keeps "
        "honest estimates possible.",
        min=0.0,
        max=1.0,
    ),
]
OverlapOption = Annotated[
    int | None,
    typer.Option(
        help="Annotators a task; default: as it is, for a new project that of curate.toml.",
        min=1,
        max=20,
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Exit 1 if anything was refused or quarantined.")
]
AdoptOption = Annotated[
    bool,
    typer.Option("--adopt", help="Take over a project of this title that this store did not make."),
]
RecreateOption = Annotated[
    bool, typer.Option("--recreate", help="Start over if the project was deleted in Label Studio.")
]


BlindOption = Annotated[
    float | None,
    typer.Option(
        "--blind",
        metavar="SHARE",
        help="Withhold the predictions of this share of documents, drawn by --seed; 0.1 for one "
        "in ten. `curate agreement --bias` compares the two.",
        min=0.0,
        max=1.0,
    ),
]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: curate push --limit 100 --order uncertainty")(push)
    app.command(epilog="Example: curate pull --full")(pull)
    app.command(epilog="Example: curate sync")(sync)
    app.command(epilog="Example: curate status --fate")(status)


def push(
    ctx: typer.Context,
    project: ProjectOption = None,
    limit: LimitOption = None,
    order: OrderOption = Order.oldest,
    seed: SeedOption = 0,
    by_lot: ShareOption = 0.2,
    overlap: OverlapOption = None,
    adopt: AdoptOption = False,
    recreate: RecreateOption = False,
    blind: BlindOption = None,
    dry_run: DryRunOption = False,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make tasks of new documents, with the model's predictions.

    Nothing is ever pushed twice: after a failure, run it again.
    """
    from curate.flows.push import push as run

    context = context_of(ctx)
    options = _push_options(
        context,
        project,
        limit=limit,
        order=order.value,
        seed=seed,
        share=by_lot,
        overlap=overlap,
        adopt=adopt,
        recreate=recreate,
        blind=blind,
        dry_run=dry_run,
    )
    with context.label_studio() as client:
        result = run(context.store, client, context.schema, options, TerminalReporter())
    emit(asdict(result), as_json, lambda console: _push_table(console, result))
    if strict and (result.refused or result.unfit):
        raise typer.Exit(1)


def pull(
    ctx: typer.Context,
    project: ProjectOption = None,
    full: Annotated[
        bool, typer.Option("--full", help="Everything anew, and which tasks were deleted.")
    ] = False,
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Decode the kept raw answers again; nothing is fetched."),
    ] = False,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bring back what annotators did since the last pull.

    received = stored + unchanged + quarantined, counted in annotations.
    """
    from curate.errors import UsageError
    from curate.flows.pull import PullOptions
    from curate.flows.pull import pull as run
    from curate.flows.pull import replay as again

    if full and replay:
        raise UsageError("--full asks Label Studio, --replay does not: choose one")
    context = context_of(ctx)
    options = PullOptions(project or context.settings.studio.project, full, replay)
    if replay:
        result = again(context.store, context.schema, options, TerminalReporter())
    else:
        store, schema = context.store, context.schema
        with context.label_studio() as client:
            result = run(store, client, schema, options, TerminalReporter())
    emit(asdict(result), as_json, lambda console: _pull_table(console, result))
    if strict and (result.quarantined or result.poisoned):
        raise typer.Exit(1)


def sync(
    ctx: typer.Context,
    project: ProjectOption = None,
    limit: LimitOption = None,
    order: OrderOption = Order.oldest,
    seed: SeedOption = 0,
    by_lot: ShareOption = 0.2,
    overlap: OverlapOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Pull, then push what is new; one may fail without the other.

    What the other half did stands, and a second run goes on.
    """
    from curate.flows.sync import sync as run

    context = context_of(ctx)
    options = _push_options(
        context,
        project,
        limit=limit,
        order=order.value,
        seed=seed,
        share=by_lot,
        overlap=overlap,
    )
    with context.label_studio() as client:
        result = run(context.store, client, context.schema, options, TerminalReporter())
    data = {
        "pull": None if result.pulled is None else asdict(result.pulled),
        "push": None if result.pushed is None else asdict(result.pushed),
        "errors": [str(error) for error in result.errors],
    }

    def table(console: Console) -> None:
        if result.pulled is not None:
            _pull_table(console, result.pulled)
        if result.pushed is not None:
            _push_table(console, result.pushed)

    emit(data, as_json, table)
    if result.errors:
        for error in result.errors[1:]:
            TerminalReporter().warn(str(error))
        raise result.errors[0]
    misfits = result.pulled is not None and result.pulled.quarantined
    if strict and (misfits or (result.pushed is not None and result.pushed.refused)):
        raise typer.Exit(1)


def status(
    ctx: typer.Context,
    project: ProjectOption = None,
    fate: Annotated[
        bool,
        typer.Option("--fate", help="What annotators made of each model's predictions."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say where the workspace stands and what comes next.

    From the store: Label Studio is not asked.
    """
    from curate.flows import status as flow

    context = context_of(ctx)
    found = flow.status(
        context.store,
        project or context.settings.studio.project,
        gold=context.gold,
        models=context.models,
        pinned=bool(context.settings.consensus.pinned),
    )
    fates = flow.fate(context.store, context.schema) if fate else []
    data: dict[str, Any] = asdict(found)
    if fate:
        data["fate"] = [
            {
                "model": item.model,
                "annotations": item.annotations,
                "untouched": item.untouched,
                "entities": dict(item.entities),
                "relations": dict(item.relations),
                "per_label": {name: dict(item.per_label[name]) for name in sorted(item.per_label)},
                "median_lead_time": item.median_lead_time,
            }
            for item in fates
        ]

    def table(console: Console) -> None:
        if fate:
            _fate_table(console, fates)
        else:
            _status_table(console, found)

    emit(data, as_json, table)


def _push_options(context: Context, project: str | None, **chosen: Any) -> PushOptions:
    from curate.flows.push import PushOptions

    studio = context.settings.studio
    return PushOptions(
        title=project or studio.project,
        first_overlap=studio.overlap,
        chunk_tasks=studio.chunk_tasks,
        chunk_bytes=studio.chunk_bytes,
        **chosen,
    )


def _push_table(console: Console, result: PushResult) -> None:
    would = "would be " if result.dry_run else ""
    lines = [
        (
            f"{result.pushed} documents {would}pushed to {result.project!r}, "
            f"{result.with_predictions} with predictions; {result.waiting} wait"
        )
    ]
    if result.chosen is not None:
        lines.append(_how_chosen(result.chosen))
    if result.blind:
        lines.append(f"{result.blind} of them {would}blind: their predictions are withheld")
    if result.recovered:
        lines.append(f"{result.recovered} tasks had arrived in an earlier push")
    if result.doubles_removed:
        lines.append(f"{result.doubles_removed} tasks stood twice and were removed")
    if result.replaced or result.kept:
        lines.append(
            f"{result.replaced} tasks {would}given the predictions of {result.model_version}; "
            f"{result.kept} have been begun and keep theirs"
        )
    for document_id, reason in result.refused.items():
        lines.append(f"refused: {document_id}: {reason}")
    if result.unfit:
        first = next(iter(result.unfit.items()))
        lines.append(
            f"{len(result.unfit)} predictions do not fit the schema and were left out, "
            f"{first[0]} for one: {first[1]}"
        )
    if not result.dry_run:
        lines.append(result.url)
    for line in lines:
        console.print(line, markup=False)


def _how_chosen(chosen: Chosen) -> str:
    said = f"chosen of {chosen.candidates}: {chosen.uncertain} by what the model doubts per word"
    if chosen.doubts is not None:
        said += f" (expected gain {show(chosen.doubts, 2)} among 100 words"
        if chosen.doubts_by_lot is not None:
            said += f", {show(chosen.doubts_by_lot, 2)} by lot"
        said += ")"
    said += f", {chosen.by_lot} by lot (seed {chosen.seed})"
    if chosen.others:
        said += f", {chosen.others} others, since no more doubts are known"
    return f"{said}; about {chosen.words} words to read"


def _pull_table(console: Console, result: PullResult) -> None:
    console.print(
        f"{result.received} annotations received: {result.stored} stored, {result.unchanged} "
        f"unchanged, {result.quarantined} quarantined; {result.deleted} deleted",
        markup=False,
    )
    if result.tasks_deleted:
        console.print(f"{result.tasks_deleted} tasks were deleted in Label Studio")
    if result.quarantined:
        console.print("why: curate quarantine list")


def _lines_of(commands: Sequence[str], width: int = 46) -> list[str]:
    """The commands on as few lines as hold them; none is broken, so that it can be copied."""
    lines: list[str] = []
    for command in commands:
        if lines and len(f"{lines[-1]} · {command}") <= width:
            lines[-1] += f" · {command}"
        else:
            lines.append(command)
    return lines


_PEOPLE = 4
"""Annotators that `curate status` shows a line each; the whole is to fit one screen."""


def _status_table(console: Console, found: Status) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    rows: list[tuple[str, str]] = [
        ("documents", f"{found.documents}, {found.predicted} with predictions"),
        (
            "project",
            f"{found.project} (not pushed to yet)"
            if found.project_id is None
            else f"{found.project}, {found.server}/projects/{found.project_id}",
        ),
        (
            "pushed",
            f"{found.pushed}, {found.waiting} wait"
            + (f"; {len(found.by_lot)} are a random sample" if found.by_lot else ""),
        ),
        (
            "annotated",
            str(found.annotated)
            + "".join(
                f", {n} by {k} annotator{'s' * (k > 1)}" for k, n in found.annotated_by.items()
            ),
        ),
        (
            "annotations",
            (
                f"{found.annotations}, {found.skipped} skipped, {found.ground_truth} ground truth, "
                f"{found.deleted} deleted, {found.drafts} drafts"
            ),
        ),
    ]
    people = list(found.per_annotator.items())
    if len(people) <= _PEOPLE:
        rows += [(f"  {name}", str(number)) for name, number in people]
    else:
        most = sorted(people, key=lambda pair: -pair[1])[:_PEOPLE]
        said = ", ".join(f"{name} {number}" for name, number in most)
        rows.append((f"  {len(people)} people", f"{said}, … (curate report annotators)"))
    rows.append(
        ("decided", str(found.decided) + (f", {found.in_review} in review" * bool(found.in_review)))
    )
    if found.quarantined:
        rows.append(("quarantined", f"{found.quarantined} (curate quarantine list)"))
    for name, number in (
        ("documents changed since pushed", found.changed),
        ("documents removed since pushed", found.removed),
        ("tasks deleted in Label Studio", found.tasks_deleted),
        ("tasks edited in Label Studio", found.tasks_edited),
        ("tasks not made by curate", found.tasks_foreign),
        ("tasks of unknown documents", found.tasks_unknown),
        ("documents with two tasks", found.tasks_double),
        ("chunks sent, not confirmed", found.in_flight),
    ):
        if number:
            rows.append((name, str(number)))
    rows.append(("last pull", _minute(found.last_pull) if found.last_pull else "never"))
    if found.release is None:
        rows.append(("released", "nothing yet"))
    else:
        since = f"; {found.since} annotations changed since" if found.since else ""
        rows.append(("released", f"{found.release}, {found.released} documents{since}"))
    if found.model is not None:
        champion = f"champion {found.champion}" if found.champion else "no champion yet"
        rows.append(("models", f"{found.models}, the newest {found.model}; {champion}"))
    coming = _lines_of(found.next)
    if found.next[:1] == ("curate pull",) and not found.annotated:
        coming.insert(0, "annotate in Label Studio: Label All Tasks, Submit")
    rows += [("" if n else "next", line) for n, line in enumerate(coming)]
    for name, value in rows:
        table.add_row(_plain(name), _plain(value))
    console.print(table)


def _minute(moment: str) -> str:
    """A moment as people write it; the store keeps microseconds, in UTC."""
    return f"{moment[:16].replace('T', ' ')} UTC" if len(moment) > 16 else moment


def _fate_table(console: Console, fates: list[Fate]) -> None:
    from rich.table import Table

    if not fates:
        console.print("no annotator has started from a model's prediction yet")
        return
    columns = ("kept", "moved", "relabelled", "both", "restructured", "removed", "added")
    table = Table("model", "items", *columns, box=None, padding=(0, 1, 0, 0))
    for item in fates:
        for what, counts in (("entities", item.entities), ("relations", item.relations)):
            table.add_row(_plain(item.model), what, *(str(counts[column]) for column in columns))
    console.print(table)
    for item in fates:
        console.print(
            f"{item.model}: {item.annotations} annotations, {item.untouched} accepted unchanged, "
            f"median {show(item.median_lead_time, 0)} s",
            markup=False,
        )


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(printable(text, one_line=True))
