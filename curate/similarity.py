"""Near-duplicate texts: MinHash finds the candidates, exact Jaccard decides.

A text is the set of its word 3-grams, without case and punctuation.  Two texts are near
duplicates if the Jaccard similarity of their sets is at least :data:`THRESHOLD`; a group is a
connected component, named after its smallest document id.  A signature is 120 minima of
multiply-shift hashes (Broder 1997; Dietzfelbinger et al. 1997), cut into 40 bands of 3 (Leskovec,
Rajaraman and Ullman, *Mining of Massive Datasets*, 3.4): a pair of similarity s becomes a
candidate with probability 1 - (1 - s³)⁴⁰, which is 0.995 at s = 0.5.  Nothing depends on the
order of the documents, the hash seed of the process or the machine.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]

THRESHOLD = 0.5
"""Jaccard similarity from which on two texts are near duplicates."""

BANDS = 40
ROWS = 3
SIGNATURE_BYTES = 4 * BANDS * ROWS
_SHINGLE = 3
_CHUNK = 4096
_WORD = re.compile(r"\w+")
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """Two near duplicates, ``a`` < ``b``, and their exact Jaccard similarity."""

    a: str
    b: str
    jaccard: float


def signature(text: str) -> bytes:
    """The MinHash signature of a text: 480 bytes, the same on every machine."""
    return _minhash(_shingles(text, {}))


def jaccard(a: str, b: str) -> float:
    """The exact Jaccard similarity of two texts' word 3-grams, in [0, 1].

    A text without any word is similar to nothing but another of its kind.
    """
    words: dict[str, int] = {}
    return _jaccard(_shingles(a, words), _shingles(b, words))


def near_duplicate_pairs(
    items: Mapping[str, str] | Iterable[tuple[str, str]], *, threshold: float = THRESHOLD
) -> list[Pair]:
    """All near-duplicate pairs among texts by id, sorted.

    ``threshold`` below :data:`THRESHOLD` is answered with less recall: the bands are made for it.
    """
    texts = dict(items.items() if isinstance(items, Mapping) else items)
    words: dict[str, int] = {}
    sets = {key: _shingles(text, words) for key, text in texts.items()}
    ids = sorted(texts)
    matrix = _matrix([_minhash(sets[key]) for key in ids])
    return sorted(
        Pair(ids[i], ids[j], value)
        for i, j in _candidates(matrix)
        if (value := _jaccard(sets[ids[i]], sets[ids[j]])) >= threshold
    )


def groups(
    ids: Iterable[str],
    pairs: Iterable[Pair | tuple[str, str]],
    existing: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The group of each id: the smallest id of its connected component.

    ``existing`` groups hold on: their members stay together, and a group that a new pair joins
    to another is renamed with it.
    """
    forest = _Forest(ids)
    for key, group in (existing or {}).items():
        forest.join(key, group)
    for pair in pairs:
        a, b = (pair.a, pair.b) if isinstance(pair, Pair) else pair
        forest.join(a, b)
    return forest.roots()


def regroup(
    new: Mapping[str, bytes],
    known: Mapping[str, bytes],
    existing: Mapping[str, str],
    text_of: Callable[[str], str],
    *,
    threshold: float = THRESHOLD,
) -> dict[str, str]:
    """The groups after ``new`` documents joined the ``known`` ones, all given by signature.

    ``existing`` is the group of each known document.  ``text_of`` is asked for the texts of
    candidates only.  The result covers every id, and equals that of grouping all at once:
    a pair whose members are already in one group need not be looked at.
    """
    ids = sorted({*known, *new})
    forest = _Forest(ids)
    for key, group in existing.items():
        forest.join(key, group)
    matrix = _matrix([new[key] if key in new else known[key] for key in ids])
    words: dict[str, int] = {}
    cache: dict[str, Hashes] = {}

    def shingles(key: str) -> Hashes:
        if key not in cache:
            cache[key] = _shingles(text_of(key), words)
        return cache[key]

    for i, j in _candidates(matrix):
        a, b = ids[i], ids[j]
        if (a not in new and b not in new) or forest.find(a) == forest.find(b):
            continue
        if _jaccard(shingles(a), shingles(b)) >= threshold:
            forest.join(a, b)
    return forest.roots()


class _Forest:
    """Union-find whose root is the smallest member."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.parent = {key: key for key in ids}

    def find(self, key: str) -> str:
        root = self.parent.setdefault(key, key)
        while self.parent[root] != root:
            root = self.parent[root]
        while self.parent[key] != root:
            self.parent[key], key = root, self.parent[key]
        return root

    def join(self, a: str, b: str) -> None:
        low, high = sorted((self.find(a), self.find(b)))
        self.parent[high] = low

    def roots(self) -> dict[str, str]:
        return {key: self.find(key) for key in sorted(self.parent)}


def _shingles(text: str, words: dict[str, int]) -> Hashes:
    """The sorted set of hashed word 3-grams; one hash of all words where there are fewer.

    ``words`` caches the hash of each word: hashing is the slow part.
    """
    import numpy as np

    hashes = []
    for word in _WORD.findall(text.casefold()):
        value = words.get(word)
        if value is None:
            digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            value = words[word] = int.from_bytes(digest, "little")
        hashes.append(value)
    array = np.array(hashes, dtype=np.uint64)
    size = min(_SHINGLE, len(array))
    if size == 0:
        return array
    count = len(array) - size + 1
    mixed: Hashes = np.full(count, size, dtype=np.uint64)
    for offset in range(size):
        mixed = _mix(mixed * np.uint64(0x9E3779B97F4A7C15) + array[offset : offset + count])
    return np.unique(mixed)


def _mix(values: Hashes) -> Hashes:
    """The finaliser of splitmix64: every input bit reaches every output bit."""
    import numpy as np

    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_permutations: tuple[Any, Any] | None = None


def _parameters() -> tuple[Any, Any]:
    """Multipliers (odd) and addends of the hash functions, fixed for ever."""
    global _permutations
    if _permutations is None:
        import numpy as np

        state, values = 0, []
        for _ in range(2 * BANDS * ROWS):
            state = (state + 0x9E3779B97F4A7C15) & _MASK
            values.append(state)
        numbers = _mix(np.array(values, dtype=np.uint64))
        half = BANDS * ROWS
        _permutations = (numbers[:half, None] | np.uint64(1), numbers[half:, None])
    return _permutations


def _minhash(shingles: Hashes) -> bytes:
    import numpy as np

    multiply, add = _parameters()
    low = np.full(BANDS * ROWS, 0xFFFFFFFF, dtype=np.uint32)
    for start in range(0, len(shingles), _CHUNK):
        part = shingles[start : start + _CHUNK][None, :]
        hashed = ((multiply * part + add) >> np.uint64(32)).astype(np.uint32)
        low = np.minimum(low, hashed.min(axis=1))
    return low.astype("<u4").tobytes()


def _jaccard(a: Hashes, b: Hashes) -> float:
    import numpy as np

    if not len(a) or not len(b):
        return float(len(a) == len(b))
    both = len(np.intersect1d(a, b, assume_unique=True))
    return both / (len(a) + len(b) - both)


def _matrix(signatures: list[bytes]) -> Any:
    import numpy as np

    for value in signatures:
        if len(value) != SIGNATURE_BYTES:
            raise DataError(
                f"a stored signature has {len(value)} bytes in place of {SIGNATURE_BYTES}; "
                "it was made by another version of curate"
            )
    flat = np.frombuffer(b"".join(signatures), dtype="<u4")
    return flat.reshape(len(signatures), BANDS * ROWS)


def _candidates(matrix: Any) -> Iterator[tuple[int, int]]:
    """Pairs of rows that agree on a whole band, each once, in order."""
    import numpy as np

    count = len(matrix)
    found = np.empty(0, dtype=np.int64)
    for band in range(BANDS):
        key: Hashes = np.full(count, band, dtype=np.uint64)
        for column in range(band * ROWS, (band + 1) * ROWS):
            key = _mix(key * np.uint64(0x9E3779B97F4A7C15) + matrix[:, column].astype(np.uint64))
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        # Neighbours at distance 1, 2, … in the sorted keys, for as long as any are equal:
        # every pair of a bucket comes out once.
        alive: NDArray[np.int64] = np.arange(count)
        step = 1
        codes = []
        while True:
            alive = alive[alive + step < count]
            alive = alive[ordered[alive] == ordered[alive + step]]
            if not len(alive):
                break
            a, b = order[alive], order[alive + step]
            codes.append(np.minimum(a, b) * np.int64(count) + np.maximum(a, b))
            step += 1
        if codes:
            found = np.union1d(found, np.concatenate(codes))
    for code in found.tolist():
        yield divmod(code, count)
