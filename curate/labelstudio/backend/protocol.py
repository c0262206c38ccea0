"""What Label Studio asks a backend, parsed; and what answers it.

The envelope is read leniently in what it may hold besides, strictly in what we rely on.  A task
that cannot be read comes out as such, so that it does not take its neighbours with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from curate.errors import DataError
from curate.labelstudio.wire import DATA_ID, DATA_TEXT, RegionItem, parse_item


class RequestError(DataError):
    """A request that is not of the protocol; its message may be shown to whoever asked."""


@dataclass(frozen=True, slots=True)
class ShownTask:
    """A task as the annotator sees it: the text on the screen, and whose it claims to be.

    ``text`` is None where the task has none that we could read.  ``regions`` are on the screen
    already (region id → item), where the request tells of some.
    """

    text: str | None
    document_id: str | None = None
    regions: dict[str, RegionItem] = field(default_factory=dict, hash=False)


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
    return ShownTask(
        text if isinstance(text, str) else None,
        document_id if isinstance(document_id, str) and document_id else None,
        _on_screen(raw) if with_regions else {},
    )


def _marked(params: Any) -> tuple[RegionItem, ...] | None:
    context = params.get("context") if isinstance(params, dict) else None
    if not isinstance(context, dict) or not isinstance(context.get("result"), list):
        return None
    return tuple(_regions(context["result"]).values())


def _on_screen(task: dict[str, Any]) -> dict[str, RegionItem]:
    """The regions of the annotator's drafts, which Label Studio saves as they work.

    Where nothing was saved yet they began from what was there: the one annotation, or the
    prediction made last.
    """
    for key, number in (("drafts", None), ("annotations", 1), ("predictions", None)):
        held = task.get(key)
        results = [
            row["result"]
            for row in (held if isinstance(held, list) else [])
            if isinstance(row, dict) and isinstance(row.get("result"), list)
        ]
        if results and number in (None, len(results)):
            found: dict[str, RegionItem] = {}
            for result in results if key == "drafts" else results[-1:]:
                found |= _regions(result)
            return found
    return {}


def _regions(result: list[Any]) -> dict[str, RegionItem]:
    found: dict[str, RegionItem] = {}
    for raw in result:
        try:
            item = parse_item(raw)
        except DataError:
            continue  # not of our configuration: nothing can hang on it
        if isinstance(item, RegionItem) and len(item.value.labels) == 1:
            found[item.id] = item
    return found
