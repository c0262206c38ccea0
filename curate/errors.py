"""Every error a user of curate can meet, grouped by what the caller can do about it.

::

    CurateError                     exit code
    ├── FindingsError               1    a gate failed, or a check found something
    ├── UsageError                  2    the command was called wrongly
    ├── DataError                   3    an input is wrong; names file and line
    │   ├── ConfigurationError      3    curate.toml, the environment or the schema is wrong
    │   ├── WorkspaceError          3    there is no usable workspace or store here
    │   │   └── LockedError         3    somebody else holds the workspace's lock
    │   └── DiskError               3    a file or the disk refused to be read or written
    └── RemoteError                 4    Label Studio or the network
        ├── UnreachableError        4    no answer at all; trying later may help
        ├── AuthenticationError     4    the token is wrong, expired or not allowed
        ├── RejectedError           4    the server refused; trying again will not help
        └── ServerFaultError        4    the server failed (5xx, cut answer); trying later may help

A message says what happened, to what, and what to do.  No library's exception, header or
token may ever be part of it.
"""

from __future__ import annotations

from pathlib import Path

LONGEST = 1_000
"""Characters of a DataError's message: what is quoted in it may be a megabyte."""


class CurateError(Exception):
    """Root of the errors that are reported to a user in one sentence."""

    exit_code = 70


class FindingsError(CurateError):
    """The command ran, and what it found must fail a pipeline."""

    exit_code = 1


class UsageError(CurateError):
    """The command was called wrongly."""

    exit_code = 2


class DataError(CurateError):
    """An input is wrong.

    ``path`` and ``line`` (1-based) say where; both are part of ``str(error)``.
    """

    exit_code = 3

    def __init__(
        self, message: str, *, path: Path | str | None = None, line: int | None = None
    ) -> None:
        if len(message) > LONGEST:
            message = f"{message[: LONGEST // 2]} … {message[-LONGEST // 4 :]}"
        self.message = message
        self.path = path
        self.line = line
        super().__init__(self._place() + message)

    def _place(self) -> str:
        if self.path is None:
            return "" if self.line is None else f"line {self.line}: "
        return f"{self.path}: " if self.line is None else f"{self.path}:{self.line}: "

    def at(self, path: Path | str, line: int | None = None) -> DataError:
        """The same error with the place filled in where it was unknown."""
        if self.path is not None:
            return self
        return type(self)(self.message, path=path, line=self.line if line is None else line)


class ConfigurationError(DataError):
    """curate.toml, the environment or the schema is wrong."""


class WorkspaceError(DataError):
    """There is no usable workspace or store here."""


class LockedError(WorkspaceError):
    """Another process holds the workspace's lock."""


class DiskError(DataError):
    """A file or the disk refused to be read or written."""


class RemoteError(CurateError):
    """Label Studio or the network failed."""

    exit_code = 4


class UnreachableError(RemoteError):
    """No answer at all; trying later may help."""


class AuthenticationError(RemoteError):
    """The token is wrong, expired, or not allowed to do this."""


class RejectedError(RemoteError):
    """The server understood and refused; ``status`` is the HTTP status."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class ServerFaultError(RemoteError):
    """The server failed (5xx, truncated answer); trying later may help."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)
