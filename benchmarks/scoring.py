"""`curate evaluate` beside nervaluate, seqeval and spaCy's scorer, in one run.

10,000 documents of 40 entities and 20 relations a side. For curate the whole command is timed:
start of the interpreter, loading, all measures of entities and relations, errors, 10,000 draws.
For the others only their entity measures, on input that is already in their form; what making
that form took is said apart. Each runs in a process of its own.

Run: python -m benchmarks.scoring [DOCUMENTS]
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PEERS = ("nervaluate", "seqeval", "spacy")
AT_MOST = 0.6
"""Of nervaluate's time for its entity measures: what the whole of `curate evaluate` may take."""


def main() -> None:
    documents = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 10_000
    from benchmarks._corpus import write

    with tempfile.TemporaryDirectory() as folder:
        gold, other = write(Path(folder), documents)
        print(f"{documents} documents, {os.cpu_count()} processors")
        print(f"{'':34}{'seconds':>9}{'CPU':>9}{'MiB':>9}")
        whole, used, peak = command(
            [
                sys.executable,
                "-m",
                "curate",
                "evaluate",
                str(other),
                "--gold",
                str(gold),
                "--json",
            ]
        )
        row("curate evaluate, everything", whole, used, peak)
        agreed = command(
            [sys.executable, "-m", "curate", "agreement", str(gold), str(other), "--json"]
        )
        row("curate agreement, everything", *agreed)
        for name, one, two in crowds(Path(folder)):
            row(
                f"  evaluate: {name}",
                *command(
                    [sys.executable, "-m", "curate", "evaluate", str(two), "--gold", str(one)]
                    + ["--json"]
                ),
            )
        theirs = {}
        for peer in PEERS:
            answer = subprocess.run(
                [sys.executable, "-m", "benchmarks.scoring", "--peer", peer, gold, other],
                capture_output=True,
                text=True,
                check=False,
            )
            if answer.returncode:
                print(f"{peer}: {answer.stderr.strip().splitlines()[-1:]}")
                continue
            found = json.loads(answer.stdout)
            theirs[peer] = found["seconds"]
            row(f"{peer}, entity measures", found["seconds"], found["cpu"], found["peak"])
            row("  (making its input)", found["making"], None, None)
        row("curate compare's test, 10,000 draws", paired_test(documents), None, None)
        if "nervaluate" in theirs:
            share = whole / theirs["nervaluate"]
            print(f"curate / nervaluate: {share:.2f} (to reach: at most {AT_MOST})")


def row(name: str, seconds: float, cpu: float | None, peak: float | None) -> None:
    shown = [f"{value:9.2f}" if value is not None else " " * 9 for value in (seconds, cpu)]
    print(f"{name:34}{shown[0]}{shown[1]}" + (f"{peak:9.0f}" if peak is not None else ""))


def command(arguments: list[str]) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak memory (MiB) of a command."""
    began = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments[1:4])} ended with {process.returncode}")
    return (
        time.perf_counter() - began,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024,
    )


CROWD = 4000


def crowds(folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """One document whose spans nearly all overlap each other, in three shapes."""
    rng = random.Random(1)
    n = CROWD

    def long() -> list[tuple[int, int]]:
        starts = [rng.randrange(5 * n) for _ in range(n)]
        return [(start, start + rng.randint(n // 4, 5 * n)) for start in starts]

    shapes = {
        "4,000 nested": (
            [(i, 2 * n - i) for i in range(n)],
            [(i + 1, 2 * n - i + 1) for i in range(n)],
        ),
        "4,000 in steps": (
            [(i, i + 5000) for i in range(n)],
            [(n + 2 * i, n + 2 * i + 5000) for i in range(n)],
        ),
        "4,000 at random": (long(), long()),
    }
    for name, sides in shapes.items():
        text = "word " * (10 * n // 5)
        paths = []
        for side, spans in zip(("gold", "other"), sides, strict=True):
            path = folder / f"{name.split()[-1]}-{side}.jsonl"
            entities = [
                {"id": f"e{i}", "start": start, "end": end, "label": "PER"}
                for i, (start, end) in enumerate(sorted(set(spans)))
            ]
            record = {"id": "d", "text": text, "entities": entities, "relations": []}
            path.write_text(json.dumps(record) + "\n", encoding="utf-8")
            paths.append(path)
        yield name, paths[0], paths[1]


def paired_test(documents: int) -> float:
    """The randomisation test of every headline measure, on counts that are there already."""
    import numpy as np

    from curate.scoring.resampling import swap

    table = np.random.default_rng(1).integers(-3, 4, (documents, 14)).astype(float)
    began = time.perf_counter()
    swap(table, 10_000)
    return time.perf_counter() - began


def peer(name: str, gold: Path, other: Path) -> None:
    """Time one of the others and print what came out as JSON."""
    import warnings

    warnings.simplefilter("ignore")
    began = time.perf_counter()
    run = {"nervaluate": nervaluate, "seqeval": seqeval, "spacy": spacy}[name](gold, other)
    making = time.perf_counter() - began
    began, cpu = time.perf_counter(), time.process_time()
    run()
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - began,
                "cpu": time.process_time() - cpu,
                "making": making,
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


def lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def nervaluate(gold: Path, other: Path) -> Any:
    from nervaluate import Evaluator

    def form(path: Path) -> list[list[dict[str, Any]]]:
        return [
            [{"label": e["label"], "start": e["start"], "end": e["end"]} for e in line["entities"]]
            for line in lines(path)
        ]

    one, two = form(gold), form(other)
    tags = sorted({entity["label"] for document in one for entity in document})
    return lambda: Evaluator(one, two, tags=tags, loader="dict").evaluate()


def words_of(line: dict[str, Any]) -> tuple[list[str], list[tuple[int, int, str]]]:
    """The words of a made document, and its mentions in words."""
    words = line["text"].split(" ")
    begins, ends, position = {}, {}, 0
    for i, word in enumerate(words):
        begins[position] = i
        position += len(word)
        ends[position] = i + 1
        position += 1
    mentions = [(begins[e["start"]], ends[e["end"]], e["label"]) for e in line["entities"]]
    return words, sorted(mentions)


def seqeval(gold: Path, other: Path) -> Any:
    from seqeval.metrics import classification_report
    from seqeval.scheme import IOB2

    def form(path: Path) -> list[list[str]]:
        found = []
        for line in lines(path):
            words, mentions = words_of(line)
            tags = ["O"] * len(words)
            for start, end, label in mentions:
                if set(tags[start:end]) == {"O"}:
                    tags[start:end] = [f"B-{label}"] + [f"I-{label}"] * (end - start - 1)
            found.append(tags)
        return found

    one, two = form(gold), form(other)
    return lambda: classification_report(one, two, mode="strict", scheme=IOB2, output_dict=True)


def spacy(gold: Path, other: Path) -> Any:
    import spacy as library
    from spacy.scorer import Scorer
    from spacy.tokens import Doc, Span
    from spacy.training import Example
    from spacy.util import filter_spans

    vocab = library.blank("fr").vocab

    def form(line: dict[str, Any]) -> Doc:
        words, mentions = words_of(line)
        doc = Doc(vocab, words=words)
        doc.set_ents(filter_spans([Span(doc, s, e, label) for s, e, label in mentions]))
        return doc

    examples = [
        Example(form(two), form(one)) for one, two in zip(lines(gold), lines(other), strict=True)
    ]
    return lambda: Scorer.score_spans(examples, "ents")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        main()
