"""Making the next thing while this one is worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class _Failed:
    error: BaseException


_END = object()


def ahead(items: Iterable[_Item]) -> Iterator[_Item]:
    """The same items, each made in a thread while the one before is worked on.

    At most two are held at a time.  What goes wrong in the thread is raised here, in its place.
    The thread is a daemon: an interrupted command need not wait for its request to end.
    """
    made: queue.Queue[Any] = queue.Queue(maxsize=1)
    stop = threading.Event()

    def put(value: Any) -> bool:
        while not stop.is_set():
            try:
                made.put(value, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for item in items:
                if not put(item):
                    return
            put(_END)
        except BaseException as error:
            put(_Failed(error))

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not _END:
            if isinstance(item, _Failed):
                raise item.error
            yield item
    finally:
        stop.set()
