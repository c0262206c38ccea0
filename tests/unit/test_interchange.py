"""The JSON Lines form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import DataError
from curate.interchange import as_record, dump_line, parse_record, read, write
from curate.model import Annotation, Document, Entity, Relation, Source

SOURCE = Source.curator("c")
GOOD = {
    "id": "d1",
    "text": "Haftar à Tobrouk",
    "entities": [
        {"id": "e1", "start": 0, "end": 6, "label": "PER"},
        {"id": "e2", "start": 9, "end": 16, "label": "LOC"},
    ],
    "relations": [{"head": "e1", "tail": "e2", "label": "visits"}],
    "meta": {"source": "dépêche"},
}


def lines(path: Path, *records: object) -> Path:
    path.write_text(
        "".join(r if isinstance(r, str) else json.dumps(r) + "\n" for r in records), "utf-8"
    )
    return path


@st.composite
def annotated(draw: st.DrawFn) -> tuple[Document, Annotation]:
    text = draw(
        st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1)
    )
    document = Document.of(text, id=draw(st.sampled_from(["a", "é/..", "x y"])))
    size = len(document.text)
    spans = st.tuples(st.integers(0, size - 1), st.integers(1, size)).filter(lambda s: s[0] < s[1])
    entities = [
        Entity(*span, label, score)
        for span, label, score in draw(
            st.lists(
                st.tuples(spans, st.sampled_from("AB"), st.none() | st.floats(0, 1)), max_size=6
            )
        )
    ]
    entities = list({e.key: e for e in entities}.values())
    pairs = st.tuples(st.sampled_from(entities), st.sampled_from(entities)) if entities else None
    relations = [
        Relation(head, tail, "r")
        for head, tail in (draw(st.lists(pairs, max_size=4)) if pairs is not None else [])
    ]
    return document, Annotation.of(document.id, entities, relations, SOURCE)


@given(annotated())
def test_what_is_written_reads_back_equal(pair: tuple[Document, Annotation]) -> None:
    """Any text, overlapping spans, relations and scores survive the line."""
    document, annotation = pair
    record = parse_record(json.loads(dump_line(document, annotation)), SOURCE)
    assert record.document == document
    assert record.annotation == annotation
    assert [e.score for e in record.annotation.entities] == [e.score for e in annotation.entities]
    assert as_record(record.document, record.annotation) == as_record(document, annotation)


def test_offsets_into_a_text_that_was_not_nfc_are_mapped() -> None:
    text = "À Qadame\u0300s, Haftar"
    start = text.index("Haftar")
    record = parse_record(
        {"text": text, "entities": [{"start": start, "end": start + 6, "label": "PER"}]}, SOURCE
    )
    entity = record.annotation.entities[0]
    assert record.document.text[entity.start : entity.end] == "Haftar"


def test_repeats_count_once_and_are_counted() -> None:
    twice = GOOD | {
        "entities": [*GOOD["entities"], {"id": "e3", "start": 0, "end": 6, "label": "PER"}],  # type: ignore[misc]
        "relations": [*GOOD["relations"], {"head": "e3", "tail": "e2", "label": "visits"}],  # type: ignore[misc]
    }
    record = parse_record(twice, SOURCE)
    assert len(record.annotation.entities) == 2
    assert len(record.annotation.relations) == 1
    assert record.duplicates == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"entities": [{"start": 0, "end": 17, "label": "PER"}], "relations": []},
            "outside the text",
        ),
        ({"entities": [{"start": 3, "end": 3, "label": "PER"}], "relations": []}, "not before end"),
        ({"entities": [{"start": -1, "end": 3, "label": "PER"}], "relations": []}, "outside"),
        (
            {"entities": [{"start": 0.0, "end": 3, "label": "PER"}], "relations": []},
            "whole numbers",
        ),
        ({"entities": [{"start": True, "end": 3, "label": "PER"}], "relations": []}, "whole"),
        (
            {"relations": [{"head": "e1", "tail": "e9", "label": "visits"}]},
            "'e9' of relation visits",
        ),
        ({"text": 5}, "'text'"),
        ({"text": "a\0"}, "NUL"),
        ({"id": 7}, "'id'"),
        ({"meta": []}, "'meta'"),
        ({"entities": {}}, "'entities' must be a list"),
        ({"chains": [["e7"]]}, "chain"),
        (
            {"entities": [{"start": 0, "end": 2, "label": "A", "score": 1.5}], "relations": []},
            "from 0 to 1",
        ),
    ],
)
def test_a_bad_record_is_refused_with_file_and_line(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    path = lines(tmp_path / "x.jsonl", GOOD, "\n", GOOD | {"id": "d2"} | change)
    with pytest.raises(DataError) as caught:
        list(read(path))
    assert said in str(caught.value)
    assert f"{path}:3: " in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"id": "a", \n', "malformed JSON"),
        (b"[1]\n", "not a JSON object"),
        ('{"text": "é"}\n'.encode("latin-1"), "not UTF-8"),
        (b'{"text": "a", "meta": {"x": NaN}}\n', "malformed JSON"),
        (b"[" * 100_000 + b"\n", "JSON"),
    ],
)
def test_bytes_that_are_no_json_are_refused_and_the_rest_goes_on(
    tmp_path: Path, raw: bytes, said: str
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n" + raw + b'{"text": "suite"}\n')
    errors: list[DataError] = []
    records = list(read(path, on_error=errors.append))
    assert [r.document.text for r in records] == [GOOD["text"], "suite"]
    assert len(errors) == 1
    assert errors[0].line == 2
    assert said in str(errors[0])


def test_a_line_beyond_the_bound_is_refused_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curate.interchange.MAX_LINE_BYTES", 1000)
    path = lines(tmp_path / "x.jsonl", {"text": "x" * 5000}, {"text": "suite"})
    errors: list[DataError] = []
    assert [r.document.text for r in read(path, on_error=errors.append)] == ["suite"]
    assert errors[0].line == 1


def test_a_document_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    path = lines(tmp_path / "x.jsonl", GOOD, GOOD)
    with pytest.raises(DataError, match=r":2: .*first on line 1"):
        list(read(path))


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        list(read(tmp_path / "none.jsonl"))
    with pytest.raises(DataError, match="is a directory"):
        list(read(tmp_path))


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    record = parse_record(GOOD, SOURCE)
    write(path, [(record.document, record.annotation)])
    before = path.read_bytes()

    def failing() -> object:
        yield record.document, record.annotation
        raise DataError("half-way")

    with pytest.raises(DataError):
        write(path, failing())  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["out.jsonl"]


@pytest.mark.parametrize(
    "line",
    [
        '{"id":"d","id":"d","text":"a"}',
        '{"id":"d","text":"abc","entities":[{"id":"e","id":"f","start":0,"end":1,"label":"A"}]}',
        '{"text":"a","meta":{"x":{"id":1,"\\u0069d":1}}}',
    ],
)
def test_a_key_that_stands_twice_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    """Neither of two values is taken silently."""
    path = lines(tmp_path / "x.jsonl", GOOD, line + "\n")
    with pytest.raises(DataError, match=r"x\.jsonl:2: the key 'id' stands twice"):
        list(read(path))
    errors: list[DataError] = []
    assert len(list(read(path, on_error=errors.append))) == 1
    assert [error.line for error in errors] == [2]
