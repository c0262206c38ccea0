"""What is open in adjudication, from the store alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.agreement.points import Disagreement, DisagreementKind
from curate.flows.review_queue import SUSPECT, gather, points_of
from curate.gold.building import Recipe
from curate.gold.judge import Judge
from curate.schema import LabelSchema
from curate.store import Store


@dataclass(frozen=True, slots=True)
class ReviewStatus:
    """``open`` and ``decided`` documents; of the open ones the points by kind, label and pair of
    annotators (``a · b``), and the reasons.  ``to_push`` of them are not yet queued as they
    stand now.

    ``suspicions``: how many wait, and how many of those looked at were errors; ``yield_`` is their
    share, None while nothing was looked at; ``by_source`` the same for each detector.
    """

    open: int
    decided: int
    points: int
    to_push: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    pairs: dict[str, int] = field(default_factory=dict)
    blind: int = 0
    assisted: int = 0
    suspicions: dict[str, int] = field(default_factory=dict)
    yield_: float | None = None
    by_source: dict[str, dict[str, Any]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "open": self.open,
            "decided": self.decided,
            "points": self.points,
            "to_push": self.to_push,
            "reasons": self.reasons,
            "kinds": self.kinds,
            "labels": self.labels,
            "pairs": self.pairs,
            "lanes": {"blind": self.blind, "assisted": self.assisted},
            "suspicions": {
                **self.suspicions,
                "precision": self.yield_,
                "by_source": self.by_source,
            },
        }


def review_status(
    store: Store, schema: LabelSchema, judge: Judge, recipe: Recipe, folder: Path
) -> ReviewStatus:
    """What is open as the annotators stand now, pushed for review or not."""
    with store.read() as unit:
        cases = gather(unit, schema, judge, recipe, folder)
        items = {item.document_id: item for item in unit.review.items()}
        suspicions = unit.review.suspicions()
        lanes = Counter(unit.review.lanes().values())
    waiting: dict[str, tuple[str, tuple[Disagreement, ...]]] = {
        case.document_id: (case.reason, case.points) for case in cases
    }
    to_push = sum(
        1
        for case in cases
        if case.document_id not in items or items[case.document_id].digest != case.digest
    )
    for key, item in items.items():
        if item.state == "open" and item.reason == SUSPECT:
            waiting.setdefault(key, (SUSPECT, tuple(points_of(item))))
    kinds: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    pairs: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for reason, points in waiting.values():
        reasons[reason] += 1
        for point in points:
            kinds[str(point.kind)] += 1
            labels.update(point.labels)
            if point.kind is not DisagreementKind.SUSPECT:
                pairs.update(f"{a} · {b}" for a, b in point.pairs)
    outcomes = Counter(s.outcome for s in suspicions)
    by_source: dict[str, Counter[str]] = {}
    for suspicion in suspicions:
        for source in suspicion.sources:
            by_source.setdefault(source, Counter())[suspicion.outcome] += 1
    return ReviewStatus(
        open=len(waiting),
        decided=sum(1 for item in items.values() if item.decided_on is not None),
        points=sum(kinds.values()),
        to_push=to_push,
        reasons=_sorted(reasons),
        kinds=_sorted(kinds),
        labels=_sorted(labels),
        pairs=_sorted(pairs),
        blind=lanes["blind"],
        assisted=lanes["assisted"],
        suspicions={name: outcomes[name] for name in ("open", "error", "sound")},
        yield_=_precision(outcomes),
        by_source={
            name: {**{k: c[k] for k in ("open", "error", "sound")}, "precision": _precision(c)}
            for name, c in sorted(by_source.items())
        },
    )


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _precision(outcomes: Counter[str]) -> float | None:
    seen = outcomes["error"] + outcomes["sound"]
    return outcomes["error"] / seen if seen else None
