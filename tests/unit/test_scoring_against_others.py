"""Where all agree we give their numbers; where they do not, the definition in docs/scoring.md wins.

The regime where all agree: mentions are whole words, do not overlap within a side, keep a word of
distance, overlap at most one mention of the other side, and all labels are known to the scorer.
"""

from __future__ import annotations

import random
import warnings
from functools import cache
from typing import Any

import pytest

from curate.model import Annotation, Entity, Relation, Source
from curate.scoring import Scores, score

LABELS = ["PER", "ORG", "LOC"]
Words = list[tuple[int, int, str]]


def annotation(mentions, document="d", relations=()) -> Annotation:
    made = [Entity(*m) for m in mentions]
    links = [Relation(made[head], made[tail], label) for head, tail, label in relations]
    return Annotation.of(document, made, links, Source.curator("t"))


def scored(gold, other, **more) -> Scores:
    return score([(annotation(gold), annotation(other))], draws=0, **more)


def f1(scores: Scores, measure: str = "strict") -> float | None:
    return scores.entities.measures[measure].f1


def corpus(seed: int, documents: int = 25) -> list[tuple[int, Words, Words]]:
    """(number of words, gold, predicted) of random documents, spans in words."""
    rng = random.Random(seed)
    found = []
    for _ in range(documents):
        gold: Words = []
        other: Words = []
        word = 0
        for _ in range(rng.randint(0, 8)):
            word += rng.randint(6, 9)
            length = rng.randint(1, 2)
            label = rng.choice(LABELS)
            gold.append((word, word + length, label))
            fate = rng.random()
            if fate < 0.6:
                other.append(gold[-1])
            elif fate < 0.75:
                other.append((word, word + length, rng.choice(LABELS)))
            elif fate < 0.9:
                other.append((word, word + length + 1, label))
            if rng.random() < 0.2:
                other.append((word - 2, word - 1, rng.choice(LABELS)))
        found.append((word + 10, gold, sorted(other)))
    return found


def in_characters(mentions: Words) -> Words:
    """Words of three letters with a space between."""
    return [(4 * start, 4 * end - 1, label) for start, end, label in mentions]


def ours(documents: list[tuple[int, Words, Words]]) -> Scores:
    return score(
        (
            (
                annotation(in_characters(gold), f"d{i}"),
                annotation(in_characters(other), f"d{i}"),
            )
            for i, (_, gold, other) in enumerate(documents)
        ),
        draws=0,
    )


def nervaluate(gold: list[Words], other: list[Words], tags: list[str]) -> dict[str, Any]:
    from nervaluate import Evaluator

    def form(side: list[Words]) -> list[list[dict[str, Any]]]:
        return [[{"label": n, "start": s, "end": e} for s, e, n in mentions] for mentions in side]

    found = Evaluator(form(gold), form(other), tags=tags, loader="dict").evaluate()
    overall: dict[str, Any] = found["overall"]
    return overall


def tags_of(words: int, mentions: Words) -> list[str]:
    tags = ["O"] * words
    for start, end, label in mentions:
        tags[start:end] = [f"B-{label}"] + [f"I-{label}"] * (end - start - 1)
    return tags


@cache
def vocabulary() -> Any:
    """One for both sides: labels are numbers in it."""
    import spacy

    return spacy.blank("fr").vocab


def doc_of(words: list[str], mentions: Words, spaces: list[bool] | None = None) -> Any:
    from spacy.tokens import Doc, Span

    doc = Doc(vocabulary(), words=words, spaces=spaces)
    doc.set_ents([Span(doc, start, end, label) for start, end, label in mentions])
    return doc


@pytest.mark.parametrize("seed", range(4))
def test_nervaluate_agrees_where_it_can(seed: int) -> None:
    """strict, exact and partial: counts, precision, recall and F1."""
    documents = corpus(seed)
    theirs = nervaluate(
        [in_characters(gold) for _, gold, _ in documents],
        [in_characters(other) for _, _, other in documents],
        LABELS,
    )
    measures = ours(documents).entities.measures
    for name in ("strict", "exact"):
        assert theirs[name].correct == measures[name].credit
    for name in ("strict", "exact", "partial"):
        assert theirs[name].precision == pytest.approx(measures[name].precision)
        assert theirs[name].recall == pytest.approx(measures[name].recall)
        assert theirs[name].f1 == pytest.approx(measures[name].f1)


@pytest.mark.parametrize("seed", range(4))
def test_seqeval_agrees_where_it_can(seed: int) -> None:
    """Micro and per label, on IOB2 tags in strict mode."""
    from seqeval.metrics import classification_report
    from seqeval.scheme import IOB2

    documents = corpus(seed)
    gold = [tags_of(words, mentions) for words, mentions, _ in documents]
    other = [tags_of(words, mentions) for words, _, mentions in documents]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = classification_report(
            gold, other, mode="strict", scheme=IOB2, output_dict=True, zero_division=0
        )
    found = ours(documents).entities
    assert theirs["micro avg"]["f1-score"] == pytest.approx(found.measures["strict"].f1)
    for label in LABELS:
        assert theirs[label]["precision"] == pytest.approx(found.per_label[label].precision)
        assert theirs[label]["recall"] == pytest.approx(found.per_label[label].recall)


@pytest.mark.parametrize("seed", range(2))
def test_spacy_agrees_where_it_can(seed: int) -> None:
    """score_spans and get_ner_prf, on one tokenization."""
    from spacy.scorer import Scorer, get_ner_prf
    from spacy.training import Example

    documents = corpus(seed)
    examples = []
    for words, gold, other in documents:
        text = ["abc"] * words
        examples.append(Example(doc_of(text, other), doc_of(text, gold)))
    found = ours(documents).entities
    for theirs in (Scorer.score_spans(examples, "ents"), get_ner_prf(examples)):
        assert theirs["ents_f"] == pytest.approx(found.measures["strict"].f1)
        for label in LABELS:
            assert theirs["ents_per_type"][label]["f"] == pytest.approx(found.per_label[label].f1)


# The traps.


def test_trap_nervaluate_depends_on_the_order_of_predictions() -> None:
    """An earlier, overlapping prediction takes the gold span from the one that is right."""
    gold = [(0, 10, "PER")]
    one, two = (5, 10, "PER"), (0, 10, "PER")
    assert nervaluate([gold], [[one, two]], LABELS)["strict"].correct == 0
    assert nervaluate([gold], [[two, one]], LABELS)["strict"].correct == 1
    assert f1(scored(gold, [one, two])) == f1(scored(gold, [two, one])) == pytest.approx(2 / 3)


def test_trap_nervaluate_takes_ends_as_inclusive() -> None:
    """Adjacent half-open spans share no character, yet get partial credit there."""
    gold, other = [(0, 5, "PER")], [(5, 9, "PER")]
    assert nervaluate([gold], [other], LABELS)["partial"].partial == 1
    assert f1(scored(gold, other), "partial") == 0.0


def test_trap_nervaluate_drops_unknown_labels() -> None:
    """A prediction with a label outside `tags` vanishes from precision."""
    gold, other = [(0, 5, "PER")], [(0, 5, "PER"), (10, 15, "MOON")]
    assert nervaluate([gold], [other], ["PER"])["strict"].precision == 1.0
    assert scored(gold, other).entities.measures["strict"].precision == 0.5


def test_trap_nervaluate_matches_greedily() -> None:
    """First come, first served loses a pair that the best matching finds."""
    gold = [(0, 10, "PER"), (8, 20, "PER")]
    other = [(6, 12, "PER"), (0, 3, "PER")]
    theirs = nervaluate([gold], [other], LABELS)["partial"]
    assert theirs.partial == 1
    assert scored(gold, other).entities.measures["partial"].credit == 1.0


def test_trap_seqeval_accepts_i_without_b() -> None:
    """Its default mode reads I-PER I-PER as the entity that was tagged B-PER I-PER."""
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2

    gold, other = [["B-PER", "I-PER", "O"]], [["I-PER", "I-PER", "O"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert f1_score(gold, other) == 1.0
        assert f1_score(gold, other, mode="strict", scheme=IOB2) == 0.0
    # We read spans, never tags: tags that are no mention in IOB2 never become one.
    assert f1(scored([(0, 7, "PER")], [])) == 0.0


def test_trap_seqeval_weighted_mean_hides_false_positives() -> None:
    """A label without support has weight 0, and with it all its false positives."""
    from seqeval.metrics import precision_score

    gold, other = [["B-PER", "O", "O"]], [["B-PER", "O", "B-LOC"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert precision_score(gold, other, average="weighted") == 1.0
    found = scored([(0, 3, "PER")], [(0, 3, "PER"), (8, 11, "LOC")])
    assert found.entities.measures["strict"].precision == 0.5
    assert found.entities.macro_labels == ("PER",)


def test_trap_spacy_loses_predictions_that_no_token_ends_with() -> None:
    """A character span inside a token cannot become an entity, so that it cannot be wrong."""
    from spacy.scorer import Scorer
    from spacy.training import Example

    words = ["Barka", "parle", "ici"]
    gold, other = doc_of(words, [(0, 1, "PER")]), doc_of(words, [(0, 1, "PER")])
    assert other.char_span(6, 9, label="PER") is None
    example = Example(other, gold)
    assert Scorer.score_spans([example], "ents")["ents_p"] == 1.0
    found = scored([(0, 5, "PER")], [(0, 5, "PER"), (6, 9, "PER")])
    assert found.entities.measures["strict"].precision == 0.5


def test_trap_spacy_accepts_a_wrong_end() -> None:
    """Where the prediction's tokens are finer, half of a gold token stands for all of it."""
    from spacy.scorer import get_ner_prf
    from spacy.training import Example

    gold = doc_of(["Ali", "Barka", "parle"], [(0, 2, "PER")])
    other = doc_of(["Ali", "Bar", "ka", "parle"], [(0, 2, "PER")], [True, False, True, False])
    assert gold.text.strip() == other.text.strip()
    assert get_ner_prf([Example(other, gold)])["ents_f"] == 1.0
    assert f1(scored([(0, 9, "PER")], [(0, 7, "PER")])) == 0.0


def test_trap_recall_of_relations_is_over_all_gold() -> None:
    """The spaCy tutorial sees only pairs of predicted entities; a missed argument is a miss."""
    mentions = [(0, 5, "PER"), (10, 15, "ORG"), (20, 25, "ORG")]
    gold = annotation(mentions, relations=[(0, 1, "leads"), (0, 2, "leads")])
    other = annotation(mentions[:2], relations=[(0, 1, "leads")])
    measures = score([(gold, other)], draws=0).relations.measures
    assert measures["strict"].recall == measures["boundaries"].recall == 0.5
    assert measures["given_entities"].recall == 1.0


def test_trap_arguments_are_compared_by_both_ends() -> None:
    """The spaCy tutorial compares arguments by their start alone."""
    gold = annotation([(0, 5, "PER"), (10, 15, "ORG")], relations=[(0, 1, "leads")])
    other = annotation([(0, 5, "PER"), (10, 19, "ORG")], relations=[(0, 1, "leads")])
    found = score([(gold, other)], draws=0).relations
    assert found.measures["boundaries"].f1 == 0.0
    assert found.errors["argument"] == 1
