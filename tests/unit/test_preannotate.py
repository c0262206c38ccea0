"""Pre-annotation: every document once per model, in batches, whatever the extractor does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from curate.errors import ConfigurationError, DataError
from curate.extractors.interface import Below, answers, least
from curate.extractors.registry import resolve
from curate.flows import preannotate as flow
from curate.flows.reporter import Silent
from curate.model import Annotation, Document, Entity, Relation, Source
from curate.schema import parse_schema
from curate.store import NewDocument, Store
from curate.store.engine import sqlite_url

SCHEMA = parse_schema(
    "name: x\nlanguage: en\nentities:\n  - name: A\n  - name: B\n"
    "relations:\n  - {name: r, head: [A], tail: [B]}\n"
)
TEXT = "one two three"


@dataclass
class Fixed:
    """Answers the same for every document, in reverse order."""

    name: str = "fixed"
    version: str = "1"
    digest: str = "d1"
    fail_after: int | None = None

    def extract(self, documents: Iterable[Document]) -> Iterator[Annotation]:
        for i, document in enumerate(reversed(list(documents))):
            if self.fail_after is not None and i >= self.fail_after:
                raise KeyboardInterrupt
            a, b = Entity(0, 3, "A", 0.9), Entity(4, 7, "B", 0.4)
            odd = [Entity(0, 99, "A"), Entity(0, 1, "Z")]
            links = [Relation(a, b, "r", 0.5), Relation(b, a, "r"), Relation(a, b, "no")]
            yield Annotation.of(document.id, [a, b, *odd], links, Source.annotator("x"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.create(sqlite_url(tmp_path / "store.db"))
    with opened.write() as unit:
        unit.documents.add(
            NewDocument(Document.of(f"{TEXT} {i}", id=f"d{i}"), group_id=f"g{i}") for i in range(5)
        )
        unit.commit()
    yield opened
    opened.close()


def test_the_second_run_changes_nothing(store: Store) -> None:
    """A document that this model has answered is not asked again."""
    first = flow.preannotate(store, Fixed(), SCHEMA, Silent())
    second = flow.preannotate(store, Fixed(), SCHEMA, Silent())
    assert (first.predicted, first.skipped) == (5, 0)
    assert (second.predicted, second.skipped) == (0, 5)
    assert flow.preannotate(store, Fixed(digest="d2"), SCHEMA, Silent()).predicted == 5


def test_what_does_not_fit_is_left_out_and_counted(store: Store) -> None:
    """Bad spans, labels and arguments never reach the store; the user is told."""
    said = Silent()
    done = flow.preannotate(store, Fixed(), SCHEMA, said, limit=2)
    assert (done.predicted, done.entities, done.relations) == (2, 4, 2)
    assert sum(done.left_out.values()) == 8
    assert "left out" in said.warnings[0]
    with store.read() as unit:
        kept = unit.predictions.get("d0", done.model)
    assert kept is not None
    assert [e.key for e in kept.entities] == [(0, 3, "A"), (4, 7, "B")]
    assert kept.source == done.model


def test_an_interruption_keeps_the_finished_batches(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run goes on where the interrupted one stopped."""
    monkeypatch.setattr(flow, "BATCH", 2)
    extractor = Fixed()
    flow.preannotate(store, extractor, SCHEMA, Silent(), limit=2)
    extractor.fail_after = 1
    with pytest.raises(KeyboardInterrupt):
        flow.preannotate(store, extractor, SCHEMA, Silent())
    extractor.fail_after = None
    assert flow.preannotate(store, extractor, SCHEMA, Silent()).predicted == 3


def test_min_score_drops_items_and_what_hangs_on_them() -> None:
    """A relation goes with its argument; what has no score stays."""
    annotation = next(Fixed().extract([Document.of(TEXT)]))
    kept = least(annotation, 0.5)
    assert {e.label for e in kept.entities} == {"A", "Z"}
    assert not kept.relations


def test_min_score_says_how_much_of_what_it_leaves_out_is_right() -> None:
    """The scores of what is left out add up, a relation's too, in whatever order."""
    a, b, c = (Entity(i, i + 1, "A", score) for i, score in enumerate((0.9, 0.4, 0.3)))
    relation = Relation(a, b, "r", 0.85)
    annotation = Annotation.of("d", [a, b, c], [relation], Source.model("m"))
    below = Below.between(annotation, least(annotation, 0.5))
    assert below == Below(3, 4000 + 3000 + 8500)
    assert below.right == 2
    other = Below(1, 9)
    assert below.plus(other) == other.plus(below) == Below(4, 15509)
    assert Below.between(annotation, annotation) == Below()


def test_pruned_answers_are_another_run_than_the_models_own(store: Store) -> None:
    """What --min-score leaves out is still there for whoever scores the model itself."""
    whole = flow.preannotate(store, Fixed(), SCHEMA, Silent())
    sure = flow.preannotate(store, Fixed(), SCHEMA, Silent(), min_score=0.5)
    assert sure.predicted == 5
    assert sure.model.digest != whole.model.digest
    with store.read() as unit:
        kept, left = (unit.predictions.get("d0", done.model) for done in (whole, sure))
        assert kept is not None
        assert left is not None
        assert [len(kept.entities), len(left.entities)] == [2, 1]
        current = unit.sync.current_run()
    assert current is not None
    assert current[1] == sure.model


def test_evaluating_a_model_does_not_change_what_push_shows(store: Store) -> None:
    """Predictions kept by the way are not the ones that annotators see."""
    shown = flow.preannotate(store, Fixed(), SCHEMA, Silent()).model
    with store.write() as unit:
        unit.predictions.put([Annotation.of("d0", [], [], Source.model("other", "1", "x"))])
        unit.commit()
    with store.read() as unit:
        current = unit.sync.current_run()
    assert current is not None
    assert current[1] == shown


def test_a_run_that_predicts_nothing_leaves_what_push_shows(store: Store) -> None:
    """Without a model named, only new predictions change what annotators see."""
    flow.preannotate(store, Fixed(), SCHEMA, Silent(), chosen=False)
    better = flow.preannotate(store, Fixed("better"), SCHEMA, Silent()).model

    def shown() -> Source:
        with store.read() as unit:
            current = unit.sync.current_run()
        assert current is not None
        return current[1]

    assert shown() == better
    assert flow.preannotate(store, Fixed(), SCHEMA, Silent(), chosen=False).predicted == 0
    assert shown() == better
    assert flow.preannotate(store, Fixed(), SCHEMA, Silent()).predicted == 0
    assert shown().name == "fixed"


def test_an_unasked_a_doubled_and_a_missing_answer_are_refused() -> None:
    """Exactly one answer for each document."""
    documents = [Document.of("a", id="1"), Document.of("b", id="2")]

    class Odd(Fixed):
        def __init__(self, ids: list[str]) -> None:
            super().__init__()
            self.ids = ids

        def extract(self, documents: Iterable[Document]) -> Iterator[Annotation]:
            list(documents)
            for name in self.ids:
                yield Annotation.of(name, (), (), Source.model("m"))

    for ids in (["1", "3", "2"], ["1", "1", "2"], ["1"]):
        with pytest.raises(DataError):
            list(answers(Odd(ids), documents, SCHEMA))


def test_references_resolve_and_unknown_ones_say_what_there_is(tmp_path: Path) -> None:
    """Bootstrap is the default; a wrong name lists the known ones."""
    assert resolve(None, schema=SCHEMA, models=tmp_path).name == "bootstrap"
    with pytest.raises(ConfigurationError, match="known: bootstrap"):
        resolve("nothing", schema=SCHEMA, models=tmp_path)
    with pytest.raises(ConfigurationError, match="is no spaCy pipeline"):
        resolve(str(tmp_path), schema=SCHEMA)
    with pytest.raises(ConfigurationError, match="no module"):
        resolve("no_such_module_here:f", schema=SCHEMA)
