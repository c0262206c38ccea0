"""The diff of gold: typed changes that say what was and what is, with the text around."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.gold.diff import (
    KINDS,
    Change,
    DiffTally,
    around,
    diff_blocks,
    diff_documents,
    diff_releases,
    diff_schemas,
    diff_sets,
)
from curate.gold.items import GoldDocument, canonical
from curate.gold.lines import chain_lines, document_line, entity_lines, relation_lines
from curate.gold.reading import Block, Release
from curate.gold.versions import Bump
from curate.model import Annotation, Document, Entity, Relation
from curate.reports.diff import render
from curate.schema import EntityType, RelationType
from tests.gold_cases import CURATOR, SCHEMA, corpus, golds
from tests.unit.test_gold_release import publish, without

TEXT = "Le général Ali Barka, chef de l’ONU, a quitté Tripoli pour Gao."
ALI = Entity(11, 20, "PER")
ONU = Entity(32, 35, "ORG")
TRIPOLI = Entity(46, 53, "LOC")
GAO = Entity(59, 62, "LOC")


def gold(entities: list[Entity], relations: list[Relation] | None = None) -> GoldDocument:
    annotation = Annotation.of("d", entities, relations or [], CURATOR)
    return GoldDocument(Document.of(TEXT, id="d"), annotation)


def changes(old: GoldDocument, new: GoldDocument) -> list[Change]:
    return list(diff_sets([old], [new], SCHEMA))


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ([], [ALI], "entity_added"),
        ([ALI], [], "entity_removed"),
        ([ALI], [Entity(3, 20, "PER")], "entity_boundary"),
        ([ALI], [Entity(11, 20, "ORG")], "entity_label"),
        ([ALI], [Entity(3, 20, "ORG")], "entity_boundary_label"),
        ([ALI], [Entity(11, 14, "PER"), Entity(15, 20, "PER")], "entity_split"),
        ([Entity(11, 14, "PER"), Entity(15, 20, "PER")], [ALI], "entity_merge"),
        ([ALI], [replace(ALI, canonical="Ali Barka")], "entity_attribute"),
    ],
)
def test_every_way_an_entity_changes_has_its_kind(
    old: list[Entity], new: list[Entity], kind: str
) -> None:
    found = changes(gold(old), gold(new))
    assert [change.kind for change in found] == [kind]
    assert found[0].bump is Bump.MAJOR
    assert "[[" in found[0].context
    assert found[0].document == "d"


ALL = [ALI, ONU, TRIPOLI, GAO]
OTHER = Entity(3, 10, "PER")


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ([], [Relation(ALI, TRIPOLI, "visits")], "relation_added"),
        ([Relation(ALI, TRIPOLI, "visits")], [], "relation_removed"),
        ([Relation(ALI, ONU, "leads")], [Relation(ALI, ONU, "visits")], "relation_label"),
        ([Relation(ALI, ONU, "leads")], [Relation(ONU, ALI, "leads")], "relation_direction"),
        ([Relation(ALI, GAO, "visits")], [Relation(ALI, TRIPOLI, "visits")], "relation_argument"),
        (
            [Relation(ALI, GAO, "visits")],
            [Relation(ALI, GAO, "visits", score=0.5)],
            "relation_attribute",
        ),
    ],
)
def test_every_way_a_relation_changes_has_its_kind(
    old: list[Relation], new: list[Relation], kind: str
) -> None:
    found = changes(gold(ALL, old), gold(ALL, new))
    assert [change.kind for change in found] == [kind]


def test_a_relabelled_argument_is_told_once() -> None:
    """The relation follows its entity: only the entity's change is one."""
    general = Entity(11, 20, "ORG")
    found = changes(
        gold([ALI, TRIPOLI], [Relation(ALI, TRIPOLI, "visits")]),
        gold([general, TRIPOLI], [Relation(general, TRIPOLI, "visits")]),
    )
    assert [change.kind for change in found] == ["entity_label"]


def test_a_relation_that_moves_to_the_other_label_of_a_span_is_told() -> None:
    twin = Entity(11, 20, "ORG")
    both = [ALI, twin, TRIPOLI]
    found = changes(
        gold(both, [Relation(ALI, TRIPOLI, "visits")]),
        gold(both, [Relation(twin, TRIPOLI, "visits")]),
    )
    assert [change.kind for change in found] == ["relation_argument"]
    fewer = changes(
        gold(both, [Relation(ALI, TRIPOLI, "visits"), Relation(twin, TRIPOLI, "visits")]),
        gold(both, [Relation(twin, TRIPOLI, "visits")]),
    )
    assert [change.kind for change in fewer] == ["relation_removed"]


def test_a_turned_symmetric_relation_is_the_same() -> None:
    old = gold([ALI, OTHER], [Relation(ALI, OTHER, "meets")])
    new = gold([ALI, OTHER], [Relation(OTHER, ALI, "meets")])
    assert changes(old, new) == []


@given(golds(document_id="d", chains=True))
def test_nothing_differs_from_itself(one: GoldDocument) -> None:
    assert list(diff_sets([one], [one], SCHEMA)) == []


@given(golds(document_id="d"), golds(document_id="d"))
def test_a_difference_is_told_from_both_ends(a: GoldDocument, b: GoldDocument) -> None:
    """There are changes one way exactly where there are the other way, and never none of two."""
    there, back = changes(a, b), changes(b, a)
    assert bool(there) == bool(back)
    same = a.document.text == b.document.text and a.annotation == b.annotation
    if not same:
        assert there
    assert all(change.kind in KINDS for change in there)


def block(gold: GoldDocument) -> Block:
    return Block(
        gold.id,
        document_line(gold).encode("utf-8"),
        *(
            part.encode("utf-8").splitlines(keepends=True)
            for part in (entity_lines(gold), relation_lines(gold), chain_lines(gold))
        ),
    )


@given(st.data())
def test_comparing_lines_first_changes_nothing(data: st.DataObject) -> None:
    """The short cut over equal lines gives the changes of the whole documents."""
    a = data.draw(golds(document_id="d", relations=("visits", "leads", "meets")))
    kept = [e for e in a.annotation.entities if data.draw(st.booleans())]
    drawn = data.draw(golds(document_id="d", relations=("visits", "leads", "meets"))).annotation
    length = len(a.document.text)
    more = [e for e in drawn.entities if e.end <= length]
    keys = {e.key for e in (*kept, *more)}
    links = [
        r
        for r in (*a.annotation.relations, *drawn.relations)
        if r.head.key in keys and r.tail.key in keys
    ]
    b = replace(a, annotation=Annotation.of("d", [*kept, *more], links, CURATOR))
    a, b = (replace(g, annotation=canonical(g.annotation, SCHEMA)) for g in (a, b))
    short = list(diff_blocks([block(a)], [block(b)], SCHEMA))
    whole = list(diff_documents(block(a).parsed(), block(b).parsed(), SCHEMA))
    assert short == whole, (short, whole)


def test_a_moved_split_is_told() -> None:
    old = replace(gold([ALI]), split="train")
    found = changes(old, replace(old, split="test"))
    assert [(c.kind, c.old, c.new) for c in found] == [("split_moved", "train", "test")]


def test_releases_differ_as_their_documents_do(tmp_path: Path) -> None:
    items = corpus(5)
    publish(tmp_path / "tiny", items)
    publish(tmp_path / "tiny", [without(items[0], "visits"), *items[2:]])
    old, new = Release(tmp_path / "tiny" / "1.0.0"), Release(tmp_path / "tiny" / "2.0.0")
    tally = DiffTally()
    lines = list(tally.watch(diff_releases(old, new)))
    slow = list(diff_sets(old.documents(), new.documents(), new.schema))
    assert lines == slow
    assert tally.as_counts() == {"document_removed": 1, "relation_removed": 1}
    assert tally.bump is Bump.MAJOR


def test_a_schema_s_change_calls_for_what_it_does_to_readers() -> None:
    grown = replace(SCHEMA, entities=(*SCHEMA.entities, EntityType("MIL")))
    wider = replace(
        SCHEMA,
        relations=(replace(SCHEMA.relations[0], tail=("LOC", "ORG")), *SCHEMA.relations[1:]),
    )
    shrunk = replace(SCHEMA, relations=SCHEMA.relations[1:])
    turned = replace(
        SCHEMA, relations=(*SCHEMA.relations[:2], RelationType("meets", ("PER",), ("PER",)))
    )
    told = replace(SCHEMA, title="Autrement dit")
    found = {
        name: [change.bump for change in diff_schemas(SCHEMA, other)]
        for name, other in {
            "same": SCHEMA,
            "grown": grown,
            "wider": wider,
            "shrunk": shrunk,
            "turned": turned,
            "told": told,
        }.items()
    }
    assert found == {
        "same": [],
        "grown": [Bump.MINOR],
        "wider": [Bump.MINOR],
        "shrunk": [Bump.MAJOR],
        "turned": [Bump.MAJOR],
        "told": [Bump.PATCH],
    }


def test_the_text_around_is_on_one_line_and_bounded() -> None:
    text = "a\r\nb " * 500
    shown = around(text, 1000, 1900)
    assert "\n" not in shown
    assert "[[" in shown
    assert len(shown) < 400


def test_the_page_shows_markup_in_texts_as_text() -> None:
    """Nothing in a text, a label or an id becomes markup of the page, and no host is named."""
    evil = "<script>alert(1)</script>"
    change = Change(
        "entity_added",
        evil,
        new={"start": 1, "end": 2, "label": evil, "text": evil},
        context=f"x [[{evil}]] y",
    )
    page = render(evil, "b", {"entity_added": 1}, "major", [change.as_dict()])
    assert "<script" not in page
    assert "<mark>&lt;script&gt;" in page
    assert "://" not in page
