"""`curate gold build`: the store's decisions, and the consensus on the rest, become a release."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, groupby, islice
from pathlib import Path
from typing import Any

from curate import similarity
from curate.agreement.remerge import reopened
from curate.errors import FindingsError
from curate.flows.reporter import Reporter
from curate.gold.building import Built, Recipe, build, places_of, plan_splits
from curate.gold.items import Decided
from curate.gold.judge import Judge
from curate.gold.provenance import Opinion, trace
from curate.gold.reading import Release
from curate.gold.splits import Member
from curate.gold.versions import published
from curate.model import Annotation, Document, Source
from curate.schema import LabelSchema
from curate.store import Store, UnitOfWork
from curate.store.annotations import StoredAnnotation

BATCH = 500


@dataclass(frozen=True)
class GoldBuilt:
    """The release, and the documents that wait: in test with open differences, left out."""

    built: Built
    open_documents: int = 0
    open_differences: int = 0
    left_out: tuple[str, ...] = ()
    dry_run: bool = False

    def as_dict(self) -> dict[str, Any]:
        built = self.built
        return {
            "version": built.version,
            "parent": built.parent,
            "bump": built.bump,
            "digest": built.digest,
            "published": built.published,
            "dry_run": self.dry_run,
            "documents": built.documents,
            "entities": built.entities,
            "relations": built.relations,
            "splits": dict(built.splits),
            "rules": dict(built.rules),
            "changes": dict(built.counts),
            "repackaged": list(built.repackaged),
            "quarantined": {key: list(value) for key, value in built.quarantined.items()},
            "open": {"documents": self.open_documents, "differences": self.open_differences},
            "left_out": list(self.left_out),
            "path": None if built.folder is None else str(built.folder),
        }


@dataclass
class StoreDecisions:
    """The decisions of a store as :class:`curate.gold.building.Decisions`: read in batches.

    A stored decision stands; any other document that somebody annotated is judged.
    """

    unit: UnitOfWork
    schema: LabelSchema
    judge: Judge
    stored: list[str] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)
    open: dict[str, int] = field(default_factory=dict)
    for_persons: dict[str, int] = field(default_factory=dict)
    persons: set[str] = field(default_factory=set)
    _groups: dict[str, str] = field(default_factory=dict)
    _near: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _dates: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, unit: UnitOfWork, schema: LabelSchema, judge: Judge) -> StoreDecisions:
        if judge.weighs:
            judge = judge.informed(
                [row.annotation for row in rows] for _, rows in opinions_of(unit)
            )
        found = cls(unit, schema, judge, stored=unit.decisions.ids())
        known = set(found.stored)
        grounds = {
            item.document_id: item.decided_on
            for item in unit.review.items()
            if item.decided_on is not None
        }
        for document_id, opinions in opinions_of(unit):
            said = [opinion.annotation for opinion in opinions]
            if document_id in known:
                if document_id in grounds:
                    found._reopen(document_id, grounds[document_id], said)
                continue
            verdict = judge(said)
            found.judged.append(document_id)
            if verdict.open:
                found.open[document_id] = verdict.open
            if judge.leaves_less_to_persons:
                alone = judge(said, person=True).open
                if alone:
                    found.for_persons[document_id] = alone
        found._group()
        return found

    def _reopen(
        self, document_id: str, grounds: Mapping[str, Annotation], said: Sequence[Annotation]
    ) -> None:
        """Count what corrections since a curator's decision contradict in it."""
        decision = self.unit.decisions.get(document_id)
        if decision is not None:
            current = {annotation.source.name: annotation for annotation in said}
            points = reopened(decision.annotation, grounds, current, self.schema)
            if points:
                self.open[document_id] = len(points)

    def leave_to_persons(self, ids: Iterable[str]) -> None:
        """In these documents no rule decides: only what all annotators say is taken."""
        for document_id in ids:
            if document_id in self.for_persons:
                self.open[document_id] = self.for_persons[document_id]
                self.persons.add(document_id)

    @property
    def ids(self) -> list[str]:
        return sorted([*self.stored, *self.judged])

    def without(self, ids: Iterable[str]) -> StoreDecisions:
        """The same, these documents left out."""
        gone = set(ids)
        rest = replace(
            self,
            judged=[key for key in self.judged if key not in gone],
            stored=[key for key in self.stored if key not in gone],
        )
        rest._group()
        return rest

    def members(self) -> list[Member]:
        return [
            Member(key, self._groups.get(key), self._dates.get(key), self._near.get(key, ()))
            for key in self.ids
        ]

    def decided(self, ids: Sequence[str]) -> Iterator[Decided]:
        judged = set(self.judged)
        stream = iter(ids)
        while batch := list(islice(stream, BATCH)):
            decisions = {d.annotation.document_id: d for d in self.unit.decisions.many(batch)}
            for document in self.unit.documents.many(batch):
                if document.id in judged:
                    yield self._judged(document)
                else:
                    decision = decisions[document.id]
                    yield Decided(document, decision.annotation, decision.provenance)

    def _judged(self, document: Document) -> Decided:
        rows = self.unit.annotations.current(document.id)
        opinions = next((found for _, found in _opinions(rows)), [])
        decision = self.judge(
            [opinion.annotation for opinion in opinions], person=document.id in self.persons
        ).annotation
        said: list[Opinion] = []
        seen: dict[Source, Annotation] = {}
        for row in opinions:
            saw = None
            if row.parent is not None:
                saw = seen.get(row.parent) or self.unit.predictions.get(document.id, row.parent)
                if saw is not None:
                    seen[row.parent] = saw
            said.append(
                Opinion(
                    row.annotation,
                    saw,
                    task=row.task_id,
                    annotation_id=row.annotation_id,
                    lead_ms=None if row.lead_time is None else round(row.lead_time * 1000),
                )
            )
        return Decided(document, decision, trace(decision, self.schema, said, seen.values()))

    def _group(self) -> None:
        """Near-duplicate groups among the decided documents alone.

        The store's groups may hang together by documents that are not decided; a release must not
        depend on what else a workspace holds, so each is looked at again.  Passages of one
        document are never parted.
        """
        ids = self.ids
        wanted = set(ids)
        parents = {k: p for k, p in self.unit.documents.parents().items() if k in wanted}
        stored = self.unit.documents.groups().items()
        # NUL is in no id: the names of groups and parents are no documents here
        links = [(key, f"\0g{group}") for key, group in stored if key in wanted]
        links += [(key, f"\0p{parent}") for key, parent in parents.items()]
        by_group: dict[str, list[str]] = defaultdict(list)
        for document_id, root in similarity.groups(ids, links).items():
            if document_id in wanted:
                by_group[root].append(document_id)
        self._groups, self._near = {}, {}
        for members in by_group.values():
            if len(members) == 1:
                self._groups[members[0]] = members[0]
                continue
            texts = {d.id: d.text for d in self.unit.documents.many(sorted(members))}
            pairs = {(pair.a, pair.b) for pair in similarity.near_duplicate_pairs(texts)}
            pairs |= _siblings(members, parents)
            self._groups.update(similarity.groups(texts, pairs))
            near: dict[str, set[str]] = defaultdict(set)
            for a, b in pairs:
                near[a].add(b)
                near[b].add(a)
            self._near.update({key: tuple(sorted(others)) for key, others in near.items()})

    def read_dates(self) -> None:
        """Read the documents' dates, which only a split by date needs."""
        for document in self.unit.documents.many(self.ids):
            date = document.metadata.get("date")
            if isinstance(date, str):
                self._dates[document.id] = date


def _siblings(members: Iterable[str], parents: Mapping[str, str]) -> set[tuple[str, str]]:
    by_parent: dict[str, list[str]] = defaultdict(list)
    for key in sorted(members):
        if key in parents:
            by_parent[parents[key]].append(key)
    return {pair for keys in by_parent.values() for pair in combinations(keys, 2)}


def opinions_of(unit: UnitOfWork) -> Iterator[tuple[str, list[StoredAnnotation]]]:
    """Per document what each annotator says last; skipped ones say nothing."""
    return _opinions(unit.annotations.current())


def _opinions(
    rows: Iterable[StoredAnnotation],
) -> Iterator[tuple[str, list[StoredAnnotation]]]:
    """Per document one annotation an annotator: the one changed last; skipped ones say nothing."""
    # The rows of a document come together, whatever the order of documents.
    for document_id, group in groupby(rows, key=lambda row: row.document_id):
        latest: dict[str, StoredAnnotation] = {}
        for row in group:
            other = latest.get(row.annotation.source.name)
            if not row.skipped and (other is None or _order(other) < _order(row)):
                latest[row.annotation.source.name] = row
        if latest:
            yield document_id, [latest[name] for name in sorted(latest)]


def _order(row: StoredAnnotation) -> tuple[str, int, int]:
    return row.updated_at, row.annotation_id, row.project


def build_gold(
    store: Store,
    folder: Path,
    recipe: Recipe,
    judge: Judge,
    reporter: Reporter,
    *,
    version: str | None = None,
    dry_run: bool = False,
    allow_open: bool = False,
) -> GoldBuilt:
    """Publish the next release of the workspace's corpus into ``folder``.

    Raises FindingsError while documents of the test split have differences that no rule decides;
    with ``allow_open`` they are left out.
    """
    with store.read() as unit:
        found = StoreDecisions.of(unit, recipe.schema, judge)
        source, waiting = settle(found, folder, recipe, reporter, allow_open=allow_open)
        _warn_of_leaving(source, folder, reporter)
        _warn_of_review(source, reporter)
        reporter.step(f"building from {len(source.ids)} decided documents")
        built = build(source, folder, recipe, version=version, dry_run=dry_run)
    for document_id, splits in built.quarantined.items():
        reporter.warn(
            f"document {document_id!r} is quarantined: its near duplicates stand in "
            f"{' and '.join(splits)}"
        )
    return GoldBuilt(
        built,
        open_documents=len(found.open),
        open_differences=sum(found.open.values()),
        left_out=tuple(waiting),
        dry_run=dry_run,
    )


def settle(
    source: StoreDecisions, folder: Path, recipe: Recipe, reporter: Reporter, *, allow_open: bool
) -> tuple[StoreDecisions, list[str]]:
    """The decisions that a release may hold, and the documents left out.

    Raises FindingsError while documents of the test split have differences that no rule decides;
    with ``allow_open`` they are left out.
    """
    versions = published(folder)
    parent = Release(folder / str(versions[-1])) if versions else None
    if recipe.splits.by_date or (
        parent is not None and parent.manifest.splits.get("method") == "date"
    ):
        source.read_dates()
    if not source.open and not source.for_persons:
        return source, []
    plan = plan_splits(source.members(), parent, recipe.splits)
    source.leave_to_persons(key for key, place in plan.places.items() if place.split == "test")
    source.leave_to_persons(k for k, lane in source.unit.review.lanes().items() if lane == "blind")
    waiting = sorted(
        key for key in source.open if key in plan.places and plan.places[key].split == "test"
    )
    if waiting and not allow_open:
        differences = sum(source.open[key] for key in waiting)
        raise FindingsError(
            f"{len(waiting)} documents of the test split have {differences} differences between "
            f"annotators that no rule decides ({_some(waiting)}); decide them with `curate review "
            "push`, pin a rule in curate.toml ([consensus] pinned), or leave them out with "
            "--allow-open"
        )
    if waiting:
        reporter.warn(
            f"{len(waiting)} documents of the test split are left out, their differences being "
            f"open: {_some(waiting)}"
        )
    elsewhere = len(source.open) - len(waiting)
    if elsewhere:
        reporter.warn(
            f"{elsewhere} documents outside the test split have differences that no rule decides; "
            "of these the release holds what the annotators agree on"
        )
    return source.without(waiting) if waiting else source, waiting


def _warn_of_leaving(source: StoreDecisions, folder: Path, reporter: Reporter) -> None:
    versions = published(folder)
    if not versions or not source.ids:
        return
    parent = Release(folder / str(versions[-1]))
    leaving = len(places_of(parent).keys() - set(source.ids))
    if leaving:
        reporter.warn(
            f"{leaving} documents of {parent.version} are not decided in this store: they leave "
            "the release"
        )


def _warn_of_review(source: StoreDecisions, reporter: Reporter) -> None:
    """Of documents that a curator was asked about though no difference is open: test and blind
    ones, and suspects."""
    queued = {item.document_id for item in source.unit.review.items("open")}
    unseen = sorted(queued & set(source.ids) - source.open.keys())
    if unseen:
        reporter.warn(
            f"{len(unseen)} documents still wait for a curator in the review project "
            f"({_some(unseen)}); the release holds what stands of them now"
        )


def _some(ids: Sequence[str], shown: int = 5) -> str:
    rest = len(ids) - shown
    return ", ".join(ids[:shown]) + (f" and {rest} more" if rest > 0 else "")
