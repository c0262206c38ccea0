"""A model behind HTTP as an extractor.

Request: ``POST URL`` with ``{"documents": [{"id": "…", "text": "…"}, …]}``.  Answer: status 200 and
``{"annotations": [{"id": "…", "entities": [{"id", "start", "end", "label", "score"?}], "relations":
[{"head", "tail", "label", "score"?}]}, …]}``, one for each document, offsets in code points.
``GET URL`` may answer ``{"name": …, "version": …, "digest": …}``; the digest is what tells a new
model from an old one.

An answer is bounded (``MAX_ANSWER_BYTES``, unpacked) and must be strict JSON; a redirect is not
followed: the texts go to the address that the user named and to no other.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from curate.errors import (
    AuthenticationError,
    RejectedError,
    RemoteError,
    ServerFaultError,
    UnreachableError,
)
from curate.extractors.function import from_record
from curate.model import Annotation, Document, Source

MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_NAME = 200
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Remote:
    """A remote model: batches of documents, a time-out for each request, retries with pauses.

    Raises UnreachableError, AuthenticationError, RejectedError or ServerFaultError after the last
    try; DataError for an answer that is not in the form of this module.
    """

    url: str
    batch: int = 16
    timeout: float = 60.0
    retries: int = 3
    pause: float = 0.5
    transport: Any = None
    """An httpx transport, for tests."""

    @cached_property
    def _about(self) -> dict[str, Any]:
        try:
            answer = self._send("GET", None)
        except (RejectedError, ServerFaultError):
            return {}
        return answer if isinstance(answer, dict) else {}

    def _told(self, key: str) -> str:
        """What the endpoint says of itself: a short text without controls, or nothing."""
        told = self._about.get(key)
        told = str(told) if isinstance(told, str | int | float) else ""
        return told if len(told) <= MAX_NAME and told.isprintable() else ""

    @property
    def _place(self) -> str:
        """Host and path: a URL may hold a secret before its ``@`` or behind its ``?``."""
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.hostname or ''}{port}{parts.path.rstrip('/')}"

    @property
    def name(self) -> str:
        return self._told("name") or self._place

    @property
    def version(self) -> str:
        return self._told("version")

    @property
    def digest(self) -> str:
        return (
            self._told("digest")
            or hashlib.sha256(f"{self._place}\0{self.name}\0{self.version}".encode()).hexdigest()
        )

    def extract(self, documents: Iterable[Document]) -> Iterator[Annotation]:
        source = Source.model(self.name, self.version, self.digest)
        batch: list[Document] = []
        for document in documents:
            batch.append(document)
            if len(batch) >= self.batch:
                yield from self._ask(batch, source)
                batch = []
        if batch:
            yield from self._ask(batch, source)

    def _ask(self, batch: list[Document], source: Source) -> Iterator[Annotation]:
        answer = self._send("POST", {"documents": [{"id": d.id, "text": d.text} for d in batch]})
        rows = answer.get("annotations") if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            raise ServerFaultError(f"{self._place} answered without a list of 'annotations'")
        asked = {document.id: document for document in batch}
        for row in rows:
            yield from_record(row, asked, source)

    def _send(self, method: str, body: Any) -> Any:
        import httpx

        last: RemoteError | None = None
        with httpx.Client(timeout=self.timeout, transport=self.transport) as client:
            for attempt in range(self.retries + 1):
                if attempt:
                    time.sleep(self.pause * 2 ** (attempt - 1))
                try:
                    with client.stream(method, self.url, json=body) as response:
                        status = response.status_code
                        if status == 200:
                            return self._parsed(response)
                except httpx.TimeoutException:
                    last = UnreachableError(
                        f"{self._place} did not answer within {self.timeout:g} s"
                    )
                    continue
                except (ValueError, RecursionError):
                    last = ServerFaultError(f"{self._place} answered with something not JSON")
                    continue
                except (httpx.HTTPError, httpx.InvalidURL):
                    last = UnreachableError(f"{self._place} cannot be reached; is it running?")
                    continue
                last = self._failure(status)
                if status not in _TRY_AGAIN:
                    break
        assert last is not None
        raise last from None

    def _parsed(self, response: Any) -> Any:
        """The answer's JSON.  Raises RejectedError for one too long, ValueError for none."""
        deadline = time.monotonic() + 2 * self.timeout
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                raise RejectedError(
                    f"{self._place} answered with more than {MAX_ANSWER_BYTES >> 20} MB; nothing "
                    "of it was taken"
                )
            if time.monotonic() > deadline:
                raise UnreachableError(
                    f"{self._place} did not end its answer within {2 * self.timeout:g} s"
                )
        return json.loads(body, parse_constant=_no_constant)

    def _failure(self, status: int) -> RemoteError:
        if status in (401, 403):
            return AuthenticationError(f"{self._place} refused access (status {status})")
        if 300 <= status < 400:
            return RejectedError(
                f"{self._place} redirects elsewhere (status {status}), which is not followed; "
                "name the address it really has",
                status=status,
            )
        if status >= 500:
            return ServerFaultError(f"{self._place} failed (status {status})", status=status)
        return RejectedError(f"{self._place} refused the request (status {status})", status=status)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
