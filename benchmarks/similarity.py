"""Near duplicates among 10,000 documents: time, and recall at Jaccard >= 0.5 by brute force.

Run: python benchmarks/similarity.py [DOCUMENTS]
"""

from __future__ import annotations

import json
import random
import sys
import time

from curate import similarity


def corpus(count: int, seed: int = 7) -> dict[str, str]:
    """Texts of about 250 words in Zipf's proportions, a fifth of them edited reprints."""
    rng = random.Random(seed)
    vocabulary = [f"mot{i}" for i in range(30_000)]
    weights = [1 / (i + 10) for i in range(len(vocabulary))]
    texts: dict[str, str] = {}
    originals: list[list[str]] = []
    for i in range(count):
        if originals and rng.random() < 0.2:
            words = list(rng.choice(originals))
            # Edits around the threshold: one changed word breaks three 3-grams.
            for _ in range(rng.randrange(0, len(words) // 6)):
                words[rng.randrange(len(words))] = rng.choice(vocabulary)
        else:
            words = rng.choices(vocabulary, weights, k=rng.randrange(150, 350))
            originals.append(words)
        texts[f"d{i:06}"] = " ".join(words)
    return texts


def truth(texts: dict[str, str]) -> set[tuple[str, str]]:
    """The pairs with Jaccard >= 0.5, by an inverted index over 3-grams: exact, and slow."""
    grams = {}
    index: dict[tuple[str, ...], list[str]] = {}
    for key, text in texts.items():
        words = text.split()
        grams[key] = set(zip(words, words[1:], words[2:], strict=False))
        for gram in grams[key]:
            index.setdefault(gram, []).append(key)
    shared: dict[tuple[str, str], int] = {}
    for keys in index.values():
        for i, a in enumerate(keys):
            for b in keys[i + 1 :]:
                shared[a, b] = shared.get((a, b), 0) + 1
    return {
        (a, b)
        for (a, b), both in shared.items()
        if both / (len(grams[a]) + len(grams[b]) - both) >= similarity.THRESHOLD
    }


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    texts = corpus(count)
    start = time.perf_counter()
    pairs = similarity.near_duplicate_pairs(texts)
    seconds = time.perf_counter() - start
    expected = truth(texts)
    found = {(pair.a, pair.b) for pair in pairs}
    known = {key: similarity.signature(text) for key, text in texts.items()}
    groups = similarity.groups(texts, pairs)
    fresh = {f"new{i}": text for i, text in enumerate(list(texts.values())[:100])}
    start = time.perf_counter()
    similarity.regroup(
        {key: similarity.signature(text) for key, text in fresh.items()},
        known,
        groups,
        (texts | fresh).__getitem__,
    )
    incremental = time.perf_counter() - start
    print(
        json.dumps(
            {
                "documents": count,
                "seconds": round(seconds, 2),
                "pairs": len(expected),
                "recall": round(len(found & expected) / max(1, len(expected)), 4),
                "precision": round(len(found & expected) / max(1, len(found)), 4),
                "seconds_for_100_more": round(incremental, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
