"""Settings of a workspace: ``curate.toml``, overridden by the environment.

Read by ``cli`` alone and handed inward as values.  A secret is never in ``curate.toml``: tokens
come from the environment or from the embedded studio's own file.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from curate.errors import ConfigurationError, UsageError, WorkspaceError

FILE = "curate.toml"
_SECRET_WORDS = ("token", "api_key", "apikey", "password", "secret")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CorpusSettings(_Section):
    """``[corpus]``: the corpus that releases are published under.

    ``passages``: ``ingest`` cuts documents into runs of so many sentences; 0 leaves them whole.
    """

    name: str = Field(default="sahel", pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    schema_file: str = "label_configs/sahel.yaml"
    language: str = Field(default="fr", pattern=r"^[a-z]{2,3}$")
    salt: str = "curate"
    passages: int = Field(default=0, ge=0, le=1000)
    splits: dict[Literal["train", "dev", "test"], int] = {"train": 70, "dev": 15, "test": 15}


class StudioSettings(_Section):
    """``[studio]``: the project in Label Studio."""

    project: str = Field(default="curate", min_length=3, max_length=50)
    overlap: int = Field(default=1, ge=1, le=20)
    chunk_tasks: int = Field(default=250, ge=1, le=5000)
    chunk_bytes: int = Field(default=8 * 1024 * 1024, ge=64 * 1024, le=200 * 1024 * 1024)


class ModelsSettings(_Section):
    """``[models]``: how the models of ``curate train`` are used.

    ``judge``: a model whose confidence stands on the entities of whatever ``preannotate`` and
    ``serve`` answer with; empty: the scores are the answering model's own.
    """

    judge: str = Field(default="", max_length=500)


class ConsensusSettings(_Section):
    """``[consensus]``: how several annotators become one decision.

    ``rule`` decides what it can, test and blind documents left out; the rest is open.
    ``pinned`` decides everything, test documents too.
    """

    rule: Literal["unanimous", "majority", "weighted"] = "unanimous"
    pinned: Literal["", "unanimous", "majority", "weighted", "first"] = ""
    first: str = ""


class CardSettings(_Section):
    """``[card]``: what people say about their corpus in the data card of its releases.

    ``license`` is an identifier of the Hugging Face hub, such as ``cc-by-4.0``; ``template`` the
    form of the card, an older one to rebuild an older release to the byte.
    """

    title: str = ""
    license: str = Field(default="unknown", pattern=r"^[a-z0-9][a-z0-9.+-]{0,40}$")
    summary: str = ""
    homepage: str = ""
    authors: list[str] = []
    limits: list[str] = []
    tags: list[str] = []
    template: Literal[1, 2] = 2


class Settings(_Section):
    """Everything ``curate.toml`` may say."""

    corpus: CorpusSettings = CorpusSettings()
    studio: StudioSettings = StudioSettings()
    models: ModelsSettings = ModelsSettings()
    consensus: ConsensusSettings = ConsensusSettings()
    card: CardSettings = CardSettings()


class Environment(BaseSettings):
    """What comes from the environment alone."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    label_studio_url: str = ""
    label_studio_api_key: SecretStr = SecretStr("")
    curate_database_url: SecretStr = SecretStr("")
    curate_workspace: str = ""
    curate_serve_auth: SecretStr = SecretStr("")
    curate_studio_python: str = ""


def find_workspace(start: Path) -> Path:
    """The nearest folder at or above ``start`` that holds a ``curate.toml``.

    Raises WorkspaceError where there is none.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    raise WorkspaceError(
        f"there is no {FILE} here or above; run `curate init`, or name a workspace with -w",
        path=start,
    )


def read_settings(workspace: Path) -> Settings:
    """The settings of a workspace.  Raises ConfigurationError naming file, key and reason."""
    path = workspace / FILE
    try:
        raw = tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise WorkspaceError(f"there is no {FILE} here; run `curate init`", path=path) from None
    except UnicodeDecodeError:
        raise ConfigurationError("is not UTF-8", path=path) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"is not valid TOML: {error}", path=path) from None
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", path=path) from None
    _refuse_secrets(raw, path)
    _override(raw)
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        why = first["msg"].lower()
        if first["type"] == "extra_forbidden":
            why = f"there is no such setting{_meant(first['loc'])}"
        raise ConfigurationError(f"{key}: {why}", path=path) from None


def _meant(place: tuple[int | str, ...]) -> str:
    """What may have been meant by a name that no setting has: one that is close, or all."""
    import difflib

    names = sorted(Settings.model_fields)
    if len(place) > 1:
        section = Settings.model_fields[str(place[0])].annotation
        names = sorted(getattr(section, "model_fields", {}))
    close = difflib.get_close_matches(str(place[-1]), names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f" (there are {', '.join(names)})"


def check_choices(corpus: str, language: str, project: str) -> None:
    """Refuse what a new ``curate.toml`` could not say.  Raises UsageError naming the option."""
    wanted: dict[str, tuple[type[_Section], dict[str, str]]] = {
        "corpus": (CorpusSettings, {"name": corpus}),
        "language": (CorpusSettings, {"language": language}),
        "project": (StudioSettings, {"project": project}),
    }
    for option, (section, values) in wanted.items():
        try:
            section.model_validate(values)
        except ValidationError as error:
            said = error.errors(include_url=False, include_input=False, include_context=False)
            raise UsageError(
                f"--{option} {next(iter(values.values()))!r} will not do: {said[0]['msg'].lower()}"
            ) from None


def _override(raw: dict[str, Any]) -> None:
    """``CURATE_STUDIO_PROJECT=x`` overrides ``project`` in ``[studio]``, and so on."""
    for section, model in Settings.model_fields.items():
        fields = getattr(model.annotation, "model_fields", {})
        for key in fields:
            value = os.environ.get(f"CURATE_{section}_{key}".upper())
            if value is not None:
                raw.setdefault(section, {})[key] = value


def _refuse_secrets(raw: dict[str, Any], path: Path, where: str = "") -> None:
    for key, value in raw.items():
        name = f"{where}{key}"
        if any(word in key.lower() for word in _SECRET_WORDS):
            raise ConfigurationError(
                f"{name} looks like a secret; put it into the environment "
                "(LABEL_STUDIO_API_KEY), never into this file",
                path=path,
            )
        if isinstance(value, dict):
            _refuse_secrets(value, path, f"{name}.")
