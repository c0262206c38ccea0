"""The rule of promotion: when one model may take another's place.

A model is better when the paired interval of the difference of its strict entity F1, on the same
documents, clears a margin, and the paired test finds it significant.  It must lose no label
significantly (Holm), must not lose in relations, and must not cost annotators more edits: an
entity to add, remove, relabel or move is one edit each; one to relabel and move is two, one cut in
three is to be moved once and to be removed twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from curate.alignment import EntityKind
from curate.scoring.comparison import ALPHA, Comparison, Difference, compare_tallies
from curate.scoring.scores import Tally, scores_of


@dataclass(frozen=True, slots=True)
class Edits:
    """What annotators owe the predictions, in entities; ``gold`` is how many there should be."""

    add: int
    remove: int
    relabel: int
    move: int
    gold: int

    @property
    def total(self) -> int:
        return self.add + self.remove + self.relabel + self.move

    @property
    def per_entity(self) -> float | None:
        """Edits per gold entity; None without gold."""
        return self.total / self.gold if self.gold else None

    def as_json(self) -> dict[str, Any]:
        return {
            "add": self.add,
            "remove": self.remove,
            "relabel": self.relabel,
            "move": self.move,
            "per_entity": None if self.per_entity is None else round(self.per_entity, 4),
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the challenger may take the place, and what is missing if not."""

    better: bool
    missing: tuple[str, ...]
    comparison: Comparison
    edits: tuple[Edits, Edits]
    """What annotators owe the champion and the challenger."""

    @property
    def significant(self) -> tuple[Difference, ...]:
        """The labels in which the two differ for sure (Holm)."""
        return tuple(
            d
            for d in self.comparison.differences
            if d.label is not None and d.p_holm is not None and d.p_holm < ALPHA
        )

    def as_json(self) -> dict[str, Any]:
        main = self.comparison.of("entities") if self.comparison.differences else None
        return {
            "better": self.better,
            "missing": list(self.missing),
            "documents": self.comparison.documents,
            "entities": None if main is None else main.as_json(),
            "labels": [d.as_json() for d in self.comparison.differences if d.label is not None],
            "edits_per_entity": {
                "champion": self.edits[0].per_entity,
                "challenger": self.edits[1].per_entity,
            },
            "edits": {"champion": self.edits[0].as_json(), "challenger": self.edits[1].as_json()},
        }


def judge(champion: Tally, challenger: Tally, margin: float = 0.0, draws: int = 10_000) -> Verdict:
    """Judge the challenger against the champion; ``margin`` is in F1, 0.01 is one point.

    Raises DataError where the two were scored on different documents.
    """
    comparison = compare_tallies(champion, challenger, draws)
    edits = (edits_of(champion), edits_of(challenger))
    if not comparison.differences:
        return Verdict(False, ("there are no test documents to judge by",), comparison, edits)
    missing: list[str] = []
    main = comparison.of("entities")
    if main.ci is None or main.difference is None:
        missing.append("the difference cannot be measured on so few test documents")
    elif main.ci[0] <= margin:
        wanted = main.documents_needed or 0
        needed = (
            f"; about {wanted} test documents would show 2 points"
            if wanted > comparison.documents
            else ""
        )
        missing.append(
            f"the difference in entity F1 is {main.difference:+.3f}, its interval "
            f"[{main.ci[0]:+.3f}, {main.ci[1]:+.3f}] does not clear {margin:+.3f}{needed}"
        )
    elif main.p is None or main.p >= ALPHA:
        # Intervals from a handful of documents are too narrow; the test knows its limits.
        p = "n/a" if main.p is None else f"{main.p:.2f}"
        missing.append(
            f"on {comparison.documents} test documents the difference of {main.difference:+.3f} "
            f"may be chance (p = {p})"
        )
    for found in comparison.differences:
        lost = found.difference is not None and found.difference < 0
        sure = found.p_holm is not None and found.p_holm < ALPHA
        headline = (found.part, found.measure) == ("relations", "boundaries")
        if lost and sure and (found.label is not None or headline):
            missing.append(f"it is significantly worse in {found.name} ({found.difference:+.3f})")
    before, after = edits[0].per_entity, edits[1].per_entity
    if before is not None and after is not None and after > before:
        missing.append(f"annotators would owe {after:.3f} edits per entity instead of {before:.3f}")
    return Verdict(not missing, tuple(missing), comparison, edits)


def edits_of(counts: Tally) -> Edits:
    """What annotators owe predictions of these counts."""
    part = scores_of(counts, draws=0).entities
    kinds = {EntityKind(kind): number for kind, number in part.errors.items()}
    members = {EntityKind(kind): pair for kind, pair in part.error_members.items()}
    split, merged = members[EntityKind.SPLIT], members[EntityKind.MERGE]
    both = kinds[EntityKind.LABEL_BOUNDARY]
    return Edits(
        add=kinds[EntityKind.MISSED] + merged[0] - merged[1],
        remove=kinds[EntityKind.SPURIOUS] + split[1] - split[0],
        relabel=kinds[EntityKind.LABEL] + both,
        move=kinds[EntityKind.BOUNDARY] + both + split[0] + merged[1],
        gold=sum(pair[0] for pair in members.values()),
    )


def edits_per_entity(counts: Tally) -> float | None:
    """Edits per gold entity; None without gold."""
    return edits_of(counts).per_entity
