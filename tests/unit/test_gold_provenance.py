"""Provenance: who proposed, who agreed, who decided, of every item, under pseudonyms."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given

from curate.agreement.consensus import Rule
from curate.errors import DataError
from curate.gold.blame import blame
from curate.gold.items import GoldDocument
from curate.gold.judge import Judge
from curate.gold.provenance import (
    AgreementTally,
    Opinion,
    provenance_lines,
    read_provenance,
    trace,
)
from curate.model import Annotation, Document, Entity, Relation, Source
from tests.gold_cases import SCHEMA, golds

TEXT = "Le général Ali Barka, chef de l’ONU, a quitté Tripoli pour Gao."
ALI = Entity(11, 20, "PER", score=0.9)
WIDE = Entity(3, 20, "PER")
ONU = Entity(32, 35, "ORG")
TRIPOLI = Entity(46, 53, "LOC", score=0.25)
GAO = Entity(59, 62, "LOC")
MODEL = Source.model("bootstrap", "1")


def said(name: str, entities: Sequence[Entity], *relations: Relation) -> Annotation:
    return Annotation.of("d", entities, relations, Source.annotator(name))


PREDICTION = Annotation.of("d", [WIDE, TRIPOLI, ONU], [], MODEL)
A = said("a", [ALI, TRIPOLI, ONU], Relation(ALI, TRIPOLI, "visits"))
B = said("b", [WIDE, TRIPOLI, GAO])
DECISION = Judge(SCHEMA, Rule.parse("first:a"))([A, B]).annotation
OPINIONS = [
    Opinion(A, PREDICTION, task=7, annotation_id=31, lead_ms=93000),
    Opinion(B, None, task=7, annotation_id=32),
]
TRACED = trace(DECISION, SCHEMA, OPINIONS, [PREDICTION])


def test_every_item_tells_what_the_model_proposed() -> None:
    ali = TRACED["entities"]["11:20:PER"]
    assert ali["models"] == [{"model": "bootstrap@1", "as": ["3:20:PER"]}]
    tripoli = TRACED["entities"]["46:53:LOC"]
    assert tripoli["models"] == [{"model": "bootstrap@1", "score_millionths": 250000}]


def test_every_item_tells_what_each_annotator_did() -> None:
    assert TRACED["entities"]["11:20:PER"]["annotators"] == {
        "a": {"did": "moved"},
        "b": {"did": "boundary", "marked": ["3:20:PER"]},
    }
    assert TRACED["entities"]["46:53:LOC"]["annotators"] == {
        "a": {"did": "accepted"},
        "b": {"did": "marked"},
    }
    relation = TRACED["relations"]["11:20:PER>visits>46:53:LOC"]
    assert relation["annotators"] == {"a": {"did": "added"}, "b": {"did": "missed"}}


def test_what_was_not_taken_is_kept() -> None:
    assert TRACED["rejected"]["entities"] == {
        "3:20:PER": {"annotators": {"b": {"did": "marked"}}},
        "59:62:LOC": {"annotators": {"b": {"did": "marked"}}},
    }


def test_the_decision_tells_its_rule_task_and_whether_a_prediction_was_seen() -> None:
    assert TRACED["decided"] == {"by": "consensus", "name": "first:a"}
    assert TRACED["task"] == 7
    assert TRACED["annotations"] == [
        {"annotator": "a", "annotation": 31, "saw": "bootstrap@1", "lead_ms": 93000},
        {"annotator": "b", "annotation": 32, "saw": None},
    ]


def test_the_order_of_opinions_does_not_matter() -> None:
    assert trace(DECISION, SCHEMA, OPINIONS[::-1], [PREDICTION]) == TRACED


def lines(provenance: object, annotation: Annotation = DECISION) -> list[bytes]:
    assert isinstance(provenance, dict)
    return provenance_lines(annotation, provenance).encode().splitlines(keepends=True)


def test_lines_read_back_as_the_provenance_they_came_from() -> None:
    [(document, back)] = read_provenance(lines(TRACED))
    assert document == "d"
    assert back == TRACED


@given(golds(document_id="d"), golds(document_id="d"), golds(document_id="d"))
def test_any_provenance_reads_back_and_covers_every_item(
    a: GoldDocument, b: GoldDocument, c: GoldDocument
) -> None:
    decision = a.annotation.from_source(Source.consensus("majority"))
    opinions = [
        Opinion(g.annotation.from_source(Source.annotator(name)), b.annotation)
        for name, g in (("x", a), ("y", b), ("z", c))
    ]
    traced = trace(decision, SCHEMA, opinions, [b.annotation.from_source(MODEL)])
    [(_, back)] = read_provenance(lines(traced, decision))
    assert len(back["entities"]) == len(decision.entities)
    assert len(back["relations"]) == len(decision.relations)
    for kind in ("entities", "relations"):
        assert {k: v for k, v in back[kind].items() if v} == traced.get(kind, {})
    assert back.get("rejected") == traced.get("rejected")
    for name, gold in (("x", a), ("y", b), ("z", c)):
        from curate.gold.provenance import holders

        everything = [
            item
            for part in (traced, traced.get("rejected", {}))
            for item in part.get("entities", {}).values()
        ]
        assert sum(name in holders(item) for item in everything) == len(gold.annotation.entities)


def test_agreement_follows_from_provenance_alone() -> None:
    """A marked 3 entities, B 3, one in common: 2·1/(3+3)."""
    tally = AgreementTally()
    tally.add(TRACED)
    found = tally.result()
    assert found is not None
    assert found["entities"] == 333333
    assert found["relations"] == 0
    assert found["per_label"]["LOC"] == 666667
    assert found["annotators"] == ["a", "b"]


def test_agreement_of_one_annotator_is_unknown() -> None:
    tally = AgreementTally()
    tally.add(trace(DECISION, SCHEMA, OPINIONS[:1]))
    assert tally.result() is None


@pytest.mark.parametrize(
    "line",
    [
        b"{}\n",
        b"[]\n",
        b"x\n",
        b'{"document":"d","item":"entity","id":"1:2:X"}\n',
        b'{"document":"d","item":"thing"}\n',
    ],
)
def test_damaged_lines_are_refused(line: bytes) -> None:
    with pytest.raises(DataError):
        list(read_provenance([line]))


def test_blame_reads_as_a_person_would_tell_it() -> None:
    [(_, back)] = read_provenance(lines(TRACED))
    found = blame(GoldDocument(Document.of(TEXT, id="d"), DECISION), back)
    assert found.head == (
        "decided by the consensus rule first:a",
        "Label Studio task 7",
        "annotated by a, annotation 31, who saw a prediction of bootstrap@1, in 93 s",
        "annotated by b, annotation 32, who saw no prediction",
    )
    told = {story.id: story.told for story in found.items}
    assert told["11:20:PER"] == (
        "bootstrap@1 proposed général Ali Barka [PER]",
        "a moved it here",
        "b set other bounds: général Ali Barka [PER]",
    )
    assert told["59:62:LOC"] == ("b marked it", "was not taken")
    assert told["11:20:PER>visits>46:53:LOC"] == ("a added it", "b did not mark it")


def test_one_annotator_decides_alone() -> None:
    verdict = Judge(SCHEMA)([A])
    assert verdict.annotation.source == Source.consensus("single")
    assert verdict.open == 0


def test_without_a_pinned_rule_differences_stay_open() -> None:
    verdict = Judge(SCHEMA)([A, B])
    assert verdict.open > 0
    assert verdict.annotation.entities == (TRIPOLI,)


def test_a_pinned_rule_leaves_nothing_open() -> None:
    for rule in ("unanimous", "majority", "first:a", "first:nobody"):
        assert Judge(SCHEMA, Rule.parse(rule))([A, B]).open == 0


def test_a_relation_that_its_decided_arguments_forbid_is_not_taken() -> None:
    """Two say ORG and one says PER of the same span: leads(PER → ORG) cannot stand on it."""
    org = Entity(11, 20, "ORG")
    led = [said(n, [org, ONU]) for n in "ab"]
    third = said("c", [ALI, ONU], Relation(ALI, ONU, "leads"))
    fourth = said("d", [ALI, ONU], Relation(ALI, ONU, "leads"))
    fifth = said(
        "e",
        [org, ONU],
    )
    judge = Judge(SCHEMA, Rule.parse("majority"))
    annotation = judge([*led, third, fourth, fifth]).annotation
    assert org in annotation.entities
    assert SCHEMA.misfit(annotation, TEXT) is None
