"""The engine dask:// on a real cluster of this machine, with workers that are killed."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curate.errors import ConfigurationError, UnreachableError
from curate.extractors import cluster as cluster_module
from curate.extractors.bootstrap import Bootstrap
from curate.extractors.cluster import Cluster
from curate.extractors.engines import Answered, InProcess, Job, Lost, Partition, choose
from curate.extractors.interface import Extractor
from curate.extractors.pool import Pool
from curate.extractors.recipe import Recipe
from curate.extractors.registry import resolve
from curate.flows import bulk
from curate.flows import preannotate as flow
from curate.flows.reporter import Silent
from curate.interchange import read
from curate.model import Document
from curate.resources import default_schema, resource
from curate.schema import read_schema
from curate.store import NewDocument, Store
from curate.store.engine import sqlite_url

distributed = pytest.importorskip("distributed", reason="the extra curate[dask] is not installed")
pytestmark = pytest.mark.timeout(180)

SCHEMA = read_schema(default_schema())
JOB = Job(SCHEMA)
MODULE = "curate_test_dask_models"
SOURCE = '''
import os, signal, time
from curate.model import Annotation, Source

MODEL = Source.model("m")

def slow(documents):
    for document in documents:
        time.sleep(0.02)
        yield Annotation.of(document.id, [], [], MODEL)

def deadly(documents):
    """Ends its process over every document that says so."""
    for document in documents:
        if document.text == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        yield Annotation.of(document.id, [], [], MODEL)

def wrong(documents):
    for document in documents:
        raise ValueError("secret text")
        yield
'''


@contextlib.contextmanager
def cluster_of(workers: int, **options: Any) -> Iterator[Any]:
    """A scheduler and workers, each a process of its own, on loopback alone."""
    with distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=100,
        **options,
    ) as made:
        yield made


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Functions that workers can import, since they are started with our path."""
    folder = tmp_path_factory.mktemp("models")
    (folder / f"{MODULE}.py").write_text(SOURCE, "utf-8")
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))
    sys.modules.pop(MODULE, None)


@pytest.fixture(scope="module")
def cluster(models: None) -> Iterator[Any]:
    """For the tests that end no worker."""
    with cluster_of(2) as made:
        yield made


def documents(count: int) -> list[Document]:
    texts = [r.document.text for r in read(resource("examples/sahel/annotator_a.jsonl"))][:20]
    return [Document.of(f"{texts[i % 20][:600]} ({i})", id=f"d{i}") for i in range(count)]


def partitions(found: list[Document], size: int) -> Iterator[Partition]:
    for number, start in enumerate(range(0, len(found), size)):
        yield Partition(number, tuple(found[start : start + size]))


def model(name: str) -> tuple[Extractor, Recipe]:
    reference = f"{MODULE}:{name}"
    extractor = resolve(reference, schema=SCHEMA)
    return extractor, Recipe.of(extractor, reference, SCHEMA)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.create(sqlite_url(tmp_path / "store.db"))
    with opened.write() as unit:
        unit.documents.add(NewDocument(d, group_id=d.id) for d in documents(60))
        unit.commit()
    yield opened
    opened.close()


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_engine_gives_the_same_bytes(cluster: Any, store: Store, tmp_path: Path) -> None:
    """One process, two, and the cluster: files, manifests and stores alike."""
    bootstrap = Bootstrap(SCHEMA)
    recipe = Recipe.of(bootstrap, None, SCHEMA)
    said: list[str] = []
    engines = {
        "one": InProcess(bootstrap),
        "two": Pool(recipe, 2),
        "dask": Cluster(cluster.scheduler_address, recipe, said.append),
    }
    seen, kept = [], []
    for name, engine in engines.items():
        bulk.to_files(
            bootstrap,
            SCHEMA,
            Silent(),
            engine=engine,
            source=store,
            output=str(tmp_path / name),
            partition=7,
        )
        seen.append(files(tmp_path / name))
        flow.preannotate(
            store, bootstrap, SCHEMA, Silent(), engine=engine, force=True, partition=11
        )
        with store.read() as unit:
            connection = unit.connection.exec_driver_sql(
                "SELECT document_id, body, score FROM prediction ORDER BY document_id"
            )
            kept.append([tuple(row) for row in connection])
    assert len(seen[0]) == 10
    assert seen[0] == seen[1] == seen[2]
    assert len(kept[0]) == 60
    assert kept[0] == kept[1] == kept[2]
    assert "Dask workers: 2, threads: 2; dashboard: http://127.0.0.1:" in said[0]


@pytest.fixture
def mortal(models: None) -> Iterator[Any]:
    """A cluster of the test's own.  One more worker may end over a partition, not three."""
    import dask

    with dask.config.set({"distributed.scheduler.allowed-failures": 1}), cluster_of(2) as made:
        yield made


def test_a_worker_killed_in_mid_run_costs_nothing_but_its_partition(mortal: Any) -> None:
    """Every document is answered once, as by a run that nobody disturbed."""
    cluster = mortal
    extractor, recipe = model("slow")
    workers = [worker.pid for worker in cluster.workers.values()]
    through: list[int] = []

    def advance(count: int) -> None:
        through.append(count)
        if len(through) == 3:
            os.kill(workers[0], signal.SIGKILL)

    engine = Cluster(cluster.scheduler_address, recipe)
    found = documents(120)
    answers = list(engine.run(JOB, partitions(found, 6), advance))
    assert [type(answer) for answer in answers] == [Answered] * 20
    assert sorted(answer.partition.number for answer in answers) == list(range(20))
    undisturbed = {
        a.partition.number: a for a in InProcess(extractor).run(JOB, partitions(found, 6))
    }
    assert {answer.partition.number: answer for answer in answers} == undisturbed
    assert not alive(workers[0])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_partition_that_ends_every_worker_is_named(mortal: Any) -> None:
    """It is given up; the others are answered."""
    _, recipe = model("deadly")
    bad = Document.of("die", id="bad")
    engine = Cluster(mortal.scheduler_address, recipe, patience=60)
    found = {
        answer.partition.number: answer
        for answer in engine.run(JOB, partitions([*documents(4), bad, *documents(3)], 2))
    }
    lost = found.pop(2)
    assert isinstance(lost, Lost)
    assert "'bad'" in str(lost)
    assert "2 workers ended over it alone" in str(lost)
    assert [type(answer) for answer in found.values()] == [Answered] * 3


def test_what_a_model_raises_on_a_worker_is_one_sentence(cluster: Any) -> None:
    """With its place, without its text; the next run finds the cluster as it was."""
    _, recipe = model("wrong")
    with pytest.raises(ConfigurationError, match="ValueError at") as caught:
        list(Cluster(cluster.scheduler_address, recipe).run(JOB, partitions(documents(9), 2)))
    assert "secret" not in str(caught.value)
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        left = client.run_on_scheduler(
            lambda dask_scheduler: [n for n in dask_scheduler.worker_plugins if "curate" in n]
        )
    assert left == []


def test_the_files_of_a_model_go_to_workers_that_do_not_see_them(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent once and checked; a folder that workers see is used as it is."""
    spacy = pytest.importorskip("spacy")
    nlp = spacy.blank("fr")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path / "model")
    extractor = resolve(str(tmp_path / "model"), schema=SCHEMA)
    said: list[str] = []
    recipe = Recipe.of(extractor, None, SCHEMA)

    def run() -> list[Answered | Lost]:
        engine = Cluster(cluster.scheduler_address, recipe, said.append)
        return sorted(
            engine.run(JOB, partitions(documents(6), 2)), key=lambda a: a.partition.number
        )

    seen = run()
    assert not any("sent" in line for line in said)
    monkeypatch.setattr(cluster_module, "_all_here", lambda client, recipe: False)
    pack = Recipe.packed

    def pack_and_hide(self: Recipe) -> Recipe:
        packed = pack(self)
        (tmp_path / "model").rename(tmp_path / "hidden")
        return packed

    monkeypatch.setattr(Recipe, "packed", pack_and_hide)
    assert run() == seen
    assert any("model is sent to the workers" in line for line in said)


def test_other_versions_are_told_before_any_work(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another curate, another Dask, another Python: one sentence each."""
    engine = Cluster(cluster.scheduler_address, Recipe.of(Bootstrap(SCHEMA), None, SCHEMA))
    with monkeypatch.context() as patch:
        patch.setattr(cluster_module, "__version__", "9.9")
        with pytest.raises(ConfigurationError, match=r"has curate .*, this is 9\.9"):
            list(engine.run(JOB, partitions(documents(2), 1)))
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        versions = client.get_versions()
    worker = next(iter(versions["workers"]))
    cluster_module._same_versions(versions)
    for package, version in (("distributed", "2020.1"), ("python", "3.9.1.final.0")):
        old = versions["workers"][worker]["packages"]
        told = {**versions, "workers": {worker: {"packages": {**old, package: version}}}}
        with pytest.raises(ConfigurationError, match=f"has {package} "):
            cluster_module._same_versions(told)


def test_nobody_there_is_one_sentence() -> None:
    """No scheduler, something else at the port, no workers: exit code 4."""
    import socket

    recipe = Recipe.of(Bootstrap(SCHEMA), None, SCHEMA)

    def reach(address: str) -> None:
        list(Cluster(address, recipe, timeout=1.5).run(JOB, partitions(documents(1), 1)))

    with socket.create_server(("127.0.0.1", 0)) as other:  # takes the call and says nothing
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(UnreachableError, match="no Dask scheduler answers"):
            reach(address)
    with pytest.raises(UnreachableError, match="no Dask scheduler answers"):
        reach(address)
    with cluster_of(0) as empty, pytest.raises(UnreachableError, match="has no workers"):
        reach(empty.scheduler_address)


def test_a_scheduler_that_goes_ends_the_run_and_keeps_what_was_answered(
    models: None, store: Store
) -> None:
    """The next run, on any engine, does the rest."""
    extractor, recipe = model("slow")
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(cluster_of(1))
        engine = Cluster(made.scheduler_address, recipe, timeout=5)
        through: list[int] = []

        class Ending(Silent):
            @contextlib.contextmanager
            def progress(self, what: str, total: int | None = None) -> Iterator[Any]:
                def advance(count: int = 1) -> None:
                    through.append(count)
                    if len(through) == 3:
                        made.close()

                yield advance

        with pytest.raises(UnreachableError, match="was lost"):
            flow.preannotate(store, extractor, SCHEMA, Ending(), engine=engine, partition=4)
    with store.read() as unit:
        left = unit.predictions.missing(flow.identity(extractor, None))
    assert 0 < len(left) < 60
    assert flow.preannotate(store, extractor, SCHEMA, Silent()).predicted == len(left)


def test_a_cluster_behind_tls_is_reached_by_dasks_own_settings(tmp_path: Path) -> None:
    """With certificates; without them it is one sentence."""
    pytest.importorskip("cryptography")
    import dask
    from distributed.security import Security

    security = Security.temporary()
    for name in ("tls_ca_file", "tls_client_cert", "tls_client_key"):
        (tmp_path / name).write_text(getattr(security, name), "ascii")
    settings = {
        "distributed.comm.tls.ca-file": str(tmp_path / "tls_ca_file"),
        "distributed.comm.tls.client.cert": str(tmp_path / "tls_client_cert"),
        "distributed.comm.tls.client.key": str(tmp_path / "tls_client_key"),
    }
    bootstrap = Bootstrap(SCHEMA)
    with cluster_of(1, security=security, protocol="tls://") as made:
        address = made.scheduler_address
        assert address.startswith("tls://")
        engine = choose(address, bootstrap, None, SCHEMA)
        with pytest.raises(ConfigurationError, match="TLS settings"):
            list(engine.run(JOB, partitions(documents(2), 1)))
        with dask.config.set(settings):
            assert len(list(engine.run(JOB, partitions(documents(4), 2)))) == 2
