"""Building and publishing a release, a document at a time.

The data files are written in order of document id into a temporary folder beside the releases and
compared with the parent as they are written; the version follows from the difference, and the
folder is renamed when every byte of it is on the disk.  A published version is never touched.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

from curate.errors import DataError, UsageError
from curate.gold import manifest as names
from curate.gold.card import CardInfo, ReleaseChanges, render_card, render_changelog
from curate.gold.diff import Change, DiffTally, diff_blocks, diff_schemas
from curate.gold.facts import Facts
from curate.gold.items import SPLITS, Decided, GoldDocument, canonical, portable_source
from curate.gold.lines import (
    chain_lines,
    document_line,
    encode,
    entity_lines,
    parse,
    relation_lines,
)
from curate.gold.manifest import FileEntry, Manifest
from curate.gold.provenance import decided_by, provenance_lines
from curate.gold.reading import Block, Release
from curate.gold.splits import Member, Place, SplitPlan, SplitRule, assign
from curate.gold.versions import FIRST, Bump, Version, check_corpus, published
from curate.schema import LabelSchema

EXAMPLES = 40
"""Changes that the changelog shows one by one; CHANGES.json holds them all."""


class Decisions(Protocol):
    """Where the decisions come from: asked twice, so that they need not be held in memory."""

    def members(self) -> Iterable[Member]:
        """Every decided document, in any order."""

    def decided(self, ids: Sequence[str]) -> Iterable[Decided]:
        """The decisions on these documents, in the order of ``ids``."""


class InMemory:
    """Decisions given as values."""

    def __init__(self, decided: Iterable[Decided]) -> None:
        self._by_id: dict[str, Decided] = {}
        for item in decided:
            if item.document.id in self._by_id:
                raise DataError(f"document {item.document.id!r} is decided twice")
            self._by_id[item.document.id] = item

    def members(self) -> Iterable[Member]:
        return [member_of(item) for item in self._by_id.values()]

    def decided(self, ids: Sequence[str]) -> Iterable[Decided]:
        return (self._by_id[key] for key in ids)


def member_of(item: Decided) -> Member:
    date = item.document.metadata.get("date")
    return Member(item.document.id, item.group, date if isinstance(date, str) else None)


@dataclass(frozen=True)
class Recipe:
    """What a release is made by, besides its decisions."""

    corpus: str
    schema: LabelSchema
    splits: SplitRule = field(default_factory=SplitRule)
    card: CardInfo = field(default_factory=CardInfo)
    notes: str = ""


@dataclass(frozen=True)
class Built:
    """What a build came to.

    ``version`` is the one published, or the latest where there was nothing to publish (None
    where there is none); ``changes`` are the first :data:`EXAMPLES`.
    """

    version: str | None
    parent: str | None
    bump: str | None
    digest: str | None
    published: bool
    documents: int = 0
    entities: int = 0
    relations: int = 0
    splits: Mapping[str, int] = field(default_factory=dict)
    rules: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    changes: Sequence[Mapping[str, Any]] = ()
    repackaged: Sequence[str] = ()
    quarantined: Mapping[str, Sequence[str]] = field(default_factory=dict)
    folder: Path | None = None


def build(
    source: Decisions,
    folder: Path,
    recipe: Recipe,
    *,
    version: str | None = None,
    dry_run: bool = False,
) -> Built:
    """Publish the next release of a corpus into ``folder`` (``gold/<corpus>``).

    Raises UsageError where ``version`` is not the one that the difference calls for, DataError
    where a decision does not fit the schema or the parent is damaged; nothing is then left behind.
    """
    check_corpus(recipe.corpus)
    wanted = None if version is None else Version.parse(version)
    versions = published(folder)
    parent = Release(folder / str(versions[-1])) if versions else None
    if parent is not None:
        parent.check()
    members = list(source.members())
    if not members:
        return _nothing(parent)
    plan = plan_splits(members, parent, recipe.splits)
    if dry_run:
        with tempfile.TemporaryDirectory(prefix="curate-") as name:
            work = Path(name) / "release"
            work.mkdir()
            return _build(source, folder, recipe, parent, plan, wanted, work, dry_run=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent)
    work = folder.parent / f".building-{recipe.corpus}-{os.getpid()}"
    work.mkdir()
    try:
        return _build(source, folder, recipe, parent, plan, wanted, work, dry_run=False)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def plan_splits(members: Iterable[Member], parent: Release | None, rule: SplitRule) -> SplitPlan:
    """Where every member goes, given where the parent and its ancestors have put documents."""
    frozen: dict[str, Place] = {}
    if parent is not None:
        before = SplitRule.of(parent.manifest.splits)
        if rule.by_date and not before.by_date:
            raise UsageError(
                f"the splits of {parent.manifest.corpus} have been by hash since its first "
                "release; a corpus keeps its way of splitting"
            )
        if before.by_date:
            rule = replace(rule, by_date=True, boundaries=before.boundaries)
        frozen = {key: Place(*value) for key, value in parent.manifest.retired.items()} | places_of(
            parent
        )
    return assign(members, frozen, rule)


def places_of(release: Release) -> dict[str, Place]:
    """The group and split of every document of a release."""
    found = {}
    path = release.folder / names.DOCUMENTS
    try:
        with path.open("rb") as stream:
            for line in stream:
                row = parse(line)
                found[str(row["id"])] = Place(str(row["group"]), str(row["split"]))
    except (FileNotFoundError, KeyError, DataError):
        raise DataError("is damaged; run `curate gold verify`", path=path) from None
    return found


def _build(
    source: Decisions,
    folder: Path,
    recipe: Recipe,
    parent: Release | None,
    plan: SplitPlan,
    wanted: Version | None,
    work: Path,
    *,
    dry_run: bool,
) -> Built:
    schema = recipe.schema
    tally = DiffTally()
    examples: list[dict[str, Any]] = []
    facts = Facts()
    with _Files(work) as files:
        blocks = _write(source, plan, schema, files, facts)
        old: Iterable[Block] = () if parent is None else parent.blocks()
        with files.spool("changes") as spool:
            schema_changes = () if parent is None else diff_schemas(parent.schema, schema)
            for change in _chained(schema_changes, diff_blocks(old, blocks, schema)):
                tally.add(change)
                row = change.as_dict()
                if len(examples) < EXAMPLES:
                    examples.append(row)
                spool.write((",\n" if sum(tally.counts.values()) > 1 else "") + encode(row))
        files.write(names.SCHEMA, schema.to_yaml())
        data = files.entries()
        if not facts.chains:
            files.drop(names.CHAINS)
            data.pop(names.CHAINS)
        card = recipe.card.as_dict()
        repackaged = [] if parent is None else repackaged_files(parent.manifest, data, card)
        bump = tally.bump or (Bump.PATCH if repackaged else None)
        if parent is not None and bump is None:
            return replace(_nothing(parent), quarantined=plan.quarantined)
        next_version = (
            FIRST if parent is None else Version.parse(parent.version).next(bump or Bump.PATCH)
        )
        _check_version(wanted, next_version, parent, bump, published(folder))
        manifest = Manifest(
            corpus=recipe.corpus,
            version=str(next_version),
            parent=None
            if parent is None
            else {"version": parent.version, "digest": parent.manifest.digest},
            files=data,
            counts=facts.as_counts(recipe.card.template),
            splits=plan.rule.as_dict(),
            schema={"name": schema.name, "version": schema.version, "digest": schema.digest},
            rules=dict(sorted(facts.rules.items())),
            agreement=facts.agreement.result(),
            retired=_retired(parent, plan),
            quarantined={key: list(splits) for key, splits in plan.quarantined.items()},
            card=card,
        )
        story = ReleaseChanges(
            counts=tally.as_counts(),
            repackaged=repackaged if tally.bump is None else (),
            examples=examples,
            notes=recipe.notes,
        )
        files.changes(manifest, story, bump if parent is not None else None)
        older = (
            "" if parent is None else (parent.folder / names.CHANGELOG).read_bytes().decode("utf-8")
        )
        files.write(names.CHANGELOG, render_changelog(manifest, story, older))
        files.write(names.CARD, render_card(manifest, schema))
        manifest = replace(manifest, files=files.entries())
        files.write(names.NAME, manifest.dump().decode("utf-8"))
    built = Built(
        version=manifest.version,
        parent=None if parent is None else parent.version,
        bump=None if parent is None or bump is None else str(bump),
        digest=manifest.digest,
        published=not dry_run,
        documents=facts.documents,
        entities=facts.entities,
        relations=facts.relations,
        splits=plan.counts(),
        rules=manifest.rules,
        counts=story.counts,
        changes=examples,
        repackaged=story.repackaged,
        quarantined=plan.quarantined,
        folder=None if dry_run else folder / manifest.version,
    )
    if not dry_run:
        _publish(work, folder, folder / manifest.version)
    return built


def _nothing(parent: Release | None) -> Built:
    if parent is None:
        return Built(None, None, None, None, published=False)
    manifest = parent.manifest
    return Built(
        version=manifest.version,
        parent=None if manifest.parent is None else manifest.parent["version"],
        bump=None,
        digest=manifest.digest,
        published=False,
        documents=int(manifest.counts["documents"]),
        entities=int(manifest.counts["entities"]),
        relations=int(manifest.counts["relations"]),
        splits={s: int(manifest.counts["per_split"][s]["documents"]) for s in SPLITS},
        rules=manifest.rules,
        quarantined={key: tuple(value) for key, value in manifest.quarantined.items()},
        folder=parent.folder,
    )


def _chained(*streams: Iterable[Change]) -> Iterator[Change]:
    for stream in streams:
        yield from stream


def _write(
    source: Decisions, plan: SplitPlan, schema: LabelSchema, files: _Files, facts: Facts
) -> Iterator[Block]:
    """Write the data files; yields each document's lines as they are written."""
    ids = sorted(plan.places)
    position = 0
    for item in source.decided(ids):
        document_id = item.document.id
        if position >= len(ids) or ids[position] != document_id:
            raise DataError(f"document {document_id!r} came where another was asked for")
        position += 1
        place = plan.places[document_id]
        reason = schema.misfit(item.annotation, item.document.text)
        if reason:
            raise DataError(f"the decision on document {document_id!r} does not fit: {reason}")
        annotation = canonical(item.annotation, schema)
        document = replace(item.document, source=portable_source(item.document.source))
        gold = GoldDocument(document, annotation, place.group, place.split)
        rows = {
            names.DOCUMENTS: document_line(gold).encode("utf-8"),
            names.ENTITIES: entity_lines(gold).encode("utf-8"),
            names.RELATIONS: relation_lines(gold).encode("utf-8"),
            names.CHAINS: chain_lines(gold).encode("utf-8"),
            names.PROVENANCE: provenance_lines(annotation, item.provenance).encode("utf-8"),
        }
        for name, data in rows.items():
            files.append(name, data)
        facts.add(gold)
        facts.add_provenance({"decided": decided_by(annotation)} | dict(item.provenance))
        yield Block(
            document_id,
            rows[names.DOCUMENTS],
            rows[names.ENTITIES].splitlines(keepends=True),
            rows[names.RELATIONS].splitlines(keepends=True),
            rows[names.CHAINS].splitlines(keepends=True),
        )
    if position != len(ids):
        raise DataError(f"the decision on document {ids[position]!r} vanished while building")


def changes_frame(manifest: Manifest, story: ReleaseChanges, bump: Bump | None) -> tuple[str, str]:
    """What stands before and after the changes, a line each, in CHANGES.json."""
    rest = {
        "counts": dict(story.counts),
        "from": None if manifest.parent is None else manifest.parent["version"],
        "notes": story.notes,
        "repackaged": list(story.repackaged),
        "to": manifest.version,
    }
    head = f'{{"bump":{encode(None if bump is None else str(bump))},"changes":['
    return head, f"],{encode(rest)[1:]}\n"


def repackaged_files(
    parent: Manifest, data: Mapping[str, FileEntry], card: Mapping[str, Any]
) -> list[str]:
    """The data files whose bytes differ from the parent's, and the card where its text does."""
    old = {
        name: entry
        for name, entry in parent.files.items()
        if name not in (names.CHANGES, names.CHANGELOG, names.CARD)
    }
    changed = sorted(name for name in old.keys() | data.keys() if old.get(name) != data.get(name))
    return changed + ([names.CARD] if dict(parent.card) != dict(card) else [])


def _retired(parent: Release | None, plan: SplitPlan) -> dict[str, list[str]]:
    """Places of documents that older versions held and this one does not."""
    if parent is None:
        return {}
    known = dict(parent.manifest.retired)
    known.update({key: [p.group, p.split] for key, p in places_of(parent).items()})
    return {key: list(value) for key, value in sorted(known.items()) if key not in plan.places}


def _check_version(
    wanted: Version | None,
    following: Version,
    parent: Release | None,
    bump: Bump | None,
    existing: Sequence[Version],
) -> None:
    if wanted is None or wanted == following:
        return
    if wanted in existing:
        raise UsageError(
            f"version {wanted} is published and is never rewritten; the decisions have changed "
            f"since, and would become {following}"
        )
    if parent is None:
        raise UsageError(f"the first version of a corpus is {following}, not {wanted}")
    raise UsageError(
        f"the difference with {parent.version} is {bump}, which makes this version {following}, "
        f"not {wanted}; see `curate gold build --dry-run`"
    )


def _publish(work: Path, folder: Path, target: Path) -> None:
    for path in (*sorted(work.iterdir()), work):
        _sync(path)
    folder.mkdir(exist_ok=True)
    try:
        # Refused by the system where the target exists and is not empty.
        work.rename(target)
    except OSError as error:
        if target.exists():
            raise DataError(
                "another build published this version meanwhile; run the command again",
                path=target,
            ) from None
        raise error
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(root: Path) -> None:
    """Remove what a build that was killed left behind; a living one's folder stays."""
    for entry in root.glob(".building-*"):
        number = entry.name.rsplit("-", 1)[-1]
        if number.isdigit() and int(number) != os.getpid():
            try:
                os.kill(int(number), 0)
                continue
            except ProcessLookupError:
                pass
            except OSError:
                continue
        shutil.rmtree(entry, ignore_errors=True)


class _Files:
    """The files of a release in the making, hashed as they are written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: dict[str, IO[bytes]] = {}
        self._hashes: dict[str, Any] = {}
        self._sizes: Counter[str] = Counter()
        self._lines: Counter[str] = Counter()
        for name in (*names.DATA, names.PROVENANCE):
            self._begin(name)

    def __enter__(self) -> _Files:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for stream in self._open.values():
            stream.close()

    def _begin(self, name: str) -> None:
        self._open[name] = (self.folder / name).open("wb", buffering=1 << 18)
        self._hashes[name] = hashlib.sha256()

    def append(self, name: str, data: bytes) -> None:
        if data:
            self._open[name].write(data)
            self._hashes[name].update(data)
            self._sizes[name] += len(data)
            self._lines[name] += data.count(b"\n")

    def write(self, name: str, text: str) -> None:
        """A whole file."""
        self._begin(name)
        self.append(name, text.encode("utf-8"))
        self._open.pop(name).close()

    def drop(self, name: str) -> None:
        self._open.pop(name).close()
        (self.folder / name).unlink()
        del self._hashes[name]

    @contextlib.contextmanager
    def spool(self, name: str) -> Iterator[IO[str]]:
        with (self.folder / f".{name}").open("w", encoding="utf-8", newline="\n") as stream:
            yield stream

    def changes(self, manifest: Manifest, story: ReleaseChanges, bump: Bump | None) -> None:
        """CHANGES.json, a change a line, from what was spooled."""
        head, tail = changes_frame(manifest, story, bump)
        self._begin(names.CHANGES)
        self.append(names.CHANGES, head.encode("utf-8"))
        spool = self.folder / ".changes"
        with spool.open("rb") as stream:
            first = True
            while piece := stream.read(1 << 20):
                self.append(names.CHANGES, (b"\n" if first else b"") + piece)
                first = False
        self.append(names.CHANGES, (("" if first else "\n") + tail).encode("utf-8"))
        self._open.pop(names.CHANGES).close()
        spool.unlink()

    def entries(self) -> dict[str, FileEntry]:
        return {
            name: FileEntry(self._sizes[name], self._lines[name], self._hashes[name].hexdigest())
            for name in sorted(self._hashes)
        }
