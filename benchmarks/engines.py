"""Bulk pre-annotation: one process, `local`, a plain pool and Dask, in one run.

Run: python -m benchmarks.engines [--documents N] [--words N] [--partition N] [--rounds N]
                                  [--workers N] [--model trained|bootstrap]

N made documents (sentences of the sample corpus, shuffled by a seed; 100,000 for the full run) are
read by a model trained on the sample.  The contestants take turns in every round:

one     this process alone
local   curate's engine `local`: worker processes that were spawned
plain   `multiprocessing.Pool` of spawned processes, the least a script can do
dask    curate's engine `dask://`: a scheduler and workers of Dask, processes of their own

Two measures.  Wall time is counted from the first answer to the last, so that it holds no start; on
a machine with other work compare its ratios.  Processor time is summed over every process that
takes part (client, workers, scheduler) and is little disturbed by others; what a run of one tiny
partition a worker costs is taken off it as the cost of starting.  The answers must be equal.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import multiprocessing
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate import resources
from curate.extractors.bootstrap import Bootstrap
from curate.extractors.engines import Answered, InProcess, Job, Partition, read
from curate.extractors.pool import Pool
from curate.extractors.recipe import Recipe
from curate.extractors.spacy import Pipeline
from curate.gold.items import GOLD, GoldDocument
from curate.interchange import read as read_records
from curate.model import Document
from curate.schema import LabelSchema, read_schema

DOCUMENTS = 2_000
WORDS = 50
IDLE = 5.0
"""Seconds for which Dask's processes are watched doing nothing."""
SAMPLE = "examples/sahel/annotator_a.jsonl"


@dataclass(frozen=True)
class Measured:
    """``wall`` and ``words`` from the first answer on; ``start`` until it; peaks in MiB."""

    wall: float
    words: int
    start: float
    processor: float
    worker_peak: float
    digest: str

    @property
    def speed(self) -> float:
        return self.words / self.wall


class Corpus:
    """Made documents, drawn when they are needed; the same on any machine."""

    def __init__(self, documents: int, words: int, partition: int) -> None:
        self.documents, self.words, self.size = documents, words, partition
        texts = [r.document.text for r in read_records(resources.resource(SAMPLE))]
        self.sentences = [s.strip() + "." for text in texts for s in text.split(".") if s.strip()]

    def partitions(self) -> Iterator[Partition]:
        for number, start in enumerate(range(0, self.documents, self.size)):
            stop = min(start + self.size, self.documents)
            yield Partition(number, tuple(self.document(i) for i in range(start, stop)))

    def document(self, number: int) -> Document:
        draw = random.Random(number)
        text = f"{number}."
        while text.count(" ") < self.words:
            text += " " + draw.choice(self.sentences)
        return Document.of(text, id=f"d{number}")


def trained(folder: Path, schema: LabelSchema) -> Pipeline:
    from curate.extractors.train import TrainSettings, learn

    gold = [
        GoldDocument(r.document, r.annotation)
        for r in read_records(resources.resource(SAMPLE), source=GOLD)
    ]
    learn(gold, [], schema, TrainSettings()).nlp.to_disk(folder / "bench")
    return Pipeline(folder / "bench")


_PLAIN: list[Any] = []


def _load(recipe: Recipe, job: Job) -> None:
    _PLAIN[:] = [recipe.load(), job]


def _read(partition: Partition) -> Answered:
    return read(_PLAIN[0], _PLAIN[1], partition)


def plain(recipe: Recipe, job: Job, partitions: Iterable[Partition], workers: int) -> Iterator[Any]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _load, (recipe, job)) as pool:
        yield from pool.imap_unordered(_read, partitions)
        pool.close()
        pool.join()


@contextlib.contextmanager
def dask_cluster(workers: int, folder: Path) -> Iterator[tuple[str, list[Any]]]:
    """``(address, processes)`` of a scheduler and its workers, on loopback alone."""
    import json

    import psutil

    file = folder / "scheduler.json"
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    python = [sys.executable, "-m"]
    scheduler = subprocess.Popen(
        [
            *(*python, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"),
            *("--no-dashboard", "--scheduler-file", str(file)),
        ],
        **quiet,
    )
    worker = subprocess.Popen(
        [
            *(*python, "distributed.cli.dask_worker", "--scheduler-file", str(file)),
            *("--host", "127.0.0.1", "--nworkers", str(workers), "--nthreads", "1"),
            "--no-dashboard",
        ],
        **quiet,
    )
    try:
        while not file.is_file():
            time.sleep(0.1)
        address = json.loads(file.read_text("utf-8"))["address"]
        yield address, [psutil.Process(scheduler.pid), psutil.Process(worker.pid)]
    finally:
        for process in (worker, scheduler):
            process.terminate()
            process.wait(30)


def processor(others: Sequence[Any] = ()) -> float:
    """Seconds of this process, of its children that have ended, and of others with theirs."""
    import psutil

    spent = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        spent += used.ru_utime + used.ru_stime
    for process in others:
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                spent += times.user + times.system
    return spent


def measure(run: Callable[[], Iterator[Any]], words: int, others: Sequence[Any] = ()) -> Measured:
    """Take the answers and forget them, all but a digest."""
    before, began = processor(others), time.perf_counter()
    first, counted, digests = 0.0, 0, {}
    for answer in run():
        if not first:
            first = time.perf_counter()
        else:
            counted += len(answer.rows)
        digests[answer.partition.number] = hashlib.sha256(repr(answer.rows).encode()).digest()
    ended = time.perf_counter()
    whole = hashlib.sha256(b"".join(digests[n] for n in sorted(digests))).hexdigest()
    return Measured(
        wall=max(ended - first, 1e-9),
        words=counted * words,
        start=first - began,
        processor=processor(others) - before,
        worker_peak=peak(others),
        digest=whole,
    )


def peak(others: Sequence[Any]) -> float:
    """The largest worker, in MiB; of processes that still run, as they are now."""
    if not others:
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return max(each.memory_info().rss for each in others[-1].children(recursive=True)) / 1024**2


def contest(
    corpus: Corpus, recipe: Recipe, extractor: Any, job: Job, options: argparse.Namespace
) -> dict[str, list[tuple[Measured, float]]]:
    """Contestant → for each round, what was measured and the processor time of its start."""
    tiny = Corpus(options.workers * 2, corpus.words, 1)
    found: dict[str, list[tuple[Measured, float]]] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="curate-bench-")))
        runs: dict[str, tuple[Callable[[Corpus], Iterator[Any]], Sequence[Any]]] = {
            "local": (
                lambda c: Pool(recipe, options.workers).run(job, c.partitions()),
                (),
            ),
            "plain": (lambda c: plain(recipe, job, c.partitions(), options.workers), ()),
            "one": (lambda c: InProcess(extractor).run(job, c.partitions()), ()),
        }
        try:
            import distributed  # noqa: F401
        except ImportError:
            print("dask: the extra curate[dask] is not installed; left out")
        else:
            from curate.extractors.cluster import Cluster

            address, processes = stack.enter_context(dask_cluster(options.workers, folder))
            runs["dask"] = (
                lambda c: Cluster(address, recipe, timeout=60).run(job, c.partitions()),
                processes,
            )
        for run, _ in runs.values():
            list(run(tiny))  # what is on disk is in memory from here on, and Dask is up
        if "dask" in runs:
            # Heartbeats and the like, which Dask's processes spend by the clock, work or not: on a
            # machine that is busy with other things they look larger than they are.
            before, began = processor(runs["dask"][1]), time.perf_counter()
            time.sleep(IDLE)
            options.idle = (processor(runs["dask"][1]) - before) / (time.perf_counter() - began)
        for _ in range(options.rounds):
            for name, (run, others) in runs.items():
                start = measure(lambda run=run: run(tiny), corpus.words, others).processor
                told = measure(lambda run=run: run(corpus), corpus.words, others)
                found.setdefault(name, []).append((told, start))
                print(
                    f"  {name}: {told.speed:,.0f} words/s, {told.processor:.1f} s of processor, "
                    f"{start:.1f} of them to start",
                    flush=True,
                )
    return found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=DOCUMENTS)
    parser.add_argument("--words", type=int, default=WORDS, help="words of a document, about")
    parser.add_argument("--partition", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--model", choices=["trained", "bootstrap"], default="trained")
    options = parser.parse_args(arguments)
    options.idle = 0.0
    schema = read_schema(resources.default_schema())
    corpus = Corpus(options.documents, options.words, options.partition)
    words = round(statistics.mean(len(corpus.document(i).text.split()) for i in range(100)))
    corpus_words = words * options.documents
    print(
        f"{options.documents:,} documents of {words} words in partitions of {options.partition}, "
        f"{options.workers} workers, load {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory(prefix="curate-bench-") as folder:
        extractor: Any = (
            Bootstrap(schema) if options.model == "bootstrap" else trained(Path(folder), schema)
        )
        recipe = Recipe.of(extractor, None, schema)
        list(InProcess(extractor).run(Job(schema), Corpus(1, 5, 1).partitions()))  # load it
        found = contest(corpus, recipe, extractor, Job(schema), options)
    return report(found, corpus_words, words / options.words, options)


def report(
    found: dict[str, list[tuple[Measured, float]]],
    words: int,
    longer: float,
    options: argparse.Namespace,
) -> int:
    def middle(name: str, value: Callable[[Measured, float], float]) -> float:
        return statistics.median(value(told, start) for told, start in found[name])

    partitions = -(-options.documents // options.partition)
    work = {name: middle(name, lambda told, start: told.processor - start) for name in found}
    print(
        "contestant | words/s | beside one | beside plain | processor s | ms a partition over one "
        "| start s | worker MiB"
    )
    for name in ("one", "local", "plain", "dask"):
        if name not in found:
            continue
        speed = middle(name, lambda told, start: told.speed) * longer
        beside = [
            statistics.median(
                mine.speed / theirs.speed
                for (mine, _), (theirs, _) in zip(found[name], found[other], strict=True)
            )
            for other in ("one", "plain")
        ]
        over = 1000 * (work[name] - work["one"]) / partitions
        print(
            f"{name} | {speed:,.0f} | {beside[0]:.2f} | {beside[1]:.2f} | {work[name]:.1f} | "
            f"{over:.1f} | {middle(name, lambda told, start: told.start):.1f} | "
            f"{0 if name == 'one' else middle(name, lambda told, start: told.worker_peak):.0f}"
        )
    for name in set(work) - {"plain", "one"}:
        print(f"{name}: {work['plain'] / work[name]:.2f} of the plain pool by processor time")
    if "dask" in found:
        net = middle(
            "dask", lambda t, start: t.processor - start - options.idle * (t.start + t.wall)
        )
        free = (options.workers - options.idle) / options.workers * work["plain"] / net
        over = 1000 * (net - work["one"]) / partitions
        print(
            f"dask: spends {options.idle:.3f} of a core by the clock and {over:.1f} ms a partition,"
            f" on cores that are otherwise free so {min(free, 1.0):.2f} of the plain pool"
        )
    print(f"one process: {words / work['one']:,.0f} words a second of processor time")
    print(
        f"this process's peak: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
    )
    digests = {told.digest for rounds in found.values() for told, _ in rounds}
    print(f"answers: {'equal' if len(digests) == 1 else 'DIFFERENT'}")
    return 0 if len(digests) == 1 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
