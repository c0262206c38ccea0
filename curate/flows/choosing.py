"""Which documents a push makes tasks of, and in what order."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from curate.errors import UsageError
from curate.selection import SHARE, Selection, choose
from curate.store.selection import Ledger

if TYPE_CHECKING:
    from curate.flows.reporter import Reporter
    from curate.store import Store, UnitOfWork

Order = Literal["oldest", "random", "uncertainty"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What ``--order uncertainty`` did, in documents.

    ``uncertain`` were chosen by the model's doubts, ``by_lot`` drawn, ``others`` added because
    nothing was left to doubt; of ``candidates``, ``scored`` have a prediction with scores.
    ``words`` is what the chosen ones hold, about; ``doubts`` how many wrong items are expected
    among 100 words of the uncertain ones, ``doubts_by_lot`` of those drawn (labels weighted, None
    where there are none); ``labels`` what rare labels count; ``seed`` that of the lot.
    """

    candidates: int
    scored: int
    uncertain: int
    by_lot: int
    others: int
    words: int
    doubts: float | None
    doubts_by_lot: float | None
    labels: dict[str, float]
    seed: int


@dataclass(frozen=True, slots=True)
class Plan:
    """``seqs`` of the documents to push, of ``waiting`` ones; ``ledger`` is to be entered."""

    seqs: array[int]
    waiting: int
    chosen: Chosen | None = None
    ledger: Ledger | None = None


def plan(
    unit: UnitOfWork,
    project: int,
    run: int | None,
    order: Order,
    limit: int | None,
    seed: int,
    reporter: Reporter,
    share: float = SHARE,
) -> Plan:
    """What to push next to this project; nothing is written."""
    if order != "uncertainty":
        seqs = unit.sync.unpushed(project, run, order, seed)
        return Plan(seqs if limit is None else seqs[:limit], len(seqs))
    numbers: dict[str, int] = {}
    candidates = []
    for seq, candidate in unit.selections.candidates(project, run):
        numbers[candidate.id] = seq
        candidates.append(candidate)
    ledger = unit.selections.ledger(project) or Ledger(seed)
    if ledger.seed != seed and ledger.picked and share:
        reporter.warn(
            f"the share by lot goes on with the seed of the project's first choice, {ledger.seed}"
        )
    scored = any(candidate.claims for candidate in candidates)
    if candidates and not scored:
        reporter.warn(
            f"none of the {len(candidates)} waiting documents has a prediction with scores, so all "
            "are taken by lot; run `curate preannotate` with a model that gives scores"
        )
    found = choose(
        candidates,
        limit,
        seed=ledger.seed,
        share=share if scored else 1.0,
        before=ledger.picked,
        cursor=ledger.cursor,
        taken=unit.selections.taken(project),
        texts=unit.selections.texts,
        known=unit.selections.known(project, ledger.seed) if scored else (),
    )
    return Plan(
        array("Q", (numbers[pick.id] for pick in found.picks)),
        len(candidates),
        _told(found, ledger.seed),
        replace(ledger, picked=ledger.picked + len(found.picks), cursor=found.cursor),
    )


def _told(found: Selection, seed: int) -> Chosen:
    return Chosen(
        candidates=found.candidates,
        scored=found.scored,
        uncertain=found.count("uncertain"),
        by_lot=found.count("random"),
        others=found.count("rest"),
        words=found.words,
        doubts=found.doubts("uncertain"),
        doubts_by_lot=found.doubts("random"),
        labels=dict(found.weights),
        seed=seed,
    )


def drawn_by_lot(store: Store, title: str) -> frozenset[str]:
    """The documents in this project that are a random sample of all that were ingested.

    Raises UsageError where nothing was ever drawn.
    """
    with store.read() as unit:
        found = [
            unit.selections.sample(project.id)
            for project in unit.projects.all()
            if project.title == title and project.purpose == "annotate"
        ]
    if not any(found):
        raise UsageError(
            f"nothing was drawn by lot in the project {title!r}; "
            "`curate push --order uncertainty` does that"
        )
    return frozenset(key for sample in found for key in sample)
