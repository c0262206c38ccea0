"""A trained model as judge of another extractor's entities."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.errors import ConfigurationError
from curate.extractors.interface import answers
from curate.extractors.recipe import Recipe
from curate.extractors.registry import judged, resolve
from curate.extractors.train import TrainSettings
from curate.flows import train as flow
from curate.flows.reporter import Silent
from curate.gold.opening import open_gold
from curate.interchange import write
from curate.model import Document
from tests.unit.test_train import SCHEMA, documents

OTHER = """
def extract(documents):
    for d in documents:
        at = d.text.index("Anna")
        yield {"id": d.id, "entities": [
            {"id": "a", "start": at, "end": at + 9, "label": "PER", "score": 0.1},
            {"id": "b", "start": at, "end": at + 9, "label": "LOC"},
            {"id": "c", "start": at, "end": at + 4, "label": "PER"},
        ], "relations": []}
extract.name, extract.version = "other", "7"
"""


def test_the_judge_tells_right_from_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entities of any extractor get the judge's confidence; the run is one of its own, and its
    reference is good for a worker."""
    write(tmp_path / "gold.jsonl", documents("t" * 14))
    gold = open_gold(str(tmp_path / "gold.jsonl"))
    models = tmp_path / "models"
    flow.train(gold, SCHEMA, models, Silent(), settings=TrainSettings(clusters=0))
    (tmp_path / "otherone.py").write_text(OTHER)
    monkeypatch.syspath_prepend(tmp_path)
    reference = judged("otherone:extract", "tiny", models)
    extractor = resolve(reference, schema=SCHEMA, models=None)
    document = Document.of("Then Anna Bell works for Acme.")
    said = next(answers(extractor, [document], SCHEMA))
    scores = {(e.end - e.start, e.label): e.score for e in said.entities}
    right = scores.pop((9, "PER"))
    assert right is not None
    assert all(score is not None and score < 0.5 < right for score in scores.values())
    assert (said.source.name, said.source.version) == ("other", "7+tiny@1")
    assert said.source.digest != resolve("otherone:extract", schema=SCHEMA).digest
    assert Recipe.of(extractor, reference, SCHEMA).digest == extractor.digest
    assert judged(None, "tiny", models).startswith("bootstrap judged by ")


def test_what_cannot_judge_says_so(tmp_path: Path) -> None:
    """A pipeline without a crf_ner, and a model that is not there, are named."""
    import spacy

    spacy.blank("fr").to_disk(tmp_path / "empty")
    with pytest.raises(ConfigurationError, match="cannot judge"):
        resolve(f"bootstrap judged by {tmp_path / 'empty'}", schema=SCHEMA)
    with pytest.raises(ConfigurationError, match="no model 'nobody'"):
        judged("bootstrap", "nobody", tmp_path)
