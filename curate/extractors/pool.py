"""The engine `local`: spawned worker processes, each with the model loaded once.

``concurrent.futures`` gives up everything that is under way when one of its processes ends; here
each worker has a pipe of its own and no lock in common with the others, so that a process that is
killed, at any moment, costs the partition that it was reading.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from curate.errors import ConfigurationError, CurateError
from curate.extractors.engines import (
    ATTEMPTS,
    Advance,
    Answered,
    Answers,
    Job,
    Lost,
    Partition,
    cores,
    read,
)
from curate.extractors.recipe import Recipe

AHEAD = 2
"""Partitions that lie at a worker: one that it reads and one to go on with."""
_BLAS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    listening: bool = False
    loaded: bool = False
    doing: deque[Partition] = field(default_factory=deque)


@dataclass(frozen=True)
class Pool:
    """``processes`` spawned workers (default: a worker per processor).

    ``started`` is called with the process id of each worker as it starts.
    """

    recipe: Recipe
    processes: int | None = None
    started: Callable[[int], None] | None = None

    def run(
        self, job: Job, partitions: Iterable[Partition], advance: Advance | None = None
    ) -> Answers:
        """Raises ConfigurationError where workers end while they load the model."""
        with contextlib.closing(_Run(self, job, iter(partitions)).go()) as run:
            for answer in run:
                if advance is not None:
                    advance(len(answer.partition.documents))
                yield answer


class _Run:
    def __init__(self, pool: Pool, job: Job, partitions: Iterator[Partition]) -> None:
        self.pool = pool
        self.job = job
        self.partitions = partitions
        self.again: deque[Partition] = deque()
        self.deaths: Counter[int] = Counter()
        self.stillborn = 0
        self.workers: list[_Worker] = []

    def go(self) -> Answers:
        wanted = self.pool.processes or cores()
        try:
            while True:
                self._hire(wanted)
                self._feed()
                if not self.again and not any(worker.doing for worker in self.workers):
                    return
                for pipe in connection.wait([worker.pipe for worker in self.workers]):
                    worker = next(w for w in self.workers if w.pipe is pipe)
                    said = self._hear(worker)
                    if said is not None:
                        yield said
        finally:
            self._dismiss()

    def _hire(self, wanted: int) -> None:
        """As many workers as there is work for; the first partitions wait for them."""
        while len(self.workers) < wanted:
            idle = sum(not worker.doing for worker in self.workers)
            if idle >= len(self.again) and not self._fetch(idle + 1):
                return
            self.workers.append(self._start())

    def _fetch(self, count: int) -> bool:
        """Whether there are at least ``count`` partitions that lie at no worker."""
        while len(self.again) < count:
            partition = next(self.partitions, None)
            if partition is None:
                return False
            self.again.append(partition)
        return True

    def _feed(self) -> None:
        # First one for everybody, then one more: the last partitions go to idle workers.
        for depth in range(1, AHEAD + 1):
            for worker in self.workers:
                if worker.listening and len(worker.doing) < depth and self._fetch(1):
                    partition = self.again.popleft()
                    worker.doing.append(partition)
                    with contextlib.suppress(OSError):  # its end is heard in `_hear`
                        worker.pipe.send(partition)

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_serve, args=(theirs, self.pool.recipe, self.job), daemon=True
        )
        with _uninterrupted():
            process.start()
        theirs.close()
        if self.pool.started is not None and process.pid is not None:
            self.pool.started(process.pid)
        return _Worker(process, ours)

    def _hear(self, worker: _Worker) -> Answered | Lost | None:
        try:
            kind, value = worker.pipe.recv()
        except (EOFError, OSError):
            return self._bury(worker)
        if kind == "failed":
            raise value
        if kind == "listening":
            worker.listening = True
        elif kind == "loaded":
            worker.loaded = True
            self.stillborn = 0
        else:
            partition = worker.doing.popleft()
            rows, misfits, below = value
            return Answered(partition, rows, misfits, below)
        return None

    def _bury(self, worker: _Worker) -> Lost | None:
        self.workers.remove(worker)
        worker.pipe.close()
        worker.process.join(5)
        how = _ending(worker.process.exitcode)
        doing = worker.doing
        if not worker.loaded:
            self.stillborn += 1
            if self.stillborn >= ATTEMPTS:
                raise ConfigurationError(
                    f"{self.stillborn} worker processes {how} while they loaded "
                    f"{self.pool.recipe.name}; try --processes 1"
                )
        elif doing:
            partition = doing[0]
            self.deaths[partition.number] += 1
            if self.deaths[partition.number] >= ATTEMPTS:
                doing.popleft()
                self.again.extendleft(reversed(doing))
                return Lost(partition, f"{ATTEMPTS} worker processes {how} over it")
        self.again.extendleft(reversed(doing))
        return None

    def _dismiss(self) -> None:
        for worker in self.workers:
            worker.pipe.close()  # a worker whose pipe ends, ends
        for worker in self.workers:
            worker.process.join(2)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.process.close()
        self.workers.clear()


def _ending(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended (exit code {code})"
    hint = "; was memory short?" if code == -9 else ""
    return f"were ended by signal {-code}{hint}"


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """What is started here never sees Ctrl-C: its parent does, and ends it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it would lift the mask when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, recipe: Recipe, job: Job) -> None:
    """The life of a worker process."""
    for name in _BLAS:  # the processes are the parallelism
        os.environ.setdefault(name, "1")
    inbox: queue.SimpleQueue[Partition] = queue.SimpleQueue()
    # A thread takes partitions in at once: the parent never waits for us to read its pipe, and
    # when the parent is gone, however it went, so are we.
    threading.Thread(target=_listen, args=(pipe, inbox), daemon=True).start()
    try:
        pipe.send(("listening", None))
        extractor = recipe.load()
        pipe.send(("loaded", None))
        while True:
            done = read(extractor, job, inbox.get())
            pipe.send(("answered", (done.rows, done.misfits, done.below)))
    except CurateError as error:
        with contextlib.suppress(OSError):
            pipe.send(("failed", error))
        threading.Event().wait()  # until the parent closes the pipe
    except OSError:
        os._exit(0)


def _listen(pipe: Connection, inbox: queue.SimpleQueue[Partition]) -> None:
    while True:
        try:
            inbox.put(pipe.recv())
        except (EOFError, OSError):
            os._exit(0)
