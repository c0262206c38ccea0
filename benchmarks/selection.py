"""Choosing what to annotate next: active learning simulated on WiNER with our own CRF.

Run: python -m benchmarks.selection [--seeds 1 2] [--arms …]

From 50 random documents on, each arm adds what it chooses, 50 documents' worth of words at a time,
and learns anew; what is asked is how many annotated words it needs to reach the strict F1 (nested
entities, 200 documents held out) that random documents reach at 200.  Every arm but the random ones
uses `curate.selection.choose` as `curate push --order uncertainty` does, the share drawn by lot
included.  The CRF is trained with small settings: no rules, word clusters, swaps or calibration,
and no lists of names but with --names.

The corpus lies in ../shared/data (or where CURATE_BENCH_DATA says).
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.extractors import HELD_OUT, MODEL, halves, judged, schema_of, winer
from curate.corpus.passages import cut
from curate.extractors.train import TrainSettings, learn, predict
from curate.gold.items import GoldDocument
from curate.model import Annotation, Document, Entity
from curate.schema import LabelSchema
from curate.selection import Candidate, choose, claims_of

FIRST, LAST, STEPS = 50, 200, 3
SENTENCES = 3

Arm = tuple[bool, dict[str, Any] | None]
ARMS: dict[str, Arm] = {
    "random documents": (False, None),
    "uncertain documents": (False, {}),
    "random passages": (True, None),
    "uncertain passages": (True, {}),
    "most uncertain documents": (False, {"share": 0.0, "top": 0.0, "spread": 1}),
    "most uncertain passages": (True, {"share": 0.0, "top": 0.0, "spread": 1}),
    "uncertain passages, any of the best quarter": (True, {"spread": 1}),
    "uncertain documents, any of the best quarter": (False, {"spread": 1}),
    "uncertain passages, none by lot": (True, {"share": 0.0}),
    "lowest mean score, documents": (False, {"mean": True}),
}
"""Passages or not, and the options of ``choose`` (None: by chance; ``mean``: without it)."""
USUAL = list(ARMS)[:4]


def words(gold: GoldDocument) -> int:
    return len(gold.document.text.split())


def mean_score(said: Annotation) -> tuple[float, str]:
    scores = [e.score or 0.0 for e in said.entities]
    return (sum(scores) / len(scores) if scores else 1.0, said.document_id)


def passages(gold: GoldDocument, size: int, language: str) -> list[GoldDocument]:
    """A document's passages with the entities that lie in them."""
    made = []
    for n, (start, end) in enumerate(cut(gold.document.text, size, language), 1):
        name = f"{gold.id}~{n}"
        inside = [
            Entity(e.start - start, e.end - start, e.label)
            for e in gold.annotation.entities
            if start <= e.start and e.end <= end
        ]
        text = gold.document.text[start:end]
        made.append(
            GoldDocument(
                Document.of(text, id=name),
                Annotation.of(name, inside, (), gold.annotation.source),
                group=gold.id,
            )
        )
    return made


class Run:
    """One seed: what is held out, the first model, what random documents reach."""

    def __init__(
        self, documents: Sequence[GoldDocument], schema: LabelSchema, seed: int, names: bool = False
    ) -> None:
        self.schema, self.seed, self.names = schema, seed, names
        self.test, rest = halves(documents, HELD_OUT["winer"], seed)
        self.first, self.rest = rest[:FIRST], rest[FIRST:]
        self.step = sum(map(words, rest[FIRST:LAST])) // STEPS
        self.start = self._learned(self.first)

    def _learned(self, train: Sequence[GoldDocument]) -> tuple[Any, float]:
        settings = TrainSettings(seed=self.seed, rules="", clusters=0, swaps=0, names=self.names)
        nlp = learn(train, [], self.schema, settings, calibrate=False).nlp
        f1 = judged(nlp, self.test, self.schema).entities.measures["strict"].f1
        return nlp, 100 * (f1 or 0.0)

    def curve(self, cut_up: bool, options: dict[str, Any] | None) -> list[tuple[int, float]]:
        """``(words annotated, F1)`` after each step."""
        have = list(self.first)
        left = {g.id: g for g in self.rest}
        if cut_up:
            left = {
                p.id: p for g in self.rest for p in passages(g, SENTENCES, self.schema.language)
            }
        nlp, f1 = self.start
        points = [(sum(map(words, have)), f1)]
        order = sorted(left)
        if not cut_up:
            order = [g.id for g in self.rest]
        else:
            random.Random(self.seed).shuffle(order)
        picked = 0
        for step in range(STEPS):
            if options is not None:
                order = self._chosen(nlp, left, have, picked, options)
            # the last step ends where the words do: all arms pay the same
            due = points[0][0] + (step + 1) * self.step
            paid = sum(map(words, have))
            for key in list(order):
                if paid >= due:
                    break
                have.append(left.pop(key))
                order.remove(key)
                paid += words(have[-1])
                picked += 1
            nlp, f1 = self._learned(have)
            points.append((paid, f1))
        return points

    def _chosen(
        self,
        nlp: Any,
        left: dict[str, GoldDocument],
        have: Sequence[GoldDocument],
        picked: int,
        options: dict[str, Any],
    ) -> list[str]:
        golds = list(left.values())
        said = list(predict(nlp, [g.document for g in golds], MODEL))
        if "mean" in options:
            return [a.document_id for a in sorted(said, key=mean_score)]
        candidates = [
            Candidate(
                a.document_id,
                words(left[a.document_id]),
                claims_of(a),
                left[a.document_id].group,
                left[a.document_id].group,
            )
            for a in said
        ]
        mean = sum(c.words for c in candidates) / len(candidates)
        chosen = choose(
            candidates,
            round(1.5 * self.step / mean),
            seed=self.seed,
            before=picked,
            texts=lambda ids: {key: left[key].document.text for key in ids},
            known=[g.document.text for g in have],
            **options,
        )
        return [pick.id for pick in chosen.picks]


def needed(points: Sequence[tuple[int, float]], wanted: float) -> float | None:
    """The words at which the straight lines between the points reach ``wanted``."""
    for (w0, f0), (w1, f1) in itertools.pairwise(points):
        if f1 >= wanted:
            return w0 + (w1 - w0) * max(0.0, (wanted - f0) / (f1 - f0)) if f1 > f0 else w0
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--arms", nargs="*", default=USUAL, metavar="ARM", help="; ".join(ARMS))
    parser.add_argument("--names", action="store_true", help="let the model see lists of names")
    chosen = parser.parse_args(arguments)
    documents = winer()
    if not documents:
        print("winer: the corpus is not here; left out")
        return 0
    unknown = [name for name in chosen.arms if name not in ARMS]
    if unknown:
        print(f"no arm {unknown[0]!r}; there are {'; '.join(ARMS)}", file=sys.stderr)
        return 2
    schema = schema_of("winer", documents)
    began = time.process_time()
    for seed in chosen.seeds:
        run = Run(documents, schema, seed, chosen.names)
        wanted = run.curve(*ARMS["random documents"])
        report(seed, "random documents", wanted, wanted)
        for name in chosen.arms:
            if name != "random documents":
                report(seed, name, run.curve(*ARMS[name]), wanted)
    print(f"{time.process_time() - began:.0f} s of processor time")
    return 0


def report(
    seed: int,
    name: str,
    points: Sequence[tuple[int, float]],
    random_documents: Sequence[tuple[int, float]],
) -> None:
    total, goal = random_documents[-1]
    reached = needed(points, goal)
    said = "not reached" if reached is None else f"{reached:.0f} words ({reached / total:.0%})"
    curve = ", ".join(f"{f1:.1f} at {count}" for count, f1 in points)
    print(f"seed {seed}, {name}: {curve}; {goal:.1f} needs {said}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
