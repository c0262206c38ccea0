"""A real Chromium on the session's real Label Studio."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from curate.labelstudio import people
from curate.labelstudio.client import LabelStudio

# the same fixtures as in the integration tests, and the same server
from tests.integration.conftest import (  # noqa: F401
    Studio,
    label_studio,
    make_project,
    project,
    studio,
)

CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Person:
    """Somebody who can log in."""

    user_id: int
    email: str
    password: str

    def __repr__(self) -> str:
        return f"Person({self.email!r})"


@pytest.fixture
def annotator(label_studio: LabelStudio) -> Person:  # noqa: F811
    """A freshly invited annotator."""
    email, password = f"annotator.{uuid.uuid4().hex[:8]}@example.org", people.new_password()
    invited = people.invite(label_studio, email, password)
    return Person(invited.user.id, email, password)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Browser"]:  # noqa: F821, UP037
    """Chromium with a fresh profile; skipped, with the reason, where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: the browser tests did not run")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=_ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: "Browser", tmp_path: Path) -> Iterator["Page"]:  # noqa: F821, UP037
    """A page of its own, large enough for the side panels, that loads nothing from elsewhere."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, locale="fr-FR")
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    foreign: list[str] = []
    opened.on(
        "request",
        lambda asked: (
            None
            if asked.url.startswith(("http://127.0.0.1:", "data:", "blob:"))
            else foreign.append(asked.url)
        ),
    )
    yield opened
    opened.screenshot(path=tmp_path / "last.png")
    context.close()
    assert not foreign, f"the page spoke to others: {foreign[:3]}"
