"""HTML pages: what is the article, and where each of its characters stood."""

from __future__ import annotations

import html

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.corpus.blocks import blocks_of
from curate.corpus.markup import Article, article

P1 = (
    "La garnison de Ghadamès a reçu mardi deux pelotons venus de Zintan, selon un élu local. "
    "Le commandant du secteur n'a fait aucune déclaration à la presse depuis son arrivée."
)
P2 = (
    "À Alger, le ministère des Affaires étrangères a demandé des éclaircissements au gouvernement. "
    "Une réponse est attendue avant la fin de la semaine, dit-on de source diplomatique."
)


def page(body: str, head: str = "") -> str:
    return f"<!doctype html><html><head><meta charset=utf-8>{head}</head><body>{body}</body></html>"


def check_map(found: Article, source: str) -> None:
    """Every piece equals what its source says, entities decoded and white space made one."""
    for piece in found.pieces.pieces:
        raw = html.unescape(source[piece.source_start : piece.source_end])
        for char in "\t\r\n\f":
            raw = raw.replace(char, " ")
        assert found.text[piece.start : piece.end] == raw


def test_the_article_without_its_furniture() -> None:
    """Navigation, cookie notice, related links, forms and footer stay outside."""
    source = page(
        "<div class=cookies><p>Ce site dépose des cookies.</p></div>"
        "<nav><a href=/>Accueil</a> <a href=/libye>Libye</a></nav>"
        f"<article><h1>Deux pelotons</h1><p>{P1}</p><p>{P2}</p></article>"
        "<aside><h3>À lire aussi</h3><ul><li><a href=/1>Le sel de Bilma</a></ul></aside>"
        "<form><label>Nom</label><input></form><footer>© 2024</footer>"
    )
    found = article(source)
    assert found.text == f"Deux pelotons\n\n{P1}\n\n{P2}"
    assert found.lost == 0
    assert "Accueil Libye" in [text for _, text in found.outside]
    check_map(found, source)


def test_captions_are_kept_and_dates_inside_sentences_too() -> None:
    """Annotators mark captions; and a <time> in a sentence is part of it."""
    timed = P2.replace("la fin de la semaine", "<time>le 3 mai</time>")
    source = page(
        f"<main><h1>Titre de la page</h1><p>{P1}</p><figure><img src=x><figcaption>"
        f"Le fort de Sebha.</figcaption></figure><p>{timed}</p></main>"
    )
    found = article(source)
    assert "Le fort de Sebha." in found.text.split("\n\n")
    assert "avant le 3 mai, dit-on" in found.text
    check_map(found, source)


def test_entities_and_no_break_spaces_are_kept_and_mapped() -> None:
    """&eacute; is one character from eight; &nbsp; stays a no-break space."""
    body = P1.replace("é", "&eacute;").replace("è", "&#232;").replace("deux p", "deux&nbsp;p")
    source = page(f"<article><p>{body}</p><p>{P2}</p></article>")
    found = article(source)
    assert found.text == P1.replace("deux p", "deux\u00a0p") + "\n\n" + P2
    check_map(found, source)
    start = found.text.index("Ghadamès")
    span = found.pieces.to_source(start, start + len("Ghadamès"))
    assert span is not None
    assert source[slice(*span)] == "Ghadam&#232;s"


def test_inline_tags_do_not_part_words() -> None:
    """M<sup>me</sup> is one word; <br> parts lines; unclosed <p> and <li> are closed for us."""
    source = page(f"<p>M<sup>me</sup>&nbsp;Kallé<br>deux<p>trois<ul><li>quatre<li>cinq</ul><p>{P1}")
    texts = [block.text for block in blocks_of(source)]
    assert texts == ["Mme\u00a0Kallé", "deux", "trois", "quatre", "cinq", P1]


def test_hidden_text_is_no_text() -> None:
    """Scripts, styles, templates and the head are never read."""
    source = page(
        "<script>var a='<p>non</p>'</script><style>p{}</style><noscript>non</noscript>"
        f"<p>{P1}</p>",
        "<title>non</title>",
    )
    assert [block.text for block in blocks_of(source)] == [P1]


def test_other_pages_do_not_matter() -> None:
    """The same page in any company and order gives the same article."""
    pages = [page(f"<article><h1>N° {i}</h1><p>{P1}</p><p>{P2}</p></article>") for i in range(6)]
    alone = [article(source).text for source in pages]
    assert [article(source).text for source in reversed(pages * 3)][::-1][:6] == alone


@pytest.mark.parametrize(
    "source",
    ["", "<", "<p", "&", "&#", "&#xZ;", "<!--", "<![CDATA[", "<p>" * 3000, "</p></div>", "<a b='"],
)
def test_broken_markup_never_fails(source: str) -> None:
    """Whatever comes, there is an answer."""
    check_map(article(source), source)


fragments = st.lists(
    st.sampled_from(
        [
            "<p>",
            "</p>",
            "<br>",
            "<b>",
            "</b>",
            "<div>",
            "</div>",
            "<a href='#'>",
            "</a>",
            "&eacute;",
            "&nbsp;",
            "&amp;",
            "&copy2024",
            "&NotEqualTilde;",
            "&#8217;",
            "&#x1F600;",
            "R&D",
            "<script>x</script>",
            "<li>",
            "\n",
            "  ",
            P1,
            P2,
            "e\u0301",
        ]
    )
    | st.text(max_size=12),
    max_size=30,
)


@settings(deadline=None)
@given(fragments)
def test_every_mapped_piece_equals_its_source(parts: list[str]) -> None:
    """Up to the decoding of entities and white space, piece by piece, on any markup."""
    source = "".join(parts).replace("\0", "")
    found = article(source)
    check_map(found, source)
