"""brat standoff: a ``.txt`` and a ``.ann`` per document, and ``annotation.conf``.

Written: ``T`` for entities, ``R`` for relations, ``*`` (Equiv) for chains, and a note for the
canonical name.  brat keeps labels to letters, digits, ``_`` and ``-``, and documents to file
names; ``curate.json`` says which document and which label each stands for, so that a folder
written here is read back exactly.  A folder of others is read by its files' names.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from curate.errors import DataError, DiskError
from curate.gold.formats.loss import Loss, file_names
from curate.gold.items import GoldDocument, entity_id
from curate.gold.manifest import pretty
from curate.interchange import Record, check_storable
from curate.model import Annotation, Document, Entity, Relation, Source
from curate.offsets import to_nfc
from curate.schema import LabelSchema

MAP = "curate.json"
_LABEL = re.compile(r"[^A-Za-z0-9_-]")
_BREAK = re.compile(r"[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


def export(
    documents: Iterable[GoldDocument],
    folder: Path,
    *,
    schema: LabelSchema | None = None,
    keep: set[str] | None = None,
) -> Loss:
    """Write a folder of brat's; ``keep`` names the splits wanted (None or empty: all)."""
    loss = Loss("brat")
    chosen = [gold for gold in documents if not keep or gold.split in keep]
    names = file_names([gold.id for gold in chosen])
    labels = _labels(chosen, schema)
    index: dict[str, Any] = {}
    for gold in chosen:
        loss.saw(gold.annotation)
        name = names[gold.id]
        _write(folder / f"{name}.txt", gold.document.text)
        _write(folder / f"{name}.ann", _ann(gold, labels, loss))
        index[name] = {
            "id": gold.id,
            "source": gold.document.source,
            "meta": dict(gold.document.metadata),
            "split": gold.split,
            "group": gold.group,
        }
    (folder / MAP).write_bytes(
        pretty({"documents": index, "labels": {safe: label for label, safe in labels.items()}})
    )
    _write(folder / "annotation.conf", _conf(labels, schema))
    return loss


def _labels(documents: Iterable[GoldDocument], schema: LabelSchema | None) -> dict[str, str]:
    """brat's name for each label, distinct."""
    found: set[str] = set()
    for gold in documents:
        found.update(entity.label for entity in gold.annotation.entities)
        found.update(relation.label for relation in gold.annotation.relations)
    if schema is not None:
        found.update((*schema.entity_labels, *schema.relation_labels))
    safe: dict[str, str] = {}
    taken: set[str] = {label for label in found if not _LABEL.search(label)}
    for label in sorted(found):
        name = _LABEL.sub("_", label)
        number = 1
        while name != label and (name in taken or not name):
            number += 1
            name = f"{_LABEL.sub('_', label)}_{number}"
        taken.add(name)
        safe[label] = name
    return safe


def _ann(gold: GoldDocument, labels: Mapping[str, str], loss: Loss) -> str:
    text = gold.document.text
    names = {entity.key: f"T{i}" for i, entity in enumerate(gold.annotation.entities, start=1)}
    rows = []
    notes: list[str] = []
    for entity in gold.annotation.entities:
        name = names[entity.key]
        parts = _fragments(text, entity)
        spans = ";".join(f"{start} {end}" for start, end in parts)
        shown = _BREAK.sub(" ", " ".join(text[start:end] for start, end in parts))
        rows.append(f"{name}\t{labels[entity.label]} {spans}\t{shown}")
        if entity.canonical is not None:
            line = " ".join(entity.canonical.split())
            if line != entity.canonical:
                loss.add("white space of a canonical name", f"{gold.id} {entity_id(entity)}")
            notes.append(f"#{len(notes) + 1}\tAnnotatorNotes {name}\tcanonical: {line}")
        loss.add("score not carried", f"{gold.id} {name}", entity.score is not None)
    for i, relation in enumerate(gold.annotation.relations, start=1):
        head, tail = names[relation.head.key], names[relation.tail.key]
        rows.append(f"R{i}\t{labels[relation.label]} Arg1:{head} Arg2:{tail}")
        loss.add("score not carried", f"{gold.id} R{i}", relation.score is not None)
    for chain in gold.annotation.chains:
        rows.append(f"*\tEquiv {' '.join(names[e.key] for e in chain)}")
    return "".join(f"{row}\n" for row in (*rows, *notes))


def _fragments(text: str, entity: Entity) -> list[tuple[int, int]]:
    """The span, cut where a line ends: a line of ``.ann`` cannot hold a line break."""
    parts = [
        (entity.start + match.start(), entity.start + match.end())
        for match in re.finditer(
            r"[^\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+", text[entity.start : entity.end]
        )
    ]
    if not parts or parts[0][0] != entity.start or parts[-1][1] != entity.end:
        return [(entity.start, entity.end)] if not parts else _widened(parts, entity)
    return parts


def _widened(parts: list[tuple[int, int]], entity: Entity) -> list[tuple[int, int]]:
    """Fragments that reach to the entity's ends even where it begins or ends on a line break."""
    first, last = parts[0], parts[-1]
    parts[0] = (entity.start, first[1])
    parts[-1] = (parts[-1][0] if len(parts) > 1 else entity.start, max(last[1], entity.end))
    return parts


def _conf(labels: Mapping[str, str], schema: LabelSchema | None) -> str:
    entities = sorted(labels) if schema is None else list(schema.entity_labels)
    lines = ["[entities]", *(labels[label] for label in entities), "", "[relations]"]
    if schema is not None:
        for relation in schema.relations:
            head = "|".join(labels[label] for label in relation.head)
            tail = "|".join(labels[label] for label in relation.tail)
            kind = ", <REL-TYPE>:symmetric" if relation.symmetric else ""
            lines.append(f"{labels[relation.name]}\tArg1:{head}, Arg2:{tail}{kind}")
    lines += ["<OVERLAP>\tArg1:<ENTITY>, Arg2:<ENTITY>, <OVL-TYPE>:<ANY>", "", "[events]", ""]
    return "\n".join([*lines, "[attributes]", ""])


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8"))


def read(
    folder: Path,
    *,
    source: Source,
    on_error: Callable[[DataError], None] | None = None,
    ignored: Counter[str] | None = None,
) -> Iterator[Record]:
    """The documents of a folder of brat's, in order of their files' names.

    ``ignored`` counts lines that have no place here (events, attributes, normalisations, notes of
    others).  Raises DataError with file and line; where ``on_error`` is given it is called instead
    and the document is passed over.
    """
    if not folder.is_dir():
        raise DataError(
            "is no folder; brat keeps a .txt and an .ann file per document", path=folder
        )
    index = _index(folder)
    files = sorted(folder.rglob("*.ann"), key=lambda path: path.relative_to(folder).as_posix())
    if not files:
        raise DataError("holds no .ann file", path=folder)
    seen: dict[str, Path] = {}
    for path in files:
        try:
            record = _record(path, folder, index, source, Counter() if ignored is None else ignored)
            first = seen.setdefault(record.document.id, path)
            if first != path:
                raise DataError(f"document {record.document.id!r} is in {first.name} too")
        except DataError as error:
            if on_error is None:
                raise error.at(path) from None
            on_error(error.at(path))
            continue
        yield record


def _index(folder: Path) -> dict[str, Any]:
    path = folder / MAP
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_bytes())
        _check_index(value)
        return {"documents": dict(value["documents"]), "labels": dict(value["labels"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise DataError("is damaged; export again, or remove it", path=path) from None


def _check_index(value: Any) -> None:
    """Raises ValueError or DataError where it is not of the form that :func:`export` writes."""
    documents, labels = value["documents"], value["labels"]
    if not isinstance(documents, dict) or not isinstance(labels, dict):
        raise ValueError
    for row in documents.values():
        if not isinstance(row, dict) or not isinstance(row.get("meta") or {}, dict):
            raise ValueError
        if not all(isinstance(row.get(key, ""), str) for key in ("id", "source")):
            raise ValueError
        check_storable(row.get("meta") or {}, "'meta'")
        check_storable(row.get("source", ""), "'source'")
    if not all(isinstance(label, str) and label for label in labels.values()):
        raise ValueError
    check_storable(labels, "'labels'")


def _record(
    path: Path, folder: Path, index: Mapping[str, Any], source: Source, ignored: Counter[str]
) -> Record:
    name = path.relative_to(folder).with_suffix("").as_posix()
    known = index.get("documents", {}).get(name, {})
    raw = _text(path.with_suffix(".txt"))
    document = Document.of(
        raw,
        id=known.get("id", name),
        source=known.get("source", ""),
        metadata=known.get("meta"),
    )
    offsets = None if document.text == raw else to_nfc(raw)[1].inverse()
    labels = index.get("labels", {})
    entities: dict[str, Entity] = {}
    links: list[tuple[int, list[str]]] = []
    notes: dict[str, str] = {}
    seen: dict[str, int] = {}
    for number, line in enumerate(_text(path).split("\n"), start=1):
        cells = line.rstrip("\r").split("\t")
        try:
            if not line.strip():
                continue
            if line[0] in "TR":
                first = seen.setdefault(cells[0], number)
                if first != number:
                    raise DataError(f"{cells[0]} stands twice, first on line {first}")
            if line[0] == "T":
                entity = _entity(cells, raw, labels)
                if offsets is not None:
                    mapped = offsets.to_source(entity.start, entity.end)
                    if mapped is None:
                        raise DataError(f"{cells[0]} vanishes when the text is normalised to NFC")
                    entity = Entity(*mapped, entity.label)
                entities[cells[0]] = entity
            elif line[0] in "R*":
                links.append((number, cells))
            elif line[0] == "#" and len(cells) > 2 and cells[2].startswith("canonical: "):
                notes[cells[1].rpartition(" ")[2]] = cells[2][11:]
            else:
                ignored[line[0]] += 1
        except DataError as error:
            raise error.at(path, number) from None
    for key, canonical in notes.items():
        if key in entities:
            e = entities[key]
            entities[key] = Entity(e.start, e.end, e.label, canonical=canonical)
    relations, chains = [], []
    for number, cells in links:
        try:
            if cells[0] == "*":
                chains.append(_equivalent(cells, entities))
            else:
                relations.append(_relation(cells, entities, labels))
        except DataError as error:
            raise error.at(path, number) from None
    kept = list(entities.values())
    annotation = Annotation.of(document.id, kept, relations, source, chains)
    duplicates = len(kept) - len(annotation.entities) + len(relations) - len(annotation.relations)
    return Record(document, annotation, duplicates=duplicates)


def _entity(cells: list[str], text: str, labels: Mapping[str, str]) -> Entity:
    parts = cells[1].split(" ", 1) if len(cells) > 1 else []
    if len(parts) != 2:
        raise DataError(f"{cells[0]} needs a label and offsets")
    spans = []
    for piece in parts[1].split(";"):
        numbers = piece.split()
        if len(numbers) != 2 or not all(n.isdecimal() and len(n) < 16 for n in numbers):
            raise DataError(f"{cells[0]} has offsets {parts[1]!r}")
        spans.append((int(numbers[0]), int(numbers[1])))
    spans.sort()
    for (_, end), (start, _) in pairwise(spans):
        if text[end:start].strip():
            raise DataError(
                f"{cells[0]} is discontinuous ({parts[1]}); an entity is one span, so mend it"
            )
    start, end = spans[0][0], spans[-1][1]
    if not 0 <= start < end <= len(text):
        raise DataError(
            f"{cells[0]} spans {start}–{end}, outside the text of {len(text)} characters"
        )
    if len(cells) > 2 and len(spans) == 1:
        shown, there = "\t".join(cells[2:]), text[start:end]
        if _bare(shown) != _bare(there):
            raise DataError(
                f"{cells[0]} says {shown!r}, but the text has {there!r} at {start}–{end}; "
                "mend the offsets or the words"
            )
    return Entity(start, end, labels.get(parts[0], parts[0]))


def _bare(words: str) -> str:
    """The words in NFC without what is not seen: a line cannot show line breaks as they are."""
    seen = "".join(c for c in words if not c.isspace() and unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFC", seen)


def _relation(
    cells: list[str], entities: Mapping[str, Entity], labels: Mapping[str, str]
) -> Relation:
    parts = cells[1].split() if len(cells) > 1 else []
    arguments = dict(part.split(":", 1) for part in parts[1:] if ":" in part)
    if len(parts) < 3 or set(arguments) != {"Arg1", "Arg2"}:
        raise DataError(f"{cells[0]} needs a label, Arg1 and Arg2")
    return Relation(
        _named(arguments["Arg1"], entities, cells[0]),
        _named(arguments["Arg2"], entities, cells[0]),
        labels.get(parts[0], parts[0]),
    )


def _equivalent(cells: list[str], entities: Mapping[str, Entity]) -> list[Entity]:
    parts = cells[1].split() if len(cells) > 1 else []
    return [_named(name, entities, "Equiv") for name in parts[1:]]


def _named(name: str, entities: Mapping[str, Entity], who: str) -> Entity:
    if name not in entities:
        raise DataError(f"{who} names {name}, which is no entity of the file")
    return entities[name]


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise DataError("is missing beside its .ann file", path=path) from None
    except UnicodeDecodeError:
        raise DataError("is not UTF-8; save it as UTF-8", path=path) from None
    except OSError as error:
        raise DiskError(f"cannot be read: {error.strerror}", path=path) from None
