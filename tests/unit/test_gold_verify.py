"""Verification: one flipped byte anywhere is found and named, and so is a forged manifest."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from curate.errors import CurateError
from curate.gold.building import InMemory, Recipe, build
from curate.gold.manifest import CHANGELOG, CHANGES, ENTITIES, NAME, Manifest, entry_of
from curate.gold.verify import verify
from tests.gold_cases import SCHEMA, corpus
from tests.unit.test_gold_release import RECIPE, publish, without


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    """Three versions: a first, one with more documents, one with changes inside."""
    folder = tmp_path / "tiny"
    items = corpus(8)
    publish(folder, items[:5])
    publish(folder, items, recipe=replace(RECIPE, notes="Three more <b>dispatches</b>."))
    publish(folder, [without(items[0], "visits"), *items[1:7]])
    return folder


def reforge(folder: Path) -> None:
    """Make manifest.json fit the files again, as a forger would."""
    raw = json.loads((folder / NAME).read_bytes())
    manifest = Manifest.of(raw)
    files = {name: entry_of(folder / name) for name in manifest.files}
    (folder / NAME).write_bytes(replace(manifest, files=files).dump())


def test_what_was_published_is_sound(gold: Path) -> None:
    for version in ("1.0.0", "1.1.0", "2.0.0"):
        result = verify(gold / version)
        assert result.ok, result.findings
        assert result.documents == {"1.0.0": 5, "1.1.0": 8, "2.0.0": 7}[version]


def test_one_flipped_byte_in_any_file_is_found_and_named(gold: Path) -> None:
    random_ = random.Random(7)
    folder = gold / "1.1.0"
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        places = {0, len(whole) - 1, *random_.sample(range(len(whole)), 8)}
        for place in sorted(places):
            for bit in (0, 5):
                data = bytearray(whole)
                data[place] ^= 1 << bit
                path.write_bytes(bytes(data))
                named = {finding.file for finding in verify(folder).findings}
                assert path.name in named, (path.name, place, bit)
        path.write_bytes(whole)
    assert verify(folder).ok


def test_a_file_added_or_missing_is_found_and_named(gold: Path) -> None:
    folder = gold / "1.0.0"
    (folder / "notes.txt").write_text("x")
    assert [f.file for f in verify(folder).findings] == ["notes.txt"]
    (folder / "notes.txt").unlink()
    for name in ("relations.jsonl", CHANGELOG, NAME, "schema.yaml"):
        whole = (folder / name).read_bytes()
        (folder / name).unlink()
        assert name in {finding.file for finding in verify(folder).findings}
        assert not verify(folder).ok
        (folder / name).write_bytes(whole)


def _move(folder: Path) -> None:
    path = folder / "documents.jsonl"
    text = path.read_text("utf-8")
    path.write_text(text.replace('"split":"train"', '"split":"test"', 1), "utf-8")


def _shift(folder: Path) -> None:
    path = folder / ENTITIES
    path.write_text(path.read_text("utf-8").replace('"end":', '"end":1', 1), "utf-8")


def _relabel(folder: Path) -> None:
    path = folder / ENTITIES
    text = path.read_text("utf-8")
    path.write_text(text.replace('PER"', 'LOC"', 2), "utf-8")


def _boast(folder: Path) -> None:
    path = folder / "README.md"
    path.write_text(path.read_text("utf-8").replace("| documents | 8 |", "| documents | 9 |"))


def _hide(folder: Path) -> None:
    path = folder / CHANGES
    path.write_text(path.read_text("utf-8").replace("document_added", "document_addef", 1))


def _untold(folder: Path) -> None:
    path = folder / CHANGELOG
    path.write_text(path.read_text("utf-8").replace("document added: 3", "document added: 2"))


@pytest.mark.parametrize(
    ("tamper", "file"),
    [
        (_move, "documents.jsonl"),
        (_shift, "documents.jsonl"),
        (_relabel, "relations.jsonl"),
        (_boast, "README.md"),
        (_hide, CHANGES),
        (_untold, CHANGELOG),
    ],
)
def test_a_forged_manifest_does_not_hide_what_is_wrong(
    gold: Path, tamper: Callable[[Path], None], file: str
) -> None:
    """With every checksum made to fit, the content still gives it away."""
    folder = gold / "1.1.0"
    tamper(folder)
    reforge(folder)
    result = verify(folder)
    assert not result.ok
    named: Any = {finding.file for finding in result.findings}
    assert file in named or tamper in (_relabel, _shift)


def test_a_replaced_parent_is_found(gold: Path) -> None:
    folder = gold / "1.0.0"
    manifest = Manifest.of(json.loads((folder / NAME).read_bytes()))
    (folder / NAME).write_bytes(replace(manifest, rules={"curator x": 5}).dump())
    assert any("root digest" in f.message for f in verify(gold / "1.1.0").findings)


def test_a_release_without_its_parent_is_checked_as_far_as_it_goes(
    gold: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "elsewhere" / "2.0.0"
    alone.parent.mkdir()
    (gold / "2.0.0").rename(alone)
    result = verify(alone)
    assert result.ok
    assert any("parent 1.1.0 is not here" in note for note in result.notes)


def test_near_duplicates_in_two_splits_are_a_finding(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    build(InMemory(corpus(5)), folder, Recipe("tiny", SCHEMA))
    path = folder / "1.0.0" / "documents.jsonl"
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    splits = {row["split"] for row in lines}
    assert len(splits) > 1
    text = path.read_text("utf-8")
    for row in lines:
        text = text.replace(f'"group":"{row["group"]}"', '"group":"one"')
    path.write_text(text, "utf-8")
    reforge(folder / "1.0.0")
    assert any("leak" in f.message for f in verify(folder / "1.0.0").findings)


def damaged(whole: bytes, random_: random.Random) -> bytes:
    """A flipped bit, a file cut off, or its lines in another order."""
    kind = random_.random()
    if kind < 0.7:
        data = bytearray(whole)
        data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
        return bytes(data)
    if kind < 0.85:
        return whole[: random_.randrange(len(whole))]
    lines = whole.splitlines(keepends=True)
    random_.shuffle(lines)
    return b"".join(lines)


def test_whatever_is_done_to_a_release_is_named_by_verify_and_never_a_bug_elsewhere(
    gold: Path, tmp_path: Path
) -> None:
    """Every reader of a damaged release says so in a sentence, or does not need what is damaged."""
    from curate.flows.gold_decisions import export_release_decisions
    from curate.flows.gold_diff import diff_gold, history
    from curate.flows.gold_export import export_gold
    from curate.flows.gold_lint import blame_document, lint_set
    from curate.flows.reporter import Silent
    from curate.gold.opening import open_gold
    from curate.gold.reading import Release

    folder = gold / "2.0.0"

    def opened(version: str = "2.0.0") -> Any:
        return open_gold(str(gold / version))

    readers: list[Callable[[], object]] = [
        lambda: diff_gold(opened("1.0.0"), opened(), SCHEMA),
        lambda: diff_gold(opened(), opened("1.0.0"), SCHEMA),
        lambda: history(gold),
        lambda: export_gold(opened(), "jsonl", tmp_path / "o.jsonl", Silent()),
        lambda: blame_document(opened(), "doc-003"),
        lambda: lint_set(opened(), opened().schema, None),
        lambda: export_release_decisions(Release(folder), tmp_path / "d.jsonl"),
        lambda: build(InMemory(corpus(6)), gold, RECIPE, dry_run=True),
    ]
    random_ = random.Random(11)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for _ in range(3):
            data = damaged(whole, random_)
            if data == whole:
                continue
            path.write_bytes(data)
            assert path.name in {finding.file for finding in verify(folder).findings}
            for reader in readers:
                with contextlib.suppress(CurateError):
                    reader()
        path.write_bytes(whole)
