"""The file forms, field by field, as pydantic models.

docs/forms.md and docs/schemas/*.json are made from them; a contract test holds them to the files
that curate writes and to what its readers take.  The readers themselves do without them: they
give better sentences, and are faster.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_Offset = Annotated[int, Field(ge=0)]
_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Score = Annotated[float, Field(ge=0, le=1)]
_Millionths = Annotated[int, Field(ge=0, le=1_000_000)]
_Split = Literal["train", "dev", "test"]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Mention(_Form):
    """A mention in a record."""

    id: str | None = Field(
        default=None, description="Local to the record; needed where a relation names it."
    )
    start: _Offset = Field(description="First code point of the span.")
    end: _Offset = Field(description="Code point after the span's last.")
    label: str = Field(description="The entity label.")
    canonical: str | None = Field(default=None, description="The name of the thing meant.")
    score: _Score | None = Field(default=None, description="The model's confidence.")


class Link(_Form):
    """A relation in a record."""

    head: str = Field(description="Id of the first argument.")
    tail: str = Field(description="Id of the second argument.")
    label: str = Field(description="The relation type.")
    score: _Score | None = Field(default=None, description="The model's confidence.")


class Record(_Form):
    """A line of an interchange file: predictions, corrections and gold alike."""

    text: str = Field(description="The whole text; offsets count into it as it stands here.")
    id: str | None = Field(
        default=None, description="Default: first 16 hex digits of the text's SHA-256."
    )
    entities: list[Mention] = Field(default=[], description="The mentions, in any order.")
    relations: list[Link] = Field(default=[], description="The relations, in any order.")
    chains: list[list[str]] = Field(
        default=[], description="Coreference chains, as ids of mentions."
    )
    meta: dict[str, Any] | None = Field(
        default=None, description="Anything; `source`, `date` and `split` are known."
    )
    source: str | None = Field(default=None, description="Where the text comes from.")


class ReleaseDocument(_Form):
    """A line of a release's `documents.jsonl`."""

    id: str = Field(description="The document's id.")
    text: str = Field(description="The text, in NFC; it never changes under this id.")
    source: str = Field(description="Where it comes from.")
    group: str = Field(description="The near-duplicate group, named after its smallest id.")
    split: _Split = Field(description="A group is never parted.")
    meta: dict[str, Any] | None = Field(default=None, description="Metadata; no floats.")


class ReleaseEntity(_Form):
    """A line of a release's `entities.jsonl`."""

    document: str = Field(description="The document's id.")
    id: str = Field(description="`start:end:label`.", pattern="^[0-9]+:[0-9]+:.+$")
    start: _Offset = Field(description="First code point of the span.")
    end: _Offset = Field(description="Code point after the span's last.")
    label: str = Field(description="The entity label.")
    text: str = Field(description="The words of the span.")
    canonical: str | None = Field(default=None, description="The name of the thing meant.")
    score_millionths: _Millionths | None = Field(default=None, description="A model's confidence.")


class ReleaseRelation(_Form):
    """A line of a release's `relations.jsonl`."""

    document: str = Field(description="The document's id.")
    head: str = Field(description="Id of the first argument; of a symmetric type, the earlier.")
    tail: str = Field(description="Id of the second argument.")
    label: str = Field(description="The relation type.")
    score_millionths: _Millionths | None = Field(default=None, description="A model's confidence.")


class ReleaseChain(_Form):
    """A line of a release's `chains.jsonl`, which is there only if there are chains."""

    document: str = Field(description="The document's id.")
    mentions: list[str] = Field(description="Ids of entities.")


class Decided(_Form):
    """Who decided."""

    by: Literal["consensus", "curator"] = Field(description="A rule or a person.")
    name: str = Field(description="The rule, or the curator's pseudonym.")


class Proposal(_Form):
    """What a model had proposed."""

    model: str = Field(description="`name@version`.")
    score_millionths: _Millionths | None = Field(default=None, description="Its confidence.")
    as_: list[str] | None = Field(
        default=None, alias="as", description="Ids of what it proposed instead, where that differs."
    )


class Verdict(_Form):
    """What an annotator did with an item."""

    did: str = Field(
        description="`marked`, `accepted`, `relabelled`, `moved`, `changed`, `split`, `merged`, "
        "`turned`, `added`; of an item that is not theirs `missed`, or how theirs differs."
    )
    marked: list[str] | None = Field(
        default=None, description="Ids of what they marked in its place."
    )


class Provenance(_Form):
    """A line of a release's `provenance.jsonl`: how a document or an item came about."""

    document: str = Field(description="The document's id.")
    item: Literal["document", "entity", "relation"] = Field(description="What the line is about.")
    id: str | None = Field(default=None, description="The item's id; absent for a document.")
    decided: Decided | None = Field(default=None, description="Who decided.")
    rejected: bool | None = Field(
        default=None, description="True: an annotator marked it and the decision left it out."
    )
    models: list[Proposal] | dict[str, str] | None = Field(
        default=None,
        description="Of an item: who proposed it. Of a document: each model that annotators saw, "
        "with its digest.",
    )
    annotators: dict[str, Verdict] | None = Field(
        default=None, description="Pseudonym → what they did with the item."
    )
    annotations: list[dict[str, Any]] | None = Field(
        default=None,
        description="Of a document: `annotator`, Label Studio's `annotation`, the model they "
        "`saw`, `lead_ms`.",
    )
    task: int | None = Field(default=None, description="Label Studio's task.")
    review: dict[str, Any] | None = Field(
        default=None,
        description="Of a document a curator decided: the `reason` it was queued for, the `points` "
        "that were open with every claim, the curator's `why`, Label Studio's `task` and "
        "`annotation`, `lead_ms`.",
    )


class FileEntry(_Form):
    """A file of a release."""

    bytes: int = Field(description="Its size.")
    lines: int = Field(description="Its lines.")
    sha256: _Digest = Field(description="Its digest.")


class Manifest(_Form):
    """A release's `manifest.json`."""

    format: str = Field(description="`curate-gold/1`.")
    corpus: str = Field(description="The corpus's name.")
    version: str = Field(description="major.minor.patch.", pattern=r"^\d+\.\d+\.\d+$")
    parent: dict[str, Any] | None = Field(description="Version and digest of the one before.")
    digest: _Digest = Field(
        description="SHA-256 of the canonical JSON of everything else in this file."
    )
    files: dict[str, FileEntry] = Field(description="Every other file of the release.")
    counts: dict[str, Any] = Field(
        description="Documents, groups, words, characters, entities, relations, chains; per split "
        "and per label; relations across sentences."
    )
    splits: dict[str, Any] = Field(description="How the splits were drawn.")
    rules: dict[str, int] = Field(description="Documents by who or what decided them.")
    agreement: dict[str, Any] | None = Field(
        description="Mean pairwise strict F1 of annotators, in millionths; null without two."
    )
    schema_: dict[str, Any] = Field(alias="schema", description="Name, version, digest.")
    card: dict[str, Any] = Field(description="What people say of their corpus.")
    offsets: str = Field(description="The unit of offsets, in words.")
    quarantined: dict[str, Any] = Field(description="What was left out as it did not fit.")
    retired: dict[str, Any] = Field(description="Documents taken out of the corpus.")


class Change(_Form):
    """A change in a release's `CHANGES.json`."""

    kind: str = Field(description="`document_added`, `entity_label`, `relation_removed`, …")
    document: str | None = Field(default=None, description="The document's id.")
    old: Any = Field(default=None, description="What stood there before.")
    new: Any = Field(default=None, description="What stands there now.")
    context: str | None = Field(default=None, description="The text around, the place in `[[ ]]`.")


class Changes(_Form):
    """A release's `CHANGES.json`."""

    bump: Literal["major", "minor", "patch"] | None = Field(
        description="What the changes call for; null for a first release."
    )
    counts: dict[str, int] = Field(description="Changes by kind.")
    changes: list[Change] = Field(description="All of them, a line each.")
    from_: str | None = Field(alias="from", description="The version before.")
    to: str = Field(description="This version.")
    notes: str = Field(description="What whoever published it wanted to say.")
    repackaged: list[str] = Field(description="Files that differ though the data do not.")


class Loss(_Form):
    """What an export could not carry: `LOSS.json` of a folder, `FILE.loss.json` beside a file."""

    format: str = Field(description="The format written.")
    documents: int = Field(description="Documents written.")
    entities: int = Field(description="Entities of these documents.")
    relations: int = Field(description="Relations of these documents.")
    chains: int = Field(description="Chains of these documents.")
    lost: dict[str, int] = Field(description="Reason → how many items were not carried.")
    examples: dict[str, list[str]] = Field(description="Reason → a few of them.")


class RequestDocument(_Form):
    """A document for a remote model."""

    id: str = Field(description="The document's id.")
    text: str = Field(description="Its text.")


class ExtractorRequest(_Form):
    """What `--model URL` posts."""

    documents: list[RequestDocument] = Field(description="At most 16.")


class AnswerAnnotation(_Form):
    """What a remote model says of a document."""

    id: str = Field(description="The document's id.")
    entities: list[Mention] = Field(default=[], description="The mentions.")
    relations: list[Link] = Field(default=[], description="The relations.")


class ExtractorAnswer(_Form):
    """What a remote model answers."""

    annotations: list[AnswerAnnotation] = Field(description="One for each document asked about.")


FORMS: dict[str, type[BaseModel]] = {
    "interchange": Record,
    "release-document": ReleaseDocument,
    "release-entity": ReleaseEntity,
    "release-relation": ReleaseRelation,
    "release-chain": ReleaseChain,
    "release-provenance": Provenance,
    "release-manifest": Manifest,
    "release-changes": Changes,
    "export-loss": Loss,
    "extractor-request": ExtractorRequest,
    "extractor-answer": ExtractorAnswer,
}
"""Name of the JSON Schema → its model."""


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a form."""
    made = FORMS[name].model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name} | made
