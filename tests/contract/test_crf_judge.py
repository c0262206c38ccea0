"""A trained model as judge of another extractor's entities."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.errors import ConfigurationError
from curate.extractors.interface import answers
from curate.extractors.judge import Judge, Judged
from curate.extractors.models import set_alias
from curate.extractors.recipe import Recipe
from curate.extractors.registry import judge_named, judged, resolve
from curate.extractors.spacy import Pipeline
from curate.extractors.train import TrainSettings
from curate.flows import train as flow
from curate.flows.reporter import Silent
from curate.flows.serve_model import mark_of
from curate.gold.opening import open_gold
from curate.interchange import write
from curate.model import Document
from tests.contract.test_train import SCHEMA, documents

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


def test_the_judge_of_the_settings_judges_every_run_unless_told_otherwise(tmp_path: Path) -> None:
    """`judge` in curate.toml is taken where the command names none; an empty one, and a champion
    that is yet to come, mean no judge; nobody judges itself unasked; a model that is not there is
    named with the file."""
    write(tmp_path / "gold.jsonl", documents("t" * 14))
    models, toml = tmp_path / "models", tmp_path / "curate.toml"
    gold = open_gold(str(tmp_path / "gold.jsonl"))
    flow.train(gold, SCHEMA, models, Silent(), settings=TrainSettings(clusters=0))
    assert judge_named(None, "tiny", models, toml) == "tiny"
    assert judge_named(None, "tiny", models, toml, "tiny@1") == ""
    assert judge_named("tiny", "", models, toml, "tiny@1") == "tiny"
    assert judge_named("tiny@1", "champion", models, toml) == "tiny@1"
    assert judge_named("", "tiny", models, toml) == judge_named(None, "", models, toml) == ""
    assert judge_named(None, "champion", models, toml) == ""
    with pytest.raises(ConfigurationError, match=r"curate\.toml: models\.judge: .*'tiny@7'"):
        judge_named(None, "tiny@7", models, toml)
    reference = judged("bootstrap", "tiny", models)
    assert judged(reference, "tiny", models) == reference
    mark = mark_of(models, "bootstrap", "champion")
    before = mark()
    set_alias(models, "champion", "tiny@1", {})
    assert judge_named(None, "tiny", models, toml) == ""
    assert judge_named(None, "champion", models, toml, "bootstrap") == "champion"
    assert before != mark() == mark_of(models, "bootstrap", "tiny")()
    assert mark_of(models, "bootstrap")() is None


def test_a_judged_model_relates_as_it_did(tmp_path: Path) -> None:
    """`curate serve` asks a model for the relations of given entities, judged or not."""
    judge = Judge(Pipeline(tmp_path))
    plain = resolve("bootstrap", schema=SCHEMA)
    assert hasattr(Judged(Pipeline(tmp_path), judge), "relate")
    assert hasattr(Judged(plain, judge), "relate") == hasattr(plain, "relate")


def test_what_cannot_judge_says_so(tmp_path: Path) -> None:
    """A pipeline without a crf_ner, and a model that is not there, are named."""
    import spacy

    spacy.blank("fr").to_disk(tmp_path / "empty")
    with pytest.raises(ConfigurationError, match="cannot judge"):
        resolve(f"bootstrap judged by {tmp_path / 'empty'}", schema=SCHEMA)
    with pytest.raises(ConfigurationError, match="no model 'nobody'"):
        judged("bootstrap", "nobody", tmp_path)
