"""Files from anywhere: bounded time and memory, one sentence, and no path but the one named."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import resource
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from curate.corpus import Found, Ingested, Options, read
from curate.corpus.urls import documents
from curate.errors import ConfigurationError, CurateError, DataError
from curate.gold.formats import brat, conll, loss, prodigy
from curate.gold.manifest import Manifest, read_manifest
from curate.gold.reading import open_release
from curate.gold.versions import check_corpus, resolve
from curate.interchange import read as read_interchange
from curate.labelstudio.config import parse_config
from curate.model import Source
from curate.schema import parse_schema
from curate.store.backup import FORM, VERSION, restore
from curate.store.engine import HEAD, sqlite_url

WHO = Source.curator("w")
DEEP = "[" * 100_000 + "]" * 100_000
PROSE = "Le ministre de la Santé a annoncé hier la fin de la campagne à Bamako. "
GOLDEN = Path(__file__).parents[1] / "golden" / "release"


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Of processor time: a busy machine does not count."""
    start = time.process_time()
    yield
    spent = time.process_time() - start
    assert spent < seconds, f"took {spent:.1f} s"


# -- pages of HTML and text

N = 1_500
PAGES = {
    "depth": "<div>mot " * N,
    "depth of inline": "<p>" + "<b>mot " * N,
    "ends of nothing": "<div>" * N + "</x>" * N,
    "tables in tables": "<table><tr><td>mot " * N,
    "lists in lists": "<ul><li>mot " * N,
    "attributes": f"<p>{PROSE}<div " + " ".join(f"a{i}=1" for i in range(4 * N)) + ">x",
    "an attribute": f"<p>{PROSE}<div class='" + "caption " * 10 * N + "'>x</div>",
    "a name": f"<p>{PROSE}<" + "a" * 20 * N + ">x",
    "openings": "<" * 10 * N,
    "tags without end": "<a x=" * 2 * N,
    "tags without end but one": "<a x=" * N + ">" + PROSE,
    "quotes without end": "<a x='y\">" * 2 * N,
    "comments without end": "<!-- " * 8 * N + ">",
    "declarations": "<!x" * 8 * N,
    "marked sections": "<![CDATA[" * 4 * N,
    "instructions": "<?" * 8 * N,
    "scripts": "<script>" * 2 * N,
    "references": "&" * 4 * N + "&#" * N + "&#x" * N + "&copy" * N,
    "a long reference": "<p>&" + "a" * 4 * N + ";",
    "a reference to a number": f"<p>{PROSE}&#" + "9" * 5000 + ";&#x" + "f" * 5000 + ";",
    "the same in an attribute": f"<p title='&#{'9' * 5000};'>{PROSE}",
    "entities that grow": '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><p>&b;&b;',
    "an entity from elsewhere": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><p>&a; '
    + PROSE,
    "one word": "<p>" + "x" * 20 * N,
    "one line": "<p>" + "mot " * 5 * N,
    "signs": "<p>" + "@" * 2 * N + "." * 2 * N + "«" * 2 * N + "[" * 2 * N,
    "handles": "<p>" + "a@" * 2 * N + "a." * 2 * N,
    "spaces": "<p>x" + "\u00a0" * 2 * N + "x" + "\t" * 2 * N + "x",
    "hyphens": "<p>" + "A-" * 2 * N + "a'" * 2 * N + "A." * N + "/",
    "digits": "<p>" + "1" * 4 * N + "1." * N,
    "many lines": "x<br>" * N,
}


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is imported by the first page is not counted."""
    path = tmp_path_factory.mktemp("warm") / "p.html"
    path.write_text(f"<p>{PROSE * 9}")
    assert list(read(Found(path, "p"), Options("fr")))


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("name", PAGES)
def test_a_page_made_to_stall_is_read_in_bounded_time(name: str, tmp_path: Path) -> None:
    """As HTML, and its bare text as a page of text; what cannot be read is a sentence."""
    page = PAGES[name]
    bare = page.replace("<br>", "\n").replace("<p>", "")
    for suffix, text in ((".html", page), (".txt", bare)):
        path = tmp_path / f"p{suffix}"
        path.write_text(text, encoding="utf-8")
        with at_most(1):
            found = list(read(Found(path, path.name), Options("fr")))
        for item in found:
            if isinstance(item, Ingested):
                assert "root:" not in item.document.text
                assert len(item.document.text) <= len(text)


def test_a_page_beyond_the_bound_is_not_read_into_memory(tmp_path: Path) -> None:
    """A sparse file of 8 GB costs nothing."""
    path = tmp_path / "p.html"
    with path.open("wb") as stream:
        stream.truncate(8 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    [found] = read(Found(path, "p.html"), Options("fr"))
    assert isinstance(found, DataError)
    assert "larger than" in str(found)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_a_pipe_among_the_pages_is_not_waited_for(tmp_path: Path) -> None:
    """Nor is a device."""
    from curate.corpus import discover

    os.mkfifo(tmp_path / "p.txt")
    [found] = discover([tmp_path / "p.txt"])
    assert isinstance(found, DataError)
    assert all(not isinstance(item, Found) for item in discover([tmp_path]))


# -- records

BAD_LINES = {
    "deep": '{"text":"a","meta":' + DEEP + "}",
    "deep but readable": '{"text":"a","meta":{"x":' + "[" * 300 + "]" * 300 + "}}",
    "a huge number": '{"text":"a","meta":{"x":' + "9" * 5000 + "}}",
    "infinity": '{"text":"a","meta":{"x":1e999}}',
    "NaN": '{"text":"a","meta":{"x":NaN}}',
    "a key twice": '{"text":"a","text":"b"}',
    "a key twice, within": '{"text":"a","meta":{"x":1,"x":2}}',
    "a surrogate": '{"text":"a\\ud800"}',
    "a surrogate in meta": '{"text":"a","meta":{"x":["\\udfff"]}}',
    "a surrogate in a key": '{"text":"a","meta":{"\\ud800":1}}',
    "a surrogate in a source": '{"text":"a","source":"\\ud800"}',
    "NUL": '{"text":"a\\u0000"}',
    "NUL in meta": '{"text":"a","meta":{"x":"\\u0000"}}',
    "a control in an id": '{"id":"\\u001b[2J","text":"a"}',
    "a long id": json.dumps({"id": "x" * 10_000, "text": "a"}),
    "a number as text": '{"text":1}',
    "meta a list": '{"text":"a","meta":[1]}',
}
BAD_CLAIMS = {
    "a surrogate in a label": '{"text":"abc","entities":[{"start":0,"end":1,"label":"\\ud800"}]}',
    "NUL in a label": '{"text":"abc","entities":[{"start":0,"end":1,"label":"\\u0000"}]}',
    "a surrogate in a name": '{"text":"abc","entities":[{"start":0,"end":1,"label":"L",'
    '"canonical":"\\ud800"}]}',
    "an offset beyond all": '{"text":"abc","entities":[{"start":0,"end":1e400,"label":"L"}]}',
    "an offset of digits": '{"text":"abc","entities":[{"start":0,"end":'
    + "9" * 4000
    + ',"label":"L"}]}',
    "a score of NaN": '{"text":"abc","entities":[{"start":0,"end":1,"label":"L","score":NaN}]}',
    "a score beyond one": '{"text":"abc","entities":[{"start":0,"end":1,"label":"L",'
    '"score":1e308}]}',
    "a relation in a relation": '{"text":"abc","relations":[{"head":{},"tail":[],"label":"x"}]}',
    "a chain of chains": '{"text":"abc","chains":[[[["e1"]]]]}',
}


@pytest.mark.parametrize("name", [*BAD_LINES, *BAD_CLAIMS])
def test_a_bad_record_is_one_sentence_and_the_rest_goes_on(name: str, tmp_path: Path) -> None:
    """In interchange, in Prodigy's form, by ingest, and at an address."""
    line = {**BAD_LINES, **BAD_CLAIMS}[name]
    path = tmp_path / "a.jsonl"
    path.write_text(f'{line}\n{{"id":"good","text":"a"}}\n', encoding="utf-8")
    errors: list[DataError] = []
    records = list(read_interchange(path, on_error=errors.append))
    assert [record.document.id for record in records] == ["good"]
    assert [error.line for error in errors] == [1]
    assert len(str(errors[0])) < 1_500
    list(prodigy.read(path, source=WHO, on_error=errors.append))
    if name in BAD_LINES:
        for found in (
            list(read(Found(path, "a.jsonl"), Options("fr"))),
            list(documents(str(path))),
        ):
            assert [isinstance(item, DataError) for item in found] == [True, False], found


def test_a_packed_file_is_read_a_line_at_a_time(tmp_path: Path) -> None:
    """A megabyte of gzip that unpacks to a line of a gigabyte is a sentence, in little memory."""
    path = tmp_path / "a.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        for _ in range(48):
            stream.write(b" " * (1 << 20))
        stream.write(b'\n{"text":"a"}\n')
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with at_most(5):
        found = list(documents(str(path)))
    assert [isinstance(item, DataError) for item in found] == [True, False]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000


@pytest.mark.parametrize(
    "raw",
    [b"\x1f\x8b" + b"\0" * 99, gzip.compress(b'{"text":"a"}\n')[:-9], b"PK\3\4", b""],
)
def test_a_damaged_packed_file_is_a_sentence(raw: bytes, tmp_path: Path) -> None:
    """Cut short, or of another kind."""
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(raw)
    with contextlib.suppress(CurateError):
        list(documents(str(path)))


# -- other forms of annotations


@pytest.mark.parametrize(
    "index",
    [
        DEEP,
        '{"documents":[],"labels":{}}',
        '{"documents":{"d":[]},"labels":{}}',
        '{"documents":{"d":{"id":5}},"labels":{}}',
        '{"documents":{"d":{"id":"../x\\u0000"}},"labels":{}}',
        '{"documents":{"d":{"meta":"x"}},"labels":{}}',
        '{"documents":{"d":{"meta":{"x":"\\ud800"}}},"labels":{}}',
        '{"documents":{"d":{"source":7}},"labels":{}}',
        '{"documents":{"d":{}},"labels":{"L":5}}',
        '{"documents":{"d":{}},"labels":{"L":"\\ud800"}}',
    ],
)
def test_a_bad_index_of_brat_is_a_sentence(index: str, tmp_path: Path) -> None:
    """curate.json in a folder from elsewhere."""
    (tmp_path / "curate.json").write_text(index)
    (tmp_path / "d.txt").write_text("abc")
    (tmp_path / "d.ann").write_text("T1\tL 0 1\ta\n")
    with pytest.raises(DataError):
        list(brat.read(tmp_path, source=WHO))


@pytest.mark.parametrize(
    "line",
    [
        f"T1\tL 0 {'9' * 5000}\ta",
        f"T1\tL {'0 1;' * 5000}0 1\ta",
        "T1\tL -1 1\ta",
        "T1",
        "T",
        "R1\tx Arg1:T1",
        "R1\tx Arg1:T1 Arg2:T9",
        "*\tEquiv T9",
        "#1\tAnnotatorNotes\tcanonical: x",
        "#1\t\tcanonical: x",
        "\t" * 10_000,
    ],
)
def test_a_bad_line_of_brat_is_a_sentence(line: str, tmp_path: Path) -> None:
    """Numbers of thousands of digits, missing cells, names of nothing."""
    (tmp_path / "d.txt").write_text("abc")
    (tmp_path / "d.ann").write_text(line + "\n")
    with at_most(2), contextlib.suppress(DataError):
        list(brat.read(tmp_path, source=WHO))


@pytest.mark.parametrize(
    "text",
    [
        f"# text = {DEEP}\nabc\tO\t0\t3\n",
        f"# id = {DEEP}\nabc\tO\t0\t3\n",
        f"abc\tO\t0\t{'9' * 5000}\n",
        "abc\tB-\ud7ff\t0\t3\n",
        "abc\tO\t0\n",
        '# text = "\\ud800"\n\ud7ff\tO\t0\t1\n',
        "\t\t\t\n",
        "a" * 100_000 + "\tO\n",
    ],
)
def test_a_bad_conll_file_is_a_sentence(text: str, tmp_path: Path) -> None:
    """Comments with JSON, offsets, tags."""
    path = tmp_path / "a.conll"
    path.write_text(text, encoding="utf-8", newline="")
    with at_most(2), contextlib.suppress(DataError):
        list(conll.read(path, source=WHO))


# -- schema and configuration

SCHEMAS = {
    "deep": "[" * 5_000,
    "deep mapping": "".join(f"{' ' * i}a:\n" for i in range(1_000)),
    "laughs": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(20)
    ),
    "itself": "&a [*a]",
    "itself, within": "name: x\nentities: &a\n  - name: A\n    examples: *a\n",
    "an object": "!!python/object/apply:os.system ['touch ran']",
    "a long name": "name: " + "x" * 1_000_000,
    "a NUL": 'name: "a\\0"\nentities: [{name: A}]',
    "a control": 'name: "a\\e[2J"\nentities: [{name: A}]',
    "a surrogate": 'name: "\\ud800"\nentities: [{name: A}]',
    "a path": "name: ../x\nentities: [{name: A}]",
    "a label with markup": "name: x\nentities: [{name: '<script>'}]",
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_made_to_harm_is_refused_in_a_sentence(name: str) -> None:
    """Aliases that multiply, nesting, tags that make objects, names that are paths."""
    with at_most(3), pytest.raises(ConfigurationError) as caught:
        parse_schema(SCHEMAS[name], "s.yaml")
    assert len(str(caught.value)) < 1_500


XML = {
    "entities": '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><View>&b;</View>',
    "from elsewhere": '<!DOCTYPE x SYSTEM "http://evil.example/x.dtd"><View/>',
    "a file": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><View>&a;</View>',
    "in UTF-7": '<?xml version="1.0" encoding="UTF-7"?>+ADw-View+AD4-',
    "depth": "<View>" * 200_000,
    "depth, closed": "<View>" * 100_000 + "</View>" * 100_000,
    "attributes": "<View " + " ".join(f"a{i}='1'" for i in range(20_000)) + "/>",
    "size": "<View>" + "<Label value='x'/>" * 30_000 + "</View>",
    "a NUL": "<View>\0</View>",
    "a surrogate": "<View>\ud800</View>",
    "same labels": '<View><Labels name="label" toName="text">'
    + "<Label value='x'/>" * 20_000
    + "</Labels></View>",
}


@pytest.mark.parametrize("name", XML)
def test_a_configuration_made_to_harm_is_read_in_bounded_time_or_refused(name: str) -> None:
    """A project's configuration may be anybody's: Label Studio has no roles."""
    with at_most(4), contextlib.suppress(ConfigurationError):
        found = parse_config(XML[name])
        assert len(found.problems) < 10
        assert "root:" not in str(found)


# -- backups


def archive(path: Path, contents: dict[str, bytes], **changed: Any) -> Path:
    said = {
        name: {"rows": raw.count(b"\n"), "sha256": hashlib.sha256(raw).hexdigest()}
        for name, raw in contents.items()
    }
    manifest = {"form": FORM, "form_version": VERSION, "revision": HEAD, "tables": said} | changed
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("manifest.json", json.dumps(manifest))
        for name, raw in contents.items():
            out.writestr(f"{name}.jsonl", raw)
    return path


def rows(**values: Any) -> bytes:
    return (json.dumps(values) + "\n").encode()


BACKUPS: dict[str, Callable[[Path], Path]] = {
    "another table": lambda p: archive(p, {"x": rows(a="some value of a row")}),
    "a table of SQL": lambda p: archive(p, {"fact; DROP TABLE fact": rows(a="some value")}),
    "a table that is a path": lambda p: archive(p, {"../../x": rows(a="some value of a row")}),
    "a column of SQL": lambda p: archive(
        p, {"fact": rows(**{"key": "k", 'value") VALUES (1); --': "v"})}
    ),
    "an object for a text": lambda p: archive(p, {"fact": rows(key={"a": 1}, value="vvvvvvvv")}),
    "a list for a text": lambda p: archive(p, {"fact": rows(key=["a"], value="vvvvvvvvvvvv")}),
    "nothing for a text": lambda p: archive(p, {"fact": rows(key=None, value="vvvvvvvvvvvv")}),
    "a number beyond all": lambda p: archive(p, {"fact": rows(key=10**40, value="v")}),
    "a surrogate": lambda p: archive(p, {"fact": rows(key="\ud800", value="v")}),
    "a deep row": lambda p: archive(p, {"fact": DEEP.encode() + b"\n"}),
    "an old version": lambda p: archive(p, {}, revision="0000"),
    "a version of SQL": lambda p: archive(p, {}, revision="0001'; --"),
    "another one's digits": lambda p: archive(p, {}, revision="٠٠٠١"),
    "a version as a number": lambda p: archive(p, {}, revision=1),
    "tables as a list": lambda p: archive(p, {}, tables=[1]),
    "rows as a flag": lambda p: archive(p, {}, tables={"fact": {"rows": True, "sha256": "x"}}),
}


@pytest.mark.parametrize("name", BACKUPS)
def test_a_backup_from_elsewhere_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    """Names are compared with the store's own, values bound; nothing is unpacked to a path."""
    path = BACKUPS[name](tmp_path / "b.zip")
    with pytest.raises(CurateError):
        restore(sqlite_url(tmp_path / "s.db"), path, lambda _: None)
    assert {entry.name.split(".db")[0] for entry in tmp_path.iterdir()} <= {"b.zip", "s"}


@pytest.mark.parametrize("content", [b"\n", b'{"key":"aaaaaaaaaa"}\n', b" "])
def test_a_backup_that_grows_without_measure_is_refused(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kilobytes of zip, megabytes of lines."""
    monkeypatch.setattr("curate.store.backup._ALWAYS", 1 << 20)
    path = tmp_path / "b.zip"
    block = content * ((1 << 20) // len(content))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        said = {"fact": {"rows": 10**9, "sha256": "x"}}
        manifest = {"form": FORM, "form_version": VERSION, "revision": HEAD, "tables": said}
        out.writestr("manifest.json", json.dumps(manifest))
        with out.open("fact.jsonl", "w") as stream:
            for _ in range(8):
                stream.write(block)
    with at_most(1), pytest.raises(DataError, match="unpack"):
        restore(sqlite_url(tmp_path / "s.db"), path, lambda _: None)


def test_a_backup_that_cannot_be_unpacked_is_a_sentence(tmp_path: Path) -> None:
    """Encrypted, packed in an unknown way, a pipe, a folder."""
    for offset, value in ((8, 1), (10, 99)):
        path = archive(tmp_path / f"{offset}.zip", {})
        raw = bytearray(path.read_bytes())
        for mark, shift in ((b"PK\1\2", 0), (b"PK\3\4", -2)):
            raw[raw.find(mark) + offset + shift] = value
        path.write_bytes(raw)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "8.zip", tmp_path / "10.zip", tmp_path / "pipe", tmp_path):
        with pytest.raises(DataError):
            restore(sqlite_url(tmp_path / "s.db"), path, lambda _: None)


# -- paths

NAMES = [
    "../x",
    "..",
    ".",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "",
    "a\0b",
    "1.0.0/../../x",
    "~",
    "A",
    "é",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_corpora_and_versions_are_no_paths(name: str, tmp_path: Path) -> None:
    """Both become folders."""
    with pytest.raises(DataError):
        check_corpus(name)
    with pytest.raises(CurateError):
        resolve(tmp_path, name)


def test_files_named_after_documents_stay_in_their_folder() -> None:
    """Any id, also two that fall together where letters have no case."""
    ids = [
        "../../x",
        "/etc/passwd",
        "..",
        ".",
        "",
        "a/b",
        "a\\b",
        "A/B",
        "CON",
        "con.txt",
        "é" * 300,
    ]
    names = loss.file_names(ids)
    assert len({name.lower() for name in names.values()}) == len(ids)
    for name in names.values():
        assert Path(name).name == name
        assert name not in ("", ".", "..")
        assert len(name) < 100


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b", "schema.yaml/..", ".."])
def test_a_manifest_names_the_files_of_a_release_and_no_other(name: str) -> None:
    """A release from elsewhere makes curate read nothing outside of it."""
    value = json.loads((GOLDEN / "manifest.json").read_bytes())
    value["files"][name] = {"bytes": 1, "lines": 1, "sha256": "x"}
    with pytest.raises(DataError):
        Manifest.of(value)


@pytest.mark.parametrize("raw", [DEEP, "[]", "{}", "\xff", '{"format":"curate-gold/1"}'])
def test_a_damaged_manifest_is_a_sentence(raw: str, tmp_path: Path) -> None:
    """Whatever stands there."""
    (tmp_path / "manifest.json").write_bytes(raw.encode("latin-1"))
    with pytest.raises(DataError):
        read_manifest(tmp_path)


@pytest.mark.parametrize("target", ["/etc/passwd", "/dev/zero", "pipe"])
def test_links_and_devices_in_a_release_are_refused(target: str, tmp_path: Path) -> None:
    """They would be read as the release's own."""
    import shutil

    folder = tmp_path / "r"
    shutil.copytree(GOLDEN, folder)
    file = folder / "documents.jsonl"
    file.unlink()
    if target == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to(target)
    release = open_release(folder)
    with pytest.raises(DataError, match=r"documents\.jsonl"):
        list(release.documents())
    with pytest.raises(DataError, match=r"documents\.jsonl"):
        release.check()
