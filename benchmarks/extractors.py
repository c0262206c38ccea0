"""Extractors on WiNER and POPCORN: quality by amount of gold, training time, calibration, speed.

Run: python -m benchmarks.extractors [winer|popcorn|judge|speed …] [--sizes 100] [--seeds 1 2]

The corpora lie in ../shared/data (or where CURATE_BENCH_DATA says); where they are absent the
benchmark says so and goes on.  Documents are held out by a seeded shuffle, whole; word clusters
are learned from the raw text of documents that are not held out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._chains import with_chains
from benchmarks.popcorn import measure as measure_popcorn
from curate.extractors.bootstrap import Bootstrap
from curate.extractors.train import TrainSettings, learn, predict
from curate.gold.items import GOLD, GoldDocument
from curate.interchange import read
from curate.model import Annotation, Document, Entity, Source
from curate.resources import default_schema, resource
from curate.schema import EntityType, LabelSchema, RelationType, read_schema
from curate.scoring import Scores, score

DATA = Path(os.environ.get("CURATE_BENCH_DATA", Path(__file__).parents[1] / "../shared/data"))
HELD_OUT = {"winer": 200, "popcorn": 100}
MODEL = Source.model("bench")


def brat(path: Path) -> GoldDocument:
    """A WiNER document; discontinuous mentions are left out (there are none in these years)."""
    text = path.with_suffix(".txt").read_text(encoding="utf-8")
    entities = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("T"):
            label, place = line.split("\t")[1].split(" ", 1)
            if ";" not in place:
                start, end = map(int, place.split())
                entities.append(Entity(start, end, label))
    document = Document.of(text, id=path.stem)
    return GoldDocument(document, Annotation.of(path.stem, entities, (), GOLD))


def winer() -> list[GoldDocument]:
    return [brat(path) for path in sorted((DATA / "winer").glob("*/*/*.ann"))]


def popcorn() -> list[GoldDocument]:
    path = DATA / "popcorn" / "train.jsonl"
    if not path.is_file():
        return []
    return [GoldDocument(r.document, r.annotation) for r in read(path, source=GOLD)]


def schema_of(name: str, documents: Sequence[GoldDocument]) -> LabelSchema:
    """The labels that occur, each relation type with the labels that it links."""
    labels = sorted({e.label for g in documents for e in g.annotation.entities})
    links: dict[str, tuple[set[str], set[str]]] = {}
    for gold in documents:
        for r in gold.annotation.relations:
            heads, tails = links.setdefault(r.label, (set(), set()))
            heads.add(r.head.label)
            tails.add(r.tail.label)
    relations = [
        RelationType(n, tuple(sorted(h)), tuple(sorted(t))) for n, (h, t) in sorted(links.items())
    ]
    return LabelSchema(name, tuple(map(EntityType, labels)), tuple(relations), language="fr")


def flat(annotation: Annotation) -> Annotation:
    """Without the entities inside or across a longer one."""
    kept: list[Entity] = []
    for entity in sorted(annotation.entities, key=lambda e: (e.start - e.end, e.start, e.label)):
        if all(entity.end <= k.start or k.end <= entity.start for k in kept):
            kept.append(entity)
    return Annotation.of(annotation.document_id, kept, (), annotation.source)


def halves(
    documents: Sequence[GoldDocument], held: int, seed: int
) -> tuple[list[GoldDocument], list[GoldDocument]]:
    """``(held out, rest)`` by a seeded shuffle of the ids."""
    shuffled = sorted(documents, key=lambda g: g.id)
    random.Random(seed).shuffle(shuffled)
    return shuffled[:held], shuffled[held:]


def judged(
    nlp: Any, test: Sequence[GoldDocument], schema: LabelSchema, *, flatten: bool = False
) -> Scores:
    said = {a.document_id: a for a in predict(nlp, [g.document for g in test], MODEL)}
    change = flat if flatten else (lambda annotation: annotation)
    pairs = [(change(g.annotation), change(said[g.id])) for g in test]
    return score(pairs, schema=schema, draws=1000)


def shown(measure: Any) -> str:
    interval = (
        "" if measure.ci is None else f" [{100 * measure.ci[0]:.1f}, {100 * measure.ci[1]:.1f}]"
    )
    return "n/a" if measure.f1 is None else f"{100 * measure.f1:.1f}{interval}"


def run_winer(sizes: Sequence[int], seeds: Sequence[int], rules: str | None) -> None:
    documents = winer()
    if not documents:
        print("winer: the corpus is not here; left out")
        return
    schema = schema_of("winer", documents)
    print(f"winer: {len(documents)} documents, {HELD_OUT['winer']} held out, strict entity F1")
    for size in sizes:
        for seed in seeds:
            test, rest = halves(documents, HELD_OUT["winer"], seed)
            train = rest[:size] if size else rest
            started = time.perf_counter()
            learned = learn(
                train,
                [],
                schema,
                TrainSettings(seed=seed, rules=rules),
                raw=[g.document.text for g in rest],
            )
            spent = time.perf_counter() - started
            nested = judged(learned.nlp, test, schema)
            calibration = nested.entities.calibration
            ece = None if calibration is None else calibration.as_json().get("ece")
            flat_scores = judged(learned.nlp, test, schema, flatten=True)
            print(
                f"  {len(train):4d} documents, seed {seed}: nested "
                f"{shown(nested.entities.measures['strict'])}, flat "
                f"{shown(flat_scores.entities.measures['strict'])}, ECE "
                f"{'n/a' if ece is None else format(ece, '.3f')}, trained in {spent:.1f} s",
                flush=True,
            )


def run_popcorn(sizes: Sequence[int], seeds: Sequence[int]) -> None:
    documents = popcorn()
    if not documents:
        print("popcorn: the corpus is not here; left out")
        return
    schema = schema_of("popcorn", documents)
    path = DATA / "popcorn" / "train.jsonl"
    words_alone = {g.id: g for g in with_chains(documents, path, relations=False)}
    documents = with_chains(documents, path)
    print(
        f"popcorn: {len(documents)} reports, {HELD_OUT['popcorn']} held out; relations between "
        "given entities, micro / macro F1: pairs, between the exact mentions that this copy links; "
        "chains, between coreference chains as far as they could be recovered from this copy"
    )
    for size in sizes:
        for seed in seeds:
            test, rest = halves(documents, HELD_OUT["popcorn"], seed)
            found = measure_popcorn(rest[:size] if size else rest, test, schema, seed, words_alone)
            entities, pairs = found["entities"], found["pairs"]
            end_to_end = found["end to end"].measures["boundaries"]
            print(
                f"  {min(size or len(rest), len(rest)):4d} reports, seed {seed}: entities "
                f"{shown(entities.measures['strict'])} / {_percent(entities.macro_f1)}; relations "
                f"given entities: pairs {shown(pairs.measures['boundaries'])} / "
                f"{_percent(pairs.macro_f1)}, chains {_both(found['chains'])} "
                f"({shown(found['measured chains'])} by `evaluate`; "
                f"{_both(found['chains, pairs learned'])} if chains are not told; "
                f"{_both(found['chains, words alone'])} if those told are recovered without the "
                f"relations, {_both(found['both by words alone'])} if those scored are, too), "
                f"ECE {found['ece']:.3f}; end to end {shown(end_to_end)}; "
                f"processor time {found['trained']:.0f} s to train, {found['spent']:.0f} s in all",
                flush=True,
            )


def run_speed() -> None:
    """Words a second of processor time: the rules, and a pipeline trained on the sample."""
    schema = read_schema(default_schema())
    path = resource("examples/sahel/annotator_a.jsonl")
    gold = [GoldDocument(r.document, r.annotation) for r in read(path, source=GOLD)]
    texts = [g.document for g in winer()[:300]] or [g.document for g in gold] * 10
    words = sum(len(d.text.split()) for d in texts)
    nlp = learn(gold, [], schema, TrainSettings()).nlp
    plain = learn(gold, [], schema, TrainSettings(rules="")).nlp
    entities = learn([_without(g) for g in gold], [], schema, TrainSettings(rules="")).nlp
    bootstrap = Bootstrap(schema)
    for name, call in (
        ("bootstrap rules, relations too", lambda: list(bootstrap.extract(texts))),
        ("crf_ner alone", lambda: list(predict(entities, texts, MODEL))),
        ("crf_ner and relations", lambda: list(predict(plain, texts, MODEL))),
        ("crf_ner and relations over the rules", lambda: list(predict(nlp, texts, MODEL))),
        ("the same, nlp.pipe alone", lambda: list(nlp.pipe([d.text for d in texts]))),
    ):
        spent = []
        for _ in range(3):
            started = time.process_time()
            call()
            spent.append(time.process_time() - started)
        print(
            f"speed: {name}: {words / statistics.median(spent):,.0f} words/s of one core",
            flush=True,
        )


def run_judge(size: int, seed: int) -> None:
    """Who tells right from wrong among the entities of spaCy's ner: its beam, or the judge."""
    import tempfile

    from curate.extractors.judge import Judge

    documents = winer()
    if not documents:
        print("judge: the corpus is not here; left out")
        return
    schema = schema_of("winer", documents)
    test, rest = halves(documents, HELD_OUT["winer"], seed)
    raw = [g.document.text for g in rest]
    with tempfile.TemporaryDirectory() as work:
        crf = learn(rest[:size], [], schema, TrainSettings(seed=seed), raw=raw).nlp
        settings = TrainSettings(extractor="ner", seed=seed, steps=600)
        ner = learn(rest[:size], [], schema, settings, work=Path(work)).nlp
        crf.to_disk(Path(work) / "crf")
        judge = Judge.of(Path(work) / "crf")
        rows: list[tuple[float, float, bool]] = []
        for gold in test:
            doc = ner(gold.document.text)
            known = {e.key for e in gold.annotation.entities}
            beam = _beam(ner, gold.document.text)
            said = [Entity(e.start_char, e.end_char, e.label_) for e in doc.ents]
            annotation = Annotation.of(gold.id, said, (), MODEL)
            for e in judge.judged(annotation, gold.document.text, MODEL).entities:
                rows.append((beam.get(e.key, 0.0), e.score or 0.0, e.key in known))
    right = [good for *_, good in rows]
    share = sum(right) / len(right)
    print(
        f"judge: {len(rows)} entities of spaCy's ner ({size} documents, seed {seed}), "
        f"{100 * share:.1f} % right"
    )
    for name, column in (("spaCy's beam", 0), ("the judge", 1)):
        scores = [row[column] for row in rows]
        print(
            f"judge: {name}: AUROC {_auroc(scores, right):.3f}, ECE {_ece(scores, right):.3f}",
            flush=True,
        )


def _beam(nlp: Any, text: str) -> dict[tuple[int, int, str], float]:
    """The share of the beam's parses, by their probability, that hold each entity."""
    doc = nlp.make_doc(text)
    for name, part in nlp.pipeline:
        if name == "ner":
            break
        doc = part(doc)
    ner = nlp.get_pipe("ner")
    [beam] = ner.beam_parse([doc], beam_width=16, beam_density=0.0001)
    found: dict[tuple[int, int, str], float] = {}
    for probability, entities in ner.moves.get_beam_parses(beam):
        for start, end, label in entities:
            span = doc[start:end]
            key = (span.start_char, span.end_char, label)
            found[key] = found.get(key, 0.0) + probability
    return found


def _auroc(scores: Sequence[float], right: Sequence[bool]) -> float:
    """The probability that a right one scores above a wrong one; ties count a half."""
    order = sorted(range(len(scores)), key=lambda i: scores[i])
    ranks = [0.0] * len(scores)
    at = 0
    while at < len(order):
        end = at
        while end < len(order) and scores[order[end]] == scores[order[at]]:
            end += 1
        for i in order[at:end]:
            ranks[i] = (at + end + 1) / 2
        at = end
    good = sum(right)
    total = sum(rank for rank, yes in zip(ranks, right, strict=True) if yes)
    return (total - good * (good + 1) / 2) / (good * (len(right) - good))


def _ece(scores: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error over equally wide bins."""
    cells = [[0.0, 0.0, 0.0] for _ in range(bins)]
    for score_, good in zip(scores, right, strict=True):
        cell = cells[min(bins - 1, int(score_ * bins))]
        cell[0] += 1
        cell[1] += score_
        cell[2] += good
    return sum(abs(cell[1] - cell[2]) for cell in cells) / len(scores)


def _without(gold: GoldDocument) -> GoldDocument:
    bare = Annotation.of(gold.id, gold.annotation.entities, (), GOLD)
    return GoldDocument(gold.document, bare)


def _both(figures: tuple[float, float]) -> str:
    return f"{figures[0]:.1f} / {figures[1]:.1f}"


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.1f}"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["winer", "popcorn", "judge", "speed"])
    parser.add_argument("--sizes", nargs="*", type=int, default=None, help="0: all that are left")
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--rules", default=None, help="bootstrap data to stack; '' for none")
    chosen = parser.parse_args(arguments)
    for what in chosen.what:
        if what == "winer":
            run_winer(chosen.sizes or [100, 300, 0], chosen.seeds, chosen.rules)
        elif what == "popcorn":
            run_popcorn(chosen.sizes or [50, 0], chosen.seeds[:1])
        elif what == "speed":
            run_speed()
        elif what == "judge":
            run_judge((chosen.sizes or [100])[0], chosen.seeds[0])
        else:
            print(json.dumps({"error": f"no part {what!r}"}), file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
