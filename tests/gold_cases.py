"""Gold documents for tests: a small fixed corpus, and strategies for any."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from hypothesis import strategies as st

from curate.errors import DataError
from curate.gold.items import Decided, GoldDocument
from curate.model import Annotation, Document, Entity, Relation, Source
from curate.schema import LabelSchema, parse_schema

SCHEMA = parse_schema(
    """
name: tiny
version: "1"
language: fr
entities:
  - {name: PER, title: Personne}
  - {name: LOC, title: Lieu}
  - {name: ORG}
relations:
  - {name: visits, head: [PER, ORG], tail: [LOC]}
  - {name: leads, head: [PER], tail: [ORG]}
  - {name: meets, head: [PER], tail: [PER], symmetric: true}
"""
)
CURATOR = Source.curator("desk")


def schema_with(labels: Iterable[str], relations: Iterable[str]) -> LabelSchema:
    """A schema in which every relation may link everything."""
    names = list(labels)
    listed = ", ".join(names)
    lines = ["name: wide", "entities:", *(f"  - {{name: {name}}}" for name in names), "relations:"]
    lines += [f"  - {{name: {name}, head: [{listed}], tail: [{listed}]}}" for name in relations]
    return parse_schema("\n".join(lines))


def decided(
    document_id: str,
    text: str,
    entities: Iterable[tuple[str, str]],
    relations: Iterable[tuple[int, str, int]] = (),
    **more: object,
) -> Decided:
    """A decision; entities are (surface, label) in order of the text, relations by position."""
    found, at = [], 0
    for surface, label in entities:
        at = text.index(surface, at)
        found.append(Entity(at, at + len(surface), label))
    links = [Relation(found[head], found[tail], label) for head, label, tail in relations]
    metadata = more.pop("metadata", {})
    document = Document.of(text, id=document_id, metadata=metadata)  # type: ignore[arg-type]
    annotation = Annotation.of(document_id, found, links, CURATOR)
    return Decided(document, annotation, **more)  # type: ignore[arg-type]


def corpus(count: int = 3) -> list[Decided]:
    """Documents that differ from each other, each with entities and relations."""
    people = ["Ali Barka", "Nadia Belkheir", "Idris Tahar", "Sonia Kaci", "Omar Drif"]
    places = ["Tripoli", "Niamey", "Gao", "Tunis", "Zintan", "Alger", "Sebha"]
    made = []
    for i in range(count):
        person, other = people[i % 5], people[(i + 1) % 5]
        place = places[i % 7]
        text = (
            f"{person} s’est rendu à {place} le {i + 1} mai {2000 + i} ; « l’ONU n° {i} » y était."
            f"\r\n{other} l’y a rencontré 🤝, dépêche {i * 7919} de l’agence {i * 104729}."
        )
        made.append(
            decided(
                f"doc-{i:03}",
                text,
                [(person, "PER"), (place, "LOC"), ("ONU", "ORG"), (other, "PER")],
                [(0, "visits", 1), (3, "meets", 0)],
                metadata={"date": f"20{10 + i % 12}-05-{1 + i % 28:02}", "n": i},
            )
        )
    return made


_CHARS = st.one_of(
    st.sampled_from("aàeé Bb1.,\n\r\t«»’'-\u00a0\u200b\u2028🤝🇱🇾\"\\|#<>&`*[]{}"),
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"),
)


@st.composite
def golds(
    draw: st.DrawFn,
    *,
    labels: tuple[str, ...] = ("PER", "LOC", "ORG"),
    relations: tuple[str, ...] = ("visits", "leads"),
    flat: bool = False,
    chains: bool = False,
    document_id: str | None = None,
) -> GoldDocument:
    """Any gold document; ``flat``: without overlapping entities."""
    name = document_id or draw(
        st.text(
            st.characters(blacklist_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]),
            min_size=1,
            max_size=8,
        )
    )
    text = draw(st.text(_CHARS, min_size=1, max_size=60))
    try:
        document = Document.of(text, id=name)
    except DataError:
        document = Document.of(text, id="d")
    length = len(document.text)
    spans = draw(
        st.lists(
            st.tuples(st.integers(0, length - 1), st.integers(1, 12), st.sampled_from(labels)),
            max_size=6,
        )
    )
    names = st.none() | st.sampled_from(["Tripoli", "Union africaine"])
    entities = [
        Entity(start, min(length, start + size), label, canonical=draw(names))
        for start, size, label in spans
    ]
    if flat:
        kept: list[Entity] = []
        for entity in sorted(entities, key=lambda e: e.key):
            if all(entity.start >= other.end for other in kept):
                kept.append(entity)
        entities = kept
    pairs = list(
        combinations(sorted({e.key: e for e in entities}.values(), key=lambda e: e.key), 2)
    )
    links = (
        draw(st.lists(st.tuples(st.sampled_from(pairs), st.sampled_from(relations)), max_size=4))
        if pairs and relations
        else []
    )
    groups = [[a, b] for (a, b), _ in links[:1]] if chains else []
    annotation = Annotation.of(
        document.id,
        entities,
        [Relation(a, b, label) for (a, b), label in links],
        CURATOR,
        groups,
    )
    return GoldDocument(document, annotation)
