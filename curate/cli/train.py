"""curate train, curate models list and show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli.common import JsonOption, TerminalReporter, context_of, emit, show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from curate.extractors.models import Card
    from curate.flows.models import Promotion
    from curate.scoring.comparison import Difference

group = typer.Typer(no_args_is_help=True, help="The trained models of the workspace.")


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Example: curate train --gold latest --seed 1\n\n"
        "The model learns from the train split, is calibrated on dev and scored once on test; it "
        "becomes models/NAME-VERSION, a spaCy pipeline with its card (model.json)."
    )(train)
    app.add_typer(group, name="models")


def train(
    ctx: typer.Context,
    gold: Annotated[
        str,
        typer.Option(
            help="A version, `latest`, a release's folder, or an interchange file whose records "
            "say their split in meta.split."
        ),
    ] = "latest",
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Train anew with the settings of this model (NAME, NAME@VERSION, an alias); what "
            "else is said here wins.",
            metavar="MODEL",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="The model's name; default: the schema's.")] = "",
    seed: Annotated[
        int | None,
        typer.Option(help="The same seed gives the same bytes; default: 0.", min=0),
    ] = None,
    extractor: Annotated[
        str | None,
        typer.Option(
            help="`crf` (the default), or spaCy's own `ner` or `spancat`; each with relations."
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Any spaCy training config to use instead; train and dev are handed to it.",
            metavar="FILE",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Steps of spaCy's own training at most (max_steps).", min=1),
    ] = None,
    rules: Annotated[
        bool | None,
        typer.Option(
            "--rules/--no-rules",
            help="Give the model the bootstrap rules' tags to see; so by default.",
        ),
    ] = None,
    clusters: Annotated[
        int | None,
        typer.Option(help="Word clusters to learn from raw text; default: by its amount.", min=0),
    ] = None,
    stack: Annotated[
        str | None,
        typer.Option(
            help="Another model (NAME, NAME@VERSION, or a pipeline's folder) whose tags the entity "
            "model is to see; it becomes part of the new one. Default: what the model of --from "
            "carries.",
            metavar="MODEL",
        ),
    ] = None,
    relation_precision: Annotated[
        float | None,
        typer.Option(
            help="Let relations pass only where about this share of them is right (by "
            "cross-validation), such as 0.8; default: what gives the best F1.",
            min=0.0,
            max=1.0,
        ),
    ] = None,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune/--no-tune",
            help="Try a few penalties and windows on dev, or by cross-validation where dev is "
            "small; takes up to ten times as long.",
        ),
    ] = False,
    auto: Annotated[
        bool,
        typer.Option(
            "--auto",
            help="Promote the model by the rule of `models promote`, or say why not and exit 1; "
            "it is kept either way.",
        ),
    ] = False,
    margin: Annotated[
        float,
        typer.Option(help="With --auto: how much better it must be for sure.", min=0.0),
    ] = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Train a model on gold."""
    from dataclasses import replace

    from curate.errors import ConfigurationError, FindingsError
    from curate.extractors.train import TrainSettings, aids_for
    from curate.flows.train import settings_from
    from curate.flows.train import train as run
    from curate.gold.opening import open_gold

    context = context_of(ctx)
    if config is not None and not config.is_file():
        raise ConfigurationError("there is no such config file", path=config)
    found = open_gold(gold, context.gold)
    schema = found.schema or context.schema
    said: dict[str, Any] = {
        "extractor": extractor,
        "seed": seed,
        "clusters": clusters,
        "steps": steps,
        "precision": relation_precision,
        "config": None if config is None else str(config),
    }
    told = {key: value for key, value in said.items() if value is not None} | {"tune": tune}
    if rules is not None:
        told["rules"] = None if rules else ""
    settings = settings_from(context.models, from_) if from_ else TrainSettings()
    settings = replace(settings, **told)
    result = run(
        found,
        schema,
        context.models,
        TerminalReporter(),
        name=name,
        settings=settings,
        aids=aids_for(context.gazetteers, context.models, stack=stack, like=from_),
        raw=[] if clusters == 0 else context.raw_texts(),
        auto=margin if auto else None,
    )

    def table(console: Console) -> None:
        said = "" if result.fresh else " was there already: the same gold, settings and seed"
        console.print(f"{result.card.reference} in {result.folder}{said}", markup=False)
        _scores(console, result.card.scores)
        for note in result.card.notes:
            console.print(f"note: {note}", markup=False)
        if result.promotion is not None:
            _promotion(console, result.promotion)

    emit(result.as_dict(), as_json, table)
    if result.promotion is not None and result.promotion.behind:
        raise FindingsError(result.promotion.behind)


@group.command("list", epilog="Example: curate models list")
def list_(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Every model with its scores on test."""
    from curate.extractors.models import damaged
    from curate.flows.models import list_models

    found = list_models(context_of(ctx).models)
    for wrong in damaged(context_of(ctx).models):
        TerminalReporter().warn(wrong)

    def table(console: Console) -> None:
        from rich.table import Table

        if not found:
            console.print("no models yet; run `curate train`")
            return
        rows = Table("model", "extractor", "trained on", "entities F1", "relations F1", "")
        for one in found:
            test = one.card.scores.get("test", {})
            rows.add_row(
                one.card.reference,
                one.card.extractor,
                str(one.card.release.get("name")),
                show(test.get("entities", {}).get("f1")),
                show(test.get("relations", {}).get("f1")),
                ", ".join(one.aliases),
            )
        console.print(rows)

    emit([one.as_dict() for one in found], as_json, table)


@group.command("show", epilog="Example: curate models show sahel@1")
def show_(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="NAME, NAME@VERSION or an alias.")],
    as_json: JsonOption = False,
) -> None:
    """The card of one model: what it learned from, how, and how well."""
    from curate.flows.models import show_model

    found = show_model(context_of(ctx).models, model)

    def table(console: Console) -> None:
        card = found.card
        console.print(f"{card.reference} ({card.extractor}) in {found.folder}", markup=False)
        console.print(f"digest {card.digest}", markup=False)
        console.print(
            f"learned from {card.release.get('name')}: "
            + ", ".join(f"{name} {n}" for name, n in (card.counts.get("documents") or {}).items())
            + f"; its digest {card.release.get('digest')}",
            markup=False,
            soft_wrap=True,
        )
        console.print(f"settings: {_settings(card.settings)}", markup=False, soft_wrap=True)
        console.print(
            f"looks at that test split: {card.looks} when it was trained, {found.looks} by now",
            markup=False,
        )
        _scores(console, card.scores)
        _labels(console, card)
        for one in card.settings.get("tuning", {}).get("tried", ()):
            values = ", ".join(f"{k} {v}" for k, v in one["values"].items()) or "defaults"
            console.print(
                f"tried for {one['part']}, {values}: F1 {show(one['f1'])} "
                f"({show(one['difference'])} ± {show(one['error'])})",
                markup=False,
            )
        for one in found.promotions:
            forced = f", forced: {one['forced']}" if one.get("forced") else ""
            console.print(
                f"took the place of {one.get('before')} on {one.get('gold')}, "
                f"{one.get('at')}{forced}",
                markup=False,
            )
        for note in card.notes:
            console.print(f"note: {note}", markup=False)

    emit(found.as_dict(), as_json, table)


@group.command(
    epilog="Example: curate models promote sahel@3 --gold latest\n\n"
    "The reason of --force is kept in models/promotions.jsonl and shown by `models show`."
)
def promote(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="NAME or NAME@VERSION.")],
    gold: Annotated[
        str,
        typer.Option(help="A version, `latest`, a release's folder, or a file with meta.split."),
    ] = "latest",
    margin: Annotated[
        float, typer.Option(help="How much better in entity F1 it must be for sure.", min=0.0)
    ] = 0.0,
    force: Annotated[
        str | None,
        typer.Option(help="Promote it anyway, for this reason, which is kept.", metavar="REASON"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a model the champion if it is better; else exit 1.

    Better: the paired interval of the difference in entity F1 clears the margin, no label and not
    the relations are significantly worse, and annotators owe no more edits.
    """
    from curate.errors import FindingsError
    from curate.flows.models import promote as run
    from curate.gold.opening import open_gold

    context = context_of(ctx)
    found = open_gold(gold, context.gold)
    schema = found.schema or context.schema
    result = run(context.models, model, found, schema, margin=margin, reason=force)

    emit(result.as_dict(), as_json, lambda console: _promotion(console, result))
    if result.behind:
        raise FindingsError(result.behind)


def _promotion(console: Console, result: Promotion) -> None:
    """What the comparison said, and whether the place changed hands."""
    from rich.table import Table

    verdict = result.verdict
    if verdict is None:
        console.print(f"{result.reference} {result.reason}", markup=False)
        return
    rows = Table("on the test split", result.champion, result.reference, "difference")
    for found in verdict.comparison.differences:
        main = (found.part, found.measure) in (("entities", "strict"), ("relations", "boundaries"))
        if main and found.label is None:
            rows.add_row(f"{found.part} F1", show(found.a), show(found.b), _difference(found))
    before, after = verdict.edits
    rows.add_row("edits per gold entity", show(before.per_entity), show(after.per_entity), "")
    for kind in ("add", "remove", "relabel", "move"):
        rows.add_row(f"  to {kind}", str(getattr(before, kind)), str(getattr(after, kind)), "")
    for found in verdict.significant:
        rows.add_row(str(found.label), show(found.a), show(found.b), _difference(found))
    console.print(rows)
    if not verdict.significant:
        console.print("no label differs significantly", markup=False)
    console.print(
        f"{verdict.comparison.documents} test documents; looks at that test split so far: "
        f"{result.looks}",
        markup=False,
    )
    if result.promoted:
        forced = "" if verdict.better else f", forced: {result.reason}"
        console.print(
            f"{result.reference} takes the place of {result.champion}{forced}", markup=False
        )


def _difference(found: Difference) -> str:
    between = "" if found.ci is None else f" [{found.ci[0]:+.3f}, {found.ci[1]:+.3f}]"
    return "n/a" if found.difference is None else f"{found.difference:+.3f}{between}"


def _settings(used: Mapping[str, Any]) -> str:
    """The settings as one line; what was not set is what the component's own default says."""
    plain = {k: v for k, v in used.items() if not isinstance(v, dict)}
    stacked, config = used.get("stack") or {}, used.get("config") or {}
    if stacked:
        plain["stack"] = f"{stacked.get('name')}@{stacked.get('version')}"
    if config:
        plain["config"] = f"{config.get('file')} ({str(config.get('sha256'))[:12]})"
    told = [f"{k} {'none' if v == '' else v}" for k, v in plain.items() if v is not None]
    versions = [f"{k} {v}" for k, v in (used.get("versions") or {}).items()]
    return ", ".join(told) + ("; " + ", ".join(versions) if versions else "")


def _labels(console: Console, card: Card) -> None:
    """F1 by label beside the number of examples in train."""
    from rich.table import Table

    splits = [split for split in ("dev", "test") if split in card.scores]
    if not splits:
        return
    rows = Table("label", "in train", *(f"{split} F1" for split in splits))
    counts = card.counts.get("train", {})
    for label in (*card.labels, *card.relations):
        cells = [show(card.scores[split].get("per_label", {}).get(label)) for split in splits]
        rows.add_row(label, str(counts.get(label, 0)), *cells)
    console.print(rows)


def _scores(console: Console, scores: Any) -> None:
    for split, found in scores.items():
        for part in ("entities", "relations"):
            measure = found[part]
            interval = measure.get("ci")
            between = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
            console.print(
                f"{split} ({found['documents']} documents): {part} F1 "
                f"{show(measure.get('f1'))}{between}",
                markup=False,
            )
        owed = found.get("edits")
        if owed:
            console.print(
                f"{split}: {show(owed['per_entity'])} edits per gold entity ({owed['add']} to add, "
                f"{owed['remove']} to remove, {owed['relabel']} to relabel, {owed['move']} to "
                "move)",
                markup=False,
            )
