"""What every command shares: the workspace it stands in, how it talks, how it reports."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli import terminal

if TYPE_CHECKING:
    from rich.console import Console

    from curate.flows.reporter import Advance
    from curate.labelstudio.client import LabelStudio, Retry
    from curate.schema import LabelSchema
    from curate.settings import Environment, Settings
    from curate.store import Store

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON on standard output.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
]


@dataclass
class Context:
    """What the command line said before the command: where we stand."""

    workspace_option: Path | None = None
    _opened: list[Any] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    """What has been said already and need not be said again."""

    @cached_property
    def environment(self) -> Environment:
        from curate.settings import Environment

        return Environment()

    @cached_property
    def workspace(self) -> Path:
        """The workspace's folder.  Raises WorkspaceError where there is none."""
        from curate.errors import WorkspaceError
        from curate.settings import FILE, find_workspace

        named = self.workspace_option or (
            Path(self.environment.curate_workspace) if self.environment.curate_workspace else None
        )
        if named is None:
            return find_workspace(Path.cwd())
        if not (named / FILE).is_file():
            raise WorkspaceError(
                f"there is no {FILE} in this folder; run `curate init {named}`", path=named
            )
        return whole(named)

    @property
    def has_workspace(self) -> bool:
        from curate.errors import WorkspaceError

        try:
            return bool(self.workspace)
        except WorkspaceError:
            if self.workspace_option is not None:
                raise
            return False

    @cached_property
    def settings(self) -> Settings:
        from curate.settings import read_settings

        return read_settings(self.workspace)

    @cached_property
    def schema(self) -> LabelSchema:
        """The workspace's schema."""
        from curate.schema import read_schema

        return read_schema(self.workspace / self.settings.corpus.schema_file)

    @property
    def state(self) -> Path:
        """The folder for everything that is not for people: ``.curate/``."""
        return self.workspace / ".curate"

    @property
    def gold(self) -> Path:
        """The folder of this corpus's releases."""
        return self.workspace / "gold" / self.settings.corpus.name

    @property
    def models(self) -> Path:
        return self.workspace / "models"

    def judge(self, reference: str | None, said: str | None = None) -> str:
        """The model that judges what ``reference`` finds, as said with the command or set in
        curate.toml; empty: none."""
        from curate.extractors.registry import judge_named

        setting, toml = self.settings.models.judge, self.workspace / "curate.toml"
        return judge_named(said, setting, self.models, toml, reference)

    @property
    def gazetteers(self) -> Path:
        """The folder of the user's lists of names, beside the schema."""
        return (self.workspace / self.settings.corpus.schema_file).parent / "gazetteers"

    @property
    def database_url(self) -> str:
        """CURATE_DATABASE_URL, or SQLite in the workspace."""
        from curate.store.engine import sqlite_url

        named = self.environment.curate_database_url.get_secret_value()
        return named or sqlite_url(self.state / "store.db")

    @cached_property
    def store(self) -> Store:
        """The open store.  Raises WorkspaceError where it is missing or at another version."""
        from curate.errors import WorkspaceError
        from curate.store import Store

        if not self.environment.curate_database_url.get_secret_value():
            path = self.state / "store.db"
            if not path.is_file():
                raise WorkspaceError(
                    "the workspace has no store; run `curate db upgrade`", path=path
                )
        store = Store.open(self.database_url)
        self._opened.append(store)
        return store

    def raw_texts(self) -> list[str]:
        """The texts of the store, where there is one: word clusters are learned from them."""
        named = self.environment.curate_database_url.get_secret_value()
        if not named and not (self.state / "store.db").is_file():
            return []
        with self.store.read() as unit:
            return [document.text for document in unit.documents.all()]

    def label_studio_address(self) -> tuple[str, str]:
        """``(url, token)``: from the environment, else of the workspace's running studio.

        Raises ConfigurationError for a URL without a token, UnreachableError where there is no
        Label Studio to speak to.
        """
        from curate.errors import ConfigurationError, UnreachableError
        from curate.labelstudio.server import EmbeddedStudio

        url = self.environment.label_studio_url
        token = self.environment.label_studio_api_key.get_secret_value()
        if url:
            if not token:
                raise ConfigurationError(
                    "LABEL_STUDIO_URL is set, LABEL_STUDIO_API_KEY is not; set it to an access "
                    "token of that Label Studio (Account & Settings → Personal Access Token)"
                )
            return url, token
        found = EmbeddedStudio(self.state / "studio").access()
        if found is None:
            raise UnreachableError(
                "no Label Studio: LABEL_STUDIO_URL is not set and the workspace's own is not "
                "running; run `curate studio up`"
            )
        return found

    @property
    def speaks_to_own_studio(self) -> bool:
        """Whether commands speak to the Label Studio that `studio up` started."""
        return not self.environment.label_studio_url

    def label_studio(self) -> LabelStudio:
        """A client of the Label Studio this workspace speaks to."""
        from curate.labelstudio.client import LabelStudio

        url, token = self.label_studio_address()
        return LabelStudio(url, token, on_retry=_say_retry)

    def close(self) -> None:
        while self._opened:
            self._opened.pop().close()


def _say_retry(retry: Retry) -> None:
    TerminalReporter().warn(
        f"{retry.action}: {retry.reason}; attempt {retry.attempt + 1} in {retry.wait_seconds:.0f} s"
    )


def context_of(ctx: typer.Context) -> Context:
    """The Context that the main callback put there."""
    found = ctx.find_object(Context)
    assert found is not None
    return found


def stdout() -> Console:
    return terminal.console(soft_wrap=not sys.stdout.isatty())


def stderr() -> Console:
    return terminal.console(stderr=True)


def warn_of_no_card(reference: str | None, reporter: TerminalReporter) -> None:
    """Say of a pipeline that came without a card what nobody could check."""
    from curate.extractors.registry import without_card

    folder = without_card(reference)
    if folder is not None:
        reporter.warn(
            f"{folder} has no model card: it holds no pickle and names no foreign code, but no "
            "digest says that its files are whole; be sure whom you have it from"
        )


def whole(path: Path) -> Path:
    """The absolute path, as it is named; one through ``..`` as it is on disk."""
    return path.resolve() if ".." in path.parts else path.absolute()


def emit(data: Any, as_json: bool, table: Callable[[Console], None]) -> None:
    """Print the result: ``data`` as JSON, or what ``table`` draws."""
    if as_json:
        text = json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False, default=str)
        sys.stdout.write(terminal.json_safe(text) + "\n")
        sys.stdout.flush()
    else:
        table(stdout())


def show(value: float | None, digits: int = 3) -> str:
    """A number for people; an undefined one is n/a."""
    return "n/a" if value is None else f"{value:.{digits}f}"


class TerminalReporter:
    """Narration and progress on stderr; no progress bars into a pipe."""

    def __init__(self) -> None:
        self._console = stderr()

    def step(self, message: str) -> None:
        self._console.print(terminal.printable(message, one_line=True), soft_wrap=True)

    def warn(self, message: str) -> None:
        from rich.text import Text

        said = Text(terminal.printable(message, one_line=True))
        self._console.print(Text("warning: ", style="yellow") + said, soft_wrap=True)

    @contextlib.contextmanager
    def progress(self, what: str, total: int | None = None) -> Iterator[Advance]:
        if not self._console.is_terminal or os.environ.get("TERM") == "dumb":
            yield lambda count=1: None
            return
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        class Rate(TextColumn):
            def render(self, task: Any) -> Any:
                from rich.text import Text

                return Text("" if not task.speed else f"{task.speed:,.0f}/s", style="cyan")

        with Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            Rate(""),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        ) as bar:
            task = bar.add_task(terminal.printable(what, one_line=True), total=total)

            def advance(count: int = 1) -> None:
                bar.advance(task, count)

            yield advance
