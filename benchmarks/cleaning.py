"""Precision and recall of body lines: pages against the lines that a reader says are the article.

Run: python benchmarks/cleaning.py [FOLDER] [LANGUAGE]

Beside each page stands a file of its name with the ending .body: the body's lines, one a line, as
they stand in the page (white space does not count).
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from curate.corpus import Found, Ingested, Options, discover, read

DEFAULT = Path(__file__).parents[1] / "tests" / "unit" / "data" / "pages"


def measure(folder: Path, language: str) -> dict[str, object]:
    """Lines right, wrong and missing over all pages that have a .body file."""
    right = wrong = missing = pages = 0
    errors: list[str] = []
    for found in discover([folder]):
        if not isinstance(found, Found) or not found.path.with_suffix(".body").is_file():
            continue
        pages += 1
        gold = _lines(found.path.with_suffix(".body").read_text(encoding="utf-8"))
        kept: Counter[str] = Counter()
        for outcome in read(found, Options(language)):
            if isinstance(outcome, Ingested):
                kept += _lines(outcome.document.text)
        right += (kept & gold).total()
        wrong += (kept - gold).total()
        missing += (gold - kept).total()
        errors += [f"{found.name}: kept: {line[:80]}" for line in kept - gold]
        errors += [f"{found.name}: lost: {line[:80]}" for line in gold - kept]
    return {
        "pages": pages,
        "lines": right + missing,
        "precision": round(right / (right + wrong), 4) if right + wrong else None,
        "recall": round(right / (right + missing), 4) if right + missing else None,
        "errors": errors,
    }


def _lines(text: str) -> Counter[str]:
    return Counter(" ".join(line.split()) for line in text.splitlines() if line.strip())


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    language = sys.argv[2] if len(sys.argv) > 2 else "fr"
    print(json.dumps(measure(folder, language), ensure_ascii=False, indent=2))


if __name__ == "__main__":
    main()
