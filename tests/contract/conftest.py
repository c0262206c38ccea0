"""The command line, called in process as a user would call it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from curate.cli.app import run


@dataclass(frozen=True)
class Result:
    """What a command left: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Curate = Callable[..., Result]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine reaches a test, and no test stands in a workspace by chance."""
    for name in (
        "LABEL_STUDIO_URL",
        "LABEL_STUDIO_API_KEY",
        "CURATE_DATABASE_URL",
        "CURATE_WORKSPACE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def curate(capsys: pytest.CaptureFixture[str]) -> Curate:
    """Run one command line; never a traceback."""

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert code != 70, captured.err
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def workspace(curate: Curate, tmp_path: Path) -> Path:
    """A fresh workspace with the sahel schema."""
    folder = tmp_path / "ws"
    assert curate("init", folder).code == 0
    return folder
