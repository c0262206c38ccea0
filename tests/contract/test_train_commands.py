"""The commands of retraining: train --auto, models promote and show, train-curve."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from curate.flows import train_curve as flow
from curate.interchange import write
from curate.resources import resource
from tests.conftest import Curate
from tests.contract.test_train import documents

REPOSITORY = Path(__file__).parents[2]
TINY = (
    "name: tiny\nlanguage: en\nentities:\n  - name: PER\n  - name: ORG\n  - name: LOC\n"
    "relations:\n  - {name: works_for, head: [PER], tail: [ORG]}\n"
)


def test_training_promotes_by_the_rule_or_says_why_not(
    curate: Curate, workspace: Path, tmp_path: Path
) -> None:
    """The first model beats the rules that know nothing; the second is no better: it is kept, the
    champion stays, exit 1.  Without a test split nothing is trained; a reason is demanded."""
    (workspace / "label_configs" / "sahel.yaml").write_text(TINY)
    gold, other = tmp_path / "gold.jsonl", tmp_path / "other.jsonl"
    write(gold, documents("t" * 10 + "x" * 8))
    write(other, documents("t" * 10))
    at = ("-w", workspace)
    first = curate(*at, "train", "--gold", gold, "--auto", "--json")
    assert first.code == 0, first.err
    promotion = first.json["promotion"]
    assert (promotion["champion"], promotion["promoted"]) == ("bootstrap@1", True)
    assert promotion["verdict"]["edits"]["challenger"]["per_entity"] < 0.5
    second = curate(*at, "train", "--gold", gold, "--auto", "--seed", 1)
    assert second.code == 1
    assert second.err.splitlines()[-1].startswith("curate: tiny@2 stays behind tiny@1: the diff")
    assert "edits per gold entity" in second.out
    again = curate(*at, "train", "--gold", gold, "--auto", "--json")
    assert (again.code, again.json["trained"]) == (0, False)
    same = curate(*at, "train", "--gold", gold, "--from", "tiny@2", "--json")
    assert (same.json["trained"], same.json["model"]["reference"]) == (False, "tiny@2")
    assert curate(*at, "train", "--gold", gold, "--from", "nobody").code == 2
    assert curate(*at, "train", "--gold", gold, "--extractor", "ner", "--tune").code == 2
    assert curate(*at, "train", "--gold", other, "--auto").code == 3
    assert curate(*at, "models", "promote", "tiny@2", "--gold", gold, "--force", " ").code == 2
    forced = curate(*at, "models", "promote", "tiny@2", "--gold", gold, "--force", "we agreed")
    assert forced.code == 0
    assert "tiny@2 takes the place of tiny@1, forced: we agreed" in forced.out
    shown = curate(*at, "models", "show", "tiny@2").out
    assert "looks at that test split: 3 when it was trained, 3 by now" in shown
    assert "forced: we agreed" in shown
    assert "edits per gold entity" in shown
    few = ("--shares", "0.5,1", "--seeds", 1, "--on", "test", "--json")
    curve = curate(*at, "train-curve", "--gold", gold, *few)
    assert curve.json["notes"] == ["looks at that test split so far: 5"]
    why = "n/a: a curve needs 4 different sizes, there are 2"
    assert curve.json["sentences"] == [f"entities: {why}", f"relations: {why}"]


def test_a_broken_off_curve_goes_on_where_it_stopped(
    curate: Curate, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the sample corpus: Ctrl-C in the third training ends with 130; run again, two of four are
    kept; a third run trains nothing and says the same; the report stands whole."""
    real, calls = flow._tally_of, list[int]()

    def breaking(job: Any, *rest: Any) -> Any:
        calls.append(len(job.train))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(job, *rest)

    monkeypatch.setattr(flow, "_tally_of", breaking)
    sample = tmp_path / "sample.jsonl"
    lines = (
        resource("examples/sahel/annotator_a.jsonl").read_text(encoding="utf-8").splitlines()[:20]
    )
    # Without relations: to learn them takes ten times as long.
    bare = [json.dumps(json.loads(line) | {"relations": []}) for line in lines]
    sample.write_text("\n".join(bare) + "\n")
    shares = ("--shares", "0.15,0.25,0.35,0.6", "--seeds", 1, "--no-rules")
    command: Sequence[object] = ("-w", workspace, "train-curve", "--gold", sample, *shares)
    broken = curate(*command)
    assert broken.code == 130
    assert "go on where it stopped" in broken.err
    done = curate(*command, "--json", "--output", tmp_path / "out")
    assert done.code == 0, done.err
    assert "2 of 4 models were trained before" in done.err
    assert len(calls) == 5
    assert [point["kept"] for point in done.json["points"]] == [True, True, False, False]
    entities = done.json["curves"][0]
    assert entities["fit"] is not None
    assert entities["gain"]["ci"][0] <= entities["gain"]["f1"] <= entities["gain"]["ci"][1]
    assert {a["label"] for a in done.json["advice"]} >= {"PER", "LOC", "located_in"}
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["curve.json", "curve.png", "curve.svg", "report.html"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert done.json["sentences"][0] in page
    assert "<svg" in page
    assert "What to annotate next" in page
    kept = curate(*command, "--json")
    assert len(calls) == 5
    assert kept.json["curves"] == json.loads(json.dumps(done.json["curves"]))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--shares", "0,1"), 2, "above 0 and at most 1"),
        (("--shares", "a"), 2, "write numbers such as"),
        (("--on", "train"), 2, "must be one of auto, dev, cross, test"),
        (("--on", "test"), 3, "there is no test split"),
    ],
)
def test_a_curve_that_cannot_be_is_refused(
    arguments: tuple[str, ...], code: int, said: str, curate: Curate, workspace: Path
) -> None:
    """One sentence, the right code, nothing trained."""
    sample = resource("examples/sahel/annotator_a.jsonl")
    refused = curate("-w", workspace, "train-curve", "--gold", sample, *arguments)
    assert refused.code == code
    assert said in refused.err
    assert not (workspace / ".curate" / "train-curve").exists()


def test_a_look_of_evaluate_is_counted_once_for_a_model(curate: Curate, workspace: Path) -> None:
    """Scored twice on the test split a model has looked once; dev and files do not count."""
    shutil.copytree(REPOSITORY / "gold" / "sahel", workspace / "gold" / "sahel", dirs_exist_ok=True)
    at = ("-w", workspace, "evaluate", "bootstrap", "--gold", "latest", "--draws", 100)
    assert "so far" not in curate(*at, "--split", "dev").err
    for _ in range(2):
        said = curate(*at, "--split", "test")
        assert "models scored on the test split of sahel" in said.err
    assert len((workspace / "models" / "looks.jsonl").read_text().splitlines()) == 1
