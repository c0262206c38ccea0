"""Lists of names: what they find in a text, and how they are read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import ConfigurationError
from curate.extractors.gazetteers import NO_NAMES, NameLists, read_lists, shipped
from curate.tokenization import tokenize

LISTS = NameLists(
    {
        "city": ["Alger", "Saint-Étienne", "Nice"],
        "org": ["ONU", "Front national"],
        "given": ["Nice"],
        "role": ["premier ministre"],
    },
    "fr",
)


def tags(text: str) -> list[str]:
    return LISTS.tags([text[a:b] for a, b in tokenize(text)])


def test_the_longest_name_wins_and_kinds_are_joined() -> None:
    """A name in two lists is of both kinds; accents and case of the rest do not matter."""
    assert tags("Nice et Saint-Etienne") == ["B-city+given", "O", "B-city", "I-city", "I-city"]
    assert tags("le Front National") == ["O", "B-org", "I-org"]


def test_common_words_are_no_names() -> None:
    """A name wants a capital where its list writes one, an acronym all of them."""
    assert tags("un nice mot, onu ou Onu") == ["O"] * 7
    assert tags("Premier ministre de l’ONU") == ["B-role", "I-role", "O", "O", "B-org"]


@given(
    st.lists(st.sampled_from(["Alger", "Front", "national", "ONU", "Saint", "-", "x"]), max_size=12)
)
def test_there_is_a_tag_for_every_word(words: list[str]) -> None:
    """Tags are well-formed BIO, one a word, whatever the words."""
    found = LISTS.tags(words)
    assert len(found) == len(words)
    for before, tag in zip(["O", *found], found, strict=False):
        assert tag[0] != "I" or before[2:] == tag[2:]
    assert NO_NAMES.tags(words) == ["O"] * len(words)


def test_lists_are_read_from_files(tmp_path: Path) -> None:
    """A file for a kind, a name a line, variants behind bars, remarks behind hashes."""
    (tmp_path / "MIL.txt").write_text("# groups\nKatiba X | KX\n\nBrigade 5 # north\n", "utf-8")
    (tmp_path / "empty.txt").write_text("\n", "utf-8")
    assert read_lists(tmp_path) == {"MIL": ["Katiba X", "KX", "Brigade 5"]}
    assert read_lists(tmp_path / "none") == {}
    (tmp_path / "bad.txt").write_bytes(b"\xe9")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        read_lists(tmp_path)


def test_shipped_lists_are_names_once_each() -> None:
    """Every list that ships is sorted, without doubles, and in a language that has it."""
    lists = shipped("fr")
    assert sum(map(len, lists.values())) > 3000
    for names in lists.values():
        assert names == sorted(set(names))
    assert shipped("zz") == {}
