"""What looks wrong in gold: each finding with its place, its reason and how sure we are.

A rule is a function of one document and what the whole set shows (:class:`Habits`); to add one,
write it and enter it in :data:`RULES`.  Nothing here changes gold; a finding is a question.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from curate.gold.diff import around
from curate.gold.items import GoldDocument, entity_id, relation_id
from curate.model import Entity, Relation
from curate.offsets import Span
from curate.schema import LabelSchema
from curate.tokenization import tokenize

ARTICLES: dict[str, tuple[str, ...]] = {
    "fr": ("le", "la", "les", "l'", "d'", "du", "des", "de", "un", "une", "au", "aux", "qu'"),
    "en": ("the", "a", "an"),
    "es": ("el", "la", "los", "las", "un", "una", "del", "de"),
}
"""What a span must not begin with, by language; ``'`` stands for any apostrophe."""

_APOSTROPHES = str.maketrans("’ʼ", "''")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to look at.  ``rank`` orders findings, the surest first: 1 is an error, 2 most
    likely one, 3 worth a look."""

    rule: str
    rank: int
    document: str
    start: int
    end: int
    message: str
    items: tuple[str, ...]
    context: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "rank": self.rank,
            "document": self.document,
            "start": self.start,
            "end": self.end,
            "message": self.message,
            "items": list(self.items),
            "context": self.context,
        }


@dataclass
class Habits:
    """What the whole set shows: how surfaces are labelled, how relations run."""

    surfaces: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    directions: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    pairs: Counter[frozenset[str]] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)

    def learn(self, gold: GoldDocument) -> None:
        text = gold.document.text
        for entity in gold.annotation.entities:
            self.surfaces[surface(text, entity)][entity.label] += 1
        for relation in gold.annotation.relations:
            self.directions[relation.label, relation.head.label, relation.tail.label] += 1
            self.types[relation.label] += 1
        for labels in _between(gold.annotation.relations).values():
            for pair in _pairs(labels):
                self.pairs[pair] += 1


@dataclass(frozen=True)
class _Place:
    """A document as the rules see it."""

    gold: GoldDocument
    schema: LabelSchema
    habits: Habits
    tokens: Sequence[Span]

    @property
    def text(self) -> str:
        return self.gold.document.text

    @property
    def entities(self) -> tuple[Entity, ...]:
        return self.gold.annotation.entities

    @property
    def relations(self) -> tuple[Relation, ...]:
        return self.gold.annotation.relations

    def about(self, rule: str, rank: int, message: str, *items: Entity | Relation) -> Finding:
        spans = [
            span
            for item in items
            for span in (
                [item.span] if isinstance(item, Entity) else [item.head.span, item.tail.span]
            )
        ]
        start, end = min(s for s, _ in spans), max(e for _, e in spans)
        ids = tuple(entity_id(i) if isinstance(i, Entity) else relation_id(i) for i in items)
        return Finding(
            rule, rank, self.gold.id, start, end, message, ids, around(self.text, start, end)
        )


def lint(
    documents: Callable[[], Iterable[GoldDocument]],
    schema: LabelSchema,
    *,
    rules: Iterable[str] | None = None,
) -> list[Finding]:
    """Every finding, the surest first.

    ``documents`` is called twice: once to learn the set's habits, once to judge by them.  Raises
    KeyError for a rule that is not in :data:`RULES`.
    """
    chosen = [RULES[name] for name in (RULES if rules is None else rules)]
    habits = Habits()
    for gold in documents():
        habits.learn(gold)
    found: list[Finding] = []
    for gold in documents():
        place = _Place(gold, schema, habits, tokenize(gold.document.text, schema.language))
        for rule in chosen:
            found.extend(rule(place))
    found.sort(key=lambda f: (f.rank, f.rule, f.document, f.start, f.end, f.items))
    return found


def surface(text: str, entity: Entity) -> str:
    """The entity's text for comparison: one space between words, small letters, no accents."""
    words = " ".join(text[entity.start : entity.end].split()).translate(_APOSTROPHES).casefold()
    bare = unicodedata.normalize("NFD", words)
    return "".join(char for char in bare if not unicodedata.combining(char))


def _illegal(place: _Place) -> Iterator[Finding]:
    """A label or relation that the schema does not have, or a direction against it."""
    for entity in place.entities:
        if not place.schema.has_entity(entity.label):
            yield place.about("illegal", 1, f"label {entity.label} is not in the schema", entity)
    for relation in place.relations:
        reason = place.schema.relation_misfit(relation)
        if reason is None:
            continue
        if place.schema.allows(relation.label, relation.tail.label, relation.head.label):
            yield place.about(
                "direction",
                1,
                f"{relation.label} runs from {relation.tail.label} to {relation.head.label}, not "
                "the other way",
                relation,
            )
        else:
            yield place.about("illegal", 1, reason, relation)


def _contradiction(place: _Place) -> Iterator[Finding]:
    """Relations of the same two mentions that do not go together."""
    by_key = {relation.key: relation for relation in place.relations}
    for relation in place.relations:
        known = place.schema.relation(relation.label)
        if known is None or known.symmetric:
            continue
        turned = Relation(relation.tail, relation.head, relation.label)
        if turned.key in by_key and relation.key < turned.key:
            # Two sides may well support each other; of a part and its whole it cannot be.
            mutual = set(known.head) == set(known.tail)
            yield place.about(
                "contradiction",
                3 if mutual else 2,
                f"{relation.label} stands in both directions",
                relation,
                by_key[turned.key],
            )
    habits = place.habits
    for (head, tail), labels in sorted(_between(place.relations).items()):
        for pair in _pairs(labels):
            first, second = sorted(pair)
            rarer = min(habits.types[first], habits.types[second])
            if habits.pairs[pair] * 20 <= rarer or (
                place.schema.relation(first) is not None
                and _is_identity(place.schema, first) != _is_identity(place.schema, second)
            ):
                items = [r for r in place.relations if {r.head.key, r.tail.key} == {head, tail}]
                yield place.about(
                    "contradiction",
                    2,
                    f"{first} and {second} between the same mentions, "
                    f"{habits.pairs[pair]} times in all",
                    *items,
                )


def _punctuation(place: _Place) -> Iterator[Finding]:
    """A span that begins or ends in white space or punctuation."""
    for entity in place.entities:
        text = place.text[entity.start : entity.end]
        if text != text.strip():
            yield place.about("punctuation", 1, "the span begins or ends in white space", entity)
            continue
        opened = _unmatched(text)
        first, last = text[0], text[-1]
        if _is_punctuation(first) and first not in "@#" and (first not in _PAIRS or 0 in opened):
            yield place.about("punctuation", 2, f"the span begins with {first!r}", entity)
        if not _is_punctuation(last) or last in "%°":
            continue
        if last in _PAIRS.values() and len(text) - 1 not in opened:
            continue
        if last == "." and ("." in text[:-1] or _ends_token(place, entity)):
            continue
        yield place.about("punctuation", 2, f"the span ends with {last!r}", entity)


_PAIRS = {"(": ")", "[": "]", "«": "»", "“": "”", '"': '"', "{": "}"}


def _unmatched(text: str) -> set[int]:
    """Positions of brackets and quotation marks without a partner."""
    lone: set[int] = set()
    stack: list[tuple[str, int]] = []
    for i, char in enumerate(text):
        if stack and _PAIRS[stack[-1][0]] == char:
            stack.pop()
        elif char in _PAIRS:
            stack.append((char, i))
        elif char in _PAIRS.values():
            lone.add(i)
    return lone | {i for _, i in stack}


def _is_punctuation(char: str) -> bool:
    return unicodedata.category(char).startswith("P")


def _ends_token(place: _Place, entity: Entity) -> bool:
    """Whether the last character belongs to a longer token, as the stop of an abbreviation does."""
    return any(end == entity.end and end - start > 1 for start, end in place.tokens)


def _article(place: _Place) -> Iterator[Finding]:
    """A span that begins with an article or an elision; a capital may make it part of the name."""
    known = ARTICLES.get(place.schema.language, ())
    if not known:
        return
    pattern = _articles(known)
    for entity in place.entities:
        text = place.text[entity.start : entity.end]
        match = pattern.match(text.translate(_APOSTROPHES))
        if match is None or match.end() >= len(text):
            continue
        word = text[: match.end()].strip()
        rest = Entity(entity.start + match.end(), entity.end, entity.label)
        if word[0].islower():
            yield place.about("article", 2, f"the span begins with {word!r}", entity)
        elif place.habits.surfaces.get(surface(place.text, rest), Counter())[entity.label]:
            yield place.about(
                "article", 3, f"the span begins with {word!r}; elsewhere it does not", entity
            )


def _articles(known: tuple[str, ...]) -> re.Pattern[str]:
    parts = [re.escape(word) + ("" if word.endswith("'") else r"\s+") for word in known]
    return re.compile("|".join(sorted(parts, key=len, reverse=True)), re.IGNORECASE)


def _cuts(place: _Place) -> Iterator[Finding]:
    """A span that begins or ends inside a token."""
    starts = {start for start, _ in place.tokens}
    ends = {end for _, end in place.tokens}
    for entity in place.entities:
        text = place.text[entity.start : entity.end]
        if text != text.strip():
            continue
        if entity.start not in starts or entity.end not in ends:
            yield place.about("token", 2, "the span cuts a token", entity)


def _labels(place: _Place) -> Iterator[Finding]:
    """A surface that is mostly labelled otherwise; a span that carries two labels."""
    by_span: dict[Span, list[Entity]] = defaultdict(list)
    for entity in place.entities:
        by_span[entity.span].append(entity)
        counts = place.habits.surfaces[surface(place.text, entity)]
        label, most = max(counts.items(), key=lambda item: (item[1], item[0]))
        mine = counts[entity.label]
        if label != entity.label and most > mine:
            rank = 2 if most >= 4 * mine else 3
            yield place.about(
                "label",
                rank,
                f"{place.text[entity.start : entity.end]!r} is {entity.label} here and {label} "
                f"{most} times elsewhere ({mine} times {entity.label})",
                entity,
            )
    for entities in by_span.values():
        if len(entities) > 1:
            labels = " and ".join(entity.label for entity in entities)
            yield place.about("label", 2, f"one span is {labels}", *entities)


def _repeats(place: _Place) -> Iterator[Finding]:
    """A name that is marked once and stands unmarked elsewhere in the same document."""
    covered = bytearray(len(place.text))
    for entity in place.entities:
        covered[entity.start : entity.end] = b"\1" * (entity.end - entity.start)
    starts = {start for start, _ in place.tokens}
    ends = {end for _, end in place.tokens}
    seen: set[str] = set()
    for entity in place.entities:
        name = place.text[entity.start : entity.end]
        if name in seen or len(name) < 3 or not any(char.isupper() for char in name):
            continue
        seen.add(name)
        at = place.text.find(name)
        while at >= 0:
            end = at + len(name)
            if at in starts and end in ends and not any(covered[at:end]):
                missed = Entity(at, end, entity.label)
                yield Finding(
                    "repeat",
                    3,
                    place.gold.id,
                    at,
                    end,
                    f"{name!r} is {entity.label} at {entity.start} and not marked here",
                    (entity_id(missed),),
                    around(place.text, at, end),
                )
            at = place.text.find(name, end)


def _crossing(place: _Place) -> Iterator[Finding]:
    """Two spans of which neither holds the other."""
    entities = place.entities
    for i, a in enumerate(entities):
        for b in entities[i + 1 :]:
            if b.start >= a.end:
                break
            if a.start < b.start < a.end < b.end:
                yield place.about("crossing", 2, "two spans cross", a, b)


def _is_identity(schema: LabelSchema, label: str) -> bool:
    """Whether relations of this type say that two mentions are of one thing."""
    relation = schema.relation(label)
    return relation is not None and relation.symmetric and relation.same_label


def _identity(place: _Place) -> Iterator[Finding]:
    """Mentions of one thing that carry two labels or two canonical names, or act on themselves."""
    parent: dict[tuple[int, int, str], tuple[int, int, str]] = {
        entity.key: entity.key for entity in place.entities
    }

    def find(key: tuple[int, int, str]) -> tuple[int, int, str]:
        while parent[key] != key:
            key = parent[key]
        return key

    links = [(r.head, r.tail) for r in place.relations if _is_identity(place.schema, r.label)]
    links += [(chain[0], e) for chain in place.gold.annotation.chains for e in chain[1:]]
    for a, b in links:
        low, high = sorted((find(a.key), find(b.key)))
        parent[high] = low
    groups: dict[tuple[int, int, str], list[Entity]] = defaultdict(list)
    for entity in place.entities:
        groups[find(entity.key)].append(entity)
    for members in groups.values():
        if len(members) < 2:
            continue
        labels = sorted({entity.label for entity in members})
        if len(labels) > 1:
            yield place.about(
                "identity", 1, f"mentions of one thing are {' and '.join(labels)}", *members
            )
        names = sorted({entity.canonical for entity in members if entity.canonical})
        if len(names) > 1:
            yield place.about(
                "identity", 1, f"mentions of one thing are called {' and '.join(names)}", *members
            )
    for relation in place.relations:
        same = find(relation.head.key) == find(relation.tail.key)
        if same and not _is_identity(place.schema, relation.label):
            yield place.about(
                "identity", 2, f"{relation.label} links two mentions of one thing", relation
            )


def _direction(place: _Place) -> Iterator[Finding]:
    """A relation between labels that it nearly always links the other way."""
    for relation in place.relations:
        known = place.schema.relation(relation.label)
        if known is None or known.symmetric or relation.head.label == relation.tail.label:
            continue
        if not known.allows(relation.tail.label, relation.head.label):
            continue
        counts = place.habits.directions
        mine = counts[relation.label, relation.head.label, relation.tail.label]
        other = counts[relation.label, relation.tail.label, relation.head.label]
        if other >= 10 * mine:
            yield place.about(
                "direction",
                3,
                f"{relation.label} runs from {relation.tail.label} to {relation.head.label} "
                f"{other} times, this way {mine} times",
                relation,
            )


def _between(
    relations: Iterable[Relation],
) -> dict[tuple[tuple[int, int, str], tuple[int, int, str]], set[str]]:
    """The relation types between each two mentions, whatever their direction."""
    found: dict[tuple[tuple[int, int, str], tuple[int, int, str]], set[str]] = defaultdict(set)
    for relation in relations:
        low, high = sorted((relation.head.key, relation.tail.key))
        found[low, high].add(relation.label)
    return found


def _pairs(labels: set[str]) -> list[frozenset[str]]:
    listed = sorted(labels)
    return [frozenset((a, b)) for i, a in enumerate(listed) for b in listed[i + 1 :]]


RULES: dict[str, Callable[[_Place], Iterator[Finding]]] = {
    "illegal": _illegal,
    "contradiction": _contradiction,
    "identity": _identity,
    "punctuation": _punctuation,
    "article": _article,
    "token": _cuts,
    "crossing": _crossing,
    "label": _labels,
    "direction": _direction,
    "repeat": _repeats,
}
"""The rules by name, in the order of their findings' weight."""
