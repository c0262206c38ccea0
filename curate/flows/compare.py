"""curate compare: two sets of predictions on one gold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import DataError
from curate.flows.annotation_sets import AnnotationSet
from curate.flows.evaluate import Options, load_pair

if TYPE_CHECKING:
    from curate.flows.reporter import Reporter
    from curate.schema import LabelSchema
    from curate.scoring.comparison import Comparison


@dataclass(frozen=True)
class Compared:
    """The comparison, and of what on what."""

    comparison: Comparison
    a: str
    b: str
    gold: str
    gold_digest: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "a": self.a,
            "b": self.b,
            "gold": {"name": self.gold, "digest": self.gold_digest},
            **self.comparison.as_json(),
        }


def compare(
    a: AnnotationSet,
    b: AnnotationSet,
    gold: AnnotationSet,
    schema: LabelSchema | None,
    reporter: Reporter,
    options: Options,
) -> Compared:
    """Score both on the same gold, and compare.  Raises as ``evaluate`` does."""
    from curate.scoring.comparison import compare_tallies
    from curate.scoring.resampling import SEED
    from curate.scoring.scores import tally_sides

    tallies = []
    read = None
    for side in (a, b):
        (read, _), paired = load_pair(side, gold, options, read)
        tallies.append(
            tally_sides(
                paired.documents,
                paired.gold,
                paired.other,
                schema,
                frozenset(options.labels) or None,
            )
        )
    one, two = tallies
    if options.only_common:
        common = set(one.documents) & set(two.documents)
        one, two = one.subset(common), two.subset(common)
    for side, counts in ((a, one), (b, two)):
        for warning in counts.warnings:
            reporter.warn(f"{side.name}: {warning}")
    seed = SEED if options.seed is None else options.seed
    return Compared(
        compare_tallies(one, two, options.draws, seed), a.name, b.name, gold.name, gold.digest
    )


@dataclass(frozen=True)
class Saved:
    """A folder that ``curate evaluate --output`` wrote."""

    folder: Path
    predictions: str
    gold: str
    gold_digest: str
    split: str | None
    labels: tuple[str, ...]


def saved_at(folder: Path) -> Saved | None:
    """The saved evaluation in this folder; None where there is none."""
    import json

    path = folder / "metrics.json"
    if not path.is_file() or not (folder / "counts.jsonl").is_file():
        return None
    try:
        data = json.loads(path.read_bytes())
        return Saved(
            folder,
            str(data["predictions"]["name"]),
            str(data["gold"]["name"]),
            str(data["gold"]["digest"]),
            data["split"],
            tuple(data["labels"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError("is no metrics.json of `curate evaluate`", path=path) from None


def compare_saved(a: Saved, b: Saved, options: Options) -> Compared:
    """Compare two saved evaluations.

    Raises DataError where they were made on different gold, splits or labels: their scores are
    then not scores of the same thing.
    """
    from curate.scoring.comparison import compare_tallies
    from curate.scoring.resampling import SEED
    from curate.scoring.saved import read_counts

    if a.gold_digest != b.gold_digest:
        raise DataError(
            f"{a.folder} was scored on {a.gold}, {b.folder} on {b.gold}; scores of different gold "
            "are not compared. Score both models again on one of them: "
            "curate compare A B --gold GOLD"
        )
    if (a.split, a.labels) != (b.split, b.labels):
        raise DataError(
            f"{a.folder} and {b.folder} were scored on different splits or labels; score both again"
        )
    seed = SEED if options.seed is None else options.seed
    found = compare_tallies(
        read_counts(a.folder / "counts.jsonl"),
        read_counts(b.folder / "counts.jsonl"),
        options.draws,
        seed,
    )
    return Compared(found, a.predictions, b.predictions, a.gold, a.gold_digest)
