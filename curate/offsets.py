"""Maps between the offsets of a text and of the text it was made from.

Offsets are Unicode code points, spans half-open, everywhere in curate.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

Span = tuple[int, int]
"""``(start, end)``: half-open, in code points."""


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """A stretch of a derived text and the stretch of the source it came from."""

    start: int
    end: int
    source_start: int
    source_end: int
    exact: bool = True
    """False where the characters were rewritten, even if their number stayed the same."""

    @property
    def verbatim(self) -> bool:
        """Whether offsets inside the piece can be shifted rather than snapped to its edges."""
        return self.exact and self.end - self.start == self.source_end - self.source_start


@dataclass(frozen=True, slots=True)
class OffsetMap:
    """A monotone, piecewise map from a derived text into its source.

    ``pieces`` are in order and do not overlap on either side.  Stretches of the source between
    pieces were left out; stretches of the derived text between pieces were put in.
    """

    pieces: tuple[Piece, ...]

    @classmethod
    def identity(cls, length: int) -> OffsetMap:
        return cls((Piece(0, length, 0, length),) if length else ())

    @classmethod
    def of(cls, pieces: Iterable[Piece]) -> OffsetMap:
        """The map of these pieces, neighbours that continue each other joined.

        Raises ValueError if they are out of order or overlap.
        """
        joined: list[Piece] = []
        for piece in pieces:
            if joined:
                last = joined[-1]
                if piece.start < last.end or piece.source_start < last.source_end:
                    raise ValueError(f"pieces out of order: {last} then {piece}")
                if (
                    last.verbatim
                    and piece.verbatim
                    and piece.start == last.end
                    and piece.source_start == last.source_end
                ):
                    joined[-1] = Piece(last.start, piece.end, last.source_start, piece.source_end)
                    continue
            joined.append(piece)
        return cls(tuple(joined))

    def to_source(self, start: int, end: int) -> Span | None:
        """The source span of a derived span; None where no part of it came from the source.

        An edge inside a piece that is not verbatim is snapped outwards to the piece's edge.
        """
        # by bisection: a page has as many pieces as lines, and each line is asked about
        if start >= end:
            return None
        first = bisect_right(self.pieces, start, key=attrgetter("end"))
        last = bisect_right(self.pieces, end - 1, key=attrgetter("start")) - 1
        if first >= len(self.pieces) or last < first:
            return None
        head, tail = self.pieces[first], self.pieces[last]
        low, high = head.source_start, tail.source_end
        if start > head.start and head.verbatim:
            low += start - head.start
        if end < tail.end and tail.verbatim:
            high = tail.source_start + (end - tail.start)
        return (low, high) if low < high else None

    def from_source(self, start: int, end: int) -> Span | None:
        """The derived span of a source span; None where no part of it was taken over."""
        return OffsetMap(self._flipped()).to_source(start, end)

    def inverse(self) -> OffsetMap:
        """The same map in the other direction."""
        return OffsetMap(self._flipped())

    def after(self, inner: OffsetMap) -> OffsetMap:
        """Compose: ``self`` maps A into B, ``inner`` maps B into C; the result maps A into C."""
        pieces: list[Piece] = []
        ends = [p.end for p in inner.pieces]
        for piece in self.pieces:
            if not piece.verbatim:
                target = inner.to_source(piece.source_start, piece.source_end)
                if target is not None:
                    pieces.append(Piece(piece.start, piece.end, *target, exact=False))
                continue
            shift = piece.start - piece.source_start
            first = bisect_right(ends, piece.source_start)
            for other in inner.pieces[first:]:
                if other.start >= piece.source_end:
                    break
                low = max(other.start, piece.source_start)
                high = min(other.end, piece.source_end)
                if other.verbatim:
                    offset = other.source_start - other.start
                    pieces.append(Piece(low + shift, high + shift, low + offset, high + offset))
                elif not pieces or pieces[-1].source_end <= other.source_start:
                    pieces.append(
                        Piece(
                            low + shift,
                            high + shift,
                            other.source_start,
                            other.source_end,
                            exact=False,
                        )
                    )
        return OffsetMap.of(pieces)

    def as_lists(self) -> list[list[int]]:
        """The pieces as ``[start, end, source_start, source_end]``, for JSON.

        A fifth 0 marks a piece of equal lengths that was rewritten all the same.
        """
        return [
            [p.start, p.end, p.source_start, p.source_end, *([] if p.exact else [0])]
            for p in self.pieces
        ]

    @classmethod
    def from_lists(cls, rows: Iterable[Sequence[int]]) -> OffsetMap:
        return cls.of(
            Piece(row[0], row[1], row[2], row[3], len(row) == 4 or bool(row[4])) for row in rows
        )

    def _flipped(self) -> tuple[Piece, ...]:
        return tuple(
            Piece(p.source_start, p.source_end, p.start, p.end, p.exact) for p in self.pieces
        )


def to_nfc(text: str) -> tuple[str, OffsetMap]:
    """The NFC form of ``text``, with the map from it back into ``text``.

    Where composing changed a cluster of characters, the cluster is one piece: an offset that
    fell inside it is snapped to its edge.
    """
    if unicodedata.is_normalized("NFC", text):
        return text, OffsetMap.identity(len(text))
    out: list[str] = []
    pieces: list[Piece] = []
    position = 0
    for start, end in _clusters(text):
        cluster = text[start:end]
        composed = unicodedata.normalize("NFC", cluster)
        if composed == cluster:
            for i in range(end - start):
                pieces.append(Piece(position + i, position + i + 1, start + i, start + i + 1))
        else:
            pieces.append(Piece(position, position + len(composed), start, end, exact=False))
        out.append(composed)
        position += len(composed)
    return "".join(out), OffsetMap.of(pieces)


def _clusters(text: str) -> Iterable[Span]:
    """Runs of ``text`` that can be normalised each by itself, longest run for plain text."""
    start = 0
    normal = ""
    for i, char in enumerate(text):
        if i > start:
            if char < "\u0300":
                boundary = True
            else:
                composed = unicodedata.normalize("NFC", char)
                boundary = (
                    unicodedata.combining(char) == 0
                    and unicodedata.normalize("NFC", text[start : i + 1]) == normal + composed
                )
            if boundary:
                yield start, i
                start = i
        normal = unicodedata.normalize("NFC", text[start : i + 1])
    if start < len(text):
        yield start, len(text)
