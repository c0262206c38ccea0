"""curate train-curve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.common import JsonOption, TerminalReporter, context_of, emit, show

if TYPE_CHECKING:
    from rich.console import Console

    from curate.flows.train_curve import LearningCurve


def register(app: typer.Typer) -> None:
    app.command(
        "train-curve",
        epilog="Example: curate train-curve --gold latest --output build/curve\n\n"
        "Models are trained on nested shares of train, by near-duplicate group, several times "
        "over; a power law F(n) = c - a·(n + k)^(-b) through their scores says what more "
        "documents would bring. Each model's score is kept: a run that was broken off "
        "goes on where it stopped.",
    )(train_curve)


def train_curve(
    ctx: typer.Context,
    gold: Annotated[
        str,
        typer.Option(help="A version, `latest`, a release's folder, or a file with meta.split."),
    ] = "latest",
    shares: Annotated[
        str, typer.Option(help="Shares of train, with commas between.", metavar="SHARES")
    ] = "0.1,0.2,0.35,0.6,1",
    seeds: Annotated[
        int, typer.Option("--seeds", help="How many repetitions.", min=1, max=100)
    ] = 5,
    seed: Annotated[int, typer.Option(help="The first repetition's seed.", min=0)] = 0,
    on: Annotated[
        str,
        typer.Option(
            help="What to score on: dev, cross (parts of train in turn), test (which counts as "
            "looks), or auto: dev where it is large enough, else cross.",
            metavar="SPLIT",
        ),
    ] = "auto",
    more: Annotated[
        int | None,
        typer.Option(
            help="Documents to come; default: 100, or a doubling where there are fewer.", min=1
        ),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", help="Train with the settings of this model.", metavar="MODEL"),
    ] = None,
    extractor: Annotated[
        str | None, typer.Option(help="`crf` (the default), `ner` or `spancat`.")
    ] = None,
    rules: Annotated[
        bool | None,
        typer.Option("--rules/--no-rules", help="Give the model the bootstrap rules' tags to see."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Write curve.json, curve.png, curve.svg and report.html here.", metavar="DIR"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what more gold would bring, and of which label."""
    from dataclasses import replace

    from curate.errors import UsageError
    from curate.extractors.train import TrainSettings, aids_for
    from curate.flows.train import settings_from
    from curate.flows.train_curve import CurveOptions, write_report
    from curate.flows.train_curve import train_curve as run
    from curate.gold.opening import open_gold

    context = context_of(ctx)
    try:
        parts = tuple(float(part) for part in shares.split(",") if part.strip())
    except ValueError:
        raise UsageError(f"--shares is {shares!r}; write numbers such as 0.1,0.3,1") from None
    reporter = TerminalReporter()
    settings = settings_from(context.models, from_) if from_ else TrainSettings()
    if extractor is not None:
        settings = replace(settings, extractor=extractor)
    if rules is not None:
        settings = replace(settings, rules=None if rules else "")
    found = open_gold(gold, context.gold)
    result = run(
        found,
        found.schema or context.schema,
        context.models,
        context.state / "train-curve",
        reporter,
        CurveOptions(shares=parts, repeats=seeds, seed=seed, on=on, more=more),
        settings=settings,
        raw=context.raw_texts(),
        aids=aids_for(context.gazetteers, context.models, like=from_),
    )
    if output is not None:
        for path in write_report(result, output):
            reporter.step(f"wrote {path}")
    emit(result.as_dict(), as_json, lambda console: _table(console, result))


def _table(console: Console, result: LearningCurve) -> None:
    from rich.table import Table

    where = "parts of train in turn" if result.on == "cross" else f"the {result.on} split"
    console.print(
        f"{result.gold.name}: {result.train} documents in train, scored on {where} "
        f"({result.scored} documents)",
        markup=False,
    )
    rows = Table("documents", *(f"{curve.name} F1" for curve in result.main))
    for step, size in enumerate(result.main[0].sizes if result.main else ()):
        cells = []
        for curve in result.main:
            between = curve.ci[step]
            cells.append(
                show(curve.f1[step])
                + ("" if between is None else f" [{between[0]:.3f}, {between[1]:.3f}]")
            )
        rows.add_row(f"{size:.0f}", *cells)
    console.print(rows)
    for sentence in result.sentences:
        console.print(sentence, markup=False)
    labels = Table("label", "in train", "F1", "what to annotate next")
    for one in result.advice:
        labels.add_row(one.label, str(one.support), show(one.f1), one.text)
    console.print(labels)
    for note in result.notes:
        console.print(f"note: {note}", markup=False)
