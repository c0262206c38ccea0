"""What is wrong with a published release: bytes, offsets, schema, splits, changes, numbers.

Everything is checked from the files alone; one flipped byte in any of them is found and named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from curate.errors import CurateError, DataError
from curate.gold import manifest as names
from curate.gold.building import (
    EXAMPLES,
    changes_frame,
    places_of,
    repackaged_files,
)
from curate.gold.card import TEMPLATES, ReleaseChanges, render_card, render_changelog
from curate.gold.diff import DiffTally, diff_blocks, diff_schemas
from curate.gold.facts import Facts
from curate.gold.items import SPLITS, GoldDocument, canonical
from curate.gold.lines import encode
from curate.gold.manifest import Manifest, entry_of, read_manifest
from curate.gold.provenance import read_provenance
from curate.gold.reading import Release
from curate.gold.versions import FIRST, Bump, Version
from curate.schema import LabelSchema

LIMIT = 100
"""Findings after which a file's further ones are only counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, and where: the file, its line where known, the document."""

    file: str
    message: str
    line: int | None = None
    document: str | None = None

    def as_dict(self) -> dict[str, Any]:
        row: dict[str, Any] = {"file": self.file, "message": self.message}
        if self.line is not None:
            row["line"] = self.line
        if self.document is not None:
            row["document"] = self.document
        return row

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.message}"


@dataclass(frozen=True)
class Verified:
    """The outcome for one release; ``notes`` are what could not be checked, and why."""

    version: str
    digest: str | None
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    documents: int = 0
    entities: int = 0
    relations: int = 0

    @property
    def ok(self) -> bool:
        return not self.findings


def verify(folder: Path) -> Verified:
    """Check the release in this folder, and that it follows from its parent beside it.

    Raises DataError where there is no release at all.
    """
    return _Verification(folder).run()


class _Verification:
    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DataError("there is no release here", path=folder)
        self.folder = folder
        self.release = Release(folder)
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.facts = Facts()
        self._places: dict[str, tuple[str, str]] = {}
        self._items: dict[str, int] = {}
        self._told: dict[str, int] = {}

    def run(self) -> Verified:
        manifest = self._manifest()
        if manifest is None:
            return self._result(None)
        self._files(manifest)
        schema = self._guarded(names.SCHEMA, lambda: self.release.schema)
        if schema is None:
            return self._result(manifest)
        if self._guarded(names.SCHEMA, lambda: self._schema(manifest, schema)) is None:
            return self._result(manifest)
        whole = self._guarded(names.DOCUMENTS, lambda: self._documents(manifest, schema))
        traced = self._guarded(names.PROVENANCE, self._provenance)
        if whole and traced:
            self._guarded(names.NAME, lambda: self._numbers(manifest, schema))
            self._guarded(names.CHANGES, lambda: self._changes(manifest, schema))
        return self._result(manifest)

    def _result(self, manifest: Manifest | None) -> Verified:
        for file, count in self._told.items():
            if count > LIMIT:
                self.findings.append(Finding(file, f"… and {count - LIMIT} findings more"))
        return Verified(
            version=self.folder.name,
            digest=None if manifest is None else manifest.digest,
            findings=tuple(self.findings),
            notes=tuple(self.notes),
            documents=self.facts.documents,
            entities=self.facts.entities,
            relations=self.facts.relations,
        )

    def _find(
        self, file: str, message: str, line: int | None = None, document: str | None = None
    ) -> None:
        self._told[file] = self._told.get(file, 0) + 1
        if self._told[file] <= LIMIT:
            self.findings.append(Finding(file, message, line, document))

    def _guarded(self, file: str, check: Callable[[], Any]) -> Any:
        """The check's result; None where a file was too damaged for it, which is a finding."""
        try:
            return check()
        except DataError as error:
            name = file if error.path is None else Path(error.path).name
            self._find(name, error.message, error.line)
        except FileNotFoundError:
            pass  # told by _files
        except OSError as error:
            self._find(file, f"cannot be read: {error.strerror}")
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, CurateError):
            self._find(file, "is damaged: it is not in the form of a release")
        return None

    def _manifest(self) -> Manifest | None:
        if not (self.folder / names.NAME).exists():
            self._find(names.NAME, "is missing: nothing says what the release held")
            return None
        manifest = self._guarded(names.NAME, lambda: read_manifest(self.folder, checked=False))
        if manifest is None:
            return None
        assert isinstance(manifest, Manifest)
        raw = (self.folder / names.NAME).read_bytes()
        told = json.loads(raw).get("digest")
        if told != manifest.digest:
            self._find(
                names.NAME,
                f"the root digest is {told}, but the manifest's content gives {manifest.digest}",
            )
        elif raw != manifest.dump():
            self._find(names.NAME, "its bytes are not those that its content is written as")
        if manifest.version != self.folder.name:
            self._find(names.NAME, f"says version {manifest.version} in folder {self.folder.name}")
        return manifest

    def _files(self, manifest: Manifest) -> None:
        present = {path.name: path for path in self.folder.iterdir()}
        expected = set(manifest.files) | {names.NAME}
        for name in sorted(present.keys() - expected):
            self._find(name, "is no part of the release: it was added later")
        for name in sorted(set(names.REQUIRED) - set(manifest.files)):
            self._find(names.NAME, f"does not list {name}")
        for name in sorted(manifest.files):
            path = present.get(name)
            if path is None or not path.is_file() or path.is_symlink():
                self._find(name, "is missing")
                continue
            entry = self._guarded(name, partial(entry_of, path))
            if entry is None or entry == manifest.files[name]:
                continue
            told = manifest.files[name]
            what = (
                f"has {entry.bytes} bytes in place of {told.bytes}"
                if entry.bytes != told.bytes
                else f"its SHA-256 is {entry.sha256[:12]}…, not {told.sha256[:12]}…"
            )
            self._find(name, f"was changed after it was published: {what}")

    def _schema(self, manifest: Manifest, schema: LabelSchema) -> bool:
        if manifest.schema.get("digest") != schema.digest:
            self._find(names.SCHEMA, "is not the schema that the manifest names")
        if _text(self.folder / names.SCHEMA) != schema.to_yaml():
            self._find(names.SCHEMA, "is not in canonical form")
        return True

    def _documents(self, manifest: Manifest, schema: LabelSchema) -> bool:
        groups: dict[str, str] = {}
        for gold in self.release.documents():
            self._document(gold, schema, groups)
            self.facts.add(gold)
            annotation = gold.annotation
            self._items[gold.id] = len(annotation.entities) + len(annotation.relations)
        return True

    def _document(self, gold: GoldDocument, schema: LabelSchema, groups: dict[str, str]) -> None:
        reason = schema.misfit(gold.annotation, gold.document.text)
        if reason:
            self._find(names.ENTITIES, f"document {gold.id!r}: {reason}", document=gold.id)
        keys = [entity.key for entity in gold.annotation.entities]
        if any(a >= b for a, b in pairwise(keys)):
            self._find(names.ENTITIES, f"document {gold.id!r}: out of order or twice")
        links = [relation.key for relation in gold.annotation.relations]
        if any(a >= b for a, b in pairwise(links)):
            self._find(names.RELATIONS, f"document {gold.id!r}: out of order or twice")
        if canonical(gold.annotation, schema) is not gold.annotation:
            self._find(names.RELATIONS, f"document {gold.id!r}: a symmetric relation is turned")
        if gold.split not in SPLITS:
            self._find(names.DOCUMENTS, f"document {gold.id!r}: unknown split {gold.split!r}")
        other = groups.setdefault(gold.group, gold.split)
        if other != gold.split:
            self._find(
                names.DOCUMENTS,
                f"group {gold.group!r} stands in {other} and in {gold.split}: near duplicates leak "
                f"(document {gold.id!r})",
                document=gold.id,
            )
        self._places[gold.id] = (gold.group, gold.split)

    def _provenance(self) -> bool:
        with (self.folder / names.PROVENANCE).open("rb") as stream:
            seen = 0
            for document, record in read_provenance(stream):
                seen += 1
                items = len(record["entities"]) + len(record["relations"])
                if self._items.get(document) != items:
                    self._find(
                        names.PROVENANCE,
                        f"document {document!r}: {items} items traced, the release holds "
                        f"{self._items.get(document, 0)}",
                        document=document,
                    )
                self.facts.add_provenance(record)
        if seen != len(self._items):
            self._find(names.PROVENANCE, f"traces {seen} documents of {len(self._items)}")
        return True

    def _numbers(self, manifest: Manifest, schema: LabelSchema) -> None:
        counted = self.facts.as_counts(_template(manifest))
        for key in sorted(counted.keys() | manifest.counts.keys()):
            if counted.get(key) != manifest.counts.get(key):
                self._find(
                    names.NAME,
                    f"counts {key}: {_short(manifest.counts.get(key))}, the files hold "
                    f"{_short(counted.get(key))}",
                )
        if dict(sorted(self.facts.rules.items())) != dict(manifest.rules):
            self._find(names.NAME, "its rules are not those of the provenance")
        if self.facts.agreement.result() != manifest.agreement:
            self._find(names.NAME, "its agreement is not that of the provenance")
        if manifest.card.get("template") not in TEMPLATES:
            self.notes.append("the data card was written by another version of curate")
        elif _text(self.folder / names.CARD) != render_card(manifest, schema):
            self._find(names.CARD, "the data card does not say what the release holds")

    def _changes(self, manifest: Manifest, schema: LabelSchema) -> None:
        told = _story(self.folder / names.CHANGES)
        parent: Release | None = None
        if manifest.parent is None:
            if manifest.version != str(FIRST):
                self._find(names.NAME, f"a release without a parent is {FIRST}")
        else:
            parent = Release(self.folder.parent / str(Version.parse(manifest.parent["version"])))
            if not parent.folder.is_dir():
                self.notes.append(
                    f"its parent {manifest.parent['version']} is not here: the changes were not "
                    "checked"
                )
                return
            if parent.manifest.digest != manifest.parent["digest"]:
                self._find(names.NAME, f"its parent {parent.version} has another root digest")
        tally, examples = self._compare(parent, schema)
        bump = tally.bump
        repackaged: list[str] = []
        if parent is not None:
            self._kept(parent, manifest)
            if bump is None:
                repackaged = repackaged_files(
                    parent.manifest,
                    {n: e for n, e in manifest.files.items() if n not in _DERIVED},
                    manifest.card,
                )
                bump = Bump.PATCH
            follows = Version.parse(parent.version).next(bump)
            if manifest.version != str(follows):
                self._find(names.NAME, f"the changes call for {bump}, which is {follows}")
        story = ReleaseChanges(tally.as_counts(), repackaged, examples, told["notes"])
        head, tail = changes_frame(manifest, story, None if parent is None else bump)
        if (told["head"], told["tail"]) != (head, tail):
            self._find(names.CHANGES, "its summary is not that of the changes from the parent")
        older = "" if parent is None else _text(parent.folder / names.CHANGELOG)
        changelog = _text(self.folder / names.CHANGELOG)
        if manifest.card.get("template") in TEMPLATES and changelog != render_changelog(
            manifest, story, older
        ):
            self._find(names.CHANGELOG, "does not tell the changes from the parent")

    def _compare(
        self, parent: Release | None, schema: LabelSchema
    ) -> tuple[DiffTally, list[Mapping[str, Any]]]:
        """Diff with the parent, held against CHANGES.json line by line."""
        tally = DiffTally()
        examples: list[Mapping[str, Any]] = []

        def changes() -> Iterator[Any]:
            if parent is None:
                yield from diff_blocks((), self.release.blocks(), schema)
            else:
                yield from diff_schemas(parent.schema, schema)
                yield from diff_blocks(parent.blocks(), self.release.blocks(), schema)

        with (self.folder / names.CHANGES).open("rb") as stream:
            next(stream, b"")
            same = True
            for number, change in enumerate(tally.watch(changes()), start=2):
                row = change.as_dict()
                if len(examples) < EXAMPLES:
                    examples.append(row)
                line = next(stream, b"").decode("utf-8").rstrip("\n").removesuffix(",")
                if same and line != encode(row):
                    self._find(names.CHANGES, "is not what changed from the parent", number)
                    same = False
        return tally, examples

    def _kept(self, parent: Release, manifest: Manifest) -> None:
        """No document may leave the split it was first given."""
        known = {key: tuple(value) for key, value in parent.manifest.retired.items()}
        known |= {key: (p.group, p.split) for key, p in places_of(parent).items()}
        retired = {key: tuple(value) for key, value in manifest.retired.items()}
        for key, place in sorted(known.items()):
            now = self._places.get(key) or retired.get(key)
            if now != place:
                self._find(
                    names.DOCUMENTS if key in self._places else names.NAME,
                    f"document {key!r} stood in {place[1]} (group {place[0]!r}), now in "
                    + ("nothing" if now is None else f"{now[1]} (group {now[0]!r})"),
                    document=key,
                )


_DERIVED = (names.CHANGES, names.CHANGELOG, names.CARD)


def _template(manifest: Manifest) -> int:
    """The card's template; one of another curate is checked as far as the newest here goes."""
    told = manifest.card.get("template")
    return told if told in TEMPLATES else TEMPLATES[-1]


def _story(path: Path) -> dict[str, Any]:
    """First and last line of CHANGES.json, and the notes in the latter."""
    with path.open("rb") as stream:
        head = stream.readline()
        tail = head
        for line in stream:
            tail = line
    head_text = head.decode("utf-8")
    tail_text = tail.decode("utf-8")
    if tail is head:
        head_text, _, rest = head_text.partition("]")
        tail_text = "]" + rest
    summary = json.loads("{" + tail_text[2:])
    return {"head": head_text.rstrip("\n"), "tail": tail_text, "notes": str(summary["notes"])}


def _text(path: Path) -> str:
    """Without translating line ends."""
    return path.read_bytes().decode("utf-8")


def _short(value: Any) -> str:
    text = encode(value)
    return text if len(text) <= 60 else text[:57] + "…"
