"""Fixtures of the sync's tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.flows.push import PushOptions
from curate.labelstudio.client import LabelStudio
from tests.integration.conftest import Studio
from tests.integration.proxy import proxied
from tests.integration.world import MakeWorld, World, make_store


@pytest.fixture
def make_world(studio: Studio, label_studio: LabelStudio, tmp_path: Path) -> Iterator[MakeWorld]:
    """Makes worlds of their own project each; deletes the projects afterwards."""
    made: list[World] = []
    with proxied(studio.url) as proxy:

        def make(documents: int = 0, **options: object) -> World:
            title = f"sync {uuid.uuid4().hex[:12]}"
            chosen = {"chunk_tasks": 4, "quiet_seconds": 0.2} | options
            world = World(
                make_store(tmp_path, documents),
                proxy,
                label_studio,
                studio.token,
                PushOptions(title, **chosen),  # type: ignore[arg-type]
            )
            made.append(world)
            return world

        yield make
        proxy.faults.clear()
        proxy.before = None
    for world in made:
        world.store.close()
        for project in label_studio.projects(title=world.options.title):
            label_studio.delete_project(int(project["id"]))


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """Ten documents with predictions, nothing pushed."""
    return make_world(10)
