"""How Label Studio's and httpx's failures become curate's errors.

Every exception httpx can raise stands in :data:`TRANSPORT_FAULTS` by name, so that this module
can be imported without httpx; a test holds the table to httpx's own list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from curate.errors import (
    AuthenticationError,
    RejectedError,
    RemoteError,
    ServerFaultError,
    UnreachableError,
)

MAX_BODY_SHOWN = 400
"""Characters of an answer that may stand in a message."""


class NotSentError(UnreachableError):
    """No connection came about: the request surely never reached the server."""


class BusyError(ServerFaultError):
    """429 or 503 with a wish when to come back (``retry_after``: seconds, or an HTTP date)."""

    def __init__(self, message: str, *, status: int, retry_after: str) -> None:
        self.retry_after = retry_after
        super().__init__(message, status=status)


TRANSPORT_FAULTS: dict[str, tuple[type[RemoteError], str]] = {
    # no connection: nothing was sent
    "ConnectError": (NotSentError, "refused or could not be connected to; is it running?"),
    "ConnectTimeout": (NotSentError, "did not accept a connection in time; is it running?"),
    "PoolTimeout": (NotSentError, "has no free connection left; run fewer things at once"),
    "ProxyError": (NotSentError, "cannot be reached through the proxy; look at HTTP(S)_PROXY"),
    "UnsupportedProtocol": (NotSentError, "has no http:// or https:// address"),
    "LocalProtocolError": (NotSentError, "cannot be asked this: the request is malformed"),
    "InvalidURL": (NotSentError, "has an address that is no valid URL"),
    "CookieConflict": (NotSentError, "set two cookies of one name"),
    # sent, wholly or in part: the outcome is unknown
    "ReadTimeout": (UnreachableError, "did not answer in time"),
    "WriteTimeout": (UnreachableError, "did not take the request in time"),
    "ReadError": (UnreachableError, "broke the connection before it answered"),
    "WriteError": (UnreachableError, "broke the connection while the request was sent"),
    "CloseError": (UnreachableError, "broke the connection"),
    "TimeoutException": (UnreachableError, "did not answer in time"),
    "NetworkError": (UnreachableError, "broke the connection"),
    "RemoteProtocolError": (ServerFaultError, "broke off in the middle of its answer"),
    "ProtocolError": (ServerFaultError, "does not speak HTTP as it should"),
    "DecodingError": (ServerFaultError, "sent an answer that cannot be decompressed"),
    "TooManyRedirects": (RejectedError, "redirects in a circle; check the address"),
    "HTTPStatusError": (ServerFaultError, "answered with an error"),
    "TransportError": (UnreachableError, "could not be talked to"),
    "RequestError": (UnreachableError, "could not be talked to"),
    "HTTPError": (UnreachableError, "could not be talked to"),
    "StreamError": (ServerFaultError, "sent an answer that could not be read"),
    "StreamConsumed": (ServerFaultError, "sent an answer that could not be read"),
    "StreamClosed": (ServerFaultError, "sent an answer that could not be read"),
    "ResponseNotRead": (ServerFaultError, "sent an answer that could not be read"),
    "RequestNotRead": (NotSentError, "could not be sent the request"),
}


def transport_error(error: Exception, where: str) -> RemoteError:
    """The curate error for an exception of httpx; ``where`` is the address without secrets."""
    for cls in type(error).__mro__:
        if cls.__name__ in TRANSPORT_FAULTS:
            kind, sentence = TRANSPORT_FAULTS[cls.__name__]
            break
    else:
        kind, sentence = UnreachableError, "could not be talked to"
    if _is_certificate_fault(error):
        sentence = "shows a certificate that this machine does not trust"
    return kind(f"Label Studio at {where} {sentence}")


def _is_certificate_fault(error: BaseException | None) -> bool:
    for _ in range(8):
        if error is None:
            return False
        if type(error).__name__ in ("SSLCertVerificationError", "CertificateError"):
            return True
        error = error.__cause__ or error.__context__
    return False


def status_error(
    status: int,
    body: bytes,
    content_type: str,
    action: str,
    secrets: Iterable[str] = (),
    retry_after: str = "",
) -> RemoteError:
    """The curate error for an answer with an error status; ``action`` is «GET /api/…»."""
    said = describe_body(body, content_type, secrets)
    tail = f": {said}" if said else ""
    if status in (401, 403):
        hint = (
            "check LABEL_STUDIO_API_KEY (is it expired, revoked, or of another server?)"
            if status == 401
            else "this user may not do that"
        )
        return AuthenticationError(f"Label Studio refused {action} with {status}{tail}; {hint}")
    if status >= 500 or status in (408, 425, 429):
        message = f"Label Studio failed at {action} with {status}{tail}"
        if retry_after:
            return BusyError(message, status=status, retry_after=retry_after)
        return ServerFaultError(message, status=status)
    return RejectedError(f"Label Studio refused {action} with {status}{tail}", status=status)


def outcome_unknown(error: RemoteError) -> bool:
    """Whether a write that failed so may all the same have been carried out.

    False for a refusal (4xx, 429 too) and where no connection came about; True for a time-out, a
    broken connection and a 5xx, after which Label Studio may have committed: look before
    repeating.
    """
    if isinstance(error, ServerFaultError):
        return error.status != 429
    return not isinstance(error, NotSentError | RejectedError | AuthenticationError)


def describe_body(body: bytes, content_type: str, secrets: Iterable[str] = ()) -> str:
    """What the server said, on one line, bounded, without markup and without secrets."""
    text = body[: 64 * 1024].decode("utf-8", "replace")
    if "html" in content_type.lower() or text.lstrip()[:1] == "<":
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.S | re.I)
        text = title.group(1) if title else re.sub(r"<[^>]*>", " ", text)
    else:
        text = _json_message(text)
    return clean(text, secrets)


def _json_message(text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(value, dict):
        return text
    parts = []
    detail = value.get("detail")
    errors = value.get("validation_errors")
    if detail and not (errors and detail == "Validation error"):
        parts.append(detail if isinstance(detail, str) else _flat(detail))
    if errors:
        parts.append(_flat(errors))
    if not parts:
        # a traceback (exc_info) helps nobody here
        rest = {
            k: v for k, v in value.items() if k not in ("exc_info", "id", "version", "status_code")
        }
        parts.append(_flat(rest))
    return "; ".join(parts)


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(
            _flat(item) if key in ("non_field_errors", "detail") else f"{key}: {_flat(item)}"
            for key, item in value.items()
        )
    if isinstance(value, list):
        return ", ".join(_flat(item) for item in value)
    return str(value)


_SECRET = re.compile(
    r"\b[0-9a-f]{40}\b"  # a legacy token
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"  # a JSON web token
    r"|(?<=://)[^/\s@]+@"  # credentials in a URL
)


def clean(text: str, secrets: Iterable[str] = ()) -> str:
    """One line of printable characters, at most ``MAX_BODY_SHOWN``, secrets blotted out."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    text = _SECRET.sub("…", text)
    text = "".join(char if char.isprintable() else " " for char in text)
    text = " ".join(text.split())
    return text if len(text) <= MAX_BODY_SHOWN else text[: MAX_BODY_SHOWN - 1] + "…"
