"""What is said of the agreement of annotators: values, and their JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from curate.agreement.units import Unit

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Value:
    """A number with its interval; None where it is undefined."""

    value: float | None
    ci: Interval | None = None

    @property
    def ci_json(self) -> list[float] | None:
        return None if self.ci is None else list(self.ci)


@dataclass(frozen=True, slots=True)
class LabelAgreement:
    """Mean pairwise F1 on one label; ``support``: how often each annotator used it."""

    f1: Value
    lenient_f1: Value
    support: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        return {
            "f1": self.f1.value,
            "ci": self.f1.ci_json,
            "lenient_f1": self.lenient_f1.value,
            "lenient_ci": self.lenient_f1.ci_json,
            "support": dict(self.support),
        }


@dataclass(frozen=True, slots=True)
class Stages:
    """Where relations part, counted over both directions of every pair: of ``relations`` drawn by
    one, the other has both arguments, links the two at all, gives the same label, and the same
    direction."""

    relations: int = 0
    arguments_found: int = 0
    linked: int = 0
    same_label: int = 0
    same_direction: int = 0

    def as_json(self) -> dict[str, int]:
        return {
            "relations": self.relations,
            "arguments_found": self.arguments_found,
            "linked": self.linked,
            "same_label": self.same_label,
            "same_direction": self.same_direction,
        }


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two annotators on the documents that both have.

    ``confusion``: how often one's label stood where the other's did, None where one had nothing.
    """

    a: str
    b: str
    documents: int
    f1: Value
    lenient_f1: Value
    relations_f1: Value
    kappa: Value
    entities_of: tuple[int, int]
    relations_of: tuple[int, int]
    confusion: Mapping[tuple[str | None, str | None], int]

    def as_json(self) -> dict[str, Any]:
        return {
            "annotators": [self.a, self.b],
            "documents": self.documents,
            "f1": self.f1.value,
            "ci": self.f1.ci_json,
            "lenient_f1": self.lenient_f1.value,
            "kappa": self.kappa.value,
            "relations_f1": self.relations_f1.value,
            "relations_ci": self.relations_f1.ci_json,
            "entities": list(self.entities_of),
            "relations": list(self.relations_of),
            "confusion": [
                {"labels": [one, two], "count": n} for (one, two), n in self.confusion.items()
            ],
        }


@dataclass(frozen=True, slots=True)
class Agreement:
    """Every measure over all annotators.

    ``units`` counts the characters or tokens behind ``alpha`` and the kappas; ``kappa`` is
    Cohen's for two annotators, else Fleiss' over the documents that all of them have.  The
    ``marked`` ones are over units that somebody marked.
    """

    documents: int
    annotators: tuple[str, ...]
    unit: Unit
    units: int
    marked_units: int
    f1: Value
    lenient_f1: Value
    kappa: Value
    kappa_marked: Value
    alpha: Value
    alpha_marked: Value
    per_label: Mapping[str, LabelAgreement]
    relations_f1: Value
    relations_strict_f1: Value
    label_kappa: Value
    relations_per_label: Mapping[str, Value]
    stages: Stages
    pairs: tuple[PairAgreement, ...]
    over_time: Mapping[str, tuple[int, Value, Value]] = field(default_factory=dict)
    undefined: Mapping[str, str] = field(default_factory=dict)

    @property
    def kappa_name(self) -> str:
        return "Cohen" if len(self.annotators) == 2 else "Fleiss"

    def as_json(self) -> dict[str, Any]:
        """The form of ``curate agreement --json``."""
        return {
            "documents": self.documents,
            "annotators": list(self.annotators),
            "entities": {
                "f1": self.f1.value,
                "ci": self.f1.ci_json,
                "lenient_f1": self.lenient_f1.value,
                "lenient_ci": self.lenient_f1.ci_json,
                "kappa": self.kappa.value,
                "kappa_ci": self.kappa.ci_json,
                "kappa_name": self.kappa_name,
                "kappa_marked": self.kappa_marked.value,
                "alpha": self.alpha.value,
                "alpha_ci": self.alpha.ci_json,
                "alpha_marked": self.alpha_marked.value,
                "unit": str(self.unit),
                "units": self.units,
                "marked_units": self.marked_units,
                "per_label": {name: of.as_json() for name, of in self.per_label.items()},
            },
            "relations": {
                "f1": self.relations_f1.value,
                "ci": self.relations_f1.ci_json,
                "strict_f1": self.relations_strict_f1.value,
                "label_kappa": self.label_kappa.value,
                "label_kappa_ci": self.label_kappa.ci_json,
                "per_label": {
                    name: {"f1": of.value, "ci": of.ci_json}
                    for name, of in self.relations_per_label.items()
                },
                "stages": self.stages.as_json(),
            },
            "pairs": [pair.as_json() for pair in self.pairs],
            "over_time": [
                {
                    "period": period,
                    "documents": documents,
                    "f1": entities.value,
                    "ci": entities.ci_json,
                    "relations_f1": relations.value,
                }
                for period, (documents, entities, relations) in self.over_time.items()
            ],
            "undefined": dict(self.undefined),
        }
