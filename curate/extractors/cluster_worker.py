"""What runs on the workers of a Dask cluster.  Imported only where Dask is installed."""

from __future__ import annotations

import pickle
import threading
import time
import zlib
from typing import Any

from distributed.diagnostics.plugin import WorkerPlugin

from curate import __version__
from curate.errors import ConfigurationError, CurateError
from curate.extractors.engines import Job, Partition, read
from curate.extractors.interface import Extractor
from curate.extractors.recipe import Recipe

_ORDERS: dict[str, tuple[Recipe, Job]] = {}
_MODELS: dict[str, Extractor] = {}
_FROM: dict[str, float] = {}
GRACE = 1.5
"""Seconds before a worker's first partition: a nanny does not start a worker again that ends while
it still thinks that it is starting, which a partition that kills would do at once."""
_LOCK = threading.RLock()
"""A pipeline is not made for several threads; the processes are the parallelism."""


class Order(WorkerPlugin):  # type: ignore[misc,unused-ignore]
    """Brings recipe and job to every worker, to those that come later, too.

    The model is loaded by the first task, so that an error of loading is an answer.
    """

    def __init__(self, key: str, recipe: Recipe, job: Job) -> None:
        self.name = f"curate-{key}"
        self.key = key
        self.order = recipe, job

    def setup(self, worker: Any) -> None:
        _ORDERS[self.key] = self.order
        _FROM[self.key] = time.monotonic() + GRACE

    def teardown(self, worker: Any) -> None:
        with _LOCK:
            _ORDERS.pop(self.key, None)
            _FROM.pop(self.key, None)
            _MODELS.pop(self.key, None)


def about(recipe: Recipe) -> tuple[str, bool]:
    """The version of curate here, and whether the model's files lie here."""
    return __version__, recipe.is_here()


def answer(key: str, packed: bytes) -> bytes:
    """Read a packed partition; the answer is packed, too, and is an error where there was one."""
    try:
        partition = unpack(packed)
        assert isinstance(partition, Partition)
        with _LOCK:
            extractor = _model(key)
            done = read(extractor, _ORDERS[key][1], partition)
        return pack((done.rows, done.misfits, done.below))
    except CurateError as error:
        return pack(error)


def _model(key: str) -> Extractor:
    if key not in _ORDERS:
        raise ConfigurationError("a worker was not told which model to use; run the command again")
    if key not in _MODELS:
        _MODELS[key] = _ORDERS[key][0].load()
        time.sleep(max(0.0, _FROM.get(key, 0.0) - time.monotonic()))
    return _MODELS[key]


def pack(value: Any) -> bytes:
    return zlib.compress(pickle.dumps(value, protocol=5), 1)


def unpack(packed: bytes) -> Any:
    return pickle.loads(zlib.decompress(packed))
