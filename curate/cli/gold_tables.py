"""What the commands of `curate gold` show to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from curate.gold.items import SPLITS, GoldDocument

if TYPE_CHECKING:
    from rich.console import Console

    from curate.flows.gold_build import GoldBuilt
    from curate.flows.gold_diff import GoldDiff
    from curate.flows.gold_export import Exported
    from curate.gold.blame import Blame
    from curate.gold.lint import Finding
    from curate.gold.manifest import Manifest

SHOWN = 40


def build_table(console: Console, result: GoldBuilt) -> None:
    built = result.built
    if built.version is None:
        say(
            console,
            "nothing to publish: nothing is annotated and pulled yet; "
            "`curate status` says what comes next",
        )
        return
    if not built.published and not result.dry_run:
        say(console, f"nothing to publish: {built.version} holds these decisions already")
        return
    if result.dry_run and built.folder is not None:
        say(console, f"nothing would be published: {built.version} holds these decisions already")
        return
    verb = "would publish" if result.dry_run else "published"
    since = "" if built.parent is None else f" ({built.bump} since {built.parent})"
    say(console, f"{verb} {built.version}{since}")
    say(
        console,
        f"  {built.documents} documents, {built.entities} entities, {built.relations} relations; "
        + ", ".join(f"{split} {built.splits.get(split, 0)}" for split in SPLITS),
    )
    for rule, count in built.rules.items():
        say(console, f"  decided by {rule}: {count} documents")
    if built.parent is not None:
        for kind, count in built.counts.items():
            say(console, f"  {kind}: {count}")
        for change in built.changes[:SHOWN] if result.dry_run else ():
            say(console, "  " + change_line(change))
    if built.repackaged:
        say(console, f"  repackaged: {', '.join(built.repackaged)}")
    say(console, f"  root digest {built.digest}")
    if built.folder is not None:
        say(console, f"  {built.folder}")


def list_table(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table

    if not rows:
        say(console, "no version is published yet; run `curate gold build`")
        return
    table = Table("version", "parent", box=None, pad_edge=False)
    for name in ("documents", "entities", "relations"):
        table.add_column(name, justify="right")
    table.add_column("root digest")
    for row in rows:
        table.add_row(
            row["version"],
            row["parent"] or "",
            *(str(row[key]) for key in ("documents", "entities", "relations")),
            row["digest"][:12],
        )
    console.print(table)


def manifest_table(console: Console, manifest: Manifest) -> None:
    from rich.table import Table

    from curate.gold.card import percent

    counts = manifest.counts
    parent = "" if manifest.parent is None else f", parent {manifest.parent['version']}"
    say(console, f"{manifest.corpus} {manifest.version}{parent}")
    say(
        console,
        f"{counts['documents']} documents in {counts['groups']} groups, {counts['words']} words, "
        f"{counts['entities']} entities, {counts['relations']} relations",
    )
    table = Table("", *SPLITS, box=None, pad_edge=False)
    for key in ("documents", "words", "entities", "relations"):
        if key in counts["per_split"]["train"]:
            table.add_row(key, *(str(counts["per_split"][split][key]) for split in SPLITS))
    for kind in ("entity_labels", "relation_labels"):
        for label, found in sorted(counts[kind].items()):
            table.add_row(label, *(str(found.get(split, 0)) for split in SPLITS))
    console.print(table)
    if "across_sentences" in counts and counts["relations"]:
        across = sum(counts["across_sentences"].values())
        share = percent(across * 1_000_000 // counts["relations"])
        say(console, f"relations across sentences: {across} ({share} %)")
    for rule, count in manifest.rules.items():
        say(console, f"decided by {rule}: {count} documents")
    for document, splits in manifest.quarantined.items():
        say(console, f"quarantined: {document} (between {' and '.join(splits)})")
    say(console, f"schema {manifest.schema['name']} {manifest.schema['version']}")
    say(console, f"root digest {manifest.digest}")


def document_table(console: Console, gold: GoldDocument) -> None:
    text = gold.document.text
    place = f" · {gold.split}, group {gold.group}" if gold.split else ""
    say(console, f"{gold.id}{place}")
    say(console, text)
    say(console, "")
    for entity in gold.annotation.entities:
        surface = text[entity.start : entity.end]
        known = f" = {entity.canonical}" if entity.canonical else ""
        say(
            console,
            f"{entity.start}–{entity.end}  {entity.label}  {surface}{known}",
        )
    for relation in gold.annotation.relations:
        head, tail = relation.head, relation.tail
        say(
            console,
            f"{text[head.start : head.end]} ({head.start}) —{relation.label}→ "
            f"{text[tail.start : tail.end]} ({tail.start})",
        )
    for chain in gold.annotation.chains:
        say(console, "same thing: " + " · ".join(text[e.start : e.end] for e in chain))


def diff_table(console: Console, result: GoldDiff) -> None:
    say(console, f"{result.old} → {result.new}")
    if not result.counts:
        say(console, "no difference")
        return
    for kind, count in result.counts.items():
        say(console, f"  {kind}: {count}")
    if result.bump:
        say(console, f"  calls for a {result.bump} version")
    say(console, "")
    for change in result.changes[: SHOWN * 5]:
        say(console, change_line(change.as_dict()))
    if len(result.changes) > SHOWN * 5:
        say(console, f"… {len(result.changes) - SHOWN * 5} more; see --json or --html")


def log_table(console: Console, entries: Sequence[Mapping[str, Any]]) -> None:
    if not entries:
        say(console, "no version is published yet; run `curate gold build`")
    for entry in entries:
        since = f" ({entry['bump']} since {entry['parent']})" if entry["parent"] else ""
        say(console, f"{entry['version']}{since}  {entry['digest'][:12]}")
        if entry["notes"]:
            say(console, f"  {entry['notes']}")
        for kind, count in entry["counts"].items():
            say(console, f"  {kind}: {count}")
        if entry["repackaged"]:
            say(console, f"  repackaged: {', '.join(entry['repackaged'])}")


def export_table(console: Console, result: Exported) -> None:
    loss = result.loss
    say(
        console,
        f"wrote {result.target}: {loss.documents} documents, {loss.entities} entities, "
        f"{loss.relations} relations of {result.gold}",
    )
    for reason, count in sorted(loss.lost.items()):
        say(console, f"  {reason}: {count} (such as {loss.examples[reason][0]})")


def blame_table(console: Console, found: Blame) -> None:
    say(console, found.document)
    for line in found.head:
        say(console, f"  {line}")
    for rejected in (False, True):
        stories = [story for story in found.items if story.rejected is rejected]
        if rejected and stories:
            say(console, "not taken:")
        for story in stories:
            say(console, story.text)
            for line in story.told:
                say(console, f"    {line}")


def lint_table(console: Console, findings: Sequence[Finding], limit: int) -> None:
    if not findings:
        say(console, "nothing found")
        return
    for finding in findings[:limit]:
        say(console, f"{finding.document}:{finding.start}  {finding.rule}  {finding.message}")
        say(console, f"    {finding.context}")
    counts: dict[str, int] = {}
    for finding in findings:
        counts[finding.rule] = counts.get(finding.rule, 0) + 1
    total = ", ".join(f"{rule} {count}" for rule, count in sorted(counts.items()))
    say(console, f"{len(findings)} findings: {total}")
    if len(findings) > limit:
        say(console, f"the first {limit} are shown; see --limit and --json")


def change_line(change: Mapping[str, Any]) -> str:
    parts = [change["kind"]]
    if change.get("document"):
        parts.append(change["document"])
    sides = [_side(change.get(side)) for side in ("old", "new")]
    if not change["kind"].startswith(("document_", "schema_")):
        parts.append(" → ".join(side for side in sides if side))
    if change.get("context"):
        parts.append(f"· {change['context']}")
    return "  ".join(part for part in parts if part)


def _side(value: Any) -> str:
    if isinstance(value, list):
        return " + ".join(_side(item) for item in value)
    if isinstance(value, Mapping) and "label" in value:
        return f"{value.get('text', '')} [{value['label']}]"
    return value if isinstance(value, str) else ""


def say(console: Console, text: str) -> None:
    """A line of a listing."""
    console.print(text)
