"""The interchange form: everything but splits, groups and provenance; symmetric in reading."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from curate.gold.formats.loss import Loss, writing
from curate.gold.items import GoldDocument
from curate.interchange import dump_line


def export(documents: Iterable[GoldDocument], target: Path) -> Loss:
    """Write one interchange file."""
    loss = Loss("jsonl")
    with writing(target, "wb") as stream:
        for gold in documents:
            loss.saw(gold.annotation)
            if gold.split:
                loss.add("split not carried; use --split to write one file a split", gold.id)
            stream.write(dump_line(gold.document, gold.annotation))
    return loss
