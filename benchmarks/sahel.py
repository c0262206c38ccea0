"""The sample: a trained model against the bootstrap rules on the test split of its newest release.

Run: python -m benchmarks sahel, or python -m benchmarks.sahel [--gold VERSION] [--seeds 1 2]

What `curate train` does with the release, without a workspace; scores with intervals, and the
paired difference.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curate.extractors.bootstrap import Bootstrap
from curate.extractors.train import TrainSettings, learn, predict
from curate.flows.train import checked_splits
from curate.gold.opening import open_gold
from curate.model import Annotation, Source
from curate.resources import default_schema
from curate.schema import read_schema
from curate.scoring import score
from curate.scoring.comparison import Difference, compare_tallies
from curate.scoring.promotion import edits_of

FOLDER = Path(__file__).parents[1] / "gold" / "sahel"
MEASURES = (("entities", "strict"), ("relations", "strict"))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gold", default="latest")
    parser.add_argument("--seeds", nargs="*", type=int, default=[1])
    chosen = parser.parse_args(arguments)
    gold = open_gold(chosen.gold, FOLDER)
    schema = gold.schema or read_schema(default_schema())
    splits = checked_splits(gold, schema)
    test = sorted(splits["test"], key=lambda g: g.id)
    raw = sorted(g.document.text for g in splits["train"])
    print(f"{gold.name}: " + ", ".join(f"{name} {len(found)}" for name, found in splits.items()))

    def scored(said: Sequence[Annotation]) -> Any:
        of = {annotation.document_id: annotation for annotation in said}
        return score([(g.annotation, of[g.id]) for g in test], schema=schema)

    rules = scored(list(Bootstrap(schema).extract(g.document for g in test)))
    _tell("bootstrap", rules)
    for seed in chosen.seeds:
        began = time.process_time()
        settings = TrainSettings(seed=seed)
        nlp = learn(splits["train"], splits["dev"], schema, settings, raw=raw).nlp
        spent = time.process_time() - began
        trained = scored(list(predict(nlp, [g.document for g in test], Source.model("trained"))))
        _tell(f"trained, seed {seed}, {spent:.0f} s of processor time", trained)
        for one in compare_tallies(rules.tally, trained.tally).differences:
            if one.label is None and (one.part, one.measure) in MEASURES:
                print(f"  {one.part}: {_difference(one)}")
    return 0


def _tell(name: str, found: Any) -> None:
    parts = []
    for part, measure in MEASURES:
        one = getattr(found, part).measures[measure]
        low, high = one.ci
        parts.append(f"{part} {one.f1:.3f} [{low:.3f}, {high:.3f}]")
    print(f"{name}: {', '.join(parts)}, {edits_of(found.tally).per_entity:.3f} edits per entity")


def _difference(one: Difference) -> str:
    assert one.difference is not None
    assert one.ci is not None
    return f"{one.difference:+.3f} [{one.ci[0]:+.3f}, {one.ci[1]:+.3f}], p = {one.p:.3f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
