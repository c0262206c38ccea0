"""Tokens: offsets in order, covering all that is not white space, bounded where spans may be."""

from __future__ import annotations

import pickle

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import DataError
from curate.tokenization import (
    LANGUAGES,
    Tokenizer,
    register,
    sentences,
    tokenize,
    words_and_spaces,
)

TEXTS = st.text(
    alphabet=st.one_of(
        st.sampled_from(
            "aàébcdlnst'’-–.,;:!?«» \u00a0\u202f\n\r\tAÉBLNOU0123456789@/_\u200b\u0301"
        ),
        st.characters(blacklist_categories=["Cs"]),
    ),
    max_size=80,
)
VOCAB = spacy.blank("fr").vocab
LANGUAGE = st.sampled_from([*LANGUAGES, "de"])


def words(text: str, language: str = "fr") -> list[str]:
    return [text[start:end] for start, end in tokenize(text, language)]


@given(TEXTS, LANGUAGE)
def test_tokens_cover_every_character_but_white_space_once_and_in_order(
    text: str, language: str
) -> None:
    """Every non-space character lies in exactly one token; no token holds white space."""
    end = 0
    for start, stop in tokenize(text, language):
        assert start < stop
        assert start >= end
        assert not text[end:start].strip()
        assert not any(char.isspace() for char in text[start:stop])
        end = stop
    assert not text[end:].strip()


@given(TEXTS, LANGUAGE)
def test_sentences_partition_the_tokens(text: str, language: str) -> None:
    """Ranges follow each other without gap from the first token to the last."""
    tokens = tokenize(text, language)
    end = 0
    for first, last in sentences(text, tokens):
        assert first == end < last
        end = last
    assert end == len(tokens)


@given(TEXTS)
def test_words_and_spaces_rebuild_the_text(text: str) -> None:
    """What spaCy is given joins to the text itself."""
    pieces, spaces = words_and_spaces(text, tokenize(text))
    assert "".join(p + " " * s for p, s in zip(pieces, spaces, strict=True)) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("l’Algérie qu'il jusqu’à Tunis", "l’ Algérie qu' il jusqu’ à Tunis"),
        ("aujourd’hui, Aujourd'hui", "aujourd’hui , Aujourd'hui"),
        ("Jean-Pierre pro-Haftar Paris-Alger", "Jean - Pierre pro - Haftar Paris - Alger"),
        ("AlgérieL’opération", "Algérie L’ opération"),
        ("annéesSi M.Evkourov frontière.Selon", "années Si M. Evkourov frontière . Selon"),
        ("Algériel’opération", "Algériel ’ opération"),
        ("la MINUSMALe ONGs XXe IIIe 17e 1er", "la MINUSMA Le ONGs XXe IIIe 17e 1er"),
        ("«\u00a0Il est parti\u00a0», dit-elle", "« Il est parti » , dit - elle"),
        ("le 14/03/2021 à 14h30, 2,5 km", "le 14 / 03 / 2021 à 14h30 , 2,5 km"),
        ("2016Selon 2011L’opération G5 M23", "2016 Selon 2011 L’ opération G5 M23"),
        ("voir https://a.b/c?d=1. Puis x@y.fr!", "voir https://a.b/c?d=1 . Puis x@y.fr !"),
        ("l'O.N.U. et M. Ali", "l' O.N.U . et M. Ali"),
        ("Sana’a et Qa'ida", "Sana’a et Qa'ida"),
        ("😀👍🏽 🇲🇱 👨‍👩‍👧", "😀 👍🏽 🇲🇱 👨‍👩‍👧"),
        ("Fin... Oui!!! –– ok", "Fin ... Oui !!! –– ok"),
        ("(ANL)", "( ANL )"),
        ("le 30 nov. 2022, fin nov.", "le 30 nov. 2022 , fin nov ."),
    ],
)
def test_french_tokens(text: str, expected: str) -> None:
    """The forms that scraped French brings, each with its tokens parted by spaces."""
    assert words(text) == expected.split(" ")


def test_english_possessives_are_parted() -> None:
    """A name can be marked without its ’s."""
    assert words("Libya's army didn’t", "en") == ["Libya", "'s", "army", "didn", "’t"]


def test_sentences_end_at_stops_lines_and_seams() -> None:
    """Stops, empty lines and seams end a sentence; abbreviations do not."""
    text = (
        "M. Ali parle. Il dit : « Oui. » Puis\nrien, fin\n\nTitre annéesSi tôt. J. Barka rit ! Bien"
    )
    tokens = tokenize(text)
    found = [text[tokens[a][0] : tokens[b - 1][1]] for a, b in sentences(text, tokens)]
    assert found == [
        "M. Ali parle.",
        "Il dit : « Oui. »",
        "Puis\nrien, fin",
        "Titre années",
        "Si tôt.",
        "J. Barka rit !",
        "Bien",
    ]


@settings(deadline=None)
@given(TEXTS)
def test_spacy_documents_keep_the_text(text: str) -> None:
    """A Doc made by the tokenizer has the text and the same token offsets."""
    doc = Tokenizer(VOCAB, "fr")(text)
    assert doc.text == text
    spans = [(t.idx, t.idx + len(t)) for t in doc if not t.is_space]
    assert spans == tokenize(text)


def test_a_pipeline_with_the_tokenizer_survives_disk_bytes_and_pickling(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Saved, loaded and pickled pipelines tokenize alike."""
    register()
    nlp = spacy.blank("fr", config={"nlp": {"tokenizer": {"@tokenizers": "curate.tokenizer.v1"}}})
    text = "AlgérieL’opération de M.Evkourov"
    expected = [t.text for t in nlp(text)]
    assert expected == words(text)
    nlp.to_disk(tmp_path / "model")
    assert [t.text for t in spacy.load(tmp_path / "model")(text)] == expected
    assert [t.text for t in pickle.loads(pickle.dumps(nlp))(text)] == expected
    assert nlp.tokenizer.from_bytes(nlp.tokenizer.to_bytes()).language == "fr"
    with pytest.raises(DataError):
        nlp.tokenizer.from_bytes(b"[]")
