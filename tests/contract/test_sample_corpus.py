"""The sample corpus holds what its README says, and cannot lose it unnoticed."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from html import unescape
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from curate.gold.items import GoldDocument
from curate.gold.reading import Release
from curate.gold.versions import published
from curate.similarity import near_duplicate_pairs
from tests.contract.conftest import Curate

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples" / "sahel"
FOLDER = ROOT / "gold" / "sahel"
README = (EXAMPLES / "README.md").read_text("utf-8")
RARE = {"EVENT": 25, "FAC": 25}


@pytest.fixture(scope="module")
def release() -> Release:
    return Release(FOLDER / str(published(FOLDER)[-1]))


@pytest.fixture(scope="module")
def documents(release: Release) -> list[GoldDocument]:
    return list(release.documents())


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    """Every text as it comes in, by its file's name or its id."""
    found = {}
    for path in sorted((EXAMPLES / "pages").iterdir()):
        raw = path.read_bytes()
        try:
            found[path.stem] = raw.decode("utf-8")
        except UnicodeDecodeError:
            found[path.stem] = raw.decode("windows-1252")
        if path.suffix == ".html":
            found[path.stem] = unescape(found[path.stem])
    return found | {row["id"]: row["text"] for row in dispatches()}


def dispatches() -> list[dict[str, Any]]:
    lines = (EXAMPLES / "dispatches.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def rows(heading: str) -> Iterator[list[str]]:
    """The cells of the last table below a heading of the README."""
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = section.split("|---")[-1].split("\n")[1:]
    for line in lines:
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def test_there_are_120_texts_of_100_to_350_words(documents: list[GoldDocument]) -> None:
    words = [len(gold.document.text.split()) for gold in documents]
    assert len(words) == 120
    assert (min(words), max(words)) == (110, 339)
    assert "110 to 339 words" in README


def test_a_third_each_is_html_text_and_json_lines_with_source_and_date() -> None:
    forms = Counter(path.suffix for path in (EXAMPLES / "pages").iterdir())
    told = [row["meta"] for row in dispatches()]
    assert forms == {".html": 40, ".txt": 40}
    assert len(told) == 40
    assert all(meta["source"] and re.match(r"\d{4}-\d\d-\d\d$", meta["date"]) for meta in told)
    assert {int(meta["date"][:4]) for meta in told} == set(range(2011, 2026))


def test_the_texts_are_on_every_country_that_the_readme_names(
    documents: list[GoldDocument],
) -> None:
    places = Counter(
        gold.document.text[e.start : e.end]
        for gold in documents
        for e in gold.annotation.entities
        if e.label == "LOC"
    )
    for country, town in {
        "Libye": "Tripoli",
        "Algérie": "Alger",
        "Tunisie": "Tunis",
        "Maroc": "Rabat",
        "Mauritanie": "Nouakchott",
        "Mali": "Bamako",
        "Niger": "Niamey",
        "Tchad": "Bol",
    }.items():
        assert min(places[country], places[town]) > 0, country
    assert places["Ouagadougou"]


def test_exactly_ten_pairs_are_reprints_and_each_stays_in_one_split(
    documents: list[GoldDocument],
) -> None:
    texts = {gold.id: gold.document.text for gold in documents}
    place = {gold.id: (gold.group, gold.split) for gold in documents}
    pairs = near_duplicate_pairs(texts)
    assert len(pairs) == len({key for pair in pairs for key in (pair.a, pair.b)}) / 2 == 10
    assert all(place[pair.a] == place[pair.b] for pair in pairs)
    assert len({group for group, _ in place.values()}) == 110


def test_no_two_other_texts_are_alike(documents: list[GoldDocument]) -> None:
    """Word 3-grams shared by two texts that are no reprints: at most 3 in 100."""
    grams = {}
    for gold in documents:
        words = re.findall(r"\w+", gold.document.text.lower())
        grams[gold.id] = (gold.group, set(zip(words, words[1:], words[2:], strict=False)))
    for (one, a), (other, b) in combinations(grams.values(), 2):
        assert one == other or len(a & b) <= 0.032 * len(a | b)


@pytest.mark.parametrize(
    ("what", "pattern", "least"),
    [
        ("no-break spaces", "\u00a0", 40),
        ("narrow no-break spaces", "\u202f", 16),
        ("CRLF", "\r\n", 13),
        ("soft hyphens", "\u00ad", 7),
        ("zero-width spaces", "\u200b", 5),
        ("guillemets", "«", 100),
        ("emoji", "[\U0001f300-\U0001faff]", 12),
        ("flags", "[\U0001f1e6-\U0001f1ff]{2}", 5),
        ("Arabic lines", "[\u0621-\u064a]{3,} [\u0621-\u064a]{3,}", 4),
        ("Russian lines", "[а-яА-Я]{5,}", 5),
        ("Spanish lines", r"\b(será|calcula que|fue aplazado|se representará)\b|¡|¿", 3),
        ("English lines", r"\b(will be streamed|handed over)\b", 2),
        ("acronyms in brackets", r"\w \([A-Z][A-Za-z0-9É-]{1,6}\)", 60),
        ("sentences glued together", "[a-zé][.,;][A-ZÀÉ][a-zé]|[a-zé][A-ZÀ][a-z]+ [a-z]", 7),
        ("cookie banners", "(?i)cookie", 8),
        ("menus and forms", "(?i)<nav|<form|commentaire", 20),
        ("denials and conditionals", r"(?i)\baurai(t|ent)\b|\bpourrai(t|ent)\b|dément", 50),
    ],
)
def test_the_difficulties_named_are_there(
    sources: dict[str, str], what: str, pattern: str, least: int
) -> None:
    assert sum(bool(re.search(pattern, text)) for text in sources.values()) >= least, what


def test_every_text_named_in_the_readme_as_hard_is_there(sources: dict[str, str]) -> None:
    section = README.split("## Difficulties")[1].split("\n## ")[0]
    known = {key.split("-")[0] if key[0].isdigit() else key for key in sources} | set(sources)
    named = re.findall(r"`(\d\d(?:-[a-z-]+)?|depeche-[a-z0-9-]+)`", section)
    assert len(named) > 80
    assert [name for name in named if name not in known] == []


def test_every_spelling_of_the_readme_is_a_mention_of_the_kind_it_says(
    documents: list[GoldDocument],
) -> None:
    labels = {"place": "LOC", "person": "PER", "force": "MIL"}
    mentions = {
        (e.label, gold.document.text[e.start : e.end])
        for gold in documents
        for e in gold.annotation.entities
    }
    told = [(kind, names.split(", ")) for kind, names in rows("One thing under several spellings")]
    assert len(told) >= 15
    assert f"\n{len(told)} sets" in README
    for kind, names in told:
        assert len(set(names)) > 1
        assert [name for name in names if (labels[kind], name) not in mentions] == []


def test_every_label_has_examples_enough_in_all_and_in_train(release: Release) -> None:
    """40 of each entity label, 25 of EVENT and FAC, 20 of each relation type."""
    counts = release.manifest.counts
    for kind, least in (("entity_labels", 40), ("relation_labels", 20)):
        known = (
            release.schema.entity_labels
            if kind == "entity_labels"
            else release.schema.relation_labels
        )
        assert set(counts[kind]) == set(known)
        for label, found in counts[kind].items():
            assert min(sum(found.values()), found["train"]) >= RARE.get(label, least), label
            assert min(found["dev"], found["test"]) >= 5, label


def test_the_data_card_tells_the_figures(release: Release) -> None:
    counts, agreement = release.manifest.counts, release.manifest.agreement
    card = (release.folder / "README.md").read_text("utf-8")
    assert agreement is not None
    assert agreement["documents"] == 120
    labels = {*counts["entity_labels"], *counts["relation_labels"]}
    assert set(agreement["per_label"]) == labels
    across = sum(counts["across_sentences"].values())
    assert 0.15 < across / counts["relations"] < 0.35
    assert f"{across} ({100 * across / counts['relations']:.1f} %)" in card
    assert f"{across} ({100 * across / counts['relations']:.1f} %)" in README
    assert "| split | documents | words | entities | relations |" in card
    assert all(counts["per_split"][split]["words"] for split in ("train", "dev", "test"))


def test_the_readme_states_counts_and_agreement_as_measured(
    curate: Curate, release: Release
) -> None:
    annotators = (EXAMPLES / "annotator_a.jsonl", EXAMPLES / "annotator_b.jsonl")
    found = curate("agreement", *annotators, "--json").json
    counts = release.manifest.counts
    measured = found["entities"]["per_label"] | found["relations"]["per_label"]
    held = counts["entity_labels"] | counts["relation_labels"]
    expected = []
    for label in (*sorted(counts["entity_labels"]), *sorted(counts["relation_labels"])):
        n, f1 = held[label], measured[label]
        whole = sum(n.values())
        across = counts["across_sentences"].get(label)
        share = "" if across is None else f"{100 * across / whole:.1f} %"
        splits = [str(n[split]) for split in ("train", "dev", "test")]
        interval = "[{:.3f}, {:.3f}]".format(*f1["ci"])
        expected.append(
            [f"`{label}`", *splits, str(whole), share, format(f1["f1"], ".3f"), interval]
        )
    assert list(rows("Annotation")) == expected
    for part in ("entities", "relations"):
        whole = "{:.3f} [{:.3f}, {:.3f}]".format(found[part]["f1"], *found[part]["ci"])
        assert f"{whole} on {part}" in README


def test_every_finding_of_lint_is_explained(curate: Curate, release: Release) -> None:
    found = curate("gold", "lint", release.folder, "--json").json["findings"]
    told = {(row[0].strip("`"), row[1].strip("`")) for row in rows("What `gold lint` finds")}
    assert {(each["rule"], each["document"]) for each in found} <= told
