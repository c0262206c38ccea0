"""The pictures of the documentation, taken from a running system: `make pictures`.

A workspace is made in a temporary folder from examples/sahel, with a Label Studio of its own; every
picture is a screen of it.  Needs Chromium and the extras ``studio`` and ``dev``; takes minutes.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from curate.flows.demo import Person, enter_decisions, enter_recorded  # noqa: E402
from curate.flows.init import Choices, init  # noqa: E402
from curate.flows.reporter import Silent  # noqa: E402
from curate.labelstudio.client import LabelStudio  # noqa: E402
from curate.labelstudio.people import invite, new_password  # noqa: E402
from curate.labelstudio.server import EmbeddedStudio  # noqa: E402
from curate.resources import default_schema  # noqa: E402
from curate.schema import read_schema  # noqa: E402
from curate.store import Store  # noqa: E402
from curate.store.engine import sqlite_url  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
SAMPLE = ROOT / "examples" / "sahel"
CHROMIUM = "/usr/bin/chromium"
PROJECT = "curate sahel"
LARGEST = 250_000
"""Bytes of a picture."""
COLUMNS = 80
SCREEN = {"width": 1360, "height": 860}
_LABELLING = ".lsf-labels .lsf-label:visible"
_NARROW = """() => {
  const scroll = document.querySelector('.lsf-htx-richtext:not([style*="none"])');
  if (scroll) scroll.scrollTop = 0;
}"""


class Workspace:
    """A workspace on the way, and its commands as a user types them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "sahel"
        hidden = ("LABEL_STUDIO_", "CURATE_", "DJANGO_", "POSTGRE_")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}

    def curate(self, line: str, **environment: str) -> None:
        say(f"$ curate {line}")
        subprocess.run(
            [sys.executable, "-m", "curate", *shlex.split(line)],
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def on_a_screen(self, line: str) -> str:
        """What the command writes to a terminal, colours and all."""
        say(f"$ curate {line}")
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
        parts: list[bytes] = []

        def read() -> None:
            while True:
                try:
                    part = os.read(leader, 65536)
                except OSError:
                    return
                if not part:
                    return
                parts.append(part)

        reader = threading.Thread(target=read)
        done = subprocess.Popen(
            [sys.executable, "-m", "curate", *shlex.split(line)],
            cwd=self.folder,
            env=self.environment | {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS)},
            stdin=follower,
            stdout=follower,
            stderr=follower,
        )
        os.close(follower)
        reader.start()
        code = done.wait(600)
        reader.join()
        os.close(leader)
        said = b"".join(parts).decode("utf-8").replace("\r\n", "\n")
        if code not in (0, 1):
            raise SystemExit(f"curate {line} ended with {code}:\n{said}")
        return said.replace(str(self.home), "~")

    @property
    def studio(self) -> EmbeddedStudio:
        return EmbeddedStudio(self.folder / ".curate" / "studio")

    def client(self) -> LabelStudio:
        access = self.studio.access()
        assert access is not None
        return LabelStudio(*access)

    def annotate(self) -> None:
        """Both annotators of the sample, as users of Label Studio."""
        schema = read_schema(self.folder / "label_configs" / "sahel.yaml")
        url = sqlite_url(self.folder / ".curate" / "store.db")
        with Store.open(url) as store, self.client() as client:
            for name in ("annotator_a", "annotator_b"):
                email, password = f"{name}@example.org", new_password()
                invite(client, email, password)
                person = Person(email, password, SAMPLE / f"{name}.jsonl")
                enter_recorded(person, store, client, schema, PROJECT, Silent())

    def decide(self) -> None:
        """The curator's recorded decisions, in the review project."""
        schema = read_schema(self.folder / "label_configs" / "sahel.yaml")
        url = sqlite_url(self.folder / ".curate" / "store.db")
        with Store.open(url) as store, self.client() as client:
            enter_decisions(SAMPLE / "decisions.jsonl", store, client, schema, PROJECT, Silent())

    def first_task(self, title: str, *words: str) -> tuple[int, int, list[Any]]:
        """The project, the task whose text holds the words (else the first), and all tasks."""
        with self.client() as client:
            (project,) = (p for p in client.projects(title=title) if p["title"] == title)
            params = {"project": project["id"], "fields": "all", "page_size": 500}
            tasks = client.get("/api/tasks", params=params)["tasks"]
        tasks.sort(key=lambda task: str(task["data"]["curate_id"]))
        chosen = [t for t in tasks if all(word in str(t["data"]) for word in words)] or tasks
        return int(project["id"]), int(chosen[0]["id"]), tasks


class Camera:
    """A Chromium, logged in to the workspace's Label Studio."""

    def __init__(self, browser: Any, workspace: Workspace) -> None:
        self.context = browser.new_context(viewport=SCREEN, locale="en-GB")
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        login = workspace.studio.login()
        access = workspace.studio.access()
        assert access is not None
        self.url = access[0]
        self.page.goto(f"{self.url}/user/login/")
        self.page.locator("#email").fill(login.username)
        self.page.locator("#password").fill(login.password)
        self.page.get_by_role("button", name="Log In").click()
        self.page.wait_for_url(lambda url: "/user/login" not in url)

    def task(self, name: str, project: int, task: int, version: str = "") -> None:
        page = self.page
        page.goto(f"{self.url}/projects/{project}/data?task={task}")
        page.locator(_LABELLING).first.wait_for()
        page.locator(".htx-highlight:visible").first.wait_for()
        if version:
            page.locator(".lsf-annotation-button", has_text=version).first.click()
            page.locator(".htx-highlight:visible").first.wait_for()
        page.evaluate(_NARROW)
        page.mouse.move(5, 5)
        time.sleep(2)  # relations are drawn after the text has found its place
        keep(name, page.screenshot())

    def sheet(
        self, name: str, path: Path, *, width: int = 900, height: int = 1100, place: str = ""
    ) -> None:
        """A page that curate wrote, from its file."""
        context = self.context.browser.new_context(viewport={"width": width, "height": height})
        page = context.new_page()
        page.goto(path.as_uri())
        if place:
            page.get_by_role("link", name=place).click()
        keep(name, page.screenshot())
        context.close()

    def terminal(self, name: str, title: str, said: list[tuple[str, str]]) -> None:
        """What commands wrote to a terminal, drawn as they drew it."""
        context = self.context.browser.new_context(
            viewport={"width": 860, "height": 200}, device_scale_factor=1.5
        )
        page = context.new_page()
        page.set_content(_WINDOW.format(title=title, body=_as_html(said)))
        keep(name, page.locator("main").screenshot())
        context.close()


_WINDOW = """<!doctype html><style>
body{{margin:0;background:#fff}}
main{{display:inline-block;background:#16181d;border-radius:.5rem;overflow:hidden}}
header{{background:#2a2d34;color:#c9ccd3;font:13px system-ui,sans-serif;text-align:center}}
header{{padding:.35rem}}
pre{{margin:0;padding:.7rem .9rem 1rem;color:#e4e6eb;
font:13.5px/1.35 "DejaVu Sans Mono","Liberation Mono",monospace}}
</style><main><header>{title}</header>{body}</main>"""


def _as_html(said: list[tuple[str, str]]) -> str:
    from rich.console import Console
    from rich.terminal_theme import MONOKAI
    from rich.text import Text

    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False
    )
    for line, out in said:
        console.print(Text("$ ", style="bold green") + Text(f"curate {line}", style="bold"))
        console.print(Text.from_ansi(out.rstrip("\n")), soft_wrap=True)
    form = "<pre>{code}</pre>"
    return console.export_html(theme=MONOKAI, code_format=form, inline_styles=True)


def keep(name: str, png: bytes) -> None:
    """Write a picture with few colours, so that it stays small; refuse one that is too large."""
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB")
    out = io.BytesIO()
    for colours in (256, 128, 64, 32):
        out = io.BytesIO()
        few = image.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(out, "PNG", optimize=True)
        if out.tell() <= LARGEST:
            break
    else:
        raise SystemExit(f"{name} has {out.tell()} bytes; take a smaller piece of the screen")
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{name}.png").write_bytes(out.getvalue())
    say(f"{name}.png: {image.width} × {image.height}, {out.tell() // 1000} kB")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def take(workspace: Workspace, playwright: Any) -> None:
    """The whole loop once, a picture wherever there is something to see."""
    folder = workspace.folder
    schema = default_schema()
    folder.parent.mkdir(exist_ok=True)
    init(
        folder,
        schema,
        sqlite_url(folder / ".curate" / "store.db"),
        Choices("sahel", "fr", PROJECT),
        [schema.with_name("guidelines.md")],
    )
    run: Callable[..., None] = workspace.curate
    run("studio up")
    run(f"ingest {shlex.join(str(SAMPLE / name) for name in ('dispatches.jsonl', 'pages'))}")
    run("preannotate")
    run("push --overlap 2")
    browser = playwright.chromium.launch(
        executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
    )
    camera = Camera(browser, workspace)
    project, task, _ = workspace.first_task(PROJECT, "colonel")
    camera.task("task", project, task)
    workspace.annotate()
    run("pull")
    run("review push")
    review, _, tasks = workspace.first_task(f"{PROJECT} review")
    differing = [t for t in tasks if "Aucun désaccord" not in str(t["data"])]
    shortest = min(differing, key=lambda one: len(str(one["data"])))
    camera.task("review", review, int(shortest["id"]))
    workspace.decide()
    run("review pull")
    built = workspace.on_a_screen("gold build")
    run("train --gold latest")
    run("evaluate sahel@1 --gold latest --split test --output evaluation")
    report = folder / "evaluation" / "report.html"
    camera.sheet("evaluation", report)
    camera.sheet("errors", report, height=760, place="Errors")
    run("report annotators --output annotators.html")
    camera.sheet("annotators", folder / "annotators.html", width=1100)
    run("train-curve --gold latest --shares 0.25,0.45,0.7,1 --seeds 2 --output curve")
    camera.sheet("train-curve", folder / "curve" / "report.html", height=1000)
    camera.terminal(
        "terminal",
        "curate",
        [("gold build", built), ("status", workspace.on_a_screen("status"))],
    )
    browser.close()


def main() -> int:
    from playwright.sync_api import sync_playwright

    if not Path(CHROMIUM).exists():
        raise SystemExit(f"there is no Chromium at {CHROMIUM}; install it")
    with (
        tempfile.TemporaryDirectory(prefix="curate-pictures-") as home,
        sync_playwright() as player,
    ):
        workspace = Workspace(Path(home))
        try:
            take(workspace, player)
        finally:
            if (workspace.folder / "curate.toml").is_file():
                workspace.curate("studio down")
    return 0


if __name__ == "__main__":
    sys.exit(main())
