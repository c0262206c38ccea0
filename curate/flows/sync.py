"""Pull, then push what is new; a failed half leaves the other's result standing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.errors import CurateError, LockedError
from curate.flows import project as projects_flow
from curate.flows.pull import PullOptions, PullResult, locked_pull
from curate.flows.push import PushOptions, PushResult, locked_push
from curate.flows.reporter import Reporter, Silent
from curate.schema import LabelSchema
from curate.store import Store

if TYPE_CHECKING:
    from curate.labelstudio.client import LabelStudio


@dataclass(frozen=True, slots=True)
class SyncResult:
    """Both halves; one that failed is None and its error stands in ``errors``.

    ``pulled`` is None without an error where nothing had been pushed before.
    """

    pulled: PullResult | None
    pushed: PushResult | None
    errors: tuple[CurateError, ...] = ()


def sync(
    store: Store,
    client: LabelStudio,
    schema: LabelSchema,
    options: PushOptions,
    reporter: Reporter | None = None,
) -> SyncResult:
    """Raises LockedError alone; what else goes wrong is in the result."""
    reporter = reporter or Silent()
    errors: list[CurateError] = []
    pulled: PullResult | None = None
    pushed: PushResult | None = None
    with store.lock("sync"):
        try:
            if projects_flow.known(store, client, options.title) is not None:
                pulled = locked_pull(store, client, schema, PullOptions(options.title), reporter)
        except LockedError:
            raise
        except CurateError as error:
            errors.append(error)
        try:
            pushed = locked_push(store, client, schema, options, reporter)
        except CurateError as error:
            errors.append(error)
    return SyncResult(pulled, pushed, tuple(errors))
