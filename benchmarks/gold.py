"""Releases of 20,000 documents with 800,000 entities and 300,000 relations.

Each command runs in a process of its own, as a user would run it; time and peak memory are the
process's.  To reach: build, diff and verify under 60 s and 1.5 GiB each, on 2 cores.

Run: python -m benchmarks.gold [DOCUMENTS]
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

ENTITIES = 40
RELATIONS = 15
LIMIT_S = 60.0
LIMIT_MIB = 1536


def write_corpus(path: Path, documents: int, seed: int = 0) -> None:
    """Generated texts of 240 words; every document has 40 entities and 15 relations."""
    rng = random.Random(seed)
    syllables = [a + b for a in "bcdfglmnprst" for b in "aeiou"]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(6000)]
    with path.open("w", encoding="utf-8") as stream:
        for number in range(documents):
            marked = set(rng.sample(range(6 * ENTITIES), ENTITIES))
            parts, entities, at = [], [], 0
            for i in range(6 * ENTITIES):
                word = rng.choice(words)
                if i in marked:
                    word = word.capitalize()
                    label = rng.choice(("PER", "LOC", "ORG"))
                    entities.append(
                        {"id": f"e{i}", "start": at, "end": at + len(word), "label": label}
                    )
                parts.append(word)
                at += len(word) + 1
            pairs = {tuple(rng.sample(range(ENTITIES), 2)) for _ in range(3 * RELATIONS)}
            relations = [
                {"head": entities[a]["id"], "tail": entities[b]["id"], "label": "supports"}
                for a, b in sorted(pairs)[:RELATIONS]
            ]
            row = {
                "id": f"doc-{number:06}",
                "text": " ".join(parts),
                "entities": entities,
                "relations": relations,
            }
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_changed(source: Path, target: Path) -> None:
    """Every document changed: an eighth of the labels and of the boundaries, a few relations."""
    turn = {"PER": "ORG", "ORG": "LOC", "LOC": "PER"}
    with source.open(encoding="utf-8") as old, target.open("w", encoding="utf-8") as new:
        for line in old:
            row = json.loads(line)
            for entity in row["entities"][::8]:
                entity["label"] = turn[entity["label"]]
            for entity in row["entities"][3::8]:
                entity["end"] -= entity["end"] - entity["start"] > 1
            row["relations"] = row["relations"][1:]
            new.write(json.dumps(row, ensure_ascii=False) + "\n")


def run(workspace: Path, *arguments: str) -> tuple[float, float, float]:
    """Seconds by the clock and of the processor, and peak MiB, of one command; its output is
    thrown away."""
    started = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.execv(sys.executable, [sys.executable, "-m", "curate", "-w", str(workspace), *arguments])
    _, status, usage = os.wait4(pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"curate {' '.join(arguments)} failed")
    busy = usage.ru_utime + usage.ru_stime
    return time.perf_counter() - started, busy, usage.ru_maxrss / 1024


def main() -> None:
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory(prefix="curate-bench-") as name:
        folder = Path(name)
        write_corpus(folder / "a.jsonl", documents)
        write_changed(folder / "a.jsonl", folder / "b.jsonl")
        workspace = folder / "ws"
        os.spawnv(
            os.P_WAIT, sys.executable, [sys.executable, "-m", "curate", "init", str(workspace)]
        )
        print(
            f"{documents} documents, {documents * ENTITIES} entities, "
            f"{documents * RELATIONS} relations"
        )
        steps = [
            ("import", ("gold", "import", str(folder / "a.jsonl")), False),
            ("build 1.0.0", ("gold", "build"), True),
            ("verify 1.0.0", ("gold", "verify", "1.0.0"), True),
            ("build, nothing new", ("gold", "build"), True),
            ("import, every document changed", ("gold", "import", str(folder / "b.jsonl")), False),
            ("build 2.0.0, every document changed", ("gold", "build"), True),
            ("diff 1.0.0 2.0.0", ("gold", "diff", "1.0.0", "2.0.0", "--json"), True),
            ("verify 2.0.0", ("gold", "verify", "2.0.0"), True),
        ]
        for what, arguments, bounded in steps:
            seconds, busy, mib = run(workspace, *arguments)
            verdict = ""
            if bounded:
                reached = seconds < LIMIT_S and mib < LIMIT_MIB
                verdict = (
                    f"  (to reach: {LIMIT_S:.0f} s, {LIMIT_MIB} MiB: {'yes' if reached else 'NO'})"
                )
            print(
                f"{what:38} {seconds:6.1f} s ({busy:.1f} s of one core) {mib:5.0f} MiB{verdict}",
                flush=True,
            )


if __name__ == "__main__":
    main()
