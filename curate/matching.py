"""One-to-one matching between two sides, by connected component of what may be paired.

Components of annotated text are tiny, and are solved here; a large one goes to scipy's sparse
solver, or to its dense one where nearly everything may be paired with everything.  Where the
pairs are too many to be listed, see :mod:`curate.crowded`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush

Edge = tuple[int, int, float]
"""An index into one side, an index into the other, and what the pair is worth: above 0, at
most 2."""

_SMALL = 40
"""Up to this many rows or columns the assignment is solved here, without loading scipy."""


_DENSE = 20_000_000
"""Cells of the largest matrix that is filled where nearly everything overlaps everything."""


def best_matching(edges: Iterable[Edge]) -> list[Edge]:
    """The one-to-one matching with the largest sum of weights, sorted.

    Among several such the choice is fixed by the edges alone, not by their order.
    """
    ordered = sorted(edges)
    if len({i for i, _, _ in ordered}) == len({j for _, j, _ in ordered}) == len(ordered):
        return ordered
    chosen: list[Edge] = []
    for component in _components(ordered):
        if len(component) == 1:
            chosen += component
            continue
        rows = sorted({i for i, _, _ in component})
        columns = sorted({j for _, j, _ in component})
        if len(rows) == 1 or len(columns) == 1:
            chosen.append(min(component, key=lambda edge: (-edge[2], edge)))
            continue
        weights = {(i, j): w for i, j, w in component}
        if min(len(rows), len(columns)) <= _SMALL and max(len(rows), len(columns)) <= 4 * _SMALL:
            pairs = _assign(rows, columns, weights)
        else:
            pairs = _assign_large(rows, columns, component)
        chosen += [(i, j, weights[i, j]) for i, j in pairs if (i, j) in weights]
    chosen.sort()
    return chosen


def overlapping(a: Iterable[tuple[int, int]], b: Iterable[tuple[int, int]]) -> int:
    """The largest number of overlapping pairs of half-open spans that share no member.

    Spans are taken by their end.  What still overlaps the one that ends first has begun before
    that end, so whoever ends next has the fewest other choices, and taking it loses nothing:
    greedy is exact here, and needs no list of the pairs.
    """
    ordered = sorted([(end, start, 0) for start, end in a] + [(end, start, 1) for start, end in b])
    begun = sorted(range(len(ordered)), key=lambda i: ordered[i][1])
    waiting: tuple[list[int], list[int]] = ([], [])
    taken = [False] * len(ordered)
    following = total = 0
    for i, (end, _, side) in enumerate(ordered):
        while following < len(begun) and ordered[begun[following]][1] < end:
            other = begun[following]
            heappush(waiting[ordered[other][2]], other)
            following += 1
        if taken[i]:
            continue
        taken[i] = True
        choices = waiting[1 - side]
        # What ended before, or is taken, is no choice any more.
        while choices and taken[choices[0]]:
            heappop(choices)
        if choices:
            taken[heappop(choices)] = True
            total += 1
    return total


def count_overlaps(a: Iterable[tuple[int, int]], b: Iterable[tuple[int, int]]) -> int:
    """How many pairs of half-open spans overlap; time grows with the spans, not with the pairs."""
    begins, ends = [], []
    for start, end in b:
        begins.append(start)
        ends.append(end)
    begins.sort()
    ends.sort()
    # What has begun before a span's end, without what had ended by its start.
    return sum(bisect_left(begins, end) - bisect_right(ends, start) for start, end in a)


def overlap_components(
    a: Sequence[tuple[int, int]], b: Sequence[tuple[int, int]]
) -> list[tuple[list[int], list[int]]]:
    """The connected components of what overlaps between two sides of half-open spans.

    Members are indices, in ascending order; whoever overlaps nobody of the other side is in none.
    """
    parent = list(range(len(a) + len(b)))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    spans = [*a, *b]
    # Of each side what may still go on: the end, and a member of the component.
    open_spans: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    for node in sorted(range(len(spans)), key=lambda node: spans[node]):
        start, end = spans[node]
        side = 0 if node < len(a) else 1
        across = [(until, other) for until, other in open_spans[1 - side] if until > start]
        for _, other in across:
            parent[root(other)] = root(node)
        # All of them are one component now: the one that goes on longest stands for them.
        open_spans[1 - side][:] = [max(across)] if across else []
        open_spans[side].append((end, node))
    found: dict[int, tuple[list[int], list[int]]] = {}
    for node in range(len(spans)):
        rows, columns = found.setdefault(root(node), ([], []))
        if node < len(a):
            rows.append(node)
        else:
            columns.append(node - len(a))
    return [both for both in found.values() if both[0] and both[1]]


def cardinality(pairs: Iterable[tuple[int, int]]) -> int:
    """The largest number of pairs that share no member."""
    ordered = sorted(pairs)
    one_side, other_side = {i for i, _ in ordered}, {j for _, j in ordered}
    if len(one_side) <= 1 or len(other_side) <= 1:
        return min(len(one_side), len(other_side))
    if len(one_side) == len(ordered) or len(other_side) == len(ordered):
        # Every member of one side has one choice only.
        return min(len(one_side), len(other_side))
    total = 0
    for component in _components([(i, j, 1.0) for i, j in ordered]):
        rows = sorted({i for i, _, _ in component})
        columns = sorted({j for _, j, _ in component})
        if len(rows) == 1 or len(columns) == 1:
            total += 1
        elif len(component) <= _SMALL:
            total += _augment(component)
        else:
            total += _cardinality_large(rows, columns, component)
    return total


def _components(edges: list[Edge]) -> list[list[Edge]]:
    """The edges by connected component."""
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for i, j, _ in edges:
        one, two = root(i), root(~j)
        if one != two:
            parent[two] = one
    groups: dict[int, list[Edge]] = defaultdict(list)
    for edge in edges:
        groups[root(edge[0])].append(edge)
    return list(groups.values())


def _augment(component: list[Edge]) -> int:
    """Kuhn's augmenting paths."""
    near: dict[int, list[int]] = defaultdict(list)
    for i, j, _ in component:
        near[i].append(j)
    partner: dict[int, int] = {}

    def place(i: int, seen: set[int]) -> bool:
        for j in near[i]:
            if j not in seen:
                seen.add(j)
                if j not in partner or place(partner[j], seen):
                    partner[j] = i
                    return True
        return False

    return sum(place(i, set()) for i in near)


def _assign(
    rows: Sequence[int], columns: Sequence[int], weights: Mapping[tuple[int, int], float]
) -> list[tuple[int, int]]:
    """The Hungarian method with potentials; pairs without an edge are worth nothing."""
    turned = len(rows) > len(columns)
    if turned:
        rows, columns = columns, rows
    cost = [[-weights.get((j, i) if turned else (i, j), 0.0) for j in columns] for i in rows]
    n, m = len(rows), len(columns)
    u, v = [0.0] * (n + 1), [0.0] * (m + 1)
    match, way = [0] * (m + 1), [0] * (m + 1)
    for i in range(1, n + 1):
        match[0] = i
        column = 0
        least = [float("inf")] * (m + 1)
        done = [False] * (m + 1)
        while match[column]:
            done[column] = True
            row, delta, following = match[column], float("inf"), 0
            for j in range(1, m + 1):
                if not done[j]:
                    slack = cost[row - 1][j - 1] - u[row] - v[j]
                    if slack < least[j]:
                        least[j], way[j] = slack, column
                    if least[j] < delta:
                        delta, following = least[j], j
            for j in range(m + 1):
                if done[j]:
                    u[match[j]] += delta
                    v[j] -= delta
                else:
                    least[j] -= delta
            column = following
        while column:
            match[column] = match[way[column]]
            column = way[column]
    pairs = [(rows[match[j] - 1], columns[j - 1]) for j in range(1, m + 1) if match[j]]
    return [(j, i) for i, j in pairs] if turned else pairs


def _assign_large(
    rows: Sequence[int], columns: Sequence[int], component: list[Edge]
) -> list[tuple[int, int]]:
    """The same by a sparse solver; each row may also stay alone, in a column of its own."""
    import numpy as np
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    row_of = {i: x for x, i in enumerate(rows)}
    column_of = {j: y for y, j in enumerate(columns)}
    n, m = len(rows), len(columns)
    if len(component) * 8 > n * m and n * m < _DENSE:
        from scipy.optimize import linear_sum_assignment

        worth = np.zeros((n, m))
        for i, j, w in component:
            worth[row_of[i], column_of[j]] = w
        pairs = zip(*linear_sum_assignment(worth, maximize=True), strict=True)
        return [(rows[x], columns[y]) for x, y in pairs if worth[x, y]]
    x = [row_of[i] for i, _, _ in component] + list(range(n))
    y = [column_of[j] for _, j, _ in component] + list(range(m, m + n))
    # Costs must not be 0, which a sparse matrix takes for no edge.
    cost = np.array([3.0 - w for _, _, w in component] + [3.0] * n)
    matrix = csr_array((cost, (np.array(x), np.array(y))), shape=(n, m + n))
    left, right = min_weight_full_bipartite_matching(matrix)
    return [(rows[x], columns[y]) for x, y in zip(left, right, strict=True) if y < m]


def _cardinality_large(rows: Sequence[int], columns: Sequence[int], component: list[Edge]) -> int:
    import numpy as np
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    row_of = {i: x for x, i in enumerate(rows)}
    column_of = {j: y for y, j in enumerate(columns)}
    x = np.array([row_of[i] for i, _, _ in component])
    y = np.array([column_of[j] for _, j, _ in component])
    matrix = csr_array((np.ones(len(component)), (x, y)), shape=(len(rows), len(columns)))
    return int((maximum_bipartite_matching(matrix, perm_type="column") >= 0).sum())
