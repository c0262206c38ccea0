"""`curate evaluate`, `compare` and `agreement`, called as a user calls them."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.conftest import Curate

TEXT = "Ali Barka dirige la Garde de Tripoli."
PER = {"id": "e1", "start": 0, "end": 9, "label": "PER"}
MIL = {"id": "e2", "start": 20, "end": 25, "label": "MIL"}
LOC = {"id": "e3", "start": 29, "end": 36, "label": "LOC"}
LINK = {"head": "e1", "tail": "e2", "label": "commands"}


def record(name: str, entities=(PER, MIL, LOC), relations=(LINK,), **more) -> dict:
    return {
        "id": name,
        "text": TEXT,
        "entities": list(entities),
        "relations": list(relations),
        "meta": {},
    } | more


def write(path: Path, *records) -> Path:
    lines = [r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def attributes(page: str) -> set[str]:
    """The names of all attributes of a page's tags."""
    found: set[str] = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.update(name for name, _ in attrs)

    Reader().feed(page)
    return found


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    return write(
        tmp_path / "gold.jsonl",
        record("a", meta={"split": "test", "source": "AFP"}),
        record("b", meta={"split": "train", "source": "RFI"}),
    )


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    wrong = MIL | {"label": "ORG", "score": 0.4}
    return write(
        tmp_path / "p.jsonl",
        record("b", (PER | {"score": 0.9}, wrong), ()),
        record("a"),
    )


def test_two_files_need_no_workspace(curate: Curate, gold: Path, predictions: Path) -> None:
    """The JSON of SCORING's form, alone on standard output."""
    result = curate("evaluate", predictions, "--gold", gold, "--json")
    assert result.code == 0
    data = json.loads(result.out)
    assert data["documents"] == 2
    strict = data["entities"]["strict"]
    assert (strict["tp"], strict["fp"], strict["fn"]) == (4, 1, 2)
    assert strict["f1"] == pytest.approx(8 / 11)
    assert strict["ci"][0] <= strict["f1"] <= strict["ci"][1]
    assert set(data["entities"]) >= {
        "strict", "exact", "partial", "lenient", "macro_label", "per_label", "errors",
        "error_members",
    }  # fmt: skip
    assert set(data["relations"]) >= {
        "strict", "boundaries", "given_entities", "macro_label", "per_label", "errors",
    }  # fmt: skip
    assert data["entities"]["errors"] == {
        "correct": 4, "label": 1, "split": 0, "merge": 0, "boundary": 0, "label_boundary": 0,
        "missed": 1, "spurious": 0,
    }  # fmt: skip
    assert data["relations"]["errors"]["missed"] == 1
    assert data["entities"]["calibration"]["count"] == 2
    assert any("ORG" in warning for warning in data["warnings"]) is False
    assert "symmetric" in result.err


def test_a_table_is_the_default(curate: Curate, gold: Path, predictions: Path) -> None:
    """Results on standard output, n/a for what is undefined, narration on standard error."""
    result = curate("evaluate", predictions, "--gold", gold)
    assert result.code == 0
    assert "strict" in result.out
    assert "missed 1" in result.out


def test_a_split_is_scored_alone(curate: Curate, gold: Path, predictions: Path) -> None:
    """What the predictions say of other splits is left aside."""
    data = json.loads(
        curate("evaluate", predictions, "--gold", gold, "--split", "test", "--json").out
    )
    assert data["documents"] == 1
    assert data["entities"]["strict"]["f1"] == 1.0
    result = curate("evaluate", predictions, "--gold", gold, "--split", "dev")
    assert result.code == 2
    assert "it has: test, train" in result.err


def test_by_source_scores_each_apart(curate: Curate, gold: Path, predictions: Path) -> None:
    """A fact of the documents divides them."""
    data = json.loads(
        curate("evaluate", predictions, "--gold", gold, "--by", "source", "--json").out
    )
    assert list(data["by"]["source"]) == ["AFP", "RFI"]
    assert data["by"]["source"]["AFP"]["entities"]["strict"]["f1"] == 1.0


def test_a_label_restricts_the_count(curate: Curate, gold: Path, predictions: Path) -> None:
    """Only that label; one that nobody has is a mistake of the caller."""
    data = json.loads(
        curate("evaluate", predictions, "--gold", gold, "--label", "PER", "--json").out
    )
    assert list(data["entities"]["per_label"]) == ["PER"]
    assert curate("evaluate", predictions, "--gold", gold, "--label", "MOON").code == 2


def test_a_gate_fails_with_exit_one(curate: Curate, gold: Path, predictions: Path) -> None:
    """The result is still printed."""
    result = curate("evaluate", predictions, "--gold", gold, "--json", "--fail-under", "0.9")
    assert result.code == 1
    assert json.loads(result.out)["documents"] == 2
    assert "below 0.9" in result.err
    assert curate("evaluate", predictions, "--gold", gold, "--fail-under", "0.5").code == 0


def test_the_page_is_safe_and_self_contained(curate: Curate, tmp_path: Path) -> None:
    """Markup in ids, labels and texts is shown as text; nothing is fetched."""
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)> & Tripoli"
    label = "<b>PER"
    gold = write(
        tmp_path / "gold.jsonl",
        {
            "id": "<i>x</i>",
            "text": evil,
            "entities": [
                {"id": "e1", "start": 0, "end": 25, "label": label},
                {"id": "e2", "start": 26, "end": 30, "label": "LOC"},
            ],
            "relations": [{"head": "e1", "tail": "e2", "label": "<u>r"}],
        },
    )
    other = write(tmp_path / "p.jsonl", {"id": "<i>x</i>", "text": evil})
    out = tmp_path / "out"
    result = curate("evaluate", other, "--gold", gold, "--output", out, "--json")
    assert result.code == 0
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert "<b>PER" not in page
    assert "<i>x" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"url\(|@import|https?://", page)
    assert not attributes(page) & {"src", "onerror"}
    assert not re.search(r"href=\"(?!#a\d+\")", page), "only places of the page itself"
    assert json.loads((out / "metrics.json").read_text())["documents"] == 1


BAD = {
    "span outside": (record("a", (PER | {"end": 99},), ()), "outside the text"),
    "start not before end": (record("a", (PER | {"start": 9},), ()), "not before end"),
    "dangling argument": (record("a", (PER,), (LINK,)), "no entity of the document"),
    "other text": (record("a", (), (), text="Un autre texte."), "is not the one of"),
    "unknown document": (record("z"), "is not in"),
    "malformed": ("{", "malformed JSON"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("command", ["evaluate", "agreement"])
def test_bad_input_names_file_and_line(
    curate: Curate, tmp_path: Path, command: str, name: str
) -> None:
    """Exit 3, one sentence with the place, nothing on standard output."""
    gold = write(tmp_path / "gold.jsonl", record("b"), record("a"))
    bad, said = BAD[name]
    other = write(tmp_path / "bad.jsonl", record("b"), bad)
    arguments = [other, "--gold", gold] if command == "evaluate" else [gold, other]
    result = curate(command, *arguments, "--json")
    assert result.code == 3
    assert said in result.err
    assert "bad.jsonl:2" in result.err
    assert result.out == ""
    assert len([line for line in result.err.splitlines() if line.startswith("curate: ")]) == 1


def test_a_document_twice_and_one_missing(curate: Curate, tmp_path: Path, gold: Path) -> None:
    """The file and the line of what is too much, or lacks its counterpart."""
    twice = write(tmp_path / "twice.jsonl", record("a"), record("b"), record("a"))
    result = curate("evaluate", twice, "--gold", gold)
    assert result.code == 3
    assert "twice.jsonl:3" in result.err
    less = write(tmp_path / "less.jsonl", record("a"))
    result = curate("evaluate", less, "--gold", gold)
    assert result.code == 3
    assert "gold.jsonl:2" in result.err
    assert curate("evaluate", less, "--gold", gold, "--only-common").code == 0


def test_a_file_that_is_not_there(curate: Curate, gold: Path) -> None:
    """Said before anything else is tried."""
    result = curate("evaluate", "nowhere.jsonl", "--gold", gold)
    assert result.code == 3
    assert "no such file" in result.err
    assert curate("evaluate", gold, "--gold", "nowhere.jsonl").code == 3


def test_models_are_scored_on_files(curate: Curate, gold: Path) -> None:
    """A model's name stands where a file may; no workspace is needed for the built-in one."""
    result = curate("evaluate", "bootstrap", "--gold", gold, "--json")
    assert result.code == 0
    data = json.loads(result.out)
    assert data["documents"] == 2
    assert data["predictions"]["name"].startswith("bootstrap")


def test_compare_says_in_words_which_is_better(
    curate: Curate, gold: Path, predictions: Path
) -> None:
    """Differences, p-values, Holm, and a sentence."""
    result = curate("compare", predictions, gold, "--gold", gold, "--json", "--draws", "500")
    assert result.code == 0
    data = json.loads(result.out)
    assert data["differences"][0]["difference"] > 0
    assert data["sentences"]
    assert curate("compare", predictions, gold).code == 2


def test_saved_scores_of_other_gold_are_refused(
    curate: Curate, tmp_path: Path, gold: Path, predictions: Path
) -> None:
    """Saved evaluations are compared only if their gold is the same; it says what to do."""
    other_gold = write(tmp_path / "gold2.jsonl", record("a"), record("b", (PER,), ()))
    for name, against in (("one", gold), ("two", gold), ("three", other_gold)):
        curate("evaluate", predictions, "--gold", against, "--output", tmp_path / name)
    same = curate("compare", tmp_path / "one", tmp_path / "two", "--draws", "200")
    assert same.code == 0
    result = curate("compare", tmp_path / "one", tmp_path / "three")
    assert result.code == 3
    assert "different gold" in result.err
    assert "Score both models again" in result.err
    mixed = curate("compare", tmp_path / "one", predictions, "--gold", gold)
    assert mixed.code == 2
    assert "saved evaluation" in mixed.err


def test_agreement_of_two_files(
    curate: Curate, tmp_path: Path, gold: Path, predictions: Path
) -> None:
    """The JSON of SCORING's form, a table, and a page."""
    result = curate("agreement", gold, predictions, "--json", "--output", tmp_path / "out")
    assert result.code == 0
    data = json.loads(result.out)
    assert data["annotators"] == ["gold", "p"]
    assert data["documents"] == 2
    assert data["entities"]["f1"] == pytest.approx(8 / 11)
    assert data["relations"]["f1"] == pytest.approx(2 / 3)
    assert (tmp_path / "out" / "agreement.html").is_file()
    table = curate("agreement", gold, predictions, "--unit", "token")
    assert table.code == 0
    assert "tokens" in table.out
    assert "n/a: relations.label_kappa" in table.out


def test_agreement_needs_two(curate: Curate, gold: Path) -> None:
    """One file, or the same file twice, is a mistake of the caller."""
    assert curate("agreement", gold).code == 2
    assert curate("agreement", gold, gold).code == 2
