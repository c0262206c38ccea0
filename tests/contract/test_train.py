"""Training: the same bytes for a seed, whole or not at all, honest about its data."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from curate.errors import ConfigurationError, DataError, UsageError
from curate.extractors import models
from curate.extractors.crf import CrfModel, CrfSettings
from curate.extractors.features import Text
from curate.extractors.interface import answers
from curate.extractors.registry import resolve
from curate.extractors.spacy import Pipeline
from curate.extractors.train import TrainSettings
from curate.flows import train as flow
from curate.flows.models import list_models, promote, show_model
from curate.flows.reporter import Silent
from curate.flows.train_steps import Steps, planned
from curate.gold.opening import open_gold
from curate.interchange import write
from curate.model import Annotation, Document, Entity, Relation, Source
from curate.schema import LabelSchema, parse_schema

SCHEMA = parse_schema(
    "name: tiny\nlanguage: en\nentities:\n  - name: PER\n  - name: ORG\n  - name: LOC\n"
    "relations:\n  - {name: works_for, head: [PER], tail: [ORG]}\n"
)
PEOPLE = ["Anna Bell", "Carl Dunn", "Eve Ford", "Gus Hale", "Ida Jones", "Ken Lowe", "Mia Nash"]
FIRMS = ["Acme", "Borealis", "Cobalt", "Dynamo", "Elm", "Fjord", "Granite"]
PLACES = ["Oslo", "Paris", "Quito", "Rome", "Sofia", "Turin", "Utrecht"]


def documents(splits: str) -> list[tuple[Document, Annotation]]:
    made = []
    for i, split in enumerate(splits):
        who, firm, place = PEOPLE[i % 7], FIRMS[(i * 3) % 7], PLACES[(i * 5) % 7]
        name = f"University of {place}"
        pieces = [
            (who, "PER"),
            (" works for ", ""),
            (firm, "ORG"),
            (" and left ", ""),
            (name, "ORG"),
        ]
        pieces += [(f" in {1900 + i}. ", ""), ("Nobody went to ", ""), (place, "LOC"), (".", "")]
        # Without words of their own the documents would be near-duplicates of each other.
        pieces.append((" Also " + " ".join(f"w{i}x{k}" for k in range(25)) + ".", ""))
        text, entities = "", []
        for piece, label in pieces:
            if label:
                entities.append(Entity(len(text), len(text) + len(piece), label))
            text += piece
        at = entities[2].start + len("University of ")
        entities.append(Entity(at, entities[2].end, "LOC"))
        document = Document.of(
            text, id=f"d{i:02}", metadata={"split": {"t": "train", "d": "dev", "x": "test"}[split]}
        )
        relation = Relation(entities[0], entities[1], "works_for")
        made.append(
            (document, Annotation.of(document.id, entities, [relation], Source.curator("g")))
        )
    return made


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    path = tmp_path / "gold.jsonl"
    write(path, documents("t" * 14 + "ddd" + "xxx"))
    return path


def run(gold: Path, folder: Path, schema: LabelSchema = SCHEMA, **settings: Any) -> flow.Trained:
    return flow.train(
        open_gold(str(gold)), schema, folder, Silent(), settings=TrainSettings(**settings)
    )


def test_a_model_learns_nested_entities_and_relations(gold: Path, tmp_path: Path) -> None:
    """Unseen names in seen patterns are found, inner names and relations too, with scores."""
    done = run(gold, tmp_path / "models")
    assert done.card.scores["test"]["entities"]["f1"] > 0.9
    assert done.card.scores["test"]["relations"]["f1"] > 0.9
    text = "Zoe Quill works for Nimbus and left University of Vienna in 1950."
    document = Document.of(text)
    extractor = resolve("tiny", schema=SCHEMA, models=tmp_path / "models")
    said = next(answers(extractor, [document], SCHEMA))
    found = {(text[e.start : e.end], e.label) for e in said.entities}
    assert {("Zoe Quill", "PER"), ("Nimbus", "ORG"), ("University of Vienna", "ORG")} <= found
    assert ("Vienna", "LOC") in found
    assert [(r.label, text[slice(*r.tail.span)]) for r in said.relations] == [
        ("works_for", "Nimbus")
    ]
    assert all(e.score is not None and 0 <= e.score <= 1 for e in said.entities)
    assert said.source.digest == done.card.digest
    # of given mentions, too, it says which are related
    assert isinstance(extractor, Pipeline)
    assert [r.key for r in extractor.relate(document, said.entities)] == [
        r.key for r in said.relations
    ]
    given = [Entity(0, 9, "PER"), Entity(20, 26, "ORG")]
    assert [(r.head, r.tail) for r in extractor.relate(document, given)] == [tuple(given)]
    assert extractor.relate(document, given[:1]) == extractor.relate(document, []) == []


def test_the_same_seed_gives_the_same_bytes(gold: Path, tmp_path: Path) -> None:
    """Digest, card and every file agree; the next version counts on."""
    one, two = run(gold, tmp_path / "a"), run(gold, tmp_path / "b")
    assert one.card == two.card
    assert models.digest_of_folder(one.folder) == one.card.digest
    again = run(gold, tmp_path / "a", seed=1)
    assert (again.card.version, again.card.looks) == ("2", 2)
    assert [m.card.reference for m in list_models(tmp_path / "a")] == ["tiny@1", "tiny@2"]
    assert show_model(tmp_path / "a", "tiny").card.version == "2"
    with pytest.raises(UsageError, match="there are: tiny@1, tiny@2"):
        show_model(tmp_path / "a", "other")


def test_training_twice_on_the_same_is_training_once(gold: Path, tmp_path: Path) -> None:
    """The model that is there is the answer, test is not looked at again; other gold is other."""
    first = run(gold, tmp_path / "models", seed=3)
    second = run(gold, tmp_path / "models", seed=3)
    assert (first.fresh, second.fresh) == (True, False)
    assert second.card == first.card
    write(gold, documents("t" * 15 + "ddd" + "xxx"))
    assert run(gold, tmp_path / "models", seed=3).card.version == "2"


def test_the_model_is_a_spacy_pipeline(gold: Path, tmp_path: Path) -> None:
    """It loads, pickles, goes to bytes and back, and runs in nlp.pipe."""
    from curate.extractors.spacy import load_pipeline

    nlp = load_pipeline(run(gold, tmp_path / "models").folder)
    text = "Anna Bell works for Acme."
    expected = [(e.text, e.label_) for e in nlp(text).ents]
    assert expected == [("Anna Bell", "PER"), ("Acme", "ORG")]
    copy = pickle.loads(pickle.dumps(nlp))
    other = load_pipeline(tmp_path / "models" / "tiny-1").from_bytes(nlp.to_bytes())
    for pipeline in (copy, other):
        assert [(e.text, e.label_) for doc in pipeline.pipe([text]) for e in doc.ents] == expected


def test_initialize_is_all_that_spacy_needs_to_train(gold: Path) -> None:
    """nlp.initialize, nlp.update and nlp.evaluate work as for any trainable component."""
    from spacy.training import Example

    from curate.extractors.components import register
    from curate.gold.formats.spacy import annotate, blank

    register()
    nlp = blank("en")
    nlp.add_pipe("crf_ner", config={"calibrate": False})
    nlp.add_pipe("relation_classifier")
    examples = []
    for document, annotation in documents("t" * 12):
        reference = nlp.make_doc(document.text)
        annotate(reference, annotation)
        examples.append(Example(nlp.make_doc(document.text), reference))
    nlp.initialize(lambda: examples)
    assert nlp.update(examples, losses={}) == {"crf_ner": 0.0, "relation_classifier": 0.0}
    scores = nlp.evaluate(examples)
    assert scores["ents_f"] > 0.95
    assert scores["rels_f"] > 0.95


def test_an_interrupted_training_leaves_nothing(
    gold: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No half-made model stands in the folder."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("curate.extractors.models.write_card", stop)
    with pytest.raises(KeyboardInterrupt):
        run(gold, tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


def test_what_a_killed_training_left_is_removed_by_the_next(gold: Path, tmp_path: Path) -> None:
    """A half-written folder is no model while it stands; once it is old, it goes.  One that is
    being written stays."""
    place = tmp_path / "models"
    for name in (".tiny-1.11.tmp", ".tiny-2.12.tmp"):
        (place / name).mkdir(parents=True)
        (place / name / "config.cfg").write_text("")
    old = time.time() - 3600
    os.utime(place / ".tiny-1.11.tmp" / "config.cfg", (old, old))
    os.utime(place / ".tiny-1.11.tmp", (old, old))
    done = run(gold, place)
    assert done.card.reference == "tiny@1"
    assert sorted(path.name for path in place.iterdir()) == [".tiny-2.12.tmp", "tiny-1"]


def test_a_model_of_an_earlier_version_is_named_with_how_to_make_it_anew(
    gold: Path, tmp_path: Path
) -> None:
    """Its files are what its card says, and this version cannot read them."""
    folder = run(gold, tmp_path / "models").folder
    config = (folder / "config.cfg").read_text()
    (folder / "config.cfg").write_text(config.replace("swaps = 1", "swaps = 1\nformer = 2"))
    card = json.loads((folder / "model.json").read_text())
    card["settings"]["versions"]["curate"] = "0.0.9"
    card["digest"] = models.digest_of_folder(folder)
    (folder / "model.json").write_text(json.dumps(card))
    with pytest.raises(ConfigurationError) as error:
        _ = Pipeline(folder).nlp
    assert "tiny@1, trained by curate 0.0.9" in str(error.value)
    assert "`curate train --from tiny@1`" in str(error.value)


def test_steps_tell_the_time_that_is_left() -> None:
    """By the share of what is done; a planned step that did not come costs nothing, and the bar
    ends full."""
    plan = planned(dev=True, few=False, relations=True, clusters=True, tuned=[("entities", 2)])
    assert [name for name, _ in plan][:3] == ["tuning entities", "tuning entities", "word clusters"]
    said: list[str] = []
    gone: list[int] = []
    clock = iter(range(0, 1000, 10))
    steps = Steps(
        [("a", 10), ("b", 99), ("c", 20), ("d", 10)], said.append, gone.append, lambda: next(clock)
    )
    for what in ("a: one", "c", "d", "unforeseen"):
        steps(what)
    assert said == ["  a: one", "  c; about 30 s left", "  d; about 7 s left", "  unforeseen"]
    assert sum(gone) == 139


def test_gold_that_would_deceive_is_refused(tmp_path: Path) -> None:
    """Leaks between splits, an empty train split and labels outside the schema."""
    rows = documents("tttx")
    copy = Document.of(rows[3][0].text, id="copy", metadata={"split": "train"})
    leak = [*rows, (copy, Annotation.of("copy", rows[3][1].entities, (), Source.curator("g")))]
    for name, content, message in (
        ("leak", leak, "too good"),
        ("empty", documents("xxd"), "train split is empty"),
    ):
        write(tmp_path / f"{name}.jsonl", content)
        with pytest.raises(DataError, match=message):
            run(tmp_path / f"{name}.jsonl", tmp_path / "models")
    write(tmp_path / "ok.jsonl", documents("ttt"))
    small = parse_schema("name: s\nlanguage: en\nentities:\n  - name: PER\n")
    with pytest.raises(DataError, match="not in schema"):
        run(tmp_path / "ok.jsonl", tmp_path / "models", small)
    twin = Document.of(rows[3][0].text + " More.", id="twin", metadata={"split": "train"})
    near = [*rows, (twin, Annotation.of("twin", rows[3][1].entities, (), Source.curator("g")))]
    write(tmp_path / "near.jsonl", near)
    with pytest.raises(DataError, match=r"near\.jsonl: documents .*near-duplicates"):
        run(tmp_path / "near.jsonl", tmp_path / "models")
    bad = json.dumps({"id": "a", "text": "x", "meta": {"split": "other"}})
    (tmp_path / "bad.jsonl").write_text(bad + "\n")
    with pytest.raises(DataError, match=r"bad\.jsonl:1: meta\.split"):
        run(tmp_path / "bad.jsonl", tmp_path / "models")


def test_little_support_is_named(tmp_path: Path) -> None:
    """Labels with too few examples stand in the card's notes."""
    write(tmp_path / "g.jsonl", documents("ttt"))
    notes = run(tmp_path / "g.jsonl", tmp_path / "models").card.notes
    assert any("fewer than 5 examples in train: PER (3), works_for (3)" in n for n in notes)
    assert any("no test split" in n for n in notes)


def test_promotion_demands_a_better_model_or_a_reason(gold: Path, tmp_path: Path) -> None:
    """Against rules that find nothing a trained model wins; against itself it does not."""
    folder = tmp_path / "models"
    write(tmp_path / "many.jsonl", documents("t" * 14 + "x" * 12))
    for path in (tmp_path / "many.jsonl", gold):
        run(path, folder)
    opened = open_gold(str(tmp_path / "many.jsonl"))
    first = promote(folder, "tiny@1", opened, SCHEMA)
    assert (first.champion, first.promoted) == ("bootstrap@1", True)
    assert resolve(None, schema=SCHEMA, models=folder).version == "1"
    second = promote(folder, "tiny@2", opened, SCHEMA)
    assert not second.promoted
    assert second.verdict is not None
    assert "does not clear" in second.verdict.missing[0]
    forced = promote(folder, "tiny@2", opened, SCHEMA, reason="for the test")
    assert forced.promoted
    assert resolve(None, schema=SCHEMA, models=folder).version == "2"
    assert "for the test" in (folder / models.PROMOTIONS).read_text(encoding="utf-8")
    assert promote(folder, "tiny@2", opened, SCHEMA).verdict is None
    # a champion that is gone is named, and does not keep the place from the others
    shutil.rmtree(folder / "tiny-2")
    with pytest.raises(ConfigurationError, match="the champion is tiny@2, which is not among"):
        resolve(None, schema=SCHEMA, models=folder)
    assert promote(folder, "tiny@1", opened, SCHEMA).champion == "bootstrap@1"
    assert resolve(None, schema=SCHEMA, models=folder).version == "1"


def test_a_damaged_card_is_named_and_its_place_is_not_taken(tmp_path: Path) -> None:
    """Its version is not given to another model, which could not be written there."""
    for name, content in (("tiny-1", b"{"), ("tiny-2", b"{}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / models.CARD).write_bytes(content)
    assert models.cards(tmp_path) == []
    assert [text.split(":")[0][-17:] for text in models.damaged(tmp_path)] == [
        "tiny-1/model.json",
        "tiny-2/model.json",
    ]
    assert models.next_version(tmp_path, "tiny") == "3"


def test_a_short_name_takes_the_label_of_the_full_one_in_its_document() -> None:
    """Where gold's last names do; a name found once is found wherever it stands free."""
    words = ["Anna", "Bell", "came", ".", "Bell", "left", ".", "Acme", "hired", "Anna", "Bell", "."]
    tokens, at = [], 0
    for word in words:
        tokens.append((at, at + len(word)))
        at += len(word) + 1
    text = Text(" ".join(words), tokens, words, [(0, 4), (4, 7), (7, len(words))])
    model = CrfModel(CrfSettings(), {})
    full = ((0, 2, "PER"), 0.9)
    again = ((9, 11, "PER"), 0.9 * 0.8)
    assert model._consistent(text, [full]) == [full, again]
    model.parts = {"PER": 0.9}
    found = model._consistent(text, [full])
    assert ((4, 5, "PER"), 0.9 * 0.8) in found
    assert again in found
    # what the model itself calls otherwise stays as it is
    other = ((4, 5, "LOC"), 0.6)
    assert ((4, 5, "PER"), 0.9 * 0.8) not in model._consistent(text, [full, other])
