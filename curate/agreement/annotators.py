"""What is known of each annotator: how much, how fast, how like the others, and where not.

Values in, values out; the page of ``curate report annotators`` shows nothing else.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from statistics import median, quantiles
from typing import Any

from curate.alignment import EntityKind, RelationKind, align
from curate.model import Annotation
from curate.schema import LabelSchema

EXAMPLES = 3
"""Examples shown of each confusion."""
NOTHING = ""
"""In a confusion: the other has nothing there."""


@dataclass(frozen=True, slots=True)
class Work:
    """One annotation as it stands: whose, when (ISO 8601), how long it took in seconds, and the
    length of its text in characters.  A ``skipped`` one claims nothing."""

    annotation: Annotation
    updated_at: str
    lead_time: float | None
    length: int
    skipped: bool = False

    @property
    def who(self) -> str:
        return self.annotation.source.name


@dataclass(frozen=True, slots=True)
class Example:
    """A place of a confusion: the document, and the span it is about."""

    document_id: str
    start: int
    end: int


@dataclass(frozen=True)
class Confusion:
    """``mine`` stood where others, or the decision, have ``theirs`` (empty: nothing)."""

    mine: str
    theirs: str
    times: int
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Portrait:
    """One annotator.

    ``weeks``: ISO week → documents.  ``lead``: quartiles of the seconds a document took;
    ``per_thousand``: median seconds a thousand characters.  ``months``: month → (documents in
    common, F1 on entities, on relations) with the other annotators; ``overall`` the same of all
    months.  ``with_decision``: the same with what a person decided.
    """

    name: str
    documents: int
    skipped: int
    entities: int
    relations: int
    first: str
    last: str
    active_days: int
    weeks: Mapping[str, int]
    lead: tuple[float, float, float] | None
    per_thousand: float | None
    hours: float
    months: Mapping[str, tuple[int, float | None, float | None]]
    overall: tuple[int, float | None, float | None]
    with_decision: tuple[int, float | None, float | None]
    confusions: tuple[Confusion, ...] = field(default=())

    @property
    def per_day(self) -> float | None:
        """Documents a day on which they annotated."""
        return self.documents / self.active_days if self.active_days else None

    def as_dict(self) -> dict[str, Any]:
        def triple(value: tuple[int, float | None, float | None]) -> dict[str, Any]:
            return {"documents": value[0], "entities_f1": value[1], "relations_f1": value[2]}

        return {
            "annotator": self.name,
            "documents": self.documents,
            "skipped": self.skipped,
            "entities": self.entities,
            "relations": self.relations,
            "first": self.first,
            "last": self.last,
            "active_days": self.active_days,
            "documents_per_day": self.per_day,
            "weeks": dict(self.weeks),
            "lead_seconds": None if self.lead is None else list(self.lead),
            "seconds_per_1000_characters": self.per_thousand,
            "hours": self.hours,
            "agreement": {
                "overall": triple(self.overall),
                "months": {month: triple(v) for month, v in self.months.items()},
                "decision": triple(self.with_decision),
            },
            "confusions": [
                {
                    "mine": c.mine or None,
                    "theirs": c.theirs or None,
                    "times": c.times,
                    "examples": [[e.document_id, e.start, e.end] for e in c.examples],
                }
                for c in self.confusions
            ],
        }


@dataclass
class _Counts:
    """Sums of an F1: in common, on the one side and on the other."""

    documents: int = 0
    entities: list[int] = field(default_factory=lambda: [0, 0])
    relations: list[int] = field(default_factory=lambda: [0, 0])

    def result(self) -> tuple[int, float | None, float | None]:
        def f1(sums: list[int]) -> float | None:
            return 2 * sums[0] / sums[1] if sums[1] else None

        return self.documents, f1(self.entities), f1(self.relations)


def portraits(
    works: Iterable[Work],
    decisions: Mapping[str, Annotation],
    schema: LabelSchema | None = None,
) -> list[Portrait]:
    """One portrait an annotator, by name; the order of the works is of no consequence.

    Confusions are with the person's decision where there is one, else with the other annotators.
    """
    by_name: dict[str, list[Work]] = defaultdict(list)
    by_document: dict[str, list[Work]] = defaultdict(list)
    for work in sorted(works, key=lambda w: (w.annotation.document_id, w.who)):
        by_name[work.who].append(work)
        if not work.skipped:
            by_document[work.annotation.document_id].append(work)
    return [
        _portrait(name, by_name[name], by_document, decisions, schema) for name in sorted(by_name)
    ]


def _portrait(
    name: str,
    works: Sequence[Work],
    by_document: Mapping[str, Sequence[Work]],
    decisions: Mapping[str, Annotation],
    schema: LabelSchema | None,
) -> Portrait:
    done = [work for work in works if not work.skipped]
    months: dict[str, _Counts] = defaultdict(_Counts)
    overall, decided = _Counts(), _Counts()
    times: Counter[tuple[str, str]] = Counter()
    places: dict[tuple[str, str], list[Example]] = defaultdict(list)
    for work in done:
        mine = work.annotation
        others = [w.annotation for w in by_document[mine.document_id] if w.who != name]
        for counts in (months[work.updated_at[:7]], overall) if others else ():
            counts.documents += 1
            for other in others:
                _count(counts, mine, other, schema)
        decision = decisions.get(mine.document_id)
        if decision is not None:
            decided.documents += 1
            _count(decided, mine, decision, schema)
        for other in [decision] if decision is not None else others:
            for pair, example in _differences(mine, other, schema):
                times[pair] += 1
                if len(places[pair]) < EXAMPLES:
                    places[pair].append(example)
    leads = [work.lead_time for work in done if work.lead_time]
    paces = [1000 * w.lead_time / w.length for w in done if w.lead_time and w.length]
    days = sorted({work.updated_at[:10] for work in works})
    return Portrait(
        name=name,
        documents=len(done),
        skipped=len(works) - len(done),
        entities=sum(len(work.annotation.entities) for work in done),
        relations=sum(len(work.annotation.relations) for work in done),
        first=days[0] if days else "",
        last=days[-1] if days else "",
        active_days=len(days),
        weeks=dict(sorted(Counter(_week(work.updated_at) for work in done).items())),
        lead=_quartiles(leads),
        per_thousand=median(paces) if paces else None,
        hours=sum(leads) / 3600,
        months={month: months[month].result() for month in sorted(months)},
        overall=overall.result(),
        with_decision=decided.result(),
        confusions=tuple(
            Confusion(*pair, number, tuple(places[pair]))
            for pair, number in sorted(times.items(), key=lambda row: (-row[1], row[0]))
        ),
    )


def _count(
    counts: _Counts, mine: Annotation, other: Annotation, schema: LabelSchema | None
) -> None:
    found = align(mine, other, schema)
    same, links = found.entity_counts(), found.relation_counts()
    counts.entities[0] += same[EntityKind.CORRECT]
    counts.entities[1] += len(mine.entities) + len(other.entities)
    counts.relations[0] += links[RelationKind.CORRECT]
    counts.relations[1] += sum((bool(event.a) + bool(event.b)) for event in found.relations)


def _differences(
    mine: Annotation, other: Annotation, schema: LabelSchema | None
) -> Iterable[tuple[tuple[str, str], Example]]:
    """Labels that stand where the other has another one, or nothing."""
    found = align(mine, other, schema)
    for event in found.entities:
        ours = event.a[0].label if event.a else NOTHING
        theirs = event.b[0].label if event.b else NOTHING
        if event.kind is EntityKind.CORRECT or ours == theirs:
            continue
        spans = [e.span for e in (*event.a, *event.b)]
        yield (
            (ours, theirs),
            Example(mine.document_id, min(s for s, _ in spans), max(e for _, e in spans)),
        )
    for link in found.relations:
        ours = link.a[0].label if link.a else NOTHING
        theirs = link.b[0].label if link.b else NOTHING
        if link.kind is RelationKind.CORRECT or ours == theirs:
            continue
        spans = [s for r in (*link.a, *link.b) for s in (r.head.span, r.tail.span)]
        yield (
            (ours, theirs),
            Example(mine.document_id, min(s for s, _ in spans), max(e for _, e in spans)),
        )


def _quartiles(values: Sequence[float]) -> tuple[float, float, float] | None:
    if not values:
        return None
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return low, middle, high


def _week(moment: str) -> str:
    """The ISO week of a time, as 2026-W07."""
    try:
        year, week, _ = date.fromisoformat(moment[:10]).isocalendar()
    except ValueError:
        return "unknown"
    return f"{year}-W{week:02}"
