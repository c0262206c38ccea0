"""People in Label Studio: inviting somebody who can then log in.

``POST /api/users`` makes a user without a way in, so a person is made as they would make
themselves: by the organisation's invitation link and the sign-up form.  :func:`log_in` is the
proof that it worked, by the log-in form.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from curate.errors import RejectedError, RemoteError, ServerFaultError, UsageError
from curate.labelstudio.bounded import HEADERS, bound
from curate.labelstudio.client import LabelStudio, User, base_url_of, is_loopback
from curate.labelstudio.faults import clean, status_error, transport_error

if TYPE_CHECKING:
    import httpx

MIN_PASSWORD, MAX_PASSWORD = 8, 128
MAX_EMAIL = 255
_EMAIL = re.compile(r"[^@\s\"(),:;<>\[\]\\]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+\Z")
_ERRORS = re.compile(r'<ul class="field_errors">(.*?)</ul>|<p class="error">(.*?)</p>', re.S)


@dataclass(frozen=True, slots=True)
class Invited:
    """``created`` is False where the user was there already; then no password was set."""

    user: User
    created: bool


def new_password() -> str:
    """A password of 120 bits that can be read out."""
    return "-".join(secrets.token_hex(3) for _ in range(5))


def check_email(email: str) -> str:
    """The address as Label Studio keeps it, in lower case.  Raises UsageError for what is none."""
    kept = email.strip().lower()
    if len(kept) > MAX_EMAIL or not _EMAIL.match(kept) or not kept.isprintable():
        raise UsageError(f"{clean(email)!r} is no e-mail address, such as nadia@example.org")
    return kept


def check_password(password: str) -> None:
    """Raises UsageError for a password that Label Studio will not take; it is not repeated."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise UsageError(f"the password must have {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    if password != password.strip() or not password.isprintable():
        raise UsageError("the password may not begin or end with a space or hold a line break")


def find_user(client: LabelStudio, email: str) -> User | None:
    """The user who logs in with this address."""
    wanted = check_email(email)
    return next((user for user in client.users() if user.email.lower() == wanted), None)


def invite(client: LabelStudio, email: str, password: str) -> Invited:
    """Make a person who logs in with ``email`` and ``password``, unless there is one already.

    Raises UsageError for a bad address or password, RejectedError with Label Studio's words
    where the form is refused, and the rest of the RemoteError tree.
    """
    email = check_email(email)
    check_password(password)
    found = find_user(client, email)
    if found is not None:
        return Invited(found, created=False)
    link = client.get("/api/invite")
    address = str(link.get("invite_url", "")) if isinstance(link, dict) else ""
    tokens = parse_qs(urlsplit(address).query).get("token", [])
    if len(tokens) != 1:
        raise ServerFaultError("Label Studio gave no invitation link; is its version supported?")
    try:
        _sign_up(client.url, tokens[0], email, password)
    except RejectedError:
        raise
    except RemoteError:
        # the form may have been taken: look, then let the log-in decide
        if find_user(client, email) is None:
            raise
    user = find_user(client, email)
    if user is None or not can_log_in(client.url, email, password):
        raise ServerFaultError(
            f"Label Studio took the sign-up of {email}, but they cannot log in; look at its "
            "Organization page"
        )
    return Invited(user, created=True)


def _sign_up(url: str, token: str, email: str, password: str) -> None:
    with _browser(url) as browser:
        form = {
            "email": email,
            "password": password,
            "allow_newsletters": "false",
            "how_find_us": "",
        }
        page = _submit(browser, "/user/signup/", {"token": token}, form, (token, password))
        said = _form_errors(page)
        if said:
            raise RejectedError(
                f"Label Studio refused to sign up {email}: {clean(said, (password, token))}"
            )


def can_log_in(url: str, email: str, password: str) -> bool:
    """Whether the log-in form lets this person in."""
    with _browser(url) as browser:
        return _log_in(browser, email, password)


def token_of(url: str, email: str, password: str) -> str:
    """The API token of a person, as they see it themselves after logging in.

    Raises RejectedError where they cannot log in.  Works where legacy tokens are enabled, as in
    the embedded studio.
    """
    with _browser(url) as browser:
        if not _log_in(browser, email, password):
            raise RejectedError(f"{email} cannot log in to Label Studio with this password")
        answer = _ask(browser, "GET", "/api/current-user/token")
        try:
            return str(answer.json()["token"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ServerFaultError("Label Studio shows this person no API token") from None


def _log_in(browser: httpx.Client, email: str, password: str) -> bool:
    form = {"email": check_email(email), "password": password}
    _submit(browser, "/user/login/", {}, form, (password,))
    answer = _ask(browser, "GET", "/api/current-user/whoami", allowed=(401, 403))
    try:
        return bool(answer.is_success and answer.json()["email"].lower() == check_email(email))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


@contextmanager
def _browser(url: str) -> Iterator[httpx.Client]:
    """A session with cookies, as a browser's; it follows no redirects."""
    import httpx

    base = base_url_of(url)
    with httpx.Client(
        base_url=base,
        timeout=60.0,
        follow_redirects=False,
        trust_env=not is_loopback(base),
        headers=HEADERS,
        event_hooks={"response": [bound]},
    ) as browser:
        yield browser


def _submit(
    browser: httpx.Client,
    path: str,
    params: dict[str, str],
    form: dict[str, str],
    secrets: tuple[str, ...],
) -> str:
    """Fetch a form, fill it in, send it with its CSRF token; the page that answers, if any."""
    _ask(browser, "GET", path, params=params, secrets=secrets)
    csrf = browser.cookies.get("csrftoken")
    if not csrf:
        raise ServerFaultError(f"Label Studio's page {path} sets no CSRF cookie")
    # Django wants a Referer of its own on https
    headers = {"Referer": str(browser.base_url).rstrip("/") + path}
    answer = _ask(
        browser,
        "POST",
        path,
        params=params,
        data=form | {"csrfmiddlewaretoken": csrf},
        headers=headers,
        secrets=secrets,
    )
    return "" if answer.is_redirect else answer.text


def _ask(
    browser: httpx.Client,
    method: str,
    path: str,
    *,
    params: dict[str, str] | None = None,
    data: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    secrets: tuple[str, ...] = (),
    allowed: tuple[int, ...] = (),
) -> httpx.Response:
    import httpx

    try:
        answer = browser.request(method, path, params=params, data=data, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict) as error:
        raise transport_error(error, str(browser.base_url).rstrip("/")) from None
    if answer.is_error and answer.status_code not in allowed:
        kind = answer.headers.get("content-type", "")
        raise status_error(answer.status_code, answer.content, kind, f"{method} {path}", secrets)
    return answer


def _form_errors(page: str) -> str:
    """What a form complains about, on one line; empty where it does not."""
    found = [re.sub(r"<[^>]*>", " ", "".join(groups)) for groups in _ERRORS.findall(page)]
    said = " ".join(" ".join(unescape(text).split()) for text in found)
    if said or "<form" not in page:
        return said
    return "the form came back without a reason"
