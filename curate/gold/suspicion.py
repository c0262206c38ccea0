"""What may be wrong in gold, from several detectors, in one ranked queue.

==========  ====================================================================================
detector    what it raises, the strongest first
==========  ====================================================================================
model       places where a model that has not seen the document says otherwise, by its score
entropy     mentions whose surface goes by several labels, by the entropy of these labels times the
            share of the others
signature   relations whose type links such arguments hardly ever (at most :data:`RARE` of at least
            :data:`OFTEN` of the type)
lint        the findings of `curate gold lint`, by rank
==========  ====================================================================================

Detectors do not measure in one unit: the queue goes by reciprocal ranks (Cormack, Clarke &
Büttcher 2009), so that a place that several raise comes before one that a single detector does.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from curate.agreement.points import Disagreement, DisagreementKind
from curate.alignment import EntityEvent, EntityKind, RelationKind, align
from curate.gold.items import GoldDocument
from curate.gold.lint import Finding, surface
from curate.model import Annotation, Entity, Relation
from curate.schema import LabelSchema

RARE, OFTEN = 2, 20
_FUSION = 60.0
GOLD, MODEL = "decision", "model"
_UNSCORED = 0.5


@dataclass(frozen=True, slots=True)
class Hint:
    """One detector's suspicion; ``strength`` orders the hints of one detector alone."""

    detector: str
    strength: float
    document_id: str
    point: Disagreement


@dataclass(frozen=True, slots=True)
class Suspect:
    """A place in the queue; ``detectors`` raised it, the surest first."""

    document_id: str
    score: float
    detectors: tuple[str, ...]
    point: Disagreement


def from_model(
    gold: Annotation, prediction: Annotation, schema: LabelSchema | None = None
) -> list[Hint]:
    """Where a model that has not learned from this document differs from it."""
    found = align(gold, prediction, schema)
    hints = [
        _of_event(event, gold.document_id)
        for event in found.entities
        if event.kind is not EntityKind.CORRECT
    ]
    for link in found.relations:
        if link.kind is RelationKind.CORRECT:
            continue
        ours, theirs = link.a, link.b
        spans = [s for r in (*ours, *theirs) for s in (r.head.span, r.tail.span)]
        if not theirs and link.missed_argument:
            continue  # the entity's own event says it
        hints.append(
            Hint(
                "model",
                0.8 * _score(theirs),
                gold.document_id,
                Disagreement(
                    DisagreementKind.SUSPECT,
                    min(s for s, _ in spans),
                    max(e for _, e in spans),
                    relations=((GOLD, tuple(_plain_link(r) for r in ours)),)
                    + ((MODEL, tuple(_plain_link(r) for r in theirs)),),
                ),
            )
        )
    return hints


def _of_event(event: EntityEvent, document_id: str) -> Hint:
    spans = [e.span for e in (*event.a, *event.b)]
    return Hint(
        "model",
        _score(event.b),
        document_id,
        Disagreement(
            DisagreementKind.SUSPECT,
            min(s for s, _ in spans),
            max(e for _, e in spans),
            entities=(
                (GOLD, tuple(Entity(*e.key) for e in event.a)),
                (MODEL, tuple(Entity(*e.key) for e in event.b)),
            ),
        ),
    )


def _score(claims: Sequence[Entity] | Sequence[Relation]) -> float:
    known = [c.score for c in claims if c.score is not None]
    return max(known) if known else _UNSCORED


def _plain_link(relation: Relation) -> Relation:
    return Relation(Entity(*relation.head.key), Entity(*relation.tail.key), relation.label)


def by_entropy(documents: Iterable[GoldDocument]) -> list[Hint]:
    """Mentions whose surface is labelled otherwise elsewhere."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    places = []
    for gold in documents:
        for entity in gold.annotation.entities:
            name = surface(gold.document.text, entity)
            counts[name][entity.label] += 1
            places.append((name, gold.id, entity))
    hints = []
    for name, document_id, entity in places:
        labels = counts[name]
        total = sum(labels.values())
        if len(labels) < 2 or total < 3:
            continue
        entropy = -sum(n / total * math.log2(n / total) for n in labels.values())
        strength = entropy * (1.0 - labels[entity.label] / total)
        told = ", ".join(f"{label} {n}×" for label, n in sorted(labels.items()))
        hints.append(Hint("entropy", strength, document_id, _about(told, entity)))
    return hints


def by_signature(documents: Iterable[GoldDocument]) -> list[Hint]:
    """Relations with a combination of labels that is hardly ever seen."""
    seen: Counter[tuple[str, str, str]] = Counter()
    types: Counter[str] = Counter()
    places = []
    for gold in documents:
        for relation in gold.annotation.relations:
            signature = relation.label, relation.head.label, relation.tail.label
            seen[signature] += 1
            types[relation.label] += 1
            places.append((signature, gold.id, relation))
    hints = []
    for signature, document_id, relation in places:
        label, head, tail = signature
        if seen[signature] <= RARE and types[label] >= OFTEN:
            told = f"{head} {label} {tail}: {seen[signature]} of {types[label]}"
            point = _about(told, relation.head, relation.tail)
            link = _plain_link(relation)
            point = Disagreement(
                point.kind, point.start, point.end, relations=((GOLD, (link,)),), note=told
            )
            strength = 1.0 - seen[signature] / types[label]
            hints.append(Hint("signature", strength, document_id, point))
    return hints


def from_lint(findings: Iterable[Finding]) -> list[Hint]:
    """Lint's findings as hints."""
    return [
        Hint(
            "lint",
            1.0 / finding.rank,
            finding.document,
            Disagreement(
                DisagreementKind.SUSPECT,
                finding.start,
                finding.end,
                note=f"{finding.rule}: {finding.message}",
            ),
        )
        for finding in findings
    ]


def _about(note: str, *entities: Entity) -> Disagreement:
    return Disagreement(
        DisagreementKind.SUSPECT,
        min(e.start for e in entities),
        max(e.end for e in entities),
        entities=((GOLD, tuple(Entity(*e.key) for e in entities)),),
        note=note,
    )


def rank(hints: Iterable[Hint]) -> list[Suspect]:
    """One queue of all hints; hints on one place become one suspect.

    Neither the order of the hints nor that of the detectors is of consequence.
    """
    by_detector: dict[str, list[Hint]] = defaultdict(list)
    for hint in hints:
        by_detector[hint.detector].append(hint)
    scores: dict[tuple[str, int, int], dict[str, float]] = defaultdict(dict)
    points: dict[tuple[str, int, int], list[tuple[float, str, Disagreement]]] = defaultdict(list)
    for name in sorted(by_detector):
        ordered = sorted(by_detector[name], key=_hint_order)
        place = 0
        for number, hint in enumerate(ordered):
            if number and hint.strength < ordered[number - 1].strength:
                place = number  # equally strong hints share a rank
            key = hint.document_id, hint.point.start, hint.point.end
            share = 1.0 / (_FUSION + place)
            scores[key][name] = max(scores[key].get(name, 0.0), share)
            points[key].append((-share, name, hint.point))
    found = []
    for key, parts in scores.items():
        told = sorted(points[key], key=lambda row: (row[0], row[1], repr(row[2])))
        detectors = tuple(sorted(parts, key=lambda name: (-parts[name], name)))
        found.append(Suspect(key[0], sum(parts.values()), detectors, _joined(told)))
    return sorted(
        found, key=lambda s: (-round(s.score, 12), s.document_id, s.point.start, s.point.end)
    )


def _hint_order(hint: Hint) -> tuple[float, str, int, int, str]:
    return (
        -hint.strength,
        hint.document_id,
        hint.point.start,
        hint.point.end,
        repr(hint.point),
    )


def _joined(told: Sequence[tuple[float, str, Disagreement]]) -> Disagreement:
    """All that is said of one place: the model's claims first, every note."""
    points = [point for _, _, point in told]
    claims = next((p for _, name, p in told if name == "model"), points[0])
    links = next((p.relations for p in points if p.relations), ())
    notes = dict.fromkeys(point.note for point in points if point.note)
    return Disagreement(
        DisagreementKind.SUSPECT,
        claims.start,
        claims.end,
        claims.entities,
        claims.relations or (() if claims.entities else links),
        " · ".join(notes),
    )


def folds(groups: Mapping[str, str], number: int) -> list[list[str]]:
    """The documents in parts of like size, near duplicates together; by name, not by chance."""
    members: dict[str, list[str]] = defaultdict(list)
    for document_id in sorted(groups):
        members[groups[document_id]].append(document_id)
    parts: list[list[str]] = [[] for _ in range(number)]
    for group in sorted(members, key=lambda g: (-len(members[g]), g)):
        min(parts, key=len).extend(members[group])
    return [sorted(part) for part in parts if part]
