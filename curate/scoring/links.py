"""Counts of relations per document, and of triples of coreference chains."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection

import numpy as np

from curate.alignment import RelationKey, RelationKind, compare_relations
from curate.matching import cardinality
from curate.offsets import Span
from curate.scoring.columns import Bools, Floats, Ints, Side
from curate.scoring.tally import (
    RELATION_KINDS,
    Frame,
    PartTally,
    Scored,
    by_name,
    count,
    first_of,
    is_in,
)


class _Links:
    """One side's relations by their keys: distinct, in ascending order."""

    def __init__(
        self,
        side: Side,
        arguments: tuple[Ints, Ints],
        wide: int,
        symmetric: Bools,
        chosen: Ints,
    ) -> None:
        head, tail = (column[chosen] for column in arguments)
        kind = side.kind[chosen]
        turn = symmetric[kind] & (tail < head)
        first, second = np.where(turn, tail, head), np.where(turn, head, tail)
        keys = (kind * wide + first) * wide + second
        rows = first_of(keys, side.relation_score[chosen])
        self.duplicates = len(keys) - len(rows)
        self.key = keys[rows]
        self.row: Ints = chosen[rows]
        self.doc = side.relation_doc[self.row]
        self.kind = kind[rows]
        self.turned = turn[rows]
        self.score = side.relation_score[self.row]


def tally_relations(
    frame: Frame, symmetric: Collection[str], only: Collection[str] | None = None
) -> PartTally:
    """Count the relations; with ``only``, those of these types.

    Both sides must share their lists of names.
    """
    gold, other = frame.gold, frame.other
    size, names = gold.size, gold.kinds
    free = np.array([name in symmetric for name in names], dtype=np.bool_)
    wanted = np.array([only is None or name in only for name in names], dtype=np.bool_)
    chosen = [
        np.flatnonzero(wanted[side.kind]) if len(names) else np.zeros(0, dtype=np.int64)
        for side in (gold, other)
    ]
    spans = [np.unique(code) for code in frame.code]
    sets: dict[str, tuple[_Links, _Links]] = {}
    for name, values in (("boundaries", frame.code), ("strict", frame.key)):
        known = np.unique(np.concatenate(values))
        ranks = [np.searchsorted(known, value) for value in values]
        one, two = (
            _Links(side, (rank[side.head], rank[side.tail]), len(known) + 1, free, rows)
            for side, rank, rows in zip((gold, other), ranks, chosen, strict=True)
        )
        sets[name] = (one, two)
    near_g, near_o = sets["boundaries"]
    right_g, right_o = is_in(near_g.key, near_o.key), is_in(near_o.key, near_g.key)
    found_g = _found(gold, near_g.row, frame.code[0], spans[1])
    found_o = _found(other, near_o.row, frame.code[1], spans[0])
    total_g, total_o = count(size, near_g.doc), count(size, near_o.doc)
    right = count(size, near_g.doc[right_g])
    full_g, full_o = sets["strict"]
    full_right = is_in(full_g.key, full_o.key)
    errors, members, lost, confusion = _errors(
        frame,
        (near_g, near_o),
        (np.flatnonzero(~right_g), np.flatnonzero(~right_o)),
        found_g,
        symmetric,
    )
    column = RELATION_KINDS.index(RelationKind.CORRECT)
    errors[:, column] = right
    members[:, column, :] = right[:, None]
    for i, n in enumerate(np.bincount(near_g.kind[right_g], minlength=len(names)).tolist()):
        if n:
            confusion[names[i], names[i]] += n
    scored = ~np.isnan(near_o.score)
    return PartTally(
        measures={
            "strict": np.column_stack(
                (
                    count(size, full_g.doc[full_right]),
                    count(size, full_g.doc),
                    count(size, full_o.doc),
                )
            ),
            "boundaries": np.column_stack((right, total_g, total_o)),
            "given_entities": np.column_stack(
                (right, count(size, near_g.doc[found_g]), count(size, near_o.doc[found_o]))
            ),
        },
        labels=by_name(
            size,
            names,
            [
                (near_g.doc[right_g], near_g.kind[right_g], None),
                (near_g.doc, near_g.kind, None),
                (near_o.doc, near_o.kind, None),
            ],
        ),
        lenient_labels={},
        errors=errors,
        members=members,
        confusion=confusion,
        scored=Scored(near_o.doc[scored], near_o.score[scored], right_o[scored].astype(np.int64)),
        duplicates=(full_g.duplicates, full_o.duplicates),
        missed_argument=lost,
    )


def _found(side: Side, rows: Ints, code: Ints, spans: Ints) -> Bools:
    """Whether the other side has an entity at both argument spans."""
    both: Bools = is_in(code[side.head[rows]], spans) & is_in(code[side.tail[rows]], spans)
    return both


def _errors(
    frame: Frame,
    links: tuple[_Links, _Links],
    rest: tuple[Ints, Ints],
    found: Bools,
    symmetric: Collection[str],
) -> tuple[Ints, Ints, Ints, Counter[tuple[str | None, str | None]]]:
    """Events, their members, the missed for want of an argument, and the confusion."""
    size = frame.gold.size
    # By document, and within it still in the order of label and spans.
    ordered = [
        rows[np.argsort(link.doc[rows], kind="stable")]
        for link, rows in zip(links, rest, strict=True)
    ]
    keys_g = _keys(frame.gold, links[0], ordered[0])
    keys_o = _keys(frame.other, links[1], ordered[1])
    docs = [link.doc[rows] for link, rows in zip(links, ordered, strict=True)]
    busy = np.union1d(docs[0], docs[1])
    bounds_g = np.searchsorted(docs[0], [*busy, size]).tolist()
    bounds_o = np.searchsorted(docs[1], [*busy, size]).tolist()
    missing = (~found[ordered[0]]).tolist()
    wide = len(RELATION_KINDS)
    column = {kind: i for i, kind in enumerate(RELATION_KINDS)}
    cells: list[int] = []
    lost: list[int] = []
    called: list[tuple[str | None, str | None]] = []
    for n, doc in enumerate(busy.tolist()):
        first_g = bounds_g[n]
        part_g = keys_g[first_g : bounds_g[n + 1]]
        part_o = keys_o[bounds_o[n] : bounds_o[n + 1]]
        for kind, i, j in compare_relations(part_g, part_o, symmetric):
            cells.append(doc * wide + column[kind])
            called.append(
                (None if i is None else part_g[i][0], None if j is None else part_o[j][0])
            )
            if j is None and i is not None and missing[first_g + i]:
                lost.append(doc)
    counted: Ints = np.bincount(np.array(cells, dtype=np.int64), minlength=size * wide)
    errors = counted.reshape(size, wide)
    members = np.stack((errors, errors), axis=2)
    members[:, column[RelationKind.MISSED], 1] = 0
    members[:, column[RelationKind.SPURIOUS], 0] = 0
    lost_by_document: Ints = np.bincount(np.array(lost, dtype=np.int64), minlength=size)
    return errors, members, lost_by_document, Counter(called)


def _keys(side: Side, link: _Links, rows: Ints) -> list[RelationKey]:
    picked = link.row[rows]
    turned = link.turned[rows]
    head = np.where(turned, side.tail[picked], side.head[picked])
    tail = np.where(turned, side.head[picked], side.tail[picked])
    return [
        (side.kinds[kind], (hs, he), (ts, te))
        for kind, hs, he, ts, te in zip(
            side.kind[picked].tolist(),
            side.start[head].tolist(),
            side.end[head].tolist(),
            side.start[tail].tolist(),
            side.end[tail].tolist(),
            strict=True,
        )
    ]


def tally_chains(
    frame: Frame, symmetric: Collection[str], only: Collection[str] | None
) -> Floats | None:
    """Credit, gold and predicted triples of chains per document; None where gold has no chains.

    A triple is (chain of the head, label, chain of the tail); a mention outside every chain is a
    chain of its own.  A predicted chain is the right one when it shares a mention (a span) with
    the gold one.  A document whose prediction carries no chains borrows the gold ones.  Only
    documents whose gold carries chains are counted; NaN marks the others.
    """
    gold, other = frame.gold, frame.other
    if not gold.chains:
        return None
    chains = [_chains_by_document(side) for side in (gold, other)]
    links = [_links_by_document(side, only, set(chains[0])) for side in (gold, other)]
    table = np.full((gold.size, 3), np.nan)
    for doc, of_gold in sorted(chains[0].items()):
        of_other = chains[1].get(doc) or of_gold
        one = _triples(links[0].get(doc, []), of_gold, symmetric)
        two = _triples(links[1].get(doc, []), of_other, symmetric)
        index: dict[tuple[str, Span], list[int]] = defaultdict(list)
        triples = sorted(two)
        for j, (label, head, tail) in enumerate(triples):
            for span in {*head, *tail}:
                index[label, span].append(j)
        pairs = set()
        for i, (label, head, tail) in enumerate(sorted(one)):
            for j in {j for span in head for j in index[label, span]}:
                _, head_o, tail_o = triples[j]
                straight = _meet(head, head_o) and _meet(tail, tail_o)
                turned = label in symmetric and _meet(head, tail_o) and _meet(tail, head_o)
                if straight or turned:
                    pairs.add((i, j))
        table[doc] = (cardinality(pairs), len(one), len(two))
    return table


_Chain = tuple[Span, ...]


def _meet(one: _Chain, two: _Chain) -> bool:
    return not set(one).isdisjoint(two)


def _chains_by_document(side: Side) -> dict[int, dict[Span, _Chain]]:
    """Per document, the chain of each span that is in one; chains that share a span are one."""
    grouped: dict[int, list[set[Span]]] = defaultdict(list)
    for doc, rows in side.chains:
        members = {(int(side.start[row]), int(side.end[row])) for row in rows}
        apart = [chain for chain in grouped[doc] if chain.isdisjoint(members)]
        touching = [chain for chain in grouped[doc] if not chain.isdisjoint(members)]
        grouped[doc] = [*apart, members.union(*touching)]
    return {
        doc: {span: tuple(sorted(chain)) for chain in chains for span in chain}
        for doc, chains in grouped.items()
    }


def _links_by_document(
    side: Side, only: Collection[str] | None, docs: Collection[int]
) -> dict[int, list[RelationKey]]:
    found: dict[int, list[RelationKey]] = defaultdict(list)
    for doc, kind, head, tail in zip(
        side.relation_doc.tolist(),
        side.kind.tolist(),
        side.head.tolist(),
        side.tail.tolist(),
        strict=True,
    ):
        label = side.kinds[kind]
        if doc in docs and (only is None or label in only):
            spans = [(int(side.start[row]), int(side.end[row])) for row in (head, tail)]
            found[doc].append((label, spans[0], spans[1]))
    return found


def _triples(
    links: list[RelationKey], chain_of: dict[Span, _Chain], symmetric: Collection[str]
) -> set[tuple[str, _Chain, _Chain]]:
    found = set()
    for label, head, tail in links:
        one, two = chain_of.get(head, (head,)), chain_of.get(tail, (tail,))
        if label in symmetric and two < one:
            one, two = two, one
        found.add((label, one, two))
    return found
