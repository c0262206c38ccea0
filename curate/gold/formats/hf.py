"""A folder that ``datasets.load_dataset`` opens offline, splits included, with Croissant metadata.

``data/<split>.jsonl`` holds a document a line: ``id``, ``text``, ``group``, ``source``, ``meta``
(JSON text), ``entities`` (``id``, ``start``, ``end``, ``label``, ``text``, ``canonical``),
``relations`` (``head``, ``tail`` as positions in ``entities``, and ``label``), ``chains``
(positions), and ``tokens`` with their BIO ``tags``.  README.md is the data card with the features
declared, so that an empty list keeps its type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.gold.card import front_matter, plain, render_card
from curate.gold.formats.conll import bio
from curate.gold.formats.loss import Loss, writing
from curate.gold.items import GoldDocument, entity_id
from curate.gold.lines import encode
from curate.gold.manifest import FileEntry, Manifest, entry_of, pretty
from curate.gold.opening import GoldSet
from curate.schema import LabelSchema
from curate.tokenization import tokenize


def export(
    gold: GoldSet,
    folder: Path,
    *,
    schema: LabelSchema | None,
    splits: Sequence[str],
    language: str = "fr",
) -> Loss:
    """Write the folder; without splits (an interchange file) everything is ``train``."""
    loss = Loss("hf")
    files: dict[str, str] = {}
    for split in splits or (None,):
        path = folder / "data" / f"{split or 'train'}.jsonl"
        count = 0
        with writing(path) as stream:
            for item in gold.documents(split):
                loss.saw(item.annotation)
                stream.write(encode(_row(item, language, loss)) + "\n")
                count += 1
        if count:
            files[split or "train"] = f"data/{path.name}"
        else:
            path.unlink()
    if gold.release is not None:
        manifest, known = gold.release.manifest, gold.release.schema
    else:
        known = schema or LabelSchema(name=gold.path.stem, entities=())
        manifest = _manifest(gold, known, loss)
    card = render_card(manifest, known)
    body = card.split("---\n", 2)[2]
    matter = front_matter(manifest, known, {"default": files}, {"default": FEATURES})
    if gold.release is None:
        body = (
            f"\n# {plain(gold.path.stem)}\n\n"
            f"Exported from an interchange file: {loss.documents} documents.\n"
        )
    with writing(folder / "README.md") as stream:
        stream.write(matter + body)
    entries = {path: entry_of(folder / path) for path in files.values()}
    with writing(folder / "croissant.json", "wb") as stream:
        stream.write(pretty(croissant(manifest, known, files, entries)))
    return loss


FEATURES: list[dict[str, Any]] = [
    {"name": "id", "dtype": "string"},
    {"name": "text", "dtype": "string"},
    {"name": "source", "dtype": "string"},
    {"name": "group", "dtype": "string"},
    {"name": "meta", "dtype": "string"},
    {
        "name": "entities",
        "list": [
            {"name": "id", "dtype": "string"},
            {"name": "start", "dtype": "int64"},
            {"name": "end", "dtype": "int64"},
            {"name": "label", "dtype": "string"},
            {"name": "text", "dtype": "string"},
            {"name": "canonical", "dtype": "string"},
        ],
    },
    {
        "name": "relations",
        "list": [
            {"name": "head", "dtype": "int64"},
            {"name": "tail", "dtype": "int64"},
            {"name": "label", "dtype": "string"},
        ],
    },
    {"name": "chains", "list": {"list": "int64"}},
    {"name": "tokens", "list": "string"},
    {"name": "tags", "list": "string"},
]
"""The columns, as the front matter of a dataset's card declares them."""


def _row(gold: GoldDocument, language: str, loss: Loss) -> dict[str, Any]:
    text = gold.document.text
    annotation = gold.annotation
    place = {entity.key: i for i, entity in enumerate(annotation.entities)}
    tokens = tokenize(text, language)
    tags = Loss("tags")
    row = {
        "id": gold.id,
        "text": text,
        "source": gold.document.source,
        "group": gold.group,
        "meta": encode(dict(gold.document.metadata)),
        "entities": [
            {
                "id": entity_id(e),
                "start": e.start,
                "end": e.end,
                "label": e.label,
                "text": text[e.start : e.end],
                "canonical": e.canonical,
            }
            for e in annotation.entities
        ],
        "relations": [
            {"head": place[r.head.key], "tail": place[r.tail.key], "label": r.label}
            for r in annotation.relations
        ],
        "chains": [[place[e.key] for e in chain] for chain in annotation.chains],
        "tokens": [text[start:end] for start, end in tokens],
        "tags": bio(gold, tokens, tags),
    }
    for reason, count in tags.lost.items():
        loss.add(f"{reason}: not in tags", tags.examples[reason][0], count)
    scores = sum(e.score is not None for e in annotation.entities)
    scores += sum(r.score is not None for r in annotation.relations)
    loss.add("score not carried", gold.id, scores)
    return row


def _manifest(gold: GoldSet, schema: LabelSchema, loss: Loss) -> Manifest:
    """What the card's front matter needs of a set that is no release."""
    none = {"documents": 0, "entities": 0, "relations": 0}
    counts = {
        "documents": loss.documents,
        "groups": loss.documents,
        "words": 0,
        "characters": 0,
        "entities": loss.entities,
        "relations": loss.relations,
        "chains": loss.chains,
        "per_split": {"train": none, "dev": none, "test": none},
        "entity_labels": {},
        "relation_labels": {},
    }
    return Manifest(
        corpus=re.sub(r"[^a-z0-9_-]", "-", gold.path.stem.lower()) or "corpus",
        version="0.0.0",
        parent=None,
        files={},
        counts=counts,
        splits={"method": "hash"},
        schema={"name": schema.name},
        rules={},
    )


def croissant(
    manifest: Manifest,
    schema: LabelSchema,
    files: Mapping[str, str],
    entries: Mapping[str, FileEntry],
) -> dict[str, Any]:
    """The Croissant description (version 1.0) of the folder's files."""
    title = str(manifest.card.get("title") or schema.title or manifest.corpus)
    record: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": manifest.corpus,
        "description": f"{title}: gold entities and relations, version {manifest.version}.",
        "version": manifest.version,
        "license": str(manifest.card.get("license", "unknown")),
        "url": str(manifest.card.get("homepage") or f"urn:curate:{manifest.corpus}"),
        "citeAs": f"{title}, version {manifest.version}",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": path,
                "name": split,
                "contentUrl": path,
                "contentSize": f"{entries[path].bytes} B",
                "encodingFormat": "application/jsonlines",
                "sha256": entries[path].sha256,
            }
            for split, path in files.items()
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": split,
                "name": split,
                "field": [
                    {
                        "@type": "cr:Field",
                        "@id": f"{split}/{column}",
                        "name": column,
                        "dataType": "sc:Text",
                        "source": {
                            "fileObject": {"@id": path},
                            "extract": {"column": column},
                        },
                    }
                    for column in ("id", "text", "source", "group", "meta")
                ],
            }
            for split, path in files.items()
        ],
    }
    return record


_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
