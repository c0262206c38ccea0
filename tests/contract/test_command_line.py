"""What holds for every command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from curate.cli.app import app
from tests.conftest import Curate

HEAVY = (
    "alembic",
    "datasketch",
    "httpx",
    "jinja2",
    "label_studio_sdk",
    "numpy",
    "pandas",
    "pydantic",
    "pycrfsuite",
    "scipy",
    "spacy",
    "sqlalchemy",
    "trafilatura",
    "yaml",
)


def leaves(
    group: TyperGroup, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


ROOT = typer.main.get_command(app)
assert isinstance(ROOT, TyperGroup)
COMMANDS = dict(leaves(ROOT))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(path: tuple[str, ...], curate: Curate) -> None:
    result = curate(*path, "--help")
    assert result.code == 0
    assert "Example: curate" in result.out
    assert COMMANDS[path].help


def test_the_help_imports_nothing_heavy() -> None:
    """`curate --help` must answer at once: the libraries wait inside the functions."""
    code = (
        "import sys, curate.cli.app\n"
        f"print(*sorted(set({HEAVY!r}) & {{m.split('.')[0] for m in sys.modules}}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


@pytest.mark.parametrize("arguments", [["--nonsense"], ["nonsense"], ["ingest"], ["schema", "x"]])
def test_a_wrong_call_is_2(arguments: list[str], curate: Curate) -> None:
    assert curate(*arguments).code == 2


def test_the_version_is_printed(curate: Curate) -> None:
    result = curate("--version")
    assert result.code == 0
    assert result.out.startswith("curate 0.")


@pytest.mark.parametrize("path", [("ingest", "x.txt"), ("status",), ("gold", "list"), ("push",)])
def test_outside_a_workspace_one_sentence_says_what_to_do(
    path: tuple[str, ...], curate: Curate
) -> None:
    result = curate(*path)
    assert result.code == 3
    assert "curate init" in result.err
    assert result.err.count("\n") == 1
