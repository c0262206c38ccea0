"""SECURITY.md promises what a test shows, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_promise_names_tests_that_exist() -> None:
    """Each number of the list has a line in the table, whose files hold the tests it names."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    promised = text[text.index("## What is promised") : text.index("## What is not promised")]
    numbers = re.findall(r"^(\d+)\. \*\*", promised, re.MULTILINE)
    kept = dict(re.findall(r"^\| (\d+) \| (.+) \|$", promised, re.MULTILINE))
    assert numbers
    assert list(kept) == numbers
    for number, cell in kept.items():
        named = 0
        for part in cell.split("; "):
            file, _, tests = part.partition(": ")
            source = (ROOT / file.strip("`")).read_text(encoding="utf-8")
            for test in tests.split(", "):
                named += 1
                assert f"def {test.strip('`')}(" in source, f"promise {number}: {part}"
        assert named
