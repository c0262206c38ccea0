"""spaCy's own training: its ``ner`` from scratch, or whatever a user's config says."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import ConfigurationError
from curate.schema import LabelSchema

if TYPE_CHECKING:
    from curate.extractors.train import TrainSettings
    from curate.gold.items import GoldDocument


def learn_spacy(
    train: Sequence[GoldDocument],
    dev: Sequence[GoldDocument],
    schema: LabelSchema,
    settings: TrainSettings,
    work: Path,
    tick: Callable[[str], None],
) -> tuple[Any, list[str]]:
    """Train by spaCy's loop in the folder ``work``; returns the best pipeline and notes.

    Raises ConfigurationError where the config does not work.
    """
    import spacy
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train as loop
    from spacy.util import load_config

    from curate.extractors.components import register
    from curate.gold.formats.spacy import export

    register()
    notes: list[str] = []
    checked = list(dev)
    if not checked:
        notes.append("there is no dev split: every tenth training document chose the best epoch")
        checked = list(train)[::10]
    paths = {"train": work / "train.spacy", "dev": work / "dev.spacy"}
    for name, documents in (("train", train), ("dev", checked)):
        loss = export(documents, paths[name], language=schema.language)
        lost = sum(n for why, n in loss.lost.items() if why.startswith("entity"))
        if lost and name == "train":
            notes.append(f"{lost} entities of train could not be given to spaCy's ner")
    try:
        if settings.config is not None:
            config = load_config(Path(settings.config), interpolate=False)
        else:
            config = _ner_config(schema.language)
        config["training"]["seed"] = settings.seed
        config.setdefault("paths", {})
        config["paths"]["train"], config["paths"]["dev"] = map(str, paths.values())
        tick("spaCy's training")
        nlp = init_nlp(config.interpolate(), use_gpu=-1)
        (work / "out").mkdir()
        loop(nlp, work / "out", use_gpu=-1, stdout=sys.stderr, stderr=sys.stderr)
    except KeyboardInterrupt:
        raise
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise ConfigurationError(
            f"spaCy's training failed ({type(error).__name__}: {str(error)[:200]})",
            path=settings.config or "ner",
        ) from None
    return spacy.load(work / "out" / "model-best"), notes


def _ner_config(language: str) -> Any:
    from spacy.cli.init_config import init_config

    from curate.tokenization import TOKENIZER_NAME

    config = init_config(lang=language, pipeline=["ner"], optimize="efficiency", gpu=False)
    config["nlp"]["tokenizer"] = {"@tokenizers": TOKENIZER_NAME, "language": language}
    config["training"]["max_steps"] = 1500
    config["training"]["patience"] = 400
    config["training"]["eval_frequency"] = 100
    config["initialize"]["vectors"] = None
    return config
