"""The trained components under spaCy's own commands: train, evaluate, several processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.gold.formats.spacy import export
from curate.gold.items import GoldDocument
from tests.contract.test_train import documents


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus in spaCy's form and a pipeline that ``spacy train`` made of it."""
    import spacy
    from spacy.cli.train import train

    from curate.extractors.components import register

    place = tmp_path_factory.mktemp("spacy")
    gold = [GoldDocument(d, a) for d, a in documents("t" * 14)]
    export(gold[:10], place / "train.spacy", language="en")
    export(gold[10:], place / "dev.spacy", language="en")
    (place / "lists").mkdir()
    (place / "lists" / "FIRM.txt").write_text("Acme\nElm\n")
    register()
    nlp = spacy.blank(
        "en",
        config={"nlp": {"tokenizer": {"@tokenizers": "curate.tokenizer.v1", "language": "en"}}},
    )
    nlp.add_pipe("crf_ner", config={"calibrate": False, "gazetteers": str(place / "lists")})
    nlp.add_pipe("relation_classifier")
    config = nlp.config
    config["training"] |= {"max_steps": 1, "eval_frequency": 1}
    config.to_disk(place / "config.cfg")
    paths = {f"paths.{name}": str(place / f"{name}.spacy") for name in ("train", "dev")}
    train(place / "config.cfg", place / "out", overrides=paths)
    return place


def test_spacy_trains_and_evaluates_the_components(folder: Path) -> None:
    """`spacy train` and `spacy evaluate` work unchanged; a user's lists reach the model."""
    from spacy.cli.evaluate import evaluate

    from curate.extractors.spacy import load_pipeline

    scores = evaluate(str(folder / "out" / "model-best"), folder / "dev.spacy", silent=True)
    assert scores["ents_f"] > 0.9
    assert scores["rels_f"] > 0.9
    nlp = load_pipeline(folder / "out" / "model-best")
    assert "FIRM" in nlp.get_pipe("crf_ner").crf.names.kinds


def test_worker_processes_say_the_same(folder: Path) -> None:
    """nlp.pipe with two processes gives what one gives, scores and relations too."""
    from curate.extractors.spacy import load_pipeline

    nlp = load_pipeline(folder / "out" / "model-best")
    texts = [d.text for d, _ in documents("t" * 6)]
    one, two = (
        [doc.user_data["curate"] for doc in nlp.pipe(texts, n_process=n, batch_size=2)]
        for n in (1, 2)
    )
    assert one == two
    assert all(data["entities"] and data["entity_scores"] for data in one)
