"""Documents cut into passages: runs of sentences that become documents of their own.

A passage is a document like any other: its text never changes, its offsets count from its own
first character.  What it was cut from stands in its metadata, with the sentences around it, which
nobody annotates; passages of one document share its near-duplicate group, so that no split parts
them.
"""

from __future__ import annotations

from dataclasses import dataclass

from curate.tokenization import sentences, tokenize

LEAST_WORDS = 8
"""A sentence of fewer tokens (a headline, a byline) counts for nothing and goes with the next."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A passage's place in the text it was cut from, half-open, code points."""

    start: int
    end: int


def cut(text: str, size: int, language: str) -> list[Piece]:
    """Runs of ``size`` sentences (> 0) that hold every token of the text once, in order.

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
    return [Piece(tokens[a][0], tokens[b - 1][1]) for a, b in runs]
