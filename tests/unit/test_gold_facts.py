"""What releases count, for ever by the same rule: words, and relations across sentences."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from curate.gold.card import TEMPLATES
from curate.gold.facts import apart
from curate.gold.verify import verify
from curate.model import Entity
from tests.gold_cases import corpus
from tests.unit.test_gold_release import RECIPE, publish


def _between(middle: str) -> bool:
    """Whether a sentence ends between two names with this text between them."""
    text = f"Emoud{middle}Ghat est loin."
    start = len("Emoud" + middle)
    a, b = Entity(0, 5, "PER"), Entity(start, start + 4, "LOC")
    found = apart(text, a, b)
    assert apart(text, b, a) is found
    return found


@pytest.mark.parametrize(
    "middle",
    [
        " est parti. ",
        " est parti ? « ",
        " a dit : « Non. » ",
        " est parti.\u00a0",
        " est parti.",
        " est parti… ",
        " est partiLe camp est à ",
        "\n\n",
        " s'en va\r\n\r\nvers ",
        "\n",
        " s'en va.\r\n",
        " est parti. 🕊️ Vers ",
    ],
)
def test_a_sentence_ends_at_its_marks_at_empty_lines_and_where_two_are_glued(middle: str) -> None:
    assert _between(middle)


@pytest.mark.parametrize(
    "middle",
    [
        " est à ",
        " a vu M. Tahar à ",
        " et le Dr. Halima vont à ",
        ", dit « le lent », est à ",
        " (NOC) est à ",
        ",\n",
        " est venu\nde ",
        " est venu le 3.5 à ",
        " dit « Quoi ? » et va à ",
        " et l'",
    ],
)
def test_a_sentence_does_not_end_at_titles_brackets_quotations_and_folded_lines(
    middle: str,
) -> None:
    assert not _between(middle)


def test_mentions_that_overlap_are_never_apart() -> None:
    text = "Université A. B. de Tripoli"
    outer = Entity(0, len(text), "ORG")
    assert not apart(text, outer, Entity(len(text) - 7, len(text), "LOC"))
    assert not apart(text, outer, Entity(0, 10, "LOC"))


def test_a_long_text_is_searched_in_little_time() -> None:
    """Nothing in the rule goes back and forth over long runs of marks or of white space."""
    for filling in (" ", "\n", ".", "…»", "» ", "M."):
        text = f"A{filling * 20_000}b"
        begun = time.process_time()
        apart(text, Entity(0, 1, "PER"), Entity(len(text) - 1, len(text), "LOC"))
        assert time.process_time() - begun < 2, repr(filling)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_release_of_any_form_of_card_is_verified_whole(tmp_path: Path, template: int) -> None:
    """An older form stays buildable and checkable, numbers and text."""
    recipe = replace(RECIPE, card=replace(RECIPE.card, template=template))
    publish(tmp_path / "tiny", corpus(), recipe=recipe)
    folder = tmp_path / "tiny" / "1.0.0"
    result = verify(folder)
    assert (result.findings, result.notes) == ((), ())
    told = json.loads((folder / "manifest.json").read_bytes())
    card = (folder / "README.md").read_text("utf-8")
    assert told["card"]["template"] == template
    assert ("across_sentences" in told["counts"]) is (template > 1)
    assert ("across sentences" in card) is (template > 1)
    assert ("words" in told["counts"]["per_split"]["train"]) is (template > 1)


def test_another_form_of_card_alone_is_a_patch(tmp_path: Path) -> None:
    old = replace(RECIPE, card=replace(RECIPE.card, template=1))
    publish(tmp_path / "tiny", corpus(), recipe=old)
    built = publish(tmp_path / "tiny", corpus(), recipe=RECIPE)
    assert (built.version, built.repackaged) == ("1.0.1", ["README.md"])
    assert verify(tmp_path / "tiny" / "1.0.1").findings == ()
