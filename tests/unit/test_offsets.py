"""Offsets of a text and of what it was made from."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.offsets import OffsetMap, Piece, to_nfc

DECOMPOSED = st.text(
    alphabet=st.sampled_from("abe\u0301\u0300\u0327\u0323 \u1112\u1161\u11abé\u212b🇱🇾\u200d")
)


@given(DECOMPOSED)
def test_to_nfc_is_unicodes_nfc(text: str) -> None:
    """Normalising cluster by cluster gives what normalising the whole gives."""
    assert to_nfc(text)[0] == unicodedata.normalize("NFC", text)


@given(DECOMPOSED, st.data())
def test_a_mapped_span_normalises_to_itself(text: str, data: st.DataObject) -> None:
    """A span of the NFC text maps to source characters that normalise to text containing it."""
    normal, offsets = to_nfc(text)
    if not normal:
        return
    start = data.draw(st.integers(0, len(normal) - 1))
    end = data.draw(st.integers(start + 1, len(normal)))
    source = offsets.to_source(start, end)
    assert source is not None
    assert normal[start:end] in unicodedata.normalize("NFC", text[slice(*source)])


@given(DECOMPOSED)
def test_the_map_covers_both_texts(text: str) -> None:
    """Nothing of either text is outside the map."""
    normal, offsets = to_nfc(text)
    if text:
        assert offsets.to_source(0, len(normal)) == (0, len(text))
        assert offsets.from_source(0, len(text)) == (0, len(normal))


def test_a_span_is_projected_over_left_out_stretches() -> None:
    """What was cut out of the source lies inside the projected span; put-in text maps nowhere."""
    offsets = OffsetMap.of([Piece(0, 5, 10, 15), Piece(6, 9, 20, 23)])
    assert offsets.to_source(3, 8) == (13, 22)
    assert offsets.to_source(5, 6) is None
    assert offsets.to_source(4, 6) == (14, 15)
    assert offsets.from_source(16, 19) is None
    assert offsets.from_source(12, 21) == (2, 7)


def test_an_edge_inside_a_rewritten_piece_snaps_outwards() -> None:
    """Where a piece was rewritten, no offset inside it is invented."""
    offsets = OffsetMap.of([Piece(0, 1, 0, 6), Piece(1, 4, 6, 9)])
    assert offsets.to_source(0, 2) == (0, 7)
    assert offsets.from_source(3, 7) == (0, 2)


def test_pieces_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="out of order"):
        OffsetMap.of([Piece(0, 5, 10, 15), Piece(4, 6, 20, 22)])


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3), st.integers(0, 3)), max_size=6))
def test_lists_round_trip(steps: list[tuple[int, int, int]]) -> None:
    """The JSON form reads back equal."""
    pieces, start, source = [], 0, 0
    for length, gap, source_gap in steps:
        start, source = start + gap, source + source_gap
        pieces.append(Piece(start, start + length, source, source + length))
        start, source = start + length, source + length
    offsets = OffsetMap.of(pieces)
    assert OffsetMap.from_lists(offsets.as_lists()) == offsets


def test_maps_compose() -> None:
    """Mapping through two maps is mapping through their composition."""
    outer = OffsetMap.of([Piece(0, 4, 2, 6), Piece(4, 8, 9, 13)])
    inner = OffsetMap.of([Piece(0, 5, 100, 105), Piece(5, 6, 105, 111), Piece(6, 20, 111, 125)])
    both = outer.after(inner)
    for start, end in [(0, 2), (1, 8), (5, 7), (0, 8)]:
        middle = outer.to_source(start, end)
        assert middle is not None
        assert both.to_source(start, end) == inner.to_source(*middle)
