"""Reading a release, a document at a time: its files are sorted alike, so memory stays constant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import IO

from curate.errors import DataError, DiskError
from curate.gold import manifest as names
from curate.gold.items import GoldDocument
from curate.gold.lines import encode, parse, parse_gold
from curate.gold.manifest import Manifest, entry_of, read_manifest
from curate.schema import LabelSchema, read_schema


@dataclass(frozen=True, slots=True)
class Block:
    """The lines of one document in the data files, not yet parsed."""

    id: str
    document: bytes
    entities: list[bytes]
    relations: list[bytes]
    chains: list[bytes]
    line: int = 0

    def parsed(self) -> GoldDocument:
        """Raises DataError where the lines are not those of a release."""
        return parse_gold(self.document, self.entities, self.relations, self.chains)

    @property
    def claims(self) -> tuple[list[bytes], list[bytes], list[bytes]]:
        """What is annotated, without the document's own line."""
        return self.entities, self.relations, self.chains


@dataclass(frozen=True)
class Release:
    """A published release in its folder."""

    folder: Path

    @cached_property
    def manifest(self) -> Manifest:
        return read_manifest(self.folder)

    @cached_property
    def schema(self) -> LabelSchema:
        return read_schema(self.folder / names.SCHEMA)

    @property
    def version(self) -> str:
        return self.manifest.version

    def blocks(self) -> Iterator[Block]:
        """Every document's lines, by document id.

        Raises DataError naming the file where the files do not belong together.
        """
        with ExitStack() as stack:

            def lines(name: str) -> _Lines:
                path = self.folder / name
                if name == names.CHAINS and not path.exists():
                    return _Lines(path, iter(()))
                return _Lines(path, stack.enter_context(_open(path)))

            parts = [lines(name) for name in (names.ENTITIES, names.RELATIONS, names.CHAINS)]
            last = ""
            for number, raw in enumerate(lines(names.DOCUMENTS).rest(), start=1):
                document_id = _id_of(raw, self.folder / names.DOCUMENTS, number)
                if last and document_id <= last:
                    raise DataError(
                        f"document {document_id!r} is out of order",
                        path=self.folder / names.DOCUMENTS,
                        line=number,
                    )
                last = document_id
                mark = b'"document":' + encode(document_id).encode("utf-8")
                entities, relations, chains = (part.of(mark) for part in parts)
                yield Block(document_id, raw, entities, relations, chains, number)
            for part in parts:
                part.must_be_empty()

    def documents(self, split: str | None = None) -> Iterator[GoldDocument]:
        """Every document, or those of one split, by id.  Raises DataError for damaged lines."""
        mark = None if split is None else b'"split":' + encode(split).encode("utf-8")
        for block in self.blocks():
            if mark is not None and mark not in block.document:
                continue
            try:
                yield block.parsed()
            except DataError as error:
                raise DataError(
                    f"document {block.id!r}: {error.message}",
                    path=self.folder / names.DOCUMENTS,
                    line=block.line,
                ) from None

    def provenance_lines(self, document_id: str) -> list[bytes]:
        """The lines of provenance.jsonl about one document."""
        mark = b'"document":' + encode(document_id).encode("utf-8") + b","
        with _open(self.folder / names.PROVENANCE) as stream:
            return [line for line in stream if mark in line]

    def check(self, files: Iterable[str] = ()) -> None:
        """Raises DataError naming the first file whose bytes are not those published."""
        for name in files or self.manifest.files:
            entry = self.manifest.files.get(name)
            path = self.folder / name
            if entry is None or not path.is_file() or path.is_symlink():
                raise DataError("is missing from the release", path=path)
            if entry_of(path) != entry:
                raise DataError(
                    "was changed after it was published; run `curate gold verify`", path=path
                )


def open_release(folder: Path) -> Release:
    """The release in this folder, its manifest read.  Raises DataError where there is none."""
    release = Release(folder)
    _ = release.manifest
    return release


class _Lines:
    """The lines of a file, taken document by document."""

    def __init__(self, path: Path, stream: Iterable[bytes]) -> None:
        self.path = path
        self._stream = iter(stream)
        self._next: bytes | None = None
        self._number = 0

    def rest(self) -> Iterator[bytes]:
        return chain(self._stream)

    def of(self, mark: bytes) -> list[bytes]:
        """The lines that come next and belong to the document of this mark."""
        found: list[bytes] = []
        line = self._next
        if line is None:
            line = next(self._stream, None)
        while line is not None and _belongs(line, mark):
            found.append(line)
            line = next(self._stream, None)
        self._number += len(found)
        self._next = line
        return found

    def must_be_empty(self) -> None:
        line = self._next if self._next is not None else next(self._stream, None)
        if line is not None:
            raise DataError(
                "the line belongs to no document, or is out of order",
                path=self.path,
                line=self._number + 1,
            )


def _belongs(line: bytes, mark: bytes) -> bool:
    at = line.find(mark)
    return at >= 0 and line[at + len(mark) : at + len(mark) + 1] in (b",", b"}")


def _id_of(raw: bytes, path: Path, number: int) -> str:
    try:
        value = parse(raw).get("id")
    except DataError as error:
        raise error.at(path, number) from None
    if not isinstance(value, str):
        raise DataError("the line has no document id", path=path, line=number)
    return value


def _open(path: Path) -> IO[bytes]:
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise DataError("is a link or no file, as a release's never is", path=path)
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise DataError("is missing from the release", path=path) from None
    except OSError as error:
        raise DiskError(f"cannot be read: {error.strerror}", path=path) from None
