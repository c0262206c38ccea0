"""One real Label Studio for the whole session, started by curate's own code.

``studio`` gives its address and token, ``label_studio`` a client, ``make_project`` fresh
projects that are deleted after the test.  On SQLite, in a folder of the session.  With
``CURATE_TEST_STUDIO=<folder>`` a studio kept in that folder is used and left running, so that
working on one test does not cost a start each time.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from curate.labelstudio.client import LabelStudio
from curate.labelstudio.server import EmbeddedStudio

CONFIG = Path(__file__).parents[2] / "label_configs" / "sahel.xml"


@dataclass(frozen=True)
class Studio:
    """A running Label Studio and its first user."""

    url: str
    token: str
    username: str
    password: str
    server: EmbeddedStudio

    def __repr__(self) -> str:
        return f"Studio({self.url!r})"


_STARTED = pytest.StashKey[Studio]()


@pytest.fixture(scope="session")
def studio(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """The session's Label Studio; the browser tests import this fixture and get the same one.

    With CURATE_STUDIO_ON_POSTGRESQL=1 its own data lie in the PostgreSQL of POSTGRE_*.
    """
    python = os.environ.get("CURATE_STUDIO_PYTHON", "")
    if not python and find_spec("label_studio") is None:
        pytest.skip("Label Studio is not installed (extra 'studio')")
    config = request.config
    if _STARTED not in config.stash:
        kept = os.environ.get("CURATE_TEST_STUDIO")
        server = EmbeddedStudio(Path(kept) if kept else tmp_path_factory.mktemp("studio"), python)
        if not kept:
            config.add_cleanup(server.down)
        url, login = server.up().url, server.login()
        config.stash[_STARTED] = Studio(url, login.token, login.username, login.password, server)
    return config.stash[_STARTED]


@pytest.fixture
def label_studio(studio: Studio) -> Iterator[LabelStudio]:
    """A client of the session's Label Studio, as its first user."""
    with LabelStudio(studio.url, studio.token) as client:
        yield client


MakeProject = Callable[..., dict[str, Any]]


@pytest.fixture
def make_project(label_studio: LabelStudio) -> Iterator[MakeProject]:
    """Makes projects with the sahel configuration, or the one given; deletes them afterwards."""
    made: list[int] = []

    def make(label_config: str | None = None, **fields: Any) -> dict[str, Any]:
        project = label_studio.create_project(
            title=fields.pop("title", f"test {uuid.uuid4().hex[:12]}"),
            label_config=CONFIG.read_text(encoding="utf-8")
            if label_config is None
            else label_config,
            **fields,
        )
        made.append(int(project["id"]))
        return project

    yield make
    for project_id in made:
        label_studio.delete_project(project_id)


@pytest.fixture
def project(make_project: MakeProject) -> dict[str, Any]:
    """A fresh project with the sahel configuration."""
    return make_project()
