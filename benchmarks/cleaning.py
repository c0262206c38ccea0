"""Precision and recall of body lines: pages against the lines that a reader says are the article.

Run: python -m benchmarks.cleaning [FOLDER…] [--language fr]

A page's body lines stand in a file of its name with the ending .body, beside the page or in a
folder `body` beside the page's folder: one a line, as they stand in the page.  White space, soft
hyphens and zero-width spaces do not count, and cells of a table's row count as one line.

The rules were made on three sets, one after the other: the test pages of this repository, the
sample's pages, and `benchmarks/pages`.  Each was written by somebody who did not know the rules,
and measured before it was looked at.  Of `benchmarks/unseen` only totals are printed, so that it
stays unseen.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from curate.corpus import Found, Ingested, Options, discover, read

ROOT = Path(__file__).parents[1]
MADE_ON = ROOT / "tests" / "unit" / "data" / "pages"
SAMPLE = ROOT / "examples" / "sahel" / "pages"
UNSEEN = "unseen"
SETS = {
    MADE_ON: "made on",
    SAMPLE: "sample",
    ROOT / "benchmarks" / "pages": "more",
    ROOT / "benchmarks" / "unseen": UNSEEN,
}
"""The rules were made on the first three, in this order; each was unseen when first measured."""
_UNSEEN_CHARS = re.compile("[\u00ad\u200b\u200c\u200d\u2060\ufeff]")


@dataclass(slots=True)
class Sums:
    """Lines of a set: kept rightly, kept wrongly, lost; what is wrong; and the time it took."""

    pages: int = 0
    right: int = 0
    wrong: int = 0
    missing: int = 0
    characters: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)

    def report(self, with_errors: bool) -> dict[str, object]:
        kept, gold = self.right + self.wrong, self.right + self.missing
        rate = self.characters / self.seconds if self.seconds else 0.0
        return {
            "pages": self.pages,
            "lines": gold,
            "precision": round(self.right / kept, 4) if kept else None,
            "recall": round(self.right / gold, 4) if gold else None,
            "characters_a_cpu_second": round(rate),
            **({"errors": self.errors} if with_errors else {}),
        }


def measure(folders: Iterable[Path], language: str) -> dict[str, Sums]:
    """The sums of each set over all pages of the folders that have body lines."""
    sets: dict[str, Sums] = {}
    for found in discover([MADE_ON]):  # the libraries and the models they load are not timed
        if isinstance(found, Found):
            list(read(found, Options(language)))
    for found in discover(folders):
        body = _body_of(found.path) if isinstance(found, Found) else None
        if body is None or not isinstance(found, Found):
            continue
        sums = sets.setdefault(_set_of(found.path), Sums())
        gold = _lines(body.read_text(encoding="utf-8"))
        kept: Counter[str] = Counter()
        started = time.process_time()
        outcomes = list(read(found, Options(language)))
        sums.seconds += time.process_time() - started
        for outcome in outcomes:
            if isinstance(outcome, Ingested):
                kept += _lines(outcome.document.text)
                sums.characters += len(outcome.raw.text) if outcome.raw else 0
        sums.pages += 1
        sums.right += (kept & gold).total()
        sums.wrong += (kept - gold).total()
        sums.missing += (gold - kept).total()
        sums.errors += [f"{found.name}: kept: {line[:100]}" for line in kept - gold]
        sums.errors += [f"{found.name}: lost: {line[:100]}" for line in gold - kept]
    return sets


def _body_of(page: Path) -> Path | None:
    places = (page.with_suffix(".body"), page.parent.parent / "body" / f"{page.stem}.body")
    return next((place for place in places if place.is_file()), None)


def _set_of(page: Path) -> str:
    return SETS.get(page.parent.resolve(), page.parent.name)


def _lines(text: str) -> Counter[str]:
    bare = _UNSEEN_CHARS.sub("", text)
    return Counter(" ".join(line.split()) for line in bare.splitlines() if line.strip())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cleaning")
    parser.add_argument("folders", nargs="*", type=Path, default=[*SETS])
    parser.add_argument("--language", default="fr")
    parser.add_argument("--only", help="a set: made on, sample, more, unseen")
    chosen = parser.parse_args()
    sets = measure(chosen.folders, chosen.language)
    report = {
        name: sums.report(with_errors=name != UNSEEN)
        for name, sums in sorted(sets.items())
        if chosen.only in (None, name)
    }
    print(json.dumps(report, ensure_ascii=False, indent=2))


if __name__ == "__main__":
    main()
