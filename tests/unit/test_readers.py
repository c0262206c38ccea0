"""Files to documents: what each kind of file gives, and what each kind of fault says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.corpus import Found, Ingested, Note, Options, discover, read, readers, tables
from curate.corpus.encoding import decide
from curate.errors import DataError
from curate.model import digest_of

SENTENCE = "Le général est arrivé à Gao, où l'armée l'attendait depuis déjà trois jours."
Write = Callable[[str, bytes | str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return put


def outcomes(path: Path, **options: str) -> tuple[list[Ingested], list[str], list[str]]:
    """The documents, the problems and the notes of one path, as a user would see them."""
    documents, problems, notes = [], [], []
    for found in discover([path]):
        for item in read(found, Options("fr", **options)) if isinstance(found, Found) else [found]:
            if isinstance(item, Ingested):
                documents.append(item)
            elif isinstance(item, Note):
                notes.append(str(item))
            else:
                assert item.exit_code == 3
                problems.append(str(item).replace(f"{path.parent}/", ""))
    return documents, problems, notes


def test_a_text_page_is_a_document_with_its_raw_page_and_map(write: Write) -> None:
    """The id is the text's digest; the map leads every character home; the bytes are kept."""
    path = write("a.txt", f"Accueil | Une | Sport\r\n\r\n  {SENTENCE}\r\n")
    [item], problems, notes = outcomes(path)
    assert not problems
    assert not notes
    assert item.document.text == SENTENCE
    assert item.document.id == digest_of(SENTENCE)[:16]
    assert item.document.source == "a.txt"
    assert item.raw is not None
    assert item.raw.content == path.read_bytes()
    assert item.mapped == 1.0
    assert item.pieces is not None
    start, end = item.pieces.to_source(0, len(SENTENCE)) or (0, 0)
    assert item.raw.text[start:end] == SENTENCE
    assert [(d.number, str(d.reason)) for d in item.dropped] == [(1, "menu")]


def test_a_page_is_brought_to_nfc_and_the_map_goes_through(write: Write) -> None:
    """Decomposed letters are composed once, here; an entity still finds its place."""
    path = write("a.txt", SENTENCE.replace("é", "e\u0301"))
    [item], _, _ = outcomes(path)
    assert item.document.text == SENTENCE
    assert item.raw is not None
    assert item.pieces is not None
    start = SENTENCE.index("armée")
    low, high = item.pieces.to_source(start, start + 5) or (0, 0)
    assert item.raw.text[low:high] == "arme\u0301e"


@settings(deadline=None)
@given(st.lists(st.sampled_from(["e\u0301", "é", "a", " ", "\u00ad", "&eacute;", "\n", "à Gao. "])))
def test_gold_can_be_projected_into_the_page(tmp_path_factory: object, parts: list[str]) -> None:
    """Every mapped piece of a page equals its source up to entities, NFC and what is unseen."""
    import html
    import unicodedata

    body = "".join(parts)
    folder = tmp_path_factory.mktemp("page")  # type: ignore[attr-defined]
    path = folder / "p.html"
    path.write_text(f"<html><body><p>{SENTENCE} {body}</p></body></html>", encoding="utf-8")
    [item], _, _ = outcomes(path)
    assert item.raw is not None
    assert item.pieces is not None
    for piece in item.pieces.pieces:
        raw = html.unescape(item.raw.text[piece.source_start : piece.source_end])
        seen = unicodedata.normalize("NFC", raw.replace("\n", " ").replace("\u00ad", ""))
        assert item.document.text[piece.start : piece.end] == seen
    assert item.mapped == 1.0


def test_records_are_taken_as_they_are(write: Write) -> None:
    """CRLF, no-break and zero-width spaces and outer spaces of JSONL and CSV stay; NFC alone."""
    text = " Bonjour\r\n\u00a0à\u200b tous, e\u0301te\u0301 \n"
    stays = " Bonjour\r\n\u00a0à\u200b tous, été \n"
    [a], _, _ = outcomes(write("a.jsonl", json.dumps({"id": "x", "text": text})))
    [b], _, _ = outcomes(write("b.csv", f'id,text\r\nx,"{text}"\r\n'))
    assert a.document.text == b.document.text == stays
    assert a.document.id == b.document.id == "x"
    assert a.raw is None
    assert a.pieces is None


def test_metadata_and_source_of_records(write: Write) -> None:
    """Other keys and columns become metadata; source or url says where it came from."""
    row = {"id": 7, "text": "t", "source": "Agence", "date": "2021", "meta": {"k": [1]}}
    [a], _, _ = outcomes(write("a.jsonl", json.dumps(row)))
    assert (a.document.id, a.document.source) == ("7", "Agence")
    assert a.document.metadata == {"date": "2021", "k": [1]}
    [b], _, _ = outcomes(write("b.csv", "url;text;date\nhttp://x;t;\n"))
    assert b.document.source == "http://x"
    assert b.document.metadata == {"url": "http://x"}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_the_one_that_shows_the_text_column(write: Write, delimiter: str) -> None:
    """Comma, semicolon and tab are told apart by the header."""
    rows = [["date", "corps"], ["2021", "Un, deux; trois\tquatre"]]
    text = "\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    [item], problems, _ = outcomes(write("a.csv", text), text_column="corps")
    assert not problems
    assert item.document.text == "Un, deux; trois\tquatre"
    assert item.line == 2


def test_annotations_in_jsonl_are_left_with_a_note(write: Write) -> None:
    """Interchange rows are documents here; where their annotations go is said once."""
    row = {"text": "Gao", "entities": [{"start": 0, "end": 3, "label": "LOC"}]}
    lines = "\n".join(json.dumps(row | {"id": str(i)}) for i in range(3))
    documents, problems, notes = outcomes(write("a.jsonl", lines))
    assert len(documents) == 3
    assert not problems
    assert len(notes) == 1
    assert "curate gold import" in notes[0]


BAD_JSONL = [
    ('{"text":', "malformed JSON"),
    ("[1]", "not a JSON object"),
    ('{"id":"c"}', "has no 'text'"),
    ('{"text":""}', "the text is empty"),
    ('{"text":3}', "the text must be a string"),
    ('{"text":"a\\u0000b"}', "NUL character"),
    ('{"text":"a\\ud800b"}', "lone surrogate"),
    ('{"text":"t","id":" x"}', "outer spaces"),
    ('{"text":"t","id":[1]}', "'id' must be a string"),
    ('{"text":"t","meta":[1]}', "'meta' must be an object"),
    ('{"text":"t","k":{"a":["\\u0000"]}}', "the metadata holds a NUL"),
    ('{"text":"t","k":1e999}', "too large"),
    (b'{"text":"caf\xe9"}', "not UTF-8"),
    (b'{"text":"' + b"a" * (33 << 20) + b'"}', "longer than 32 MB"),
]


@pytest.mark.parametrize(("row", "said"), BAD_JSONL, ids=[said for _, said in BAD_JSONL])
def test_a_bad_json_row_is_named_and_the_rest_goes_on(
    write: Write, row: str | bytes, said: str
) -> None:
    """Line 2 is bad: it is reported as line 2, and line 3 is read."""
    raw = row if isinstance(row, bytes) else row.encode()
    documents, [problem], _ = outcomes(
        write("a.jsonl", b'{"text":"un"}\n' + raw + b'\n{"text":"trois"}\n')
    )
    assert [item.document.text for item in documents] == ["un", "trois"]
    assert problem.startswith("a.jsonl:2: ")
    assert said in problem


BAD_CSV = [
    ("2,deux,trop", "the row has 3 cells, the header 2"),
    ("2", "the row has 1 cells, the header 2"),
    ("2,", "the text is empty"),
    ('2,"abc"d', "malformed CSV"),
    (b"2,d\xe9ja", "byte 0xE9 is not UTF-8"),
    ("2,a\0b", "NUL character"),
]


@pytest.mark.parametrize(("row", "said"), BAD_CSV, ids=[said for _, said in BAD_CSV])
def test_a_bad_csv_row_is_named_and_the_rest_goes_on(
    write: Write, row: str | bytes, said: str
) -> None:
    """The row on lines 4 is bad; those before and after it, one of two lines, are read."""
    raw = row if isinstance(row, bytes) else row.encode()
    head = 'id,text\n1,"déjà vu,\nété comme hiver"\n'.encode()
    documents, [problem], _ = outcomes(write("a.csv", head + raw + b"\n3,trois\n"))
    assert [item.document.id for item in documents] == ["1", "3"]
    assert [item.line for item in documents] == [2, 5]
    assert problem.startswith("a.csv:4: ")
    assert said in problem


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"", "a.txt: the file is empty"),
        ("a.jsonl", b"\n\n", "a.jsonl: the file is empty"),
        ("a.csv", b"", "a.csv: the file is empty"),
        ("a.csv", b"id,body\n1,x\n", "a.csv:1: there is no column 'text'"),
        ("a.csv", b"text,text\n1,x\n", "a.csv:1: the column 'text' stands twice"),
        ("a.csv", b'text\n"jamais\nferme\n', "a.csv:2: a quotation mark that opens here"),
        ("a.txt", b"Un texte.\nDeux\0 lignes", "a.txt:2: holds a NUL character"),
        ("a.txt", b"Un texte.\nDeux \xed\xa0\x80 lignes", "a.txt:2: holds a lone surrogate"),
        ("a.txt", "déjà été\n".encode() + b"caf\xe9", "a.txt:2: byte 17 is not UTF-8"),
        ("a.txt", b"Partager\nAccueil\n", "a.txt: nothing is left after cleaning (2 form)"),
        ("a.html", b"<html><script>x</script></html>", "a.html: holds no text"),
        ("a.pdf", b"%PDF", "a.pdf: is of a kind that curate does not read"),
    ],
)
def test_a_file_that_gives_nothing_says_why(
    write: Write, name: str, content: bytes, said: str
) -> None:
    """One sentence, with the file, and the line where there is one."""
    documents, [problem], _ = outcomes(write(name, content))
    assert not documents
    assert problem.startswith(said)


def test_a_page_in_another_language_says_so(write: Write) -> None:
    """Where everything is dropped for its language, the language is the answer."""
    english = "Two platoons from Zintan arrived in Ghadames on Tuesday, a local official said."
    _, [problem], _ = outcomes(write("a.txt", english))
    assert problem == "a.txt: seems to be in 'en', not in 'fr'; name the language with --language"


def test_large_pages_cells_and_lines_are_refused(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no article can be is refused in words, not by running out of memory."""
    monkeypatch.setattr(readers, "MAX_PAGE_BYTES", 1000)
    monkeypatch.setattr(tables, "MAX_FIELD", 1000)
    assert "larger than" in outcomes(write("a.txt", b"a b. " * 300))[1][0]
    one_line = b'text\nun\n"' + b"a" * 2000 + b'"\ndeux\n'
    documents, [problem], _ = outcomes(write("b.csv", one_line))
    assert [item.document.text for item in documents] == ["un"]
    assert problem.startswith("b.csv:3: the line is longer than")
    many_lines = b'text\nun\n"' + b"abc\n" * 500 + b'"\ndeux\n'
    documents, [problem], _ = outcomes(write("c.csv", many_lines))
    assert [item.document.text for item in documents] == ["un"]
    assert problem.startswith("c.csv:3: a cell is longer than")


def test_folders_are_read_in_sorted_order_and_hidden_files_passed_over(write: Write) -> None:
    """Names are relative to the folder; unknown kinds are noted; two runs agree."""
    for name in ("d/b.txt", "d/a/z.txt", "d/.git/x.txt", "d/.hidden.txt", "d/c.pdf", "d/a.txt"):
        path = write(name, SENTENCE)
    found = list(discover([path.parent]))
    assert [item.name for item in found if isinstance(item, Found)] == [
        "a.txt",
        "a/z.txt",
        "b.txt",
    ]
    [note] = [item for item in found if isinstance(item, Note)]
    assert "c.pdf: passed over" in str(note)


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    """A missing path and a folder without readable files are problems, one sentence each."""
    (tmp_path / "empty").mkdir()
    missing, empty = discover([tmp_path / "nope", tmp_path / "empty"])
    assert isinstance(missing, DataError)
    assert "no such file or folder" in str(missing)
    assert isinstance(empty, DataError)
    assert "no file that curate reads" in str(empty)


@pytest.mark.parametrize(
    ("content", "html", "encoding", "noted"),
    [
        (SENTENCE.encode(), False, "utf-8", False),
        (b"\xef\xbb\xbf" + SENTENCE.encode(), False, "utf-8-sig", False),
        (SENTENCE.encode("utf-16"), False, "utf-16", False),
        (SENTENCE.encode("cp1252"), False, "cp1252", True),
        (b"<meta charset=iso-8859-1>" + SENTENCE.encode("cp1252"), True, "cp1252", False),
        (b"<meta charset=iso-8859-1>" + SENTENCE.encode(), True, "utf-8", True),
        (b"<meta charset=utf-8>" + SENTENCE.encode("cp1252"), True, "cp1252", True),
        (b"<meta charset=klingon>" + SENTENCE.encode(), True, "utf-8", False),
        ("قوات الجيش الليبي في مدينة سبها".encode("cp1256"), False, "cp1256", True),
    ],
)
def test_encodings(content: bytes, html: bool, encoding: str, noted: bool) -> None:
    """Mark, UTF-8, declaration, guess: in this order; a doubt is said."""
    decision = decide(content, html=html)
    assert decision.encoding == encoding
    assert bool(decision.note) == noted


def test_text_written_in_any_usual_encoding_comes_out_the_same(write: Write) -> None:
    """One article in four encodings is one document."""
    encodings = ("utf-8", "utf-8-sig", "utf-16", "cp1252")
    ids = {
        outcomes(write(f"{name}.txt", SENTENCE.encode(name)))[0][0].document.id
        for name in encodings
    }
    assert len(ids) == 1
