"""From a reference to an extractor: what a user may write after ``--model``."""

from __future__ import annotations

from pathlib import Path

from curate.errors import ConfigurationError
from curate.extractors import models as _models
from curate.extractors.bootstrap import NAME as BOOTSTRAP
from curate.extractors.bootstrap import Bootstrap
from curate.extractors.interface import ENTRY_POINTS, Extractor
from curate.schema import LabelSchema

BETWEEN = " judged by "
"""Between the references of an extractor and of the model that judges it."""

FORMS = (
    "`bootstrap`, the NAME or NAME@VERSION of a model or plugin, the folder of a spaCy pipeline, "
    "`module:function`, or a URL"
)


def resolve(reference: str | None, *, schema: LabelSchema, models: Path | None = None) -> Extractor:
    """The extractor of this reference.

    ``MODEL judged by MODEL`` is the first with scores of the second.
    Else in this order: none given: the champion among ``models``, else the bootstrap rules;
    ``bootstrap``; ``http(s)://…``; a model of the workspace; a folder that holds a spaCy pipeline;
    a plugin by its entry point; ``module:function``.  Raises ConfigurationError for a reference
    that is none of these, with what there is.
    """
    if reference is None:
        champion = _models.CHAMPION
        if models is None or champion not in _models.aliases(models):
            return Bootstrap(schema)
        if _models.find(models, champion) is None:
            raise ConfigurationError(
                f"the champion is {_models.aliases(models)[champion]}, which is not among the "
                "models; bring it back, or let another take its place with "
                "`curate models promote NAME`",
                path=models,
            )
        reference = champion
    if BETWEEN in reference:
        from curate.extractors.judge import Judge, Judged

        asked, _, judge = reference.partition(BETWEEN)
        place = pipeline_folder(judge, models)
        return Judged(resolve(asked, schema=schema, models=models), Judge.of(place))
    if reference == BOOTSTRAP:
        return Bootstrap(schema)
    if reference.startswith(("http://", "https://")):
        from curate.extractors.http import Remote

        return Remote(reference)
    if models is not None:
        found = _models.find(models, reference)
        if found is not None:
            from curate.extractors.spacy import Pipeline

            return Pipeline(found[0])
    folder = Path(reference)
    if folder.is_dir():
        if not (folder / "config.cfg").is_file():
            raise ConfigurationError(
                "is no spaCy pipeline: it has no config.cfg; name the folder that `curate train` "
                "or `spacy train` wrote (model-best)",
                path=folder,
            )
        from curate.extractors.spacy import Pipeline

        return Pipeline(folder)
    plugin = _plugin(reference)
    if plugin is not None:
        return plugin
    module, _, attribute = reference.partition(":")
    if attribute and module.replace(".", "").isidentifier():
        from curate.extractors.function import load_function

        return load_function(reference)
    known = ", ".join(_known(models)) or "none yet"
    raise ConfigurationError(
        f"there is no model {reference!r} (known: {known}); a model is {FORMS}"
    )


def without_card(reference: str | None) -> Path | None:
    """The pipeline's folder that the reference is, where no card with a digest lies in it."""
    folder = Path((reference or "").partition(BETWEEN)[0])
    bare = (folder / "config.cfg").is_file() and not (folder / _models.CARD).is_file()
    return folder if reference and bare else None


def pipeline_folder(reference: str, models: Path | None) -> Path:
    """The folder of a model of the workspace, or the pipeline's folder that the reference is.

    Raises ConfigurationError where there is no such model.
    """
    found = None if models is None else _models.find(models, reference)
    if found is not None:
        return found[0]
    folder = Path(reference)
    if not (folder / "config.cfg").is_file():
        raise ConfigurationError(
            f"there is no model {reference!r}; name one of `curate models list` or the folder of a "
            "spaCy pipeline"
        )
    return folder


def judged(reference: str | None, judge: str, models: Path) -> str:
    """The reference of a model (None: the champion, else ``bootstrap``) whose entities bear a
    judge's scores; it means the same in another process, wherever that stands.  A reference that
    names its judge keeps it."""
    if reference is not None and BETWEEN in reference:
        return reference
    if reference is None:
        reference = _models.CHAMPION if _models.CHAMPION in _models.aliases(models) else BOOTSTRAP
    found = _models.find(models, reference)
    asked = str(found[0].absolute()) if found is not None else reference
    return f"{asked}{BETWEEN}{pipeline_folder(judge, models).absolute()}"


def judge_named(
    judge: str | None, setting: str, models: Path, toml: Path, reference: str | None = None
) -> str:
    """The model that judges what ``reference`` (None: the champion) finds: what was said with the
    command, else the setting; empty: none.

    By the setting nobody judges itself, and nobody judges where it is the champion's alias and
    there is no champion yet.  Raises ConfigurationError where the setting names no model.
    """
    if judge is not None or not setting:
        return judge or ""
    if setting == _models.CHAMPION and setting not in _models.aliases(models):
        return ""
    try:
        place = pipeline_folder(setting, models)
    except ConfigurationError as error:
        raise ConfigurationError(f"models.judge: {error.message}", path=toml) from None
    own = _models.find(models, _models.CHAMPION if reference is None else reference)
    return "" if own is not None and own[0] == place else setting


def _known(models: Path | None) -> list[str]:
    names = [BOOTSTRAP]
    if models is not None:
        names += sorted(_models.aliases(models))
        names += [card.reference for _, card in _models.cards(models)]
    return names + plugins()


def plugins() -> list[str]:
    """The names of the extractors that installed packages offer."""
    from importlib.metadata import entry_points

    return sorted({point.name for point in entry_points(group=ENTRY_POINTS)})


def _plugin(name: str) -> Extractor | None:
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINTS, name=name):
        from curate.extractors.function import as_extractor

        try:
            found = point.load()
            found = found() if isinstance(found, type) else found
        except Exception as error:  # a plugin may raise anything while it is loaded
            raise ConfigurationError(
                f"the plugin {name!r} ({point.value}) cannot be loaded: {type(error).__name__}"
            ) from None
        if not hasattr(found, "extract"):
            raise ConfigurationError(f"the plugin {name!r} ({point.value}) has no `extract`")
        return as_extractor(found, name)
    return None
