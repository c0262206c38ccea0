"""The models of a workspace: which there are, and which one is the champion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import UsageError
from curate.extractors import models as _models
from curate.extractors.models import Card


@dataclass(frozen=True)
class Listed:
    """A model and the aliases that point at it."""

    folder: Path
    card: Card
    aliases: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return self.card.as_dict() | {
            "reference": self.card.reference,
            "folder": str(self.folder),
            "aliases": list(self.aliases),
        }


def list_models(models: Path) -> list[Listed]:
    """Every model of the folder, by name and version."""
    known = _models.aliases(models)
    return [
        Listed(
            folder,
            card,
            tuple(sorted(alias for alias, target in known.items() if target == card.reference)),
        )
        for folder, card in _models.cards(models)
    ]


def show_model(models: Path, reference: str) -> Listed:
    """The model of this reference.  Raises UsageError where there is none."""
    found = _models.find(models, reference)
    listed = list_models(models)
    for one in listed:
        if found is not None and one.folder == found[0]:
            return one
    known = ", ".join(one.card.reference for one in listed) or "none yet; run `curate train`"
    raise UsageError(f"there is no model {reference!r}; there are: {known}")
