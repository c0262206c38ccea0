"""What came in and did not fit: listed, shown, tried again."""

from __future__ import annotations

from curate.errors import DataError
from curate.flows.pull import PullOptions, PullResult, replay
from curate.flows.reporter import Reporter
from curate.schema import LabelSchema
from curate.store import Quarantined, Store


def listed(store: Store, *, settled: bool = False, limit: int | None = None) -> list[Quarantined]:
    """What is open, in order of arrival; ``settled``: what was mended or is gone, too."""
    with store.read() as unit:
        return unit.annotations.quarantined(state=None if settled else "open", limit=limit)


def shown(store: Store, number: int) -> Quarantined:
    """Raises DataError where there is no such number."""
    with store.read() as unit:
        found = unit.annotations.quarantined(state=None, after=number - 1, limit=1)
    if not found or found[0].id != number:
        raise DataError(
            f"there is no quarantined annotation {number}; see `curate quarantine list`"
        )
    return found[0]


def retry(
    store: Store, schema: LabelSchema, title: str, reporter: Reporter | None = None
) -> tuple[PullResult, int]:
    """Decode the kept raw answers again, as after a change of the schema or a new version of
    curate; the result and how many left the quarantine."""
    before = len(listed(store))
    result = replay(store, schema, PullOptions(title, replay=True), reporter)
    return result, before - len(listed(store))
