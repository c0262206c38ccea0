"""Documents at any address: JSON Lines (also compressed) and Parquet, read as they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curate.corpus.readers import Found, Options, document_of_object
from curate.errors import ConfigurationError, DataError
from curate.interchange import MAX_LINE_BYTES, parse_line
from curate.model import Document
from curate.urls import Place, files, opened, translated

PARQUET = ".parquet"
_PACKED = {"": None, ".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}
SUFFIXES = (PARQUET, *(f".jsonl{packed}" for packed in _PACKED))
_COLUMNS = ("text", "id", "source")
_ROWS = 500


def documents(url: str) -> Iterator[Document | DataError]:
    """The documents of a file, a pattern or a folder, in the order of the sorted names.

    A JSON Lines record and a Parquet row need ``text``; ``id`` is the user's or follows from the
    text; annotations are left alone.  A bad record is given as a DataError that names file and
    line (or row), and reading goes on.  Raises DataError for a file that cannot be read at all.
    """
    for where in files(url, SUFFIXES):
        low = where.name.lower()
        if not low.endswith(SUFFIXES):
            raise DataError(
                f"is of a kind that is not read here; known are {', '.join(SUFFIXES)}",
                path=str(where),
            )
        if low.endswith(PARQUET):
            yield from _parquet(where)
        else:
            yield from _lines(where, _PACKED[low.rpartition(".jsonl")[2]])


def _lines(where: Place, compression: str | None) -> Iterator[Document | DataError]:
    with opened(where, compression=compression) as stream:
        number = 0
        while True:
            with translated(where):
                raw = stream.readline(MAX_LINE_BYTES + 1)
            if not raw:
                return
            number += 1
            try:
                if len(raw) > MAX_LINE_BYTES:
                    while raw and not raw.endswith(b"\n"):
                        raw = stream.readline(1 << 20)
                    raise DataError(
                        f"the line is longer than {MAX_LINE_BYTES >> 20} MB; split the document"
                    )
                value = parse_line(raw, number)
                if value is not None:
                    yield _document(value, where)
            except DataError as error:
                yield error.at(str(where), number)


def _parquet(where: Place) -> Iterator[Document | DataError]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise ConfigurationError("Parquet files need pyarrow; install curate[dask]") from None
    read: Any = parquet.ParquetFile
    with opened(where) as stream:
        try:
            table = read(stream)
        except pa.ArrowInvalid:
            raise DataError("is no Parquet file, or a damaged one", path=str(where)) from None
        columns = [name for name in _COLUMNS if name in table.schema_arrow.names]
        if "text" not in columns:
            raise DataError(
                "has no column 'text' (and 'id', where documents have one)", path=str(where)
            )
        number = 0
        try:
            for batch in table.iter_batches(batch_size=_ROWS, columns=columns):
                for value in batch.to_pylist():
                    number += 1
                    try:
                        yield _document(value, where)
                    except DataError as error:
                        yield error.at(str(where), number)
        except pa.ArrowException:
            raise DataError("is damaged; write it again", path=str(where), line=number) from None


def _document(value: dict[str, Any], where: Place) -> Document:
    if value.get("source") is None:
        value.pop("source", None)
    return document_of_object(value, Found(Path(where.name), where.name), _OPTIONS)


_OPTIONS = Options(language="")
