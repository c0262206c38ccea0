"""How two gold sets differ, as typed changes: sums over :func:`curate.alignment.align`.

Changes are values that stream, a document at a time, in order of document id; the kinds are those
of :data:`KINDS`.  Two releases are compared line by line first, so that what did not change costs
nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from curate.alignment import EntityKind, RelationKind, align
from curate.gold.items import GoldDocument, canonical, entity_id, relation_id
from curate.gold.lines import parse_gold
from curate.gold.reading import Block, Release
from curate.gold.versions import Bump, larger
from curate.model import Entity, Relation
from curate.schema import LabelSchema

CONTEXT = 40
"""Characters of text shown on either side of a change."""

_ENTITY = {
    EntityKind.LABEL: "entity_label",
    EntityKind.BOUNDARY: "entity_boundary",
    EntityKind.LABEL_BOUNDARY: "entity_boundary_label",
    EntityKind.SPLIT: "entity_split",
    EntityKind.MERGE: "entity_merge",
    EntityKind.MISSED: "entity_removed",
    EntityKind.SPURIOUS: "entity_added",
}
_RELATION = {
    RelationKind.TYPE: "relation_label",
    RelationKind.DIRECTION: "relation_direction",
    RelationKind.ARGUMENT: "relation_argument",
    RelationKind.MISSED: "relation_removed",
    RelationKind.SPURIOUS: "relation_added",
}
KINDS = (
    "schema_changed",
    "document_added",
    "document_removed",
    "split_moved",
    *_ENTITY.values(),
    "entity_attribute",
    *_RELATION.values(),
    "relation_attribute",
    "chain_added",
    "chain_removed",
)
"""Every kind of change.  ``…_attribute``: a score or the canonical name alone."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: what stood in the old set and what stands in the new.

    ``old`` and ``new`` are plain JSON; ``context`` is the text around, the place in ``[[ ]]``.
    ``bump`` is what the change alone calls for.
    """

    kind: str
    document: str | None = None
    old: Any = None
    new: Any = None
    context: str = ""
    bump: Bump = Bump.MAJOR

    def as_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = {"kind": self.kind}
        for key, value in (
            ("document", self.document),
            ("old", self.old),
            ("new", self.new),
            ("context", self.context),
        ):
            if value not in (None, "", []):
                record[key] = value
        return record


@dataclass
class DiffTally:
    """Counts changes as they pass."""

    counts: Counter[str] = field(default_factory=Counter)
    bump: Bump | None = None

    def watch(self, changes: Iterable[Change]) -> Iterator[Change]:
        for change in changes:
            self.add(change)
            yield change

    def add(self, change: Change) -> None:
        self.counts[change.kind] += 1
        self.bump = larger(self.bump, change.bump)

    def as_counts(self) -> dict[str, int]:
        """The kinds that occurred, in the order of :data:`KINDS`."""
        return {kind: self.counts[kind] for kind in KINDS if self.counts[kind]}


def diff_schemas(old: LabelSchema, new: LabelSchema) -> Iterator[Change]:
    """One change at most: what labels and relation types gained, lost or altered."""
    if old.digest == new.digest:
        return
    before, after = _shape(old), _shape(new)
    lost = sorted(before.keys() - after.keys())
    gained = sorted(after.keys() - before.keys())
    altered = sorted(key for key in before.keys() & after.keys() if before[key] != after[key])
    if lost or any(not _wider(before[key], after[key]) for key in altered):
        bump = Bump.MAJOR
    elif gained or altered:
        bump = Bump.MINOR
    else:
        bump = Bump.PATCH
    yield Change(
        "schema_changed",
        old={"digest": old.digest, "version": old.version, "lost": lost},
        new={"digest": new.digest, "version": new.version, "gained": gained, "altered": altered},
        bump=bump,
    )


_Shape = tuple[frozenset[str], frozenset[str], bool, bool]


def _shape(schema: LabelSchema) -> dict[str, _Shape]:
    nothing: frozenset[str] = frozenset()
    shape: dict[str, _Shape] = {e.name: (nothing, nothing, False, False) for e in schema.entities}
    for r in schema.relations:
        shape[r.name] = (frozenset(r.head), frozenset(r.tail), r.symmetric, r.same_label)
    return shape


def _wider(old: _Shape, new: _Shape) -> bool:
    return old[0] <= new[0] and old[1] <= new[1] and old[2:] == new[2:]


def diff_releases(old: Release, new: Release) -> Iterator[Change]:
    """Every change from one release to another.  Raises DataError for damaged files."""
    yield from diff_schemas(old.schema, new.schema)
    yield from diff_blocks(old.blocks(), new.blocks(), new.schema)


def diff_blocks(
    old: Iterable[Block], new: Iterable[Block], schema: LabelSchema
) -> Iterator[Change]:
    """The changes between two streams of blocks, each sorted by document id."""
    for before, after in _joined(old, new):
        if before is None or after is None:
            yield from diff_documents(
                None if before is None else before.parsed(),
                None if after is None else after.parsed(),
                schema,
            )
        elif before.document != after.document or before.chains != after.chains:
            yield from diff_documents(before.parsed(), after.parsed(), schema)
        elif before.claims != after.claims:
            yield from diff_documents(*_differing(before, after), schema)


def _differing(before: Block, after: Block) -> tuple[GoldDocument, GoldDocument]:
    """Two states of a document with what is equal in both left out, unparsed.

    The alignment takes identical items out of both sides first, so leaving them out changes
    nothing, but for the mentions that a differing relation names.
    """
    entities = set(before.entities) & set(after.entities)
    relations = set(before.relations) & set(after.relations)
    # Relations that differ in the labels of their arguments alone are one to the alignment.
    groups = {
        _group(line)
        for block in (before, after)
        for line in block.relations
        if line not in relations
    }
    links = [
        [line for line in block.relations if groups and _group(line) in groups]
        for block in (before, after)
    ]
    named = {mention for side in links for line in side for mention in _arguments(line)}
    sides = [
        parse_gold(
            block.document,
            [line for line in block.entities if line not in entities or _own_id(line) in named],
            link,
            [],
        )
        for block, link in zip((before, after), links, strict=True)
    ]
    return sides[0], sides[1]


# Keys are found in canonical lines as bytes: inside a string a quotation mark is escaped.


def _own_id(entity: bytes) -> bytes:
    start = entity.find(b'"id":') + 5
    return entity[start : entity.find(b',"label":', start)]


def _arguments(relation: bytes) -> tuple[bytes, bytes]:
    start = relation.find(b'"head":') + 7
    head = relation[start : relation.find(b',"label":', start)]
    return head, relation[relation.rfind(b',"tail":') + 8 : relation.rfind(b"}")]


def _group(relation: bytes) -> tuple[bytes, ...]:
    """Label and argument spans, the latter in ascending order."""
    head, tail = _arguments(relation)
    start = relation.find(b',"label":') + 9
    stop = relation.find(b',"score_millionths":', start)
    stop = relation.rfind(b',"tail":') if stop < 0 else stop
    return relation[start:stop], *sorted(b":".join(m.split(b":", 2)[:2]) for m in (head, tail))


def diff_sets(
    old: Iterable[GoldDocument], new: Iterable[GoldDocument], schema: LabelSchema | None
) -> Iterator[Change]:
    """The changes between two sets of documents in any order."""
    before = sorted(old, key=lambda gold: gold.id)
    after = sorted(new, key=lambda gold: gold.id)
    for a, b in _joined(before, after):
        yield from diff_documents(a, b, schema)


def _joined(old: Iterable[Any], new: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    left, right = iter(old), iter(new)
    a, b = next(left, None), next(right, None)
    while a is not None or b is not None:
        if b is None or (a is not None and a.id < b.id):
            yield a, None
            a = next(left, None)
        elif a is None or b.id < a.id:
            yield None, b
            b = next(right, None)
        else:
            yield a, b
            a, b = next(left, None), next(right, None)


def diff_documents(
    old: GoldDocument | None, new: GoldDocument | None, schema: LabelSchema | None
) -> Iterator[Change]:
    """The changes of one document; None where a side lacks it."""
    if old is None or new is None or old.document.text != new.document.text:
        # Text is immutable: under another text it is another document.
        if old is not None:
            yield Change("document_removed", old.id, old=_summary(old))
        if new is not None:
            bump = Bump.MINOR if old is None else Bump.MAJOR
            yield Change("document_added", new.id, new=_summary(new), bump=bump)
        return
    if old.split != new.split and old.split and new.split:
        yield Change("split_moved", new.id, old=old.split, new=new.split)
    if old.annotation == new.annotation and _attributes(old) == _attributes(new):
        return
    before, after = old.annotation, new.annotation
    if schema is not None:
        before, after = canonical(before, schema), canonical(after, schema)
    text = new.document.text
    alignment = align(before, after, schema)
    for event in alignment.entities:
        if event.kind is EntityKind.CORRECT:
            a, b = event.a[0], event.b[0]
            if (a.score, a.canonical) != (b.score, b.canonical):
                yield _entity_change("entity_attribute", new.id, text, event.a, event.b)
        else:
            yield _entity_change(_ENTITY[event.kind], new.id, text, event.a, event.b)
    for link in alignment.relations:
        if link.kind is RelationKind.CORRECT:
            yield from _same_relations(new.id, text, link.a, link.b, old, new)
        else:
            yield from _relation_changes(_RELATION[link.kind], new.id, text, link.a, link.b)
    chains_a = {tuple(map(entity_id, chain)) for chain in before.chains}
    chains_b = {tuple(map(entity_id, chain)) for chain in after.chains}
    for chain in sorted(chains_a - chains_b):
        yield Change("chain_removed", new.id, old=list(chain))
    for chain in sorted(chains_b - chains_a):
        yield Change("chain_added", new.id, new=list(chain))


def _relation_changes(
    kind: str, document: str, text: str, old: Sequence[Relation], new: Sequence[Relation]
) -> Iterator[Change]:
    """The changes of one event; several on a side differ in the labels of their arguments alone,
    and each is told."""
    for a, b in zip_longest(old, new):
        if b is None:
            yield _relation_change("relation_removed", document, text, (a,), ())
        elif a is None:
            yield _relation_change("relation_added", document, text, (), (b,))
        else:
            yield _relation_change(kind, document, text, (a,), (b,))


def _attributes(gold: GoldDocument) -> tuple[Any, ...]:
    """What equality of annotations leaves out: it compares mentions by their key alone."""
    return (
        [(e.score, e.canonical) for e in gold.annotation.entities],
        [r.score for r in gold.annotation.relations],
    )


def _same_relations(
    document: str,
    text: str,
    old: tuple[Relation, ...],
    new: tuple[Relation, ...],
    before: GoldDocument,
    after: GoldDocument,
) -> Iterator[Change]:
    """Relations that differ, if at all, in their score or the labels of their arguments.

    Where an argument was relabelled the change of the entity says it all.
    """
    if len(old) == len(new) == 1 and old[0] == new[0] and old[0].score == new[0].score:
        return
    of_a = {relation_id(r): r for r in old}
    of_b = {relation_id(r): r for r in new}
    for key in sorted(of_a.keys() & of_b.keys()):
        if of_a[key].score != of_b[key].score:
            yield _relation_change("relation_attribute", document, text, (of_a[key],), (of_b[key],))
    gone = [of_a[key] for key in sorted(of_a.keys() - of_b.keys())]
    come = [of_b[key] for key in sorted(of_b.keys() - of_a.keys())]
    kept_a = {e.key for e in before.annotation.entities}
    kept_b = {e.key for e in after.annotation.entities}
    for a, b in zip(gone, come, strict=False):
        stood = all(e.key in kept_b for e in (a.head, a.tail))
        if stood or all(e.key in kept_a for e in (b.head, b.tail)):
            yield _relation_change("relation_argument", document, text, (a,), (b,))
    for a in gone[len(come) :]:
        yield _relation_change("relation_removed", document, text, (a,), ())
    for b in come[len(gone) :]:
        yield _relation_change("relation_added", document, text, (), (b,))


def _entity_change(
    kind: str, document: str, text: str, old: Sequence[Entity], new: Sequence[Entity]
) -> Change:
    both = [*old, *new]
    start, end = min(e.start for e in both), max(e.end for e in both)
    return Change(
        kind,
        document,
        old=_side([_entity(e, text) for e in old]),
        new=_side([_entity(e, text) for e in new]),
        context=around(text, start, end),
    )


def _relation_change(
    kind: str, document: str, text: str, old: Sequence[Relation], new: Sequence[Relation]
) -> Change:
    first = (new or old)[0]
    start = min(first.head.start, first.tail.start)
    end = max(first.head.end, first.tail.end)
    return Change(
        kind,
        document,
        old=_side([_relation(r, text) for r in old]),
        new=_side([_relation(r, text) for r in new]),
        context=around(text, start, end),
    )


def _side(items: list[dict[str, Any]]) -> Any:
    """One item as itself, several (of a split or merge) as a list."""
    return items[0] if len(items) == 1 else items


def _entity(entity: Entity, text: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "start": entity.start,
        "end": entity.end,
        "label": entity.label,
        "text": text[entity.start : entity.end],
    }
    if entity.canonical is not None:
        row["canonical"] = entity.canonical
    if entity.score is not None:
        row["score_millionths"] = round(entity.score * 1_000_000)
    return row


def _relation(relation: Relation, text: str) -> dict[str, Any]:
    head, tail = relation.head, relation.tail
    row: dict[str, Any] = {
        "label": relation.label,
        "head": entity_id(head),
        "tail": entity_id(tail),
        "text": f"{text[head.start : head.end]} → {text[tail.start : tail.end]}",
    }
    if relation.score is not None:
        row["score_millionths"] = round(relation.score * 1_000_000)
    return row


def _summary(gold: GoldDocument) -> dict[str, Any]:
    row: dict[str, Any] = {
        "entities": len(gold.annotation.entities),
        "relations": len(gold.annotation.relations),
    }
    if gold.split:
        row["split"] = gold.split
    return row


def around(text: str, start: int, end: int) -> str:
    """The place in its text on one line: ``…before [[place]] after…``."""
    low, high = max(0, start - CONTEXT), min(len(text), end + CONTEXT)
    inside = text[start:end]
    if len(inside) > 4 * CONTEXT:
        inside = f"{inside[: 2 * CONTEXT]} … {inside[-2 * CONTEXT :]}"
    shown = (
        ("…" if low else "")
        + text[low:start]
        + "[["
        + inside
        + "]]"
        + text[end:high]
        + ("…" if high < len(text) else "")
    )
    return " ".join(shown.split())
