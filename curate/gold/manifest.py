"""``manifest.json``: what a release consists of, with a digest of each file and one of all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.errors import DataError, DiskError
from curate.interchange import canonical_json

FORMAT = "curate-gold/1"
NAME = "manifest.json"
OFFSETS = "Unicode code points, half-open, into the document's text in NFC"

DOCUMENTS = "documents.jsonl"
ENTITIES = "entities.jsonl"
RELATIONS = "relations.jsonl"
CHAINS = "chains.jsonl"
PROVENANCE = "provenance.jsonl"
SCHEMA = "schema.yaml"
CHANGES = "CHANGES.json"
CHANGELOG = "CHANGELOG.md"
CARD = "README.md"

DATA = (DOCUMENTS, ENTITIES, RELATIONS, CHAINS)
"""What a reader of the corpus needs; ``chains.jsonl`` is there only if there are chains."""
REQUIRED = (DOCUMENTS, ENTITIES, RELATIONS, PROVENANCE, SCHEMA, CHANGES, CHANGELOG, CARD)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of the release: its size, lines and SHA-256."""

    bytes: int
    lines: int
    sha256: str

    def as_dict(self) -> dict[str, Any]:
        return {"bytes": self.bytes, "lines": self.lines, "sha256": self.sha256}


@dataclass(frozen=True)
class Manifest:
    """The manifest's content.

    ``counts`` are the facts the data card shows; ``splits`` the rule by which documents were
    split; ``retired`` the split and group of documents that older versions held, so that one
    which comes back keeps its split; ``quarantined`` the documents that would have bridged two
    splits, with the splits.
    """

    corpus: str
    version: str
    parent: Mapping[str, str] | None
    files: Mapping[str, FileEntry]
    counts: Mapping[str, Any]
    splits: Mapping[str, Any]
    schema: Mapping[str, Any]
    rules: Mapping[str, int]
    agreement: Mapping[str, Any] | None = None
    retired: Mapping[str, Any] = field(default_factory=dict)
    quarantined: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Everything but the root digest, as plain JSON."""
        return {
            "format": FORMAT,
            "corpus": self.corpus,
            "version": self.version,
            "parent": None if self.parent is None else dict(self.parent),
            "offsets": OFFSETS,
            "files": {name: entry.as_dict() for name, entry in self.files.items()},
            "counts": dict(self.counts),
            "splits": dict(self.splits),
            "schema": dict(self.schema),
            "rules": dict(self.rules),
            "agreement": None if self.agreement is None else dict(self.agreement),
            "retired": dict(self.retired),
            "quarantined": dict(self.quarantined),
            "card": dict(self.card),
        }

    @property
    def digest(self) -> str:
        """The root digest: SHA-256 of the canonical JSON of everything else in the manifest."""
        return hashlib.sha256(canonical_json(self.body())).hexdigest()

    def dump(self) -> bytes:
        return pretty({**self.body(), "digest": self.digest})

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Manifest:
        """Raises DataError where the object is no manifest of a format known here."""
        if value.get("format") != FORMAT:
            raise DataError(f"is of format {value.get('format')!r}; this curate reads {FORMAT}")
        try:
            if not set(value["files"]) <= {*REQUIRED, CHAINS}:
                raise ValueError  # a name here becomes a path
            files = {
                str(name): FileEntry(int(row["bytes"]), int(row["lines"]), str(row["sha256"]))
                for name, row in value["files"].items()
            }
            return cls(
                corpus=str(value["corpus"]),
                version=str(value["version"]),
                parent=value["parent"],
                files=files,
                counts=dict(value["counts"]),
                splits=dict(value["splits"]),
                schema=dict(value["schema"]),
                rules=dict(value["rules"]),
                agreement=value["agreement"],
                retired=dict(value["retired"]),
                quarantined=dict(value["quarantined"]),
                card=dict(value["card"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise DataError("lacks a key of a manifest, or holds it in another form") from None


def pretty(value: Any) -> bytes:
    """Canonical JSON for people: sorted keys, two spaces, UTF-8, one final newline."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, indent=2, allow_nan=False)
    return text.encode("utf-8") + b"\n"


def read_manifest(folder: Path, *, checked: bool = True) -> Manifest:
    """The manifest of a release.

    Raises DataError where there is none, it is damaged, or (``checked``) is not what was published.
    """
    path = folder / NAME
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise DataError("there is no release here: no manifest.json", path=folder) from None
    except OSError as error:
        raise DiskError(f"cannot be read: {error.strerror}", path=path) from None
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        raise DataError("is damaged: no JSON", path=path) from None
    if not isinstance(value, dict):
        raise DataError("is damaged: no JSON object", path=path)
    try:
        manifest = Manifest.of(value)
        if checked and value.get("digest") != manifest.digest:
            raise DataError("was changed after it was published; run `curate gold verify`")
    except DataError as error:
        raise error.at(path) from None
    return manifest


def entry_of(path: Path) -> FileEntry:
    """Size, lines and SHA-256 of a file, read in pieces."""
    size = lines = 0
    hasher = hashlib.sha256()
    for piece in _pieces(path):
        size += len(piece)
        lines += piece.count(b"\n")
        hasher.update(piece)
    return FileEntry(size, lines, hasher.hexdigest())


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            while piece := stream.read(1 << 20):
                yield piece
    except OSError as error:
        raise DiskError(f"cannot be read: {error.strerror}", path=path) from None
