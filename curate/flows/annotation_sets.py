"""What may stand where a command takes annotations: a file, a release, or a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from curate.errors import DataError, UsageError
from curate.model import Annotation, Document, Source

if TYPE_CHECKING:
    from curate.schema import LabelSchema
    from curate.scoring.reading import AnnotatedSet

Annotated = tuple[Document, Annotation]


class AnnotationSet(Protocol):
    """Annotated documents with a name, and a digest that changes whenever they do."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str: ...

    def load(self, documents: Callable[[], Iterable[Document]] | None = None) -> AnnotatedSet:
        """The claims as columns.  A model is asked about ``documents``; the others ignore them."""

    def records(self, ids: Collection[str]) -> Iterator[Annotated]:
        """These documents in full, in any order."""


@dataclass(frozen=True)
class FileSet:
    """An interchange file."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def digest(self) -> str:
        return "sha256:" + _sha256(self.path)

    def load(self, documents: Callable[[], Iterable[Document]] | None = None) -> AnnotatedSet:
        from curate.scoring.reading import read_file

        return read_file(self.path)

    def records(self, ids: Collection[str]) -> Iterator[Annotated]:
        from curate.interchange import read

        for record in read(self.path):
            if record.document.id in ids:
                yield record.document, record.annotation


@dataclass(frozen=True)
class ReleaseSet:
    """A published release in its folder."""

    folder: Path

    @property
    def name(self) -> str:
        return f"{self.folder.parent.name} {self.folder.name}"

    @cached_property
    def digest(self) -> str:
        from curate.gold.reading import open_release

        return "release:" + open_release(self.folder).manifest.digest

    @property
    def schema(self) -> LabelSchema:
        from curate.gold.reading import open_release

        return open_release(self.folder).schema

    def load(self, documents: Callable[[], Iterable[Document]] | None = None) -> AnnotatedSet:
        from curate.gold.manifest import DOCUMENTS
        from curate.gold.reading import open_release
        from curate.scoring.reading import AnnotatedSet

        found = AnnotatedSet(self.name, self.folder / DOCUMENTS)
        for number, gold in enumerate(open_release(self.folder).documents(), start=1):
            found.add(
                gold.document, gold.annotation, line=number, split=gold.split, group=gold.group
            )
        return found

    def records(self, ids: Collection[str]) -> Iterator[Annotated]:
        from curate.gold.reading import open_release

        for gold in open_release(self.folder).documents():
            if gold.id in ids:
                yield gold.document, gold.annotation


Predict = Callable[[Sequence[Document]], Iterable[Annotation]]


@dataclass
class ModelSet:
    """What a model says; asked once, of the documents it is to be scored on.

    ``predict`` answers for every document it is given, from the cache where it has one.
    """

    source: Source
    predict: Predict
    _said: dict[str, Annotated] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return str(self.source)

    @property
    def digest(self) -> str:
        return f"model:{self.source.digest or self.source}"

    def load(self, documents: Callable[[], Iterable[Document]] | None = None) -> AnnotatedSet:
        from curate.scoring.reading import AnnotatedSet

        if documents is None:
            raise UsageError(
                f"the model {self.name} has no documents of its own; give them with --gold"
            )
        asked = {document.id: document for document in documents()}
        for annotation in self.predict(list(asked.values())):
            if annotation.document_id not in asked:
                raise DataError(
                    f"the model {self.name} answered for document {annotation.document_id!r}, "
                    "which it was not asked about"
                )
            self._said[annotation.document_id] = asked[annotation.document_id], annotation
        silent = asked.keys() - self._said.keys()
        if silent:
            raise DataError(f"the model {self.name} gave no answer for document {min(silent)!r}")
        found = AnnotatedSet(self.name)
        for document_id in sorted(asked):
            found.add(*self._said[document_id])
        return found

    def records(self, ids: Collection[str]) -> Iterator[Annotated]:
        for document_id in sorted(ids):
            if document_id in self._said:
                yield self._said[document_id]


def set_at(path: Path) -> AnnotationSet | None:
    """What lies at this path: a file, or a release's folder; None where there is neither."""
    if path.is_dir():
        return ReleaseSet(path) if (path / "manifest.json").is_file() else None
    return FileSet(path) if path.exists() else None


def gold_set(reference: str, folder: Path | None = None) -> AnnotationSet:
    """The gold set of this name; see :func:`curate.gold.opening.open_gold`."""
    found = set_at(Path(reference)) if reference != "latest" else None
    if found is not None:
        return found
    from curate.gold.opening import open_gold

    return ReleaseSet(open_gold(reference, folder).path)


def looks_like_path(reference: str) -> bool:
    """Whether somebody who wrote this meant a file."""
    return reference.endswith((".jsonl", ".json")) or (
        "/" in reference and not reference.startswith(("http://", "https://"))
    )


def _sha256(path: Path) -> str:
    import hashlib

    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise DataError("there is no such file", path=path) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None
