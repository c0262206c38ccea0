"""Where the workspace stands, from the store alone: no network is asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from curate.store import Store
from curate.store.standing import changed_since, standing

if TYPE_CHECKING:
    from typing import Any

    from curate.model import Annotation
    from curate.schema import LabelSchema


@dataclass(frozen=True, slots=True)
class Status:
    """Counts of documents unless said otherwise.

    ``annotated_by``: number of annotators → documents with that many.  ``per_annotator``:
    pseudonym → submitted annotations.  ``changed`` and ``removed``: on our side since they were
    pushed; ``tasks_*``: what was found on theirs at the last pull.  ``in_flight`` chunks were
    sent and not confirmed.  ``next``: the commands that come next.  ``by_lot``: the ids of those
    pushed that are together a random sample of all (see :mod:`curate.selection`).

    ``in_review`` wait for a curator in Label Studio.  ``release`` is the newest, of
    ``released`` documents; ``since`` annotations were changed after it was built.  ``model`` is the
    newest, of ``models``; ``model_release`` the digest of what it was trained on.
    """

    documents: int
    predicted: int
    project: str
    project_id: int | None
    server: str | None
    pushed: int
    waiting: int
    annotated: int
    annotated_by: dict[int, int]
    per_annotator: dict[str, int]
    annotations: int
    skipped: int
    ground_truth: int
    drafts: int
    deleted: int
    quarantined: int
    reasons: dict[str, int]
    decided: int
    changed: int
    removed: int
    tasks_deleted: int
    tasks_edited: int
    tasks_foreign: int
    tasks_unknown: int
    tasks_double: int
    in_flight: int
    last_pull: str | None
    next: tuple[str, ...] = ()
    by_lot: tuple[str, ...] = ()
    in_review: int = 0
    release: str | None = None
    release_digest: str | None = None
    released: int = 0
    since: int = 0
    models: int = 0
    model: str | None = None
    model_release: str | None = None
    champion: str | None = None


@dataclass(slots=True)
class Fate:
    """What annotators made of one model run's predictions.

    Counts of entities and relations: ``kept`` as they were, ``moved`` (other boundaries),
    ``relabelled``, ``both`` (boundaries and label), ``restructured`` (split, merged; a relation
    turned round or given another argument), ``removed``, ``added``.  ``lead_times`` in seconds.
    """

    model: str
    annotations: int = 0
    untouched: int = 0
    entities: Counter[str] = field(default_factory=Counter)
    relations: Counter[str] = field(default_factory=Counter)
    per_label: dict[str, Counter[str]] = field(default_factory=dict)
    lead_times: list[float] = field(default_factory=list)

    @property
    def median_lead_time(self) -> float | None:
        from statistics import median

        return median(self.lead_times) if self.lead_times else None


def status(
    store: Store,
    title: str,
    server: str | None = None,
    *,
    gold: Path | None = None,
    models: Path | None = None,
    pinned: bool = False,
) -> Status:
    """``server``: the Label Studio meant, where that is known; else the newest project's.

    ``gold`` is the folder of the corpus's releases, ``models`` that of the models; ``pinned`` says
    that a rule decides what annotators do not agree on, and no curator is needed.
    """
    release, digest, released, built_at = _release(gold)
    with store.read() as unit:
        projects = [
            p
            for p in unit.projects.all()
            if p.title == title and p.purpose == "annotate" and server in (None, p.server)
        ]
        project = projects[-1] if projects else None
        here = standing(unit.connection, None if project is None else project.id)
        counts = unit.annotations.counts()
        reasons = dict(unit.annotations.quarantine_reasons())
        decided = unit.decisions.count()
        in_review = len(unit.review.items("open"))
        since = 0 if built_at is None else changed_since(unit.connection, built_at)
        in_flight = 0
        by_lot: list[str] = []
        if project is not None:
            by_lot = unit.selections.sample(project.id)
            in_flight = sum(1 for chunk in unit.journal.chunks(project.id) if not chunk.doubtful)
    found = Status(
        documents=here.documents,
        predicted=here.predicted,
        project=title,
        project_id=None if project is None else project.project_id,
        server=None if project is None else project.server,
        pushed=here.pushed,
        waiting=here.documents - here.pushed + here.removed,
        annotated=sum(here.annotated_by.values()),
        annotated_by=here.annotated_by,
        per_annotator=here.per_annotator,
        annotations=counts["current"],
        skipped=counts["skipped"],
        ground_truth=counts["ground_truth"],
        drafts=counts["drafts"],
        deleted=counts["deleted"],
        quarantined=counts["quarantined"],
        reasons=reasons,
        decided=decided,
        changed=here.changed,
        removed=here.removed,
        tasks_deleted=here.tasks_deleted,
        tasks_edited=here.tasks_edited,
        tasks_foreign=here.tasks_foreign,
        tasks_unknown=here.tasks_unknown,
        tasks_double=here.tasks_double,
        in_flight=in_flight,
        last_pull=None if project is None else project.bookmark,
        by_lot=tuple(by_lot),
        in_review=in_review,
        release=release,
        release_digest=digest,
        released=released,
        since=since,
        **_models(models),
    )
    return _with_next(found, pinned)


def _release(gold: Path | None) -> tuple[str | None, str | None, int, str | None]:
    """The newest release: version, digest, documents, and when its files were written."""
    from datetime import UTC, datetime

    from curate.gold.manifest import NAME, read_manifest
    from curate.gold.versions import published

    versions = [] if gold is None else published(gold)
    if gold is None or not versions:
        return None, None, 0, None
    folder = gold / str(versions[-1])
    manifest = read_manifest(folder)
    written = datetime.fromtimestamp((folder / NAME).stat().st_mtime, UTC)
    documents = int(manifest.counts["documents"])
    return manifest.version, manifest.digest, documents, written.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _models(models: Path | None) -> dict[str, Any]:
    from curate.extractors.models import aliases, cards, version_key

    known = [] if models is None else [card for _, card in cards(models)]
    if models is None or not known:
        return {}
    newest = max(known, key=lambda card: (version_key(card.version), card.name))
    return {
        "models": len(known),
        "model": newest.reference,
        "model_release": newest.release.get("digest"),
        "champion": aliases(models).get("champion"),
    }


def _with_next(found: Status, pinned: bool) -> Status:
    """What comes next, the most urgent first."""
    from dataclasses import replace

    commands = []
    if not found.documents:
        commands.append("curate ingest PATH")
    elif found.in_flight:
        commands.append("curate push")
    elif found.waiting:
        if found.predicted < found.documents:
            commands.append("curate preannotate")
        commands.append("curate push")
    elif found.last_pull is None or found.annotated < found.pushed:
        commands.append("curate pull")
    if found.quarantined:
        commands.append("curate quarantine list")
    if found.in_review:
        commands.append("curate review pull")
    several = any(number > 1 for number in found.annotated_by)
    if found.annotated and (
        found.release is None or found.since or max(found.annotated, found.decided) > found.released
    ):
        if several:
            commands.append("curate agreement")
        if several and not pinned and not found.in_review:
            commands.append("curate review push")
        commands.append("curate gold build")
    elif found.release is not None and found.model_release != found.release_digest:
        commands.append("curate train --gold latest")
    elif found.model is not None and found.champion != found.model:
        commands += [f"curate models promote {found.model}", "curate train-curve"]
    if not commands:
        commands = ["curate ingest PATH", "curate push --order uncertainty"]
    return replace(found, next=tuple(commands))


def fate(store: Store, schema: LabelSchema) -> list[Fate]:
    """The fate of every model run's predictions that an annotator started from, by model."""
    fates: dict[str, Fate] = {}
    with store.read() as unit:
        for stored in unit.annotations.current():
            if stored.parent is None or stored.skipped:
                continue
            prediction = unit.predictions.get(stored.document_id, stored.parent)
            if prediction is None:
                continue
            name = str(stored.parent)
            _compare(fates.setdefault(name, Fate(name)), prediction, stored.annotation, schema)
            if stored.lead_time is not None:
                fates[name].lead_times.append(stored.lead_time)
    return [fates[name] for name in sorted(fates)]


def _compare(
    found: Fate, prediction: Annotation, annotation: Annotation, schema: LabelSchema
) -> None:
    from curate.alignment import align

    # the prediction is the older side: what it alone has was removed
    difference = align(prediction, annotation, schema)
    found.annotations += 1
    found.untouched += difference.is_same
    for event in difference.entities:
        what = _ENTITY[event.kind.value]
        found.entities[what] += max(len(event.a), len(event.b))
        for label in {entity.label for entity in (event.a or event.b)}:
            found.per_label.setdefault(label, Counter())[what] += 1
    for link in difference.relations:
        found.relations[_RELATION[link.kind.value]] += 1


_ENTITY = {
    "correct": "kept",
    "label": "relabelled",
    "boundary": "moved",
    "label_boundary": "both",
    "split": "restructured",
    "merge": "restructured",
    "missed": "removed",
    "spurious": "added",
}
_RELATION = {
    "correct": "kept",
    "type": "relabelled",
    "direction": "restructured",
    "argument": "restructured",
    "missed": "removed",
    "spurious": "added",
}
