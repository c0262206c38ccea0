"""Laws of the annotators' page."""

from __future__ import annotations

from curate.agreement.annotators import Work, portraits
from curate.model import Annotation, Entity, Relation, Source
from curate.reports.annotators import render

A, B = Entity(0, 4, "PER"), Entity(10, 14, "ORG")
TEXT = "Awa  <b>& le Togo, hier encore."


def work(who, document, entities, links=(), **more) -> Work:
    said = Annotation.of(document, entities, links, Source.annotator(who))
    values = {"updated_at": "2026-03-02T10:00:00Z", "lead_time": 60.0, "length": 500} | more
    return Work(said, **values)


def test_each_annotator_is_counted_by_themselves() -> None:
    """Throughput by week and day, lead time, skipped ones apart."""
    found = portraits(
        [
            work("x", "d1", [A, B], [Relation(A, B, "in")]),
            work("x", "d2", [A], lead_time=120.0, updated_at="2026-03-09T10:00:00Z"),
            work("x", "d3", [], skipped=True),
            work("y", "d1", [A]),
        ],
        {},
    )
    x, y = found
    assert (x.documents, x.skipped, x.entities, x.relations) == (2, 1, 3, 1)
    assert x.weeks == {"2026-W10": 1, "2026-W11": 1}
    assert (x.active_days, x.per_day) == (2, 1.0)
    assert x.lead == (75.0, 90.0, 105.0)
    assert x.per_thousand == 180.0
    assert x.overall == (1, 2 / 3, 0.0)
    assert x.months == {"2026-03": (1, 2 / 3, 0.0)}
    assert y.with_decision == (0, None, None)


def test_confusions_are_with_the_decision_where_a_person_took_one() -> None:
    """Both annotators say PER; the decision says ORG: that is their confusion, with its place."""
    org = Annotation.of("d1", [Entity(0, 4, "ORG")], (), Source.curator("c"))
    x, _ = portraits([work("x", "d1", [A]), work("y", "d1", [A])], {"d1": org})
    (confusion,) = x.confusions
    assert (confusion.mine, confusion.theirs, confusion.times) == ("PER", "ORG", 1)
    assert (confusion.examples[0].document_id, confusion.examples[0].start) == ("d1", 0)
    assert x.overall[1] == 1.0
    assert x.with_decision[1] == 0.0


def test_the_order_of_works_is_of_no_consequence() -> None:
    """Any order gives the same portraits."""
    works = [work(who, f"d{n}", [A, B][: n % 2 + 1]) for n in range(5) for who in "xyz"]
    assert portraits(works, {}) == portraits(works[::-1], {})


def test_the_page_is_one_file_and_escapes_what_it_shows() -> None:
    """Nothing is fetched; a name and a text with markup stay text."""
    found = portraits([work("<x>", "d1", [Entity(5, 9, "PER")]), work("y", "d1", [])], {})
    html = render(found, {"d1": TEXT})
    assert "&lt;x&gt;" in html
    assert "<b>&" not in html
    assert "<script" not in html
    assert 'src="' not in html
    assert "http" not in html.replace("http-equiv", "")
    assert "PER → nothing" in html


def test_nobody_is_a_page_too() -> None:
    assert "Nobody has annotated yet" in render([], {})
