"""curate demo: the whole loop on the sample corpus, by the commands a user would type."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli.common import Context, JsonOption, TerminalReporter, context_of, emit, show
from curate.errors import ConfigurationError, CurateError

if TYPE_CHECKING:
    from rich.console import Console

PEOPLE = ("annotator-a@example.org", "annotator-b@example.org")
FILES = ("annotator_a.jsonl", "annotator_b.jsonl")
DECISIONS = "decisions.jsonl"


class StepError(CurateError):
    """A command of the demo failed; it has said why itself."""

    def __init__(self, code: int, command: str) -> None:
        self.exit_code = code
        super().__init__(f"the demo stopped at `{command}`; mend that, then run it again")


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: curate demo my-demo")(demo)


def demo(
    ctx: typer.Context,
    directory: Annotated[
        Path, typer.Argument(help="The workspace to make or go on with.", metavar="[DIR]")
    ] = Path("curate-demo"),
    stop: Annotated[
        bool, typer.Option("--stop", help="Stop Label Studio at the end; default: leave it up.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the whole loop on the sample corpus.

    It has a Label Studio of its own. Documents are ingested, pre-annotated and pushed; two
    annotators' recorded annotations are entered as two Label Studio users; they are pulled and
    compared; where the two differ a curator's recorded decisions are entered in the review project;
    gold 1.0.0 is built, and on it a model is trained and measured against the bootstrap extractor.
    Running it again goes on where it stopped and repeats nothing.
    """
    started = time.monotonic()
    result = _Demo(directory.absolute(), context_of(ctx)).run()
    result["seconds"] = round(time.monotonic() - started, 1)
    if stop:
        _Demo(directory.absolute(), context_of(ctx)).curate("studio", "down")
    emit(result, as_json, lambda console: _tell(console, result))


class _Demo:
    def __init__(self, workspace: Path, outer: Context) -> None:
        environment = outer.environment
        if environment.label_studio_url or environment.curate_database_url.get_secret_value():
            raise ConfigurationError(
                "the demo uses a Label Studio and a store of its own; unset LABEL_STUDIO_URL and "
                "CURATE_DATABASE_URL, and run it again"
            )
        self.workspace = workspace
        self.reporter = TerminalReporter()

    def run(self) -> dict[str, Any]:
        from curate.resources import resource

        sample = resource("examples/sahel")
        self._init()
        studio = self.curate("studio", "up")
        ingested = self.curate("ingest", str(sample / "dispatches.jsonl"), str(sample / "pages"))
        guessed = self.curate("preannotate", "--model", "bootstrap")
        pushed = self.curate("push", "--overlap", "2")
        entered = self._annotate(sample)
        pulled = self.curate("pull")
        agreement = self.curate("agreement")
        queued = self.curate("review", "push")
        decided = self._decide(sample)
        self.curate("review", "pull")
        gold = self.curate("gold", "build")
        trained = self.curate("train", "--gold", "latest")
        self.curate("gold", "verify")
        names = {"bootstrap": "bootstrap", "trained": _reference(trained)}
        scores = {
            role: self.curate("evaluate", name, "--gold", "latest", "--split", "test")
            for role, name in names.items()
        }
        return {
            "workspace": str(self.workspace),
            "studio": studio,
            "ingested": ingested,
            "preannotated": guessed,
            "pushed": pushed,
            "entered": entered,
            "pulled": pulled,
            "agreement": agreement,
            "queued": queued,
            "decided": decided,
            "gold": gold,
            "trained": trained,
            "models": names,
            "scores": scores,
        }

    def curate(self, *arguments: str) -> Any:
        """Run one command line in the demo's workspace and return what it prints as JSON."""
        from curate.cli.app import run

        line = shlex.join(["curate", *arguments])
        self.reporter.step(f"$ {line}")
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = run(["-w", str(self.workspace), *arguments, "--json"])
        if code != 0:
            raise StepError(code, line)
        return json.loads(out.getvalue())

    def _init(self) -> None:
        from curate.flows.init import Choices, init
        from curate.resources import default_schema
        from curate.store.engine import sqlite_url

        schema = default_schema()
        self.reporter.step(f"$ curate init {shlex.quote(str(self.workspace))}")
        init(
            self.workspace,
            schema,
            sqlite_url(self.workspace / ".curate" / "store.db"),
            Choices("sahel", "fr", "curate sahel"),
            [schema.with_name("guidelines.md")],
        )

    def _annotate(self, sample: Path) -> dict[str, int]:
        from curate.flows.annotators import read_password
        from curate.flows.demo import Person, enter_recorded

        entered: dict[str, int] = {}
        for email, file in zip(PEOPLE, FILES, strict=True):
            secret = self._password_file(email)
            self.curate("annotators", "invite", email, "--password-file", str(secret))
            inner = Context(self.workspace)
            try:
                with inner.label_studio() as client:
                    self.reporter.step(f"# {email} annotates in Label Studio")
                    entered[email] = enter_recorded(
                        Person(email, read_password(secret), sample / file),
                        inner.store,
                        client,
                        inner.schema,
                        inner.settings.studio.project,
                        self.reporter,
                    )
            finally:
                inner.close()
        return entered

    def _decide(self, sample: Path) -> int:
        from curate.flows.demo import enter_decisions

        inner = Context(self.workspace)
        try:
            with inner.label_studio() as client:
                self.reporter.step("# a curator decides in Label Studio")
                return enter_decisions(
                    sample / DECISIONS,
                    inner.store,
                    client,
                    inner.schema,
                    inner.settings.studio.project,
                    self.reporter,
                )
        finally:
            inner.close()

    def _password_file(self, email: str) -> Path:
        from curate.labelstudio.files import write_private
        from curate.labelstudio.people import new_password

        path = self.workspace / ".curate" / f"demo-{email.split('@')[0]}.password"
        if not path.exists():
            write_private(path, f"{new_password()}\n".encode())
        return path


def _reference(trained: Any) -> str:
    return str(
        trained["model"]["reference"] if isinstance(trained["model"], dict) else trained["model"]
    )


def _tell(console: Console, result: dict[str, Any]) -> None:
    from rich.table import Table

    gold, agreement, studio = result["gold"], result["agreement"], result["studio"]
    pulled, pushed, ingested = result["pulled"], result["pushed"], result["ingested"]
    facts = [
        ("documents", f"{ingested['read']} read, {ingested['added']} new"),
        ("pushed", f"{pushed['pushed']} new tasks with predictions of bootstrap"),
        ("entered", f"{sum(result['entered'].values())} new annotations by 2 annotators"),
        (
            "pulled",
            f"{pulled['received']} received = {pulled['stored']} stored + "
            f"{pulled['unchanged']} unchanged + {pulled['quarantined']} quarantined",
        ),
        (
            "agreement",
            f"F1 {show(agreement['entities']['f1'])} on entities, "
            f"{show(agreement['relations']['f1'])} on relations",
        ),
        (
            "decided",
            f"{result['decided']} new decisions by a curator in the review project; on the other "
            "documents both agree",
        ),
        (
            "gold",
            f"{gold['version']}: {gold['documents']} documents, {gold['entities']} entities, "
            f"{gold['relations']} relations",
        ),
    ]
    for name, said in facts:
        console.print(f"{name:>10}  {said}", markup=False)
    scores = result["scores"]
    documents = scores["trained"]["documents"]
    table = Table(
        title=f"Strict F1 on the test split of gold {gold['version']} ({documents} documents)"
    )
    for heading in ("model", "entities", "95 % interval", "relations", "95 % interval"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for role, name in result["models"].items():
        cells = [f"{role} ({name})" if role != name else role]
        for part in ("entities", "relations"):
            strict = scores[role][part]["strict"]
            cells += [show(strict["f1"]), _interval(strict["ci"])]
        table.add_row(*cells)
    console.print(table)
    console.print(
        "The bootstrap rules were written by people who had read these texts: their score "
        "flatters them."
    )
    here = _shown(Path(result["workspace"]))
    for line in (
        f"Label Studio:  {studio['url']}   user {studio['username']}",
        f"password:      in {_shown(Path(studio['credentials']))}",
        f"annotators:    {', '.join(PEOPLE)} (passwords in {here}/.curate)",
        f"release:       {here}/gold/sahel/{gold['version']}",
        f"go on with:    {_called()} -w {shlex.quote(here)} status",
        f"stop it with:  {_called()} -w {shlex.quote(here)} studio down",
    ):
        console.print(line, markup=False, soft_wrap=True)


def _called() -> str:
    """How this shell can call curate again: `make` runs it from a place that is not on the PATH."""
    here = Path(sys.argv[0])
    found = shutil.which("curate")
    if here.name != "curate" or (found is not None and Path(found).samefile(here)):
        return "curate"
    return shlex.quote(_shown(here.absolute()))


def _shown(path: Path) -> str:
    """The path as seen from here, where it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _interval(bounds: Any) -> str:
    return "n/a" if bounds is None or None in bounds else f"{bounds[0]:.2f}–{bounds[1]:.2f}"
