"""Forms that gold is written in: what can be read again comes back, what cannot is counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.errors import DataError
from curate.flows.gold_export import FORMATS, export_gold
from curate.flows.gold_import import read_gold
from curate.flows.reporter import Silent
from curate.gold.formats import brat, conll, docred, jsonl, prodigy, spacy
from curate.gold.formats.loss import Loss, file_names
from curate.gold.items import GoldDocument
from curate.gold.opening import open_gold
from curate.model import Annotation, Document, Entity, Relation, Source
from tests.gold_cases import CURATOR, corpus, golds, schema_with
from tests.unit.test_gold_release import publish

DESK = Source.curator("desk")
anything = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def claims(annotation: Annotation) -> object:
    return (
        [(e.key, e.canonical) for e in annotation.entities],
        [r.key for r in annotation.relations],
        [[e.key for e in chain] for chain in annotation.chains],
    )


@cache
def french() -> Any:
    """One pipeline for many documents: it takes long to make."""
    return spacy.blank("fr")


def distinct(items: list[GoldDocument]) -> list[GoldDocument]:
    return list({gold.id: gold for gold in items}.values())


@anything
@given(st.lists(golds(chains=True), max_size=4).map(distinct))
def test_jsonl_comes_back_whole(tmp_path: Path, items: list[GoldDocument]) -> None:
    loss = jsonl.export(items, tmp_path / "g.jsonl")
    assert not loss.lost
    back = list(read_gold(tmp_path / "g.jsonl", "jsonl", DESK)) if items else []
    assert [r.document.id for r in back] == [g.id for g in items]
    for record, gold in zip(back, items, strict=True):
        assert record.document.text == gold.document.text
        assert claims(record.annotation) == claims(gold.annotation)


@anything
@given(st.lists(golds(), max_size=4).map(distinct))
def test_prodigy_comes_back_whole(tmp_path: Path, items: list[GoldDocument]) -> None:
    prodigy.export(items, tmp_path / "p.jsonl")
    back = list(prodigy.read(tmp_path / "p.jsonl", source=DESK))
    assert [r.document.id for r in back] == [g.id for g in items]
    for record, gold in zip(back, items, strict=True):
        assert record.document.text == gold.document.text
        assert claims(record.annotation) == claims(gold.annotation)


@anything
@given(st.lists(golds(chains=True, labels=("PER", "Lieu-dit", "Fête!")), max_size=4).map(distinct))
def test_brat_comes_back_whole(
    tmp_path_factory: pytest.TempPathFactory, items: list[GoldDocument]
) -> None:
    folder = tmp_path_factory.mktemp("brat")
    loss = brat.export(items, folder)
    if not items:
        return
    back = {r.document.id: r for r in brat.read(folder, source=DESK)}
    assert back.keys() == {gold.id for gold in items}
    for gold in items:
        record = back[gold.id]
        assert record.document.text == gold.document.text
        assert claims(record.annotation) == claims(gold.annotation)
    assert not loss.lost


@anything
@given(st.lists(golds(flat=True, relations=()), max_size=4).map(distinct))
def test_conll_gives_back_what_it_says_it_carries(
    tmp_path: Path, items: list[GoldDocument]
) -> None:
    """Text exactly; of the entities, all but those that cut a token."""
    loss = conll.export(items, tmp_path / "c.conll")
    back = list(conll.read(tmp_path / "c.conll", source=DESK))
    assert [r.document.id for r in back] == [g.id for g in items]
    kept = 0
    for record, gold in zip(back, items, strict=True):
        assert record.document.text == gold.document.text
        assert set(record.annotation.entities) <= set(gold.annotation.entities)
        kept += len(record.annotation.entities)
    assert kept == loss.entities - loss.lost["entity cuts a token"]


@anything
@given(st.lists(golds(chains=True), min_size=1, max_size=3).map(distinct))
def test_spacy_loses_nothing_and_tells_what_does_not_align(
    tmp_path: Path, items: list[GoldDocument]
) -> None:
    target = tmp_path / "g.spacy"
    loss = spacy.export(items, target)
    back = list(spacy.read(target))
    for read, gold in zip(back, items, strict=True):
        assert read.document.text == gold.document.text
        assert [e.key for e in read.annotation.entities] == [
            e.key for e in gold.annotation.entities
        ]
        assert [r.key for r in read.annotation.relations] == [
            r.key for r in gold.annotation.relations
        ]
        assert read.annotation.chains == gold.annotation.chains
    misaligned = sum(n for reason, n in loss.lost.items() if "misaligned" in reason)
    aligned = sum(len(spacy.to_doc(gold, french()).spans[spacy.SPAN_GROUP]) for gold in items)
    assert aligned + misaligned == loss.entities


def test_spacy_entities_relations_and_overlaps_stand_where_users_expect_them() -> None:
    text = "Le maire de Tripoli, Ali Barka, dîne à l’Université de Tripoli."
    uni, tripoli = Entity(41, 62, "ORG"), Entity(55, 62, "LOC")
    ali, cut = Entity(21, 30, "PER"), Entity(12, 15, "LOC")
    annotation = Annotation.of(
        "d",
        [uni, tripoli, ali, cut],
        [Relation(ali, uni, "leads"), Relation(ali, cut, "visits")],
        CURATOR,
    )
    spacy.register()
    doc = spacy.to_doc(GoldDocument(Document.of(text, id="d"), annotation), spacy.blank("fr"))
    assert [(e.text, e.label_) for e in doc.ents] == [
        ("Ali Barka", "PER"),
        ("Université de Tripoli", "ORG"),
    ]
    assert {s.text for s in doc.spans["entities"]} == {
        "Ali Barka",
        "Université de Tripoli",
        "Tripoli",
    }
    assert [(h.text, t.text, label) for h, t, label in doc._.relations] == [
        ("Ali Barka", "Université de Tripoli", "leads")
    ]
    assert doc.user_data["curate"]["misaligned"] == [[12, 15, "LOC", spacy.CUTS_END]]
    assert doc._.curate_id == "d"
    assert claims(spacy.annotation_of(doc, CURATOR)) == claims(annotation)


def test_spacy_trains_on_an_export(tmp_path: Path) -> None:
    """spaCy's own reader takes the file and finds the entities aligned."""
    from spacy.training import Corpus

    items = [GoldDocument(item.document, item.annotation) for item in corpus(4)]
    spacy.export(items, tmp_path / "train.spacy")
    examples = list(Corpus(tmp_path / "train.spacy")(spacy.blank("fr")))
    assert len(examples) == 4
    assert sum(len(example.reference.ents) for example in examples) == 16


@anything
@given(st.lists(golds(chains=True), max_size=3).map(distinct))
def test_docred_mentions_point_at_their_text(tmp_path: Path, items: list[GoldDocument]) -> None:
    def documents(split: str | None) -> Iterator[GoldDocument]:
        return iter(items)

    docred.export(documents, tmp_path, splits=())
    rows = json.loads((tmp_path / "all.json").read_bytes())
    for row, gold in zip(rows, items, strict=True):
        mentions = [mention for thing in row["vertexSet"] for mention in thing]
        for mention in mentions:
            assert row["text"][mention["start"] : mention["end"]] == mention["name"]
        assert {(m["start"], m["end"], m["type"]) for m in mentions} == {
            e.key for e in gold.annotation.entities
        }
        assert all(0 <= r["h"] < len(row["vertexSet"]) for r in row["labels"])


def test_docred_makes_one_thing_of_a_chain(tmp_path: Path) -> None:
    text = "L’ONU vote. L’Organisation attend Gao."
    a, b, c = Entity(2, 5, "ORG"), Entity(14, 26, "ORG"), Entity(34, 37, "LOC")
    annotation = Annotation.of(
        "d", [a, b, c], [Relation(a, c, "visits"), Relation(b, c, "visits")], CURATOR, [[a, b]]
    )
    gold = GoldDocument(Document.of(text, id="d"), annotation)
    loss = docred.export(lambda split: iter([gold]), tmp_path, splits=())
    [row] = json.loads((tmp_path / "all.json").read_bytes())
    assert [[m["name"] for m in thing] for thing in row["vertexSet"]] == [
        ["ONU", "Organisation"],
        ["Gao"],
    ]
    assert row["labels"] == [{"h": 0, "t": 1, "r": "visits", "evidence": [0, 1]}]
    assert [
        row["sents"][m["sent_id"]][slice(*m["pos"])] for thing in row["vertexSet"] for m in thing
    ] == [["ONU"], ["Organisation"], ["Gao"]]
    assert sum(loss.lost.values()) == 1


@pytest.fixture
def release(tmp_path: Path) -> Path:
    publish(tmp_path / "gold" / "tiny", corpus(12))
    return tmp_path / "gold" / "tiny" / "1.0.0"


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_writes_every_split_and_an_account(
    release: Path, tmp_path: Path, form: str
) -> None:
    gold = open_gold(str(release))
    result = export_gold(gold, form, tmp_path / "out", Silent())
    assert result.loss.documents == 12
    assert result.loss.entities == 48
    report = json.loads((tmp_path / "out" / "LOSS.json").read_bytes())
    assert report == result.loss.as_dict()
    for split in ("train", "dev", "test"):
        assert form == "brat" or any(split in name for name in result.files)


def test_jsonl_loses_the_splits_only_where_one_file_holds_several(
    release: Path, tmp_path: Path
) -> None:
    """A folder with a file a split, and the file of one split, carry the splits in their names."""
    gold = open_gold(str(release))
    assert not export_gold(gold, "jsonl", tmp_path / "out", Silent()).loss.lost
    assert not export_gold(gold, "jsonl", tmp_path / "t.jsonl", Silent(), split="test").loss.lost
    [(reason, count)] = export_gold(gold, "jsonl", tmp_path / "a.jsonl", Silent()).loss.lost.items()
    assert "split not carried" in reason
    assert count == 12


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_has_the_same_bytes_twice_and_replaces_the_first(
    release: Path, tmp_path: Path, form: str
) -> None:
    gold = open_gold(str(release))
    seen = []
    for _ in range(2):
        export_gold(gold, form, tmp_path / "out", Silent())
        files = sorted(p for p in (tmp_path / "out").rglob("*") if p.is_file())
        seen.append([(p.name, p.read_bytes()) for p in files])
    assert seen[0] == seen[1]


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_is_exported_as_a_release_is(tmp_path: Path, form: str) -> None:
    items = [GoldDocument(item.document, item.annotation) for item in corpus(3)]
    jsonl.export(items, tmp_path / "g.jsonl")
    gold = open_gold(str(tmp_path / "g.jsonl"))
    result = export_gold(gold, form, tmp_path / "out", Silent())
    assert (result.loss.documents, result.loss.entities) == (3, 12)
    assert result.splits == ()


def test_an_export_never_overwrites_somebody_else_s_folder(release: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(DataError, match="stands in the way"):
        export_gold(open_gold(str(release)), "hf", tmp_path / "mine", Silent())
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "x"


def test_an_export_removes_what_killed_ones_left_and_no_more(release: Path, tmp_path: Path) -> None:
    """Unfinished work of dead processes for the same target goes; all else stays."""
    out = tmp_path / "out"
    out.mkdir()
    dead, alive = _finished_process(), os.getppid()
    gone = [out / f".hf.{dead}.tmp", out / f".g.jsonl.{dead}.tmp"]
    kept = [out / f".hf.{alive}.tmp", out / f".other.{dead}.tmp", out / f".hf.x{dead}.tmp"]
    for path in (*gone[:1], *kept):
        path.mkdir()
        (path / "part").write_text("x")
    gone[1].write_text("x")
    for target, form in (("hf", "hf"), ("g.jsonl", "jsonl")):
        export_gold(open_gold(str(release)), form, out / target, Silent())
    assert not any(path.exists() for path in gone)
    assert all((path / "part").exists() for path in kept)


def _finished_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_leak_is_not_exported(release: Path, tmp_path: Path) -> None:
    path = release / "documents.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    text = path.read_text("utf-8")
    for row in rows:
        text = text.replace(f'"group":"{row["group"]}"', '"group":"one"')
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match="two splits"):
        export_gold(open_gold(str(release)), "jsonl", tmp_path / "x.jsonl", Silent())


@pytest.mark.filterwarnings("ignore")
def test_datasets_opens_the_folder_offline_with_its_splits(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    datasets = pytest.importorskip("datasets")
    export_gold(open_gold(str(release)), "hf", tmp_path / "out", Silent())
    data = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert set(data) == {"train", "dev", "test"}
    assert sum(len(part) for part in data.values()) == 12
    row = data["test"][0]
    for entity in row["entities"]:
        assert row["text"][entity["start"] : entity["end"]] == entity["text"]
    assert row["relations"][0]["label"] in ("visits", "meets")
    assert len(row["tokens"]) == len(row["tags"])
    items = datasets.load_dataset(
        str(release), "entities", cache_dir=str(tmp_path / "cache2"), split="release"
    )
    assert len(items) == 48


@pytest.mark.filterwarnings("ignore")
def test_an_empty_column_keeps_its_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A split without any relation opens beside one that has some."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    items = corpus(8)
    bare = [
        replace(i, annotation=Annotation.of(i.document.id, i.annotation.entities[:1], [], CURATOR))
        for i in items
    ]
    publish(tmp_path / "gold" / "tiny", bare)
    export_gold(
        open_gold(str(tmp_path / "gold" / "tiny" / "1.0.0")), "hf", tmp_path / "o", Silent()
    )
    data = datasets.load_dataset(str(tmp_path / "o"), cache_dir=str(tmp_path / "cache"))
    assert data["train"][0]["relations"] == []
    assert "head" in str(data["train"].features["relations"])


@pytest.mark.filterwarnings("ignore")
def test_croissant_describes_the_files(release: Path, tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    export_gold(open_gold(str(release)), "hf", tmp_path / "out", Silent())
    described = mlcroissant.Dataset(jsonld=str(tmp_path / "out" / "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    records = list(described.records("test"))
    assert records
    assert records[0]["test/id"].decode().startswith("doc-")


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8"))
    return path


def test_a_brat_folder_of_others_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    _write(folder / "sub" / "a.txt", "Ali dirige\nl’ONU.")
    _write(
        folder / "sub" / "a.ann",
        "T1\tPER 0 3\tAli\nT2\tORG 13 16\tONU\nR1\tleads Arg1:T1 Arg2:T2\n"
        "E1\tX:T1\nA1\tNegated T1\n#1\tAnnotatorNotes T1\tsome remark\n"
        "T3\tLOC 4 10;11 13\tdirige l’\n*\tEquiv T1 T2\n",
    )
    from collections import Counter

    ignored: Counter[str] = Counter()
    [record] = brat.read(folder, source=DESK, ignored=ignored)
    assert record.document.id == "sub/a"
    assert [e.key for e in record.annotation.entities] == [
        (0, 3, "PER"),
        (4, 13, "LOC"),
        (13, 16, "ORG"),
    ]
    assert [r.label for r in record.annotation.relations] == ["leads"]
    assert len(record.annotation.chains) == 1
    assert ignored == {"E": 1, "A": 1, "#": 1}


@pytest.mark.parametrize(
    ("ann", "reason"),
    [
        ("T1\tPER 0 30\tAli\n", "outside the text"),
        ("T1\tPER 0\tAli\n", "offsets"),
        ("T1\tPER 0 3;11 14\tAli\n", "discontinuous"),
        ("R1\tx Arg1:T1 Arg2:T2\n", "no entity"),
        ("T1\n", "needs a label"),
        ("T1\tPER 0 3\tBob\n", "says 'Bob', but the text has 'Ali' at 0–3"),
        ("T1\tPER 0 3\t\n", "says ''"),
    ],
)
def test_what_does_not_fit_in_brat_is_named(tmp_path: Path, ann: str, reason: str) -> None:
    _write(tmp_path / "a.txt", "Ali dirige l’ONU.")
    _write(tmp_path / "a.ann", ann)
    with pytest.raises(DataError, match=reason) as error:
        list(brat.read(tmp_path, source=DESK))
    assert error.value.line == 1
    assert Path(str(error.value.path)).name == "a.ann"


@pytest.mark.parametrize(
    "ann",
    [
        "T1\tPER 0 3\tAli\nT1\tORG 13 16\tONU\n",
        "T1\tPER 0 3\tAli\nT1\tPER 0 3\tAli\n",
        "R1\tx Arg1:T1 Arg2:T2\nR1\tx Arg1:T2 Arg2:T1\nT1\tPER 0 3\tAli\nT2\tORG 13 16\tONU\n",
    ],
)
def test_an_id_that_stands_twice_in_brat_is_named(tmp_path: Path, ann: str) -> None:
    """No entity or relation gives way to another of the same id without a word."""
    _write(tmp_path / "a.txt", "Ali dirige l’ONU.")
    _write(tmp_path / "a.ann", ann)
    with pytest.raises(DataError, match=r"stands twice, first on line 1") as error:
        list(brat.read(tmp_path, source=DESK))
    assert error.value.line == 2
    assert Path(str(error.value.path)).name == "a.ann"


def test_words_that_differ_in_white_space_only_are_brat_s_way(tmp_path: Path) -> None:
    """A line of brat's shows a line break, a tab or a run of spaces as it can."""
    _write(tmp_path / "a.txt", "Ali\nBarka\u200f et l’Union \t du  Maghreb, cafe\u0301.")
    _write(
        tmp_path / "a.ann",
        "T1\tPER 0 9\tAli Barka\nT2\tORG 14 35\tl’Union \t du Maghreb\r\nT3\tLOC 37 42\tcafé\n"
        "T4\tPER 0 3\nT5\tPER 4 10\tBarka\n",
    )
    [record] = brat.read(tmp_path, source=DESK)
    assert [e.end for e in record.annotation.entities] == [3, 9, 10, 35, 41]


def test_a_conll_file_of_others_is_read(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "x.conll",
        "-DOCSTART- -X- O\n\nAli NNP B-PER\nBarka NNP I-PER\nà IN O\nGao NNP I-LOC\n\nFin . O\n"
        "-DOCSTART- -X- O\n\nONU X S-ORG\n",
    )
    first, second = conll.read(path, source=DESK)
    assert first.document.text == "Ali Barka à Gao Fin"
    assert [e.key for e in first.annotation.entities] == [(0, 9, "PER"), (12, 15, "LOC")]
    assert [e.key for e in second.annotation.entities] == [(0, 3, "ORG")]


@pytest.mark.parametrize(
    ("text", "line"),
    [("Ali\n", 1), ("Ali B-PER\nx Q-\n", 2), ('# id = "a"\n# text = "Ali"\nAli\t1\t4\tO\n', 3)],
)
def test_what_does_not_fit_in_conll_is_named_by_its_line(
    tmp_path: Path, text: str, line: int
) -> None:
    with pytest.raises(DataError) as error:
        list(conll.read(_write(tmp_path / "x.conll", text), source=DESK))
    assert error.value.line == line


def test_prodigy_s_rejected_records_are_passed_over(tmp_path: Path) -> None:
    rows = [
        {"text": "Ali", "spans": [{"start": 0, "end": 3, "label": "PER"}], "answer": "accept"},
        {"text": "Gao", "spans": [], "answer": "reject"},
        {"text": "Sebha", "answer": "ignore"},
    ]
    path = _write(tmp_path / "p.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert [r.document.text for r in prodigy.read(path, source=DESK)] == ["Ali"]


@pytest.mark.parametrize(
    "ids",
    [
        ["../../etc/passwd", "a/b", "a_b", "A_B"],
        [".", "..", "con", "NUL.txt", "x" * 200, "x" * 199 + "y"],
        ["é", "è", "‮x", "a\u2028b", "-rf", "a:b", "a b."],
    ],
)
def test_document_ids_become_safe_and_distinct_file_names(ids: list[str]) -> None:
    names = file_names(ids)
    assert len({name.lower() for name in names.values()}) == len(ids)
    for name in names.values():
        assert name == Path(name).name
        assert name.strip(".")
        assert len(name) < 120
        assert name.isascii()


def test_hostile_ids_and_labels_stay_inside_the_folder(tmp_path: Path) -> None:
    ids = ["../../evil", "a/b", "con"]
    schema = schema_with(["A-B", "C/D"], ["r"])
    items = [
        GoldDocument(Document.of("Gao", id=i), Annotation.of(i, [Entity(0, 3, "C/D")], [], CURATOR))
        for i in ids
    ]
    folder = tmp_path / "x" / "out"
    folder.mkdir(parents=True)
    brat.export(items, folder, schema=schema)
    outside = [p for p in tmp_path.rglob("*") if p.is_file() and folder not in p.parents]
    assert outside == []
    assert {r.document.id for r in brat.read(folder, source=DESK)} == set(ids)


def test_losses_are_counted_by_reason_with_examples() -> None:
    loss = Loss("x")
    for i in range(50):
        loss.add("too long", f"d{i}")
    assert loss.as_dict()["lost"] == {"too long": 50}
    assert len(loss.as_dict()["examples"]["too long"]) == 20
