"""What waits for a curator: gathered from the store, worst first."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.agreement.points import Disagreement, from_json, to_json
from curate.agreement.remerge import reopened
from curate.flows.gold_build import StoreDecisions, opinions_of
from curate.gold.building import Recipe, plan_splits
from curate.gold.judge import Judge
from curate.gold.reading import Release
from curate.gold.versions import published
from curate.interchange import canonical_json
from curate.model import Annotation
from curate.schema import LabelSchema
from curate.store import ReviewItem, Suspicion, UnitOfWork

DIFFERENCE, REOPENED, TEST, SUSPECT = "difference", "reopened", "test", "suspect"


@dataclass(frozen=True)
class Case:
    """A document for the curator; ``versions`` is what each annotator says now.

    ``reason``: difference, reopened (a correction contradicts the decision), test (a person must
    look at test and blind documents, though nobody differs) or suspect.
    ``extra`` versions are shown besides; ``suspicions`` are entered when the case is queued.
    """

    document_id: str
    reason: str
    rule: str
    start: Annotation
    versions: Mapping[str, Annotation]
    points: tuple[Disagreement, ...]
    extra: Mapping[str, Annotation] = field(default_factory=dict)
    suspicions: tuple[Suspicion, ...] = ()

    @property
    def severity(self) -> float:
        return sum(point.weight for point in self.points)

    @property
    def digest(self) -> str:
        """Of everything the curator is shown."""
        said = {
            "start": _claims(self.start),
            "versions": {name: _claims(a) for name, a in sorted(self.versions.items())},
            "extra": {name: _claims(a) for name, a in sorted(self.extra.items())},
            "points": [to_json(point) for point in self.points],
        }
        return hashlib.sha256(canonical_json(said)).hexdigest()

    def item(self, project: int) -> ReviewItem:
        return ReviewItem(
            document_id=self.document_id,
            project=project,
            reason=self.reason,
            rule=self.rule,
            digest=self.digest,
            severity=self.severity,
            points=tuple(to_json(point) for point in self.points),
            start=self.start,
            shown=self.versions,
        )


def _claims(said: Annotation) -> list[Any]:
    return [
        [[*e.key, e.canonical] for e in said.entities],
        [list(r.key) for r in said.relations],
    ]


def worst_first(cases: Iterable[Case]) -> list[Case]:
    """The cases a curator should see first: differences by weight, then what is only to be read."""
    return sorted(cases, key=lambda c: (-c.severity, c.document_id))


def gather(
    unit: UnitOfWork, schema: LabelSchema, judge: Judge, recipe: Recipe, folder: Path
) -> list[Case]:
    """Every document that waits for a curator, worst first.

    Where a rule is pinned it decides everything, and only what later corrections reopened waits.
    """
    source = StoreDecisions.of(unit, schema, judge)
    must = must_be_seen(unit, source, recipe, folder)
    standing = {item.document_id: item for item in unit.review.items()}
    decided = set(source.stored)
    cases = []
    for document_id, rows in opinions_of(unit):
        versions = {row.annotation.source.name: row.annotation for row in rows}
        if document_id in decided:
            case = _reopened(unit, document_id, standing.get(document_id), versions, schema)
        elif judge.pinned is not None:
            continue
        else:
            case = _fresh(document_id, versions, source.judge, person=document_id in must)
        if case is not None:
            cases.append(case)
    return worst_first(cases)


def must_be_seen(
    unit: UnitOfWork, source: StoreDecisions, recipe: Recipe, folder: Path
) -> frozenset[str]:
    """The test and blind documents: a person looks at each."""
    versions = published(folder)
    parent = Release(folder / str(versions[-1])) if versions else None
    if recipe.splits.by_date or (
        parent is not None and parent.manifest.splits.get("method") == "date"
    ):
        source.read_dates()
    plan = plan_splits(source.members(), parent, recipe.splits)
    test = {key for key, place in plan.places.items() if place.split == "test"}
    blind = {key for key, lane in unit.review.lanes().items() if lane == "blind"}
    return frozenset(test | blind)


def _fresh(
    document_id: str, versions: Mapping[str, Annotation], judge: Judge, *, person: bool
) -> Case | None:
    found = judge.consensus([versions[name] for name in sorted(versions)], person=person)
    if not found.open and not person:
        return None
    reason = DIFFERENCE if found.open else TEST
    return Case(document_id, reason, found.rule, found.annotation, versions, found.open)


def _reopened(
    unit: UnitOfWork,
    document_id: str,
    item: ReviewItem | None,
    versions: Mapping[str, Annotation],
    schema: LabelSchema,
) -> Case | None:
    if item is None or item.decided_on is None:
        return None
    decision = unit.decisions.get(document_id)
    if decision is None:
        return None
    points = reopened(decision.annotation, item.decided_on, versions, schema)
    if not points:
        return None
    return Case(document_id, REOPENED, item.rule, decision.annotation, versions, points)


def points_of(item: ReviewItem) -> Iterator[Disagreement]:
    yield from (from_json(point) for point in item.points)


__all__ = [
    "DIFFERENCE",
    "REOPENED",
    "SUSPECT",
    "TEST",
    "Case",
    "gather",
    "must_be_seen",
    "points_of",
    "worst_first",
]
