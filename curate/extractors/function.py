"""``module:function`` as an extractor.

The function takes an iterable of documents and gives annotations, or dictionaries in the
interchange form without a text: ``{"id": …, "entities": […], "relations": […]}``.  The name may
also be that of an object with ``extract``, or of a class whose instances have it.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import ConfigurationError, CurateError, DataError
from curate.extractors.interface import Extractor
from curate.interchange import parse_record
from curate.model import Annotation, Document, Source


@dataclass(frozen=True)
class Function:
    """A function as an extractor; its digest is that of its module's source."""

    name: str
    version: str
    digest: str
    call: Callable[[Iterable[Document]], Iterable[Annotation | Mapping[str, Any]]]

    def extract(self, documents: Iterable[Document]) -> Iterator[Annotation]:
        asked: dict[str, Document] = {}

        def passed() -> Iterator[Document]:
            for document in documents:
                asked[document.id] = document
                yield document

        source = Source.model(self.name, self.version, self.digest)
        for answer in self._answers(passed()):
            if isinstance(answer, Annotation):
                yield answer
            else:
                yield from_record(answer, asked, source)

    def _answers(self, documents: Iterable[Document]) -> Iterator[Any]:
        """What the function gives; what it raises is told with its place, not as a bug of ours."""
        try:
            yield from self.call(documents)
        except CurateError:
            raise
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise ConfigurationError(
                f"extractor {self.name} failed with {type(error).__name__} at {place.filename}:"
                f"{place.lineno}; it takes an iterable of documents and gives annotations"
            ) from None


def from_record(
    record: Mapping[str, Any], asked: Mapping[str, Document], source: Source
) -> Annotation:
    """An annotation from its JSON form, spans in the text of the document that was asked about.

    Raises DataError where it is malformed or about another document.
    """
    if not isinstance(record, Mapping):
        raise DataError(f"{source} answered with a {type(record).__name__}, not an annotation")
    document = asked.get(str(record.get("id")))
    if document is None:
        raise DataError(f"{source} answered about document {record.get('id')!r}, never asked about")
    value = {key: record[key] for key in ("entities", "relations", "chains") if key in record}
    try:
        return parse_record(value | {"id": document.id, "text": document.text}, source).annotation
    except DataError as error:
        raise DataError(f"{source}, document {document.id!r}: {error.message}") from None


def load_function(reference: str) -> Extractor:
    """The extractor that ``module:name`` names.

    The current folder is searched too.  Raises ConfigurationError saying what is missing.
    """
    module_name, _, attribute = reference.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"cannot import {reference!r}: no module {error.name!r}") from None
    except Exception as error:  # a module may raise anything while it is imported
        raise ConfigurationError(
            f"cannot import {module_name!r}: {type(error).__name__} in it; import it by hand to see"
        ) from None
    target: Any = module
    for part in attribute.split("."):
        target = getattr(target, part, None)
        if target is None:
            raise ConfigurationError(f"module {module_name!r} has no {attribute!r}")
    if isinstance(target, type):
        target = target()
    if hasattr(target, "extract"):
        return as_extractor(target, reference)
    if not callable(target):
        raise ConfigurationError(f"{reference!r} is neither a function nor an extractor")
    file = getattr(module, "__file__", None)
    text = Path(file).read_bytes() if file else reference.encode()
    return Function(
        name=getattr(target, "name", reference),
        version=str(getattr(target, "version", "")),
        digest=hashlib.sha256(reference.encode() + b"\0" + text).hexdigest(),
        call=target,
    )


@dataclass(frozen=True)
class Named:
    """An object with ``extract`` that lacks some of an extractor's names."""

    name: str
    version: str
    digest: str
    inner: Any

    def extract(self, documents: Iterable[Document]) -> Iterator[Annotation]:
        yield from self.inner.extract(documents)


def as_extractor(found: Any, reference: str) -> Extractor:
    """The object as an extractor, missing names filled in."""
    if isinstance(found, Extractor):
        return found
    name = str(getattr(found, "name", reference))
    version = str(getattr(found, "version", ""))
    digest = (
        getattr(found, "digest", None) or hashlib.sha256(f"{name}\0{version}".encode()).hexdigest()
    )
    return Named(name, version, str(digest), found)
