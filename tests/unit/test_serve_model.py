"""What `curate serve` answers: the champion's predictions, as `push` would show them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from curate.errors import ConfigurationError
from curate.flows.serve_model import Answers, Champion, mark_of
from curate.labelstudio.backend.metrics import Metrics
from curate.labelstudio.backend.protocol import Question, ShownTask
from curate.labelstudio.codec import decode, prediction_payload
from curate.labelstudio.config import render_config
from curate.labelstudio.wire import RegionItem
from curate.model import Annotation, Document, Entity, Relation, Source
from curate.schema import EntityType, LabelSchema, RelationType
from curate.store import NewDocument, Store
from curate.store.engine import sqlite_url
from tests.unit.test_serve_pull import Heard, value

SCHEMA = LabelSchema(
    name="test",
    entities=(EntityType("PER"), EntityType("LOC")),
    relations=(RelationType("visits", head=("PER",), tail=("LOC",)),),
)
TEXT = "Awa Touré visite Gao. Été à Gao."


class Namer:
    """Finds « Awa Touré » and every « Gao », and lets the one visit the first of the other."""

    name, version = "namer", "1"

    def __init__(self, digest: str = "aa", shift: int = 0) -> None:
        self.digest, self.shift, self.read = digest, shift, 0

    def extract(self, documents: Iterable[Document]) -> Iterator[Annotation]:
        for document in documents:
            self.read += 1
            if "boom" in document.text:
                raise RuntimeError("a plugin may raise anything")
            yield self.annotate(document)

    def annotate(self, document: Document) -> Annotation:
        places = []
        at = document.text.find("Gao")
        while at >= 0:
            places.append(Entity(at, at + 3, "LOC", 0.5))
            at = document.text.find("Gao", at + 1)
        at = document.text.find("Awa")
        people = [Entity(at, at + 9, "PER", 0.9)] if at >= 0 else []
        links = [Relation(p, places[0], "visits", 0.7) for p in people if places]
        return Annotation.of(document.id, [*people, *places], links, Source.model("x"))


class Bench:
    """A store, a model, and the answers of both."""

    def __init__(self, folder: Path) -> None:
        self.store = Store.create(sqlite_url(folder / "store.db"))
        self.model: Any = Namer()
        self.mark = "1"
        self.heard, self.metrics = Heard(), Metrics()
        self.champion = Champion(
            lambda: self.model, lambda: self.mark, SCHEMA, self.heard, self.metrics
        )
        self.answers = Answers(self.store, self.champion, SCHEMA, self.metrics)

    def add(self, *documents: Document) -> None:
        with self.store.write() as unit:
            unit.documents.add(NewDocument(item, item.id) for item in documents)
            unit.commit()

    def predict(self, *tasks: ShownTask, config: str = "") -> list[list[dict[str, Any]]]:
        return self.answers.predict(Question(tasks, config))

    def kept(self) -> list[Annotation]:
        self.answers.close()
        with self.store.read() as unit:
            return list(unit.predictions.of(self.champion.current.source))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.answers.close()
    made.store.close()


def test_a_known_document_is_answered_as_push_would_show_it(bench: Bench) -> None:
    """The same items, ids, score and model version; kept as a prediction, never as work."""
    document = Document.of(TEXT, id="d1")
    bench.add(document)
    ((answer,),) = bench.predict(ShownTask(TEXT, "d1"))
    (kept,) = bench.kept()
    assert kept.document_id == "d1"
    assert answer == prediction_payload(kept, TEXT, SCHEMA)
    assert answer["model_version"] == "namer@1#aa"
    assert [i.get("id") for i in answer["result"]] == ["e1", "e2", "e3", None]
    with bench.store.read() as unit:
        assert list(unit.annotations.current()) == []


def test_what_the_model_said_before_is_not_asked_again(bench: Bench) -> None:
    """The second opening is answered from the store."""
    bench.add(Document.of(TEXT, id="d1"))
    first = bench.predict(ShownTask(TEXT, "d1"))
    bench.kept()
    asked = bench.model.read
    assert bench.predict(ShownTask(TEXT, "d1")) == first
    assert bench.model.read == asked
    assert value(bench.metrics, 'curate_predictions_total{outcome="store"}') == 1


def test_the_text_on_the_screen_is_what_is_answered_about(bench: Bench) -> None:
    """Where the task's text is no longer the document's, the task's own is read, and not kept."""
    bench.add(Document.of("Gao, hier.", id="d1"))
    ((answer,),) = bench.predict(ShownTask(TEXT, "d1"))
    spans = [i["value"] for i in answer["result"] if i["type"] == "labels"]
    assert [TEXT[s["start"] : s["end"]] for s in spans] == ["Awa Touré", "Gao", "Gao"]
    assert bench.kept() == []


def test_a_task_of_no_document_is_found_by_its_text(bench: Bench) -> None:
    """Without an id, or with an unknown one, it is the document of the same text, if any."""
    bench.add(Document.of(TEXT, id="d1"))
    assert len(bench.predict(ShownTask(TEXT), ShownTask(TEXT, "other"), ShownTask("Gao"))) == 3
    assert [annotation.document_id for annotation in bench.kept()] == ["d1"]


def test_offsets_are_those_of_the_text_as_it_stands_there(bench: Bench) -> None:
    """A text that is not NFC is read in NFC and answered in its own offsets."""
    text = unicodedata.normalize("NFD", "Été 🇲🇱 à Gao : Awa Touré visite Gao.")
    ((answer,),) = bench.predict(ShownTask(text, "d1"))
    spans = [i["value"] for i in answer["result"] if i["type"] == "labels"]
    shown = {text[s["start"] : s["end"]] for s in spans}
    assert shown == {"Gao", unicodedata.normalize("NFD", "Awa Touré")}


def test_one_task_spoils_no_other(bench: Bench) -> None:
    """Unreadable, failing, doubled and good tasks in one request: one answer each, in order."""
    tasks = [
        ShownTask(None),
        ShownTask("boom"),
        ShownTask(TEXT, "d1"),
        ShownTask("  "),
        ShownTask("nul \0"),
        ShownTask(TEXT, "d2"),
        ShownTask("Rien."),
    ]
    found = bench.predict(*tasks)
    assert [len(one) for one in found] == [0, 0, 1, 0, 0, 1, 1]
    assert found[2] == found[5]
    assert found[6][0]["result"] == []
    assert value(bench.metrics, 'curate_predictions_total{outcome="unreadable"}') == 3
    assert value(bench.metrics, 'curate_predictions_total{outcome="failed"}') == 1


def test_a_blind_document_is_answered_with_nothing(bench: Bench) -> None:
    """Who was drawn to be annotated blind stays so, whoever asks."""
    bench.add(Document.of(TEXT, id="d1"))
    with bench.store.write() as unit:
        unit.review.draw({"d1": True}, 0.1, 0)
        unit.commit()
    assert bench.predict(ShownTask(TEXT, "d1")) == [[]]
    region = RegionItem.model_validate(item("x", 0, 9, "PER"))
    asked = Question((ShownTask(TEXT, "d1"),), "", (region,))
    assert bench.answers.assist(asked)["result"] == []


def test_what_the_project_has_no_label_for_is_left_out(bench: Bench) -> None:
    """Label Studio would refuse the whole task, and nobody could open it."""
    narrow = render_config(LabelSchema("narrow", (EntityType("LOC"),), ()))
    ((answer,),) = bench.predict(ShownTask(TEXT), config=narrow)
    assert {tuple(i["value"]["labels"]) for i in answer["result"]} == {("LOC",)}
    ((answer,),) = bench.predict(ShownTask(TEXT), config="<View/>")
    assert answer["result"] == []
    ((answer,),) = bench.predict(ShownTask(TEXT), config=render_config(SCHEMA))
    assert len(answer["result"]) == 4


def test_another_champion_takes_over_once_it_is_ready(bench: Bench) -> None:
    """The mark moves, the new model is loaded and asked once, then it answers; no restart."""
    assert bench.answers.version() == "namer@1#aa"
    bench.model = Namer("bb")
    bench.champion.look()
    assert bench.answers.version() == "namer@1#aa"
    bench.mark = "2"
    bench.champion.look()
    assert bench.answers.version() == "namer@1#bb"
    assert bench.model.read == 1
    assert value(bench.metrics, 'curate_model_info{digest="bb",name="namer",version="1"}') == 1
    assert 'digest="aa"' not in bench.metrics.text().decode()


def test_a_champion_that_cannot_be_loaded_changes_nothing(bench: Bench) -> None:
    """The old one goes on answering; the reason is said once."""

    class Broken:
        name, version, digest = "broken", "1", "cc"

        def extract(self, documents: Iterable[Document]) -> Iterator[Annotation]:
            raise RuntimeError("a secret")
            yield  # pragma: no cover

    bench.model, bench.mark = Broken(), "2"
    bench.champion.look()
    bench.champion.look()
    assert bench.answers.version() == "namer@1#aa"
    assert len(bench.heard.warnings) == 1
    assert "secret" not in bench.heard.warnings[0]
    assert len(bench.predict(ShownTask(TEXT))[0]) == 1


def test_a_damaged_alias_file_is_said_and_outlived(bench: Bench, tmp_path: Path) -> None:
    """What cannot be read is no reason to stop answering."""
    (tmp_path / "aliases.json").write_text("{", "utf-8")
    mark = mark_of(tmp_path, None)
    with pytest.raises(ConfigurationError):
        mark()
    bench.champion._mark = mark
    bench.champion.look()
    bench.champion.look()
    assert len(bench.heard.warnings) == 1
    assert bench.answers.version() == "namer@1#aa"
    assert mark_of(tmp_path, "named")() is None


# -- what hangs on a region that was drawn


def item(id: str, start: int, end: int, label: str, origin: str | None = None) -> dict[str, Any]:
    value = {"start": start, "end": end, "labels": [label]}
    return {"id": id, "type": "labels", "value": value, "origin": origin}


def ask(bench: Bench, marked: list[dict[str, Any]], task: ShownTask | None = None) -> list[Any]:
    regions = tuple(RegionItem.model_validate(one) for one in marked)
    asked = Question((task or ShownTask(TEXT),), "", regions)
    result = bench.answers.assist(asked)["result"]
    assert isinstance(result, list)
    return result


def told(bench: Bench, result: list[Any]) -> list[tuple[str, str, str]]:
    """Relations of an answer as (head, label, tail) by text; the answer must stand by itself."""
    read = decode(result, "d", TEXT, SCHEMA, Source.model("m"))
    return [
        (TEXT[r.head.start : r.head.end], r.label, TEXT[r.tail.start : r.tail.end])
        for r in read.relations
    ]


def test_a_drawn_region_is_answered_with_its_relations(bench: Bench) -> None:
    """What the model says of the place where it stands, and the entity at the other end."""
    result = ask(bench, [item("x", 0, 9, "PER", "manual")])
    assert told(bench, result) == [("Awa Touré", "visits", "Gao")]
    assert "x" not in {i.get("id") for i in result}
    assert ask(bench, [item("x", 23, 26, "LOC", "manual")]) == []


def test_a_region_that_may_be_named_is_named_and_not_sent_again(bench: Bench) -> None:
    """Then the relation hangs on its own id."""
    result = ask(bench, [item("x", 0, 9, "PER")])
    ends = [(i["from_id"], i["to_id"]) for i in result if i["type"] == "relation"]
    (entity,) = (i for i in result if i["type"] == "labels")
    assert ends == [("x", entity["id"])]
    assert entity["value"]["labels"] == ["LOC"]


def test_what_people_marked_stands_for_what_the_model_found_there(bench: Bench) -> None:
    """A corrected boundary inherits the relations of the wrong one."""
    result = ask(bench, [item("x", 0, 12, "PER", "manual")])
    assert told(bench, result) == [("Awa Touré vi", "visits", "Gao")]
    assert ask(bench, [item("x", 0, 3, "PER", "manual")]) == []


def test_of_several_regions_the_new_one_is_meant(bench: Bench) -> None:
    """Label Studio sends all of the label; those saved before are not asked about again."""
    saved = {"old": RegionItem.model_validate(item("old", 0, 9, "PER", "prediction"))}
    both = [item("old", 0, 9, "PER", "prediction"), item("new", 23, 26, "PER", "manual")]
    assert ask(bench, both, ShownTask(TEXT, None, saved)) == []


def test_a_relation_that_is_drawn_already_is_not_proposed(bench: Bench) -> None:
    """What was saved as related stays as it is; unless the region was deleted since."""
    saved = {
        "p": RegionItem.model_validate(item("p", 0, 9, "PER", "prediction")),
        "g": RegionItem.model_validate(item("g", 17, 20, "LOC", "prediction")),
    }
    task = ShownTask(TEXT, None, saved, frozenset({("p", "g")}))
    assert ask(bench, [item("p", 0, 9, "PER", "prediction")], task) == []
    redrawn = ask(bench, [item("x", 0, 9, "PER", "manual")], task)
    assert told(bench, redrawn) == [("Awa Touré", "visits", "Gao")]
    assert not {"p", "g"} & {i.get("id") for i in redrawn}


def test_a_model_that_relates_is_asked_about_what_people_marked(bench: Bench) -> None:
    """`relate` is given what stands on the screen and what the model found besides."""

    class Relating(Namer):
        def relate(self, document: Document, entities: list[Entity]) -> list[Relation]:
            people = [e for e in entities if e.label == "PER"]
            places = [e for e in entities if e.label == "LOC"]
            return [Relation(p, q, "visits", 0.6) for p in people for q in places]

    bench.model, bench.mark = Relating("dd"), "2"
    bench.champion.look()
    result = ask(bench, [item("x", 22, 25, "PER", "manual")])
    assert told(bench, result) == [("Été", "visits", "Gao"), ("Été", "visits", "Gao")]


def test_a_region_outside_the_text_hangs_on_nothing(bench: Bench) -> None:
    """Nonsense from a client is answered with nothing, not with an error."""
    assert ask(bench, [item("x", 5, 5000, "PER")]) == []
    assert ask(bench, [item("x", 9, 0, "PER")]) == []
    assert ask(bench, [item("x", 0, 9, "NONE")]) == []
    assert ask(bench, []) == []
