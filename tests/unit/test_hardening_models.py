"""A model from elsewhere is loaded only as its card says, and never as a pickle."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from curate.errors import ConfigurationError, DataError
from curate.extractors.models import CARD, Card, digest_of_folder, publishing, read_card, write_card
from curate.extractors.spacy import Pipeline
from curate.extractors.trust import check
from curate.model import Document

RAN = Path(__file__).with_name("ran-by-a-pickle")


class Bomb:
    """What a pickle may do when it is loaded."""

    def __reduce__(self):
        return (Path.touch, (RAN,))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of spaCy's own, without a card."""
    import spacy

    folder = tmp_path_factory.mktemp("models") / "plain"
    spacy.blank("fr").to_disk(folder)
    return folder


@pytest.fixture
def model(plain: Path, tmp_path: Path) -> Path:
    """The same with a card that fits."""
    import shutil

    folder = tmp_path / "m-1"
    shutil.copytree(plain, folder)
    write_card(folder, card(digest_of_folder(folder)))
    return folder


def card(digest: str) -> Card:
    return Card("m", "1", digest, "spacy", "s", "fr", (), (), {}, {})


def read(folder: Path) -> list[object]:
    return list(Pipeline(folder).extract([Document.of("Rien à voir.")]))


def test_a_model_is_loaded_with_its_card_or_without(model: Path, plain: Path) -> None:
    """The card's digest is that of all other files; one of others has none."""
    assert len(read(model)) == len(read(plain)) == 1
    assert check(plain) is None


@pytest.mark.parametrize("how", ["changed", "added", "removed", "renamed", "a second card inside"])
def test_files_that_are_not_the_cards_are_refused_before_they_are_read(
    how: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither name nor digest nor pipeline is had of a model that was tampered with."""
    target = model / "vocab" / "strings.json"
    if how == "changed":
        target.write_text('["x"]')
    elif how == "added":
        (model / "new").mkdir()
        (model / "new" / "cfg").write_bytes(b"{}")
    elif how == "removed":
        target.unlink()
    elif how == "renamed":
        target.rename(target.with_name("other.json"))
    else:
        (model / "vocab" / CARD).write_text("{}")
    monkeypatch.setattr("spacy.load", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(DataError, match="not those its card describes"):
        read(model)
    with pytest.raises(DataError, match="not those its card describes"):
        _ = Pipeline(model).digest


def _torch(folder: Path) -> None:
    with zipfile.ZipFile(folder / "weights.bin", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))


def _inside(folder: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    # across the border of two pieces, as thinc keeps a PyTorch model in its msgpack
    (folder / "model").write_bytes(b"\x81\xa6shims" + bytes((1 << 20) - 45) + made.getvalue())


PICKLES = {
    "by its name": lambda f: (f / "x.joblib").write_bytes(b""),
    "protocol 2": lambda f: (f / "cfg").write_bytes(pickle.dumps(Bomb(), 2)),
    "protocol 5": lambda f: (f / "model").write_bytes(pickle.dumps(Bomb(), 5)),
    "numpy": lambda f: np.save(f / "v.npy", np.array([Bomb()], dtype=object), allow_pickle=True),
    "torch": _torch,
    "torch inside": _inside,
}


@pytest.mark.parametrize("kind", PICKLES)
@pytest.mark.parametrize("carded", [True, False])
def test_a_pickle_is_never_loaded(kind: str, carded: bool, model: Path) -> None:
    """With a card that vouches for it, or without a card."""
    PICKLES[kind](model)
    (model / CARD).unlink()
    if carded:
        write_card(model, card(digest_of_folder(model)))
    with pytest.raises(ConfigurationError, match="pickle"):
        read(model)
    assert not RAN.exists()


def test_no_module_of_the_extractors_loads_pickles() -> None:
    """But between the workers of one cluster, which trust each other by being started by us."""
    import curate

    root = Path(curate.__file__).parent
    for path in sorted(root.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for word in ("pickle.load", "joblib.load", "torch.load", "marshal.load", "shelve", "dill"):
            if word in text and path.name not in ("cluster_worker.py", "trust.py"):
                pytest.fail(f"{path.relative_to(root)} uses {word}")
        assert "allow_pickle=True" not in text


def test_links_that_the_digest_would_not_see_are_refused(model: Path, tmp_path: Path) -> None:
    """A linked folder's files are not among those hashed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (model / "ner").symlink_to(elsewhere)
    with pytest.raises(ConfigurationError, match="link to a folder"):
        read(model)


def test_what_is_no_regular_file_is_refused(model: Path) -> None:
    """Reading a pipe would wait for ever."""
    import os

    os.mkfifo(model / "pipe")
    with pytest.raises(ConfigurationError, match="no regular file"):
        read(model)


@pytest.mark.parametrize(
    "raw", [b"[" * 100_000, b"[]", b"{}", b'{"name":1}', b"\xff", b'{"name":"x","labels":3}']
)
def test_a_card_that_is_none_is_a_sentence(raw: bytes, model: Path) -> None:
    """Whatever stands in model.json."""
    (model / CARD).write_bytes(raw)
    with pytest.raises(DataError, match="card"):
        read(model)


@pytest.mark.parametrize("file", ["config.cfg", "meta.json", "tokenizer", "vocab/strings.json"])
@pytest.mark.parametrize("junk", [b"\xc1", b"[" * 100_000, b"{}", b"[nlp]\nlang = ${env.HOME}\n"])
def test_a_foreign_pipeline_that_is_damaged_is_a_sentence(
    file: str, junk: bytes, model: Path
) -> None:
    """It loads, or spaCy's own exception becomes ours."""
    (model / CARD).unlink()
    (model / file).write_bytes(junk)
    with contextlib.suppress(ConfigurationError):
        read(model)


REACHES = {
    "a component of another model": """[components]

[components.sentencizer]
source = "{other}"
""",
    "a callback": """[nlp.before_creation]
@callbacks = "spacy.copy_from_base_model.v1"
tokenizer = "{other}"

[components]
""",
    "a callback of another section": """[components]

[hidden]
@callbacks = "spacy.copy_from_base_model.v1"
tokenizer = "{other}"
""",
    "a reader": """[components]

[components.sentencizer]
factory = "sentencizer"

[components.sentencizer.punct_chars]
@readers = "srsly.read_json.v1"
path = "{other}/meta.json"
""",
    "a knowledge base": """[components]

[components.sentencizer]
factory = "sentencizer"

[components.sentencizer.punct_chars]
@misc = "spacy.KBFromFile.v1"
kb_path = "{other}/kb"
""",
}


@pytest.mark.parametrize("kind", REACHES)
@pytest.mark.parametrize("carded", [True, False])
def test_a_models_settings_reach_for_nothing_outside_it(
    kind: str, carded: bool, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """spaCy calls what `config.cfg` names while it loads: other models, files, callbacks."""
    file = model / "config.cfg"
    text = file.read_text("utf-8")
    text = text.replace("[components]", REACHES[kind].replace("{other}", str(tmp_path / "other")))
    if "nlp.before_creation" in text or "[hidden]" in text:
        named = "before_creation = ${hidden}" if "[hidden]" in text else ""
        text = text.replace("before_creation = null", named)
    else:
        text = text.replace("pipeline = []", 'pipeline = ["sentencizer"]')
    file.write_text(text, "utf-8")
    (model / CARD).unlink()
    if carded:
        write_card(model, card(digest_of_folder(model)))
    monkeypatch.setattr("spacy.load", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(ConfigurationError, match=r"another model|no part of a pipeline"):
        read(model)


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "", ".hidden", "a\0b", "a\nb", "x" * 300])
def test_a_models_name_is_no_path(name: str, tmp_path: Path) -> None:
    """`curate train --name` makes a folder inside models/ and nowhere else."""
    with pytest.raises(DataError, match="name"), publishing(tmp_path / "models", name, "1"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_card_may_not_name_itself_like_another_reference(model: Path) -> None:
    """A name from elsewhere is shown and compared; it must not look like a path or a URL."""
    raw = json.loads((model / CARD).read_text())
    for name in ("../x", "http://x", "a@b", "a\x1b[31mb", "module:function"):
        (model / CARD).write_text(json.dumps(raw | {"name": name}))
        with pytest.raises(DataError, match="name"):
            read_card(model)
