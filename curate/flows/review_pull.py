"""What curators submitted becomes the decision, with how it came about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.agreement.points import from_json
from curate.alignment import align
from curate.flows.gold_build import opinions_of
from curate.flows.pull import PullResult, pull_project
from curate.flows.reporter import Reporter
from curate.flows.review_project import required_review
from curate.gold.provenance import Opinion, trace
from curate.model import Annotation, Source
from curate.schema import LabelSchema
from curate.store import Decision, ReviewItem, Store, StudioProject, Submission, UnitOfWork
from curate.store.annotations import StoredAnnotation

if TYPE_CHECKING:
    from curate.labelstudio.client import LabelStudio


@dataclass(frozen=True, slots=True)
class ReviewPulled:
    """What a review pull did, in documents, besides ``pulled``, in annotations.

    ``decided`` documents got a decision, ``changed`` a new one in place of their own earlier one;
    ``unchanged`` stand; ``withdrawn`` lost theirs, its submission having been deleted; ``skipped``
    were passed over by the curator and stay open.
    """

    pulled: PullResult
    decided: int
    changed: int
    unchanged: int
    withdrawn: int
    skipped: int


def review_pull(
    store: Store,
    client: LabelStudio,
    schema: LabelSchema,
    title: str,
    reporter: Reporter,
    *,
    full: bool = False,
) -> ReviewPulled:
    """Bring back what curators submitted and decide by it.  Raises LockedError, RemoteError,
    DataError.

    Killed between the two, the next pull decides: nothing depends on this one having ended.
    """
    with store.lock("review pull"):
        project, _ = required_review(store, client, title)
        pulled = pull_project(store, client, schema, project, reporter, full=full)
        with store.write() as unit:
            counts = _Deciding(unit, project, schema, reporter).run()
            unit.commit()
    return ReviewPulled(pulled, **counts)


class _Deciding:
    """Turns what stands in the review project into decisions, in one unit of work."""

    def __init__(
        self, unit: UnitOfWork, project: StudioProject, schema: LabelSchema, reporter: Reporter
    ) -> None:
        self._unit = unit
        self._project = project
        self._schema = schema
        self._reporter = reporter
        self._items = {i.document_id: i for i in unit.review.items() if i.project == project.id}
        self._said: dict[str, list[StoredAnnotation]] | None = None
        self._seen: dict[tuple[str, Source], Annotation | None] = {}

    def run(self) -> dict[str, int]:
        counts = dict.fromkeys(("decided", "changed", "unchanged", "withdrawn", "skipped"), 0)
        latest: dict[str, Submission] = {}
        skipped: set[str] = set()
        for submission in self._unit.review.submissions(self._project.id):
            if submission.skipped:
                skipped.add(submission.document_id)
            else:
                latest[submission.document_id] = submission
        for document_id, submission in latest.items():
            item = self._items.get(document_id)
            if item is None:
                self._reporter.warn(
                    f"document {document_id!r} was submitted for review and is not in the queue; "
                    "its submission is kept and decides nothing"
                )
                continue
            counts[self._decide(item, submission)] += 1
        tasks = self._unit.sync.tasks_of(self._project.id, list(self._items))
        for document_id, item in self._items.items():
            if document_id in latest or item.annotation_id is None:
                continue
            if item.task_id in tasks.get(document_id, ()) and self._withdraw(item):
                counts["withdrawn"] += 1
        counts["skipped"] = len(skipped - latest.keys())
        return counts

    def _decide(self, item: ReviewItem, submission: Submission) -> str:
        before = self._unit.decisions.get(item.document_id)
        same = item.state == "decided" and item.annotation_id == submission.annotation_id
        if same and before is not None and _equal(before.annotation, submission.annotation):
            review = before.provenance.get("review") or {}
            if review.get("why", "") == self._why(submission):
                return "unchanged"
        decision = Decision(submission.annotation, self._provenance(item, submission))
        self._unit.decisions.put([decision])
        self._unit.review.decided([item.document_id], submission.task_id, submission.annotation_id)
        self._settle_suspicions(item, submission.annotation)
        return "changed" if same else "decided"

    def _provenance(self, item: ReviewItem, submission: Submission) -> dict[str, Any]:
        said = []
        predictions = {}
        for row in self._opinions(item.document_id):
            name = row.annotation.source.name
            if name not in item.shown:
                continue
            saw = None if row.parent is None else self._prediction(item.document_id, row.parent)
            if saw is not None:
                predictions[saw.source] = saw
            said.append(
                Opinion(
                    item.shown[name],
                    saw,
                    task=row.task_id,
                    annotation_id=row.annotation_id,
                    lead_ms=_milliseconds(row.lead_time),
                )
            )
        record = trace(submission.annotation, self._schema, said, predictions.values())
        review: dict[str, Any] = {
            "reason": item.reason,
            "rule": item.rule,
            "points": [dict(point) for point in item.points],
            "task": submission.task_id,
            "annotation": submission.annotation_id,
        }
        if why := self._why(submission):
            review["why"] = why
        if submission.lead_time is not None:
            review["lead_ms"] = _milliseconds(submission.lead_time)
        return {**record, "review": review}

    def _why(self, submission: Submission) -> str:
        """What the curator wrote as the reason."""
        from curate.labelstudio.codec import reason_of

        raw = self._unit.archive.annotation(
            self._project.id, submission.task_id, submission.annotation_id
        )
        return reason_of(raw.get("result"))

    def _opinions(self, document_id: str) -> list[StoredAnnotation]:
        if self._said is None:
            self._said = dict(opinions_of(self._unit))
        return self._said.get(document_id, [])

    def _prediction(self, document_id: str, model: Source) -> Annotation | None:
        key = document_id, model
        if key not in self._seen:
            self._seen[key] = self._unit.predictions.get(document_id, model)
        return self._seen[key]

    def _withdraw(self, item: ReviewItem) -> bool:
        """The submission was deleted: its decision falls, where annotators still speak."""
        decision = self._unit.decisions.get(item.document_id)
        ours = decision is not None and (
            (decision.provenance.get("review") or {}).get("annotation") == item.annotation_id
        )
        if not ours:
            return False
        if not self._opinions(item.document_id):
            self._reporter.warn(
                f"the submission on {item.document_id!r} was deleted in Label Studio; nobody else "
                "has annotated this document, and the decision stays"
            )
            return False
        self._unit.decisions.remove([item.document_id])
        self._unit.review.reopen([item.document_id], withdrawn=True)
        return True

    def _settle_suspicions(self, item: ReviewItem, decision: Annotation) -> None:
        outcomes = {
            suspicion.id: "error"
            if changed_at(item.start, decision, suspicion.point, self._schema)
            else "sound"
            for suspicion in self._unit.review.suspicions("open")
            if suspicion.document_id == item.document_id
        }
        self._unit.review.settle_suspicions(outcomes)


def changed_at(start: Annotation, decision: Annotation, point: Any, schema: LabelSchema) -> bool:
    """Whether the decision differs from the starting point in what the point is about.

    A point about relations: in a relation between its mentions, or in one of these mentions; any
    other: in an entity that overlaps its place.
    """
    place = from_json(point)
    linked = {span for _, rs in place.relations for r in rs for span in (r.head.span, r.tail.span)}
    found = align(start, decision, schema)
    for event in found.entities:
        if event.kind == "correct":
            continue
        for entity in (*event.a, *event.b):
            if linked:
                if any(entity.start < end and begin < entity.end for begin, end in linked):
                    return True
            elif entity.start < place.end and place.start < entity.end:
                return True
    for link in found.relations:
        if link.kind != "correct" and any(
            {r.head.span, r.tail.span} <= linked for r in (*link.a, *link.b)
        ):
            return True
    return False


def _equal(one: Annotation, two: Annotation) -> bool:
    return (
        [(e.key, e.canonical) for e in one.entities] == [(e.key, e.canonical) for e in two.entities]
        and one.relations == two.relations
        and one.source == two.source
    )


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
