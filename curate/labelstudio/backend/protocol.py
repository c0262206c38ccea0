"""What Label Studio asks a backend, parsed; and what answers it.

The envelope is read leniently in what it may hold besides, strictly in what we rely on.  A task
that cannot be read comes out as such, so that it does not take its neighbours with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from curate.errors import DataError
from curate.labelstudio.wire import (
    DATA_ID,
    DATA_TEXT,
    Item,
    RegionItem,
    RelationItem,
    parse_item,
)

MAX_TEXT = 1_000_000
"""Characters of a text that is read; models take no longer ones, and a busy one answers nobody."""
MAX_CONFIG = 1_000_000
"""Characters of a labeling configuration; ours has some thousands."""


class RequestError(DataError):
    """A request that is not of the protocol; its message may be shown to whoever asked."""


@dataclass(frozen=True, slots=True)
class ShownTask:
    """A task as the annotator sees it: the text on the screen, and whose it claims to be.

    ``text`` is None where the task has none that we could read.  ``regions`` (region id → item)
    and ``links`` (pairs of region ids) were on the screen when it was last saved.
    """

    text: str | None
    document_id: str | None = None
    regions: dict[str, RegionItem] = field(default_factory=dict, hash=False)
    links: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Question:
    """A request for predictions; ``marked`` are regions just drawn, about whose relations the
    annotator asks: then there is one task."""

    tasks: tuple[ShownTask, ...]
    config: str
    marked: tuple[RegionItem, ...] | None = None


class Service(Protocol):
    """What a backend does; called from several threads at once, and may take its time."""

    def version(self) -> str:
        """The model run that answers, as Label Studio is to name it."""
        ...

    def predict(self, question: Question) -> list[list[dict[str, Any]]]:
        """For each task the predictions to show: one, or none."""
        ...

    def assist(self, question: Question) -> dict[str, Any]:
        """A prediction that holds what hangs on the marked regions."""
        ...

    def wake(self) -> bool:
        """Something changed in Label Studio: look soon.  False where nobody looks.

        Returns at once.
        """
        ...


def parse_json(body: bytes) -> dict[str, Any]:
    """The object in a request's body.  Raises RequestError for anything else."""
    from pydantic_core import from_json

    try:
        value = from_json(body, allow_inf_nan=False)
    except (ValueError, RecursionError):
        raise RequestError("the body is no JSON, or nested too deeply") from None
    if not isinstance(value, dict):
        raise RequestError("the body is no JSON object")
    return value


def parse_question(body: bytes) -> Question:
    """The request of ``/predict``.  Raises RequestError where it is none."""
    raw = parse_json(body)
    tasks = raw.get("tasks")
    if not isinstance(tasks, list):
        raise RequestError("`tasks` must be a list")
    config = raw.get("label_config")
    if isinstance(config, str) and len(config) > MAX_CONFIG:
        raise RequestError(f"`label_config` is longer than {MAX_CONFIG:,} characters")
    marked = _marked(raw.get("params"))
    if marked is not None and len(tasks) != 1:
        raise RequestError("a request about regions that were drawn has one task")
    return Question(
        tuple(_task(task, with_regions=marked is not None) for task in tasks),
        config if isinstance(config, str) else "",
        marked,
    )


def _task(raw: Any, *, with_regions: bool) -> ShownTask:
    data = raw.get("data") if isinstance(raw, dict) else None
    if not isinstance(data, dict):
        return ShownTask(None)
    text, document_id = data.get(DATA_TEXT), data.get(DATA_ID)
    saved = _saved(raw) if with_regions else []
    return ShownTask(
        text if isinstance(text, str) and len(text) <= MAX_TEXT else None,
        document_id if isinstance(document_id, str) and document_id else None,
        _regions(saved),
        frozenset(
            (item.from_id, item.to_id) for item in _items(saved) if isinstance(item, RelationItem)
        ),
    )


def _marked(params: Any) -> tuple[RegionItem, ...] | None:
    context = params.get("context") if isinstance(params, dict) else None
    if not isinstance(context, dict) or not isinstance(context.get("result"), list):
        return None
    return tuple(_regions(context["result"]).values())


def _saved(task: dict[str, Any]) -> list[Any]:
    """The items of the annotator's drafts, which Label Studio saves as they work.

    Where nothing was saved yet they began from what was there: the one annotation, or the
    prediction made last.
    """
    for key in ("drafts", "annotations", "predictions"):
        held = task.get(key)
        results = [
            row["result"]
            for row in (held if isinstance(held, list) else [])
            if isinstance(row, dict) and isinstance(row.get("result"), list)
        ]
        if not results or (key == "annotations" and len(results) > 1):
            continue
        chosen = results if key == "drafts" else results[-1:]
        return [item for result in chosen for item in result]
    return []


def _items(raw: list[Any]) -> Iterator[Item]:
    for one in raw:
        # what is not of our configuration is passed over: nothing can hang on it
        with contextlib.suppress(DataError):
            yield parse_item(one)


def _regions(raw: list[Any]) -> dict[str, RegionItem]:
    return {
        item.id: item
        for item in _items(raw)
        if isinstance(item, RegionItem) and len(item.value.labels) == 1
    }
