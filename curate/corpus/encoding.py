"""Bytes to text: which encoding, and what is refused.

In this order: a byte order mark; valid UTF-8; the charset an HTML page declares; a guess, which is
reported.  Valid UTF-8 goes before a declared legacy charset because scrapers re-encode pages and
leave the declaration standing, while text in a legacy charset is hardly ever valid UTF-8 by chance.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from curate.errors import DataError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_META = re.compile(
    rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE
)
_META_BYTES = 4096
# What browsers read for these labels (WHATWG Encoding Standard, 4.2).
_BROWSER = {"iso8859-1": "cp1252", "ascii": "cp1252", "iso8859-9": "cp1254", "gb2312": "gbk"}
_GUESSES = ["cp1252", "cp1251", "cp1256", "mac_roman", "cp850", "iso8859_15"]
_SAMPLE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Decision:
    """The encoding of some bytes; ``note`` says why where it was not plain."""

    encoding: str
    note: str = ""


def decide(content: bytes, *, html: bool = False) -> Decision:
    """Which encoding ``content`` is in.  Raises DataError where its own mark is contradicted."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return Decision(encoding)
    declared = _declared(content) if html else None
    if _decodes(content, "utf-8"):
        if declared not in (None, "utf-8") and not content.isascii():
            return Decision("utf-8", f"declares {declared}, but is valid UTF-8 and read as such")
        return Decision("utf-8")
    _refuse_surrogates(content)
    if mostly_utf8(content):
        place = _first_bad(content)
        raise DataError(
            f"byte {place + 1} is not UTF-8, though the rest is; mend it or save the file anew",
            line=content.count(b"\n", 0, place) + 1,
        )
    if declared not in (None, "utf-8") and _decodes(content, declared or ""):
        return Decision(declared or "")
    guess = _guess(content)
    if declared is None:
        return Decision(guess, f"is not UTF-8; read as {guess}")
    return Decision(guess, f"declares {declared}, which it is not; read as {guess}")


def decode(content: bytes, encoding: str) -> str:
    """The text.  Raises DataError, with the line, for bytes the encoding does not know and NUL."""
    try:
        text = content.decode(encoding)
    except (UnicodeDecodeError, UnicodeError) as error:
        start = getattr(error, "start", 0)
        raise DataError(
            f"byte {start + 1} is not {encoding}; save the file as UTF-8",
            line=content.count(b"\n", 0, start) + 1,
        ) from None
    nul = text.find("\0")
    if nul >= 0:
        raise DataError(
            "holds a NUL character; it is no text, or in an unmarked UTF-16: save it as UTF-8",
            line=text.count("\n", 0, nul) + 1,
        )
    return text


def mostly_utf8(content: bytes) -> bool:
    """Whether these bytes are UTF-8 with a few broken ones: a legacy charset hardly ever has
    sequences that are valid UTF-8."""
    text = content.decode("utf-8", "surrogateescape")
    broken = sum(0xDC80 <= ord(char) <= 0xDCFF for char in text)
    return 2 * broken < sum(ord(char) > 0x7F for char in text) - broken


def _first_bad(content: bytes) -> int:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _declared(content: bytes) -> str | None:
    found = _META.search(content[:_META_BYTES])
    if found is None:
        return None
    try:
        name = codecs.lookup(found.group(1).decode("ascii")).name
    except LookupError:
        return None
    # A page whose declaration could be read as ASCII is not in these, whatever it says.
    return "utf-8" if name.startswith(("utf-16", "utf-32")) else _BROWSER.get(name, name)


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


def _refuse_surrogates(content: bytes) -> None:
    try:
        text = content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return
    place = next(i for i, char in enumerate(text) if 0xD800 <= ord(char) < 0xE000)
    raise DataError(
        f"holds a lone surrogate U+{ord(text[place]):04X}; it is no valid Unicode",
        line=text.count("\n", 0, place) + 1,
    )


def _guess(content: bytes) -> str:
    import logging

    from charset_normalizer import from_bytes

    logging.getLogger("charset_normalizer").setLevel(logging.WARNING)
    candidates = [name for name in _GUESSES if _decodes(content, name)]
    sample = content[:_SAMPLE]
    matches = from_bytes(sample, cp_isolation=candidates) if candidates else None
    best = matches.best() if matches is not None else None
    if best is None:
        return "cp1252" if "cp1252" in candidates else "iso8859_15"
    # Of encodings that give the same text, the commonest.
    same = {best.encoding, *best.could_be_from_charset}
    return next((name for name in _GUESSES if name in same), best.encoding)
