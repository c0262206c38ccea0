"""Nothing of others' words is obeyed by a terminal, or read as rich's markup."""

from __future__ import annotations

import ast
import io
import json
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

import curate.cli
from curate.cli import terminal
from curate.cli.boundary import guarded
from curate.cli.common import TerminalReporter, emit
from curate.errors import DataError

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
EVIL = [
    "\x1b]0;owned\x07",  # sets the window's title
    "\x1b]52;c;cm0gLXJm\x07",  # writes the clipboard
    "\x1b]8;;http://evil.example\x1b\\safe\x1b]8;;\x1b\\",  # a link under other words
    "\x1b[2J\x1b[1;1H",  # clears the screen
    "\x9b31m",  # the same in one character of C1
    "a\rOK",  # over what stands there
    "a\b\b\b",
    "\u202egro.live\u202c",  # turned round
    "\u2066x\u2069",
    "a\u2028b",
    "\U000e0041",
]
MARKUP = ["[red]x[/red]", "[link=http://evil.example]x[/link]", "[/]", ":boom:", "\\[bold]x"]


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def screen(monkeypatch: pytest.MonkeyPatch, name: str = "stdout") -> Screen:
    shown = Screen()
    monkeypatch.setattr(sys, name, shown)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return shown


def without_own_colours(shown: str) -> str:
    """What was shown, less the colours and cursor movements that curate itself asks for."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", shown)


@pytest.mark.parametrize("evil", EVIL)
def test_no_string_cell_title_text_or_header_is_obeyed(
    evil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However a command hands it to the console, it comes out as plain characters."""
    shown = screen(monkeypatch)
    console = terminal.console()
    console.print(f"a{evil}b")
    console.print(Text("a") + Text(f"{evil}", "red"))
    table = Table(f"h{evil}", title=f"t{evil}", caption=f"c{evil}")
    table.add_row(f"s{evil}")
    table.add_row(Text(f"x{evil}"))
    console.print(table)
    console.print(f"p{evil}", markup=True)
    assert "owned" in shown.getvalue() or "owned" not in evil
    assert not OBEYED.search(without_own_colours(shown.getvalue()))
    assert "\x1b]" not in shown.getvalue()
    assert "\x1b[2J" not in shown.getvalue()


@pytest.mark.parametrize("markup", MARKUP)
def test_markup_in_a_name_is_shown_as_it_is(markup: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A label called [red] is called [red]."""
    shown = screen(monkeypatch)
    console = terminal.console()
    table = Table(markup, title=markup)
    table.add_row(markup)
    console.print(table)
    console.print(markup, markup=True)
    assert without_own_colours(shown.getvalue()).count(markup) == 4
    assert "\x1b]8" not in shown.getvalue()


def test_a_table_keeps_its_shape_around_what_was_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The width is measured after the escaping: no cell is cut, no border moved."""
    shown = screen(monkeypatch)
    table = Table("name", "number")
    table.add_row("\x1b[31mx", "1")
    table.add_row("y", "2")
    terminal.console().print(table)
    lines = without_own_colours(shown.getvalue()).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert any("\\x1b[31mx" in line for line in lines)


@pytest.mark.parametrize("evil", [*EVIL, "a\nwarning: b", *MARKUP])
def test_narration_warnings_and_progress_are_one_harmless_line(
    evil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model's or a file's name cannot forge a line of its own."""
    shown = screen(monkeypatch, "stderr")
    reporter = TerminalReporter()
    reporter.step(f"reading {evil}")
    reporter.warn(f"odd {evil}")
    told = without_own_colours(shown.getvalue())
    assert told.count("\n") == 2
    assert not OBEYED.search(told)
    with reporter.progress(f"importing {evil}", total=2) as advance:
        advance()
    drawn = without_own_colours(shown.getvalue())
    assert not OBEYED.search(drawn)
    if evil in MARKUP:
        assert f"importing {evil}" in drawn


@pytest.mark.parametrize("evil", [*EVIL, "a\ncurate: all is well"])
def test_an_error_is_one_harmless_line(evil: str, capsys: pytest.CaptureFixture[str]) -> None:
    """File names and ids stand in errors."""

    def run() -> int:
        raise DataError(f"document {evil} is odd", path=f"f{evil}")

    guarded(run)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert not OBEYED.search(said)


def test_what_french_needs_is_left_alone() -> None:
    """No-break spaces, accents, joined emoji, line feeds."""
    plain = "«\u00a0Où\u202f? » l’été\n\t👩\u200d🌾 e\u0301 العربية"
    assert terminal.printable(plain) == plain


@given(st.text(st.characters(codec="utf-8")))
def test_json_says_the_same_after_it_was_made_safe(text: str) -> None:
    """What is escaped in JSON is escaped as JSON does: a reader sees no difference."""
    raw = json.dumps({text: [text]}, ensure_ascii=False)
    safe = terminal.json_safe(raw)
    assert json.loads(safe) == json.loads(raw)
    assert not OBEYED.search(safe)


def test_json_on_a_screen_is_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    """C1 controls and bidirectional ones are not escaped by json.dumps."""
    emit({"text": "\x9b31m\u202e\x7f\U000e0041\ud800"}, True, lambda _: None)
    said = capsys.readouterr().out
    assert not OBEYED.search(said)
    assert json.loads(said)["text"] == "\x9b31m\u202e\x7f\U000e0041\ud800"


def test_a_mistyped_command_is_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    """`curate *` may hand over a file's name as a command or option."""
    from curate.cli.app import run

    for words in (["\x1b]0;x\x07\n"], ["gold", "\x1b]0;x\x07"], ["ingest", "--\x9bx\n\n"]):
        assert run(words) == 2
        assert not OBEYED.search(capsys.readouterr().err)


def test_every_command_prints_through_the_one_place() -> None:
    """No module of the command line makes a console of its own, prints, or escapes by itself."""
    folder = Path(curate.cli.__file__).parent
    for path in sorted(folder.glob("*.py")):
        if path.name == "terminal.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in (
                    "Console",
                    "rich.print",
                    "print",
                    "escape",
                    "Text.from_markup",
                ), f"{path.name}:{node.lineno} calls {called}; use curate.cli.terminal"
