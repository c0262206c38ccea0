"""How a flow narrates: steps, warnings and progress, without knowing the terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol


class Advance(Protocol):
    """Moves a progress bar on."""

    def __call__(self, count: int = 1) -> None: ...


class Reporter(Protocol):
    """What a flow may say while it works."""

    def step(self, message: str) -> None:
        """A line of narration."""

    def warn(self, message: str) -> None:
        """Something the user should know, though the work goes on."""

    def progress(
        self, what: str, total: int | None = None
    ) -> contextlib.AbstractContextManager[Advance]:
        """A progress bar for work of ``total`` units (None where unknown)."""


class Silent:
    """A reporter that says nothing; it keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def step(self, message: str) -> None:
        """Nothing is said."""

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    @contextlib.contextmanager
    def progress(self, what: str, total: int | None = None) -> Iterator[Advance]:
        yield lambda count=1: None
