"""Tokens and sentences of scraped text, as offsets.

Spans are what annotators mark, so a token boundary must stand wherever a sensible span may begin
or end: words are parted from elisions (``l’|Algérie``), at hyphens (``pro|-|Haftar``), from
punctuation, and where a scraper fused two sentences (``Algérie|L’|opération``, ``années|Si``,
``M.|Evkourov``).  What a language adds to the neutral rules stands in :data:`LANGUAGES`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from curate.errors import DataError
from curate.offsets import Span

TOKENIZER_NAME = "curate.tokenizer.v1"
"""The name under which spaCy's registry of tokenizers knows :func:`make_tokenizer`."""


@dataclass(frozen=True, slots=True)
class LanguageRules:
    """What one language adds to the neutral rules; each a regular expression, case ignored but
    in ``abbreviations`` and ``ordinals``."""

    elisions: str = ""
    """Beginnings that part after the apostrophe: ``l’``, ``qu’``."""
    endings: str = ""
    """Endings that part before the apostrophe: ``’s``."""
    whole: str = ""
    """Words with an apostrophe that stay whole; an apostrophe is written ``'`` for any of them."""
    abbreviations: str = ""
    """Words that keep their full stop where a capital or a digit follows."""
    ordinals: str = ""
    """Endings of a number that belong to it: ``17e``."""
    hours: str = ""
    """Signs between hours and minutes: ``14h30``."""
    inner_apostrophe: bool = False
    """Whether a vowel, an apostrophe and small letters make one word: ``Sana’a``."""


LANGUAGES: dict[str, LanguageRules] = {
    "xx": LanguageRules(),
    "fr": LanguageRules(
        elisions=r"(?:jus|lors|puis|quoi|pres|quel)?qu|[cdjlmnst]|entr",
        whole=r"aujourd'hui|prud'hom\w*|quelqu'une?s?|d'abord|d'ailleurs",
        abbreviations=(
            r"MM?|M[Mm]es?|M[Ll]les?|M[Gg]rs?|D[Rr]s?|P[Rr]s?|Me|Ste?|G[ae]l|Gén|Col|Cdt|Cne|Cap"
            r"|Lt|Sgt|Adj|Av|Bd|Art|art|Vol|vol|cf|Cf|éd|Éd|env"
            r"|[Jj]anv|[Ff]évr?|[Aa]vr|[Jj]uil|[Ss]ept|[Oo]ct|[Nn]ov|[Dd]éc"
        ),
        ordinals=r"ers?|[èe]?res?|[èe]?mes?|es?|nde?s?|ᵉ|°",
        hours=r"[hH]",
        inner_apostrophe=True,
    ),
    "en": LanguageRules(
        endings=r"(?:s|re|ve|ll|d|m|t)",
        whole=r"o'clock",
        abbreviations=r"Mr|Mrs|Ms|Dr|Prof|Gen|Col|Maj|Capt|Lt|Sgt|Sen|Rep|Gov|St|Jr|Sr|No",
        ordinals=r"st|nd|rd|th",
    ),
}

_APOSTROPHES = "'’ʼ"
_MARKS = "\u0300-\u036f\u064b-\u065f\u0670\u06d6-\u06ed\u00ad\u200c\u200d"
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_EMOJI = "[\u203c-\u2049\u2190-\u2bff\u3030\U0001f000-\U0001f1e5\U0001f200-\U0001fbff]"
_ENDS = frozenset(".!?…")
_CLOSING = frozenset("»”\")]’'")
_OPENING = frozenset('«“"([-–—•*')


@lru_cache(maxsize=1)
def _capitals() -> str:
    """Capital letters of the cased scripts in news (Latin, Greek, Cyrillic), as a class body."""
    ranges = ((0x41, 0x250), (0x370, 0x530), (0x1E00, 0x1F00))
    return "".join(chr(c) for low, high in ranges for c in range(low, high) if chr(c).isupper())


@lru_cache(maxsize=32)
def _compiled(language: str, with_addresses: bool) -> re.Pattern[str]:
    rules = LANGUAGES.get(language, LANGUAGES["xx"])
    up = f"[{_capitals()}]"
    low = rf"[^\W\d_{_capitals()}{_UNSPACED}]"
    letters = f"{low}+(?:[{_MARKS}]+{low}*)*"
    quote = f"[{_APOSTROPHES}]"
    no_letter = r"(?![^\W\d_])"
    parts = [
        r"(?:https?://|www\.)[^\s<>\"«»“”]*[^\s<>\"«»“”.,;:!?)\]'’…]",
    ]
    if with_addresses:
        parts.append(r"[\w.+-]*\w@\w[\w-]*(?:\.\w[\w-]*)+")
    if rules.whole:
        whole = rules.whole.replace("'", quote)
        parts.append(rf"(?i:{whole})(?!\w)")
    if rules.elisions:
        parts.append(rf"(?i:{rules.elisions}){quote}")
    if rules.endings:
        parts.append(rf"{quote}(?i:{rules.endings})(?!\w)")
    if rules.abbreviations:
        parts.append(rf"(?:{rules.abbreviations})\.(?=[^\S\n]*(?:{up}|\d))")
    if rules.ordinals:
        parts.append(rf"[IVXLC]+(?:{rules.ordinals}){no_letter}")
    inner = rf"(?:(?<=[aeiouyàâéèêëîïôöûü]){quote}{letters})?" if rules.inner_apostrophe else ""
    parts += [
        rf"(?:{up}\.)+{up}(?!\w)",  # O.N.U, its last stop apart
        rf"Mc{up}{letters}",
        rf"{up}{{2,}}(?={up}(?!s{no_letter}){low})",  # ONU|Le
        rf"{up}*{letters}{inner}",
        rf"{up}+\d*",
    ]
    if rules.ordinals:
        parts.append(rf"\d+(?:{rules.ordinals})(?!\w)")
    if rules.hours:
        parts.append(rf"\d{{1,2}}{rules.hours}(?:\d{{2}})?(?!\w)")
    parts += [
        rf"\d+{up}(?![\w{_APOSTROPHES}])",  # 4G
        r"\d+(?:[.,]\d+)*",
        "[\U0001f1e6-\U0001f1ff]{2}",
        rf"{_EMOJI}(?:[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\u20e3]|\u200d{_EMOJI})*",
        r"(?P<run>[.!?…\-–—_=*~•·])(?P=run)+",
        r"\S",
    ]
    return re.compile("|".join(parts))


def tokenize(text: str, language: str = "fr") -> list[Span]:
    """The tokens of ``text`` as ``(start, end)``, in order.

    They do not overlap, hold no white space, and cover every other character.  A language without
    rules of its own is read by the neutral ones.
    """
    last = _last
    if last[1] != language or last[0] != text:
        spans = [match.span() for match in _compiled(language, "@" in text).finditer(text)]
        _remember(text, language, spans)
        return spans
    return last[2].copy()


_last: tuple[str, str, list[Span]] = ("", "", [])
"""The text read last: the tokenizer of a pipeline and the rules in it ask one after the other."""
_made: tuple[Any, int, str, list[Span]] | None = None
"""The Doc made last, its length, text and tokens: spaCy gives them back slowly."""


def _remember(text: str, language: str, spans: list[Span]) -> None:
    global _last
    _last = (text, language, spans.copy())


def of_doc(doc: Any) -> tuple[str, list[Span]] | None:
    """Text and tokens (without white space) of a Doc, if it is the one that :class:`Tokenizer`
    made last."""
    made = _made
    if made is None or made[0] is not doc or made[1] != len(doc):
        return None
    return made[2], made[3]


def sentences(text: str, tokens: Sequence[Span]) -> list[Span]:
    """The sentences of ``text`` as half-open ranges of indices into ``tokens``, covering them all.

    A sentence ends after ``.!?…`` and closing quotes, at an empty line, at a line's end before a
    capital, and where two sentences were fused.
    """
    ranges: list[Span] = []
    first = 0
    end = 0
    for i, (start, stop) in enumerate(tokens):
        # Most tokens follow a letter and one space: there no sentence begins.
        usual = start == end + 1 and text[end] == " " and text[end - 1].isalnum()
        if i and not usual and _breaks(text, tokens, i):
            ranges.append((first, i))
            first = i
        end = stop
    if tokens:
        ranges.append((first, len(tokens)))
    return ranges


def _breaks(text: str, tokens: Sequence[Span], i: int) -> bool:
    """Whether a sentence begins at token ``i`` (> 0)."""
    start = tokens[i][0]
    last_start, last_end = tokens[i - 1]
    gap = text[last_end:start]
    char = text[start]
    if "\n" in gap or "\r" in gap:
        if max(gap.count("\n"), gap.count("\r")) > 1:
            return True
        if (char.isupper() or char.isdigit() or char in _OPENING) and text[
            last_end - 1
        ] not in ",;":
            return True
    before = i - 1
    while before > 0 and i - before <= 3 and text[slice(*tokens[before])] in _CLOSING:
        before -= 1
    stop = text[slice(*tokens[before])]
    if stop[0] not in _ENDS:
        fused = last_end - last_start > 1 and text[last_end - 1].islower() and char.isupper()
        return fused and not gap
    if char.islower() or (char in _CLOSING and (not gap or char in "»”)]")):
        return False
    if stop == "." and before > 0:
        previous = text[slice(*tokens[before - 1])]
        initial = len(previous) == 1 and previous.isupper()
        return not initial
    return True


def make_tokenizer(language: str | None = None) -> Any:
    """spaCy's factory ``curate.tokenizer.v1``: ``nlp -> Tokenizer`` for the pipeline's language."""

    def create(nlp: Any) -> Tokenizer:
        return Tokenizer(nlp.vocab, language or nlp.lang)

    return create


def register() -> None:
    """Make spaCy know :data:`TOKENIZER_NAME` where no entry point did."""
    from spacy.util import registry

    if not registry.has("tokenizers", TOKENIZER_NAME):
        registry.tokenizers(TOKENIZER_NAME, func=make_tokenizer)


class Tokenizer:
    """:func:`tokenize` as the tokenizer of a spaCy pipeline.

    White space other than one space between tokens becomes a token of its own, as spaCy has it,
    so that ``doc.text`` is the text.
    """

    def __init__(self, vocab: Any, language: str = "fr") -> None:
        self.vocab = vocab
        self.language = language

    def __call__(self, text: str) -> Any:
        from spacy.tokens import Doc

        global _made
        spans = tokenize(text, self.language)
        words, spaces = words_and_spaces(text, spans)
        doc = Doc(self.vocab, words=words, spaces=spaces)
        _made = (doc, len(doc), text, spans)
        return doc

    def pipe(self, texts: Iterable[str], batch_size: int = 1000) -> Iterator[Any]:
        for text in texts:
            yield self(text)

    def __reduce__(self) -> Any:
        return (type(self), (self.vocab, self.language))

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        return json.dumps({"language": self.language}).encode()

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Tokenizer:
        """Raises DataError where the bytes are no tokenizer's."""
        try:
            language = json.loads(data)["language"]
        except (ValueError, KeyError, TypeError, RecursionError):
            language = None
        if not isinstance(language, str):
            raise DataError("these are not the settings of curate's tokenizer")
        self.language = language
        return self

    def to_disk(self, path: Path | str, *, exclude: Iterable[str] = ()) -> None:
        Path(path).write_bytes(self.to_bytes())

    def from_disk(self, path: Path | str, *, exclude: Iterable[str] = ()) -> Tokenizer:
        return self.from_bytes(Path(path).read_bytes())


def words_and_spaces(text: str, tokens: Sequence[Span]) -> tuple[list[str], list[bool]]:
    """What spaCy's ``Doc`` is built from: words, white space among them, and whether a space
    follows each; joined they are ``text``."""
    words: list[str] = []
    spaces: list[bool] = []
    end = 0
    for start, stop in (*tokens, (len(text), len(text))):
        gap = text[end:start]
        if gap:
            if words and gap[0] == " ":
                spaces[-1] = True
                gap = gap[1:]
            if gap:
                words.append(gap)
                spaces.append(False)
        if stop > start:
            words.append(text[start:stop])
            spaces.append(False)
        end = stop
    return words, spaces
