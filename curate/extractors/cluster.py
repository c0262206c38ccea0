"""The engine `dask://HOST:PORT`: the workers of a Dask cluster.

Documents go out and answers come back through the scheduler, so that files, store and their
passwords are needed here alone.  A worker that is lost costs the partition that it was reading,
which Dask gives to another.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sys
import time
import uuid
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from curate import __version__
from curate.errors import ConfigurationError, CurateError, UnreachableError
from curate.extractors.engines import (
    ATTEMPTS,
    Advance,
    Answered,
    Answers,
    Job,
    Lost,
    Partition,
)
from curate.extractors.recipe import Recipe

AHEAD = 2
"""Partitions under way for each thread of the cluster."""
_TICK = 2.0
_LOGGERS = ("distributed", "distributed.client", "distributed.scheduler", "tornado.application")


@dataclass(frozen=True)
class Cluster:
    """The workers behind the scheduler at ``address`` (``tcp://…`` or ``tls://…``).

    ``say`` is told the dashboard's address, and when there is nobody to work.  ``timeout``: seconds
    to reach the scheduler and to see a first worker; ``patience``: to wait for workers after the
    last one went.
    """

    address: str
    recipe: Recipe
    say: Callable[[str], None] = lambda message: None
    timeout: float = 15.0
    patience: float = 300.0

    def run(
        self, job: Job, partitions: Iterable[Partition], advance: Advance | None = None
    ) -> Answers:
        """Raises UnreachableError without a scheduler or workers, or when they are lost;
        ConfigurationError where versions, TLS settings or models do not agree."""
        coming = iter(partitions)
        first = next(coming, None)
        if first is None:
            return
        with _quiet(), self._connected() as client:
            self._greet(client)
            with self._ordered(client, job) as key:
                run = _Run(self, client, key, coming)
                run.submit(first)
                with contextlib.closing(run.go()) as answers:
                    for answer in answers:
                        if advance is not None:
                            advance(len(answer.partition.documents))
                        yield answer

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Any]:
        try:
            import distributed
        except ImportError:
            raise ConfigurationError(
                "the engine dask needs packages that are not installed; install curate[dask]"
            ) from None
        if self.address.startswith("tls"):
            _check_tls()
        connect: Any = distributed.Client
        try:
            asyncio.run(self._knock())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about versions: we look ourselves
                client = connect(
                    self.address, timeout=self.timeout, set_as_default=False, name="curate"
                )
        except Exception as error:  # whatever speaks at that port
            raise self._silent(type(error).__name__) from None
        try:
            yield client
        finally:
            with contextlib.suppress(Exception):
                client.close(timeout=5)

    async def _knock(self) -> None:
        """Shake hands with the scheduler.  Dask's own client waits for ever for the hand of
        something else that listens at the port."""
        from distributed.comm import core
        from distributed.security import Security

        connect: Any = core.connect
        security: Any = Security
        arguments = security().get_connection_args("client")
        async with asyncio.timeout(self.timeout):
            comm = await connect(self.address, timeout=self.timeout, **arguments)
            await comm.close()

    def _silent(self, why: str) -> UnreachableError:
        return UnreachableError(
            f"no Dask scheduler answers at {self.address} ({why}); is it running there (`dask "
            "scheduler`), is the port open, is it dask:// or tls://?"
        )

    def _greet(self, client: Any) -> None:
        """Check that there are workers, and that all speak the same versions."""
        try:
            client.wait_for_workers(1, timeout=self.timeout)
        except TimeoutError:
            raise UnreachableError(
                f"the Dask scheduler at {self.address} has no workers; start some with `dask "
                f"worker {self.address} --nthreads 1`"
            ) from None
        try:
            _same_versions(client.get_versions(check=False))
        except CurateError:
            raise
        except Exception as error:  # the connection, or a worker that just went
            raise self._lost(type(error).__name__) from None
        threads = client.nthreads()
        self.say(
            f"Dask workers: {len(threads)}, threads: {sum(threads.values())}; dashboard: "
            f"{client.dashboard_link or 'none'}"
        )

    def _lost(self, why: str) -> UnreachableError:
        return UnreachableError(
            f"the Dask scheduler at {self.address} was lost ({why}); what was answered is kept: "
            "run the command again when it is back"
        )

    @contextlib.contextmanager
    def _ordered(self, client: Any, job: Job) -> Iterator[str]:
        """The job lies at every worker; the model's files with it unless all see them."""
        recipe = self.recipe
        if not _all_here(client, recipe):
            recipe = recipe.packed()
            size = sum(len(content) for _, content in recipe.files)
            self.say(f"{recipe.name} is sent to the workers ({size / 1e6:.1f} MB)")
        from curate.extractors.cluster_worker import Order

        key = uuid.uuid4().hex
        order = Order(key, recipe, job)
        try:
            client.register_plugin(order)
        except Exception as error:  # of unpickling on a worker, or of the connection
            raise ConfigurationError(
                f"the workers cannot take the model ({type(error).__name__}); install the same "
                "curate on every worker"
            ) from None
        try:
            yield key
        finally:
            with contextlib.suppress(Exception):
                client.unregister_worker_plugin(order.name)


class _Run:
    def __init__(
        self, cluster: Cluster, client: Any, key: str, partitions: Iterator[Partition]
    ) -> None:
        self.cluster = cluster
        self.client = client
        self.key = key
        self.partitions = partitions
        self.flying: dict[str, tuple[Any, Partition]] = {}
        self.landed: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.tries: Counter[int] = Counter()
        self.suspects: deque[Partition] = deque()
        self.alone: set[int] = set()
        self.room = 0
        self.looked = 0.0
        self.alone_since: float | None = None

    def go(self) -> Answers:
        try:
            while True:
                self._look()
                while len(self.flying) < self.room:
                    partition = next(self.partitions, None)
                    if partition is None:
                        break
                    self.submit(partition)
                if not self.flying:
                    if not self.suspects:
                        return
                    suspect = self.suspects.popleft()
                    self.alone.add(suspect.number)
                    self.submit(suspect)
                with contextlib.suppress(queue.Empty):
                    found = self._taken(self.landed.get(timeout=_TICK))
                    if found is not None:
                        yield found
        finally:
            futures = [future for future, _ in self.flying.values()]
            with contextlib.suppress(Exception):
                self.client.cancel(futures, force=True)

    def submit(self, partition: Partition) -> None:
        from curate.extractors.cluster_worker import answer, pack

        name = f"curate-{self.key}-{partition.number}-{self.tries[partition.number]}"
        try:
            future = self.client.submit(answer, self.key, pack(partition), key=name, pure=False)
        except Exception as error:  # the client was closed under us
            raise self.cluster._lost(type(error).__name__) from None
        self.flying[name] = future, partition
        future.add_done_callback(lambda done: self.landed.put(name))

    def _look(self) -> None:
        """How many there are to work; now and then, since workers come and go."""
        now = time.monotonic()
        if self.looked and now - self.looked < _TICK:
            return
        self.looked = now
        if self.client.status not in ("running", "connecting"):
            raise self.cluster._lost("connection closed")
        try:
            threads = sum(self.client.nthreads().values())
        except Exception:  # lost for the moment; the client says when for good
            return
        self.room = max(self.room if not threads else 0, AHEAD * threads + 1)
        if threads:
            self.alone_since = None
        elif self.alone_since is None:
            self.alone_since = now
            self.cluster.say("no worker is left; waiting for some")
        elif now - self.alone_since > self.cluster.patience:
            raise UnreachableError(
                f"the Dask scheduler at {self.cluster.address} has had no workers for "
                f"{self.cluster.patience:.0f} s; what was answered is kept: start workers and run "
                "the command again"
            )

    def _taken(self, name: str) -> Answered | Lost | None:
        from curate.extractors.cluster_worker import unpack

        future, partition = self.flying.pop(name)
        try:
            if future.status == "finished":
                value = unpack(future.result(timeout=self.cluster.timeout))
                if isinstance(value, CurateError):
                    raise value
                rows, misfits, below = value
                return Answered(partition, rows, misfits, below)
            if future.status != "error":
                raise self.cluster._lost(future.status)
            return self._failed(future.exception(timeout=self.cluster.timeout), partition)
        except CurateError:
            raise
        except Exception as error:  # the result's holder went before we had it
            return self._failed(error, partition)
        finally:
            with contextlib.suppress(Exception):
                future.release()

    def _failed(self, error: Any, partition: Partition) -> Lost | None:
        from distributed.scheduler import KilledWorker

        self.tries[partition.number] += 1
        if isinstance(error, KilledWorker):
            # Dask suspects whatever lay at a worker that ended.  By itself, it will be seen.
            if partition.number in self.alone:
                return Lost(partition, f"{error.allowed_failures + 1} workers ended over it alone")
            self.suspects.append(partition)
            return None
        if self.tries[partition.number] >= ATTEMPTS:
            raise ConfigurationError(
                f"Dask could not run {partition}: {type(error).__name__}; install the same curate "
                "on every worker and look at the workers' logs"
            )
        self.submit(partition)
        return None


def _check_tls() -> None:
    """Raises ConfigurationError where Dask's configuration names no certificates, or wrong ones."""
    from distributed.security import Security

    security: Any = Security
    try:
        context = security().get_connection_args("client")["ssl_context"]
    except Exception:  # a file that is missing, or is no certificate
        context = None
    if context is None:
        raise ConfigurationError(
            "the TLS settings for Dask are missing or wrong; set distributed.comm.tls (ca-file, "
            "client.cert, client.key) in Dask's configuration, see docs/cluster.md"
        )


def _all_here(client: Any, recipe: Recipe) -> bool:
    """Whether every worker has this curate, and sees the model's files.

    Raises ConfigurationError for workers with another curate, or none.
    """
    from curate.extractors.cluster_worker import about

    try:
        said = client.run(about, recipe, on_error="return")
    except Exception as error:  # of unpickling, which differs between versions of Dask
        said = {"a worker": error}
    for worker, answer in said.items():
        if isinstance(answer, ImportError):
            raise ConfigurationError(
                f"the Dask worker {worker} lacks {answer.name or 'a package'}; install "
                f"curate[dask] {__version__} on every worker"
            )
        if isinstance(answer, BaseException):
            raise ConfigurationError(
                f"the Dask worker {worker} cannot run curate ({type(answer).__name__}); install "
                f"curate[dask] {__version__} on every worker"
            )
        if answer[0] != __version__:
            raise ConfigurationError(
                f"the Dask worker {worker} has curate {answer[0]}, this is {__version__}; install "
                "the same on every worker"
            )
    return all(answer[1] for answer in said.values())


def _same_versions(said: Mapping[str, Any]) -> None:
    """Raises ConfigurationError where Python or Dask differ from ours: pickles would not travel."""
    from importlib.metadata import version as installed

    ours = {"python": _minor(sys.version), "distributed": installed("distributed")}
    others = {"the Dask scheduler": said.get("scheduler")}
    others |= {
        f"the Dask worker {address}": found for address, found in said.get("workers", {}).items()
    }
    for who, found in others.items():
        packages = (found or {}).get("packages", {})
        theirs = {
            "python": _minor(str(packages.get("python", ""))),
            "distributed": str(packages.get("distributed", "")),
        }
        for package, version in ours.items():
            if theirs[package] and theirs[package] != version:
                raise ConfigurationError(
                    f"{who} has {package} {theirs[package]}, this machine has {version}; install "
                    "the same version everywhere"
                )


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What Dask would write to the terminal stands in the workers' logs, or we say it."""
    with contextlib.suppress(ImportError):
        import distributed  # noqa: F401  # it sets its handlers when it is imported
    handlers = [h for name in _LOGGERS for h in logging.getLogger(name).handlers]
    levels = [handler.level for handler in handlers]
    for handler in handlers:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for handler, level in zip(handlers, levels, strict=True):
            handler.setLevel(level)
