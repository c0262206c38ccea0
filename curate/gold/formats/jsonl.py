"""The interchange form: everything but splits, groups and provenance; symmetric in reading.

Where all documents of a file are of one split nothing is lost: the file is the split.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from curate.gold.formats.loss import Loss, writing
from curate.gold.items import GoldDocument
from curate.interchange import dump_line


def export(documents: Iterable[GoldDocument], target: Path) -> Loss:
    """Write one interchange file."""
    loss = Loss("jsonl")
    placed = Loss("jsonl")
    splits: set[str] = set()
    with writing(target, "wb") as stream:
        for gold in documents:
            loss.saw(gold.annotation)
            splits.add(gold.split)
            if gold.split:
                placed.add("split not carried; use --split to write one file a split", gold.id)
            stream.write(dump_line(gold.document, gold.annotation))
    if len(splits) > 1:
        loss.lost, loss.examples = placed.lost, placed.examples
    return loss
