"""`curate init`: a workspace, made whole; a second run adds only what is missing."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from curate.errors import WorkspaceError
from curate.labelstudio.config import render_config
from curate.schema import LabelSchema, read_schema
from curate.store import Store

_TOML = """\
# The settings of this workspace.  Every key is optional; these are the defaults.
# CURATE_<SECTION>_<KEY> in the environment overrides a key.  No secret belongs here:
# LABEL_STUDIO_API_KEY and CURATE_DATABASE_URL come from the environment.

[corpus]
name = {corpus}
schema_file = {schema}
language = {language}
salt = "curate"                                # of the hash that assigns splits
splits = {{ train = 70, dev = 15, test = 15 }}   # per cent of near-duplicate groups
passages = 0                                   # ingest cuts into so many sentences; 0: not at all

[studio]
project = {project}
overlap = 1                                    # annotators a task

[models]
judge = ""                                     # a trained model that scores what any other finds

[consensus]
rule = "unanimous"                             # | majority | weighted: decides what it can
pinned = {pinned}                                    # decides everything: "" | a rule | first
first = {first}                                     # the pseudonym that decides under "first"
"""
_GITIGNORE = "# working memory of curate: store, embedded Label Studio, caches\n.curate/\nmodels/\n"


@dataclass(frozen=True, slots=True)
class InitResult:
    """``created`` lists the paths that this run made, relative to the workspace."""

    workspace: Path
    created: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choices:
    """What a new ``curate.toml`` says."""

    corpus: str
    language: str
    project: str
    pinned: str = ""
    first: str = ""


def choices(
    schema: LabelSchema, corpus: str | None, language: str | None, project: str | None
) -> Choices:
    """The settings of a new workspace, taken from the schema where nothing was said."""
    return Choices(
        corpus=corpus or schema.name,
        language=language or schema.language,
        project=project or f"curate {schema.name}"[:50],
    )


def init(
    workspace: Path, schema_file: Path, database_url: str, chosen: Choices, companions: list[Path]
) -> InitResult:
    """Make ``workspace`` usable; files that exist are left as they are.

    ``companions`` are files copied beside the schema (the guidelines).  Raises DataError where the
    schema cannot be read, WorkspaceError where the folder cannot be one.
    """
    schema = read_schema(schema_file)
    if workspace.exists() and not workspace.is_dir():
        raise WorkspaceError("is a file; a workspace is a folder", path=workspace)
    created: list[str] = []
    name = f"{schema.name}.yaml"
    for folder in ("label_configs", f"gold/{chosen.corpus}", ".curate"):
        (workspace / folder).mkdir(parents=True, exist_ok=True)
    (workspace / ".curate").chmod(0o700)
    files = {
        f"label_configs/{name}": schema_file.read_bytes(),
        f"label_configs/{schema.name}.xml": render_config(schema).encode(),
    }
    files.update({f"label_configs/{c.name}": c.read_bytes() for c in companions})
    files[".gitignore"] = _GITIGNORE.encode()
    # A release is known by its bytes: Git must not turn its line ends.
    files["gold/.gitattributes"] = b"* -text\n"
    files["curate.toml"] = _TOML.format(
        corpus=_quoted(chosen.corpus),
        schema=_quoted(f"label_configs/{name}"),
        language=_quoted(chosen.language),
        project=_quoted(chosen.project),
        pinned=_quoted(chosen.pinned),
        first=_quoted(chosen.first),
    ).encode()
    for relative, content in files.items():
        if _write_new(workspace / relative, content):
            created.append(relative)
    fresh = not (workspace / ".curate/store.db").exists()
    Store.create(database_url).close()
    if fresh and (workspace / ".curate/store.db").exists():
        created.append(".curate/store.db")
    return InitResult(workspace, tuple(created))


def _quoted(text: str) -> str:
    """A basic string of TOML: JSON's escapes are among TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _write_new(path: Path, content: bytes) -> bool:
    if path.exists():
        return False
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return True
