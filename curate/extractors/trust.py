"""Whether a model's folder may be loaded: it is what its card says, and holds no pickle.

A digest tells that a model is the one its card describes, not who made it.  Whoever can write the
folder can write the card: take models from people you trust, and compare the digest they tell you.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curate.errors import ConfigurationError, DataError, DiskError
from curate.extractors.models import CARD, Card, digest_of_folder, read_card

_PICKLED = frozenset(
    {".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle", ".pt", ".pth", ".ckpt"}
)
_PROTOCOL = re.compile(rb"\x80[\x02-\x05][\s\S]")
"""How a pickle of protocol 2 to 5 begins; no file of msgpack, JSON, numpy or CRFsuite does."""
_NUMPY_OBJECT = re.compile(rb"\x93NUMPY[\s\S]{4,8}\{[^}]*'descr': *'\|O'")
_INSIDE = (b"/data.pkl", b"archive/data.pkl", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")
"""PyTorch's archives and its older form, which thinc keeps inside other files."""
_PIECE = 1 << 20

_MAKERS = frozenset(
    {"architectures", "factories", "initializers", "languages", "layers", "lemmatizers", "losses"}
    | {"misc", "ops", "optimizers", "schedules", "scorers", "tokenizers", "vectors"}
)
"""Registries of what a pipeline is made of.  The others run something (callbacks, commands) or
read something (readers, batchers), which a pipeline needs in training alone."""
_READERS = ("spacy.KBFromFile", "spacy.LookupsDataLoader")
"""Among ``misc`` those that read files of any place."""


def check(folder: Path) -> Card | None:
    """The model's card, None where it has none.

    Raises DataError where its files are not those the card speaks of, ConfigurationError where
    loading would run somebody's pickle or leave the folder.
    """
    card = read_card(folder) if (folder / CARD).is_file() else None
    try:
        _look(folder)
        digest = digest_of_folder(folder) if card is not None else ""
    except OSError as error:
        raise DiskError(f"the model cannot be read: {error.strerror}", path=folder) from None
    if card is not None and digest != card.digest:
        raise DataError(
            f"the model's files are not those its card describes (digest {digest[:12]}, not "
            f"{card.digest[:12]!r}); fetch it again, or train it again",
            path=folder,
        )
    return card


def check_config(folder: Path) -> None:
    """Loading builds what ``[nlp]`` and ``[components]`` of ``config.cfg`` name, with the arguments
    that stand there: nothing may be among it that leaves the folder or is no part of a pipeline.

    Raises ConfigurationError, also where it cannot be read.
    """
    from confection import Config

    path = folder / "config.cfg"
    try:
        # as spaCy reads it: a section may stand elsewhere and be named here
        config = Config().from_str(path.read_text(encoding="utf-8"), interpolate=True)
    except Exception:  # whatever the parser makes of it
        raise ConfigurationError(
            "cannot be read; was the pipeline made by another version?", path=path
        ) from None
    for section in ("nlp", "components"):
        for place, key, value in _settings(config.get(section), section):
            if key == "source" and place.count(".") == 1 and section == "components":
                said = "takes a component from another model"
            elif key.startswith("@") and (
                key[1:] not in _MAKERS or str(value).startswith(_READERS)
            ):
                said = f"names {value!r} of {key[1:]!r}, which is no part of a pipeline"
            else:
                continue
            raise ConfigurationError(
                f"[{place}] {said}; loading it would reach outside the folder: remove it, or wrap "
                "the model in a function of yours and name it `module:function`",
                path=path,
            )


def _settings(value: Any, place: str) -> Iterator[tuple[str, str, Any]]:
    """Place, key and value of everything below."""
    if isinstance(value, dict):
        for key, held in value.items():
            yield place, str(key), held
            yield from _settings(held, f"{place}.{key}")
    elif isinstance(value, list):
        for held in value:
            yield from _settings(held, place)


def _look(folder: Path) -> None:
    for root, folders, files in os.walk(folder):
        for name in folders:
            if (Path(root) / name).is_symlink():
                raise ConfigurationError(
                    "is a link to a folder, which a model may not hold; copy the files themselves",
                    path=Path(root) / name,
                )
        for name in files:
            path = Path(root) / name
            if not stat.S_ISREG(path.stat().st_mode):
                raise ConfigurationError("is no regular file, as a model's must be", path=path)
            if path.suffix.lower() in _PICKLED or _holds_pickle(path):
                raise ConfigurationError(
                    "is a pickle or holds one, and loading it could run anything; curate never "
                    "does: wrap the model in a function of yours and name it `module:function`, "
                    "if you trust it",
                    path=path,
                )


def _holds_pickle(path: Path) -> bool:
    with path.open("rb") as stream:
        piece = stream.read(_PIECE)
        if _PROTOCOL.match(piece) or _NUMPY_OBJECT.match(piece):
            return True
        tail = b""
        while piece:
            joined = tail + piece
            if any(mark in joined for mark in _INSIDE):
                return True
            tail = joined[-64:]
            piece = stream.read(_PIECE)
    return False
