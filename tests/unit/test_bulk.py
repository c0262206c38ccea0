"""Bulk pre-annotation: documents from any address, predictions to any address, each once."""

from __future__ import annotations

import gzip
import io
import json
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from curate.errors import ConfigurationError, DataError
from curate.extractors import engines
from curate.extractors.engines import Answered, InProcess, Job, Lost, Partition
from curate.extractors.interface import Extractor
from curate.flows import bulk
from curate.flows.reporter import Silent
from curate.model import Annotation, Document, Entity, Relation, Source
from curate.schema import EntityType, LabelSchema, parse_schema
from curate.store import NewDocument, Store
from curate.store.engine import sqlite_url
from curate.urls import place, shown

fsspec = pytest.importorskip("fsspec")
pyarrow = pytest.importorskip("pyarrow")

SCHEMA = parse_schema(
    "name: x\nlanguage: en\nentities:\n  - name: A\n  - name: B\n"
    "relations:\n  - {name: r, head: [A], tail: [B]}\n"
)


class Fixed:
    """Answers in reverse order; remembers what it was asked."""

    name = "fixed"
    version = "1"
    digest = "d1"

    def __init__(self, interrupt: str = "") -> None:
        self.asked: list[str] = []
        self.interrupt = interrupt

    def extract(self, documents: Iterable[Document]) -> Iterator[Annotation]:
        for document in reversed(list(documents)):
            if document.id == self.interrupt:
                raise KeyboardInterrupt
            self.asked.append(document.id)
            a, b = Entity(0, 1, "A", 1 / 3, "cân"), Entity(2, 3, "B")
            yield Annotation.of(
                document.id, [a, b], [Relation(a, b, "r", 0.5)], Source.model("m"), [[a, b]]
            )


def lines(count: int) -> str:
    return "".join(json.dumps({"id": f"d{i}", "text": f"a b {i}"}) + "\n" for i in range(count))


@pytest.fixture
def memory() -> Iterator[str]:
    """A folder in memory, empty before and after."""
    root = f"memory://curate-{uuid.uuid4().hex}"
    yield root
    fs = fsspec.filesystem("memory")
    if fs.exists(root):
        fs.rm(root, recursive=True)


def put(url: str, content: bytes) -> str:
    with fsspec.open(url, "wb") as stream:
        stream.write(content)
    return url


def content(url: str) -> dict[str, bytes]:
    """Every file of a folder, by name."""
    fs, path = fsspec.core.url_to_fs(url)
    return {name.rsplit("/", 1)[-1]: fs.cat_file(name) for name in fs.find(path)}


def run(extractor: Extractor, source: str | Store, output: str, **options: Any) -> bulk.Bulk:
    said = options.pop("said", Silent())
    engine = options.pop("engine", InProcess(extractor))
    options.setdefault("partition", 2)
    return bulk.to_files(
        extractor, SCHEMA, said, engine=engine, source=source, output=output, **options
    )


def test_predictions_are_rows_that_say_whose_they_are(memory: str) -> None:
    """A row for each document, in the documents' order, with model, digests and scores."""
    from pyarrow import parquet

    source = put(f"{memory}/in.jsonl", lines(3).encode())
    done = run(Fixed(), source, f"{memory}/out")
    assert (done.documents, done.predicted, done.partitions) == (3, 3, 2)
    files = content(f"{memory}/out")
    assert sorted(files) == ["manifest.json", "part-000000.parquet", "part-000001.parquet"]
    rows = parquet.read_table(io.BytesIO(files["part-000000.parquet"])).to_pylist()
    assert [row["document_id"] for row in rows] == ["d0", "d1"]
    assert rows[0] == {
        "document_id": "d0",
        "text_sha256": Document.of("a b 0").digest,
        "model": "fixed",
        "version": "1",
        "model_digest": "d1",
        "entities": [
            {"start": 0, "end": 1, "label": "A", "score": 1 / 3, "canonical": "cân"},
            {"start": 2, "end": 3, "label": "B", "score": None, "canonical": None},
        ],
        "relations": [{"head": 0, "tail": 1, "label": "r", "score": 0.5}],
        "chains": [[0, 1]],
    }
    manifest = json.loads(files["manifest.json"])
    assert manifest["complete"] is True
    assert [part["documents"] for part in manifest["partitions"]] == [2, 1]
    assert manifest["digest"] == done.digest


def test_the_same_documents_give_the_same_bytes(memory: str, tmp_path: Path) -> None:
    """From JSON Lines, packed or not, from Parquet, in memory and in a folder."""
    from pyarrow import parquet

    plain = put(f"{memory}/a/in.jsonl", lines(5).encode())
    packed = put(f"{memory}/b/in.jsonl.gz", gzip.compress(lines(5).encode()))
    table = pyarrow.table(
        {"id": [f"d{i}" for i in range(5)], "text": [f"a b {i}" for i in range(5)]}
    )
    parquet.write_table(table, tmp_path / "in.parquet")
    seen = []
    for i, source in enumerate((plain, packed, str(tmp_path / "in.parquet"))):
        run(Fixed(), source, f"{memory}/out{i}")
        seen.append(content(f"{memory}/out{i}"))
    run(Fixed(), str(tmp_path), (tmp_path / "out").as_uri())
    seen.append(content(str(tmp_path / "out")))
    assert len(seen[0]) == 4
    assert all(files == seen[0] for files in seen)


def test_a_second_run_does_what_is_missing(memory: str) -> None:
    """Done partitions are left alone, damaged and changed ones are made again."""
    source = put(f"{memory}/in.jsonl", lines(6).encode())
    first = Fixed()
    run(first, source, f"{memory}/out")
    whole = content(f"{memory}/out")
    again = Fixed()
    done = run(again, source, f"{memory}/out")
    assert (done.predicted, done.skipped, again.asked) == (0, 6, [])
    put(f"{memory}/out/part-000001.parquet", whole["part-000001.parquet"][:-9])
    fsspec.filesystem("memory").rm(f"{memory}/out/part-000002.parquet")
    mended = Fixed()
    run(mended, source, f"{memory}/out")
    assert sorted(mended.asked) == ["d2", "d3", "d4", "d5"]
    assert content(f"{memory}/out") == whole
    put(source, lines(6).replace("a b 3", "a b c").encode())
    changed = Fixed()
    run(changed, source, f"{memory}/out")
    assert sorted(changed.asked) == ["d2", "d3"]
    forced = Fixed()
    assert run(forced, source, f"{memory}/out", force=True).predicted == 6


@pytest.mark.parametrize("manifest", [True, False])
def test_an_interrupted_run_goes_on_where_it_stopped(memory: str, manifest: bool) -> None:
    """With its manifest, or without one where the process was killed."""
    source = put(f"{memory}/in.jsonl", lines(6).encode())
    with pytest.raises(KeyboardInterrupt):
        run(Fixed(interrupt="d4"), source, f"{memory}/out")
    assert json.loads(content(f"{memory}/out")["manifest.json"])["complete"] is False
    if not manifest:
        fsspec.filesystem("memory").rm(f"{memory}/out/manifest.json")
    second = Fixed()
    run(second, source, f"{memory}/out")
    assert sorted(second.asked) == ["d4", "d5"]
    run(Fixed(), source, f"{memory}/straight")
    assert content(f"{memory}/out") == content(f"{memory}/straight")


def test_a_folder_holds_one_models_predictions(memory: str) -> None:
    """Another model, schema or partition size is refused before anything is written."""
    source = put(f"{memory}/in.jsonl", lines(3).encode())
    run(Fixed(), source, f"{memory}/out")
    before = content(f"{memory}/out")
    other = Fixed()
    other.digest = "d2"
    with pytest.raises(DataError, match="predictions of fixed@1 with digest d1"):
        run(other, source, f"{memory}/out")
    with pytest.raises(DataError, match="--partition 2 goes on"):
        run(Fixed(), source, f"{memory}/out", partition=3)
    put(f"{memory}/strange/manifest.json", b"{}")
    with pytest.raises(DataError, match="no manifest of predictions"):
        run(Fixed(), source, f"{memory}/strange")
    assert content(f"{memory}/out") == before


def test_bad_records_are_passed_over_with_their_place(memory: str) -> None:
    """A broken line, a text that is none, an id that comes twice: told; the rest is answered."""
    bad = lines(2) + '{"id": "x"}\nnonsense\n' + lines(1) + '{"text": "no id"}\n'
    source = put(f"{memory}/in.jsonl", bad.encode())
    said = Silent()
    done = run(Fixed(), source, f"{memory}/out", said=said, partition=10)
    assert (done.documents, done.refused) == (3, 3)
    assert "in.jsonl:3: " in said.warnings[0]
    assert "in.jsonl:4: " in said.warnings[1]
    assert "'d0' comes twice" in said.warnings[2]
    twice = put(f"{memory}/twice.jsonl", (lines(2) + lines(2)).encode())
    said = Silent()
    assert run(Fixed(), twice, f"{memory}/twice", said=said).doubled == 2
    assert "2 documents have an id that came before" in said.warnings[0]


def test_what_cannot_be_read_is_one_sentence(memory: str, tmp_path: Path) -> None:
    """Nothing there, nothing in it, a kind unknown, no Parquet, a storage without its package."""
    cases = {
        f"{memory}/none.jsonl": "no such file",
        put(f"{memory}/empty.jsonl", b""): "no document",
        put(f"{memory}/x.csv", b"text\n"): "of a kind",
        put(f"{memory}/x.parquet", b"PAR1"): "no Parquet file",
        put(f"{memory}/x.jsonl.gz", gzip.compress(lines(9).encode())[:-9]): "cut short or damaged",
    }
    for source, reason in cases.items():
        with pytest.raises(DataError, match=reason):
            run(Fixed(), source, f"{memory}/out")
    for source in ("nope://u:secret@h/x", "memory2:/x://y"):
        with pytest.raises((ConfigurationError, DataError)) as caught:
            run(Fixed(), source, f"{memory}/out")
        assert "secret" not in str(caught.value)
    # What stood before the place where the packed file is cut is answered, and no more is said.
    assert json.loads(content(f"{memory}/out")["manifest.json"])["complete"] is False
    (tmp_path / "file").write_text("x", "utf-8")
    with pytest.raises(DataError, match="is a file"):
        run(Fixed(), put(f"{memory}/in.jsonl", lines(1).encode()), str(tmp_path / "file"))


def test_long_documents_make_small_partitions(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition ends at so many characters, too: workers must bound their memory."""
    monkeypatch.setattr(bulk, "MAX_CHARS", 12)
    source = put(f"{memory}/in.jsonl", lines(5).encode())
    assert run(Fixed(), source, f"{memory}/out", partition=100).partitions == 3


def test_what_annotators_are_told_does_not_start_a_folder_anew(memory: str) -> None:
    """Another wording of the schema goes on in the folder; another label does not."""
    from dataclasses import replace

    source = put(f"{memory}/in.jsonl", lines(2).encode())
    run(Fixed(), source, f"{memory}/out")

    def again(schema: LabelSchema) -> int:
        return bulk.to_files(
            Fixed(),
            schema,
            Silent(),
            engine=InProcess(Fixed()),
            source=source,
            output=f"{memory}/out",
            partition=2,
        ).skipped

    assert again(replace(SCHEMA, instructions="Read twice.")) == 2
    with pytest.raises(DataError, match="another schema"):
        again(replace(SCHEMA, entities=SCHEMA.entities + (EntityType("C"),)))


def test_no_secret_of_an_address_is_shown() -> None:
    """User, password and query stay out of what is said."""
    assert shown("s3://key:secret@host/path?token=secret") == "s3://host/path"
    assert shown("/a/b") == "/a/b"
    assert str(place("memory://a/b") / "c").endswith("a/b/c")


class Losing:
    """An engine whose second partition ends every worker."""

    def __init__(self, inner: InProcess) -> None:
        self.inner = inner

    def run(
        self, job: Job, partitions: Iterable[Partition], advance: engines.Advance | None = None
    ) -> engines.Answers:
        for answer in self.inner.run(job, partitions):
            assert isinstance(answer, Answered)
            yield Lost(answer.partition, "gone") if answer.partition.number == 1 else answer


def test_a_lost_partition_is_missing_and_said_to_be(memory: str) -> None:
    """The manifest says that the folder is not complete; the next run makes the rest."""
    source = put(f"{memory}/in.jsonl", lines(6).encode())
    done = run(Fixed(), source, f"{memory}/out", engine=Losing(InProcess(Fixed())))
    assert len(done.lost) == 1
    assert json.loads(content(f"{memory}/out")["manifest.json"])["complete"] is False
    rest = Fixed()
    run(rest, source, f"{memory}/out")
    assert sorted(rest.asked) == ["d2", "d3"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.create(sqlite_url(tmp_path / "store.db"))
    with opened.write() as unit:
        unit.documents.add(
            NewDocument(Document.of(f"a b {i}", id=f"d{i}"), group_id=f"g{i}") for i in range(4)
        )
        unit.commit()
    yield opened
    opened.close()


def test_documents_of_the_store_and_of_a_file_are_answered_alike(store: Store, memory: str) -> None:
    """The same bytes, wherever the documents come from."""
    run(Fixed(), store, f"{memory}/a")
    run(Fixed(), put(f"{memory}/in.jsonl", lines(4).encode()), f"{memory}/b")
    assert content(f"{memory}/a") == content(f"{memory}/b")


def test_the_store_takes_answers_for_documents_that_it_knows(store: Store, memory: str) -> None:
    """Others, and other texts under a known id, are counted; a second run asks about none."""
    text = lines(6).replace("a b 1", "another")
    source = put(f"{memory}/in.jsonl", text.encode())

    def go(extractor: Fixed, url: str = source) -> bulk.Bulk:
        return bulk.to_store(
            store, extractor, SCHEMA, Silent(), engine=InProcess(extractor), source=url, partition=2
        )

    first, second = Fixed(), Fixed()
    done = go(first)
    assert (done.predicted, done.unknown, sorted(first.asked)) == (3, 3, ["d0", "d2", "d3"])
    done = go(second)
    assert (done.predicted, done.skipped, second.asked) == (0, 3, [])
    with store.read() as unit:
        current = unit.sync.current_run()
        assert current is not None
        assert current[1] == done.model
        assert len(list(unit.predictions.of(done.model))) == 3
    with pytest.raises(DataError, match="no document of the store"):
        go(Fixed(), put(f"{memory}/other.jsonl", b'{"text": "x"}\n'))
