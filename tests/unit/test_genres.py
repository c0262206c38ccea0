"""Kinds of pages: feeds, threads, comments, printed pages, tables, chronologies."""

from __future__ import annotations

import pytest

from curate.corpus.cleaning import clean
from curate.corpus.markup import article

P1 = (
    "La garnison de Ghadamès a reçu mardi deux pelotons venus de Zintan, selon un élu local. "
    "Le commandant du secteur n'a fait aucune déclaration à la presse depuis son arrivée."
)
P2 = (
    "À Alger, le ministère des Affaires étrangères a demandé des éclaircissements au gouvernement. "
    "Une réponse est attendue avant la fin de la semaine, dit-on de source diplomatique."
)
P3 = "Le Conseil des sages du Fezzan, présidé par Milad Ghith, a condamné la fermeture de la route."
TITLE = "Ghadamès : deux pelotons arrivent de Zintan"


def kept(text: str) -> list[str]:
    return [" ".join(line.split()) for line in clean(text, "fr").text.splitlines() if line]


def html(body: str, title: str = "") -> list[str]:
    source = f"<html><head><title>{title}</title></head><body>{body}</body></html>"
    return kept(article(source).text)


def test_a_feed_keeps_the_item_that_has_text() -> None:
    """Dates, keys and tags of a feed go, and the headlines under which nothing is told."""
    date = "Fri, 12 Jun 2015 17:42:00 +0000"
    text = (
        f"<channel> Le Fil\n\nUn musée ouvre à Oran\n{date}\n\n{TITLE}\n{date}\nguid: x-12\n\n"
        f"{P1}\n{P2}\n\nLe bac reprend du service\n{date}\n"
    )
    assert kept(text) == [TITLE, P1, P2]


def test_a_thread_keeps_its_first_post() -> None:
    """Replies are the readers'; so is the motto under a post."""
    text = (
        f"tarek_9\nPosté le: Mer 09 Mar 2016 21:14\n{P1}\n{P2}\n______\nVive le désert\n"
        "Profil    MP    Citer\n\nmomo\nPosté le: Mer 09 Mar 2016 22:02\nMerci Tarek, courage.\n"
    )
    assert kept(text) == [P1, P2]


def test_signed_posts_after_the_article_are_comments() -> None:
    """Two stamps of a name, a date and a time begin them, even without a heading."""
    text = f"{TITLE}\n\n{P1}\n\n{P2}\n\n" + "".join(
        f"{name}, {day} mars 2023 à 21 h 08\nJ'y étais en 2019, rien n'a changé, courage.\n"
        for name, day in (("Ibrahim", 19), ("Soumaya", 20))
    )
    assert kept(text) == [TITLE, P1, P2]


def test_reactions_may_head_a_part_of_the_article() -> None:
    """Without a number, a stamp or a form below it, the heading is the article's."""
    text = f"{TITLE}\n\n{P1}\n\nRéactions\n\n{P2}\n\n{P3}"
    assert kept(text) == [TITLE, P1, "Réactions", P2, P3]


def test_a_table_of_figures_is_no_menu() -> None:
    """Three rows or more of equally many cells stay, dashes and numbers with them."""
    rows = ["Port    Tonnes    Prix", "Zarzis    120    4,5", "Gabès    -    4,9"]
    text = f"{TITLE}\n\n{P1}\n\n" + "\n".join(rows) + f"\n\n{P2}"
    assert kept(text) == [TITLE, P1, *(" ".join(row.split()) for row in rows), P2]


def test_running_heads_of_printed_pages_go() -> None:
    """Lines with a page's number that come back or count the pages."""
    head = "          Commissariat - Bulletin n° 4          {}"
    text = (
        f"{head.format(1)}\n\n{TITLE}\n\n{P1}\n\n{head.format(2)}\n\n{P2}\n\nBP 12    Page 2 sur 2"
    )
    assert kept(text) == [TITLE, P1, P2]


@pytest.mark.parametrize("dates", [("12 janvier 2014", "3 mars 2014"), ("2011", "2012")])
def test_dates_that_head_paragraphs_stay(dates: tuple[str, str]) -> None:
    """Two or more make a chronology."""
    text = f"{TITLE}\n\n{P3}\n\n{dates[0]}\n\n{P1}\n\n{dates[1]}\n\n{P2}"
    assert kept(text) == [TITLE, P3, dates[0], P1, dates[1], P2]


def test_the_site_s_name_above_its_menu_goes() -> None:
    """Where a longer title follows the menu."""
    menu = "Politique | Société | Sport | Vidéos"
    assert kept(f"Revue du Sud\n{menu}\n\n{TITLE}\n\n{P1}\n\n{P2}") == [TITLE, P1, P2]


@pytest.mark.parametrize(
    "line",
    ["Photo : Routes & Frontières", "Crédit : AMSE", "Ph. DR", "Stringer/WD", "[Facebook] [X]"],
)
def test_credits_go_wherever_they_stand(line: str) -> None:
    """Under a caption, too."""
    assert kept(f"{TITLE}\n\n{P1}\n\nLe fort, mardi.\n{line}\n\n{P2}") == [
        TITLE,
        P1,
        "Le fort, mardi.",
        P2,
    ]


def test_thanks_in_a_spoken_line_are_no_form() -> None:
    """One sentence like a form among three or more is an aside."""
    line = "Sport. Sebha bat Koufra deux à un. Merci de votre fidélité, à demain."
    assert kept(f"{TITLE}\n\n{P1}\n\n{P2}\n\n{line}")[-1] == line


def test_a_page_keeps_its_lists_subheadings_and_tables() -> None:
    """What stands between the paragraphs is the article's, whatever the extractor found."""
    body = (
        f"<div><h1>{TITLE}</h1><p>{P1}</p><h3>La seguia</h3><ul><li>la route ;<li>le pont.</ul>"
        f"<p>{P2}</p><table><tr><th>Port</th><th>Prix</th></tr><tr><td>Sfax</td><td>4,5</td></tr>"
        "<tr><td>Zarzis</td><td>5,1</td></tr></table><p>La cellule de presse</p></div>"
    )
    assert html(body) == [
        TITLE,
        P1,
        "La seguia",
        "la route ;",
        "le pont.",
        P2,
        "Port Prix",
        "Sfax 4,5",
        "Zarzis 5,1",
        "La cellule de presse",
    ]


def test_elements_named_like_furniture_stay_outside() -> None:
    """By class, id or role, where they hold little of the article."""
    body = (
        f"<main><h1>{TITLE}</h1><p>{P1}</p><div class=adslot>Jumelles : voyez loin</div><p>{P2}</p>"
        f"<div class=author-box><p>Ali Barka est journaliste et suit le Sud depuis 2011.</p></div>"
        f"<p>{P3}</p></main>"
    )
    assert html(body) == [TITLE, P1, P2, P3]


def test_a_title_without_a_heading_is_found() -> None:
    """In large letters above the text, or repeated by the <title>."""
    table = (
        "<table><tr><td><a href=x>Une</a></td><td><font size=5><b>{}</b></font><br>"
        f"<p>{P1}</p><p>{P2}</p></td></tr></table>"
    )
    assert html(table.format(TITLE))[0] == TITLE
    divs = f"<div><div>{TITLE}</div><div>{P1}</div><div>{P2}</div></div>"
    assert html(divs, f"{TITLE} | Le Courrier")[0] == TITLE


def test_the_posts_of_a_live_page_are_the_article_together() -> None:
    """Many <article>s, none large, are not teasers."""
    posts = "".join(
        f"<article><h2>Point {i}</h2><p>{p}</p></article>" for i, p in enumerate([P1, P2, P3])
    )
    assert [line for line in html(f"<h1>{TITLE}</h1>{posts}") if len(line) > 60] == [P1, P2, P3]
