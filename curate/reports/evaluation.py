"""The page of an evaluation: measures, labels, confusion, and the errors in their text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.alignment import EntityEvent, RelationEvent, align
from curate.model import Annotation, Document, Entity, Relation
from curate.offsets import Span
from curate.reports.pages import fitting, page

if TYPE_CHECKING:
    from curate.schema import LabelSchema
    from curate.scoring import PartScores, Scores

CONTEXT = 70
"""Characters of text shown before and after what an error is about."""
LONGEST = 600
"""Longer stretches are cut in the middle."""
COLUMNS = 30
"""Labels of a confusion table, the most frequent ones; a page with more is not read by anybody."""
GROUPS = 400


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of text, and the labels that either side has over all of it."""

    text: str
    gold: tuple[str, ...] = ()
    predicted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Arrow:
    """A relation drawn between the texts of its arguments."""

    head: str
    head_label: str
    label: str
    tail: str
    tail_label: str


@dataclass(frozen=True, slots=True)
class Example:
    """One error with the text around it."""

    document: str
    part: str
    kind: str
    start: int
    segments: tuple[Segment, ...]
    gold: tuple[str, ...] = ()
    predicted: tuple[str, ...] = ()
    gold_arrows: tuple[Arrow, ...] = ()
    predicted_arrows: tuple[Arrow, ...] = ()
    note: str = ""


def examples(
    both: Iterable[tuple[Document, Annotation, Annotation]],
    schema: LabelSchema | None,
    labels: Collection[str] = (),
    limit: int = 300,
) -> list[Example]:
    """The errors of these (document, gold, predicted), at most ``limit``, in order of the text."""
    found: list[Example] = []
    for document, gold, predicted in both:
        for event in align(gold, predicted, schema).changes():
            members = (*event.a, *event.b)
            if labels and not any(member.label in labels for member in members):
                continue
            found.append(
                _entity_example(document, event)
                if isinstance(event, EntityEvent)
                else _relation_example(document, event)
            )
            if len(found) >= limit:
                return found
    return found


def _entity_example(document: Document, event: EntityEvent) -> Example:
    members = (*event.a, *event.b)
    return Example(
        document=document.id,
        part="entities",
        kind=str(event.kind),
        start=min(entity.start for entity in members),
        segments=segments(document.text, event.a, event.b),
        gold=tuple(_said(document.text, entity) for entity in event.a),
        predicted=tuple(_said(document.text, entity) for entity in event.b),
    )


def _relation_example(document: Document, event: RelationEvent) -> Example:
    gold = sorted({e for r in event.a for e in (r.head, r.tail)}, key=lambda e: e.key)
    predicted = sorted({e for r in event.b for e in (r.head, r.tail)}, key=lambda e: e.key)
    return Example(
        document=document.id,
        part="relations",
        kind=str(event.kind),
        start=min(entity.start for entity in (*gold, *predicted)),
        segments=segments(document.text, gold, predicted),
        gold_arrows=tuple(_arrow(document.text, relation) for relation in event.a),
        predicted_arrows=tuple(_arrow(document.text, relation) for relation in event.b),
        note="an argument was missed, too" if event.missed_argument else "",
    )


def _said(text: str, entity: Entity) -> str:
    return f"{entity.label} {entity.start}–{entity.end}"


def _arrow(text: str, relation: Relation) -> Arrow:
    return Arrow(
        _short(text[relation.head.start : relation.head.end]),
        relation.head.label,
        relation.label,
        _short(text[relation.tail.start : relation.tail.end]),
        relation.tail.label,
    )


def _short(text: str, longest: int = 60) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"


def segments(
    text: str, gold: Sequence[Entity], predicted: Sequence[Entity], context: int = CONTEXT
) -> tuple[Segment, ...]:
    """The text around these mentions, cut wherever one begins or ends; long gaps are left out."""
    edges: set[int] = set()
    windows: list[Span] = []
    for entity in (*gold, *predicted):
        edges.update(entity.span)
        windows.append((max(0, entity.start - context), min(len(text), entity.end + context)))
    merged: list[list[int]] = []
    for low, high in sorted(windows):
        if merged and low <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], high)
        else:
            merged.append([low, high])
    found: list[Segment] = []
    for low, high in merged:
        if low > 0 and not found:
            found.append(Segment("… "))
        cuts = sorted({low, high, *(edge for edge in edges if low < edge < high)})
        for start, end in zip(cuts, cuts[1:], strict=False):  # noqa: RUF007
            piece = text[start:end]
            if len(piece) > LONGEST:
                piece = piece[: LONGEST // 2] + " … " + piece[-LONGEST // 2 :]
            found.append(Segment(piece, _over(gold, start, end), _over(predicted, start, end)))
        if high < len(text):
            found.append(Segment(" … "))
    return tuple(found)


def _over(entities: Sequence[Entity], start: int, end: int) -> tuple[str, ...]:
    return tuple(
        sorted({entity.label for entity in entities if entity.start <= start and end <= entity.end})
    )


def render(
    scores: Scores,
    groups: Mapping[str, Scores],
    data: Mapping[str, Any],
    errors: Sequence[Example],
    language: str | None = None,
) -> str:
    """The page; ``data`` is what ``curate evaluate --json`` prints.

    ``language`` is the texts' code, for screen readers.
    """
    total = sum(
        n
        for part in (scores.entities, scores.relations)
        for kind, n in part.errors.items()
        if kind != "correct"
    )
    by = next(iter(data.get("by", {})), None)
    return page(
        "evaluation.html.j2",
        title=f"{data['predictions']['name']} against {data['gold']['name']}",
        data=data,
        scores=scores,
        parts=(("Entities", scores.entities), ("Relations", scores.relations)),
        tables={
            "Entities": confusion_table(scores.entities),
            "Relations": confusion_table(scores.relations),
        },
        sections=["Entities", "Relations", *([f"By {by}"] if groups else []), "Errors"],
        groups=list(groups.items())[:GROUPS],
        groups_left_out=max(0, len(groups) - GROUPS),
        by=by,
        errors=fitting(errors, _size),
        total=max(total, len(errors)),
        language=language,
    )


def _size(example: Example) -> int:
    """Bytes of an example in the page, generously."""
    texts = [s.text + "".join((*s.gold, *s.predicted)) for s in example.segments]
    arrows = len(example.gold_arrows) + len(example.predicted_arrows)
    said = (example.document, *example.gold, *example.predicted, *texts)
    return 300 + 110 * len(texts) + 700 * arrows + sum(len(one.encode()) for one in said)


@dataclass(frozen=True, slots=True)
class ConfusionRow:
    """A gold label and how often each predicted label stood for it; shares are of the row."""

    label: str
    cells: tuple[tuple[int, float, bool], ...]
    """Count, share of the row, and whether both labels are the same."""


@dataclass(frozen=True, slots=True)
class ConfusionTable:
    columns: tuple[str, ...]
    rows: tuple[ConfusionRow, ...]
    left_out: int = 0
    """Labels beyond the most frequent ones."""


NOTHING = "—"


def confusion_table(part: PartScores) -> ConfusionTable | None:
    """Gold labels down, predicted labels across; None where there is nothing to show."""
    if not part.confusion:
        return None
    often: Counter[str] = Counter()
    for pair, n in part.confusion.items():
        often.update({name: n for name in pair if name is not None})
    names = sorted(sorted(often, key=lambda name: (-often[name], name))[:COLUMNS])
    keys: list[str | None] = [*names, None]
    rows = []
    for gold in keys:
        counts = [part.confusion.get((gold, predicted), 0) for predicted in keys]
        whole = sum(counts)
        rows.append(
            ConfusionRow(
                NOTHING if gold is None else gold,
                tuple(
                    (n, n / whole if whole else 0.0, gold == predicted)
                    for n, predicted in zip(counts, keys, strict=True)
                ),
            )
        )
    return ConfusionTable((*names, NOTHING), tuple(rows), len(often) - len(names))
