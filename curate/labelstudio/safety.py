"""Is this Label Studio safe?  What can be seen of that from outside.

Nothing is changed: sign-up is tried with an empty form, which Label Studio refuses either for
want of an invitation (closed) or for its empty fields (open).
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from curate.labelstudio.bounded import HEADERS, bound
from curate.labelstudio.client import LabelStudio, is_loopback

TRIED_VERSIONS = {
    "1.23": "every test of every change",
}
"""major.minor → what of our tests ran against it; docs/label-studio.md has the table."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; ``mend`` says what to do where ``ok`` is false."""

    name: str
    ok: bool
    said: str
    mend: str = ""


def examine(client: LabelStudio, *, embedded: bool) -> list[Finding]:
    """Address, version, sign-up, tokens and request forgery of the server ``client`` speaks to.

    ``embedded``: it was started by `curate studio up`, so that its settings are known.  Raises
    RemoteError where the server does not answer.
    """
    local = is_loopback(client.url)
    return [
        _address(client.url, local),
        _version(client.version()),
        _signup(client.url),
        _tokens(client, local),
        _forgery(embedded),
    ]


def _address(url: str, local: bool) -> Finding:
    if local:
        return Finding("address", True, "bound to this machine alone")
    if urlsplit(url).scheme == "https":
        return Finding("address", True, "behind TLS")
    return Finding(
        "address",
        False,
        "plain http to another machine: tokens and texts can be read on the way",
        "put it behind a proxy with TLS and set LABEL_STUDIO_URL to its https address",
    )


def _version(version: str) -> Finding:
    short = ".".join(version.split(".")[:2])
    if short in TRIED_VERSIONS:
        return Finding("version", True, f"{version}, tried with this curate")
    return Finding(
        "version",
        False,
        f"{version} is none of those tried ({', '.join(f'{v}.x' for v in TRIED_VERSIONS)})",
        "try it on a copy first: docs/label-studio.md says how",
    )


def _signup(url: str) -> Finding:
    import httpx

    page = f"{url.rstrip('/')}/user/signup/"
    try:
        # a client of its own: our token would count as being logged in
        with httpx.Client(
            timeout=15.0,
            trust_env=not is_loopback(url),
            headers=HEADERS,
            event_hooks={"response": [bound]},
        ) as visitor:
            form = visitor.get(page)
            answer = visitor.post(
                page,
                data={"csrfmiddlewaretoken": visitor.cookies.get("csrftoken") or ""},
                headers={"Referer": page},
            )
    except httpx.HTTPError:
        return Finding("sign-up", True, "the page of sign-up does not answer")
    if form.status_code >= 400 or answer.status_code in (403, 404, 405):
        return Finding("sign-up", True, "closed; people come by invitation")
    return Finding(
        "sign-up",
        False,
        "anybody who reaches the server can make an account and read, edit or delete everything",
        "start it with LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK=true",
    )


def _tokens(client: LabelStudio, local: bool) -> Finding:
    said = client.get("/api/jwt/settings")
    legacy = bool(isinstance(said, dict) and said.get("legacy_api_tokens_enabled"))
    if not legacy:
        return Finding("tokens", True, "legacy tokens are off")
    if local:
        return Finding("tokens", True, "legacy tokens are on; they never leave this machine")
    return Finding(
        "tokens",
        False,
        "legacy tokens are on: they never expire",
        "use a personal access token in LABEL_STUDIO_API_KEY and switch legacy tokens off under "
        "Organization → Access Token Settings",
    )


def _forgery(embedded: bool) -> Finding:
    if embedded:
        return Finding(
            "request forgery",
            True,
            "requests to this machine are allowed, for `curate serve`; those invited here can make "
            "the server ask local addresses",
        )
    return Finding(
        "request forgery",
        True,
        "cannot be seen from outside; the server is protected unless it was started with "
        "SSRF_PROTECTION_ENABLED=false",
    )
