"""The documents agree with the code, and a document that does not is found."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools"


def test_the_documents_agree_with_the_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands, options, links, generated pages, versions, CONTRIBUTING's picture of folders."""
    monkeypatch.syspath_prepend(str(TOOLS))
    import check_docs

    monkeypatch.setattr(sys, "argv", ["check_docs.py"])
    assert check_docs.main() == 0, capsys.readouterr().out


def test_a_false_picture_of_the_house_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A room that is drawn and not there, and one that is there and not drawn."""
    monkeypatch.syspath_prepend(str(TOOLS))
    import check_docs

    root = check_docs.ROOT
    for folder in ("curate", "tests", "docs"):
        (tmp_path / folder).symlink_to(root / folder)
    drawing = (root / "CONTRIBUTING.md").read_text("utf-8")
    false = re.sub(r"(?m)^  matching\.py ", "  matchmaking.py ", drawing, count=1)
    (tmp_path / "CONTRIBUTING.md").write_text(false.replace("  howto/ ", "  hints/ "), "utf-8")
    monkeypatch.setattr(check_docs, "ROOT", tmp_path)
    found = "\n".join(check_docs.missing_rooms())
    assert "does not draw curate/matching.py" in found
    assert "draws curate/matchmaking.py, which does not exist" in found
    assert "does not draw docs/howto/" in found


def test_the_excerpt_in_the_readme_stands_in_the_release() -> None:
    """Line by line, in the newest release of the sample."""
    readme = (ROOT / "README.md").read_text("utf-8")
    releases = (ROOT / "gold" / "sahel").iterdir()
    folder = max(releases, key=lambda path: [int(part) for part in path.name.split(".")])
    assert f"[gold/sahel/{folder.name}](gold/sahel/{folder.name})" in readme
    released = {
        line
        for name in ("entities", "relations", "provenance")
        for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()
    }
    (excerpt,) = re.findall(r"```json\n(.*?)```", readme, re.DOTALL)
    lines = excerpt.splitlines()
    assert len(lines) == 4
    assert released.issuperset(lines)
