"""curate.toml and the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.errors import ConfigurationError, WorkspaceError
from curate.settings import Settings, find_workspace, read_settings


def write(tmp_path: Path, text: str) -> Path:
    (tmp_path / "curate.toml").write_text(text, "utf-8")
    return tmp_path


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    assert read_settings(write(tmp_path, "")) == Settings()


def test_the_environment_overrides_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATE_STUDIO_OVERLAP", "3")
    assert read_settings(write(tmp_path, "[studio]\noverlap = 2\n")).studio.overlap == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[corpus]\nnam = 'x'", "corpus.nam"),
        ("[corpus]\nname = '../x'", "corpus.name"),
        ("[studio]\noverlap = 0", "studio.overlap"),
        ("[studio\n", "not valid TOML"),
        ("[studio]\napi_key = 'geheim'", "LABEL_STUDIO_API_KEY"),
        ("[studio.deep]\ntoken = 'geheim'", "studio.deep.token looks like a secret"),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_repeated(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_settings(write(tmp_path, text))
    assert said in str(caught.value)
    assert "curate.toml" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_the_workspace_is_found_from_below(tmp_path: Path) -> None:
    write(tmp_path, "")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_workspace(below) == tmp_path
    with pytest.raises(WorkspaceError, match="curate init"):
        find_workspace(Path("/"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[corpus]\nlanguge = "fr"\n',
            "corpus.languge: there is no such setting; did you mean 'lan",
        ),
        ("[studio]\nqqq = 1\n", "studio.qqq: there is no such setting (there are "),
        ("[corpora]\n", "corpora: there is no such setting; did you mean 'corpus'?"),
    ],
)
def test_a_misspelt_setting_is_told_what_was_meant(tmp_path: Path, text: str, said: str) -> None:
    """Or all there are."""
    with pytest.raises(ConfigurationError) as caught:
        read_settings(write(tmp_path, text))
    assert said in str(caught.value)
