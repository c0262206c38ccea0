"""spaCy's own training: its ``ner`` or ``spancat`` from scratch, or whatever a user's config says.

Every training is from scratch on all of the gold: fine-tuning a spaCy model on new documents alone
makes it forget the old ones.  spaCy says nothing itself; its log becomes our progress.
"""

from __future__ import annotations

import io
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import ConfigurationError, CurateError
from curate.schema import LabelSchema

if TYPE_CHECKING:
    from curate.extractors.train import TrainSettings
    from curate.gold.items import GoldDocument

LOGGER = "curate.progress.v1"
STEPS = 1500
LONGEST = 10
"""Longer mentions are not suggested to ``spancat``: every span up to that length is looked at."""
SPLITS = ("train", "dev")

_listening: list[Callable[[dict[str, Any]], None]] = []


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
    from curate.extractors.components import register

    register()
    notes: list[str] = []
    checked = list(dev)
    if not checked:
        notes.append("there is no dev split: every tenth training document chose the best epoch")
        checked = sorted(train, key=lambda g: g.id)[::10]
    else:
        notes.append("dev chose the best epoch: its scores are a little too good")
    config = _config(settings, schema, train)
    keys = sorted(set(_spans_keys(config["components"])))
    paths = {}
    for name, documents in (("train", train), ("dev", checked)):
        paths[name] = work / f"{name}.spacy"
        overlapping = _write(documents, paths[name], schema.language, keys)
        if overlapping and name == "train" and not keys:
            notes.append(
                f"{overlapping} entities of train lie in longer ones: ner cannot learn them"
            )
    nlp = _run(config, paths, settings, work, tick)
    cut = _misaligned(nlp, train)
    if cut:
        notes.append(f"{cut} entities of train cut a token of this tokenizer and were not learned")
    return nlp, notes


def _run(
    config: Any, paths: dict[str, Path], settings: TrainSettings, work: Path, tick: Any
) -> Any:
    import spacy
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train as loop

    place = settings.config or settings.extractor
    (work / "out").mkdir()
    try:
        with warnings.catch_warnings():
            # What spaCy warns of (misaligned entities, above all) stands in our notes.
            warnings.simplefilter("ignore")
            ready, was = _prepared(config, paths, settings.seed)
            tick("spaCy: preparing")
            nlp = init_nlp(ready, use_gpu=-1)
            most = int(nlp.config["training"].get("max_steps") or 0)
            with _listened(most, tick):
                loop(nlp, work / "out", use_gpu=-1, stdout=io.StringIO(), stderr=io.StringIO())
            best = work / "out" / "model-best"
            nlp = spacy.load(best if best.is_dir() else work / "out" / "model-last")
    except CurateError:
        raise
    except Exception as error:  # a config may name anything, and that may raise anything
        raise ConfigurationError(
            f"spaCy's training failed ({type(error).__name__}: {_plain(error)})", path=place
        ) from None
    # The model must not tell where it was trained, nor need our logger.
    nlp.config["training"]["logger"] = was
    for name in SPLITS:
        nlp.config["paths"][name] = None
        nlp.config["corpora"][name]["path"] = f"${{paths.{name}}}"
    return nlp


def _prepared(config: Any, paths: dict[str, Path], seed: int) -> tuple[Any, Any]:
    """The config with our corpora, seed and logger; and the logger that it had."""
    config.setdefault("paths", {})
    config.setdefault("system", {})
    config.setdefault("training", {})
    config.setdefault("corpora", {})
    config["system"]["seed"] = seed
    config["training"]["seed"] = seed
    config["training"]["train_corpus"] = "corpora.train"
    config["training"]["dev_corpus"] = "corpora.dev"
    for name, path in paths.items():
        config["paths"][name] = str(path)
        corpus = config["corpora"].get(name)
        if not isinstance(corpus, dict) or corpus.get("@readers") != "spacy.Corpus.v1":
            corpus = {"@readers": "spacy.Corpus.v1"}
        config["corpora"][name] = corpus | {"path": str(path)}
    logger = config["training"].get("logger")
    was = dict(logger) if logger else {"@loggers": "spacy.ConsoleLogger.v1", "progress_bar": False}
    _register_logger()
    config["training"]["logger"] = {"@loggers": LOGGER}
    return config.interpolate(), was


def _config(settings: TrainSettings, schema: LabelSchema, train: Sequence[GoldDocument]) -> Any:
    """The user's config, or ours.  Raises ConfigurationError for a file that is none."""
    from spacy.util import load_config

    if settings.config is None:
        return _own_config(settings, schema, train)
    try:
        config = load_config(Path(settings.config), interpolate=False)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigurationError(
            f"is no spaCy training config ({_plain(error)})", path=settings.config
        ) from None
    if not config.get("components") or not config.get("nlp", {}).get("pipeline"):
        raise ConfigurationError(
            "is no spaCy training config: it needs [nlp] with a pipeline and [components]; "
            "`python -m spacy init config` writes one",
            path=settings.config,
        )
    from spacy.language import Language

    # The short form of spaCy's quickstart is filled up as `spacy init fill-config` would.
    config = Language.default_config.copy().merge(config)
    if settings.steps:
        config["training"]["max_steps"] = settings.steps
    return config


def _own_config(settings: TrainSettings, schema: LabelSchema, train: Sequence[GoldDocument]) -> Any:
    from spacy.cli.init_config import init_config

    from curate.gold.formats.spacy import SPAN_GROUP, blank
    from curate.tokenization import TOKENIZER_NAME

    kind = settings.extractor
    language = blank(schema.language).lang  # `xx` where spaCy does not know the language
    config = init_config(lang=language, pipeline=[kind], optimize="efficiency", gpu=False)
    config["nlp"]["tokenizer"] = {"@tokenizers": TOKENIZER_NAME, "language": schema.language}
    steps = settings.steps or STEPS
    config["training"]["max_steps"] = steps
    config["training"]["patience"] = max(400, steps // 3)
    config["training"]["eval_frequency"] = max(1, min(100, steps // 4))
    config["initialize"]["vectors"] = None
    if kind == "spancat":
        config["components"]["spancat"]["spans_key"] = SPAN_GROUP
        config["components"]["spancat"]["suggester"]["sizes"] = _lengths(train, schema.language)
        weights = {f"spans_{SPAN_GROUP}_{x}": float(x == "f") for x in "fpr"}
        config["training"]["score_weights"] = weights
    return config


def _lengths(train: Sequence[GoldDocument], language: str) -> list[int]:
    """The lengths in tokens that 99 of 100 mentions of train have, at most ``LONGEST``."""
    from curate.tokenization import tokenize

    counts: Counter[int] = Counter()
    for gold in train:
        tokens = tokenize(gold.document.text, language)
        for entity in gold.annotation.entities:
            counts[sum(1 for a, b in tokens if entity.start <= a and b <= entity.end)] += 1
    wanted, seen = 0.99 * counts.total(), 0
    longest = 1
    for length in sorted(counts):
        if seen >= wanted:
            break
        seen += counts[length]
        longest = length
    return list(range(1, min(LONGEST, max(1, longest)) + 1))


def _spans_keys(components: Any) -> Iterator[str]:
    """The span groups that a config's components learn from or fill."""
    for component in components.values():
        key = component.get("spans_key") if isinstance(component, dict) else None
        if isinstance(key, str) and not key.startswith("$"):
            yield key
        elif isinstance(component, dict) and "spancat" in str(component.get("factory", "")):
            yield "sc"


def _write(
    documents: Sequence[GoldDocument], path: Path, language: str, keys: Sequence[str]
) -> int:
    """Write a corpus; how many entities overlap a longer one, which ``doc.ents`` cannot hold."""
    from spacy.tokens import DocBin

    from curate.gold.formats.spacy import SPAN_GROUP, blank, to_doc

    nlp = blank(language)
    corpus = DocBin(attrs=["ENT_IOB", "ENT_TYPE"], store_user_data=True)
    overlapping = 0
    for gold in sorted(documents, key=lambda g: g.id):
        doc = to_doc(gold, nlp)
        spans = list(doc.spans[SPAN_GROUP])
        overlapping += len(spans) - len(doc.ents)
        for key in keys:
            doc.spans[key] = spans
        corpus.add(doc)
    corpus.to_disk(path)
    return overlapping


def _misaligned(nlp: Any, train: Sequence[GoldDocument]) -> int:
    cut = 0
    for gold in train:
        doc = nlp.make_doc(gold.document.text)
        starts = {token.idx for token in doc}
        ends = {token.idx + len(token) for token in doc}
        cut += sum(e.start not in starts or e.end not in ends for e in gold.annotation.entities)
    return cut


def _register_logger() -> None:
    from spacy.util import registry

    if registry.has("loggers", LOGGER):
        return

    def make() -> Any:
        def setup(nlp: Any, stdout: Any, stderr: Any) -> tuple[Any, Any]:
            def step(info: dict[str, Any] | None) -> None:
                if info is not None:
                    for listen in _listening:
                        listen(info)

            return step, lambda: None

        return setup

    registry.loggers(LOGGER, func=make)


@contextmanager
def _listened(most: int, tick: Callable[[str], None]) -> Iterator[None]:
    """Turn what spaCy logs at each evaluation into a line with the time left at most."""
    began = time.monotonic()

    def listen(info: dict[str, Any]) -> None:
        score = info.get("score")
        said = f"spaCy: step {info.get('step')}"
        said += f" of at most {most}" if most else ""
        said += "" if score is None else f", score {100 * float(score):.1f}"
        step = int(info.get("step") or 0)
        if most and step:
            left = (time.monotonic() - began) / step * (most - step)
            said += (
                f"; at most {left:.0f} s left"
                if left < 90
                else f"; at most {left / 60:.0f} min left"
            )
        tick(said)

    _listening.append(listen)
    try:
        yield
    finally:
        _listening.remove(listen)


def _plain(error: Exception) -> str:
    """What a library's error says, in a line of at most 240 characters."""
    return " ".join(str(error).split())[:240]
