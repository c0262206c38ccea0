"""Predictions as a folder of Parquet files: one a partition, written whole, and a manifest.

``part-000000.parquet`` … hold a row for each document (docs/cluster.md has the columns).  Each says
in its metadata which model answered which documents, so that a second run knows what is done,
whether the first came to its end or not.  ``manifest.json`` lists the files with their digests; the
same documents and model give the same bytes, whatever engine read them.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from curate.errors import ConfigurationError, DataError
from curate.extractors.engines import Answered, Partition
from curate.interchange import canonical_json
from curate.model import Source
from curate.urls import opened, place, publish, translated

FORMAT = "curate predictions 1"
MANIFEST = "manifest.json"
CHECKPOINT = 30.0
"""Seconds after which the manifest is written again while a run goes on."""
_PART = re.compile(r"part-(\d{6,})\.parquet\Z")
_KEY = b"curate"


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the folder; ``input`` is the digest of the ids and texts that it answers."""

    file: str
    input: str
    documents: int
    entities: int
    relations: int
    bytes: int
    sha256: str


def digest_of_partition(partition: Partition) -> str:
    """SHA-256 over the ids and the digests of the texts, in their order, in hex."""
    digest = hashlib.sha256()
    for document in partition.documents:
        digest.update(f"{document.id}\0{document.digest}\n".encode())
    return digest.hexdigest()


class PredictionFolder:
    """The folder at an address, for one model's answers.

    Raises DataError for a folder that holds something else.
    """

    def __init__(self, url: str, model: Source, schema: str, size: int) -> None:
        _pyarrow()
        self.root = place(url)
        self.model = model
        self.about = {
            "format": FORMAT,
            "model": {"name": model.name, "version": model.version, "digest": model.digest},
            "schema": schema,
            "partition": size,
        }
        self.parts: dict[int, Part] = {}
        self._old: dict[int, Part] = {}
        self._sizes = self._listed()
        self._read_manifest()
        self._written = time.monotonic()

    def known(self, number: int, digest: str) -> Part | None:
        """The file of this partition where it is there, whole, and answers these documents."""
        name = part_name(number)
        size = self._sizes.get(name)
        if size is None:
            return None
        part = self._old.get(number)
        if part is None or part.bytes != size:
            part = self._looked_at(name)
        return part if part is not None and part.input == digest else None

    def keep(self, number: int, part: Part) -> None:
        """Count a file that is there."""
        self.parts[number] = part

    def write(self, answered: Answered) -> Part:
        """Write the file of a partition."""
        number = answered.partition.number
        digest = digest_of_partition(answered.partition)
        content = to_parquet(answered, self.model, {**self.about, "input": digest})
        part = Part(
            part_name(number),
            digest,
            len(answered.rows),
            sum(len(row.entities) for row in answered.rows),
            sum(len(row.relations) for row in answered.rows),
            len(content),
            hashlib.sha256(content).hexdigest(),
        )
        publish(self.root / part.file, content)
        self.parts[number] = part
        if time.monotonic() - self._written > CHECKPOINT:
            self.write_manifest(complete=False)
        return part

    def write_manifest(self, *, complete: bool, passed_over: int = 0) -> str:
        """Write what the folder holds; returns the digest over all of it."""
        rows = [asdict(self.parts[number]) for number in sorted(self.parts)]
        manifest: dict[str, Any] = {
            **self.about,
            "complete": complete,
            "passed_over": passed_over,
            "documents": sum(part.documents for part in self.parts.values()),
            "entities": sum(part.entities for part in self.parts.values()),
            "relations": sum(part.relations for part in self.parts.values()),
            "partitions": rows,
        }
        manifest["digest"] = hashlib.sha256(canonical_json(manifest)).hexdigest()
        text = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        publish(self.root / MANIFEST, text.encode("utf-8"))
        self._written = time.monotonic()
        return str(manifest["digest"])

    def strangers(self) -> list[str]:
        """Files that look like ours and belong to no partition of this run."""
        ours = {part.file for part in self.parts.values()}
        return sorted(name for name in self._sizes if name not in ours)

    def _listed(self) -> dict[str, int]:
        """Name → size of the partitions' files."""
        with translated(self.root):
            if not self.root.fs.isdir(self.root.path):
                if self.root.fs.exists(self.root.path):
                    raise DataError("is a file; name a folder", path=str(self.root))
                return {}
            self.root.fs.invalidate_cache()
            rows = self.root.fs.ls(self.root.path, detail=True)
        found: dict[str, int] = {}
        for row in rows:
            name = str(row["name"]).rstrip("/").rsplit("/", 1)[-1]
            if _PART.match(name):
                found[name] = int(row["size"])
        return found

    def _read_manifest(self) -> None:
        where = self.root / MANIFEST
        with translated(where):
            if not where.fs.exists(where.path):
                return
        try:
            with opened(where) as stream:
                told = json.loads(stream.read())
            about = {key: told[key] for key in self.about}
            old = {_number(row["file"]): Part(**row) for row in told["partitions"]}
        except (ValueError, KeyError, TypeError):
            raise DataError(
                "is no manifest of predictions; name another folder", path=str(where)
            ) from None
        if about != self.about:
            raise DataError(
                f"the folder holds predictions of {_difference(about, self.about)}; name another "
                "folder",
                path=str(where),
            )
        self._old = old

    def _looked_at(self, name: str) -> Part | None:
        """What the file says of itself; None where it is cut short or somebody else's."""
        where = self.root / name
        with opened(where) as stream:
            content = stream.read()
        pa, parquet = _pyarrow()
        try:
            with parquet.ParquetFile(io.BytesIO(content)) as file:
                told = json.loads((file.schema_arrow.metadata or {})[_KEY])
            if {key: told[key] for key in self.about} != self.about:
                return None
            return Part(
                name,
                told["input"],
                told["documents"],
                told["entities"],
                told["relations"],
                len(content),
                hashlib.sha256(content).hexdigest(),
            )
        except (pa.ArrowException, KeyError, ValueError, TypeError):
            return None


def part_name(number: int) -> str:
    return f"part-{number:06d}.parquet"


def _number(name: str) -> int:
    found = _PART.match(name)
    if found is None:
        raise ValueError(name)
    return int(found.group(1))


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    if old["format"] != new["format"]:
        return "another format"
    if old["model"] != new["model"]:
        name = f"{old['model']['name']}@{old['model']['version']}"
        return f"{name} with digest {old['model']['digest'][:12]}"
    if old["schema"] != new["schema"]:
        return "another schema"
    return f"partitions of {old['partition']} documents (--partition {old['partition']} goes on)"


def to_parquet(answered: Answered, model: Source, about: Mapping[str, Any]) -> bytes:
    """The bytes of a partition's file; the same for the same answers."""
    pa, parquet = _pyarrow()
    rows = answered.rows
    count = len(rows)
    told = {
        **about,
        "documents": count,
        "entities": sum(len(row.entities) for row in rows),
        "relations": sum(len(row.relations) for row in rows),
    }
    schema = arrow_schema().with_metadata({_KEY: canonical_json(told)})
    columns: dict[str, Iterable[Any]] = {
        "document_id": [row.document_id for row in rows],
        "text_sha256": [document.digest for document in answered.partition.documents],
        "model": [model.name] * count,
        "version": [model.version] * count,
        "model_digest": [model.digest] * count,
        "entities": [
            [
                {"start": s, "end": e, "label": label, "score": score, "canonical": canonical}
                for s, e, label, score, canonical in row.entities
            ]
            for row in rows
        ],
        "relations": [
            [
                {"head": head, "tail": tail, "label": label, "score": score}
                for head, tail, label, score in row.relations
            ]
            for row in rows
        ],
        "chains": [[list(chain) for chain in row.chains] for row in rows],
    }
    table = pa.Table.from_arrays(
        [pa.array(columns[field.name], field.type) for field in schema], schema=schema
    )
    sink = io.BytesIO()
    parquet.write_table(table, sink, compression="zstd", version="2.6")
    return sink.getvalue()


def arrow_schema() -> Any:
    """The columns of a partition's file, as an Arrow schema."""
    pa, _ = _pyarrow()
    entity = pa.struct(
        [
            ("start", pa.int32()),
            ("end", pa.int32()),
            ("label", pa.string()),
            ("score", pa.float64()),
            ("canonical", pa.string()),
        ]
    )
    relation = pa.struct(
        [
            ("head", pa.int32()),
            ("tail", pa.int32()),
            ("label", pa.string()),
            ("score", pa.float64()),
        ]
    )
    return pa.schema(
        [
            ("document_id", pa.string()),
            ("text_sha256", pa.string()),
            ("model", pa.string()),
            ("version", pa.string()),
            ("model_digest", pa.string()),
            ("entities", pa.list_(entity)),
            ("relations", pa.list_(relation)),
            ("chains", pa.list_(pa.list_(pa.int32()))),
        ]
    )


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ConfigurationError("Parquet files need pyarrow; install curate[dask]") from None
    return pyarrow, parquet
