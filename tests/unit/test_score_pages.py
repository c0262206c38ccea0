"""The pages of scores and of agreement: everything escaped, the text as it stands."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from curate.agreement.measures import measure
from curate.model import Annotation, Document, Entity, Relation, Source
from curate.reports.agreement import render
from curate.reports.evaluation import confusion_table, examples, segments
from curate.scoring import score

EVIL = "<script>alert('x')</script>"


def annotation(entities, relations=(), document="d", who="t") -> Annotation:
    made = [Entity(*e) for e in entities]
    links = [Relation(made[head], made[tail], label) for head, tail, label in relations]
    return Annotation.of(document, made, links, Source.annotator(who))


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_an_agreement_page_escapes_pseudonyms_and_labels() -> None:
    """Whatever a label or a pseudonym holds is shown as text."""
    sides = {f"{EVIL}{name}": [annotation([(0, 3, f"{EVIL}L")], who=name)] for name in ("a", "b")}
    page = Page(render(measure(sides, {"d": 9}, draws=0), [EVIL]))
    assert "script" not in page.tags
    assert f"{EVIL}L" in page.text
    assert f"{EVIL}a" in page.text


spans = st.tuples(st.integers(0, 190), st.integers(1, 20)).map(
    lambda s: Entity(s[0], min(200, s[0] + s[1]), "L")
)


@given(st.lists(spans, min_size=1, max_size=3), st.lists(spans, max_size=3))
def test_segments_show_every_mention_whole(gold, predicted) -> None:
    """The marked pieces of a side, joined, are its mentions' characters."""
    text = "".join(chr(0x4E00 + i) for i in range(200))
    found = segments(text, gold, predicted)
    for side, marked in (
        (gold, [s.text for s in found if s.gold]),
        (predicted, [s.text for s in found if s.predicted]),
    ):
        covered = sorted({i for entity in side for i in range(*entity.span)})
        assert "".join(marked) == "".join(text[i] for i in covered)


def test_examples_are_the_errors_in_order_of_the_text() -> None:
    """Correct ones are left out; relations carry arrows of both sides."""
    document = Document.of("Ali Barka dirige la Garde de Tripoli.", id="d")
    gold = annotation([(0, 9, "PER"), (20, 25, "MIL"), (29, 36, "LOC")], [(0, 1, "commands")])
    other = annotation([(0, 9, "PER"), (20, 25, "ORG")], [(1, 0, "commands")])
    found = examples([(document, gold, other)], None)
    assert [(e.part, e.kind) for e in found] == [
        ("entities", "label"),
        ("entities", "missed"),
        ("relations", "direction"),
    ]
    assert found[2].gold_arrows[0].head == "Ali Barka"
    assert found[2].predicted_arrows[0].head == "Garde"
    assert examples([(document, gold, other)], None, ["LOC"])[0].kind == "missed"
    assert len(examples([(document, gold, other)], None, limit=1)) == 1


def test_confusion_sums_to_its_events() -> None:
    """Gold down, predicted across, what one side lacks at the end."""
    found = score(
        [(annotation([(0, 3, "A"), (5, 8, "B")]), annotation([(0, 3, "B"), (10, 12, "A")]))],
        draws=0,
    )
    table = confusion_table(found.entities)
    assert table is not None
    assert table.columns == ("A", "B", "—")
    counts = [[n for n, _, _ in row.cells] for row in table.rows]
    assert counts == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
