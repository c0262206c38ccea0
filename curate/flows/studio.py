"""`curate studio up · down · status · env`: the workspace's own Label Studio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from curate.errors import UnreachableError
from curate.flows.reporter import Reporter

if TYPE_CHECKING:
    from curate.labelstudio.server import EmbeddedStudio, Started


def studio_of(state: Path, python: str = "") -> EmbeddedStudio:
    """The embedded studio of the workspace whose ``.curate`` folder is ``state``.

    ``python``: the interpreter that has Label Studio, where it is not this one.
    """
    from curate.labelstudio.server import EmbeddedStudio

    return EmbeddedStudio(state / "studio", python)


def up(studio: EmbeddedStudio, reporter: Reporter, *, port: int | None, timeout: float) -> Started:
    """Start it or find it running, showing the seconds that pass."""
    with reporter.progress("waiting for Label Studio (seconds)") as advance:
        shown = 0

        def on_wait(seconds: float) -> None:
            nonlocal shown
            if int(seconds) > shown:
                if shown == 0:
                    reporter.step("starting Label Studio; the first start takes half a minute …")
                advance(int(seconds) - shown)
                shown = int(seconds)

        started = studio.up(port=port, timeout=timeout, on_wait=on_wait)
    _warn_of_dangers(studio, reporter)
    if started.moved_from is not None:
        reporter.warn(
            f"Label Studio was at {started.moved_from} before and is at {started.url} now"
        )
    return started


def _warn_of_dangers(studio: EmbeddedStudio, reporter: Reporter) -> None:
    from curate.labelstudio import safety
    from curate.labelstudio.client import LabelStudio

    access = studio.access()
    if access is None:
        return
    with LabelStudio(*access) as client:
        for found in safety.examine(client, embedded=True):
            if not found.ok:
                reporter.warn(f"Label Studio: {found.name}: {found.said}; {found.mend}")


def environment(studio: EmbeddedStudio) -> dict[str, str]:
    """The variables by which any program speaks to the running studio.

    Raises UnreachableError where it is not up.
    """
    access = studio.access()
    if access is None:
        raise UnreachableError(
            f"the embedded Label Studio is {studio.status().state}; run `curate studio up`"
        )
    url, token = access
    return {"LABEL_STUDIO_URL": url, "LABEL_STUDIO_API_KEY": token}
