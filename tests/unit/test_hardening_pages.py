"""Markup and scripts in what others wrote: in pages, in what goes to Label Studio, in queries."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import httpx
import pytest

import curate.reports
from curate.agreement.annotators import Work, portraits
from curate.agreement.measures import measure
from curate.errors import ConfigurationError
from curate.labelstudio.client import LabelStudio
from curate.labelstudio.config import parse_config, render_config, render_instructions
from curate.labelstudio.tasks import Tasks
from curate.model import Annotation, Document, Entity, Relation, Source
from curate.reports import agreement, annotators, diff
from curate.reports.pages import page, write_page
from curate.schema import EntityType, LabelSchema, RelationType
from curate.store import NewDocument, Store
from tests.conftest import Curate

EVIL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></style></table><iframe src=javascript:alert(1)>",
    "{{ 7*7 }}{% include 'x' %}",
    "javascript:alert(1)",
    "]]><svg/onload=alert(1)>",
    "&lt;b&gt;&#60;b&#62;",
]
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "b", "i",
    "table", "thead", "tbody", "tr", "th", "td", "div", "span", "section", "article", "header",
    "footer", "ul", "ol", "li", "ins", "del", "mark", "small", "code", "strong", "em", "caption",
    "svg", "rect", "figure", "figcaption", "details", "summary", "br", "hr", "dl", "dt", "dd",
    "kbd", "time", "abbr", "sup", "nav", "bdi", "a",
}  # fmt: skip


class Page(HTMLParser):
    """The tags, the attributes and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def harmless(html: str) -> Page:
    """The page, seen to run and fetch nothing."""
    found = Page(html)
    assert found.tags <= ALLOWED, found.tags - ALLOWED
    for name, value in found.attributes:
        assert not name.startswith("on"), name
        assert name not in ("src", "action", "srcdoc"), name
        assert name != "href" or re.fullmatch(r"#a[0-9]+", value), value
        assert "url(" not in value
    assert "default-src 'none'" in html
    return found


def said(document: str, who: str, *labels: str) -> Annotation:
    made = [Entity(5 * n, 5 * n + 4, label) for n, label in enumerate(labels)]
    links = [Relation(made[0], made[1], labels[-1])] if len(made) > 1 else []
    return Annotation.of(document, made, links, Source.annotator(who))


@pytest.mark.parametrize("evil", EVIL)
def test_the_pages_of_people_and_of_differences_run_nothing(evil: str) -> None:
    """Pseudonyms, labels, ids, texts, warnings, names of releases."""
    sides = {
        f"{evil}{who}": [said(evil, f"{evil}{who}", f"{evil}{who}", "L")] for who in ("a", "b")
    }
    assert evil in harmless(agreement.render(measure(sides, {evil: 50}, draws=0), [evil])).text
    works = [
        Work(
            said(evil, f"{evil}{who}", f"{evil}{who}", "L"),
            updated_at="2026-03-02T10:00:00Z",
            lead_time=6.0,
            length=50,
        )
        for who in ("a", "b")
    ]
    assert evil in harmless(annotators.render(portraits(works, {}), {evil: evil * 9})).text
    change = {
        "kind": evil,
        "document": evil,
        "old": {"label": evil, "text": evil, "start": 0, "end": 1},
        "new": [{"label": evil, "text": evil}, {evil: evil}],
        "context": f"{evil}[[{evil}]]{evil}",
    }
    assert evil in harmless(diff.render(evil, evil, {evil: 1}, evil, [change])).text


@pytest.mark.parametrize("evil", [EVIL[0], EVIL[1] + EVIL[2], EVIL[3]])
def test_the_page_of_an_evaluation_runs_nothing(evil: str, curate: Curate, tmp_path: Path) -> None:
    """By the command line: file name, ids, texts, labels, types of relations, canonical names."""
    name = re.sub(r"[/\0]", "_", evil)[:40]
    files = []
    for who, label in (("gold", f"{evil}A"), ("pred", f"{evil}B")):
        record = {
            "id": f"d{evil}"[:150],
            "text": f"Le {evil} part {evil} de {evil}.",
            "entities": [
                {"id": "e1", "start": 3, "end": 9, "label": label, "canonical": evil},
                {"id": "e2", "start": 10, "end": 15, "label": "L"},
            ],
            "relations": [{"head": "e1", "tail": "e2", "label": f"{evil}{who}"}],
            "meta": {"source": evil},
        }
        files.append(tmp_path / f"{who}{name}.jsonl")
        files[-1].write_text(json.dumps(record) + "\n", encoding="utf-8")
    gold, predicted = files
    done = curate("evaluate", predicted, "--gold", gold, "--output", tmp_path / "out")
    assert done.code == 0, done.err
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert evil in harmless(html).text
    done = curate("gold", "diff", gold, predicted, "--html", tmp_path / "diff.html")
    assert (tmp_path / "diff.html").exists(), done.err
    harmless((tmp_path / "diff.html").read_text(encoding="utf-8"))


def test_no_template_lets_anything_through_unescaped() -> None:
    """One value alone is markup: the picture that curate itself draws."""
    for path in (Path(curate.reports.__file__).parent / "templates").iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"\|\s*safe|autoescape\s+false|<script|\bon\w+=|\bsrc=|\bhref=\"(?!#a)", text
        )
        # a value outside quotes would be a place for attributes
        assert not re.search(r"=\{\{", text), path.name
    for path in Path(curate.reports.__file__).parent.glob("*.py"):
        marked = re.findall(r"Markup\((\w+)", path.read_text(encoding="utf-8"))
        assert marked in ([], ["picture"]), path.name


def test_a_page_holds_what_no_file_can_hold_all_the_same(tmp_path: Path) -> None:
    """A lone surrogate in a name does not keep the page from being written."""
    html = page("diff.html.j2", title="\ud800", counts={}, bump=None, documents=[], rest=0)
    write_page(tmp_path / "p.html", html)
    assert (tmp_path / "p.html").read_bytes().startswith(b"<!doctype html>")


# -- what Label Studio is sent


def schema(evil: str) -> LabelSchema:
    return LabelSchema(
        name="s",
        title=evil,
        instructions=f"{evil}\n{evil}",
        entities=(
            EntityType(name="A", title=evil, definition=evil, examples=(f"x [{evil}] y",)),
            EntityType(name=evil, color="#000000"),
        ),
        relations=(RelationType("r", (evil, "A"), ("A",), title=evil, definition=evil),),
    )


@pytest.mark.parametrize("evil", [*EVIL, "a\x1b[31m\x00b\ud800", "--><Text/>", "%xx; &yy;"])
def test_the_configuration_and_instructions_hold_our_markup_alone(evil: str) -> None:
    """Label Studio shows instructions as HTML and does not sanitise them."""
    asked = schema(evil)
    plain = schema("plain")
    config = render_config(asked)
    root = ElementTree.fromstring(config)
    shape = [(node.tag, sorted(node.keys())) for node in root.iter()]
    assert shape == [
        (node.tag, sorted(node.keys()))
        for node in ElementTree.fromstring(render_config(plain)).iter()
    ]
    for node in root.iter("Label"):
        assert Page(node.get("html", "")).tags <= {"small"}
    if evil.isprintable():
        assert evil in parse_config(config).entities
    html = render_instructions(asked)
    assert (
        Page(html).tags
        == Page(render_instructions(plain)).tags
        <= {"h2", "h3", "p", "b", "i", "br"}
    )
    assert Page(html).attributes == []


def test_a_name_is_not_taken_for_a_field_of_the_task() -> None:
    """$text would be replaced by Label Studio."""
    with pytest.raises(ConfigurationError):
        render_config(schema("$text"))


INJECTIONS = [
    "' OR '1'='1",
    "'; DROP TABLE document; --",
    '" OR ""="',
    "%",
    "_",
    "a%",
    "\\",
    "$1",
    ":id",
    "?",
    "{0}",
    "%(id)s",
    'x"},{"filter":"filter:tasks:id","operator":"greater","type":"Number","value":0},{"a":"',
    "x&project=2&page_size=100000#",
    "../../api/projects/2",
    "é\u202e<b>",
]


@pytest.mark.parametrize("evil", INJECTIONS)
def test_a_filter_or_address_holds_an_id_as_a_value_alone(evil: str) -> None:
    """Ids and titles go into JSON and are percent-encoded: no other project is asked."""
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        task = {"id": 1, "data": {"curate_id": "another"}, "updated_at": "x"}
        empty: dict[str, Any] = {"tasks": [task], "total": 1, "total_annotations": 0}
        return httpx.Response(200, json=empty | {"results": [], "next": None})

    with LabelStudio(
        "http://studio.example/sub", "0" * 40, transport=httpx.MockTransport(answer)
    ) as studio:
        assert list(Tasks(studio, 7).find([evil])) == []  # what was not asked for is not taken
        assert studio.projects(title=evil) == []
    query = parse_qs(asked[0].query.decode(), keep_blank_values=True)
    assert query["project"] == ["7"]
    items = json.loads(query["query"][0])["filters"]["items"]
    assert [item["value"] for item in items] == [[evil], 0]
    assert parse_qs(asked[1].query.decode())["title"] == [evil]
    assert {urlsplit(str(url)).path for url in asked} == {"/sub/api/tasks/", "/sub/api/projects/"}


def test_an_id_is_a_value_to_the_database(database_url: str) -> None:
    """Quotes, comments, wildcards and placeholders find exactly what bears them; on both kinds."""
    ids = [evil for evil in INJECTIONS if evil == evil.strip()]
    with Store.create(database_url) as store:
        with store.write() as unit:
            unit.documents.add(
                NewDocument(
                    Document.of(f"texte {n}", id=name, source=name, metadata={name: name}), name
                )
                for n, name in enumerate(ids)
            )
            for n, name in enumerate(ids):
                unit.annotators.pseudonym_of(name, n, name)
            unit.commit()
        with store.read() as unit:
            assert unit.documents.count() == len(ids)
            for n, name in enumerate(ids):
                found = unit.documents.get(name)
                assert found is not None
                assert found.text == f"texte {n}"
                assert [document.id for document in unit.documents.many([name])] == [name]
            assert list(unit.annotations.current("%")) == []
            assert len(unit.annotators.all()) == len(ids)
