"""A release: the same decisions give the same bytes, whole or not at all, and never again."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import DataError, UsageError
from curate.gold.building import Built, InMemory, Recipe, build
from curate.gold.items import Decided, entity_id, parse_entity_id, portable_source
from curate.gold.lines import chain_lines, document_line, entity_lines, parse_gold, relation_lines
from curate.gold.manifest import REQUIRED, read_manifest
from curate.gold.reading import Release
from curate.gold.versions import Bump, Version, larger, published, resolve
from curate.interchange import canonical_json
from curate.model import Annotation, Document, Entity
from tests.gold_cases import CURATOR, SCHEMA, corpus, decided, golds

RECIPE = Recipe("tiny", SCHEMA)
GOLDEN = Path(__file__).parent.parent / "golden" / "release"


def publish(folder: Path, items: Sequence[Decided], **more: object) -> Built:
    recipe = more.pop("recipe", RECIPE)
    return build(InMemory(items), folder, recipe, **more)  # type: ignore[arg-type]


def without(item: Decided, label: str) -> Decided:
    """The decision without the relations of a type."""
    old = item.annotation
    kept = [relation for relation in old.relations if relation.label != label]
    return replace(item, annotation=Annotation.of(old.document_id, old.entities, kept, CURATOR))


def test_the_bytes_of_a_release_are_those_written_down(tmp_path: Path) -> None:
    """A change of the form of releases must be meant: these files are the form."""
    publish(tmp_path / "tiny", corpus())
    made = tmp_path / "tiny" / "1.0.0"
    if os.environ.get("CURATE_WRITE_GOLDEN"):
        GOLDEN.mkdir(parents=True, exist_ok=True)
        for path in made.iterdir():
            (GOLDEN / path.name).write_bytes(path.read_bytes())
    assert {path.name for path in made.iterdir()} == {path.name for path in GOLDEN.iterdir()}
    for path in made.iterdir():
        assert path.read_bytes() == (GOLDEN / path.name).read_bytes(), path.name


def test_the_order_of_entry_does_not_matter(tmp_path: Path) -> None:
    items = corpus(12)
    first = publish(tmp_path / "a", items)
    second = publish(tmp_path / "b", items[::-1])
    assert first.digest == second.digest


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONHASHSEED": "1", "TZ": "Pacific/Kiritimati", "LC_ALL": "C"},
        {
            "PYTHONHASHSEED": "4242",
            "TZ": "America/Lima",
            "LC_ALL": "tr_TR.UTF-8",
            "PYTHONUTF8": "0",
        },
    ],
)
def test_no_hash_seed_locale_or_time_zone_reaches_the_bytes(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.gold_cases import *\n"
        "from curate.gold.building import *\n"
        "built = build(InMemory(corpus(25)), Path(sys.argv[1]), Recipe('tiny', SCHEMA))\n"
        "print(built.digest)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "other" / "tiny")],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == publish(tmp_path / "tiny", corpus(25)).digest


def test_no_clock_path_float_or_row_number_stands_in_a_release(tmp_path: Path) -> None:
    scored = corpus(1)[0]
    entity = replace(scored.annotation.entities[0], score=0.25)
    item = replace(
        scored,
        document=Document.of(
            scored.document.text,
            id="a",
            source="/home/me/in/a.txt",
            metadata={"ratio": 0.5, "_raw": 1},
        ),
        annotation=Annotation.of("a", [entity], [], CURATOR),
    )
    publish(tmp_path / "tiny", [item])
    folder = tmp_path / "tiny" / "1.0.0"

    def refuse(text: str) -> float:
        raise AssertionError(f"a float: {text}")

    for path in folder.glob("*.json*"):
        for line in (
            path.read_text("utf-8").splitlines()
            if path.suffix == ".jsonl"
            else [path.read_text("utf-8")]
        ):
            json.loads(line, parse_float=refuse)
    assert str(tmp_path).encode() not in b"".join(p.read_bytes() for p in folder.iterdir())
    assert b"/home/me" not in (folder / "documents.jsonl").read_bytes()
    assert b"_raw" not in (folder / "documents.jsonl").read_bytes()
    assert b'"score_millionths":250000' in (folder / "entities.jsonl").read_bytes()


def test_building_again_finds_nothing_to_publish(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    first = publish(folder, corpus())
    second = publish(folder, corpus())
    assert (second.published, second.version, second.digest) == (False, "1.0.0", first.digest)
    assert published(folder) == [Version(1, 0, 0)]


def test_without_decisions_there_is_nothing_to_publish(tmp_path: Path) -> None:
    assert publish(tmp_path / "tiny", []).version is None
    publish(tmp_path / "tiny", corpus())
    assert publish(tmp_path / "tiny", []).version == "1.0.0"
    assert published(tmp_path / "tiny") == [Version(1, 0, 0)]


def test_whole_documents_added_make_a_minor_version(tmp_path: Path) -> None:
    publish(tmp_path / "tiny", corpus(3))
    built = publish(tmp_path / "tiny", corpus(4))
    assert (built.version, built.bump, built.counts) == ("1.1.0", "minor", {"document_added": 1})


def test_anything_changed_in_an_old_document_makes_a_major_version(tmp_path: Path) -> None:
    items = corpus(3)
    publish(tmp_path / "tiny", items)
    built = publish(tmp_path / "tiny", [without(items[0], "meets"), *items[1:]])
    assert (built.version, built.bump, built.counts) == ("2.0.0", "major", {"relation_removed": 1})


def test_a_document_removed_makes_a_major_version(tmp_path: Path) -> None:
    publish(tmp_path / "tiny", corpus(3))
    built = publish(tmp_path / "tiny", corpus(2))
    assert (built.version, built.counts) == ("2.0.0", {"document_removed": 1})


def test_a_changed_text_is_another_document(tmp_path: Path) -> None:
    publish(tmp_path / "tiny", corpus(2))
    other = decided("doc-001", "Un autre texte sur Tripoli.", [("Tripoli", "LOC")])
    built = publish(tmp_path / "tiny", [corpus(2)[0], other])
    assert built.counts == {"document_added": 1, "document_removed": 1}
    assert built.bump == "major"


def test_other_provenance_alone_makes_a_patch(tmp_path: Path) -> None:
    items = corpus(2)
    publish(tmp_path / "tiny", items)
    told = replace(items[0], provenance={"decided": {"by": "curator", "name": "chief"}})
    built = publish(tmp_path / "tiny", [told, items[1]])
    assert (built.version, built.repackaged) == ("1.0.1", ["provenance.jsonl"])


def test_a_turned_symmetric_relation_is_no_change(tmp_path: Path) -> None:
    items = corpus(1)
    publish(tmp_path / "tiny", items)
    old = items[0].annotation
    turned = [
        replace(r, head=r.tail, tail=r.head) if r.label == "meets" else r for r in old.relations
    ]
    assert turned != list(old.relations)
    item = replace(items[0], annotation=Annotation.of("doc-000", old.entities, turned, CURATOR))
    assert not publish(tmp_path / "tiny", [item]).published


@pytest.mark.parametrize(
    ("wanted", "reason"), [("1.0.1", "1.1.0"), ("2.0.0", "1.1.0"), ("1.0.0", "never rewritten")]
)
def test_a_wrong_version_is_refused_with_the_reason(
    tmp_path: Path, wanted: str, reason: str
) -> None:
    publish(tmp_path / "tiny", corpus(3))
    with pytest.raises(UsageError, match=reason.replace(".", r"\.")):
        publish(tmp_path / "tiny", corpus(4), version=wanted)
    assert published(tmp_path / "tiny") == [Version(1, 0, 0)]


def test_the_first_version_is_1_0_0(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="first version"):
        publish(tmp_path / "tiny", corpus(), version="0.1.0")
    assert publish(tmp_path / "tiny", corpus(), version="1.0.0").published


@pytest.mark.parametrize(
    "name", ["../x", "1.0", "1.0.0/..", "v1.0.0", "01.0.0", "1.0.0\n", "", "١.0.0"]
)
def test_what_is_no_version_never_becomes_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        resolve(tmp_path, name)
    with pytest.raises(UsageError):
        publish(tmp_path / "tiny", corpus(), version=name)


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "A", "a b", "é"])
def test_a_corpus_name_never_becomes_a_path_unchecked(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="corpus name"):
        publish(tmp_path / "tiny", corpus(), recipe=Recipe(name, SCHEMA))


def test_a_dry_run_tells_the_same_and_leaves_nothing(tmp_path: Path) -> None:
    told = publish(tmp_path / "gold" / "tiny", corpus(), dry_run=True)
    assert not (tmp_path / "gold").exists()
    assert publish(tmp_path / "gold" / "tiny", corpus()).digest == told.digest


def test_a_build_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    class Failing(InMemory):
        def decided(self, ids: Sequence[str]) -> Iterator[Decided]:
            yield from list(super().decided(ids))[:2]
            raise OSError("the power went out")

    with pytest.raises(OSError, match="power"):
        build(Failing(corpus()), tmp_path / "gold" / "tiny", RECIPE)
    assert list((tmp_path / "gold").iterdir()) == []


@pytest.mark.parametrize("where", ["decided", "rename"])
def test_a_killed_build_publishes_nothing_and_the_next_does(tmp_path: Path, where: str) -> None:
    """SIGKILL in the middle of the writing, or when all is written but the name."""
    program = (
        "import os, sys; from pathlib import Path; from tests.gold_cases import *\n"
        "from curate.gold import building\n"
        "class Dying(building.InMemory):\n"
        "    def decided(self, ids):\n"
        "        for i, item in enumerate(super().decided(ids)):\n"
        "            if i == 3 and sys.argv[2] == 'decided': os.kill(os.getpid(), 9)\n"
        "            yield item\n"
        "if sys.argv[2] == 'rename': Path.rename = lambda *_: os.kill(os.getpid(), 9)\n"
        "building.build(Dying(corpus(8)), Path(sys.argv[1]), building.Recipe('tiny', SCHEMA))"
    )
    folder = tmp_path / "gold" / "tiny"
    ran = subprocess.run(
        [sys.executable, "-c", program, str(folder), where],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert ran.returncode == -9
    assert published(folder) == []
    assert publish(folder, corpus(8)).published
    assert [path.name for path in (tmp_path / "gold").iterdir()] == ["tiny"]
    assert [path.name for path in folder.iterdir()] == ["1.0.0"]


def test_of_two_builds_at_once_one_publishes_and_the_other_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gold" / "tiny"
    rename = Path.rename

    def late(work: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        publish(folder, corpus(3))
        return rename(work, target)

    monkeypatch.setattr(Path, "rename", late)
    with pytest.raises(DataError, match="meanwhile"):
        publish(folder, corpus(4))
    assert len(list(Release(folder / "1.0.0").documents())) == 3


def test_what_a_killed_build_left_is_swept_by_the_next(tmp_path: Path) -> None:
    gold = tmp_path / "gold"
    (gold / ".building-tiny-999999").mkdir(parents=True)
    publish(gold / "tiny", corpus())
    assert [path.name for path in gold.iterdir()] == ["tiny"]
    assert not list(gold.rglob(".*"))


def test_a_decision_that_does_not_fit_the_schema_stops_the_build(tmp_path: Path) -> None:
    item = decided("a", "Tripoli", [("Tripoli", "FOO")])
    with pytest.raises(DataError, match=r"'a' does not fit.*FOO"):
        publish(tmp_path / "tiny", [item])
    assert published(tmp_path / "tiny") == []


def test_a_damaged_parent_stops_the_build(tmp_path: Path) -> None:
    publish(tmp_path / "tiny", corpus())
    path = tmp_path / "tiny" / "1.0.0" / "entities.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Tripoli", b"Tripolj"))
    with pytest.raises(DataError, match="gold verify"):
        publish(tmp_path / "tiny", corpus(5))


def test_a_release_reads_back_as_it_was_decided(tmp_path: Path) -> None:
    items = corpus(5)
    publish(tmp_path / "tiny", items)
    release = Release(tmp_path / "tiny" / "1.0.0")
    found = list(release.documents())
    assert [gold.id for gold in found] == [item.document.id for item in items]
    for gold, item in zip(found, items, strict=True):
        assert gold.document.text == item.document.text
        assert set(gold.annotation.entities) == set(item.annotation.entities)
        assert len(gold.annotation.relations) == len(item.annotation.relations)
    by_split = [gold.id for split in ("train", "dev", "test") for gold in release.documents(split)]
    assert sorted(by_split) == [gold.id for gold in found]


def test_the_manifest_counts_and_digests_every_file(tmp_path: Path) -> None:
    publish(tmp_path / "tiny", corpus())
    folder = tmp_path / "tiny" / "1.0.0"
    manifest = read_manifest(folder)
    assert set(manifest.files) == set(REQUIRED)
    for name, entry in manifest.files.items():
        data = (folder / name).read_bytes()
        assert entry.sha256 == hashlib.sha256(data).hexdigest()
        assert (entry.bytes, entry.lines) == (len(data), data.count(b"\n"))


@given(golds(chains=True))
def test_lines_are_canonical_json_and_read_back_equal(gold: object) -> None:
    """The hand-written lines are what the canonical encoder would write."""
    from curate.gold.items import GoldDocument

    assert isinstance(gold, GoldDocument)
    gold = replace(gold, group="g", split="train")
    parts = [document_line(gold), entity_lines(gold), relation_lines(gold), chain_lines(gold)]
    lines = [part.encode("utf-8").splitlines(keepends=True) for part in parts]
    for line in (line for part in lines for line in part):
        assert canonical_json(json.loads(line)) + b"\n" == line
    back = parse_gold(lines[0][0], *lines[1:])
    assert (back.document.text, back.id, back.group, back.split) == (
        gold.document.text,
        gold.id,
        "g",
        "train",
    )
    assert back.annotation.entities == gold.annotation.entities
    assert [e.canonical for e in back.annotation.entities] == [
        e.canonical for e in gold.annotation.entities
    ]
    assert back.annotation.relations == gold.annotation.relations
    assert back.annotation.chains == gold.annotation.chains


@given(st.integers(0, 99), st.integers(0, 99), st.text(min_size=1))
def test_an_entity_s_id_tells_its_span_and_label(start: int, end: int, label: str) -> None:
    assert parse_entity_id(entity_id(Entity(start, end, label))) == (start, end, label)


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("https://a.example/b", "https://a.example/b"),
        ("AFP", "AFP"),
        ("Reuters/AFP", "Reuters/AFP"),
        ("/home/me/x.txt", "x.txt"),
        ("../in/x.txt", "x.txt"),
        ("C:\\Users\\me\\x.txt", "x.txt"),
        ("file:///home/me/x.txt", "x.txt"),
    ],
)
def test_a_source_is_told_without_a_folder_of_the_machine(source: str, kept: str) -> None:
    assert portable_source(source) == kept


def test_bumps_add_up_to_the_larger() -> None:
    assert larger(Bump.PATCH, Bump.MINOR) is Bump.MINOR
    assert larger(None, Bump.PATCH) is Bump.PATCH
    assert larger(Bump.MAJOR, None) is Bump.MAJOR
    assert Version(1, 2, 3).next(Bump.MINOR) == Version(1, 3, 0)
    assert Version.parse("1.10.0") > Version.parse("1.9.9")
