"""Build the documentation site into build/site and look at it: nothing is loaded from elsewhere.

mkdocs itself refuses broken links and anchors (``strict``).  Here: no page loads a script, a
style, a picture or a font from another host; every page of docs/ is in the navigation.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lxml import html

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "build" / "site"
_LOADS = (
    "//script/@src | //img/@src | //iframe/@src | //link[@rel!='canonical']/@href | //source/@src"
)
_FOREIGN = re.compile(r"^(https?:)?//")
_IN_STYLES = re.compile(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)")


def build() -> str:
    """What mkdocs complains of; empty where it built."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict"],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def foreign_loads() -> Iterator[str]:
    for page in sorted(SITE.rglob("*.html")):
        for address in html.fromstring(page.read_bytes()).xpath(_LOADS):
            if _FOREIGN.match(address):
                yield f"{page.relative_to(SITE)} loads {address}"
    for style in sorted(SITE.rglob("*.css")):
        for address in _IN_STYLES.findall(style.read_text("utf-8")):
            yield f"{style.relative_to(SITE)} loads {address}"


def pages_without_a_place() -> Iterator[str]:
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in sorted((ROOT / "docs").rglob("*.md")):
        name = str(page.relative_to(ROOT / "docs"))
        if f": {name}\n" not in navigation:
            yield f"docs/{name} is not in the navigation of mkdocs.yml"


def main() -> int:
    said = build()
    findings = [said] if said else [*foreign_loads()]
    findings += pages_without_a_place()
    for finding in findings:
        print(finding)
    print(f"site: {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
