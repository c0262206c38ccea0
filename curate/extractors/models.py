"""The folder of a workspace's models: ``models/<name>-<version>/``, each with its card.

A model is a spaCy pipeline directory with a ``model.json`` beside its ``config.cfg``.  Which one
``preannotate`` uses is said by ``models/aliases.json``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.errors import ConfigurationError, DataError, DiskError
from curate.interchange import canonical_json

CARD = "model.json"
ALIASES = "aliases.json"
PROMOTIONS = "promotions.jsonl"
CHAMPION = "champion"
LEFT_BEHIND = 600.0
"""Seconds without a change after which a half-written folder belongs to nobody."""
_NAME = re.compile(r"[^\W_][\w.+-]{0,99}")


@dataclass(frozen=True)
class Card:
    """What is known of a trained model; ``digest`` is over all its other files.

    ``release`` says what it learned from, ``settings`` how, ``scores`` how well; ``looks`` counts
    how often models of this workspace were scored on that release's test split.
    """

    name: str
    version: str
    digest: str
    extractor: str
    schema: str
    language: str
    labels: tuple[str, ...]
    relations: tuple[str, ...]
    release: Mapping[str, Any]
    settings: Mapping[str, Any]
    scores: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    looks: int = 0
    recipe: str = ""
    """What it was made from (:func:`curate.extractors.train.recipe`); empty on older cards."""

    @property
    def reference(self) -> str:
        return f"{self.name}@{self.version}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "digest": self.digest,
            "extractor": self.extractor,
            "schema": self.schema,
            "language": self.language,
            "labels": list(self.labels),
            "relations": list(self.relations),
            "release": dict(self.release),
            "settings": dict(self.settings),
            "scores": dict(self.scores),
            "counts": dict(self.counts),
            "notes": list(self.notes),
            "looks": self.looks,
            "recipe": self.recipe,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], path: Path) -> Card:
        """Raises DataError where it is no card."""
        try:
            check_name(str(raw["name"]), str(raw["version"]))
            return cls(
                name=str(raw["name"]),
                version=str(raw["version"]),
                digest=str(raw["digest"]),
                extractor=str(raw["extractor"]),
                schema=str(raw["schema"]),
                language=str(raw["language"]),
                labels=tuple(raw["labels"]),
                relations=tuple(raw["relations"]),
                release=dict(raw["release"]),
                settings=dict(raw["settings"]),
                scores=dict(raw.get("scores", {})),
                counts=dict(raw.get("counts", {})),
                notes=tuple(raw.get("notes", ())),
                looks=int(raw.get("looks", 0)),
                recipe=str(raw.get("recipe", "")),
            )
        except DataError as error:
            raise error.at(path) from None
        except (KeyError, TypeError, ValueError):
            raise DataError("is no model card; train the model again", path=path) from None


def check_name(name: str, version: str) -> None:
    """Raises DataError for a name or version that is not safe as a folder's, or that could be
    taken for another kind of reference."""
    for part in (name, version):
        if not _NAME.fullmatch(part):
            raise DataError(
                f"the model's name or version {part[:40]!r} will not do: letters, digits, '.', '-' "
                "and '_', beginning with a letter or digit, at most 100"
            )


def read_card(folder: Path) -> Card:
    """The card of a model directory.  Raises DataError where it is missing or damaged."""
    path = folder / CARD
    try:
        raw = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError("the model has no card", path=path) from None
    except (OSError, ValueError, RecursionError):
        raise DataError("the model's card cannot be read", path=path) from None
    if not isinstance(raw, dict):
        raise DataError("is no model card; train the model again", path=path)
    return Card.from_dict(raw, path)


def cards(models: Path) -> list[tuple[Path, Card]]:
    """Every model of the folder, by name and version; damaged ones are left out."""
    found: list[tuple[Path, Card]] = []
    if models.is_dir():
        for folder in sorted(models.iterdir()):
            if folder.is_dir() and not folder.name.startswith(".") and (folder / CARD).is_file():
                with contextlib.suppress(DataError):
                    found.append((folder, read_card(folder)))
    return sorted(found, key=lambda pair: (pair[1].name, version_key(pair[1].version)))


def damaged(models: Path) -> list[str]:
    """What is wrong with each model that :func:`cards` leaves out, in a sentence."""
    found = []
    for path in sorted(models.glob(f"[!.]*/{CARD}")) if models.is_dir() else ():
        try:
            read_card(path.parent)
        except DataError as error:
            found.append(str(error))
    return found


def version_key(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdigit() else (0, version)


def next_version(models: Path, name: str) -> str:
    """Versions of a model count 1, 2, 3 …"""
    taken = [int(c.version) for _, c in cards(models) if c.name == name and c.version.isdigit()]
    version = max(taken, default=0) + 1
    while (models / f"{name}-{version}").exists():  # of a damaged model, too
        version += 1
    return str(version)


def find(models: Path, reference: str) -> tuple[Path, Card] | None:
    """The model ``NAME``, ``NAME@VERSION`` or alias; of a bare name the newest version."""
    name = aliases(models).get(reference, reference)
    name, _, version = name.partition("@")
    fitting = [
        (folder, card)
        for folder, card in cards(models)
        if card.name == name and version in ("", card.version)
    ]
    return fitting[-1] if fitting else None


def aliases(models: Path) -> dict[str, str]:
    """Alias → ``NAME@VERSION``.  Raises ConfigurationError for a damaged file."""
    path = models / ALIASES
    try:
        raw = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        raise ConfigurationError("cannot be read; remove it or mend it", path=path) from None
    if not isinstance(raw, dict) or not all(isinstance(v, str) for v in raw.values()):
        raise ConfigurationError("must map aliases to NAME@VERSION", path=path)
    return raw


def promotions(models: Path) -> list[dict[str, Any]]:
    """What ``promotions.jsonl`` tells, oldest first; a line cut short is left out."""
    try:
        lines = (models / PROMOTIONS).read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict):
                found.append(row)
    return found


def set_alias(models: Path, alias: str, reference: str, record: Mapping[str, Any]) -> None:
    """Point an alias at a model and note it in ``promotions.jsonl``.

    Raises DiskError where the disk refuses.
    """
    known = aliases(models) | {alias: reference}
    temporary = models / f".{ALIASES}.{os.getpid()}.tmp"
    try:
        with (models / PROMOTIONS).open("ab") as stream:
            stream.write(canonical_json(dict(record)) + b"\n")
        temporary.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        temporary.replace(models / ALIASES)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DiskError(f"cannot be written: {error.strerror}", path=models / ALIASES) from None


def digest_of_folder(folder: Path) -> str:
    """SHA-256 over the names and bytes of all files but the card, in hex."""
    digest = hashlib.sha256()
    files = sorted(
        (path for path in folder.rglob("*") if path.is_file() and path != folder / CARD),
        key=lambda path: path.relative_to(folder).as_posix(),
    )
    for path in files:
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def write_card(folder: Path, card: Card) -> None:
    text = json.dumps(card.as_dict(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    canonical_json(card.as_dict())  # raises for NaN, which no reader would take
    (folder / CARD).write_text(text, encoding="utf-8")


def sweep(models: Path) -> None:
    """Remove what a killed process left half-written: a folder that has not changed for ten
    minutes, since publishing takes seconds, whoever wrote it."""
    for folder in models.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            newest = max(
                (path.stat().st_mtime for path in (folder, *folder.rglob("*"))), default=0.0
            )
            if folder.is_dir() and time.time() - newest > LEFT_BEHIND:
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def publishing(models: Path, name: str, version: str) -> Iterator[Path]:
    """A temporary folder that becomes ``models/<name>-<version>/`` when the block ends well.

    Raises DiskError where the disk refuses; nothing half-written stays.
    """
    check_name(name, version)
    target = models / f"{name}-{version}"
    temporary = models / f".{name}-{version}.{os.getpid()}.tmp"
    if target.exists():
        raise DataError("the model is there already", path=target)
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise DiskError(f"the model cannot be written: {error.strerror}", path=target) from None
