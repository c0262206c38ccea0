"""Scores and comparisons as tables for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from curate.cli.common import show

if TYPE_CHECKING:
    from rich.console import Console

    from curate.flows.compare import Compared
    from curate.flows.evaluate import Evaluation
    from curate.scoring import Measure, PartScores, Scores

NAMES = {
    "strict": "strict",
    "exact": "exact span",
    "partial": "partial",
    "lenient": "lenient",
    "boundaries": "boundaries",
    "given_entities": "given entities",
    "chains": "chains",
}


def show_ci(ci: tuple[float, float] | None, digits: int = 3) -> str:
    return "n/a" if ci is None else f"[{ci[0]:.{digits}f}, {ci[1]:.{digits}f}]"


def evaluation_table(console: Console, result: Evaluation) -> None:
    """Measures, labels and errors of entities and relations."""
    scores = result.scores
    where = f", split {result.options.split}" if result.options.split else ""
    console.print(
        f"{result.predictions.name} against {result.gold.name}{where}: "
        f"{scores.documents} documents",
        markup=False,
    )
    for title, part in (("Entities", scores.entities), ("Relations", scores.relations)):
        _measures(console, title, part)
        if part.per_label:
            _labels(console, title, part)
        _errors(console, title, part)
        if part.calibration is not None:
            c = part.calibration
            point = c.threshold_for(0.9)
            console.print(
                f"Calibration over {c.count} scored claims: Brier {c.brier:.3f}, "
                f"ECE {c.ece:.3f}, area under risk-coverage {c.aurc:.3f}; "
                + (
                    "no threshold gives 90 % precision"
                    if point is None
                    else f"90 % precision from score {point.threshold:.3f} on, which keeps "
                    f"{point.coverage:.0%} of them"
                ),
                markup=False,
            )
    if result.options.by:
        _groups(console, result.options.by, result.groups)


def _measures(console: Console, title: str, part: PartScores) -> None:
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for column in ("measure", "precision", "recall", "F1", "95 % interval"):
        table.add_column(
            column, justify="left" if column == "measure" else "right", no_wrap=column != "measure"
        )
    for name, measure in part.measures.items():
        table.add_row(NAMES[name], *_numbers(measure))
    table.add_row(
        f"macro over {len(part.macro_labels)} labels with support",
        "",
        "",
        show(part.macro_f1),
        show_ci(part.macro_ci),
    )
    console.print(table)


def _numbers(measure: Measure) -> list[str]:
    return [
        show(measure.precision),
        show(measure.recall),
        show(measure.f1),
        show_ci(measure.ci),
    ]


def _labels(console: Console, title: str, part: PartScores) -> None:
    from rich.table import Table

    which = "strict" if title == "Entities" else "boundaries"
    table = Table(title=f"{title} per label ({which})", title_justify="left", title_style="bold")
    for column in ("label", "gold", "predicted", "precision", "recall", "F1", "95 % interval"):
        table.add_column(
            column, justify="left" if column == "label" else "right", no_wrap=column != "label"
        )
    for name, measure in part.per_label.items():
        table.add_row(name, f"{measure.gold:.0f}", f"{measure.predicted:.0f}", *_numbers(measure))
    console.print(table)


def _errors(console: Console, title: str, part: PartScores) -> None:
    said = [f"{kind.replace('_', '+')} {n}" for kind, n in part.errors.items() if n]
    if part.missed_argument:
        said.append(f"of the missed, {part.missed_argument} with a missed argument")
    console.print(f"{title} by kind of event: {', '.join(said) or 'none'}", markup=False)


def _groups(console: Console, by: str, groups: Mapping[str, Scores]) -> None:
    from rich.table import Table

    table = Table(title=f"Strict F1 by {by}", title_justify="left", title_style="bold")
    for column in (by, "documents", "entities", "95 % interval", "relations", "95 % interval"):
        table.add_column(column, justify="left" if column == by else "right")
    for name, scores in groups.items():
        one, two = scores.entities.measures["strict"], scores.relations.measures["strict"]
        table.add_row(
            name,
            str(scores.documents),
            show(one.f1),
            show_ci(one.ci),
            show(two.f1),
            show_ci(two.ci),
        )
    console.print(table)


def comparison_table(console: Console, result: Compared) -> None:
    """Differences with intervals and p-values, and what they say in words."""
    from rich.table import Table

    console.print(
        f"A {result.a}, B {result.b}, on {result.gold}: {result.comparison.documents} documents",
        markup=False,
    )
    table = Table()
    for column in ("measure", "A", "B", "B - A", "95 % interval", "p", "Holm p"):
        table.add_column(
            column, justify="left" if column == "measure" else "right", no_wrap=column != "measure"
        )
    above = ""
    for d in result.comparison.differences:
        part, _, rest = d.name.partition(" ")
        if part != above:
            table.add_row(part)
            above = part
        table.add_row(
            f" {rest or part}",
            show(d.a),
            show(d.b),
            "n/a" if d.difference is None else f"{d.difference:+.3f}",
            show_ci(d.ci),
            show(d.p, 4),
            show(d.p_holm, 4),
        )
    console.print(table)
    for sentence in result.comparison.sentences:
        console.print(sentence, markup=False)
