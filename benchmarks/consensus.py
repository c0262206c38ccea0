"""F1 of consensus against the truth, for each rule, on simulated annotators.

Four teams annotate the same made-up documents.  An annotator misses mentions, draws wrong borders
and labels, and marks what is none, by rates of their own (see :data:`GOOD`, :data:`OK`,
:data:`BAD`, chosen so that exact majority comes near .89, .92, .72, .89); errors are independent.
Relations are drawn between true neighbours, and missed or mislabelled likewise.

Run: python -m benchmarks.consensus
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from curate.agreement.consensus import Rule, decide
from curate.agreement.reliability import Reliability, estimate
from curate.alignment import relation_key
from curate.model import Annotation, Entity, Relation, Source

LABELS = ("PER", "ORG", "LOC", "MIL", "ROLE", "FAC", "EVENT", "WEAPON")
TYPES = ("member_of", "commands", "located_in", "attacked")
REQUIRED = {"three ok": 0.91, "two good, one bad": 0.94, "one good, two bad": 0.87}
REQUIRED["two good, one ok, two bad"] = 0.98


@dataclass(frozen=True)
class Profile:
    """Rates of error: a mention missed, a border moved, a label wrong, and places marked that are
    none, per true mention; ``link`` is the share of relations missed or mislabelled."""

    miss: float
    border: float
    label: float
    spurious: float
    link: float


GOOD = Profile(0.06, 0.05, 0.02, 0.03, 0.10)
OK = Profile(0.11, 0.14, 0.05, 0.06, 0.20)
BAD = Profile(0.33, 0.31, 0.16, 0.28, 0.45)

TEAMS: dict[str, tuple[Profile, ...]] = {
    "three ok": (OK, OK, OK),
    "two good, one bad": (GOOD, GOOD, BAD),
    "one good, two bad": (GOOD, BAD, BAD),
    "two good, one ok, two bad": (GOOD, GOOD, OK, BAD, BAD),
}


def truths(rng: random.Random, documents: int, mentions: int = 20) -> list[Annotation]:
    made = []
    for number in range(documents):
        entities, at = [], 5
        for _ in range(mentions):
            length = rng.randrange(5, 25)
            entities.append(Entity(at, at + length, rng.choice(LABELS)))
            at += length + rng.randrange(15, 45)
        relations = [
            Relation(a, b, rng.choice(TYPES)) for a, b in pairwise(entities) if rng.random() < 0.4
        ]
        made.append(Annotation.of(f"d{number:04}", entities, relations, Source.curator("truth")))
    return made


def annotate(truth: Annotation, who: str, profile: Profile, rng: random.Random) -> Annotation:
    """What an annotator of this profile makes of a document."""
    marks: dict[tuple[int, int, str], Entity] = {}
    for entity in truth.entities:
        if rng.random() < profile.miss:
            continue
        start, end, label = entity.key
        if rng.random() < profile.border:
            # words added or left out, at one side mostly
            shift = rng.choice((-6, -4, -3, 3, 4, 6))
            if rng.random() < 0.5:
                start = max(0, min(start + shift, end - 2))
            else:
                end = max(start + 2, end + shift)
        if rng.random() < profile.label:
            label = rng.choice([other for other in LABELS if other != label])
        marks[entity.key] = Entity(start, end, label)
    extra = []
    reach = truth.entities[-1].end
    for _ in truth.entities:
        if rng.random() < profile.spurious:
            start = rng.randrange(0, reach)
            extra.append(Entity(start, start + rng.randrange(4, 14), rng.choice(LABELS)))
    links = []
    for relation in truth.relations:
        head, tail = marks.get(relation.head.key), marks.get(relation.tail.key)
        if head is None or tail is None or rng.random() < profile.link * 0.7:
            continue
        wrong = rng.random() < profile.link * 0.3
        links.append(Relation(head, tail, rng.choice(TYPES) if wrong else relation.label))
    return Annotation.of(truth.document_id, [*marks.values(), *extra], links, Source.annotator(who))


def team(
    profiles: Sequence[Profile], seed: int, documents: int = 200
) -> tuple[list[Annotation], list[list[Annotation]]]:
    """``(truths, annotations per document)``."""
    rng = random.Random(seed)
    gold = truths(rng, documents)
    said = [
        [annotate(one, f"a{i}", profile, rng) for i, profile in enumerate(profiles)] for one in gold
    ]
    return gold, said


def exact_majority(sides: Sequence[Annotation]) -> Annotation:
    """What more than half say to the character: the rule to beat."""
    votes = Counter(entity.key for side in sides for entity in side.entities)
    links = Counter(relation.key for side in sides for relation in side.relations)
    kept = {key: Entity(*key) for key, count in votes.items() if 2 * count > len(sides)}
    relations = [
        Relation(kept[key[:3]], kept[key[3:6]], key[6])
        for key, count in links.items()
        if 2 * count > len(sides) and key[:3] in kept and key[3:6] in kept
    ]
    return Annotation.of(sides[0].document_id, kept.values(), relations, Source.consensus("exact"))


Decide = Callable[[Sequence[Annotation]], Annotation]


def score(gold: Sequence[Annotation], found: Sequence[Annotation]) -> tuple[float, float]:
    """Micro F1 of entities (strict) and of relations (label and spans)."""
    right = total = right_links = total_links = 0
    for one, two in zip(gold, found, strict=True):
        a, b = {e.key for e in one.entities}, {e.key for e in two.entities}
        right, total = right + len(a & b), total + len(a) + len(b)
        c, d = ({relation_key(r, ()) for r in side.relations} for side in (one, two))
        right_links, total_links = right_links + len(c & d), total_links + len(c) + len(d)
    return 2 * right / total, 2 * right_links / total_links


def rules(known: Reliability) -> dict[str, Decide]:
    def by(name: str) -> Decide:
        return lambda sides: decide(sides, Rule.parse(name), None, known).annotation

    return {
        "exact majority": exact_majority,
        "unanimous": by("unanimous"),
        "majority": by("majority"),
        "weighted": by("weighted"),
    }


def measure(name: str, seed: int, documents: int = 200) -> dict[str, tuple[float, float]]:
    """Rule → F1 of entities and relations against the truth."""
    gold, said = team(TEAMS[name], seed, documents)
    return {
        rule: score(gold, [decided(sides) for sides in said])
        for rule, decided in rules(estimate(said)).items()
    }


def main() -> int:
    failed = False
    for name in TEAMS:
        runs = [measure(name, seed) for seed in range(5)]
        means = {
            rule: [round(sum(run[rule][i] for run in runs) / len(runs), 3) for i in (0, 1)]
            for rule in runs[0]
        }
        ok = means["weighted"][0] >= REQUIRED[name]
        failed |= not ok
        row = {rule: {"entities": e, "relations": r} for rule, (e, r) in means.items()}
        print(json.dumps({"team": name, **row, "required": REQUIRED[name], "met": ok}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
