"""A model that sees another's tags: self-contained, checked, and never on the gold of both."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from curate.errors import ConfigurationError, DataError
from curate.extractors import models
from curate.extractors.features import Text
from curate.extractors.spacy import load_pipeline
from curate.extractors.stacking import ModelStack, layers_of
from curate.extractors.train import Aids, TrainSettings, aids_for
from curate.flows import train as flow
from curate.flows.reporter import Silent
from curate.gold.opening import open_gold
from curate.interchange import write
from tests.contract.test_train import SCHEMA, documents


def run(gold: Path, folder: Path, aids: Aids, **settings: object) -> flow.Trained:
    return flow.train(
        open_gold(str(gold)),
        SCHEMA,
        folder,
        Silent(),
        settings=TrainSettings(**settings),  # type: ignore[arg-type]
        aids=aids,
    )


def test_a_stacked_model_travels_inside_the_new_one(tmp_path: Path) -> None:
    """Its digest stands on the card; the new model needs no other folder, notices a change of what
    it carries, hands it on by --from, and refuses a model that learned from the same gold."""
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    write(first, documents("t" * 10 + "x"))
    write(second, documents("t" * 14 + "x")[10:])
    folder = tmp_path / "models"
    base = run(first, folder, Aids())
    aids = aids_for(tmp_path / "none", folder, stack="tiny@1")
    with pytest.raises(DataError, match="of the training documents"):
        run(first, folder, aids)
    done = run(second, folder, aids, seed=5, clusters=0)
    assert done.card.settings["stack"]["digest"] == base.card.digest
    assert run(second, folder, Aids(), seed=5, clusters=0).card.digest != done.card.digest

    again = aids_for(tmp_path / "none", folder, like="tiny@2")
    assert again.stacked is not None
    assert again.stacked.digest == base.card.digest
    assert flow.settings_from(folder, "tiny@2").seed == 5

    shutil.rmtree(base.folder)
    text = "Zoe Quill works for Acme."
    found = {e.text for e in load_pipeline(done.folder)(text).ents}
    assert "Acme" in found
    carried = done.folder / "crf_ner" / "model-stack.cfg"
    carried.write_text(carried.read_text() + "\n# changed\n")
    with pytest.raises((DataError, ConfigurationError), match=r"not the one|cannot be loaded"):
        load_pipeline(done.folder)
    assert models.digest_of_folder(done.folder) != done.card.digest


def test_an_unknown_model_to_stack_is_named(tmp_path: Path) -> None:
    """The message says what may stand there."""
    with pytest.raises(ConfigurationError, match="no model 'nobody'"):
        aids_for(tmp_path, tmp_path, stack="nobody")
    assert ModelStack.inside(tmp_path) is None


def test_layers_hold_outer_and_inner_mentions() -> None:
    """Nested mentions go to the second layer; one that cuts a token takes the whole of it."""
    text = Text.of("Université de Paris-Sud hier", "fr")
    outer, inner = layers_of([(0, 23, "ORG"), (14, 17, "LOC")], text)
    assert outer == ["B-ORG", "I-ORG", "I-ORG", "I-ORG", "I-ORG", "O"]
    assert inner == ["O", "O", "B-LOC", "O", "O", "O"]
