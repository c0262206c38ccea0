"""The learning curve as a picture (PNG, SVG) and as a page."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from curate.reports.pages import page

if TYPE_CHECKING:
    from curate.scoring.learning_curve import Curve
    from curate.scoring.next_labels import Advice

COLOURS = {"entities": "#116329", "relations": "#953800"}
VARIABLES = {"#116329": "--gold", "#953800": "--pred", "#1f2328": "--ink", "#d0d7de": "--line"}
"""In a page the picture takes the page's colours, so that it can be read in the dark, too."""
INK, LINE = "#1f2328", "#d0d7de"


def draw(
    curves: Sequence[Curve], on: str, form: str, *, wide: float = 6.4, high: float = 4.0
) -> bytes:
    """The picture: points with intervals, each repetition, the fitted law with its band.

    ``form`` is ``png`` or ``svg``; the same curves give the same bytes.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it narrates building its font cache
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.hashsalt": "curate",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": LINE,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(wide, high), layout="constrained")
        axes = figure.add_subplot()
        for curve in curves:
            _one(axes, curve)
        axes.set_xscale("log")
        _ticks(axes, curves)
        axes.set_xlabel("documents in train")
        axes.set_ylabel(f"F1 on {'held-out parts of train' if on == 'cross' else on}, points")
        axes.grid(axis="y", color=LINE, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        if curves:
            axes.legend(frameon=False, loc="lower right")
        target = io.BytesIO()
        metadata = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
        figure.savefig(target, format=form, dpi=160, metadata=metadata, transparent=form == "svg")
    return target.getvalue()


def _one(axes: Any, curve: Curve) -> None:
    colour = COLOURS[curve.part]
    if curve.band:
        places = [n for n, _, _ in curve.band]
        axes.fill_between(
            places,
            [100 * low for _, low, _ in curve.band],
            [100 * high for _, _, high in curve.band],
            color=colour,
            alpha=0.12,
            linewidth=0,
        )
    if curve.fit is not None:
        seen = [n for n, _, _ in curve.band if n <= curve.sizes[-1]]
        ahead = [n for n, _, _ in curve.band if n >= (seen[-1] if seen else 0)]
        for places, style in ((seen, "-"), (ahead, "--")):
            axes.plot(
                places, [100 * curve.fit.at(n) for n in places], style, color=colour, linewidth=1.4
            )
    for i, size in enumerate(curve.sizes):
        each = [100 * value for value in curve.each[i] if value is not None]
        axes.plot([size] * len(each), each, ".", color=colour, alpha=0.35, markersize=4)
        between, value = curve.ci[i], curve.f1[i]
        if value is not None and between is not None:
            axes.plot([size, size], [100 * v for v in between], "-", color=colour, linewidth=1)
    known = [(n, 100 * v) for n, v in zip(curve.sizes, curve.f1, strict=True) if v is not None]
    axes.plot(
        [n for n, _ in known],
        [v for _, v in known],
        "o",
        color=colour,
        markersize=5,
        label=curve.name,
    )


def _ticks(axes: Any, curves: Sequence[Curve]) -> None:
    """Whole numbers of documents; a logarithmic axis would write powers of ten."""
    places = sorted({round(n) for curve in curves for n in curve.sizes})
    if curves and curves[0].band:
        places.append(round(curves[0].band[-1][0]))
    shown: list[int] = []
    for n in sorted(set(places)):
        if not shown or n >= 1.25 * shown[-1]:
            shown.append(n)
    axes.set_xticks(shown, [str(n) for n in shown])
    axes.set_xticks([], minor=True)


def inline(svg: bytes, title: str) -> str:
    """An SVG picture as part of a page, in the page's colours, with a title for screen readers."""
    text = svg.decode("utf-8")
    text = text[text.index("<svg") :]
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    return text.replace("<svg", f'<svg role="img" aria-label="{title}" class="plot"', 1)


def render(data: Mapping[str, Any], curves: Sequence[Curve], advice: Sequence[Advice]) -> str:
    """The page; ``data`` is what ``curate train-curve --json`` prints."""
    from markupsafe import Markup

    main = [curve for curve in curves if curve.label is None]
    picture = inline(
        draw(main, str(data["on"]), "svg", wide=4.6, high=3.5), "F1 by documents in train"
    )
    return page(
        "train_curve.html.j2",
        title=f"Learning curve of {data['gold']['name']}",
        data=data,
        main=main,
        plot=Markup(picture),
        labels=[curve for curve in curves if curve.label is not None],
        advice=advice,
    )
