"""What waits for a curator, what was decided on which grounds, and who worked blind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from curate.model import Annotation, Source
from curate.store.bodies import from_body, to_body
from curate.store.clock import now
from curate.store.documents import _batches
from curate.store.review_tables import lanes, review_items, suspicions
from curate.store.sync_tables import studio_annotations
from curate.store.tables import annotators


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """A document that waits for a curator, or was decided by one.

    ``points`` are plain JSON (see ``curate.agreement.points``); ``shown`` is what each annotator
    said when the task was made, ``start`` what the curator starts from; ``decided_on`` is what
    they had said when the standing decision was made (None: there is none).  ``digest`` is that of
    everything the curator is shown.  ``reason``: difference, reopened, test or suspect.
    """

    document_id: str
    project: int
    reason: str
    rule: str
    digest: str
    severity: float
    points: tuple[Mapping[str, Any], ...]
    start: Annotation
    shown: Mapping[str, Annotation]
    state: str = "open"
    decided_on: Mapping[str, Annotation] | None = None
    task_id: int | None = None
    annotation_id: int | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """What a curator submitted in the review project; a skipped one decides nothing."""

    document_id: str
    annotation: Annotation
    task_id: int
    annotation_id: int
    lead_time: float | None
    skipped: bool
    updated_at: str


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Something that looks wrong and was put before a curator; ``outcome``: open, error, sound."""

    document_id: str
    sources: tuple[str, ...]
    point: Mapping[str, Any]
    outcome: str = "open"
    id: int = 0


class Review:
    """The state of adjudication, in a unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # -- items

    def put(self, items: Iterable[ReviewItem]) -> None:
        """Queue these; an item of the same document is replaced, its decision's grounds kept."""
        rows = [_row(item) for item in items]
        for batch in _batches(row["document_id"] for row in rows):
            grounds = {
                row.document_id: row
                for row in self._connection.execute(
                    select(review_items).where(review_items.c.document_id.in_(batch))
                )
            }
            for row in rows:
                old = grounds.get(row["document_id"])
                if old is not None and row["decided_on"] is None:
                    row["decided_on"] = old.decided_on
                    row["decided_at"] = old.decided_at
            self._connection.execute(
                delete(review_items).where(review_items.c.document_id.in_(batch))
            )
        if rows:
            self._connection.execute(review_items.insert(), rows)

    def items(self, state: str | None = None) -> list[ReviewItem]:
        """Every item (in this state), ordered by document id."""
        query = select(review_items).order_by(review_items.c.document_id)
        if state is not None:
            query = query.where(review_items.c.state == state)
        found = [_item(row) for row in self._connection.execute(query)]
        return sorted(found, key=lambda item: item.document_id)

    def decided(self, document_ids: Iterable[str], task_id: int, annotation_id: int) -> None:
        """These documents were decided by this annotation, on the grounds that were shown."""
        for batch in _batches(document_ids):
            for row in self._connection.execute(
                select(review_items).where(review_items.c.document_id.in_(batch))
            ).all():
                self._connection.execute(
                    update(review_items)
                    .where(review_items.c.document_id == row.document_id)
                    .values(
                        state="decided",
                        decided_on=row.shown,
                        decided_at=now(),
                        task_id=task_id,
                        annotation_id=annotation_id,
                    )
                )

    def reopen(self, document_ids: Iterable[str], *, withdrawn: bool) -> None:
        """These wait again; ``withdrawn``: and no decision stands any more."""
        values: dict[str, Any] = {"state": "open", "task_id": None, "annotation_id": None}
        if withdrawn:
            values |= {"decided_on": None, "decided_at": None}
        for batch in _batches(document_ids):
            self._connection.execute(
                update(review_items).where(review_items.c.document_id.in_(batch)).values(**values)
            )

    def settle(self, document_ids: Iterable[str]) -> None:
        """Nothing is open any more in these: those with a decision are decided, others gone."""
        for batch in _batches(document_ids):
            chosen = review_items.c.document_id.in_(batch)
            self._connection.execute(
                delete(review_items).where(chosen, review_items.c.decided_at.is_(None))
            )
            self._connection.execute(
                update(review_items).where(chosen).values(state="decided", points=[], severity=0.0)
            )

    # -- what curators submitted

    def submissions(self, project: int) -> Iterator[Submission]:
        """What stands in the review project, ordered by document and time."""
        table = studio_annotations
        rows = self._connection.execute(
            select(table, annotators.c.pseudonym)
            .join(annotators, annotators.c.id == table.c.annotator_id)
            .where(table.c.project == project, table.c.state == "current")
            .order_by(table.c.document_id, table.c.updated_at, table.c.annotation_id)
        )
        for row in rows:
            yield Submission(
                row.document_id,
                from_body(row.document_id, row.body, Source.curator(row.pseudonym)),
                row.task_id,
                row.annotation_id,
                row.lead_time,
                row.skipped,
                row.updated_at,
            )

    # -- suspicions

    def suspect(self, found: Sequence[Suspicion]) -> None:
        if found:
            self._connection.execute(
                suspicions.insert(),
                [
                    {
                        "document_id": s.document_id,
                        "sources": list(s.sources),
                        "point": dict(s.point),
                        "outcome": s.outcome,
                        "raised_at": now(),
                    }
                    for s in found
                ],
            )

    def suspicions(self, outcome: str | None = None) -> list[Suspicion]:
        query = select(suspicions).order_by(suspicions.c.id)
        if outcome is not None:
            query = query.where(suspicions.c.outcome == outcome)
        return [
            Suspicion(row.document_id, tuple(row.sources), row.point, row.outcome, row.id)
            for row in self._connection.execute(query)
        ]

    def settle_suspicions(self, outcomes: Mapping[int, str]) -> None:
        for number, outcome in outcomes.items():
            self._connection.execute(
                update(suspicions)
                .where(suspicions.c.id == number)
                .values(outcome=outcome, settled_at=now())
            )

    # -- the blind lane

    def draw(self, drawn: Mapping[str, bool], share: float, seed: int) -> None:
        """Enter which documents of a push are blind (True) and which assisted; once, for good."""
        known = set(self._connection.scalars(select(lanes.c.document_id)))
        rows = [
            {
                "document_id": document_id,
                "lane": "blind" if blind else "assisted",
                "share_millionths": round(share * 1_000_000),
                "seed": seed,
                "drawn_at": now(),
            }
            for document_id, blind in sorted(drawn.items())
            if document_id not in known
        ]
        if rows:
            self._connection.execute(lanes.insert(), rows)

    def lanes(self) -> dict[str, str]:
        """Document id → blind or assisted, of the documents that took part in a draw."""
        rows = self._connection.execute(select(lanes.c.document_id, lanes.c.lane))
        return {row.document_id: row.lane for row in rows}

    def lanes_of(self, document_ids: Sequence[str]) -> dict[str, str]:
        """The same of these documents alone."""
        found: dict[str, str] = {}
        for batch in _batches(document_ids):
            rows = self._connection.execute(
                select(lanes.c.document_id, lanes.c.lane).where(lanes.c.document_id.in_(batch))
            )
            found |= {row.document_id: row.lane for row in rows}
        return found


def _row(item: ReviewItem) -> dict[str, Any]:
    return {
        "document_id": item.document_id,
        "project": item.project,
        "state": item.state,
        "reason": item.reason,
        "rule": item.rule,
        "digest": item.digest,
        "severity": item.severity,
        "points": [dict(point) for point in item.points],
        "start": to_body(item.start),
        "shown": {name: to_body(said) for name, said in item.shown.items()},
        "decided_on": None
        if item.decided_on is None
        else {name: to_body(said) for name, said in item.decided_on.items()},
        "task_id": item.task_id,
        "annotation_id": item.annotation_id,
        "queued_at": now(),
        "decided_at": None,
    }


def _item(row: Row[Any]) -> ReviewItem:
    def sides(bodies: Mapping[str, Any] | None) -> dict[str, Annotation] | None:
        if bodies is None:
            return None
        return {
            name: from_body(row.document_id, body, Source.annotator(name))
            for name, body in bodies.items()
        }

    return ReviewItem(
        document_id=row.document_id,
        project=row.project,
        reason=row.reason,
        rule=row.rule,
        digest=row.digest,
        severity=row.severity,
        points=tuple(row.points),
        start=from_body(row.document_id, row.start, Source.consensus(row.rule)),
        shown=sides(row.shown) or {},
        state=row.state,
        decided_on=sides(row.decided_on),
        task_id=row.task_id,
        annotation_id=row.annotation_id,
    )
