"""What gold looks like as spaCy ``Doc`` objects: trainer, extractors and spaCy's users share it.

Of each document a ``Doc`` by curate's tokenizer, with

- ``doc.spans["entities"]``: every entity that begins and ends on a token, overlapping ones too;
  the span's ``kb_id_`` is the canonical name, where there is one.
- ``doc.ents``: the entities that do not overlap a longer one, for spaCy's ``ner``.
- ``doc.user_data["curate"]``: a plain dictionary: ``id``, ``split``, ``entities`` (``[start, end,
  label]`` in code points, in order, all of them), ``relations`` (``[head, tail, label]``, positions
  in ``entities``), ``chains`` (lists of such positions; only where there are any), ``misaligned``
  (``[start, end, label, reason]``) and ``meta``.

:func:`register` adds ``doc._.curate_id`` and ``doc._.relations`` (head span, tail span, label).
Saved as ``DocBin(store_user_data=True)``; :func:`annotation_of` reads a ``Doc`` back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from curate.errors import DataError
from curate.gold.formats.loss import Loss, writing
from curate.gold.items import GOLD, GoldDocument, entity_id
from curate.model import Annotation, Document, Entity, Relation, Source

SPAN_GROUP = "entities"
USER_DATA = "curate"
CUTS_START = "the span begins inside a token"
CUTS_END = "the span ends inside a token"


def blank(language: str) -> Any:
    """An empty pipeline of this language with curate's tokenizer."""
    import spacy

    from curate.tokenization import Tokenizer

    try:
        nlp = spacy.blank(language)
    except ImportError:
        nlp = spacy.blank("xx")
    nlp.tokenizer = Tokenizer(nlp.vocab, language)
    return nlp


def register() -> None:
    """Make ``doc._.curate_id`` and ``doc._.relations`` known to spaCy."""
    from spacy.tokens import Doc

    if not Doc.has_extension("curate_id"):
        Doc.set_extension(
            "curate_id", getter=lambda doc: doc.user_data.get(USER_DATA, {}).get("id")
        )
    if not Doc.has_extension("relations"):
        Doc.set_extension("relations", getter=relation_spans)


def to_doc(gold: GoldDocument, nlp: Any) -> Any:
    """The ``Doc`` of a gold document, tokenized by ``nlp``."""
    doc = nlp.make_doc(gold.document.text)
    annotate(doc, gold.annotation)
    doc.user_data[USER_DATA].update({"split": gold.split, "meta": dict(gold.document.metadata)})
    return doc


def annotate(doc: Any, annotation: Annotation) -> None:
    """Set an annotation on a ``Doc`` of the same text, in the form of this module."""
    from spacy.tokens import Span

    starts = {token.idx: token.i for token in doc if not token.is_space}
    ends = {token.idx + len(token): token.i + 1 for token in doc if not token.is_space}
    spans = []
    misaligned: list[list[Any]] = []
    for entity in annotation.entities:
        first, beyond = starts.get(entity.start), ends.get(entity.end)
        if first is None or beyond is None:
            reason = CUTS_START if first is None else CUTS_END
            misaligned.append([entity.start, entity.end, entity.label, reason])
            continue
        spans.append(Span(doc, first, beyond, label=entity.label, kb_id=entity.canonical or ""))
    doc.spans[SPAN_GROUP] = spans
    doc.ents = without_overlaps(spans)
    place = {entity.key: i for i, entity in enumerate(annotation.entities)}
    doc.user_data[USER_DATA] = {
        "id": annotation.document_id,
        "entities": [[e.start, e.end, e.label] for e in annotation.entities],
        "relations": [
            [place[r.head.key], place[r.tail.key], r.label] for r in annotation.relations
        ],
        "misaligned": misaligned,
    }
    if annotation.chains:
        doc.user_data[USER_DATA]["chains"] = [
            [place[e.key] for e in chain] for chain in annotation.chains
        ]


def without_overlaps(spans: Sequence[Any]) -> list[Any]:
    """The longest spans that do not overlap; of equal ones the first by start, then label."""
    taken: set[int] = set()
    kept = []
    for span in sorted(spans, key=lambda s: (s.start - s.end, s.start, s.label_)):
        if taken.isdisjoint(range(span.start, span.end)):
            taken.update(range(span.start, span.end))
            kept.append(span)
    return sorted(kept, key=lambda s: s.start)


def relation_spans(doc: Any) -> list[tuple[Any, Any, str]]:
    """``(head span, tail span, label)`` of the relations whose arguments stand on tokens."""
    data = doc.user_data.get(USER_DATA)
    if not data:
        return []
    by_key = {(s.start_char, s.end_char, s.label_): s for s in doc.spans.get(SPAN_GROUP, ())}
    entities = [by_key.get((start, end, label)) for start, end, label in data["entities"]]
    found = []
    for head, tail, label in data["relations"]:
        first, second = entities[head], entities[tail]
        if first is not None and second is not None:
            found.append((first, second, label))
    return found


def annotation_of(doc: Any, source: Source, document_id: str | None = None) -> Annotation:
    """What a ``Doc`` of this form says.

    Where ``user_data`` holds no annotation, the entities are those of the span group, or
    ``doc.ents`` without one.  Raises DataError where the id is unknown.
    """
    data = doc.user_data.get(USER_DATA)
    name = document_id or (data or {}).get("id")
    if name is None:
        raise DataError("the Doc carries no document id")
    names = {
        (s.start_char, s.end_char, s.label_): s.kb_id_ or None
        for s in doc.spans.get(SPAN_GROUP, doc.ents)
    }
    if data is None:
        entities = [Entity(*key, canonical=value) for key, value in names.items()]
        return Annotation.of(name, entities, [], source)
    entities = [
        Entity(start, end, label, canonical=names.get((start, end, label)))
        for start, end, label in data["entities"]
    ]
    relations = [
        Relation(entities[head], entities[tail], label) for head, tail, label in data["relations"]
    ]
    chains = [[entities[i] for i in chain] for chain in data.get("chains", ())]
    return Annotation.of(name, entities, relations, source, chains)


def export(documents: Iterable[GoldDocument], target: Path, *, language: str = "fr") -> Loss:
    """Write one ``.spacy`` file; entities that cut a token stay in ``user_data`` and are told."""
    from spacy.tokens import DocBin

    nlp = blank(language)
    loss = Loss("spacy")
    bin_ = DocBin(attrs=["ENT_IOB", "ENT_TYPE", "ENT_KB_ID"], store_user_data=True)
    for gold in documents:
        annotation = gold.annotation
        loss.saw(annotation)
        doc = to_doc(gold, nlp)
        for start, end, label, reason in doc.user_data[USER_DATA]["misaligned"]:
            loss.add(f"entity misaligned: {reason}", f"{gold.id} {start}:{end}:{label}")
        kept = {(s.start_char, s.end_char, s.label_) for s in doc.ents}
        aligned = {(s.start_char, s.end_char, s.label_) for s in doc.spans[SPAN_GROUP]}
        for entity in annotation.entities:
            if entity.key in aligned - kept:
                loss.add(
                    "entity overlaps a longer one: in the span group, not in doc.ents",
                    f"{gold.id} {entity_id(entity)}",
                )
        scores = sum(e.score is not None for e in annotation.entities)
        scores += sum(r.score is not None for r in annotation.relations)
        loss.add("score not carried", gold.id, scores)
        bin_.add(doc)
    with writing(target, "wb") as stream:
        stream.write(bin_.to_bytes())
    return loss


def read(path: Path, language: str = "fr", source: Source = GOLD) -> Iterator[GoldDocument]:
    """The documents of a ``.spacy`` file that :func:`export` wrote."""
    from spacy.tokens import DocBin

    nlp = blank(language)
    try:
        bin_ = DocBin(store_user_data=True).from_bytes(path.read_bytes())
    except (ValueError, KeyError, EOFError):
        raise DataError("is no file of spaCy's DocBin", path=path) from None
    for doc in bin_.get_docs(nlp.vocab):
        annotation = annotation_of(doc, source)
        data = doc.user_data[USER_DATA]
        document = Document.of(doc.text, id=annotation.document_id, metadata=data.get("meta"))
        yield GoldDocument(document, annotation, split=data.get("split", ""))
