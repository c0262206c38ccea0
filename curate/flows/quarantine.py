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


def quoted(found: Quarantined) -> str:
    """The relation at fault in the words of its mentions, as Label Studio shows them; or nothing.

    The words are Label Studio's copy of the text: good enough to find the place on the screen.
    """
    item, result = found.item, found.raw.get("result") if isinstance(found.raw, dict) else None
    if not isinstance(item, dict) or not isinstance(result, list):
        return ""
    words = {}
    for region in result:
        value = region.get("value") if isinstance(region, dict) else None
        if isinstance(value, dict) and isinstance(value.get("text"), str):
            said = " ".join(value["text"].split())
            words[str(region.get("id"))] = said if len(said) <= 30 else f"{said[:29]}…"
    ends = [words.get(str(item.get(end))) for end in ("from_id", "to_id")]
    return "" if None in ends else f"'{ends[0]}' → '{ends[1]}'"


def retry(
    store: Store, schema: LabelSchema, title: str, reporter: Reporter | None = None
) -> tuple[PullResult, int]:
    """Decode the kept raw answers again, as after a change of the schema or a new version of
    curate; the result and how many left the quarantine."""
    before = len(listed(store))
    result = replay(store, schema, PullOptions(title, replay=True), reporter)
    return result, before - len(listed(store))
