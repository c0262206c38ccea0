"""spaCy's own training under our roof: its config, our corpora, card, seed and silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curate.errors import ConfigurationError
from curate.extractors import models
from curate.extractors.registry import resolve
from curate.extractors.train import TrainSettings
from curate.flows import train as flow
from curate.flows.reporter import Silent
from curate.gold.opening import open_gold
from curate.interchange import write
from curate.model import Document
from tests.contract.test_train import SCHEMA, documents

TOK2VEC = """
[components.tok2vec]
factory = "tok2vec"

[components.tok2vec.model]
@architectures = "spacy.HashEmbedCNN.v2"
pretrained_vectors = null
width = 24
depth = 1
embed_size = 200
window_size = 1
maxout_pieces = 2
subword_features = true
"""
NER = """
[components.ner]
factory = "ner"

[components.ner.model]
@architectures = "spacy.TransitionBasedParser.v2"
state_type = "ner"
extra_state_tokens = false
hidden_width = 16
maxout_pieces = 2

[components.ner.model.tok2vec]
@architectures = "spacy.Tok2VecListener.v1"
width = 24
"""
SPANCAT = """
[components.spancat]
factory = "spancat"

[components.spancat.model]
@architectures = "spacy.SpanCategorizer.v1"

[components.spancat.model.reducer]
@layers = "spacy.mean_max_reducer.v1"
hidden_size = 16

[components.spancat.model.scorer]
@layers = "spacy.LinearLogistic.v1"

[components.spancat.model.tok2vec]
@architectures = "spacy.Tok2VecListener.v1"
width = 24

[components.spancat.suggester]
@misc = "spacy.ngram_suggester.v1"
sizes = [1, 2, 3]
"""


def config(kind: str) -> str:
    body = NER if kind == "ner" else SPANCAT
    return (
        f'[nlp]\nlang = "xx"\npipeline = ["tok2vec", "{kind}"]\n'
        "[training]\nmax_steps = 10\neval_frequency = 5\npatience = 0\n"
        f"[components]\n{TOK2VEC}{body}"
    )


class Listening(Silent):
    def __init__(self) -> None:
        super().__init__()
        self.steps: list[str] = []

    def step(self, message: str) -> None:
        self.steps.append(message)


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    path = tmp_path / "gold.jsonl"
    write(path, documents("t" * 14 + "ddd" + "xxx"))
    return path


def run(gold: Path, folder: Path, reporter: Any = None, **settings: Any) -> flow.Trained:
    return flow.train(
        open_gold(str(gold)),
        SCHEMA,
        folder,
        reporter or Silent(),
        settings=TrainSettings(**settings),
    )


@pytest.mark.parametrize("kind", ["ner", "spancat"])
def test_any_config_trains_to_a_model_with_a_card(
    kind: str, gold: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Scores and digest stand on the card; spaCy is silent, its log is our progress; no place of
    this machine is left in the model, and it says what the reloaded pipeline says."""
    (tmp_path / "c.cfg").write_text(config(kind))
    heard = Listening()
    done = run(gold, tmp_path / "models", heard, config=str(tmp_path / "c.cfg"))
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert any("spaCy: step 10 of at most 10, score" in line for line in heard.steps)
    card = done.card
    assert card.extractor == "config"
    assert card.relations == ()
    assert card.settings["config"]["file"] == "c.cfg"
    assert card.scores["test"]["entities"]["tp"] + card.scores["test"]["entities"]["fn"] == 15
    assert models.digest_of_folder(done.folder) == card.digest
    assert all(str(tmp_path).encode() not in p.read_bytes() for p in done.folder.rglob("*.cfg"))
    assert "spacy.ConsoleLogger" in (done.folder / "config.cfg").read_text()
    extractor = resolve("tiny", schema=SCHEMA, models=tmp_path / "models")
    said = next(iter(extractor.extract([Document.of("Anna Bell works for Acme.")])))
    assert said.source.digest == card.digest


def test_the_same_config_and_seed_give_the_same_bytes(gold: Path, tmp_path: Path) -> None:
    """Digests agree, and the same is not trained again."""
    path = tmp_path / "c.cfg"
    path.write_text(config("ner"))
    one = run(gold, tmp_path / "a", config=str(path))
    two = run(gold, tmp_path / "b", config=str(path))
    assert one.card.digest == two.card.digest
    assert not run(gold, tmp_path / "a", config=str(path)).fresh


@pytest.mark.parametrize("kind", ["ner", "spancat"])
def test_spacys_own_come_with_relations(kind: str, gold: Path, tmp_path: Path) -> None:
    """--extractor ner and spancat need no config; the relation classifier stands behind them."""
    done = run(gold, tmp_path / "models", extractor=kind, steps=4)
    nlp = resolve("tiny", schema=SCHEMA, models=tmp_path / "models").nlp  # type: ignore[attr-defined]
    assert nlp.pipe_names == ["tok2vec", kind, "relation_classifier"]
    assert done.card.relations == ("works_for",)
    assert any("a little too good" in note for note in done.card.notes)
    overlaps = [note for note in done.card.notes if "lie in longer ones" in note]
    assert bool(overlaps) == (kind == "ner")


def test_an_interrupted_training_leaves_nothing(gold: Path, tmp_path: Path) -> None:
    """Ctrl-C in the middle of spaCy's loop: no model, no temporary folder."""
    (tmp_path / "c.cfg").write_text(config("ner"))

    class Stopping(Silent):
        def step(self, message: str) -> None:
            if "step 5" in message:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(gold, tmp_path / "models", Stopping(), config=str(tmp_path / "c.cfg"))
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[nlp\n", "is no spaCy training config"),
        ("[training]\nmax_steps = 3\n", "needs [nlp] with a pipeline"),
        (config("ner").replace("HashEmbedCNN.v2", "Nowhere.v9"), "Nowhere.v9"),
        (config("ner").replace("max_steps = 10", 'max_steps = "many"'), "max_steps"),
    ],
)
def test_a_config_that_does_not_work_ends_in_one_sentence(
    text: str, said: str, gold: Path, tmp_path: Path
) -> None:
    """The file is named and what is wrong with it; nothing is left behind."""
    (tmp_path / "bad.cfg").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        run(gold, tmp_path / "models", config=str(tmp_path / "bad.cfg"))
    assert str(caught.value).startswith(str(tmp_path / "bad.cfg"))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "models").iterdir())


def test_an_unknown_extractor_is_named_with_the_known_ones(gold: Path, tmp_path: Path) -> None:
    """A slip of the pen gets the list."""
    with pytest.raises(ConfigurationError, match="there are `crf`, `ner` and `spancat`"):
        run(gold, tmp_path / "models", extractor="crv")
