"""Documents cut into passages: runs of sentences that become documents of their own.

A passage is a document like any other: its text never changes, its offsets count from its own
first character.  What it was cut from stands in its metadata, with the sentences around it, which
nobody annotates; passages of one document share its near-duplicate group, so that no split parts
them.
"""

from __future__ import annotations

from dataclasses import replace

from curate.corpus.records import Ingested
from curate.errors import DataError
from curate.model import Document, passage_id
from curate.offsets import OffsetMap, Piece, Span
from curate.tokenization import sentences, tokenize

LEAST_WORDS = 8
"""A sentence of fewer tokens (a headline, a byline) counts for nothing and goes with the next."""


KEY = "passage"
"""Where a passage's metadata say what it was cut from."""


def split(item: Ingested, size: int, language: str) -> list[Ingested]:
    """The passages of a document, ``size`` sentences each; a document of one stays whole.

    Their metadata are the document's and, under :data:`KEY`: ``of`` (its id), ``number`` from 1,
    ``count``, ``start`` and ``end`` in its text, and the passages ``before`` and ``after``.
    Raises DataError where an id would be too long or the metadata hold something else there.
    """
    whole = item.document
    spans = cut(whole.text, size, language)
    if len(spans) < 2:
        return [item]
    if KEY in whole.metadata:
        raise DataError(
            f"document {whole.id!r} has metadata of its own under {KEY!r}, where passages say what "
            "they were cut from; rename them",
            path=item.path,
            line=item.line,
        )
    texts = ["", *(whole.text[start:end] for start, end in spans), ""]
    made = []
    for number, (start, end) in enumerate(spans, 1):
        place = {
            "of": whole.id,
            "number": number,
            "count": len(spans),
            "start": start,
            "end": end,
            "before": texts[number - 1],
            "after": texts[number + 1],
        }
        try:
            document = Document.of(
                texts[number],
                id=passage_id(whole.id, number),
                source=whole.source,
                metadata={**whole.metadata, KEY: place},
            )
        except DataError as error:
            raise error.at(item.path, item.line) from None
        pieces = item.pieces
        if pieces is not None:
            pieces = OffsetMap((Piece(0, end - start, start, end),)).after(pieces)
        dropped = item.dropped if number == 1 else ()
        made.append(replace(item, document=document, pieces=pieces, dropped=dropped))
    return made


def cut(text: str, size: int, language: str) -> list[Span]:
    """The places of runs of ``size`` sentences (> 0) that hold every token once, in order.

    The last may hold fewer; with less than half of ``size`` they go with those before.
    """
    tokens = tokenize(text, language)
    runs: list[tuple[int, int]] = []
    first = counted = 0
    for start, end in sentences(text, tokens):
        counted += end - start >= LEAST_WORDS
        if counted == size:
            runs.append((first, end))
            first, counted = end, 0
    if first < len(tokens):
        if runs and 2 * counted < size:
            runs[-1] = (runs[-1][0], len(tokens))
        else:
            runs.append((first, len(tokens)))
    return [(tokens[a][0], tokens[b - 1][1]) for a, b in runs]
