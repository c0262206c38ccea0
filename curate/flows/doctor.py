"""`curate doctor`: look at everything a workspace needs, one check after the other."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from curate.errors import CurateError, DataError
from curate.schema import LabelSchema
from curate.store import Store


class Surroundings(Protocol):
    """Where the doctor looks; reading an attribute may raise, which is a finding."""

    @property
    def workspace(self) -> Path: ...
    @property
    def settings(self) -> Any: ...
    @property
    def schema(self) -> LabelSchema: ...
    @property
    def store(self) -> Store: ...
    @property
    def speaks_to_own_studio(self) -> bool: ...
    def label_studio(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; ``mend`` says what to do where ``ok`` is false."""

    name: str
    ok: bool
    said: str
    mend: str = ""


def examine(place: Surroundings) -> list[Check]:
    """All checks, in the order in which they build on each other."""
    checks = [_attempt("python", lambda: f"Python {platform.python_version()} on {sys.platform}")]
    checks.append(_attempt("workspace", lambda: str(place.workspace)))
    if not checks[-1].ok:
        return checks
    checks.append(_attempt("settings", lambda: _settings(place)))
    checks.append(_attempt("writable", lambda: _writable(place.workspace)))
    if not checks[2].ok:
        return checks
    checks.append(_attempt("schema", lambda: _schema(place)))
    checks.append(_attempt("configuration", lambda: _configuration(place)))
    checks.append(_attempt("store", lambda: _store(place)))
    return checks + _studio(place)


def _attempt(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except CurateError as error:
        said, _, mend = str(error).partition("; ")
        return Check(name, False, said, mend)


def _settings(place: Surroundings) -> str:
    settings = place.settings
    return f"corpus {settings.corpus.name}, language {settings.corpus.language}"


def _writable(workspace: Path) -> str:
    for folder in (workspace, workspace / ".curate", workspace / "gold"):
        if folder.exists() and not os.access(folder, os.W_OK):
            raise DataError("cannot be written; check its owner and mode", path=folder)
    return "the workspace's folders can be written"


def _schema(place: Surroundings) -> str:
    schema = place.schema
    return (
        f"{schema.name} {schema.version}: {len(schema.entities)} entity labels, "
        f"{len(schema.relations)} relation types"
    )


def _configuration(place: Surroundings) -> str:
    from curate.labelstudio.config import render_config

    path = (place.workspace / place.settings.corpus.schema_file).with_suffix(".xml")
    if not path.is_file():
        raise DataError("is missing; run `curate schema render`", path=path)
    if path.read_text(encoding="utf-8") != render_config(place.schema):
        raise DataError("is not what the schema renders to; run `curate schema render`", path=path)
    return f"{path.name} is what the schema renders to"


def _store(place: Surroundings) -> str:
    with place.store.read() as unit:
        return (
            f"{place.store.engine.dialect.name}: {unit.documents.count()} documents, "
            f"{unit.decisions.count()} decisions"
        )


def _studio(place: Surroundings) -> list[Check]:
    """Who we are there, then whether the server is one to trust with a corpus."""
    from curate.labelstudio import safety

    try:
        with place.label_studio() as client:
            checks = [Check("Label Studio", True, f"{client.url}, logged in as {_name(client)}")]
            for found in safety.examine(client, embedded=place.speaks_to_own_studio):
                name = f"Label Studio: {found.name}"
                checks.append(Check(name, found.ok, found.said, found.mend))
    except CurateError as error:
        said, _, mend = str(error).partition("; ")
        return [Check("Label Studio", False, said, mend)]
    return checks


def _name(client: Any) -> str:
    user = client.whoami()
    return str(user.username or f"user {user.id}")
