"""The rules of cleaning, one law each, on lines as scrapers leave them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.corpus.cleaning import clean
from curate.corpus.language import fold, is_foreign, words_of
from curate.corpus.records import Reason

PROSE = (
    "La garnison de Ghadamès a reçu mardi deux pelotons venus de Zintan, selon un élu local. "
    "Le commandant du secteur n'a fait aucune déclaration à la presse.\n\n"
    "À Alger, le ministère des Affaires étrangères a demandé des éclaircissements au gouvernement."
)
TITLE = "Ghadamès : deux pelotons arrivent de Zintan"


def reasons(text: str, language: str = "fr") -> dict[str, Reason]:
    return {line.text: line.reason for line in clean(text, language).dropped}


def test_clean_prose_stays_as_it_is() -> None:
    """An article without furniture loses nothing."""
    text = f"{TITLE}\n\n{PROSE}"
    cleaned = clean(text, "fr")
    assert cleaned.text == text
    assert cleaned.dropped == ()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Le prix du blé recule    Pluies sur le Hoggar    Un musée ouvre à Oran", Reason.MENU),
        ("Accueil  Politique  Culture  Qui sommes-nous", Reason.MENU),
        ("Accueil > Libye > Fezzan", Reason.MENU),
        ("Une | Monde | Sahel | Contact", Reason.MENU),
        ("[Menu] [Recherche]", Reason.MENU),
        ("Merci d'avoir signalé!", Reason.FORM),
        ("Ce site utilise des cookies pour mesurer son audience.", Reason.FORM),
        ("© 2024 Le Courrier. Tous droits réservés.", Reason.FORM),
        ("3 commentaires", Reason.FORM),
        ("👁 1 204 vues", Reason.FORM),
        ("Tweet Partager", Reason.FORM),
        ("Publié dans Le Matin le 20 - 08 - 2024", Reason.BYLINE),
        ("Mardi 3 février 2022 à 18h40", Reason.BYLINE),
        ("Par Lina Saadi · 9 août 2024 à 18h40", Reason.BYLINE),
        ("https://exemple.org/video.mp4", Reason.URL),
        ("* * *", Reason.SYMBOLS),
        ("Oasis Guard sides with Tripoli, commander says", Reason.LANGUAGE),
        ("Эз-Завия: завод возобновил работу", Reason.LANGUAGE),
        ("À lire aussi : Le sel de Bilma ne se vend plus", Reason.RELATED),
    ],
)
def test_furniture_goes_with_its_reason(line: str, reason: Reason) -> None:
    """Above the title each of these is left out; the title and the article stay."""
    text = f"{line}\n\n{TITLE}\n\n{PROSE}"
    cleaned = clean(text, "fr")
    assert cleaned.text == f"{TITLE}\n\n{PROSE}"
    assert [(d.number, d.text, d.reason) for d in cleaned.dropped] == [(1, line, reason)]


@pytest.mark.parametrize(
    "line",
    [
        "Non.",
        "Quel est votre message au gouvernement ?",
        "Le ministre appelle à la modération.",
        "« Abonnez-vous à nos promesses », ironise un opposant.",
        "Fait à Tripoli, le 3 février 2022.",
        "Les   deux   camps   ont   signé   un   accord   de   cessez-le-feu   hier.",
        "Les réseaux sociaux Twitter et Facebook ont été coupés dans tout le pays.",
        "Il a quitté Gao le 12 mars 2021.",
        "Et l’Algérie ?",
    ],
)
def test_what_only_looks_like_furniture_stays(line: str) -> None:
    """Inside an article these are text."""
    half, rest = PROSE.split("\n\n")
    text = f"{half}\n\n{line}\n\n{rest}"
    assert clean(text, "fr").text == text


def test_an_article_that_shares_its_line_with_a_menu_stays() -> None:
    """Of a line with many segments, those of prose are kept and the headlines dropped."""
    first = PROSE.split("\n\n")[0]
    menu = "Le prix du blé recule    Pluies sur le Hoggar    Un musée ouvre à Oran"
    cleaned = clean(f"{first}    {menu}\n\n{PROSE.split(chr(10))[-1]}", "fr")
    assert cleaned.text == PROSE
    assert cleaned.dropped[0].text == menu


def test_a_caption_that_stands_twice_is_kept_once() -> None:
    """The repeat goes, the first stays."""
    text = f"{TITLE}\n\nGén. Ali Barka\nGén. Ali Barka\n\n{PROSE}"
    cleaned = clean(text, "fr")
    assert cleaned.text == f"{TITLE}\n\nGén. Ali Barka\n\n{PROSE}"
    assert [(d.number, d.reason) for d in cleaned.dropped] == [(4, Reason.DUPLICATE)]


def test_the_page_title_with_the_site_s_name_is_a_duplicate() -> None:
    """« Title - Site » goes where the title itself stands."""
    assert reasons(f"{TITLE} - Le Courrier du Hoggar\n\n{TITLE}\n\n{PROSE}") == {
        f"{TITLE} - Le Courrier du Hoggar": Reason.DUPLICATE
    }


def test_everything_after_the_heading_of_comments_goes() -> None:
    """Readers' comments are prose, but not the article's."""
    text = (
        f"{PROSE}\n\nCommentaires (1)\n\nSalem\nMerci pour cet article très complet, bravo à vous."
    )
    cleaned = clean(text, "fr")
    assert cleaned.text == PROSE
    assert {d.reason for d in cleaned.dropped} <= {Reason.COMMENTS, Reason.FORM}


def test_other_articles_go_with_their_heading() -> None:
    """Headlines under « Sur le même sujet » are not the article's; prose ends the list."""
    related = "Sur le même sujet\nDirj, la halte oubliée\nDattes : la récolte sauvée"
    text = f"{TITLE}\n\n{related}\n\n{PROSE}"
    assert clean(text, "fr").text == f"{TITLE}\n\n{PROSE}"


def test_fragments_beside_a_form_go_and_a_signature_stays() -> None:
    """After the article, what follows a form is of it; what stands before it is signed text."""
    sign = "Pour le Bureau exécutif,\nla porte-parole,\nRaïcha wallet Inaka"
    text = f"{PROSE}\n\n{sign}\n\nS’abonner\nNotification pour\nguest\n\nLes plus anciens"
    assert clean(text, "fr").text == f"{PROSE}\n\n{sign}"


def test_a_title_under_a_menu_stays() -> None:
    """The last line before the article is its title even where no blank line parts it."""
    text = f"Accueil\nPolitique\nLe Courrier\n{TITLE}\n{PROSE}"
    assert clean(text, "fr").text == f"{TITLE}\n{PROSE}"


def test_blank_runs_line_ends_and_unseen_characters() -> None:
    """Blank runs collapse, line ends become one kind, soft hyphens and zero-width spaces go,
    no-break spaces stay."""
    line = "Le co\u00adlonel a dit «\u00a0non\u00a0» hier,\u200b à Gao."
    text = f"{TITLE}\r\n\r\n\r\n \u00a0\r\n{line}\r\n"
    assert clean(text, "fr").text == f"{TITLE}\n\nLe colonel a dit «\u00a0non\u00a0» hier, à Gao."


def test_a_language_without_words_has_the_neutral_rules_only() -> None:
    """German has no file: menus and addresses go, forms stay; no French is looked for."""
    german = (
        "Die Regierung in Tripolis hat am Dienstag zwei Einheiten nach Ghadames geschickt, "
        "sagte ein Sprecher."
    )
    text = f"Start | Politik | Sport | Kultur\n\nKommentar hinterlassen\n\n{german}"
    assert not words_of("de").known
    assert clean(text, "de").text == f"Kommentar hinterlassen\n\n{german}"


def test_english_pages_are_cleaned_by_english_words() -> None:
    """The rules are the same, the words another file."""
    english = (
        "Two platoons from Zintan arrived in Ghadames on Tuesday, a local official said. "
        "The commander of the sector made no statement."
    )
    tail = "Read more: Dates saved by the rain\nLeave a reply"
    text = f"Subscribe to our newsletter\n\n{english}\n\n{tail}"
    assert clean(text, "en").text == english


def test_short_lines_are_too_uncertain_to_be_foreign() -> None:
    """Under four words a line in the page's script is kept, whatever it looks like."""
    assert not is_foreign("Oasis Guard", "fr", "LATIN")
    assert is_foreign("Oasis Guard sides with Tripoli, commander says", "fr", "LATIN")
    assert not is_foreign("Le colonel Idris Tahar tient Ghadamès et Dirj", "fr", "LATIN")
    assert is_foreign("عربي", "fr", "LATIN")


def test_folding_is_for_matching() -> None:
    """Case, accents, ligatures, apostrophes and soft hyphens do not count."""
    assert fold("  L’Œuvre\u00a0É\u00adtrange ") == "l'oeuvre etrange"


lines = st.sampled_from(
    [
        "",
        "   ",
        TITLE,
        PROSE.split("\n\n")[0],
        "Le chef du bataillon a quitté la ville hier soir avec une vingtaine d'hommes.",
        "Accueil    Politique    Sport    Culture",
        "Partager",
        "Gén. Ali Barka",
        "https://exemple.org/x",
        "Haftar troops move west of Sebha, officials say on Monday",
        "S'abonner",
        "e\u0301te\u0301 \u200bà Gao",
    ]
) | st.text(max_size=40)


@settings(deadline=None)
@given(st.lists(lines, max_size=25), st.sampled_from(["\n", "\r\n"]))
def test_the_map_is_exact_and_nothing_is_lost(parts: list[str], end: str) -> None:
    """Every piece equals its source; what is kept and what is dropped make up all words."""
    text = end.join(parts)
    cleaned = clean(text, "fr")
    for piece in cleaned.pieces.pieces:
        assert cleaned.text[piece.start : piece.end] == text[piece.source_start : piece.source_end]
    home = {i for piece in cleaned.pieces.pieces for i in range(piece.start, piece.end)}
    assert all(char.isspace() for i, char in enumerate(cleaned.text) if i not in home)

    def letters(value: str) -> str:
        return "".join(sorted(char for char in value if char.isalnum()))

    assert letters(cleaned.text + "".join(line.text for line in cleaned.dropped)) == letters(text)


@settings(deadline=None)
@given(st.lists(lines, max_size=25))
def test_cleaning_is_deterministic_and_leaves_no_outer_space(parts: list[str]) -> None:
    """The same page gives the same text; no line has outer spaces, no blank runs are left."""
    text = "\n".join(parts)
    cleaned = clean(text, "fr")
    assert clean(text, "fr") == cleaned
    assert "\n\n\n" not in cleaned.text
    assert cleaned.text == cleaned.text.strip("\n ")


def test_clean_photographers_credit_leaves_the_caption() -> None:
    """A credit at the end of a caption's line goes; the caption and a "© Site" stay."""
    text = f"{TITLE}\n\nLe poste de Ghadamès, mardi. Ph. : A. Saadi\n\n{PROSE}"
    assert "Le poste de Ghadamès, mardi.\n" in clean(text, "fr").text
    kept = f"{TITLE}\n\nLe poste de Ghadamès, mardi. © Sahara Débats\n\n{PROSE}"
    assert clean(kept, "fr").text == kept


def test_clean_ticker_above_the_article_is_dropped() -> None:
    """Two lines or more that begin with their hour, above the article, are other news."""
    text = f"14:02 Le dinar recule\n13:40 Sfax attend la pluie\n\n{TITLE}\n\n{PROSE}"
    assert clean(text, "fr").text == f"{TITLE}\n\n{PROSE}"


def test_clean_what_is_said_of_the_writer_is_dropped() -> None:
    """A sentence that begins with the writer's name right under the byline is no article."""
    about = "Lina Saadi est géographe et enseigne à Tunis depuis dix ans."
    text = f"{TITLE}\n\nPar Lina Saadi\n\n{about}\n\n{PROSE}"
    assert reasons(text)[about] is Reason.BESIDE
    assert clean(f"{TITLE}\n\n{about}\n\n{PROSE}", "fr").text.count(about) == 1


def test_clean_little_prose_after_much_furniture_is_dropped() -> None:
    """Prose goes that much furniture parts from the article, unless there is much of it."""
    buttons = "\n".join(["Partager", "Tweet", "Imprimer", "Envoyer par e-mail", "Facebook"])
    note = "La radio émet depuis Djanet et couvre tout le Tassili."
    assert clean(f"{TITLE}\n\n{PROSE}\n\n{buttons}\n\n{note}", "fr").text == f"{TITLE}\n\n{PROSE}"
    other = PROSE.replace("Ghadamès", "Nalout").replace("Alger", "Tunis")
    assert other in clean(f"{TITLE}\n\n{PROSE}\n\n{buttons}\n\n{other}", "fr").text
