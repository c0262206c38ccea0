"""One sentence and an exit code, whatever goes wrong."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from curate import errors
from curate.cli.boundary import guarded

EXPECTED = {
    "FindingsError": 1,
    "UsageError": 2,
    "DataError": 3,
    "ConfigurationError": 3,
    "WorkspaceError": 3,
    "LockedError": 3,
    "DiskError": 3,
    "RemoteError": 4,
    "UnreachableError": 4,
    "AuthenticationError": 4,
    "RejectedError": 4,
    "ServerFaultError": 4,
}


def subclasses(kind: type[BaseException]) -> list[type[BaseException]]:
    found = []
    for child in kind.__subclasses__():
        found += [child, *subclasses(child)]
    return found


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """Every error class stands in the drawing with its exit code, and no other does."""
    drawn = dict(re.findall(r"(\w+Error)\s+(?:exit code|(\d+))", errors.__doc__ or ""))
    drawn.pop("CurateError")
    own = {
        k.__name__: str(k.exit_code)
        for k in subclasses(errors.CurateError)
        if k.__module__ == "curate.errors"
    }  # type: ignore[attr-defined]
    assert drawn == own == {name: str(code) for name, code in EXPECTED.items()}


@pytest.mark.parametrize(("name", "code"), EXPECTED.items())
def test_a_known_error_is_its_message_and_code(
    name: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> int:
        raise getattr(errors, name)("what happened; what to do")

    assert guarded(run) == code
    assert capsys.readouterr().err == "curate: what happened; what to do\n"


def test_an_interrupt_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    def run() -> int:
        raise KeyboardInterrupt

    assert guarded(run) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_full_disk_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    def run() -> int:
        raise OSError(errno.ENOSPC, "No space left on device", "x/y")

    assert guarded(run) == 3
    assert capsys.readouterr().err.startswith("curate: x/y: the disk is full")


def test_a_bug_is_70_with_a_log_that_holds_no_message(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The traceback's places go to a file; the exception's text, maybe a secret, goes nowhere."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def run() -> int:
        raise RuntimeError("ge" + "heim")

    assert guarded(run) == 70
    said = capsys.readouterr().err
    logs = list(tmp_path.glob("curate-*.log"))
    assert len(logs) == 1
    assert str(logs[0]) in said
    text = logs[0].read_text()
    assert "RuntimeError" in text
    assert "geheim" not in said + text.replace('sessionid=geheim")', "")


def test_control_characters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    def run() -> int:
        raise errors.DataError("document '\x1b[2J'")

    guarded(run)
    assert (
        capsys.readouterr().err
        == "curate: document '\\x1b[2J'; mend that and run the command again\n"
    )
