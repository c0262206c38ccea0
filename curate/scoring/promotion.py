"""The rule of promotion: when one model may take another's place.

A model is better when the paired interval of the difference of its strict entity F1, on the same
documents, clears a margin.  It must lose no label significantly (Holm), must not lose in relations,
and must not cost annotators more edits: an entity to add, remove, relabel or move is one edit each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from curate.scoring.comparison import ALPHA, Comparison, compare_tallies
from curate.scoring.scores import Tally, scores_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the challenger may take the place, and what is missing if not."""

    better: bool
    missing: tuple[str, ...]
    comparison: Comparison
    edits: tuple[float | None, float | None]
    """Edits per gold entity of the champion and of the challenger."""

    def as_json(self) -> dict[str, Any]:
        main = self.comparison.of("entities") if self.comparison.differences else None
        return {
            "better": self.better,
            "missing": list(self.missing),
            "documents": self.comparison.documents,
            "entities": None if main is None else main.as_json(),
            "edits_per_entity": {"champion": self.edits[0], "challenger": self.edits[1]},
        }


def judge(champion: Tally, challenger: Tally, margin: float = 0.0, draws: int = 10_000) -> Verdict:
    """Judge the challenger against the champion; ``margin`` is in F1, 0.01 is one point.

    Raises DataError where the two were scored on different documents.
    """
    comparison = compare_tallies(champion, challenger, draws)
    edits = (edits_per_entity(champion), edits_per_entity(challenger))
    if not comparison.differences:
        return Verdict(False, ("there are no test documents to judge by",), comparison, edits)
    missing: list[str] = []
    main = comparison.of("entities")
    if main.ci is None or main.difference is None:
        missing.append("the difference cannot be measured on so few test documents")
    elif main.ci[0] <= margin:
        needed = (
            ""
            if main.documents_needed is None
            else (f"; about {main.documents_needed} test documents would show 2 points")
        )
        missing.append(
            f"the difference in entity F1 is {main.difference:+.3f}, its interval "
            f"[{main.ci[0]:+.3f}, {main.ci[1]:+.3f}] does not clear {margin:+.3f}{needed}"
        )
    for found in comparison.differences:
        lost = found.difference is not None and found.difference < 0
        sure = found.p_holm is not None and found.p_holm < ALPHA
        headline = (found.part, found.measure) == ("relations", "boundaries")
        if lost and sure and (found.label is not None or headline):
            missing.append(f"it is significantly worse in {found.name} ({found.difference:+.3f})")
    if edits[0] is not None and edits[1] is not None and edits[1] > edits[0]:
        missing.append(
            f"annotators would owe {edits[1]:.3f} edits per entity instead of {edits[0]:.3f}"
        )
    return Verdict(not missing, tuple(missing), comparison, edits)


def edits_per_entity(counts: Tally) -> float | None:
    """Entities to add, remove, relabel or move, per gold entity; None without gold."""
    scores = scores_of(counts, draws=0).entities
    gold = sum(members[0] for members in scores.error_members.values())
    if not gold:
        return None
    events = sum(count for kind, count in scores.errors.items() if kind != "correct")
    return events / gold
