"""The demo, run from an installed wheel, far from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from curate.model import SourceKind

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.studio


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which `python -m curate` is the wheel's."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
        + ["--target", str(site), str(wheel)],
        check=True,
        capture_output=True,
    )
    hidden = ("LABEL_STUDIO_", "CURATE_")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
    return clean | {"PYTHONPATH": str(site)}


def curate(environment: dict[str, str], cwd: Path, *arguments: str) -> Any:
    run = subprocess.run(
        [sys.executable, "-m", "curate", *arguments],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    return json.loads(run.stdout)


def release_bytes(workspace: Path) -> dict[str, bytes]:
    folder = workspace / "gold"
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_demo_runs_from_a_wheel_and_again_changes_nothing(
    installed: dict[str, str], tmp_path: Path
) -> None:
    """The whole loop: what was entered comes back, becomes gold, trains a model; twice is once."""
    where = subprocess.run(
        [sys.executable, "-c", "import curate; print(curate.__file__)"],
        env=installed,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(ROOT) not in where.stdout
    workspace = tmp_path / "demo"
    try:
        first = curate(installed, tmp_path, "demo", str(workspace), "--json")
        assert first["ingested"]["added"] == 120
        assert first["pushed"]["pushed"] == 120
        assert list(first["entered"].values()) == [120, 120]
        pulled = first["pulled"]
        assert pulled["received"] == pulled["stored"] == 240
        assert pulled["quarantined"] == 0
        assert first["gold"]["version"] == "1.0.0"
        assert first["gold"]["published"] is True
        assert first["agreement"]["documents"] == 120
        assert first["decided"] == first["queued"]["pushed"] > first["gold"]["splits"]["test"]
        for part in ("entities", "relations"):
            recorded = first["agreement"][part]["f1"]
            assert 0.9 < recorded <= 1.0
        trained = first["scores"]["trained"]
        assert trained["documents"] == first["gold"]["splits"]["test"]
        assert trained["entities"]["strict"]["f1"] > 0.6
        before = release_bytes(workspace)
        second = curate(installed, tmp_path, "demo", str(workspace), "--stop", "--json")
        assert second["ingested"]["added"] == 0
        assert second["pushed"]["pushed"] == 0
        assert list(second["entered"].values()) == [0, 0]
        assert second["pushed"]["replaced"] == second["pushed"]["kept"] == 0
        assert second["pulled"]["stored"] == 0
        assert second["decided"] == second["queued"]["pushed"] == 0
        assert second["trained"]["trained"] is False
        assert second["gold"]["published"] is False
        assert second["scores"] == first["scores"]
        assert release_bytes(workspace) == before
        provenance = next(c for name, c in before.items() if name.endswith("provenance.jsonl"))
        rows = [json.loads(line) for line in provenance.decode().splitlines()]
        rules = {row["decided"]["by"] for row in rows if row["item"] == "document"}
        assert rules == {str(SourceKind.CONSENSUS), str(SourceKind.CURATOR)}
    finally:
        if workspace.exists():
            curate(installed, tmp_path, "-w", str(workspace), "studio", "down", "--json")
