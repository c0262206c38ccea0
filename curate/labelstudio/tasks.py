"""Listing the tasks of a project: by id, so that no page drifts, and provably complete.

Everything here reads.  A listing goes by keyset (``id`` greater than the last one seen): tasks
that are deleted meanwhile shift nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from curate.errors import ServerFaultError
from curate.labelstudio.wire import DATA_ID, WireTask, parse_task

if TYPE_CHECKING:
    from curate.labelstudio.client import LabelStudio

Filter = dict[str, Any]

PAGE = 500
"""Tasks a page without their annotations: measured fastest."""
HEAVY_PAGE = 100
"""Tasks a page with annotations and predictions: about 1 MB."""
MAX_VALUE_BYTES = 4000
"""Bytes of ids in one filter: an address of 8 kB passes every proxy, 64 kB fail in Label Studio."""

_LIGHT = "id,data,created_at,updated_at,total_annotations,cancelled_annotations"
# the list of fields to include reaches into annotations, too: what is not named there is left out
_HEAVY = _LIGHT + (
    ",annotations,drafts,predictions,result,completed_by,was_cancelled,ground_truth,lead_time"
    ",parent_prediction,parent_annotation,draft_created_at,last_action,import_id"
    ",updated_by,last_created_by,model_version,score,user,annotation,task,project"
)


def stamp(moment: datetime) -> str:
    """The one form of a time that Label Studio's filters take."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment_of(text: str) -> datetime:
    """A time as Label Studio writes it.  Raises ServerFaultError for anything else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ServerFaultError("Label Studio sent a time that is none") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def updated_since(moment: datetime) -> Filter:
    return _filter("updated_at", "greater_or_equal", "Datetime", stamp(moment))


def updated_before(moment: datetime) -> Filter:
    return _filter("updated_at", "less", "Datetime", stamp(moment))


def created_since(moment: datetime) -> Filter:
    return _filter("created_at", "greater_or_equal", "Datetime", stamp(moment))


def created_before(moment: datetime) -> Filter:
    return _filter("created_at", "less", "Datetime", stamp(moment))


def annotated() -> Filter:
    return _filter("total_annotations", "greater_or_equal", "Number", 1)


def skipped() -> Filter:
    return _filter("cancelled_annotations", "greater_or_equal", "Number", 1)


def drafted() -> Filter:
    return _filter("draft_exists", "equal", "Boolean", "true")


def id_in(ids: Sequence[int]) -> Filter:
    return _filter("id", "in_list", "List", list(ids))


def _filter(field: str, operator: str, kind: str, value: Any) -> Filter:
    return {"filter": f"filter:tasks:{field}", "operator": operator, "type": kind, "value": value}


class Tasks:
    """The tasks of one project, to be read."""

    def __init__(self, client: LabelStudio, project_id: int) -> None:
        self._client = client
        self._project_id = project_id
        self.poisoned: list[int] = []
        """Tasks at which the server fails: nothing of them can be read."""

    def server_now(self) -> datetime:
        """The server's clock, by the Date header of a fresh answer; whole seconds, rounded down.

        Raises ServerFaultError where the server tells no time.
        """
        self.count()
        try:
            return parsedate_to_datetime(self._client.server_date).astimezone(UTC)
        except (ValueError, TypeError):
            raise ServerFaultError(
                "Label Studio's answers carry no Date header, which an incremental pull needs; "
                "does a proxy drop it?"
            ) from None

    def count(self, *filters: Filter) -> tuple[int, int]:
        """``(tasks, submitted annotations)`` that the filters leave."""
        answer = self._page(list(filters), size=1, include="id")
        return _whole(answer, "total"), _whole(answer, "total_annotations")

    def light(self, *filters: Filter, page: int = PAGE) -> Iterator[list[WireTask]]:
        """Pages of tasks without annotations, by id."""
        for rows in self._keyset(list(filters), page, include=_LIGHT):
            yield [parse_task(row) for row in rows]

    def light_by_id(self, ids: Sequence[int]) -> Iterator[list[WireTask]]:
        """The same, of these tasks; one that is gone is missing."""
        for batch in _parts(ids):
            yield from self.light(id_in(batch))

    def heavy(self, *filters: Filter) -> Iterator[list[dict[str, Any]]]:
        """Pages of raw tasks with annotations, predictions and drafts, by id."""
        yield from self._keyset(list(filters), HEAVY_PAGE, include=_HEAVY, fields="all")

    def heavy_by_id(self, ids: Iterable[int]) -> Iterator[list[dict[str, Any]]]:
        """The same, of these tasks; one that is gone is missing.

        Where a page fails with a 500 it is taken apart, so that one poisoned task does not hold
        up the others; see ``poisoned``.
        """
        for batch in _parts(sorted(ids)):
            yield self._by_id(batch, include=_HEAVY, fields="all")

    def _by_id(self, ids: list[int], **params: str) -> list[dict[str, Any]]:
        try:
            # taken apart rather than tried again and again: the halves are the repetition
            return _rows(self._page([id_in(ids)], size=len(ids), attempts=2, **params))
        except ServerFaultError as error:
            if not _poison(error):
                raise
        if len(ids) == 1:
            self.poisoned.append(ids[0])
            return []
        middle = len(ids) // 2
        return self._by_id(ids[:middle], **params) + self._by_id(ids[middle:], **params)

    def find(self, document_ids: Sequence[str]) -> Iterator[WireTask]:
        """The tasks that carry one of these document ids; light."""
        for batch in _fitting(document_ids):
            wanted = set(batch)
            chosen = _filter(f"data.{DATA_ID}", "in_list", "List", batch)
            for page in self.light(chosen):
                # never trust a filter: some servers ignore one they do not know
                yield from (task for task in page if task.document_id in wanted)

    def predictions(self, ids: Sequence[int]) -> dict[int, list[str | None]]:
        """Task id → the model versions of its predictions, for those of the tasks that exist."""
        found: dict[int, list[str | None]] = {}
        for batch in _parts(sorted(ids)):
            answer = self._page(
                [id_in(batch)],
                size=len(batch),
                include="id,predictions,model_version",
                fields="all",
            )
            for row in _rows(answer):
                found[int(row["id"])] = [
                    prediction.get("model_version") for prediction in row.get("predictions", [])
                ]
        return found

    def _keyset(
        self, filters: list[Filter], size: int, **params: str
    ) -> Iterator[list[dict[str, Any]]]:
        last = 0
        while True:
            after = _filter("id", "greater", "Number", last)
            chosen = [*filters, after]
            try:
                rows = _rows(self._page(chosen, size=size, attempts=3, **params))
                ids = [row["id"] for row in rows]
            except ServerFaultError as error:
                if not _poison(error):
                    raise
                ids = [row["id"] for row in _rows(self._page(chosen, size=size, include="id"))]
                rows = [row for part in _parts(ids) for row in self._by_id(part, **params)]
            if not ids:
                return
            if ids != sorted(set(ids)) or ids[0] <= last:
                raise ServerFaultError(
                    "Label Studio does not list tasks in the order asked for; nothing was concluded"
                )
            yield rows
            last = ids[-1]
            if len(ids) < size:
                return

    def _page(
        self, filters: list[Filter], *, size: int, attempts: int | None = None, **params: str
    ) -> Any:
        query = {
            "filters": {"conjunction": "and", "items": filters},
            "ordering": ["tasks:id"],
        }
        return self._client.get(
            "/api/tasks/",
            params={
                "project": self._project_id,
                "page": 1,
                "page_size": size,
                "query": json.dumps(query, ensure_ascii=False, separators=(",", ":")),
                **params,
            },
            timeout=120.0,
            attempts=attempts,
        )


def _rows(answer: Any) -> list[dict[str, Any]]:
    rows = answer.get("tasks") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and type(row.get("id")) is int for row in rows
    ):
        raise ServerFaultError(
            "Label Studio's list of tasks has a form we do not know; is its version supported?"
        )
    return rows


def _whole(answer: Any, key: str) -> int:
    value = answer.get(key) if isinstance(answer, dict) else None
    if type(value) is not int:
        raise ServerFaultError(
            f"Label Studio's list of tasks lacks {key!r}; is its version supported?"
        )
    return value


def _poison(error: ServerFaultError) -> bool:
    return error.status == 500


def _parts(ids: Sequence[int], size: int = HEAVY_PAGE) -> Iterator[list[int]]:
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])


def _fitting(document_ids: Sequence[str]) -> Iterator[list[str]]:
    """Parts whose percent-encoded JSON stays under ``MAX_VALUE_BYTES``."""
    from urllib.parse import quote

    part: list[str] = []
    length = 0
    for document_id in document_ids:
        cost = len(quote(json.dumps(document_id, ensure_ascii=False) + ",", safe=""))
        if part and length + cost > MAX_VALUE_BYTES:
            yield part
            part, length = [], 0
        part.append(document_id)
        length += cost
    if part:
        yield part
