"""curate's spaCy components: ``crf_ner`` and ``relation_classifier``.

Both learn inside ``initialize()``, so that ``spacy train`` works on them as it is; both keep their
models as plain files, survive pickling, ``nlp.pipe`` and ``n_process``.  What they find stands in
``doc.ents``, ``doc.spans["entities"]`` and ``doc.user_data["curate"]`` in the form of
:mod:`curate.gold.formats.spacy`, with ``entity_scores`` and ``relation_scores`` beside it.
"""

from __future__ import annotations

from typing import Any

from spacy.language import Language

from curate.extractors.crf import CrfSettings
from curate.extractors.crf_ner import CrfNer
from curate.extractors.ensemble import Scored
from curate.extractors.relation_classifier import RelationClassifier, plain_types, relation_type
from curate.extractors.relations import RelationSettings
from curate.gold.formats.spacy import register as register_extensions
from curate.tokenization import register as register_tokenizer


def register() -> None:
    """Make spaCy know the components, the tokenizer and the extensions of ``Doc``.

    Importing this module registered the components.
    """
    register_tokenizer()
    register_extensions()


@Language.factory(
    "crf_ner",
    assigns=["doc.ents"],
    default_config={
        "language": "",
        "rules": "",
        "c1": 0.03,
        "c2": 0.05,
        "iterations": 100,
        "swaps": 1,
        "gazetteer": True,
        "consistency": True,
        "clusters": 0,
        "names": True,
        "gazetteers": "",
        "stack": "",
        "calibrate": True,
        "seed": 0,
    },
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0},
)
def make_crf_ner(
    nlp: Language,
    name: str,
    language: str,
    rules: str,
    c1: float,
    c2: float,
    iterations: int,
    swaps: int,
    gazetteer: bool,
    consistency: bool,
    clusters: int,
    names: bool,
    gazetteers: str,
    stack: str,
    calibrate: bool,
    seed: int,
) -> CrfNer:
    """``rules`` names the bootstrap data to stack (``sahel``; empty: none); ``clusters`` how many
    word clusters to learn from the texts; ``names`` uses the lists of names that ship for the
    language, ``gazetteers`` a folder of lists of your own; ``stack`` is the folder of a pipeline
    whose tags are to be features, too; ``calibrate`` holds a fifth of the examples out once."""
    settings = CrfSettings(
        c1=c1,
        c2=c2,
        iterations=iterations,
        swaps=swaps,
        gazetteer=gazetteer,
        consistency=consistency,
        seed=seed,
    )
    made = CrfNer(name, language or str(nlp.lang), rules, settings, clusters, calibrate)
    made.shipped_names = names
    made.gazetteers = gazetteers
    made.stack_from = stack
    return made


@Language.factory(
    "relation_classifier",
    default_config={
        "language": "",
        "rules": "",
        "types": [],
        "window": 1,
        "l2": 2.0,
        "least": 2,
        "folds": 4,
        "precision": None,
        "seed": 0,
    },
    default_score_weights={"rels_f": 1.0, "rels_p": 0.0, "rels_r": 0.0},
)
def make_relation_classifier(
    nlp: Language,
    name: str,
    language: str,
    rules: str,
    types: list[dict[str, Any]],
    window: int,
    l2: float,
    least: int,
    folds: int,
    precision: float | None,
    seed: int,
) -> RelationClassifier:
    """``types`` are the schema's relation types as in its YAML (name, head, tail, symmetric,
    same_label); empty: what the examples hold."""
    settings = RelationSettings(
        window=window, l2=l2, least=least, folds=folds, precision=precision, seed=seed
    )
    return RelationClassifier(name, language or str(nlp.lang), rules, types, settings)


__all__ = ["CrfNer", "RelationClassifier", "Scored", "plain_types", "register", "relation_type"]
