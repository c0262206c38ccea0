"""How often models were scored on a test split: every look makes its scores a little less honest.

A look is one model on one gold set's test split.  Those of trained models stand on their cards;
others (an evaluation, a promotion on newer gold, a learning curve scored on test) in
``models/looks.jsonl``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from curate.errors import DiskError
from curate.extractors import models as _models
from curate.interchange import canonical_json

if TYPE_CHECKING:
    from curate.extractors.models import Card
    from curate.gold.opening import GoldSet

FILE = "looks.jsonl"


def looks_at(models: Path, gold: GoldSet) -> int:
    """How many different models were scored on this gold's test split."""
    return len(_lookers(models, gold.name, gold.digest))


def looks_by_now(models: Path, card: Card) -> int:
    """How many were scored on the test split of the gold that a model learned from."""
    return len(_lookers(models, card.release.get("name"), card.release.get("digest")))


def note_looks(models: Path, gold: GoldSet, why: str, digests: Iterable[str]) -> int:
    """Write down that these models were scored on the test split; how many looks there are now.

    A model that looked before is not counted again.  Raises DiskError where the disk refuses.
    """
    return note(models, gold.name, gold.digest, why, digests)


def note(models: Path, name: str, release: str | None, why: str, digests: Iterable[str]) -> int:
    """:func:`note_looks` at the gold set of this name and root digest."""
    known = _lookers(models, name, release)
    fresh = sorted(set(digests) - known)
    if fresh:
        lines = [
            canonical_json({"gold": name, "gold_digest": release, "model": digest, "why": why})
            for digest in fresh
        ]
        try:
            models.mkdir(parents=True, exist_ok=True)
            with (models / FILE).open("ab") as stream:
                stream.write(b"".join(line + b"\n" for line in lines))
        except OSError as error:
            raise DiskError(f"cannot be written: {error.strerror}", path=models / FILE) from None
    return len(known) + len(fresh)


def _lookers(models: Path, name: object, release: object) -> set[str]:
    found = {
        card.digest
        for _, card in _models.cards(models)
        if card.release.get("digest") == release
        and card.release.get("name") == name
        and "test" in card.scores
    }
    try:
        lines = (models / FILE).read_bytes().splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            row = json.loads(line)
            if (row["gold"], row["gold_digest"]) == (name, release):
                found.add(str(row["model"]))
        except (ValueError, KeyError, TypeError):
            continue  # a line cut short by a full disk says nothing
    return found
