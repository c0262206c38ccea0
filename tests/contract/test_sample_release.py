"""The committed releases of the sample corpus: sound, and rebuilt from the committed decisions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from curate.gold.verify import verify
from curate.gold.versions import published
from tests.contract.conftest import Curate

ROOT = Path(__file__).parent.parent.parent
GOLD = ROOT / "gold" / "sahel"
EXAMPLES = ROOT / "examples" / "sahel"


@pytest.mark.parametrize("version", [str(version) for version in published(GOLD)])
def test_every_committed_release_is_sound(version: str) -> None:
    result = verify(GOLD / version)
    assert result.ok, result.findings
    assert result.notes == ()


def test_the_releases_are_rebuilt_to_the_byte(curate: Curate, workspace: Path) -> None:
    """The starter from its decisions, then those of 120 texts, then these with today's card."""
    made_of = {
        "1.0.0": ("curate-1.0.0.toml", "decisions-1.0.0.jsonl"),
        "2.0.0": ("curate-2.0.0.toml", "decisions.jsonl"),
        "2.0.1": ("curate.toml", "decisions.jsonl"),
    }
    assert list(made_of) == [str(version) for version in published(GOLD)]
    for version, (settings, decided) in made_of.items():
        shutil.copy(EXAMPLES / settings, workspace / "curate.toml")
        decisions = EXAMPLES / decided
        assert curate("-w", workspace, "gold", "decisions", "import", decisions).code == 0
        assert curate("-w", workspace, "gold", "build").code == 0
        made, committed = workspace / "gold" / "sahel" / version, GOLD / version
        assert {p.name for p in made.iterdir()} == {p.name for p in committed.iterdir()}
        for path in made.iterdir():
            assert path.read_bytes() == (committed / path.name).read_bytes(), path.name


def test_the_decisions_are_on_the_texts_that_the_annotators_read() -> None:
    def texts(name: str) -> dict[str, str]:
        lines = (EXAMPLES / name).read_text("utf-8").splitlines()
        return {row["id"]: row["text"] for row in map(json.loads, lines)}

    assert texts("decisions.jsonl") == texts("annotator_a.jsonl") == texts("annotator_b.jsonl")
