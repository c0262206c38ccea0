"""The pages that curate writes, opened from a file in a real Chromium."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.agreement.annotators import Work, portraits
from curate.flows.agreement import agreement_of_files, write_agreement
from curate.flows.annotation_sets import FileSet
from curate.flows.evaluate import Options, evaluate, write_report
from curate.flows.reporter import Silent
from curate.interchange import write
from curate.model import Annotation, Document, Entity, Relation, Source
from curate.reports import annotators, diff, train_curve
from curate.reports.pages import write_page
from curate.resources import default_schema
from curate.schema import read_schema
from curate.scoring import tally
from curate.scoring.learning_curve import Point, curves
from curate.scoring.next_labels import advise

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe_sync = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="axe is not installed: pages were not examined"
)

from playwright.sync_api import Browser, Page  # noqa: E402

pytestmark = pytest.mark.browser

LABELS = ("PER", "LOC", "ORG", "MIL", "ROLE", "DATE", "EVENT", "FAC")
PHONE = {"width": 360, "height": 640}
GOLD, MODEL = Source.curator("g"), Source.model("m")


def corpus(documents: int, seed: int, long: int = 1) -> Iterator[tuple[Document, Annotation]]:
    """Texts of names, and what one reader found in them; another seed finds something else."""
    for n in range(documents):
        words, rng = np.random.default_rng([n, 1]), np.random.default_rng([n, seed])
        pieces, entities, at = [], [], 0
        for k in range(int(words.integers(8, 20)) * long):
            name = f"Zoubeïda-{k} " + "Tarhouni-Ferchichi " * int(words.integers(0, 4 * long))
            label = LABELS[int(words.integers(len(LABELS)))]
            if rng.random() < 0.15:
                label = LABELS[int(rng.integers(len(LABELS)))]
            end = at + len(name.rstrip()) - int(rng.random() < 0.1)
            if rng.random() > 0.1:
                entities.append(Entity(at, end, label))
            pieces.append(f"{name.rstrip()} a été vue à l’hôpital « du marché » avec ")
            at += len(pieces[-1])
        links = [
            Relation(a, b, "meets" if rng.random() > 0.3 else "opposes")
            for a, b in zip(entities[::2], entities[1::2], strict=False)
        ]
        document = Document.of("".join(pieces) + "tous.", id=f"dépêche-{n}", source="s")
        yield document, Annotation.of(document.id, entities, links, Source.annotator("x"))


def evaluation_page(folder: Path, documents: int = 12, long: int = 1) -> Path:
    for name, seed in (("gold", 1), ("predictions", 2)):
        write(folder / f"{name}.jsonl", corpus(documents, seed, long))
    sides = [FileSet(folder / f"{name}.jsonl") for name in ("predictions", "gold")]
    schema = read_schema(default_schema())
    options = Options(by="source", draws=100)
    return write_report(evaluate(*sides, schema, Silent(), options), folder / "out", schema)[-1]


def agreement_page(folder: Path) -> Path:
    files = [folder / f"annotator-{seed}.jsonl" for seed in (1, 2, 3)]
    for seed, file in enumerate(files, start=1):
        write(file, corpus(12, seed))
    from curate.agreement.units import Unit

    found = agreement_of_files(files, None, Silent(), unit=Unit.CHARACTER, draws=100)
    return write_agreement(found, folder / "out")[-1]


def annotators_page(folder: Path) -> Path:
    works, texts = [], {}
    for seed in (1, 2, 3):
        for n, (document, said) in enumerate(corpus(12, seed)):
            texts[document.id] = document.text
            own = Annotation.of(
                document.id, said.entities, said.relations, Source.annotator(f"annotator-{seed}")
            )
            day = f"2026-{1 + n // 4:02d}-{1 + 3 * (n % 4):02d}T10:00:00Z"
            works.append(Work(own, day, 60.0 + n, len(document.text)))
    page = annotators.render(portraits(works, {}), texts, "Annotations: those of a test.", "fr")
    write_page(folder / "annotators.html", page)
    return folder / "annotators.html"


def change(n: int) -> dict[str, Any]:
    old = {"label": "LOC", "text": "Tarhouni-Ferchichi" * 3, "start": n, "end": n + 9}
    return {
        "kind": "entity_relabelled",
        "document": f"dépêche-{n // 3}",
        "old": old,
        "new": [old | {"label": "PER"}],
        "context": f"… a été vue {'à l’hôpital ' * 6}[[Tarhouni-Ferchichi]] avec tous …",
    }


def diff_page(folder: Path, changes: int = 20) -> Path:
    found = [change(n) for n in range(changes)]
    page = diff.render("sahel 1.0.0", "sahel 2.0.0", {"entity_relabelled": changes}, "major", found)
    write_page(folder / "diff.html", page)
    return folder / "diff.html"


def curve_page(folder: Path) -> Path:
    def world(size: int, repeat: int) -> Any:
        rng = np.random.default_rng([size, repeat])
        pairs = []
        for i in range(20):
            mentions = [Entity(9 * k, 9 * k + 5, LABELS[k % 4]) for k in range(24)]
            seen = [e for e in mentions if rng.random() < 0.95 - size**-0.5]
            pairs.append(
                (
                    Annotation.of(f"d{i}", mentions, (), GOLD),
                    Annotation.of(f"d{i}", seen, (), MODEL),
                )
            )
        return tally(pairs)

    sizes = (10, 20, 40, 80)
    points = [Point(i, r, n, world(n, r)) for i, n in enumerate(sizes) for r in range(3)]
    found = curves(points, 80, 80, draws=100)
    advice = advise(found, {"entities": LABELS[:4], "relations": ()}, dict.fromkeys(LABELS, 50))
    data = {
        "gold": {"name": "sahel 1.0.0", "digest": "release:" + "ab" * 32},
        "model": "crf",
        "on": "dev",
        "train": 80,
        "scored": 20,
        "repeats": 3,
        "sentences": [curve.sentence for curve in found if curve.label is None],
        "notes": ["a note"],
    }
    write_page(folder / "curve.html", train_curve.render(data, found, advice))
    return folder / "curve.html"


PAGES: dict[str, Callable[[Path], Path]] = {
    "evaluation": evaluation_page,
    "agreement": agreement_page,
    "annotators": annotators_page,
    "diff": diff_page,
    "train curve": curve_page,
}
SAYS = {
    "evaluation": ("predictions.jsonl", "gold.jsonl"),
    "agreement": ("annotator-1.jsonl", "annotator-3"),
    "annotators": ("annotator-2",),
    "diff": ("sahel 1.0.0", "sahel 2.0.0"),
    "train curve": ("sahel 1.0.0", "crf"),
}
"""The releases, models and people that each page must name."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: make(tmp_path_factory.mktemp("pages")) for name, make in PAGES.items()}


@pytest.fixture
def sheet(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page from its file, offline; whatever it asks for elsewhere is a failure."""
    contexts, asked = [], []

    def opened(path: Path, **options: Any) -> Page:
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda said: asked.append(f"console: {said.text}"))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    others = [url for url in asked if not url.startswith(("file:", "data:"))]
    assert not others, others
    assert len([url for url in asked if url.startswith("file:")]) == len(contexts)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [None, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(
    name: str,
    viewport: dict[str, int] | None,
    scheme: str,
    written: dict[str, Path],
    sheet: Callable[..., Page],
) -> None:
    """Landmarks, headings in order, names of tables, contrast: in the light and in the dark."""
    # the page forbids every script; axe's own is let in by the browser, not by the page
    page = sheet(
        written[name],
        color_scheme=scheme,
        bypass_csp=True,
        **({"viewport": viewport} if viewport else {}),
    )
    found = axe_sync.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_the_page_without_scrolling_sideways(
    name: str, written: dict[str, Path], sheet: Callable[..., Page]
) -> None:
    """At 360 pixels the page is as wide as the screen; a wide table scrolls by itself."""
    page = sheet(written[name], viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    wide = page.evaluate(
        "[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, .unseen')"
        " && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"
    )
    assert not wide


@pytest.mark.parametrize("name", PAGES)
def test_paper_holds_whole_tables(
    name: str, written: dict[str, Path], sheet: Callable[..., Page]
) -> None:
    """In print nothing is cut off at the right, nothing scrolls, and the ink is dark on white."""
    page = sheet(written[name], color_scheme="dark", viewport={"width": 700, "height": 1000})
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_read_without_scripts_and_names_what_it_speaks_of(
    name: str, written: dict[str, Path], sheet: Callable[..., Page]
) -> None:
    """One heading of the first order, and the releases, models and people by name."""
    page = sheet(written[name], java_script_enabled=False)
    assert page.locator("h1").count() == 1
    text = page.locator("body").inner_text()
    for word in SAYS[name]:
        assert word in text
    source = written[name].read_text("utf-8")
    assert "<script" not in source
    assert 'lang="en"' in source


@pytest.mark.parametrize("name", PAGES)
def test_the_keyboard_reaches_the_figures(
    name: str, written: dict[str, Path], sheet: Callable[..., Page]
) -> None:
    """The first tab offers to skip to the figures, and what is focused is seen to be."""
    page = sheet(written[name])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.hash") == "#a0"
    box = page.locator(".skip").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.url.endswith("#a0")


def test_the_evaluation_of_a_thousand_documents_stays_small(
    tmp_path: Path, sheet: Callable[..., Page]
) -> None:
    """Under 2 MB, and it says how many errors it leaves out."""
    path = evaluation_page(tmp_path, 1_000, long=2)
    assert path.stat().st_size < 2_000_000
    said = sheet(path).locator("main").inner_text()
    data = json.loads(path.with_name("metrics.json").read_text("utf-8"))
    total = sum(
        n
        for part in ("entities", "relations")
        for kind, n in data[part]["errors"].items()
        if kind != "correct"
    )
    assert f"of {total} errors" in said
    assert "are not shown here" in said


def test_the_page_of_a_long_diff_stays_small(tmp_path: Path) -> None:
    """Under 2 MB however many changes there are, with a count of those left out."""
    path = diff_page(tmp_path, 10_000)
    assert path.stat().st_size < 2_000_000
    assert "more changes are not shown" in path.read_text("utf-8")
