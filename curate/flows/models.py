"""The models of a workspace: which there are, and which one is the champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import DataError, UsageError
from curate.extractors import models as _models
from curate.extractors.models import Card
from curate.flows.looks import looks_by_now, note_looks
from curate.schema import LabelSchema

if TYPE_CHECKING:
    from curate.extractors.interface import Extractor
    from curate.gold.items import GoldDocument
    from curate.gold.opening import GoldSet
    from curate.scoring import Tally
    from curate.scoring.promotion import Verdict


@dataclass(frozen=True)
class Listed:
    """A model, the aliases that point at it, and how it came to be champion, each time."""

    folder: Path
    card: Card
    aliases: tuple[str, ...]
    promotions: tuple[Mapping[str, Any], ...] = ()
    looks: int = 0
    """Looks at the test split of the gold it learned from, by now."""

    def as_dict(self) -> dict[str, Any]:
        return self.card.as_dict() | {
            "reference": self.card.reference,
            "folder": str(self.folder),
            "aliases": list(self.aliases),
            "promotions": [dict(one) for one in self.promotions],
            "looks_by_now": self.looks,
        }


def list_models(models: Path) -> list[Listed]:
    """Every model of the folder, by name and version."""
    known = _models.aliases(models)
    history = _models.promotions(models)
    return [
        Listed(
            folder,
            card,
            tuple(sorted(alias for alias, target in known.items() if target == card.reference)),
            tuple(one for one in history if one.get("digest") == card.digest),
            looks_by_now(models, card),
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


@dataclass(frozen=True)
class Promotion:
    """What was asked, what the comparison said, and whether the alias moved."""

    reference: str
    champion: str
    promoted: bool
    verdict: Verdict | None
    reason: str = ""
    looks: int = 0
    """How many models were scored on this test split by now."""

    @property
    def behind(self) -> str:
        """Why the model does not take the place, in a sentence; empty where it does."""
        if self.verdict is None or self.promoted:
            return ""
        return (
            f"{self.reference} stays behind {self.champion}: {'; '.join(self.verdict.missing)}. "
            "Annotate more, build gold and train again: `curate train-curve` says what that brings"
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "reference": self.reference,
            "champion": self.champion,
            "promoted": self.promoted,
            "reason": self.reason,
            "looks": self.looks,
            "verdict": None if self.verdict is None else self.verdict.as_json(),
        }


def promote(
    models: Path,
    reference: str,
    gold: GoldSet,
    schema: LabelSchema,
    *,
    margin: float = 0.0,
    reason: str | None = None,
) -> Promotion:
    """Make a model the champion if it is shown to be better on the test split of ``gold``.

    ``reason`` forces it whatever the comparison says, and is kept.  Raises UsageError for an
    unknown model or an empty reason, DataError where the gold has no test split.
    """
    if reason is not None and not reason.strip():
        raise UsageError("--force needs a reason, which is kept with the promotion")
    forced = " ".join((reason or "").split())
    from curate.extractors.bootstrap import NAME as BOOTSTRAP
    from curate.extractors.registry import resolve
    from curate.extractors.spacy import Pipeline
    from curate.flows.train import splits_of
    from curate.scoring.promotion import judge

    chosen = show_model(models, reference)
    # a champion that is gone must not keep the place from everybody else
    gone = _models.find(models, _models.CHAMPION) is None
    champion = resolve(BOOTSTRAP if gone else None, schema=schema, models=models)
    name = f"{champion.name}@{champion.version}"
    if name == chosen.card.reference:
        return Promotion(chosen.card.reference, name, False, None, "is the champion already")
    test = splits_of(gold)["test"]
    if not test:
        raise DataError("there is no test split to judge by", path=gold.path)
    challenger = Pipeline(chosen.folder)
    looks = note_looks(models, gold, "promote", [champion.digest, challenger.digest])
    verdict = judge(_tally(champion, test, schema), _tally(challenger, test, schema), margin)
    promoted = verdict.better or bool(forced)
    if promoted:
        record = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "champion": chosen.card.reference,
            "digest": chosen.card.digest,
            "before": name,
            "gold": gold.name,
            "gold_digest": gold.digest,
            "margin": f"{margin:g}",
            "forced": forced,
            "missing": list(verdict.missing),
        }
        _models.set_alias(models, _models.CHAMPION, chosen.card.reference, record)
    return Promotion(chosen.card.reference, name, promoted, verdict, forced, looks)


def _tally(extractor: Extractor, test: list[GoldDocument], schema: LabelSchema) -> Tally:
    from curate.extractors.interface import answers
    from curate.scoring import tally

    said = {a.document_id: a for a in answers(extractor, [g.document for g in test], schema)}
    return tally([(g.annotation, said[g.id]) for g in test], schema=schema)
