"""Label Studio's tokens: legacy ones, and personal access tokens with their short-lived access.

A personal access token is a refresh JWT: it is exchanged at ``/api/token/refresh/`` for an
access token that lives 300 s.  A legacy token is 40 hex digits and is sent as it is.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from curate.errors import AuthenticationError

LEEWAY_SECONDS = 60.0
"""An access token is replaced this long before it ends (or at half its life, if that is later)."""


class TokenKind(StrEnum):
    LEGACY = "legacy"
    REFRESH = "personal access token"
    ACCESS = "access token"


_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+\Z")
_LEGACY = re.compile(r"[\w-]{6,255}\Z", re.ASCII)


def kind_of(token: str) -> TokenKind:
    """The kind of token, by its shape.  Raises AuthenticationError for what is none."""
    if not token.strip():
        raise AuthenticationError(
            "there is no Label Studio token; set LABEL_STUDIO_API_KEY, or start the workspace's "
            "own with `curate studio up`"
        )
    if _JWT.match(token):
        payload = claims(token)
        return TokenKind.ACCESS if payload.get("token_type") == "access" else TokenKind.REFRESH
    if _LEGACY.match(token):
        return TokenKind.LEGACY
    raise AuthenticationError(
        "the Label Studio token has neither the shape of a personal access token nor of a legacy "
        "token; copy it again from Account & Settings into LABEL_STUDIO_API_KEY"
    )


def claims(token: str) -> dict[str, Any]:
    """The payload of a JWT, unverified; empty where it cannot be read."""
    try:
        part = token.split(".")[1]
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error, IndexError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


class Credentials:
    """Holds a token and says which Authorization header to send; never shows itself.

    ``refresh`` exchanges the refresh token for an access token (a request).  Safe to share
    between threads.
    """

    def __init__(
        self,
        token: str,
        refresh: Callable[[str], str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._token = token.strip()
        self.kind = kind_of(self._token)
        self._refresh = refresh
        self._clock = clock
        self._access = ""
        self._renew_at = 0.0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Credentials({self.kind})"

    def secrets(self) -> tuple[str, ...]:
        return (self._token, self._access)

    def header(self) -> str:
        """The value of the Authorization header; refreshes where that is due."""
        if self.kind is TokenKind.LEGACY:
            return f"Token {self._token}"
        if self.kind is TokenKind.ACCESS:
            return f"Bearer {self._token}"
        with self._lock:
            if not self._access or self._clock() >= self._renew_at:
                self._access = self._refresh(self._token)
                self._renew_at = self._clock() + _usable_seconds(self._access)
            return f"Bearer {self._access}"

    def renew(self, refused: str) -> bool:
        """After a 401 to the header ``refused``: whether another attempt has a chance."""
        if self.kind is not TokenKind.REFRESH:
            return False
        with self._lock:
            if refused == f"Bearer {self._access}":
                self._access = ""
        return True


def _usable_seconds(access: str) -> float:
    # issue and expiry come from one clock, the server's; only their difference is used here
    payload = claims(access)
    expires, issued = payload.get("exp"), payload.get("iat")
    if not isinstance(expires, int | float) or not isinstance(issued, int | float):
        return 120.0
    life = max(0.0, float(expires) - float(issued))
    return max(life - LEEWAY_SECONDS, life / 2)
