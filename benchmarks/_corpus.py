"""A made corpus of annotated documents for the benchmarks, and a noisy second opinion of it.

Words of a Zipf-like vocabulary; mentions of one to three words, none overlapping in gold, so that
every scorer can read them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LABELS = ("PER", "ROLE", "ORG", "MIL", "LOC", "FAC", "EVENT", "DATE")
TYPES = ("leads", "member_of", "part_of", "located_in", "has_role", "opposes")


@dataclass(frozen=True)
class Made:
    """A document: its words, and mentions as (first word, word after the last, label)."""

    id: str
    words: list[str]
    gold: list[tuple[int, int, str]]
    other: list[tuple[int, int, str]]
    gold_relations: list[tuple[int, int, str]]
    other_relations: list[tuple[int, int, str]]


def make(
    documents: int, entities: int = 40, relations: int = 20, noise: float = 0.2, seed: int = 1
) -> Iterator[Made]:
    """``noise``: the share of mentions and relations that the second opinion gets wrong."""
    rng = random.Random(seed)
    letters = "abcdefghilmnoprstuvéèà"
    vocabulary = [
        "".join(rng.choice(letters) for _ in range(rng.randint(2, 10))) for _ in range(5000)
    ]
    for number in range(documents):
        words = rng.choices(vocabulary, k=entities * 9)
        gold, other, kept = [], [], []
        for i in range(entities):
            start = i * 9 + rng.randint(0, 2)
            mention = (start, start + rng.randint(1, 3), rng.choice(LABELS))
            gold.append(mention)
            fate = rng.random() / noise
            if fate >= 1:
                said: tuple[int, int, str] | None = mention
            elif fate < 0.3:
                said = (mention[0], mention[1], rng.choice(LABELS))
            elif fate < 0.6:
                said = (mention[0], mention[1] + 1, mention[2])
            elif fate < 0.7:
                said = (mention[0], mention[1] + 1, rng.choice(LABELS))
            elif fate < 0.85:
                said = (mention[1] + 2, mention[1] + 3, rng.choice(LABELS))
            else:
                said = None
            if said is not None:
                kept.append(i)
                other.append(said)
        place = {i: n for n, i in enumerate(kept)}
        links, claimed = [], []
        for _ in range(relations):
            head, tail = rng.sample(range(entities), 2)
            link = (head, tail, rng.choice(TYPES))
            links.append(link)
            if rng.random() < noise:
                link = (
                    (tail, head, rng.choice(TYPES))
                    if rng.random() < 0.5
                    else (head, rng.randrange(entities), link[2])
                )
            if link[0] in place and link[1] in place:
                claimed.append((place[link[0]], place[link[1]], link[2]))
        yield Made(f"doc-{number:06}", words, gold, other, links, claimed)


def offsets(words: list[str]) -> list[tuple[int, int]]:
    found, position = [], 0
    for word in words:
        found.append((position, position + len(word)))
        position += len(word) + 1
    return found


def record(
    made: Made, mentions: list[tuple[int, int, str]], relations: list[tuple[int, int, str]]
) -> dict[str, Any]:
    at = offsets(made.words)
    return {
        "id": made.id,
        "text": " ".join(made.words),
        "entities": [
            {"id": f"e{i}", "start": at[s][0], "end": at[e - 1][1], "label": label}
            for i, (s, e, label) in enumerate(mentions)
        ],
        "relations": [
            {"head": f"e{h}", "tail": f"e{t}", "label": label} for h, t, label in relations
        ],
        "meta": {},
    }


def write(folder: Path, documents: int, **more: Any) -> tuple[Path, Path]:
    """Write gold.jsonl and other.jsonl."""
    paths = folder / "gold.jsonl", folder / "other.jsonl"
    with (
        paths[0].open("w", encoding="utf-8") as gold,
        paths[1].open("w", encoding="utf-8") as other,
    ):
        for made in make(documents, **more):
            for stream, value in (
                (gold, record(made, made.gold, made.gold_relations)),
                (other, record(made, made.other, made.other_relations)),
            ):
                stream.write(json.dumps(value, ensure_ascii=False) + "\n")
    return paths
