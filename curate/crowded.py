"""One-to-one matching where nearly everything may be paired with everything, without the pairs.

Thousands of spans that all overlap each other have millions of pairs.  Their best matching uses
few of them, and which these are can be told from prices: the dual of the matching gives every
member of either side a price, and a matching is the best there is exactly when no pair is worth
more than its two prices together (linear programming duality; Kuhn 1955).  So a matching is
sought among the most promising pairs alone (column generation, Desrosiers & Lübbecke 2005), the
pairs that its prices do not cover are added, and so on until there is none: then it is optimal
among all pairs.  First prices come from every fourth member of either side, solved likewise.

Pairs are looked at in blocks, so that memory grows with the members, not with the pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

    Worth = Callable[[Floats, Floats], Floats]
    """What pairs are worth, from two arrays of features × anything that can be broadcast; pairs
    that must not be made come out at 0 or less."""

_SMALLEST = 160_000
"""Up to this many pairs all are looked at, at once."""
_EVERY = 4
_PROMISING = 8
_UNCOVERED = 6
"""How many pairs a member may bring in: at first, and with every round."""
_BLOCK = 100_000
_SURE = 1e-11
"""A pair is covered by prices that lack no more than this: what rounding adds up to over long
chains of pairs."""
_STEP = 1e-12
"""An improvement of a price by less than this is rounding."""


def best_pairs(a: Floats, b: Floats, worth: Worth) -> list[tuple[int, int, float]]:
    """The one-to-one matching with the largest sum of worth, sorted.

    ``a`` and ``b`` have a row per feature and a column per member, in an order that depends on
    the members alone; so does the choice among several best matchings.
    """
    partner, gain, _, _ = _solve(a, b, worth)
    return [
        (i, j, w)
        for i, (j, w) in enumerate(zip(partner.tolist(), gain.tolist(), strict=True))
        if j >= 0
    ]


def jaccard_of_spans(a: Floats, b: Floats) -> Floats:
    """The Jaccard overlap of spans (features: start, end); below 0 where they are apart."""
    import numpy as np

    inside = np.minimum(a[1], b[1])
    inside -= np.maximum(a[0], b[0])
    either = (a[1] - a[0]) + (b[1] - b[0])
    either -= inside
    # Of spans that are apart, this is the gap over at least the gap.
    share: Floats = inside / either
    return share


def jaccard_of_others(a: Floats, b: Floats) -> Floats:
    """The same (features: start, end, number of the label), 0 for equal labels."""
    share: Floats = jaccard_of_spans(a, b) * (a[2] != b[2])
    return share


def closeness(a: Floats, b: Floats) -> Floats:
    """The Jaccard overlap of two arguments, summed; 0 unless both overlap.

    Features of a relation: start and end of its head, start and end of its tail.
    """
    head, tail = jaccard_of_spans(a[:2], b[:2]), jaccard_of_spans(a[2:], b[2:])
    both: Floats = (head + tail) * ((head > 0) & (tail > 0))
    return both


def closeness_in_any_order(a: Floats, b: Floats) -> Floats:
    """The same, or with the arguments exchanged if that is more."""
    import numpy as np

    either: Floats = np.maximum(closeness(a, b), closeness(a[[2, 3, 0, 1]], b))
    return either


def shared_out(
    wholes: Sequence[tuple[int, int, str]], parts: Sequence[tuple[int, int, str]]
) -> list[tuple[int, tuple[int, ...]]]:
    """The wholes that two or more disjoint parts share out, with their parts.

    A part counts if more than half of it lies in the whole.  It is only ever in one whole: the
    one with the most parts, then the shortest, then the first.  Of parts that could stand for
    each other, the one that ends first is taken, then the shorter, then the one with the label of
    the whole, then the first.
    """
    import numpy as np

    by_span: dict[tuple[int, int], list[int]] = {}
    for j in sorted(range(len(parts)), key=lambda j: parts[j]):
        by_span.setdefault(parts[j][:2], []).append(j)
    spans = sorted(by_span, key=lambda span: (span[1], -span[0]))
    start = np.array([span[0] for span in spans], dtype=np.int64)
    end = np.array([span[1] for span in spans], dtype=np.int64)
    there = np.ones(len(spans), dtype=np.bool_)

    def pieces(i: int) -> list[int]:
        """Numbers of spans, each the first to end of those that begin after the one before."""
        low, high, _ = wholes[i]
        inside = np.minimum(end, high) - np.maximum(start, low)
        inside += inside
        held = np.flatnonzero((inside > end - start) & there)
        if not len(held) or start[held].max() < end[held[0]]:
            return []
        chosen: list[int] = []
        reached = 0
        for n, first, beyond in zip(
            held.tolist(), start[held].tolist(), end[held].tolist(), strict=True
        ):
            if not chosen or first >= reached:
                chosen.append(n)
                reached = beyond
        return chosen

    several = {i: n for i in range(len(wholes)) if (n := len(pieces(i))) > 1}
    taken: list[tuple[int, tuple[int, ...]]] = []
    for i in sorted(several, key=lambda i: (-several[i], wholes[i][1] - wholes[i][0], wholes[i])):
        found: list[int] = []
        for n in pieces(i):
            left = by_span[spans[n]]
            alike = [j for j in left if parts[j][2] == wholes[i][2]]
            found.append((alike or left)[0])
            left.remove(found[-1])
            there[n] = bool(left)
        if found:
            taken.append((i, tuple(sorted(found))))
    return taken


def _solve(a: Floats, b: Floats, worth: Worth) -> tuple[Ints, Floats, Floats, Floats]:
    """Every row's column (-1 for none) and what the pair is worth; the prices of both sides."""
    import numpy as np

    n, m = a.shape[1], b.shape[1]
    if n * m <= _SMALLEST:
        cells: Ints = np.arange(n * m)
    else:
        few_a, few_b = a[:, ::_EVERY], b[:, ::_EVERY]
        _, _, price_a, price_b = _solve(few_a, few_b, worth)
        cells = _most_wanting(
            a,
            b,
            worth,
            _least_prices(a, few_b, price_b, worth),
            _least_prices(b, few_a, price_a, worth),
            _PROMISING,
            -np.inf,
        )
    known: Ints = np.zeros(0, dtype=np.int64)
    while True:
        x, y = cells // m, cells % m
        w = worth(a[:, x], b[:, y])
        some = w > 0
        known, x, y, w = np.union1d(known, cells), x[some], y[some], w[some]
        partner = _match(n, m, x, y, w)
        gain = np.zeros(n)
        paired = np.flatnonzero(partner >= 0)
        gain[paired] = worth(a[:, paired], b[:, partner[paired]])
        price_b = _prices(m, x, y, w, partner, gain)
        price_a = np.zeros(n)
        price_a[paired] = gain[paired] - price_b[partner[paired]]
        if len(known) == n * m:
            break
        more = _most_wanting(a, b, worth, price_a, price_b, _UNCOVERED, _SURE)
        more = np.setdiff1d(more, known, assume_unique=True)
        if not len(more):
            break
        cells = np.union1d(x * m + y, more)
    return partner, gain, price_a, price_b


def _match(n: int, m: int, x: Ints, y: Ints, w: Floats) -> Ints:
    """The best matching among these pairs; each row may also stay alone, in its own column."""
    import numpy as np
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    # Costs must not be 0, which a sparse matrix takes for no edge.
    cost = np.concatenate((3.0 - w, np.full(n, 3.0)))
    rows = np.concatenate((x, np.arange(n)))
    columns = np.concatenate((y, np.arange(m, m + n)))
    matrix = csr_array((cost, (rows, columns)), shape=(n, m + n))
    row, column = min_weight_full_bipartite_matching(matrix)
    partner: Ints = np.full(n, -1, dtype=np.int64)
    partner[row] = np.where(column < m, column, -1)
    return partner


def _prices(m: int, x: Ints, y: Ints, w: Floats, partner: Ints, gain: Floats) -> Floats:
    """The largest prices of the columns that go with the matching.

    They are shortest paths, from a column over its row to what else the row might have; found by
    improving every column's last step, then following all steps at once.
    """
    import numpy as np

    lowest: Floats = np.zeros(m)
    alone = partner[x] < 0
    np.minimum.at(lowest, y[alone], -w[alone])
    order = np.argsort(y[~alone], kind="stable")
    into = y[~alone][order]
    source = partner[x[~alone]][order]
    step = (gain[x[~alone]] - w[~alone])[order]
    if not len(into):
        return -lowest
    first = np.flatnonzero(np.concatenate(([True], into[1:] != into[:-1])))
    reached, size = into[first], np.diff(np.append(first, len(into)))
    itself: Ints = np.arange(m)
    before, last = itself.copy(), np.zeros(m)
    distance: Floats = lowest.copy()
    origin: Ints
    while True:
        offered = distance[source] + step
        least = np.minimum.reduceat(offered, first)
        better = least < distance[reached] - _STEP
        if not better.any():
            return -distance
        smallest = np.flatnonzero(offered == np.repeat(least, size))
        chosen = smallest[np.searchsorted(smallest, first)][better]
        before[reached[better]], last[reached[better]] = source[chosen], step[chosen]
        origin, length = before, np.where(before == itself, 0.0, last)
        for _ in range(m.bit_length() + 1):
            further = origin[origin]
            if (further == origin).all():
                break
            length = length + length[origin]
            origin = further
        else:
            # The steps run in a circle, which rounding alone can bring about.
            return -distance
        distance = length + lowest[origin]


def _least_prices(a: Floats, few: Floats, price: Floats, worth: Worth) -> Floats:
    """The prices at which no member of ``a`` wants any of the few at their prices."""
    import numpy as np

    found: Floats = np.zeros(a.shape[1])
    for low, high in _blocks(a.shape[1], few.shape[1]):
        gain = worth(a[:, low:high, None], few[:, None, :]) - price
        found[low:high] = gain.max(axis=1)
    return np.maximum(found, 0.0)


def _most_wanting(
    a: Floats,
    b: Floats,
    worth: Worth,
    price_a: Floats,
    price_b: Floats,
    each: int,
    above: float,
) -> Ints:
    """The cells of pairs whose worth exceeds their prices by most, some of every member."""
    import numpy as np

    n, m = a.shape[1], b.shape[1]
    each = min(each, m)
    found: list[Any] = []
    blocks = _blocks(n, m)
    # A column brings in one pair of every stretch of rows.
    stretch = -(-len(blocks) // each)
    columns = np.arange(m)
    top, top_row = np.full(m, -np.inf), np.zeros(m, dtype=np.int64)
    for number, (low, high) in enumerate(blocks):
        gain = worth(a[:, low:high, None], b[:, None, :])
        gain -= price_a[low:high, None]
        gain -= price_b
        row = gain.argmax(axis=0)
        here = gain[row, columns]
        better = here > top
        top[better], top_row[better] = here[better], row[better] + low
        wanting = np.flatnonzero(gain.max(axis=1) > above)
        if len(wanting):
            some = gain[wanting]
            best = np.argpartition(some, m - each, axis=1)[:, m - each :]
            enough = np.take_along_axis(some, best, axis=1) > above
            found.append(((wanting + low)[:, None] * m + best)[enough])
        if number % stretch == stretch - 1 or number == len(blocks) - 1:
            enough = top > above
            found.append((top_row * m + columns)[enough])
            top = np.full(m, -np.inf)
    cells: Ints = np.unique(np.concatenate(found))
    return cells


def _blocks(n: int, m: int) -> list[tuple[int, int]]:
    size = max(1, _BLOCK // max(m, 1))
    return [(low, min(low + size, n)) for low in range(0, n, size)]
