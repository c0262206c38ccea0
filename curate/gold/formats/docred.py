"""Document JSON in the manner of DocRED: one list of documents per split.

``sents`` are lists of tokens; ``vertexSet`` lists things, each a list of mentions with ``name``,
``type``, ``sent_id``, ``pos`` (token offsets in the sentence) and, beyond DocRED, ``start`` and
``end`` (code points in ``text``); ``labels`` are relations between things with ``h``, ``t``, ``r``
and ``evidence`` (the sentences of the mentions that were annotated).  A coreference chain is one
thing; a mention without a chain is one of its own.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from curate.gold.formats.loss import Loss, writing
from curate.gold.items import GoldDocument, entity_id
from curate.gold.lines import encode
from curate.model import Entity
from curate.offsets import Span
from curate.tokenization import sentences, tokenize


def export(
    documents: Callable[[str | None], Iterator[GoldDocument]],
    folder: Path,
    *,
    splits: Iterable[str],
    language: str = "fr",
) -> Loss:
    """Write ``<split>.json`` for each split, or ``all.json`` where there are none."""
    loss = Loss("docred")
    wanted: list[str | None] = [*splits]
    for split in wanted or [None]:
        with writing(folder / f"{split or 'all'}.json") as stream:
            stream.write("[")
            for i, gold in enumerate(documents(split)):
                loss.saw(gold.annotation)
                stream.write((",\n" if i else "\n") + encode(_document(gold, language, loss)))
            stream.write("\n]\n")
    return loss


def _document(gold: GoldDocument, language: str, loss: Loss) -> dict[str, Any]:
    text = gold.document.text
    tokens = tokenize(text, language)
    ranges = sentences(text, tokens)
    things: list[list[Entity]] = [list(chain) for chain in gold.annotation.chains]
    chained = {entity.key for chain in things for entity in chain}
    things += [[e] for e in gold.annotation.entities if e.key not in chained]
    things.sort(key=lambda thing: thing[0].key)
    thing_of: dict[tuple[int, int, str], int] = {}
    for i, thing in enumerate(things):
        for entity in thing:
            if entity.key in thing_of:
                loss.add(
                    "mention in two chains: taken to the first", f"{gold.id} {entity_id(entity)}"
                )
            thing_of.setdefault(entity.key, i)
    vertices = [[_mention(gold, e, tokens, ranges, loss) for e in thing] for thing in things]
    labels: dict[tuple[int, int, str], set[int]] = {}
    for relation in gold.annotation.relations:
        key = (thing_of[relation.head.key], thing_of[relation.tail.key], relation.label)
        if key in labels:
            loss.add("relation stands between the same things already", gold.id)
        sents = labels.setdefault(key, set())
        for entity in (relation.head, relation.tail):
            sents.add(_sentence(entity, tokens, ranges))
        loss.add("score not carried", gold.id, relation.score is not None)
    loss.add(
        "score not carried", gold.id, sum(e.score is not None for e in gold.annotation.entities)
    )
    return {
        "title": gold.id,
        "text": text,
        "sents": [[text[s:e] for s, e in tokens[a:b]] for a, b in ranges],
        "vertexSet": vertices,
        "labels": [
            {"h": h, "t": t, "r": r, "evidence": sorted(sents)}
            for (h, t, r), sents in sorted(labels.items())
        ],
        **({"split": gold.split} if gold.split else {}),
    }


def _sentence(entity: Entity, tokens: list[Span], ranges: list[Span]) -> int:
    first = bisect_right([end for _, end in tokens], entity.start)
    return max(0, bisect_right([a for a, _ in ranges], first) - 1)


def _mention(
    gold: GoldDocument, entity: Entity, tokens: list[Span], ranges: list[Span], loss: Loss
) -> dict[str, Any]:
    first = bisect_right([end for _, end in tokens], entity.start)
    beyond = bisect_left([start for start, _ in tokens], entity.end)
    where = f"{gold.id} {entity_id(entity)}"
    covered = tokens[first:beyond]
    if not covered or covered[0][0] != entity.start or covered[-1][1] != entity.end:
        loss.add("entity cuts a token: its tokens are those it touches", where)
    sent = _sentence(entity, tokens, ranges)
    low, high = ranges[sent] if ranges else (0, 0)
    if beyond > high:
        loss.add("entity crosses a sentence: its tokens end with the first", where)
    mention: dict[str, Any] = {
        "name": gold.document.text[entity.start : entity.end],
        "type": entity.label,
        "sent_id": sent,
        "pos": [first - low, min(beyond, high) - low],
        "start": entity.start,
        "end": entity.end,
    }
    if entity.canonical is not None:
        mention["canonical"] = entity.canonical
    return mention
