"""How each item of a document came about, told as a person would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from curate.gold.items import GoldDocument, entity_id, parse_entity_id, relation_id

_DID = {
    "marked": "marked it",
    "accepted": "accepted it",
    "relabelled": "gave it this label",
    "moved": "moved it here",
    "changed": "moved and relabelled it",
    "split": "split it off",
    "merged": "merged it",
    "turned": "turned it round",
    "added": "added it",
    "missed": "did not mark it",
}
_OTHERWISE = {
    "label": "gave it another label",
    "boundary": "set other bounds",
    "label_boundary": "set other bounds and another label",
    "split": "marked it in pieces",
    "merge": "marked it as part of a longer one",
    "type": "gave it another type",
    "direction": "drew it the other way",
    "argument": "drew it to another mention",
}


@dataclass(frozen=True, slots=True)
class Story:
    """One item and how it came about; ``rejected`` ones are not in the release."""

    kind: str
    id: str
    text: str
    told: tuple[str, ...]
    rejected: bool
    facts: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "id": self.id,
            "text": self.text,
            "rejected": self.rejected,
            "told": list(self.told),
            **self.facts,
        }


@dataclass(frozen=True, slots=True)
class Blame:
    """The stories of a document: of itself (``head``), of its items, of what was rejected."""

    document: str
    head: tuple[str, ...]
    items: tuple[Story, ...]


def blame(gold: GoldDocument, provenance: Mapping[str, Any]) -> Blame:
    """Tell the provenance of a document of a release."""
    text = gold.document.text
    decided = provenance["decided"]
    stories = []
    for entity in gold.annotation.entities:
        key = entity_id(entity)
        facts = provenance["entities"].get(key, {})
        shown = f"{_surface(text, key)} [{entity.label}] {entity.start}–{entity.end}"
        stories.append(Story("entity", key, shown, _told(facts, decided, text), False, facts))
    for relation in gold.annotation.relations:
        key = relation_id(relation)
        facts = provenance["relations"].get(key, {})
        stories.append(
            Story("relation", key, _relation(text, key), _told(facts, decided, text), False, facts)
        )
    rejected = provenance.get("rejected") or {}
    for key, facts in sorted((rejected.get("entities") or {}).items()):
        start, end, label = parse_entity_id(key)
        shown = f"{_surface(text, key)} [{label}] {start}–{end}"
        stories.append(Story("entity", key, shown, _told(facts, None, text), True, facts))
    for key, facts in sorted((rejected.get("relations") or {}).items()):
        stories.append(
            Story("relation", key, _relation(text, key), _told(facts, None, text), True, facts)
        )
    return Blame(gold.id, _head(provenance), tuple(stories))


def _head(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    lines = [f"decided by {_who(provenance['decided'])}"]
    if provenance.get("task") is not None:
        lines.append(f"Label Studio task {provenance['task']}")
    for row in provenance.get("annotations") or ():
        parts = [f"annotated by {row['annotator']}"]
        if row.get("annotation") is not None:
            parts.append(f"annotation {row['annotation']}")
        saw = row.get("saw")
        parts.append(f"who saw a prediction of {saw}" if saw else "who saw no prediction")
        if row.get("lead_ms") is not None:
            parts.append(f"in {round(row['lead_ms'] / 1000)} s")
        lines.append(", ".join(parts))
    return tuple(lines)


def _told(
    facts: Mapping[str, Any], decided: Mapping[str, Any] | None, text: str
) -> tuple[str, ...]:
    lines = []
    for row in facts.get("models") or ():
        score = row.get("score_millionths")
        sure = "" if score is None else f" with {score / 1_000_000:.2f}"
        if row.get("as"):
            shown = " + ".join(_any(text, key) for key in row["as"])
            lines.append(f"{row['model']} proposed {shown}{sure}")
        else:
            lines.append(f"{row['model']} proposed it{sure}")
    for name, did in sorted((facts.get("annotators") or {}).items()):
        if "marked" in did:
            shown = " + ".join(_any(text, key) for key in did["marked"])
            lines.append(f"{name} {_OTHERWISE.get(did['did'], did['did'])}: {shown}")
        else:
            lines.append(f"{name} {_DID.get(did['did'], did['did'])}")
    own = facts.get("decided")
    if own is not None:
        lines.append(f"decided by {_who(own)}")
    elif decided is None:
        lines.append("was not taken")
    return tuple(lines)


def _who(decided: Mapping[str, Any]) -> str:
    name = str(decided["name"])
    if decided["by"] == "consensus":
        return f"the consensus rule {name}"
    reason = f" ({decided['reason']})" if decided.get("reason") else ""
    return f"curator {name}{reason}"


def _any(text: str, key: str) -> str:
    if ">" in key:
        return _relation(text, key)
    return f"{_surface(text, key)} [{parse_entity_id(key)[2]}]"


def _surface(text: str, key: str) -> str:
    start, end, _ = parse_entity_id(key)
    return " ".join(text[start:end].split())


def _relation(text: str, key: str) -> str:
    head, label, tail = key.split(">")
    return f"{_surface(text, head)} —{label}→ {_surface(text, tail)}"
