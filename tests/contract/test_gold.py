"""`curate gold` as a user meets it: results, exit codes, and nothing half-done."""

from __future__ import annotations

import errno
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from curate.interchange import dump_line
from curate.model import Annotation, Document, Source
from curate.store import NewDocument, Store
from curate.store.engine import sqlite_url
from tests.contract.conftest import Curate
from tests.gold_cases import corpus


def line(item: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(dump_line(item.document, item.annotation))
    return value


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture
def gold_file(tmp_path: Path) -> Path:
    return write(tmp_path / "gold.jsonl", [line(item) for item in corpus(12)])


@pytest.fixture
def built(curate: Curate, workspace: Path, gold_file: Path) -> Path:
    """A workspace with 1.0.0 published."""
    assert curate("-w", workspace, "gold", "import", gold_file).code == 0
    assert curate("-w", workspace, "gold", "build").code == 0
    return workspace


def test_import_then_build_publishes_1_0_0(
    curate: Curate, workspace: Path, gold_file: Path
) -> None:
    told = curate("-w", workspace, "gold", "import", gold_file, "--json").json
    assert (told["added"], told["documents"], told["entities"]) == (12, 12, 48)
    result = curate("-w", workspace, "gold", "build", "--json").json
    assert (result["version"], result["parent"], result["published"]) == ("1.0.0", None, True)
    assert (result["documents"], result["entities"], result["relations"]) == (12, 48, 24)
    assert result["rules"] == {"curator gold": 12}
    assert sum(result["splits"].values()) == 12
    folder = workspace / "gold" / "sahel" / "1.0.0"
    assert json.loads((folder / "manifest.json").read_bytes())["digest"] == result["digest"]


def test_a_second_run_changes_nothing(curate: Curate, built: Path, gold_file: Path) -> None:
    before = {p: p.read_bytes() for p in (built / "gold").rglob("*") if p.is_file()}
    again = curate("-w", built, "gold", "import", gold_file, "--json").json
    assert (again["added"], again["replaced"], again["unchanged"]) == (0, 0, 12)
    result = curate("-w", built, "gold", "build")
    assert result.code == 0
    assert "nothing to publish" in result.out
    assert before == {p: p.read_bytes() for p in (built / "gold").rglob("*") if p.is_file()}


def test_a_replaced_decision_makes_a_major_version(
    curate: Curate, built: Path, tmp_path: Path
) -> None:
    row = line(corpus(1)[0])
    row["relations"] = []
    told = curate("-w", built, "gold", "import", write(tmp_path / "x.jsonl", [row]), "--json").json
    assert (told["replaced"], told["documents"]) == (1, 0)
    dry = curate("-w", built, "gold", "build", "--dry-run", "--json").json
    assert (dry["version"], dry["bump"], dry["published"]) == ("2.0.0", "major", False)
    assert dry["changes"] == {"relation_removed": 2}
    assert not (built / "gold" / "sahel" / "2.0.0").exists()
    refused = curate("-w", built, "gold", "build", "--version", "1.1.0")
    assert refused.code == 2
    assert "2.0.0" in refused.err
    done = curate("-w", built, "gold", "build", "--version", "2.0.0", "--notes", "mended", "--json")
    assert done.json["digest"] == dry["digest"] or done.json["version"] == "2.0.0"
    log = curate("-w", built, "gold", "log", "--json").json["releases"]
    assert [(e["version"], e["bump"], e["notes"]) for e in log] == [
        ("2.0.0", "major", "mended"),
        ("1.0.0", None, ""),
    ]
    diff = curate("-w", built, "gold", "diff", "1.0.0", "latest", "--json").json
    assert diff["counts"] == {"relation_removed": 2}
    assert diff["bump"] == "major"
    assert [c["kind"] for c in diff["changes"]] == ["relation_removed"] * 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"text": "autre texte"}, "another text"),
        ({"entities": [{"start": 0, "end": 9999, "label": "PER"}]}, "outside the text"),
        ({"entities": [{"start": 0, "end": 3, "label": "FOO"}], "relations": []}, "FOO"),
        ({"relations": [{"head": "e9", "tail": "e1", "label": "visits"}]}, "e9"),
        ({"entities": [], "relations": [], "id": "doc-000"}, "stands twice"),
    ],
)
def test_what_does_not_fit_is_named_by_file_and_line_and_nothing_enters(
    curate: Curate, workspace: Path, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    rows = [line(item) for item in corpus(3)]
    assert (
        curate("-w", workspace, "gold", "import", write(tmp_path / "a.jsonl", rows[:1])).code == 0
    )
    extra = {**rows[0], "entities": [], "relations": []} if "text" in change else rows[1]
    file = write(
        tmp_path / "b.jsonl",
        [rows[0], {**extra, **change}] if "text" not in change else [rows[2], {**extra, **change}],
    )
    result = curate("-w", workspace, "gold", "import", file)
    assert result.code == 3
    assert f"{file}:2: " in result.err
    assert reason in result.err
    assert curate("-w", workspace, "gold", "build", "--json").json["documents"] == 1


def test_bad_records_may_be_passed_over_and_are_told(
    curate: Curate, workspace: Path, tmp_path: Path
) -> None:
    rows = [line(item) for item in corpus(3)]
    rows[1]["entities"][0]["label"] = "FOO"
    file = write(tmp_path / "a.jsonl", rows)
    result = curate("-w", workspace, "gold", "import", file, "--keep-going", "--json")
    assert result.code == 0
    assert (result.json["added"], result.json["passed_over"]) == (2, 1)
    assert f"{file}:2" in result.json["errors"][0]
    again = curate("-w", workspace, "gold", "import", file, "--keep-going", "--strict")
    assert again.code == 1


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"{", b"[]\n", b"\xe9\n", b'{"text":"a\\u0000b"}\n']
)
def test_a_file_that_is_no_gold_set_is_refused(
    curate: Curate, workspace: Path, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "x.jsonl").write_bytes(content)
    assert curate("-w", workspace, "gold", "import", tmp_path / "x.jsonl").code == 3


def test_what_is_not_there_is_said(curate: Curate, workspace: Path, tmp_path: Path) -> None:
    assert curate("-w", workspace, "gold", "import", tmp_path / "no.jsonl").code == 3
    assert curate("-w", workspace, "gold", "import", tmp_path).code == 3
    assert curate("-w", workspace, "gold", "import", tmp_path, "--format", "xml").code == 2
    assert curate("-w", workspace, "gold", "verify").code == 3
    assert curate("-w", workspace, "gold", "show", "1.0.0").code == 3
    assert curate("-w", workspace, "gold", "show", "../../etc").code in (2, 3)
    assert curate("-w", workspace, "gold", "diff", "1.0", "latest").code == 2
    assert curate("-w", workspace, "gold", "export", "--format", "pdf").code in (2, 3)
    nothing = curate("-w", workspace, "gold", "build", "--json")
    assert (nothing.code, nothing.json["version"], nothing.json["published"]) == (0, None, False)


def test_a_full_disk_is_said_and_leaves_nothing(
    curate: Curate, workspace: Path, gold_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curate("-w", workspace, "gold", "import", gold_file)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        result = curate("-w", workspace, "gold", "build")
    assert result.code == 3
    assert "disk is full" in result.err
    assert not list((workspace / "gold").rglob("*.jsonl"))
    assert curate("-w", workspace, "gold", "build").code == 0


def test_verify_exits_1_and_names_the_file(curate: Curate, built: Path) -> None:
    assert curate("-w", built, "gold", "verify").code == 0
    for path in sorted((built / "gold" / "sahel" / "1.0.0").iterdir()):
        whole = path.read_bytes()
        path.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
        result = curate("-w", built, "gold", "verify", "--json")
        assert result.code == 1
        findings = result.json["releases"][0]["findings"]
        assert path.name in {finding["file"] for finding in findings}
        path.write_bytes(whole)
    assert curate("-w", built, "gold", "verify", "1.0.0").code == 0


def test_verify_exits_1_where_a_release_has_lost_its_manifest(
    curate: Curate, built: Path, tmp_path: Path
) -> None:
    """By version, by folder, and outside a workspace; a folder of something else is no release."""
    folder = tmp_path / "copy"
    shutil.copytree(built / "gold" / "sahel" / "1.0.0", folder)
    for place in (folder, built / "gold" / "sahel" / "1.0.0"):
        (place / "manifest.json").unlink()
    (folder / "documents.jsonl").unlink()
    for call in (("gold", "verify", folder), ("-w", built, "gold", "verify", folder)):
        result = curate(*call, "--json")
        assert result.code == 1
        [finding] = result.json["releases"][0]["findings"]
        assert finding["file"] == "manifest.json"
        assert "is missing" in finding["message"]
    assert curate("-w", built, "gold", "verify", "1.0.0").code == 1
    assert curate("-w", built, "gold", "verify").code == 1
    (tmp_path / "other").mkdir()
    assert curate("gold", "verify", tmp_path / "other").code == 3


def test_a_release_is_verified_and_read_without_a_workspace(
    curate: Curate, built: Path, tmp_path: Path, gold_file: Path
) -> None:
    folder = tmp_path / "elsewhere" / "1.0.0"
    shutil.copytree(built / "gold" / "sahel" / "1.0.0", folder)
    assert curate("gold", "verify", folder).code == 0
    assert curate("gold", "show", folder, "--json").json["version"] == "1.0.0"
    assert curate("gold", "diff", folder, gold_file, "--json").json["counts"] == {}
    assert (
        curate(
            "gold",
            "export",
            "--version",
            folder,
            "--format",
            "conll",
            "--split",
            "train",
            "-o",
            tmp_path / "t.conll",
        ).code
        == 0
    )
    assert curate("gold", "verify", "1.0.0").code in (2, 3)


def test_exported_jsonl_imports_to_the_same_gold(
    curate: Curate, built: Path, tmp_path: Path
) -> None:
    assert (
        curate(
            "-w", built, "gold", "export", "--format", "jsonl", "-o", tmp_path / "all.jsonl"
        ).code
        == 0
    )
    assert curate("init", tmp_path / "other").code == 0
    assert curate("-w", tmp_path / "other", "gold", "import", tmp_path / "all.jsonl").code == 0
    assert curate("-w", tmp_path / "other", "gold", "build").code == 0
    diff = curate(
        "gold",
        "diff",
        built / "gold" / "sahel" / "1.0.0",
        tmp_path / "other" / "gold" / "sahel" / "1.0.0",
        "--json",
    ).json
    assert diff["counts"] == {}


@pytest.mark.parametrize("form", ["brat", "conll", "prodigy"])
def test_other_forms_are_imported(curate: Curate, built: Path, tmp_path: Path, form: str) -> None:
    target = tmp_path / ("x.jsonl" if form == "prodigy" else "x.conll" if form == "conll" else "x")
    assert curate("-w", built, "gold", "export", "--format", form, "-o", target).code == 0
    assert curate("init", tmp_path / "other").code == 0
    told = curate("-w", tmp_path / "other", "gold", "import", target, "--format", form, "--json")
    assert (told.json["added"], told.json["entities"]) == (12, 48)


def test_show_tells_a_release_and_a_document(curate: Curate, built: Path) -> None:
    shown = curate("-w", built, "gold", "show", "1.0.0", "--json").json
    assert shown["counts"]["documents"] == 12
    document = curate("-w", built, "gold", "show", "latest", "doc-003", "--json").json
    assert document["id"] == "doc-003"
    assert len(document["entities"]) == 4
    assert document["split"] in ("train", "dev", "test")
    people = curate("-w", built, "gold", "show", "latest", "doc-003").out
    assert "Sonia Kaci" in people
    assert curate("-w", built, "gold", "show", "latest", "doc-999").code == 3
    assert [
        v["version"] for v in curate("-w", built, "gold", "list", "--json").json["versions"]
    ] == ["1.0.0"]


def test_the_diff_s_page_stands_alone(curate: Curate, built: Path, tmp_path: Path) -> None:
    rows = [line(item) for item in corpus(12)]
    rows[0]["entities"][0]["label"] = "ORG"
    rows[0]["relations"] = []
    file = write(tmp_path / "b.jsonl", rows)
    assert (
        curate("-w", built, "gold", "diff", "latest", file, "--html", tmp_path / "d.html").code == 0
    )
    page = (tmp_path / "d.html").read_text("utf-8")
    assert "entity label" in page
    assert "<mark>" in page
    assert "://" not in page


def test_control_characters_in_gold_do_not_reach_the_terminal(
    curate: Curate, workspace: Path, tmp_path: Path
) -> None:
    row = {
        "id": "d",
        "text": "Ali \x1b[31mrouge\x07.",
        "entities": [{"id": "e", "start": 0, "end": 6, "label": "PER"}],
    }
    assert curate("-w", workspace, "gold", "import", write(tmp_path / "x.jsonl", [row])).code == 0
    assert curate("-w", workspace, "gold", "build").code == 0
    for command in (("show", "latest", "d"), ("blame", "d"), ("lint",)):
        assert "\x1b" not in curate("-w", workspace, "gold", *command).out


# What annotators said: entered into the store as a pull would.


@dataclass(frozen=True)
class Came:
    annotation_id: int
    user_id: int
    annotation: Annotation | None
    raw: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    item: Any = None
    skipped: bool = False
    ground_truth: bool = False
    lead_time: float | None = 12.5
    created_at: str = "2025-01-01T00:00:00.000000Z"
    updated_at: str = "2025-01-02T00:00:00.000000Z"
    parent_version: str | None = None


@dataclass(frozen=True)
class Task:
    task_id: int
    document_id: str
    annotations: tuple[Came, ...]
    drafts: tuple[Any, ...] = ()


def annotate(workspace: Path, count: int = 12) -> None:
    """Two annotators on every document; on even ones the second leaves out a relation."""
    from curate.store.sync_tables import studio_projects

    model = Source.model("bootstrap", "1")
    with Store.open(sqlite_url(workspace / ".curate" / "store.db")) as store, store.write() as unit:
        items = corpus(count)
        unit.documents.add(NewDocument(item.document, item.document.id) for item in items)
        unit.predictions.put(item.annotation.from_source(model) for item in items)
        run = unit.predictions.run_id(model)
        unit.connection.execute(
            studio_projects.insert().values(
                id=1,
                server="http://127.0.0.1:1",
                project_id=1,
                title="t",
                purpose="annotate",
                made_at="2025",
                abandoned=False,
            )
        )
        tasks = []
        for i, item in enumerate(items):
            old = item.annotation
            fewer = Annotation.of(
                old.document_id,
                old.entities,
                old.relations[1:] if i % 2 == 0 else old.relations,
                old.source,
            )
            came = (
                Came(2 * i + 1, 7, old, parent_version="bootstrap 1"),
                Came(2 * i + 2, 8, fewer),
            )
            tasks.append(Task(i + 1, old.document_id, came))
        unit.annotations.receive(1, "http://127.0.0.1:1", tasks, {"bootstrap 1": run})
        unit.commit()


def pin(workspace: Path, rule: str) -> None:
    path = workspace / "curate.toml"
    text = path.read_text("utf-8")
    if "[consensus]" in text:
        text = text[: text.index("[consensus]")]
    path.write_text(text + f"\n[consensus]\npinned = {rule!r}\n", "utf-8")


def test_open_differences_in_test_refuse_the_build_unless_they_may_be_left_out(
    curate: Curate, workspace: Path
) -> None:
    pin(workspace, "")
    annotate(workspace)
    refused = curate("-w", workspace, "gold", "build")
    assert refused.code == 1
    assert "test split" in refused.err
    assert not (workspace / "gold" / "sahel").exists() or not list(
        (workspace / "gold" / "sahel").iterdir()
    )
    allowed = curate("-w", workspace, "gold", "build", "--allow-open", "--json")
    assert allowed.code == 0
    assert allowed.json["left_out"]
    assert allowed.json["documents"] == 12 - len(allowed.json["left_out"])
    assert allowed.json["open"]["documents"] == 6
    assert allowed.json["rules"] == {"consensus unanimous": allowed.json["documents"]}


def test_a_pinned_rule_decides_and_the_release_records_it(curate: Curate, workspace: Path) -> None:
    pin(workspace, "unanimous")
    annotate(workspace)
    result = curate("-w", workspace, "gold", "build", "--json").json
    assert result["rules"] == {"consensus unanimous": 12}
    assert (result["entities"], result["relations"]) == (48, 18)
    assert curate("-w", workspace, "gold", "verify").code == 0
    card = (workspace / "gold" / "sahel" / "1.0.0" / "README.md").read_text("utf-8")
    assert "Mean pairwise strict F1 of 2 annotators on 12 documents" in card
    assert curate("-w", workspace, "gold", "build", "--json").json["published"] is False


def test_blame_tells_who_proposed_who_agreed_and_who_decided(
    curate: Curate, workspace: Path
) -> None:
    pin(workspace, "unanimous")
    annotate(workspace)
    curate("-w", workspace, "gold", "build")
    told = curate("-w", workspace, "gold", "blame", "doc-000").out
    assert "decided by the consensus rule unanimous" in told
    assert "Label Studio task 1" in told
    assert "annotated by annotator-1, annotation 1, who saw a prediction of bootstrap@1" in told
    assert "annotator-1 accepted it" in told
    assert "annotator-2 marked it" in told
    assert "not taken:" in told
    data = curate("-w", workspace, "gold", "blame", "doc-000", "--json").json
    assert sum(item["rejected"] for item in data["items"]) == 1
    assert "@example" not in json.dumps(data)


def test_a_curator_s_decision_outweighs_the_annotators(
    curate: Curate, workspace: Path, tmp_path: Path
) -> None:
    pin(workspace, "unanimous")
    annotate(workspace)
    file = write(tmp_path / "x.jsonl", [line(corpus(1)[0])])
    assert curate("-w", workspace, "gold", "import", file, "--by", "chief").code == 0
    result = curate("-w", workspace, "gold", "build", "--json").json
    assert result["rules"] == {"consensus unanimous": 11, "curator chief": 1}


@pytest.mark.parametrize("version", [None, "1.0.0"])
def test_decisions_rebuild_the_same_bytes_in_an_empty_workspace(
    curate: Curate, workspace: Path, tmp_path: Path, version: str | None
) -> None:
    pin(workspace, "unanimous")
    annotate(workspace)
    first = curate("-w", workspace, "gold", "build", "--json").json
    file = tmp_path / "decisions.jsonl"
    named = () if version is None else ("--version", version)
    assert curate("-w", workspace, "gold", "decisions", "export", file, *named).code == 0
    assert curate("init", tmp_path / "other").code == 0
    told = curate("-w", tmp_path / "other", "gold", "decisions", "import", file, "--json").json
    assert (told["added"], told["documents"]) == (12, 12)
    second = curate("-w", tmp_path / "other", "gold", "build", "--json").json
    assert second["digest"] == first["digest"]
    again = tmp_path / "again.jsonl"
    curate("-w", tmp_path / "other", "gold", "decisions", "export", again)
    assert again.read_bytes() == file.read_bytes()
    repeated = curate("-w", tmp_path / "other", "gold", "decisions", "import", file, "--json").json
    assert (repeated["unchanged"], repeated["replaced"]) == (12, 0)


def test_a_plain_gold_set_is_no_file_of_decisions(
    curate: Curate, workspace: Path, gold_file: Path
) -> None:
    result = curate("-w", workspace, "gold", "decisions", "import", gold_file)
    assert result.code == 3
    assert "gold import" in result.err


def test_what_else_a_workspace_holds_does_not_reach_the_bytes(
    curate: Curate, workspace: Path, tmp_path: Path, gold_file: Path
) -> None:
    """Near duplicates that nobody decided, other predictions, another order of entry."""
    rows = [line(item) for item in corpus(12)]
    near = Document.of(rows[3]["text"] + " Fin.", id="a-near-one")
    with Store.open(sqlite_url(workspace / ".curate" / "store.db")) as store, store.write() as unit:
        unit.documents.add([NewDocument(near, "a-near-one")])
        unit.commit()
    assert (
        curate("-w", workspace, "gold", "import", write(tmp_path / "r.jsonl", rows[::-1])).code == 0
    )
    one = curate("-w", workspace, "gold", "build", "--json").json
    assert curate("init", tmp_path / "other").code == 0
    assert curate("-w", tmp_path / "other", "gold", "import", gold_file).code == 0
    two = curate("-w", tmp_path / "other", "gold", "build", "--json").json
    assert one["digest"] == two["digest"]


def test_a_near_duplicate_joins_its_group_and_a_bridge_is_quarantined(
    curate: Curate, built: Path, tmp_path: Path
) -> None:
    documents = [
        json.loads(row)
        for row in (built / "gold/sahel/1.0.0/documents.jsonl").read_text("utf-8").splitlines()
    ]
    train = next(d for d in documents if d["split"] == "train")
    test = next(d for d in documents if d["split"] == "test")
    rows = [
        {"id": "reprint", "text": train["text"] + " (AFP)"},
        {"id": "bridge", "text": train["text"] + "\n" + test["text"]},
    ]
    assert curate("-w", built, "gold", "import", write(tmp_path / "n.jsonl", rows)).code == 0
    result = curate("-w", built, "gold", "build", "--json").json
    assert result["version"] == "1.1.0"
    shown = curate("-w", built, "gold", "show", "latest", "reprint", "--json").json
    assert (shown["split"], shown["group"]) == ("train", train["group"])
    assert result["quarantined"] == {"bridge": ["train", "test"]}
    listed = json.loads((built / "gold/sahel/1.1.0/manifest.json").read_bytes())["quarantined"]
    assert listed == {"bridge": ["train", "test"]}
    assert curate("-w", built, "gold", "verify").code == 0


def test_lint_exits_1_where_it_finds_something(
    curate: Curate, workspace: Path, tmp_path: Path
) -> None:
    text = "Ali est parti vers le Niger. Ali reviendra."
    row = {
        "id": "d",
        "text": text,
        "entities": [
            {"id": "a", "start": 0, "end": 3, "label": "PER"},
            {"id": "b", "start": 19, "end": 27, "label": "LOC"},
        ],
    }
    assert curate("-w", workspace, "gold", "import", write(tmp_path / "x.jsonl", [row])).code == 0
    result = curate("-w", workspace, "gold", "lint", "--json")
    assert result.code == 1
    assert [f["rule"] for f in result.json["findings"]] == ["article", "repeat"]
    assert curate("-w", workspace, "gold", "lint", "--rule", "token").code == 0
    assert curate("-w", workspace, "gold", "lint", "--rule", "nonsense").code == 2
    assert "le Niger" in curate("-w", workspace, "gold", "lint").out


def test_the_card_says_what_the_settings_say_and_a_change_of_it_is_a_patch(
    curate: Curate, built: Path
) -> None:
    with (built / "curate.toml").open("a", encoding="utf-8") as stream:
        stream.write('\n[card]\nlicense = "cc-by-4.0"\nauthors = ["A. <B>"]\nlimits = ["Small."]\n')
    result = curate("-w", built, "gold", "build", "--json").json
    assert (result["version"], result["repackaged"]) == ("1.0.1", ["README.md"])
    card = (built / "gold" / "sahel" / "1.0.1" / "README.md").read_text("utf-8")
    assert "license: cc-by-4.0" in card
    assert "- Small." in card
    assert curate("-w", built, "gold", "verify").code == 0


def test_by_date_splits_in_time(curate: Curate, workspace: Path, gold_file: Path) -> None:
    assert curate("-w", workspace, "gold", "import", gold_file).code == 0
    assert curate("-w", workspace, "gold", "build", "--by-date").code == 0
    rows = [
        json.loads(row)
        for row in (workspace / "gold/sahel/1.0.0/documents.jsonl").read_text("utf-8").splitlines()
    ]
    newest = max(row["meta"]["date"] for row in rows if row["split"] == "train")
    assert all(row["meta"]["date"] > newest for row in rows if row["split"] == "test")
    assert curate("-w", workspace, "gold", "build", "--json").json["published"] is False
