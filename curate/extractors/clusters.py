"""Word clusters from raw text: words that stand among the same neighbours.

Positive pointwise mutual information of a word with the words to its left and right (Levy and
Goldberg 2014), reduced by a truncated singular value decomposition, grouped by spherical k-means,
and the groups' centres grouped once more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

_CONTEXTS = 2000
_DIMENSIONS = 40


def learn_clusters(
    texts: Sequence[Sequence[str]], count: int, seed: int = 0, least: int = 3
) -> dict[str, str]:
    """Word (small letters) → cluster of three letters, the first of which names the coarser one.

    Words in fewer than ``least`` places get none; of too little text nothing is learned.
    """
    import numpy as np
    from scipy.sparse import csr_matrix
    from scipy.sparse.linalg import svds

    lowered = [[word.lower() for word in words] for words in texts]
    frequency = Counter(word for words in lowered for word in words)
    order = sorted(frequency, key=lambda w: (-frequency[w], w))
    vocabulary = [w for w in order if frequency[w] >= least]
    if len(vocabulary) < 4 * max(count, _DIMENSIONS // 2):
        return {}
    contexts = {w: i for i, w in enumerate(order[:_CONTEXTS])}
    index = {w: i for i, w in enumerate(vocabulary)}
    pairs: Counter[tuple[int, int]] = Counter()
    width = len(contexts)
    for words in lowered:
        for i, word in enumerate(words):
            row = index.get(word)
            if row is None:
                continue
            for step, offset in ((-1, 0), (1, 1), (-2, 2), (2, 3)):
                j = i + step
                if 0 <= j < len(words):
                    column = contexts.get(words[j])
                    if column is not None:
                        pairs[(row, offset * width + column)] += 1
    keys = sorted(pairs)
    rows = np.array([k[0] for k in keys])
    columns = np.array([k[1] for k in keys])
    data = np.array([pairs[k] for k in keys], dtype=np.float64)
    shape = (len(vocabulary), 4 * width)
    row_sums = np.bincount(rows, data, shape[0])
    column_sums = np.bincount(columns, data, shape[1])
    pmi = np.log(data * data.sum() / (row_sums[rows] * column_sums[columns] ** 0.75 + 1e-9))
    pmi = np.maximum(0.0, pmi - np.log(column_sums.sum() / (column_sums**0.75).sum()))
    matrix = csr_matrix((pmi, (rows, columns)), shape=shape)
    size = min(_DIMENSIONS, min(shape) - 2)
    start = np.random.default_rng(seed).standard_normal(min(shape))
    u, s, _ = svds(matrix, k=size, v0=start)
    vectors = u * np.sqrt(s)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.round(vectors / np.maximum(norms, 1e-9), 5)
    labels = _means(vectors, count, seed)
    coarse = _means(labels[1], min(16, count), seed)[0]
    names = {}
    for word, k in zip(vocabulary, labels[0], strict=True):
        top = int(coarse[k])
        names[word] = f"{chr(97 + top % 26)}{chr(97 + int(k) // 26 % 26)}{chr(97 + int(k) % 26)}"
    return names


def _means(vectors: Any, count: int, seed: int) -> tuple[Any, Any]:
    """Spherical k-means from the farthest points on; ``(labels, centres)``."""
    import numpy as np

    rng = np.random.default_rng(seed)
    centres = vectors[rng.choice(len(vectors), size=count, replace=False)]
    labels = np.zeros(len(vectors), dtype=np.int64)
    for _ in range(25):
        new = np.argmax(vectors @ centres.T, axis=1)
        if (new == labels).all():
            break
        labels = new
        for k in range(count):
            members = vectors[labels == k]
            if len(members):
                centre = members.sum(axis=0)
                centres[k] = centre / max(1e-9, float(np.linalg.norm(centre)))
    return labels, centres
