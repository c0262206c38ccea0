"""Lint: every rule finds what it is for, in its place, and leaves what is right alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given

from curate.gold.items import GoldDocument
from curate.gold.lint import RULES, Finding, lint
from curate.model import Annotation, Document, Entity, Relation
from curate.schema import LabelSchema, parse_schema
from tests.gold_cases import CURATOR, SCHEMA, corpus, decided, golds

LINKED = parse_schema(
    """
name: linked
language: fr
entities: [{name: PER}, {name: LOC}, {name: ORG}]
relations:
  - {name: same_as, head: [PER, LOC, ORG], tail: [PER, LOC, ORG], symmetric: true, same_label: true}
  - {name: supports, head: [PER, ORG, LOC], tail: [PER, ORG, LOC]}
  - {name: part_of, head: [ORG, LOC], tail: [ORG, LOC]}
"""
)


def one(
    text: str, *marks: tuple[str, str], links: Iterable[tuple[int, str, int]] = ()
) -> GoldDocument:
    item = decided("d", text, marks, links)
    return GoldDocument(item.document, item.annotation)


def found(
    *documents: GoldDocument, schema: LabelSchema = SCHEMA, rules: Iterable[str] | None = None
) -> list[Finding]:
    return lint(lambda: documents, schema, rules=rules)


def test_clean_gold_has_no_findings() -> None:
    items = [GoldDocument(item.document, item.annotation) for item in corpus(4)]
    assert found(*items) == []


@pytest.mark.parametrize(
    ("rule", "text", "mark"),
    [
        ("punctuation", "Il a vu Gao. Puis", "Gao."),
        ("punctuation", "Il a vu Gao, puis", "Gao,"),
        ("punctuation", "Il a vu « Gao » hier", "« Gao"),
        ("punctuation", "Il a vu Gao hier", "Gao "),
        ("article", "vers l’Algérie hier", "l’Algérie"),
        ("article", "vers d'Algérie hier", "d'Algérie"),
        ("article", "vers le Niger hier", "le Niger"),
        ("article", "vers la\u00a0Libye hier", "la\u00a0Libye"),
        ("token", "vers Tripoli hier", "Tripol"),
    ],
)
def test_a_span_with_a_wrong_edge_is_found(rule: str, text: str, mark: str) -> None:
    findings = found(one(text, (mark, "LOC")), rules=[rule])
    assert [finding.rule for finding in findings] == [rule]
    assert findings[0].items == (f"{text.index(mark)}:{text.index(mark) + len(mark)}:LOC",)


@pytest.mark.parametrize(
    "mark",
    ["La Haye", "Les Lions du Tamesna", "O.N.U.", "M.", "Union (UA)", "« Barkhane »", "50 %"],
)
def test_a_span_with_a_right_edge_is_left_alone(mark: str) -> None:
    assert found(one(f"vers {mark} Ali", (mark, "LOC")), rules=["punctuation", "article"]) == []


def test_a_capital_article_is_found_where_the_name_stands_without_elsewhere() -> None:
    a = one("La Libye vote.", ("La Libye", "LOC"))
    assert found(a, rules=["article"]) == []
    both = found(a, one("En Libye.", ("Libye", "LOC")), rules=["article"])
    assert [(f.rank, f.start) for f in both] == [(3, 0)]


def test_a_relation_that_runs_against_the_schema_is_an_error() -> None:
    item = one("Ali dirige l’ONU.", ("Ali", "PER"), ("ONU", "ORG"), links=[(1, "leads", 0)])
    findings = found(item)
    assert [(f.rule, f.rank) for f in findings] == [("direction", 1)]


def test_an_illegal_relation_or_label_is_an_error() -> None:
    item = one("Ali, Gao.", ("Ali", "PER"), ("Gao", "LOC"), links=[(0, "leads", 1)])
    assert [f.rule for f in found(item)] == ["illegal"]
    assert [f.rule for f in found(one("Ali", ("Ali", "FOO")))] == ["illegal"]


def test_a_relation_in_both_directions_is_a_contradiction() -> None:
    item = one(
        "Gao, Mali.", ("Gao", "LOC"), ("Mali", "LOC"), links=[(0, "part_of", 1), (1, "part_of", 0)]
    )
    assert [f.rule for f in found(item, schema=LINKED)] == ["contradiction"]


def test_the_same_surface_labelled_otherwise_is_found_where_it_is_rare() -> None:
    usual = [replace(one("À Gao.", ("Gao", "LOC"))) for _ in range(5)]
    odd = one("À Gáo.", ("Gáo", "ORG"))
    findings = found(*usual, odd, rules=["label"])
    assert [(f.rule, f.items) for f in findings] == [("label", ("2:5:ORG",))]
    assert "LOC 5 times" in findings[0].message


def test_one_span_with_two_labels_is_found() -> None:
    text = "À Gao."
    annotation = Annotation.of("d", [Entity(2, 5, "LOC"), Entity(2, 5, "ORG")], [], CURATOR)
    item = GoldDocument(Document.of(text, id="d"), annotation)
    assert any("one span is LOC and ORG" in f.message for f in found(item, rules=["label"]))


def test_an_unmarked_repeat_is_found_at_its_place() -> None:
    item = one("Tripoli dort. À Tripoli, Tripolitaine.", ("Tripoli", "LOC"))
    findings = found(item)
    assert [(f.rule, f.start) for f in findings] == [("repeat", 16)]


def test_crossing_spans_are_found_and_nested_ones_are_not() -> None:
    text = "Université de Tripoli centre"

    def item(*spans: tuple[int, int]) -> GoldDocument:
        entities = [Entity(start, end, "LOC") for start, end in spans]
        return GoldDocument(Document.of(text, id="d"), Annotation.of("d", entities, [], CURATOR))

    assert found(item((0, 21), (14, 21)), rules=["crossing"]) == []
    assert [f.rule for f in found(item((0, 21), (14, 28)), rules=["crossing"])] == ["crossing"]


def test_mentions_of_one_thing_must_not_contradict_each_other() -> None:
    item = one(
        "UA, Union, Africa",
        ("UA", "ORG"),
        ("Union", "ORG"),
        ("Africa", "ORG"),
        links=[(0, "same_as", 1), (1, "same_as", 2), (0, "supports", 2)],
    )
    assert [f.rule for f in found(item, schema=LINKED)] == ["identity"]
    named = replace(
        item,
        annotation=Annotation.of(
            "d",
            [
                replace(e, canonical=c)
                for e, c in zip(item.annotation.entities, ("A", None, "B"), strict=True)
            ],
            [r for r in item.annotation.relations if r.label == "same_as"],
            CURATOR,
        ),
    )
    assert any("A and B" in f.message for f in found(named, schema=LINKED))
    chained = Annotation.of(
        "d",
        [Entity(0, 2, "ORG"), Entity(4, 9, "PER")],
        [],
        CURATOR,
        [[Entity(0, 2, "ORG"), Entity(4, 9, "PER")]],
    )
    findings = found(replace(item, annotation=chained), schema=LINKED)
    assert [(f.rule, f.rank) for f in findings] == [("identity", 1)]


def test_a_rare_direction_is_found() -> None:
    usual = [
        one("Gao, ONU.", ("Gao", "LOC"), ("ONU", "ORG"), links=[(0, "supports", 1)])
        for _ in range(10)
    ]
    odd = one("ONU, Gao.", ("ONU", "ORG"), ("Gao", "LOC"), links=[(0, "supports", 1)])
    findings = found(*usual, odd, schema=LINKED)
    assert [(f.rule, f.rank) for f in findings] == [("direction", 3)]


@given(golds(chains=True), golds())
def test_whatever_stands_in_gold_lint_comes_to_an_end_in_order(
    a: GoldDocument, b: GoldDocument
) -> None:
    findings = found(a, b)
    assert [f.rank for f in findings] == sorted(f.rank for f in findings)
    assert all(f.rule in RULES and f.context for f in findings)


def test_one_relation_contradicts_nothing() -> None:
    ali, gao = Entity(0, 3, "PER"), Entity(5, 8, "LOC")
    annotation = Annotation.of("d", [ali, gao], [Relation(ali, gao, "visits")], CURATOR)
    assert found(GoldDocument(Document.of("Ali, Gao", id="d"), annotation)) == []
