"""Contract tests call the command line in process, as a user would call it."""

from __future__ import annotations

from tests.conftest import Curate, Result

__all__ = ["Curate", "Result"]
