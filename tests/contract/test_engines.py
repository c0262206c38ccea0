"""Engines: whoever reads the documents, the answers are the same, and what is lost is little."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from curate.errors import ConfigurationError, DataError, UsageError
from curate.extractors import engines
from curate.extractors.bootstrap import Bootstrap
from curate.extractors.engines import (
    Answered,
    InProcess,
    Job,
    Local,
    Lost,
    Partition,
    Row,
    choose,
    parse_engine,
)
from curate.extractors.pool import Pool
from curate.extractors.recipe import Recipe
from curate.extractors.registry import resolve
from curate.flows import preannotate as flow
from curate.flows.reporter import Silent
from curate.model import Annotation, Document, Entity, Relation, Source
from curate.resources import default_schema
from curate.schema import parse_schema, read_schema
from curate.store import NewDocument, Store
from curate.store.engine import sqlite_url

SCHEMA = parse_schema(
    "name: x\nlanguage: en\nentities:\n  - name: A\n  - name: B\n"
    "relations:\n  - {name: r, head: [A], tail: [B]}\n"
)
JOB = Job(SCHEMA)
MODULE = "curate_test_engine_models"
SOURCE = '''
import os, signal, time
from curate.model import Annotation, Entity, Relation, Source

MODEL = Source.model("m")

def steady(documents):
    for document in reversed(list(documents)):
        a, b = Entity(0, 1, "A", 1 / 3), Entity(2, 3, "B", None, "canon")
        yield Annotation.of(document.id, [a, b], [Relation(a, b, "r", 0.1)], MODEL, [[a, b]])

def deadly(documents):
    """Ends its process over every document that says so."""
    for document in documents:
        if "die" in document.text:
            os.kill(os.getpid(), signal.SIGKILL)
        yield Annotation.of(document.id, [], [], MODEL)

def once(documents):
    """Ends its process over a document that says so, the first time."""
    for document in documents:
        flag = os.environ["CURATE_TEST_FLAG"]
        if "die" in document.text and not os.path.exists(flag):
            open(flag, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        yield Annotation.of(document.id, [], [], MODEL)

def wrong(documents):
    for document in documents:
        raise ValueError("secret text")
        yield

def slow(documents):
    for document in documents:
        time.sleep(0.05)
        yield Annotation.of(document.id, [], [], MODEL)
'''


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with functions that behave and misbehave."""
    (tmp_path / f"{MODULE}.py").write_text(SOURCE, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    return tmp_path


def recipe(name: str) -> Recipe:
    reference = f"{MODULE}:{name}"
    return Recipe.of(resolve(reference, schema=SCHEMA), reference, SCHEMA)


def partitions(texts: Iterable[str], size: int = 2) -> list[Partition]:
    documents = [Document.of(text, id=f"d{i}") for i, text in enumerate(texts)]
    return [
        Partition(number, tuple(documents[start : start + size]))
        for number, start in enumerate(range(0, len(documents), size))
    ]


def by_number(answers: Iterable[Answered | Lost]) -> dict[int, Answered | Lost]:
    found = list(answers)
    told = {answer.partition.number: answer for answer in found}
    assert len(told) == len(found)
    return told


def test_an_engine_is_local_or_an_address() -> None:
    """dask:// is Dask's tcp://; anything else is refused, an address with a password, too."""
    assert parse_engine("local") is None
    assert parse_engine("dask://10.0.0.1:8786") == "tcp://10.0.0.1:8786"
    assert parse_engine("dask://[::1]:8786/") == "tcp://[::1]:8786"
    assert parse_engine("tls://host:1") == "tls://host:1"
    for wrong in (
        "",
        "ray",
        "dask://host",
        "dask://host:x",
        "dask://:1",
        "http://h:1",
        "dask://u@h:1",
    ):
        with pytest.raises(UsageError, match="dask://HOST:PORT"):
            parse_engine(wrong)


def test_an_annotation_goes_to_a_row_and_back() -> None:
    """Nothing of an annotation is lost on the way."""
    a, b = Entity(0, 1, "A", 1 / 3), Entity(2, 3, "B", None, "canon")
    said = Annotation.of("d", [b, a], [Relation(a, b, "r", 0.1)], Source.model("m"), [[b, a]])
    back = pickle.loads(pickle.dumps(Row.of(said))).annotation(said.source)
    assert back == said
    assert [(e.score, e.canonical) for e in back.entities] == [(1 / 3, None), (None, "canon")]
    assert back.relations[0].score == 0.1


def test_answers_do_not_depend_on_the_number_of_processes() -> None:
    """One process or several: the same rows, in the documents' order."""
    schema = read_schema(default_schema())
    texts = [f"Le colonel Idris Tahar est arrivé à Sebha, en Libye, le {i} mai." for i in range(9)]
    bootstrap = Bootstrap(schema)
    job = Job(schema, min_score=0.5)
    one = by_number(InProcess(bootstrap).run(job, partitions(texts)))
    through: list[int] = []
    pool = Pool(Recipe.of(bootstrap, None, schema), 2)
    assert by_number(pool.run(job, partitions(texts), through.append)) == one
    assert sum(through) == 9
    assert any(row.entities for answer in one.values() for row in getattr(answer, "rows", ()))


def test_a_killed_worker_costs_one_try_of_its_partition(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The partition goes to another worker; every other one is answered once."""
    monkeypatch.setenv("CURATE_TEST_FLAG", str(models / "flag"))
    started: list[int] = []
    pool = Pool(recipe("once"), 2, started.append)
    told = by_number(pool.run(JOB, partitions(["a"] * 5 + ["die"] + ["a"] * 6)))
    assert sorted(told) == list(range(6))
    assert all(isinstance(answer, Answered) for answer in told.values())
    assert len(started) == 3


def test_a_partition_that_ends_every_worker_is_named(models: Path) -> None:
    """It is given up after a few workers, with its documents; the rest is answered."""
    started: list[int] = []
    pool = Pool(recipe("deadly"), 2, started.append)
    told = by_number(pool.run(JOB, partitions(["a", "a", "a", "die", "a", "a"])))
    lost = told.pop(1)
    assert isinstance(lost, Lost)
    assert "'d2' to 'd3'" in str(lost)
    assert "signal 9" in str(lost)
    assert all(isinstance(answer, Answered) for answer in told.values())
    assert len(started) <= 2 + engines.ATTEMPTS


def test_what_a_model_raises_is_one_sentence_with_its_place(models: Path) -> None:
    """Alike in this process and in others; the exception's own text stays out of it."""
    extractor = resolve(f"{MODULE}:wrong", schema=SCHEMA)
    said = []
    for engine in (InProcess(extractor), Pool(recipe("wrong"), 2)):
        with pytest.raises(ConfigurationError, match="ValueError at") as caught:
            list(engine.run(JOB, partitions(["a"] * 4)))
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert "secret" not in said[0]


def test_what_a_plugin_raises_is_told_with_its_partition() -> None:
    """An object with `extract` of its own may raise anything."""

    class Wrong(Bootstrap):
        def annotate(self, document: Document, source: Source) -> Annotation:
            raise KeyError(document.text)

    with pytest.raises(
        ConfigurationError, match=r"KeyError at .* in partition 0 \(2 documents"
    ) as e:
        list(InProcess(Wrong(SCHEMA)).run(JOB, partitions(["secret"] * 2)))
    assert "secret" not in str(e.value)


def test_another_model_than_was_meant_is_refused(models: Path) -> None:
    """A worker whose model has another digest does not answer."""
    other = replace(recipe("steady"), digest="0" * 64)
    with pytest.raises(ConfigurationError, match="another digest"):
        list(Pool(other, 1).run(JOB, partitions(["a"] * 2)))


def test_closing_the_run_ends_every_process(models: Path) -> None:
    """Nothing is left of a run that is given up in the middle."""
    started: list[int] = []
    run = Pool(recipe("slow"), 2, started.append).run(JOB, partitions(["a"] * 40))
    next(run)
    run.close()
    assert len(started) == 2
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_workers_end_with_a_parent_that_is_killed(models: Path) -> None:
    """No orphans, even where the parent had no time to say goodbye."""
    import subprocess

    script = models / "parent.py"
    script.write_text(
        "import sys, time\n"
        "from curate.extractors.pool import Pool\n"
        "from tests.contract.test_engines import JOB, partitions, recipe\n"
        "if __name__ == '__main__':\n"
        "    run = Pool(recipe('slow'), 2, lambda pid: print(pid, flush=True))\n"
        "    for _ in run.run(JOB, partitions(['a'] * 400)): print('x', flush=True)\n",
        "utf-8",
    )
    root = Path(__file__).parents[2]
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{models}:{root}"},
    )
    assert parent.stdout is not None
    with parent.stdout:
        pids = [int(parent.stdout.readline()) for _ in range(2)]
        assert parent.stdout.readline() == "x\n"
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 10
    alive = set(pids)
    while alive and time.monotonic() < deadline:
        for pid in tuple(alive):
            if not _runs(pid):
                alive.discard(pid)
        time.sleep(0.05)
    for pid in alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not alive


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def test_few_documents_are_read_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are started where there is work for them, or where somebody asks for them."""
    asked: list[int] = []

    def unwanted() -> Recipe:
        asked.append(1)
        raise DataError("pool")

    bootstrap = Bootstrap(SCHEMA)
    monkeypatch.setattr(engines, "cores", lambda: 2)
    monkeypatch.setattr(engines, "FEW", 4)
    assert len(list(Local(bootstrap, unwanted).run(JOB, partitions(["a"] * 4)))) == 2
    assert not asked
    for engine in (Local(bootstrap, unwanted), Local(bootstrap, unwanted, 2)):
        with pytest.raises(DataError, match="pool"):
            list(engine.run(JOB, partitions(["a"] * 5)))
    assert len(list(Local(bootstrap, unwanted, 1).run(JOB, partitions(["a"] * 9)))) == 5


def test_a_cluster_has_the_workers_it_has() -> None:
    """--processes is refused beside a cluster's address."""
    with pytest.raises(UsageError, match="--processes"):
        choose("dask://h:1", Bootstrap(SCHEMA), None, SCHEMA, processes=2)


@dataclass
class Doubling:
    """An engine that answers about every partition twice, as one that was lost and found might."""

    inner: InProcess

    def run(
        self, job: Job, partitions: Iterable[Partition], advance: engines.Advance | None = None
    ) -> engines.Answers:
        for answer in self.inner.run(job, partitions):
            yield answer
            yield answer


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.create(sqlite_url(tmp_path / "store.db"))
    with opened.write() as unit:
        unit.documents.add(
            NewDocument(Document.of(f"a b {i}", id=f"d{i}"), group_id=f"g{i}") for i in range(9)
        )
        unit.commit()
    yield opened
    opened.close()


def bodies(store: Store, model: Source) -> list[Annotation]:
    with store.read() as unit:
        return list(unit.predictions.of(model))


def test_the_store_holds_each_answer_once_and_the_same_from_any_engine(
    store: Store, models: Path
) -> None:
    """One process, several, and one that says everything twice: equal stores."""
    reference = f"{MODULE}:steady"
    extractor = resolve(reference, schema=SCHEMA)
    seen = []
    for engine in (None, Pool(recipe("steady"), 2), Doubling(InProcess(extractor))):
        done = flow.preannotate(
            store, extractor, SCHEMA, Silent(), engine=engine, force=True, partition=2
        )
        seen.append([Row.of(said) for said in bodies(store, done.model)])
    assert len(seen[0]) == 9
    assert seen[0] == seen[1] == seen[2]


def test_a_lost_partition_is_asked_about_again_next_time(store: Store, models: Path) -> None:
    """It is reported, nothing of it is kept, and it is still to do."""
    with store.write() as unit:
        unit.documents.add([NewDocument(Document.of("die", id="bad"), group_id="bad")])
        unit.commit()
    extractor = resolve(f"{MODULE}:deadly", schema=SCHEMA)
    said = Silent()
    done = flow.preannotate(
        store, extractor, SCHEMA, said, engine=Pool(recipe("deadly"), 2), partition=2
    )
    assert (done.predicted, done.skipped, len(done.lost)) == (8, 2, 1)
    assert "'d8' to 'bad'" in said.warnings[0]
    with store.read() as unit:
        assert unit.predictions.missing(done.model) == ["d8", "bad"]


def test_a_model_travels_with_its_files_or_by_its_path(tmp_path: Path) -> None:
    """Where the folder is not seen the files are unpacked; damaged or strange ones are refused."""
    spacy = pytest.importorskip("spacy")
    folder = tmp_path / "model"
    nlp = spacy.blank("fr")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(folder)
    here = Recipe.of(resolve(str(folder), schema=SCHEMA), str(folder), SCHEMA)
    packed = pickle.loads(pickle.dumps(here.packed()))
    assert here.load().name == "model"
    folder.rename(tmp_path / "away")
    assert not here.is_here()
    with pytest.raises(ConfigurationError, match="does not see"):
        here.load()
    found = packed.load()
    assert (found.name, found.digest) == ("model", here.digest)
    assert [a.document_id for a in found.extract([Document.of("a", id="1")])] == ["1"]
    damaged = replace(packed, files=packed.files[1:])
    with pytest.raises(DataError, match="damaged"):
        damaged.load()
    outside = replace(packed, files=(("../x", packed.files[0][1]),))
    with pytest.raises(DataError, match="outside"):
        outside.load()
