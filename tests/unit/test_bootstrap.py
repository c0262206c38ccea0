"""The bootstrap rules: what they mark on the first day, and that code knows no language."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.errors import ConfigurationError
from curate.extractors.bootstrap import Bootstrap
from curate.extractors.rules import available, load
from curate.model import Annotation, Document
from curate.schema import LabelSchema, parse_schema, read_schema

SAHEL = read_schema(Path("label_configs/sahel.yaml"))


def extract(text: str, schema: LabelSchema = SAHEL) -> tuple[Document, Annotation]:
    document = Document.of(text)
    return document, next(Bootstrap(schema).extract([document]))


def entities(text: str) -> set[tuple[str, str]]:
    document, found = extract(text)
    return {(document.text[e.start : e.end], e.label) for e in found.entities}


def relations(text: str) -> set[tuple[str, str, str]]:
    document, found = extract(text)
    return {
        (document.text[slice(*r.head.span)], r.label, document.text[slice(*r.tail.span)])
        for r in found.relations
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "le général de brigade Omar Tahir",
            {("général de brigade", "ROLE"), ("Omar Tahir", "PER")},
        ),
        ("M. Belkacem est venu", {("Belkacem", "PER")}),
        ("l’aéroport de Nalout", {("aéroport de Nalout", "FAC"), ("Nalout", "LOC")}),
        ("l'Université de Derna", {("Université de Derna", "ORG"), ("Derna", "LOC")}),
        ("la 5e brigade d’infanterie", {("5e brigade d’infanterie", "MIL")}),
        ("l’armée tunisienne", {("armée tunisienne", "MIL")}),
        ("le ministère de la Justice", {("ministère de la Justice", "ORG")}),
        ("le sommet de Tunis", {("sommet de Tunis", "EVENT"), ("Tunis", "LOC")}),
        ("l’opération « Vent clair »", {("opération « Vent clair »", "EVENT")}),
        ("dans la nuit du 3 au 4 mai", {("nuit du 3 au 4 mai", "DATE")}),
        ("le mardi 3 mars 2020, puis hier", {("mardi 3 mars 2020", "DATE"), ("hier", "DATE")}),
        ("depuis la mi-août", {("mi-août", "DATE")}),
        ("pendant trois jours, à midi", set()),
        ("et l’AlgérieL’armée malienne", {("Algérie", "LOC"), ("armée malienne", "MIL")}),
    ],
)
def test_rules_mark_what_the_guidelines_call_a_mention(
    text: str, expected: set[tuple[str, str]]
) -> None:
    """Titles apart from names, places inside facilities, no durations, seams respected."""
    assert entities(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Le colonel Idir Sahli commande la brigade Al-Noor.",
            ("Idir Sahli", "commands", "brigade Al-Noor"),
        ),
        (
            "Salma Triki, présidente du Croissant-Rouge libyen, parle.",
            ("Salma Triki", "leads", "Croissant-Rouge libyen"),
        ),
        (
            "l'Organisation des dunes libres (ODL) parle",
            ("Organisation des dunes libres", "same_as", "ODL"),
        ),
        ("La 5e brigade occupe le port de Zouara.", ("5e brigade", "controls", "port de Zouara")),
        ("Alger soutient Tripoli.", ("Alger", "supports", "Tripoli")),
        ("M. Triki s'est rendu lundi à Sfax.", ("Triki", "visits", "Sfax")),
        (
            "la bataille de Derna, livrée le 3 mai 2018",
            ("bataille de Derna", "occurred_on", "3 mai 2018"),
        ),
        ("la route de Ghadames, puis à Ghadamès et à Qadamès", ("Qadamès", "same_as", "Ghadamès")),
    ],
)
def test_patterns_relate_neighbours(text: str, expected: tuple[str, str, str]) -> None:
    """One sentence for each kind of statement."""
    assert expected in relations(text)


@pytest.mark.parametrize(
    "text",
    [
        "La 5e brigade n’occupe pas le port de Zouara.",
        "La 5e brigade pourrait occuper le port de Zouara.",
        "La 5e brigade aurait pris le port de Zouara.",
    ],
)
def test_what_is_denied_or_possible_is_not_related(text: str) -> None:
    """Negation and modality veto a relation of fact."""
    assert not any(label == "controls" for _, label, _ in relations(text))


def test_every_item_has_a_score_and_fits_the_schema() -> None:
    """Scores lie in (0, 1); spans, labels and arguments are legal."""
    for path in sorted(Path("examples/sahel/pages").glob("*.txt")):
        document, found = extract(path.read_text(encoding="utf-8"))
        assert SAHEL.misfit(found, document.text) is None
        assert all(e.score is not None and 0 < e.score < 1 for e in found.entities)
        assert all(r.score is not None and 0 < r.score < 1 for r in found.relations)


def test_labels_that_the_schema_lacks_are_not_emitted() -> None:
    """Another schema of the language gets the labels it knows, under its own names."""
    schema = parse_schema(
        "name: tiny\nlanguage: fr\nentities:\n  - name: Person\n  - name: Place\n"
    )
    document, found = extract("le colonel Idir Sahli, à Tripoli", schema)
    assert {(document.text[e.start : e.end], e.label) for e in found.entities} == {
        ("Idir Sahli", "Person")
    }
    assert "Place" in str(Bootstrap(schema).notice)


def test_a_text_that_ends_within_a_longer_name_is_no_trouble() -> None:
    """Names are looked for up to the last word, and no further."""
    for text in ("au Burkina", "l’Afrique", "à Al", "le Sahara", "Conseil de", "en Arabie"):
        document, found = extract(text)
        assert SAHEL.misfit(found, document.text) is None


def test_without_data_nothing_is_found_and_the_notice_says_so() -> None:
    """A language without rules gets empty annotations, not French ones."""
    schema = parse_schema("name: news\nlanguage: en\nentities:\n  - name: PER\n")
    _, found = extract("le colonel Idir Sahli, à Tripoli", schema)
    assert found.is_empty
    assert "no bootstrap rules" in str(Bootstrap(schema).notice)


def test_the_digest_depends_on_rules_and_schema_alone() -> None:
    """The same rules and schema give the same digest; another schema another one."""
    assert Bootstrap(SAHEL).digest == Bootstrap(SAHEL).digest
    tiny = parse_schema("name: tiny\nlanguage: fr\nentities:\n  - name: PER\n")
    assert Bootstrap(tiny).digest != Bootstrap(SAHEL).digest


def test_every_data_folder_loads_and_a_broken_one_is_named(tmp_path: Path) -> None:
    """Rules compile; a mistake is reported with its file."""
    assert ("fr", "sahel") in available()
    for language, schema in available():
        assert load(language, schema).entities
    folder = tmp_path / "fr" / "x"
    folder.mkdir(parents=True)
    (folder / "rules.yaml").write_text(
        "labels: {PER: [PER]}\nentities:\n  - {name: a, score: 1, pattern: '(?P<PER>{NO})'}\n"
    )
    with pytest.raises(ConfigurationError, match=r"rules\.yaml.*unknown macro"):
        load("fr", "x", tmp_path)
