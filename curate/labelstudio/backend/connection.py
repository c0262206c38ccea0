"""Introducing ourselves to a project of Label Studio, and taking leave; both may be repeated."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.errors import RejectedError, ServerFaultError
from curate.labelstudio.backend.guard import WEBHOOK_HEADER, Login
from curate.labelstudio.projects import BACKEND_TITLE as TITLE

if TYPE_CHECKING:
    from curate.labelstudio.client import LabelStudio

MARK = "X-Curate"
"""The header by which we know our webhook again."""
ACTIONS = (
    "ANNOTATION_CREATED",
    "ANNOTATIONS_CREATED",
    "ANNOTATION_UPDATED",
    "ANNOTATIONS_DELETED",
)


@dataclass(frozen=True, slots=True)
class Connected:
    """Whether the backend and the webhook are new, and how many stale ones were removed."""

    backend_id: int
    webhook_id: int
    new_backend: bool
    new_webhook: bool
    removed: int


def register(
    client: LabelStudio,
    record: Mapping[str, Any],
    url: str,
    login: Login | None,
) -> Connected:
    """Connect backend and webhook to the project of this record, and have its tasks ask us.

    We must be answering already: Label Studio calls before it believes.  Raises RejectedError
    where it refuses, with what to do.
    """
    project = int(record["id"])
    # first: a backend that has no webhook yet is given one that sends everything, to us as well
    hook, new_hook, stale_hooks = _webhook(client, project, url, login)
    try:
        backend, new_backend, stale = _backend(client, project, url, login)
    except RejectedError:
        if new_hook:
            client.delete(f"/api/webhooks/{hook}/")
        raise
    if record.get("model_version") != TITLE or not record.get("show_collab_predictions", True):
        client.update_project(project, model_version=TITLE, show_collab_predictions=True)
    return Connected(backend, hook, new_backend, new_hook, stale + stale_hooks)


def unregister(client: LabelStudio, record: Mapping[str, Any], version: str | None) -> int:
    """Remove our backends and webhooks from the project; how many there were.

    ``version``: the model run whose predictions the project is to show from now on.
    """
    project = int(record["id"])
    if record.get("model_version") == TITLE:
        client.update_project(project, model_version=version or "")
    ours = _ours(client, project)
    for one in ours:
        client.delete(f"/api/ml/{one['id']}")
    hooks = _hooks(client, project, {_hook_url(str(one.get("url"))) for one in ours})
    for one in hooks:
        client.delete(f"/api/webhooks/{one['id']}/")
    return len(ours) + len(hooks)


def _backend(
    client: LabelStudio, project: int, url: str, login: Login | None
) -> tuple[int, bool, int]:
    wanted: dict[str, Any] = {
        "project": project,
        "url": url,
        "title": TITLE,
        "description": "Predictions of the champion model, and relations of what is drawn.",
        "is_interactive": True,
        "auth_method": "NONE" if login is None else "BASIC_AUTH",
    }
    if login is not None:
        wanted |= {"basic_auth_user": login.user, "basic_auth_pass": login.password}
    ours = _ours(client, project)
    for one in ours[1:]:
        client.delete(f"/api/ml/{one['id']}")
    try:
        if ours and (login is not None or ours[0].get("auth_method") == "NONE"):
            made = client.patch(f"/api/ml/{ours[0]['id']}", json=wanted)
        else:
            # a password that was set once cannot be unset: such a backend is made anew
            for one in ours[:1]:
                client.delete(f"/api/ml/{one['id']}")
            made = client.post("/api/ml/", json=wanted)
    except RejectedError as error:
        raise RejectedError(
            f"Label Studio does not take {url} as a machine learning backend: {error}; it must "
            "reach that address (--url), and for one on its own machine it must have been started "
            "with ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false, as "
            "`curate studio up` does",
            status=error.status,
        ) from None
    return _id(made), not ours, max(0, len(ours) - 1)


def _webhook(
    client: LabelStudio, project: int, url: str, login: Login | None
) -> tuple[int, bool, int]:
    headers = {MARK: "serve"}
    if login is not None:
        headers[WEBHOOK_HEADER] = login.webhook_token
    wanted: dict[str, Any] = {
        "url": _hook_url(url),
        "send_payload": False,
        "send_for_all_actions": False,
        "actions": list(ACTIONS),
        "headers": headers,
        "is_active": True,
    }
    ours = _hooks(client, project, {_hook_url(url)})
    for one in ours[1:]:
        client.delete(f"/api/webhooks/{one['id']}/")
    stale = max(0, len(ours) - 1)
    try:
        if not ours:
            return _id(client.post("/api/webhooks/", json=wanted | {"project": project})), True, 0
        now = ours[0]
        same = all(now.get(key) == value for key, value in wanted.items() if key != "actions")
        if not same or sorted(now.get("actions") or ()) != sorted(ACTIONS):
            client.patch(f"/api/webhooks/{now['id']}/", json=wanted)
    except RejectedError as error:
        raise RejectedError(
            f"Label Studio does not take {_hook_url(url)} as a webhook: {error}; for an address on "
            "its own machine it must have been started with SSRF_PROTECTION_ENABLED=false, as "
            "`curate studio up` does",
            status=error.status,
        ) from None
    return int(now["id"]), False, stale


def _ours(client: LabelStudio, project: int) -> list[dict[str, Any]]:
    rows = client.get("/api/ml/", params={"project": project})
    return [row for row in _listed(rows) if row.get("title") == TITLE]


def _hook_url(url: str) -> str:
    return f"{url.rstrip('/')}/webhook"


def _hooks(client: LabelStudio, project: int, urls: Set[str]) -> list[dict[str, Any]]:
    """Those that bear our mark, and those to these addresses, whoever made them."""
    rows = client.get("/api/webhooks/", params={"project": project})
    return [
        row
        for row in _listed(rows)
        if row.get("project") == project
        and (MARK in (row.get("headers") or {}) or row.get("url") in urls)
    ]


def _listed(rows: Any) -> list[dict[str, Any]]:
    found = rows.get("results") if isinstance(rows, dict) else rows
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ServerFaultError("Label Studio sent a list of a form that we do not know")
    return sorted(found, key=lambda row: int(row["id"]))


def _id(made: Any) -> int:
    if not isinstance(made, dict) or type(made.get("id")) is not int:
        raise ServerFaultError("Label Studio did not say what it made")
    return int(made["id"])
