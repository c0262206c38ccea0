"""The commits that CONTRIBUTING.md shows can be made: each applies, and its test passes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DIFFS = {
    re.split(r"\n### ", before)[-1].splitlines()[0]: diff
    for before, diff in re.findall(
        r"(.*?)```diff\n(.*?\n)```", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.DOTALL
    )
}
CHOSEN = {
    "A lint rule": ("tests/unit/test_gold_lint.py", "short"),
    "An export format": ("tests/contract/test_gold_formats.py", "tsv"),
    "An extractor": ("tests/contract/test_extractors.py", "TestAcronyms"),
    "A measure": ("tests/unit/test_scoring.py", "first_character"),
}


def test_every_shown_commit_is_tried() -> None:
    """None stands in CONTRIBUTING.md that no test applies."""
    assert DIFFS.keys() == CHOSEN.keys()


@pytest.mark.parametrize("title", CHOSEN)
def test_a_shown_commit_applies_and_its_test_passes(title: str, tmp_path: Path) -> None:
    """On a copy of the tree; the test it brings is among those that ran."""
    git = shutil.which("git")
    if git is None:
        pytest.skip("needs git to apply a diff")
    passed_over = shutil.ignore_patterns("__pycache__", ".*", "pages")
    for name in ("curate", "tests", "label_configs", "examples", "gold"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=passed_over)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "one.diff").write_text(DIFFS[title], "utf-8")
    subprocess.run([git, "apply", "-C1", "one.diff"], cwd=tmp_path, check=True)
    path, name = CHOSEN[title]
    script = (
        "import sys; sys.path.insert(0, '.'); import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, "-q", "-p", "no:cacheprovider", path, "-k", name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout[-2000:]
    assert re.search(r"\b[1-9]\d* passed", ran.stdout) or ran.stdout.startswith("."), ran.stdout
