"""The data card of a release (README.md, with the front matter of the Hugging Face hub) and its
changelog.  Everything shown comes from the manifest's facts, so that ``verify`` can render both
again and compare.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from curate.gold import manifest as names
from curate.gold.items import SPLITS
from curate.gold.manifest import Manifest
from curate.schema import LabelSchema

TEMPLATES = (1, 2)
"""The forms of card that can be written and verified; the second also tells words per split and
how many relations cross sentences.  A release says which is its own."""
TEMPLATE = TEMPLATES[-1]

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))


@dataclass(frozen=True)
class CardInfo:
    """What people say about their corpus; the rest of the card is counted.

    ``license`` is an identifier of the Hugging Face hub (``cc-by-4.0``, ``other``, ``unknown``);
    ``template`` one of :data:`TEMPLATES`, an older one to rebuild an older release to the byte.
    """

    title: str = ""
    license: str = "unknown"
    summary: str = ""
    homepage: str = ""
    authors: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    template: int = TEMPLATE

    def as_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = {"template": self.template, "license": self.license}
        for key in ("title", "summary", "homepage"):
            if getattr(self, key):
                record[key] = getattr(self, key)
        for key in ("authors", "limits", "tags"):
            if getattr(self, key):
                record[key] = list(getattr(self, key))
        return record

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> CardInfo:
        return cls(
            title=str(value.get("title", "")),
            license=str(value.get("license", "unknown")),
            summary=str(value.get("summary", "")),
            homepage=str(value.get("homepage", "")),
            authors=tuple(map(str, value.get("authors", ()))),
            limits=tuple(map(str, value.get("limits", ()))),
            tags=tuple(map(str, value.get("tags", ()))),
        )


@dataclass(frozen=True)
class ReleaseChanges:
    """What the changelog of one release says."""

    counts: Mapping[str, int] = field(default_factory=dict)
    repackaged: Sequence[str] = ()
    examples: Sequence[Mapping[str, Any]] = ()
    notes: str = ""


def render_card(manifest: Manifest, schema: LabelSchema) -> str:
    """README.md of the release."""
    info = CardInfo.of(manifest.card)
    title = info.title or schema.title or manifest.corpus
    sections = [
        front_matter(manifest, schema, _release_files(manifest)),
        f"# {plain(title)}\n",
        plain(info.summary) + "\n" if info.summary else _summary(manifest, schema),
        _counts(manifest),
        _labels(
            "Entities",
            [(e.name, e.title, e.definition) for e in schema.entities],
            manifest.counts["entity_labels"],
        ),
        _labels(
            "Relations",
            [(r.name, r.title, _arguments(r)) for r in schema.relations],
            manifest.counts["relation_labels"],
            manifest.counts.get("across_sentences"),
        )
        if schema.relations
        else "",
        _splits(manifest),
        _decisions(manifest),
        _agreement(manifest),
        _files(manifest),
        _limits(info, manifest),
        _citation(manifest, info, title),
    ]
    return "\n".join(section for section in sections if section)


def _release_files(manifest: Manifest) -> dict[str, dict[str, str]]:
    """The files that readers of the hub may open; an empty one cannot be."""
    files = {"documents": names.DOCUMENTS, "entities": names.ENTITIES, "relations": names.RELATIONS}
    return {
        config: {"release": name}
        for config, name in files.items()
        if name in manifest.files and manifest.files[name].lines
    }


def front_matter(
    manifest: Manifest,
    schema: LabelSchema,
    files: Mapping[str, Mapping[str, str]],
    features: Mapping[str, Any] | None = None,
) -> str:
    """The YAML block that the hub reads.

    ``files`` are, per configuration, its splits' files, ``features`` its columns.
    """
    import yaml

    info = CardInfo.of(manifest.card)
    documents = int(manifest.counts["documents"])
    matter: dict[str, Any] = {
        "language": [schema.language] if schema.language != "xx" else ["multilingual"],
        "license": info.license,
        "pretty_name": info.title or schema.title or manifest.corpus,
        "size_categories": [next((name for top, name in _SIZES if documents < top), "n>1M")],
        "task_categories": ["token-classification"],
        "task_ids": ["named-entity-recognition"],
        "tags": [*info.tags, "named-entity-recognition", "relation-extraction"]
        if schema.relations
        else [*info.tags, "named-entity-recognition"],
        "configs": [
            {
                "config_name": config,
                **({"default": True} if config == next(iter(files)) else {}),
                "data_files": [{"split": split, "path": path} for split, path in parts.items()],
            }
            for config, parts in files.items()
        ],
    }
    if features:
        found = [{"config_name": name, "features": list(rows)} for name, rows in features.items()]
        matter["dataset_info"] = found[0] if len(found) == 1 else found
    text = yaml.safe_dump(matter, allow_unicode=True, sort_keys=False, width=1000)
    return f"---\n{text}---\n"


def _summary(manifest: Manifest, schema: LabelSchema) -> str:
    return (
        f"Gold annotations of {len(schema.entities)} entity labels and {len(schema.relations)} "
        f"relation types: version {manifest.version} of the corpus `{manifest.corpus}`.\n"
    )


def _counts(manifest: Manifest) -> str:
    counts = manifest.counts
    rows = [
        [key, number(counts[key])]
        for key in ("documents", "groups", "words", "characters", "entities", "relations", "chains")
    ]
    return "## In numbers\n\n" + table(["", "count"], rows)


def _labels(
    heading: str,
    types: Sequence[tuple[str, str, str]],
    counts: Mapping[str, Mapping[str, int]],
    across: Mapping[str, int] | None = None,
) -> str:
    rows = []
    told = None if across is None else ["across sentences"]
    for name, title, definition in types:
        found = counts.get(name, {})
        rows.append(
            [
                f"`{name}`",
                plain(" — ".join(part for part in (title, definition) if part)),
                *(number(found.get(split, 0)) for split in SPLITS),
                number(sum(found.values())),
                *([] if across is None else [_share(across.get(name, 0), sum(found.values()))]),
            ]
        )
    text = f"## {heading}\n\n" + table(["label", "meaning", *SPLITS, "all", *(told or [])], rows)
    if across:
        part, whole = sum(across.values()), sum(sum(n.values()) for n in counts.values())
        text += (
            f"\nOf all {number(whole)}, {number(part)} ({_share(part, whole)}) join mentions "
            "that stand in different sentences.\n"
        )
    return text


def _share(part: int, whole: int) -> str:
    return f"{percent(part * 1_000_000 // whole)} %" if whole else "n/a"


def _arguments(relation: Any) -> str:
    arrow = "↔" if relation.symmetric else "→"
    legal = f"{', '.join(relation.head)} {arrow} {', '.join(relation.tail)}"
    if relation.same_label:
        legal += " (same label)"
    return f"{legal}. {relation.definition}" if relation.definition else legal


def _splits(manifest: Manifest) -> str:
    rule, per_split = manifest.splits, manifest.counts["per_split"]
    keys = [
        key for key in ("documents", "words", "entities", "relations") if key in per_split["train"]
    ]
    rows = [[split, *(number(per_split[split][key]) for key in keys)] for split in SPLITS]
    if rule["method"] == "date":
        how = "by date, the newest documents in test"
        if rule.get("boundaries"):
            how += f" (dev from {rule['boundaries'][0]}, test from {rule['boundaries'][1]})"
    else:
        how = "by a salted hash of the near-duplicate group"
    text = (
        "## Splits\n\n"
        f"Documents are assigned {how}; near duplicates stay together, and a document keeps its "
        "split in every later version.\n\n" + table(["split", *keys], rows)
    )
    if manifest.quarantined:
        text += (
            f"\n{len(manifest.quarantined)} documents were left out because they would bridge two "
            f"splits: {', '.join(code(key) for key in list(manifest.quarantined)[:20])}.\n"
        )
    return text


def _decisions(manifest: Manifest) -> str:
    rows = [[plain(rule), number(count)] for rule, count in sorted(manifest.rules.items())]
    return (
        "## How it was decided\n\n"
        "`provenance.jsonl` says of every entity and relation which model proposed it, what each "
        "pseudonymous annotator did, and who or what decided.\n\n"
        + table(["decided by", "documents"], rows)
    )


def _agreement(manifest: Manifest) -> str:
    found = manifest.agreement
    if not found:
        return "## Agreement\n\nUnknown: no document carries the marks of two annotators.\n"
    rows = [["entities", percent(found["entities"])], ["relations", percent(found["relations"])]]
    rows += [[f"`{label}`", percent(value)] for label, value in sorted(found["per_label"].items())]
    return (
        "## Agreement\n\n"
        f"Mean pairwise strict F1 of {len(found['annotators'])} annotators on "
        f"{number(found['documents'])} documents, before any decision.\n\n"
        + table(["", "F1"], rows)
    )


def _files(manifest: Manifest) -> str:
    rows = [
        [f"`{name}`", number(manifest.files[name].lines)]
        for name in (*names.DATA, names.PROVENANCE)
        if name in manifest.files
    ]
    return (
        "## Files\n\n" + table(["file", "lines"], rows) + "\n"
        f"Offsets are {names.OFFSETS}. An entity's id is `start:end:label`; relations name their "
        "arguments by it. Scores are whole millionths. `manifest.json` holds the SHA-256 of every "
        "file and one root digest; `curate gold verify` checks them.\n"
    )


def _limits(info: CardInfo, manifest: Manifest) -> str:
    limits = [plain(limit) for limit in info.limits]
    for kind, key in (("entity label", "entity_labels"), ("relation type", "relation_labels")):
        rare = sorted(
            label for label, found in manifest.counts[key].items() if sum(found.values()) < 20
        )
        if rare:
            limits.append(
                f"Fewer than 20 examples of the {kind}s {', '.join(code(name) for name in rare)}: "
                "scores on them say little."
            )
    if not manifest.agreement:
        limits.append("Nobody annotated twice: how reliable the labels are is not measured.")
    if manifest.counts["per_split"]["test"]["documents"] < 50:
        limits.append(
            f"The test split has {manifest.counts['per_split']['test']['documents']} documents: "
            "differences between models need an interval to mean anything."
        )
    return "## Known limits\n\n" + "".join(f"- {limit}\n" for limit in limits or ["None recorded."])


def _citation(manifest: Manifest, info: CardInfo, title: str) -> str:
    key = re.sub(r"[^a-z0-9]", "", manifest.corpus)
    fields = [f"  title = {{{_bibtex(title)}}}", f"  version = {{{manifest.version}}}"]
    if info.authors:
        fields.insert(0, f"  author = {{{' and '.join(map(_bibtex, info.authors))}}}")
    if info.homepage:
        fields.append(f"  url = {{{_bibtex(info.homepage)}}}")
    body = ",\n".join(fields)
    return (
        "## How to cite\n\n"
        "Name the corpus, the version and the first 12 digits of the root digest in "
        "`manifest.json`.\n\n"
        f"```bibtex\n@misc{{{key}{manifest.version.replace('.', '')},\n{body}\n}}\n```\n"
    )


def render_changelog(manifest: Manifest, changes: ReleaseChanges, older: str) -> str:
    """CHANGELOG.md: this release's section above those of ``older``, the parent's changelog."""
    head = f"# Changelog of {manifest.corpus}\n\n"
    section = f"## {manifest.version}\n\n"
    if changes.notes:
        section += plain(changes.notes) + "\n\n"
    if manifest.parent is None:
        counts = manifest.counts
        section += (
            f"The first release: {number(counts['documents'])} documents, "
            f"{number(counts['entities'])} entities, {number(counts['relations'])} relations.\n"
        )
    else:
        section += f"Since {manifest.parent['version']}:\n\n"
        section += "".join(
            f"- {kind.replace('_', ' ')}: {number(count)}\n"
            for kind, count in changes.counts.items()
        )
        if changes.repackaged:
            section += f"- repackaged: {', '.join(changes.repackaged)}\n"
        if changes.examples:
            section += "\n"
            for example in changes.examples:
                section += f"- {_example(example)}\n"
            if sum(changes.counts.values()) > len(changes.examples):
                section += f"- … all {number(sum(changes.counts.values()))} are in `CHANGES.json`\n"
    rest = older.removeprefix(head)
    return head + section + ("\n" + rest if rest else "")


def _example(change: Mapping[str, Any]) -> str:
    where = f"{code(change['document'])}: " if change.get("document") else ""
    text = f"{where}{change['kind'].replace('_', ' ')}"
    sides = [_named(change.get(side)) for side in ("old", "new")]
    if change["kind"] not in ("document_added", "document_removed", "schema_changed"):
        shown = " → ".join(side for side in sides if side)
        text += f" {shown}" if shown else ""
    return text


def _named(side: Any) -> str:
    if isinstance(side, list):
        return " + ".join(_named(item) for item in side)
    if isinstance(side, Mapping) and "label" in side:
        return f"{plain(str(side.get('text', '')))} ({plain(str(side['label']))})"
    return plain(str(side)) if isinstance(side, str) else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the columns after the first two are numbers."""
    marks = ["---"] * len(head)
    lines = [head, marks, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def plain(text: str) -> str:
    """Text on one line that Markdown and HTML leave as it is."""
    line = " ".join(text.split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", line)


def code(text: str) -> str:
    """Text as code; a backtick or a bar cannot stand in it."""
    return "`" + " ".join(text.split()).replace("`", "'").replace("|", "¦") + "`"


def number(value: int) -> str:
    return f"{value:,}".replace(",", "\u202f") if value >= 10_000 else str(value)


def percent(millionths: int | None) -> str:
    """Millionths as a percentage with one digit, without floats."""
    if millionths is None:
        return "n/a"
    tenths = (millionths + 500) // 1000
    return f"{tenths // 10}.{tenths % 10}"


def _bibtex(text: str) -> str:
    return re.sub(r"[{}\\]", "", " ".join(text.split()))
