"""Runs docs/tutorial.md: every command of it, and what it prints is put back into the page.

python -m tests.integration.tutorial        # writes the page anew
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
_SHELL = re.compile(r"```console\n(.*?)```", re.DOTALL)
_STEP = re.compile(r"<!-- test: (.*?) -->")
_PLAIN = (
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:8080"),
    (re.compile(r"\(process \d+\)"), "(process 4711)"),
    (re.compile(r"; about \d+(\.\d+)? (s|min|h) left\b"), ""),  # how long depends on the machine
    (re.compile(r"\b\d+(\.\d+)? (s|seconds)\b"), "… s"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00)?"), "2026-01-31 12:00"),
    (re.compile(r"\b[0-9a-f]{12,64}\b"), lambda match: match[0][:6] + "…"),
)


class Reader:
    """Somebody who follows the page in a folder of their own."""

    def __init__(self, home: Path) -> None:
        self.home = self.cwd = home
        hidden = ("LABEL_STUDIO_", "CURATE_", "DJANGO_", "POSTGRE_")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(hidden)} | {
            "COLUMNS": "96",
            "NO_COLOR": "1",
            "TERM": "dumb",
        }
        articles = home / "articles"
        articles.mkdir()
        for page in sorted((ROOT / "examples" / "sahel" / "pages").glob("0[1-9]-*.*")):
            if page.suffix != ".body":
                shutil.copy(page, articles)

    def follow(self, text: str) -> str:
        """The page with what its commands printed now."""
        parts = []
        at = 0
        pieces = sorted([*_SHELL.finditer(text), *_STEP.finditer(text)], key=lambda m: m.start())
        for piece in pieces:
            parts.append(text[at : piece.start()])
            at = piece.end()
            if piece[0].startswith("<!--"):
                self._steps()[piece[1]]()
                parts.append(piece[0])
                continue
            lines = [line for line in piece[1].splitlines() if line.startswith("$ ")]
            said = "".join(f"{line}\n{self.run(line[2:])}" for line in lines)
            parts.append(f"```console\n{said}```")
        return "".join((*parts, text[at:]))

    def run(self, line: str) -> str:
        words = shlex.split(line)
        if words[0] == "cd":
            self.cwd = self.cwd / words[1]
            return ""
        assert words[0] == "curate", line
        done = subprocess.run(
            [sys.executable, "-m", "curate", *words[1:]],
            cwd=self.cwd,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode in (0, 1), f"{line}\n{done.stdout}"
        assert "Traceback" not in done.stdout, done.stdout
        said = done.stdout.replace(str(self.home), "~")
        for pattern, plain in _PLAIN:
            said = pattern.sub(plain, said)
        return "\n".join(line.rstrip() for line in said.rstrip().splitlines()) + "\n" * bool(said)

    def _steps(self) -> dict[str, Callable[[], None]]:
        return {
            "annotate every task as recorded": self._annotate,
            "relabel one entity": self._relabel,
        }

    def _annotate(self) -> None:
        from curate.flows.demo import Person, enter_recorded
        from curate.flows.reporter import Silent
        from curate.interchange import read, write
        from curate.labelstudio.client import LabelStudio
        from curate.labelstudio.server import EmbeddedStudio
        from curate.schema import read_schema
        from curate.store import Store
        from curate.store.engine import sqlite_url

        state = self.cwd / ".curate"
        studio = EmbeddedStudio(state / "studio")
        access = studio.access()
        assert access is not None
        login = studio.login()
        schema = read_schema(self.cwd / "label_configs" / "sahel.yaml")
        with Store.open(sqlite_url(state / "store.db")) as store, LabelStudio(*access) as client:
            with store.read() as unit:
                here = set(unit.documents.ids())
            recorded = self.home / "recorded.jsonl"
            source = ROOT / "examples" / "sahel" / "annotator_a.jsonl"
            records = [r for r in read(source) if r.document.id in here]
            write(recorded, ((r.document, r.annotation) for r in records))
            person = Person(login.username, login.password, recorded)
            assert enter_recorded(person, store, client, schema, "curate sahel", Silent()) == 9

    def _relabel(self) -> None:
        from curate.labelstudio.client import LabelStudio
        from curate.labelstudio.server import EmbeddedStudio

        access = EmbeddedStudio(self.cwd / ".curate" / "studio").access()
        assert access is not None
        with LabelStudio(*access) as client:
            (project,) = client.projects(title="curate sahel")
            tasks = client.get("/api/tasks", params={"project": project["id"], "fields": "all"})
            task = min(tasks["tasks"], key=lambda each: str(each["data"]["curate_id"]))
            (annotation,) = client.task(task["id"])["annotations"]
            linked = {
                end
                for item in annotation["result"]
                if item["type"] == "relation"
                for end in (item["from_id"], item["to_id"])
            }
            for item in annotation["result"]:
                value = item.get("value", {})
                if value.get("labels") == ["LOC"] and item["id"] not in linked:
                    value["labels"] = ["PER"]
                    break
            client.patch(f"/api/annotations/{annotation['id']}/", json=annotation_body(annotation))


def annotation_body(annotation: dict[str, object]) -> dict[str, object]:
    return {"result": annotation["result"]}


def follow() -> str:
    """Follow the page once in a temporary folder; the Label Studio it started is stopped."""
    with tempfile.TemporaryDirectory(prefix="curate-tutorial-") as folder:
        reader = Reader(Path(folder))
        try:
            return reader.follow(PAGE.read_text("utf-8"))
        finally:
            if (reader.cwd / "curate.toml").is_file():
                reader.run("curate studio down")


if __name__ == "__main__":
    PAGE.write_text(follow(), "utf-8")
