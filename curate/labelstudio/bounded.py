"""Pages of a server that may be anybody's, read up to a bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from curate.errors import RejectedError

if TYPE_CHECKING:
    import httpx

MAX_PAGE_BYTES = 8 * 1024 * 1024
HEADERS = {"Accept-Encoding": "identity"}
"""Nothing packed is asked for, so that the bound is that of what we hold."""


def bound(response: httpx.Response) -> None:
    """A hook for responses: reading more than ``MAX_PAGE_BYTES`` raises RejectedError."""
    import httpx

    class Counted(httpx.SyncByteStream):
        def __init__(self, inner: httpx.SyncByteStream) -> None:
            self.inner = inner

        def __iter__(self) -> Iterator[bytes]:
            left = MAX_PAGE_BYTES
            for piece in self.inner:
                left -= len(piece)
                if left < 0:
                    raise RejectedError(
                        f"the server answered with a page of more than {MAX_PAGE_BYTES >> 20} MB; "
                        "is it a Label Studio?",
                        status=response.status_code,
                    )
                yield piece

        def close(self) -> None:
            self.inner.close()

    if isinstance(response.stream, httpx.SyncByteStream):
        response.headers.pop("content-encoding", None)
        response.stream = Counted(response.stream)
