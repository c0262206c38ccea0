"""Where a model reads documents: in this process, in worker processes here, or on a cluster.

An engine takes partitions and gives what the model says of each, in any order; whatever the engine
and however many its workers, a partition's answer is the same to the byte.  The core of all of
them is :func:`read`, which runs where the model is loaded.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from curate.errors import ConfigurationError, CurateError, UsageError
from curate.extractors.interface import NOTHING_LEFT, Below, Extractor, Misfits, answers, least
from curate.model import Annotation, Document, Entity, Relation, Source
from curate.schema import LabelSchema

if TYPE_CHECKING:
    from curate.extractors.recipe import Recipe

LOCAL = "local"
SCHEMES = {"dask": "tcp", "tcp": "tcp", "tls": "tls"}
ATTEMPTS = 3
"""How many workers may end over one partition before it is given up and named."""
FEW = 400
"""So many documents are read sooner in this process than workers can be started."""

EntityRow = tuple[int, int, str, float | None, str | None]
RelationRow = tuple[int, int, str, float | None]


@dataclass(frozen=True, slots=True)
class Partition:
    """Documents that are read together: the unit of work, of loss and of keeping."""

    number: int
    documents: tuple[Document, ...]

    def __str__(self) -> str:
        first, last = self.documents[0].id, self.documents[-1].id
        return f"partition {self.number} ({len(self.documents)} documents, {first!r} to {last!r})"


@dataclass(frozen=True)
class Job:
    """What is asked of the model: answers that fit the schema and are at least this sure."""

    schema: LabelSchema
    min_score: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What the model says of one document, in plain values that travel fast.

    Entities are ``(start, end, label, score, canonical)``; relations ``(head, tail, label, score)``
    and chains name entities by their position.
    """

    document_id: str
    entities: tuple[EntityRow, ...]
    relations: tuple[RelationRow, ...]
    chains: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(cls, annotation: Annotation) -> Row:
        place = {entity.key: i for i, entity in enumerate(annotation.entities)}
        return cls(
            annotation.document_id,
            tuple((e.start, e.end, e.label, e.score, e.canonical) for e in annotation.entities),
            tuple(
                (place[r.head.key], place[r.tail.key], r.label, r.score)
                for r in annotation.relations
            ),
            tuple(tuple(place[e.key] for e in chain) for chain in annotation.chains),
        )

    def annotation(self, source: Source) -> Annotation:
        entities = tuple(Entity(*row) for row in self.entities)
        return Annotation(
            self.document_id,
            entities,
            tuple(
                Relation(entities[h], entities[t], label, s) for h, t, label, s in self.relations
            ),
            source,
            tuple(tuple(entities[i] for i in chain) for chain in self.chains),
        )


@dataclass(frozen=True, slots=True)
class Answered:
    """The rows of a partition in the order of its documents; what was left out, by reason."""

    partition: Partition
    rows: tuple[Row, ...]
    misfits: dict[str, int] = field(default_factory=dict)
    below: Below = NOTHING_LEFT


@dataclass(frozen=True, slots=True)
class Lost:
    """A partition over which ``ATTEMPTS`` workers ended."""

    partition: Partition
    reason: str

    def __str__(self) -> str:
        return f"{self.partition}: {self.reason}"


Answers = Generator["Answered | Lost", None, None]
Advance = Callable[[int], None]


class Engine(Protocol):
    """Runs a job over partitions.

    ``run`` draws partitions as there is room for them, so that memory does not grow with their
    number, and calls ``advance`` with the number of documents that are through.  It raises what
    the model or its loading raised (a CurateError); everything given before is good.  Closing the
    generator ends the work and whatever was started for it.
    """

    def run(
        self, job: Job, partitions: Iterable[Partition], advance: Advance | None = None
    ) -> Answers: ...


def read(
    extractor: Extractor, job: Job, partition: Partition, advance: Advance | None = None
) -> Answered:
    """Ask the model about the documents of a partition.

    Raises the CurateErrors of :func:`answers`, and ConfigurationError, naming place and partition,
    for whatever else the model raises.
    """
    misfits = Misfits()
    rows: dict[str, Row] = {}
    below = Below()
    try:
        for annotation in answers(extractor, partition.documents, job.schema, misfits):
            if job.min_score is not None:
                kept = least(annotation, job.min_score)
                below = below.plus(Below.between(annotation, kept))
                annotation = kept
            rows[annotation.document_id] = Row.of(annotation)
            if advance is not None:
                advance(1)
    except CurateError:
        raise
    except MemoryError:
        raise ConfigurationError(
            f"{extractor.name} ran out of memory in {partition}; use fewer processes"
        ) from None
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise ConfigurationError(
            f"{extractor.name} failed with {type(error).__name__} at {place.filename}:"
            f"{place.lineno} in {partition}"
        ) from None
    ordered = tuple(rows[document.id] for document in partition.documents)
    return Answered(partition, ordered, dict(sorted(misfits.counts.items())), below)


@dataclass(frozen=True)
class InProcess:
    """Reads in this process, one partition after the other."""

    extractor: Extractor

    def run(
        self, job: Job, partitions: Iterable[Partition], advance: Advance | None = None
    ) -> Answers:
        for partition in partitions:
            yield read(self.extractor, job, partition, advance)


@dataclass(frozen=True)
class Local:
    """The engine `local`: ``processes`` worker processes, or this process where that is sooner.

    By default a process per processor; one only for a handful of documents, and for a remote
    model, which decides itself how much it bears.
    """

    extractor: Extractor
    recipe: Callable[[], Recipe]
    processes: int | None = None

    def run(
        self, job: Job, partitions: Iterable[Partition], advance: Advance | None = None
    ) -> Answers:
        coming = iter(partitions)
        processes = self.processes or cores()
        if self.processes is None and processes > 1:
            head = list(_first(coming, FEW))
            if sum(len(partition.documents) for partition in head) <= FEW:
                processes = 1
            coming = chain(head, coming)
        if processes == 1:
            yield from InProcess(self.extractor).run(job, coming, advance)
            return
        from curate.extractors.pool import Pool

        yield from Pool(self.recipe(), processes).run(job, coming, advance)


def _first(partitions: Iterator[Partition], documents: int) -> Iterator[Partition]:
    """Partitions until they hold more than so many documents."""
    count = 0
    while count <= documents and (partition := next(partitions, None)) is not None:
        count += len(partition.documents)
        yield partition


def choose(
    text: str,
    extractor: Extractor,
    reference: str | None,
    schema: LabelSchema,
    *,
    processes: int | None = None,
    say: Callable[[str], None] | None = None,
) -> Engine:
    """The engine that ``--engine`` names, for the extractor that ``reference`` resolved to.

    ``say`` hears where a cluster is and how it fares.  Raises UsageError for what is no engine.
    """
    from curate.extractors.http import Remote
    from curate.extractors.recipe import Recipe

    address = parse_engine(text)

    def recipe() -> Recipe:
        return Recipe.of(extractor, reference, schema)

    if address is None:
        if processes is None and isinstance(extractor, Remote):
            processes = 1
        return Local(extractor, recipe, processes)
    if processes is not None:
        raise UsageError("--processes is of --engine local; a cluster has the workers it has")
    from curate.extractors.cluster import Cluster

    return Cluster(address, recipe(), say or (lambda message: None))


def parse_engine(text: str) -> str | None:
    """The address of the scheduler that ``--engine`` names; None for ``local``.

    ``dask://HOST:PORT`` is Dask's ``tcp://HOST:PORT``.  Raises UsageError for anything else.
    """
    if text == LOCAL:
        return None
    scheme, separator, place = text.partition("://")
    host, colon, port = place.rstrip("/").rpartition(":")
    right = separator and colon and host and port.isdigit() and 0 < int(port) < 65536
    if scheme not in SCHEMES or not right or "@" in place or "/" in host:
        raise UsageError(
            f"--engine {text!r} is neither `local` nor the address of a Dask scheduler "
            "(dask://HOST:PORT, or tls://HOST:PORT)"
        )
    return f"{SCHEMES[scheme]}://{host}:{port}"


def cores() -> int:
    """The processors that this process may use."""
    try:
        found = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        found = os.cpu_count() or 1
    return max(1, min(found, _quota() or found))


def _quota() -> int | None:
    """The share of processors that a container grants (cgroup v2), rounded up."""
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as stream:  # noqa: PTH123
            limit, period = stream.read().split()
        return None if limit == "max" else -(-int(limit) // int(period))
    except (OSError, ValueError):
        return None
