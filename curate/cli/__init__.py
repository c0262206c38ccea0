"""The command line: typer, one file per group, and the error boundary.

A module of a group has ``register(app)``, which adds its commands.  Nothing heavy may be
imported at its top: `curate --help` answers in under 0.4 s.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

GROUPS = (
    "workspace",
    "demo",
    "schema",
    "ingest",
    "preannotate",
    "studio",
    "annotators",
    "sync",
    "serve",
    "quarantine",
    "review",
    "predictions",
    "gold",
    "evaluate",
    "train",
    "train_curve",
    "report",
    "db",
)
"""The modules of this package that add commands, in the order of the help."""


def modules() -> list[ModuleType]:
    found = []
    for name in GROUPS:
        try:
            found.append(import_module(f"curate.cli.{name}"))
        except ModuleNotFoundError as error:
            if error.name != f"curate.cli.{name}":
                raise
    return found


def main() -> None:
    """The console script; imports the app only now."""
    from curate.cli.app import main as run

    run()
