"""Documents cut into passages: nothing is lost, nothing comes twice, no split parts them."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.corpus import Ingested, Options
from curate.corpus.passages import cut, split
from curate.corpus.records import RawPage
from curate.errors import DataError
from curate.flows.gold_build import StoreDecisions
from curate.flows.ingest import IngestResult, ingest
from curate.flows.reporter import Silent
from curate.gold.judge import Judge
from curate.model import Annotation, Document, Source
from curate.offsets import OffsetMap, Piece
from curate.store import Decision, Store
from curate.tokenization import tokenize
from tests.gold_cases import SCHEMA

BOILERPLATE = "Cette dépêche est publiée sous la responsabilité de la rédaction du journal de Gao."


def article(seed: int, sentences: int = 9) -> str:
    """Sentences of ten made-up words, none of them in another article."""
    rng = random.Random(seed)
    letters = "abcdefghilmnoprstuv"
    return " ".join(
        " ".join("".join(rng.choices(letters, k=6)) for _ in range(10)).capitalize() + "."
        for _ in range(sentences)
    )


@settings(deadline=None)
@given(st.text("aB. \n!«»é’1", max_size=200), st.integers(1, 5))
def test_every_token_is_in_one_passage(text: str, size: int) -> None:
    """Passages come in order, overlap nowhere, and hold every token whole."""
    spans = cut(text, size, "fr")
    assert all(a < b for a, b in spans)
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(spans))
    inside = [t for a, b in spans for t in tokenize(text) if a <= t[0] and t[1] <= b]
    assert inside == tokenize(text)


def test_a_passage_holds_so_many_sentences_and_the_rest_goes_where_it_fits() -> None:
    """Less than half a passage goes with the one before; a headline with the one after."""
    text = article(1, 7)
    assert [text[a:b].count(".") for a, b in cut(text, 3, "fr")] == [3, 4]
    longer = article(1, 8)
    assert [longer[a:b].count(".") for a, b in cut(longer, 3, "fr")] == [3, 3, 2]
    titled = "Mali\n\n" + text
    assert cut(titled, 3, "fr")[0][0] == 0


def test_a_passage_leads_home() -> None:
    """Its text is the slice its metadata name, its map goes to the raw page, and the passages
    around it are its context."""
    text = article(2)
    page = RawPage(f"<p>{text}</p>".encode(), "utf-8", "p.html")
    whole = Ingested(
        Document.of(text, id="a", source="s", metadata={"date": "2021-03-14"}),
        Path("p.html"),
        raw=page,
        pieces=OffsetMap((Piece(0, len(text), 3, 3 + len(text)),)),
    )
    parts = split(whole, 3, "fr")
    assert [part.document.id for part in parts] == ["a~001", "a~002", "a~003"]
    for number, part in enumerate(parts, 1):
        document = part.document
        place = document.metadata["passage"]
        assert document.parent == "a"
        assert document.source == "s"
        assert document.metadata["date"] == "2021-03-14"
        assert (place["number"], place["count"]) == (number, 3)
        assert text[place["start"] : place["end"]] == document.text
        assert part.pieces is not None
        home = part.pieces.to_source(0, len(document.text))
        assert home is not None
        assert page.text[slice(*home)] == document.text
    assert parts[0].document.metadata["passage"]["before"] == ""
    assert parts[1].document.metadata["passage"]["before"] == parts[0].document.text
    assert parts[1].document.metadata["passage"]["after"] == parts[2].document.text


def test_a_short_document_stays_whole() -> None:
    whole = Ingested(Document.of(article(3, 3), id="a"), Path("p"))
    assert split(whole, 3, "fr") == [whole]


def test_metadata_of_the_same_name_are_refused() -> None:
    whole = Ingested(Document.of(article(3), id="a", metadata={"passage": 3}), Path("p"), 4)
    with pytest.raises(DataError, match="rename them") as caught:
        split(whole, 3, "fr")
    assert caught.value.line == 4


# -- into the store


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with Store.create(database_url) as opened:
        yield opened


def put(store: Store, folder: Path, texts: dict[str, str], size: int) -> IngestResult:
    path = folder / "in.jsonl"
    lines = (json.dumps({"id": key, "text": text}) for key, text in texts.items())
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return ingest(store, [path], Options("fr"), Silent(), passages=size)


def groups(store: Store) -> dict[str, str]:
    with store.read() as unit:
        return unit.documents.groups()


def test_passages_share_the_group_of_their_document(store: Store, tmp_path: Path) -> None:
    """Near-duplicates are told by whole documents, whenever they come: what articles have in
    common by the way joins none."""
    near = article(1).replace(article(1).split()[40], "autre")
    first = put(store, tmp_path, {"a": f"{article(1)} {BOILERPLATE}"}, 3)
    assert (first.read, first.cut, first.added) == (3, 1, 3)
    second = put(
        store,
        tmp_path,
        {"b": f"{article(2)} {BOILERPLATE}", "c": f"{near} {BOILERPLATE}", "d": article(4, 2)},
        3,
    )
    found = groups(store)
    assert {key: found[key] for key in found if key[0] in "ac"} == dict.fromkeys(
        [key for key in found if key[0] in "ac"], "a~001"
    )
    assert {found[key] for key in found if key[0] == "b"} == {"b~001"}
    assert found["d"] == "d"
    assert second.near_duplicates == {"a~001": ["a~001", "c~002"]}


def test_ingesting_again_changes_nothing(store: Store, tmp_path: Path) -> None:
    texts = {"a": article(1), "b": article(2)}
    put(store, tmp_path, texts, 3)
    before = groups(store)
    again = put(store, tmp_path, texts, 3)
    assert (again.read, again.unchanged, again.added) == (6, 6, 0)
    assert groups(store) == before


@pytest.mark.parametrize(("before", "now"), [(3, 2), (2, 3), (0, 3), (3, 0)])
def test_a_document_is_never_there_in_two_cuts(
    store: Store, tmp_path: Path, before: int, now: int
) -> None:
    """Its text would be annotated twice, and stand on both sides of a split."""
    texts = {"a": article(1)}
    put(store, tmp_path, texts, before)
    held = groups(store)
    again = put(store, tmp_path, texts, now)
    assert groups(store) == held
    assert again.read == again.conflicts
    assert len(again.rejected) == 1
    assert "--passages" in str(again.rejected[0])


def test_a_release_keeps_the_passages_of_a_document_together(store: Store, tmp_path: Path) -> None:
    """Even where the store's groups know nothing of each other."""
    put(store, tmp_path, {"a": article(1), "b": article(2)}, 3)
    with store.write() as unit:
        unit.documents.regroup({"a~002": "a~002", "b~003": "b~003"})
        unit.decisions.put(
            Decision(Annotation.of(key, [], [], Source.curator("c")), {})
            for key in unit.documents.ids()
        )
        unit.commit()
        members = StoreDecisions.of(unit, SCHEMA, Judge(SCHEMA)).members()
    assert {m.id: m.group for m in members} == {
        f"{key}~{n:03}": f"{key}~001" for key in "ab" for n in (1, 2, 3)
    }
    assert next(m.near for m in members if m.id == "a~002") == ("a~001", "a~003")
