"""The quick way of reading gives what the strict way gives, and refuses what it refuses."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import DataError
from curate.interchange import read
from curate.scoring import reading, score
from curate.scoring.reading import pair, read_file, read_files
from curate.scoring.scores import scores_of, tally_sides


def record(number: int = 1, **changes) -> dict:
    return {
        "id": f"d{number}",
        "text": "Ali Barka dirige la Garde.",
        "entities": [
            {"id": "e1", "start": 0, "end": 9, "label": "PER"},
            {"id": "e2", "start": 20, "end": 25, "label": "MIL"},
        ],
        "relations": [{"head": "e1", "tail": "e2", "label": "commands"}],
        "meta": {},
    } | changes


def write(path: Path, *records) -> Path:
    lines = [r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


E1 = {"id": "e1", "start": 0, "end": 9, "label": "PER"}
BAD = {
    "start not before end": record(entities=[E1 | {"start": 9}]),
    "end outside": record(entities=[E1 | {"end": 99}]),
    "start negative": record(entities=[E1 | {"start": -1}]),
    "start a float": record(entities=[E1 | {"start": 0.0}]),
    "start a flag": record(entities=[E1 | {"start": False}]),
    "no label": record(entities=[{"id": "e1", "start": 0, "end": 9}]),
    "empty label": record(entities=[E1 | {"label": ""}]),
    "label a number": record(entities=[E1 | {"label": 3}]),
    "label a list": record(entities=[E1 | {"label": ["PER"]}]),
    "id twice": record(entities=[E1, E1]),
    "id a number": record(entities=[E1 | {"id": 1}]),
    "unknown key": record(entities=[E1 | {"colour": "red"}]),
    "score too high": record(entities=[E1 | {"score": 1.5}]),
    "score a word": record(entities=[E1 | {"score": "high"}]),
    "score a flag": record(entities=[E1 | {"score": True}]),
    "canonical a number": record(entities=[E1 | {"canonical": 3}]),
    "dangling": record(relations=[{"head": "e1", "tail": "e9", "label": "r"}]),
    "argument a list": record(relations=[{"head": ["e1"], "tail": "e2", "label": "r"}]),
    "relation without label": record(relations=[{"head": "e1", "tail": "e2"}]),
    "relation unknown key": record(relations=[{"head": "e1", "tail": "e2", "label": "r", "x": 1}]),
    "entities no list": record(entities={"a": 1}),
    "entities an empty object": record(entities={}),
    "relations a flag": record(relations=False),
    "entity no object": record(entities=["e1"]),
    "chains dangling": record(chains=[["e1", "e7"]]),
    "chain no list": record(chains=["e1"]),
    "no text": {"id": "d1", "entities": []},
    "text a number": record(text=5),
    "NUL": record(text="a\0b", entities=[], relations=[]),
    "id empty": record(id=""),
    "id spaces": record(id=" d "),
    "id control": record(id="a\u0007"),
    "meta a list": record(meta=[]),
    "unknown": record(labels=[]),
    "no object": "[1]",
    "malformed": '{"id": ',
    "NaN": '{"id":"d1","text":"abc","entities":[{"id":"e","start":NaN,"end":1,"label":"A"}]}',
    "key twice": '{"id":"d1","text":"a:b","text":"c : d","entities":[]}',
    "key twice, spaces": '{"id" : "d1", "text" : "abc", "id" : "d1"}',
    "key twice, escaped": '{"id":"d1","text":"a\\u003ab","te\\u0078t":"a\\u003Ab"}',
    "key twice in an entity": '{"id":"d1","text":"abc","entities":'
    '[{"id":"e","start":0,"end":1,"end":2,"label":"A"}]}',
    "key twice in a relation": '{"id":"d1","text":"abc","entities":'
    '[{"id":"e","start":0,"end":1,"label":"A"}],'
    '"relations":[{"head":"e","tail":"e","label":"r","label":"s"}]}',
    "key twice deep in meta": '{"id":"d1","text":"abc","meta":{"a:":[{"b":"u:v","b":1}]}}',
    "list twice": '{"id":"d1","text":"abc","entities":[{"id":"e","start":0,"end":1,'
    '"label":"A"}],"entities":[]}',
    "surrogate": '{"id":"d1","text":"\\ud800"}',
}


@pytest.mark.parametrize("name", BAD)
def test_what_the_strict_reader_refuses_is_refused_alike(name: str, tmp_path: Path) -> None:
    """Same message, same file, same line."""
    path = write(tmp_path / "f.jsonl", record(0), BAD[name])
    with pytest.raises(DataError) as strict:
        list(read(path))
    with pytest.raises(DataError) as quick:
        read_file(path)
    assert str(quick.value) == str(strict.value)
    assert quick.value.line == 2


def test_colons_in_strings_are_no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line with colons wherever a string may be is still read the quick way."""
    odd = record(
        text="Ali : « Barka : dirige » la Garde.",
        meta={"url:": "https://x/a:b", "more": [{"k:": "v:"}, ":", 3, None]},
        source="a:b",
        entities=[E1 | {"id": "d:1", "label": "ns:PER"}],
        relations=[{"head": "d:1", "tail": "d:1", "label": "x:y"}],
        chains=[["d:1"]],
    )
    path = write(tmp_path / "f.jsonl", odd, record(2))
    monkeypatch.setattr(reading, "parse_record", None)
    assert read_file(path).ids == ["d1", "d2"]


def test_a_document_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    """The second line is named, and the first."""
    path = write(tmp_path / "f.jsonl", record(1), record(2), record(1))
    with pytest.raises(DataError, match=r"f\.jsonl:3: document 'd1' stands twice, first on line 1"):
        read_file(path)


names = st.sampled_from(["PER", "ORG", "É", "x y"])


@st.composite
def records(draw: st.DrawFn) -> list[dict]:
    found = []
    for number in range(draw(st.integers(1, 4))):
        text = draw(st.text(st.sampled_from("abé e\u0301\n«😀"), min_size=4, max_size=15))
        entities = []
        for i in range(draw(st.integers(0, 4))):
            start = draw(st.integers(0, len(text) - 1))
            entity = {
                "id": f"e{i}",
                "start": start,
                "end": draw(st.integers(start + 1, len(text))),
                "label": draw(names),
            }
            if draw(st.booleans()):
                entity["score"] = draw(st.sampled_from([None, 0, 0.5, 1]))
            if draw(st.integers(0, 5)) == 0:
                entity["canonical"] = "X"
            entities.append(entity)
        ids = [e["id"] for e in entities]
        relations = []
        if ids:
            for _ in range(draw(st.integers(0, 3))):
                relation = {
                    "head": draw(st.sampled_from(ids)),
                    "tail": draw(st.sampled_from(ids)),
                    "label": draw(names),
                }
                if draw(st.booleans()):
                    relation["score"] = draw(st.sampled_from([0.25, 1]))
                relations.append(relation)
        value = {"id": f"d{number}", "text": text, "entities": entities, "relations": relations}
        if ids and draw(st.booleans()):
            value["chains"] = [draw(st.lists(st.sampled_from(ids), min_size=1, max_size=3))]
        found.append(value)
    return found


@settings(max_examples=100)
@given(records(), records())
def test_scores_of_files_are_scores_of_their_annotations(tmp_path_factory, one, two) -> None:
    """Text that is not NFC, scores, chains, odd labels: both ways count the same."""
    folder = tmp_path_factory.mktemp("pair")
    texts = [r["text"] for r in one]
    two = [
        r | {"text": text, "entities": [e for e in r["entities"] if e["end"] <= len(text)]}
        for r, text in zip(two, texts, strict=False)
    ]
    for r in two:
        ids = {e["id"] for e in r["entities"]}
        r["relations"] = [x for x in r["relations"] if {x["head"], x["tail"]} <= ids]
        r["chains"] = [[i for i in c if i in ids] for c in r.get("chains", [])]
    one = one[: len(two)]
    paths = [write(folder / f"{i}.jsonl", *side) for i, side in enumerate((one, two))]
    try:
        pairs = list(zip(read(paths[0]), read(paths[1]), strict=True))
    except DataError:
        return
    paired = pair(*read_files(*paths))
    quick = scores_of(tally_sides(paired.documents, paired.gold, paired.other), draws=0)
    slow = score(pairs, draws=0)
    if any(one.duplicates or two.duplicates for one, two in pairs):
        # Of repeats an annotation keeps the first with its score, the columns the best score.
        quick, slow = (
            replace(
                scores,
                entities=replace(scores.entities, calibration=None),
                relations=replace(scores.relations, calibration=None),
            )
            for scores in (quick, slow)
        )
    assert quick.entities == slow.entities
    assert quick.relations == slow.relations


def test_two_processes_read_what_one_reads(tmp_path: Path, monkeypatch) -> None:
    """The number of processes changes nothing, errors included."""
    rng = random.Random(1)
    gold = write(tmp_path / "g.jsonl", *(record(n) for n in range(30)))
    some = [record(n) for n in range(30)]
    rng.shuffle(some)
    other = write(tmp_path / "p.jsonl", *some)
    one = pair(*read_files(gold, other))
    monkeypatch.setattr(reading, "_WORTH_A_PROCESS", 0)
    two = pair(*read_files(gold, other))
    assert one.documents == two.documents
    assert one.other.start.tolist() == two.other.start.tolist()
    assert one.other.head.tolist() == two.other.head.tolist()
    write(other, *some[:5], BAD["dangling"])
    with pytest.raises(DataError, match=r"p\.jsonl:6"):
        read_files(gold, other)


def test_documents_on_one_side_only_are_refused_with_their_line(tmp_path: Path) -> None:
    """Unless the caller asks for the common ones."""
    gold = read_file(write(tmp_path / "g.jsonl", record(1), record(2)))
    other = read_file(write(tmp_path / "p.jsonl", record(1), record(3)))
    with pytest.raises(DataError, match=r"p\.jsonl:2: document 'd3' is not in .*g\.jsonl"):
        pair(gold, other)
    less = read_file(write(tmp_path / "q.jsonl", record(1)))
    with pytest.raises(DataError, match=r"g\.jsonl:2: document 'd2' is not in"):
        pair(gold, less)
    found = pair(gold, other, only_common=True)
    assert (found.documents, found.left_out) == (("d1",), 2)


def test_texts_that_differ_are_refused_with_line_and_offset(tmp_path: Path) -> None:
    """Offsets into another text would be nonsense."""
    gold = read_file(write(tmp_path / "g.jsonl", record(1)))
    other = read_file(write(tmp_path / "p.jsonl", record(1, text="Ali Barka dirige la garde.")))
    with pytest.raises(DataError, match=r"p\.jsonl:1: the text .* part at offset 20"):
        pair(gold, other)
