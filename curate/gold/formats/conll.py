"""CoNLL: a token a line with its BIO tag, documents and sentences parted by lines.

Written by curate as four columns parted by tabs: token, start, end (code points), tag; ``# id =``
and ``# text =`` (JSON) stand above each document, so that it can be read back exactly.  Files of
others, with the token first and the tag last, parted by white space, ``-DOCSTART-`` lines and empty
lines, are read as well: the text is then the tokens joined by spaces.  Overlapping entities do not
fit into BIO: the longest stay.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from curate.errors import DataError, DiskError
from curate.gold.formats.loss import Loss, writing
from curate.gold.items import GoldDocument, entity_id
from curate.interchange import Record
from curate.model import Annotation, Document, Entity, Source
from curate.offsets import Span
from curate.tokenization import sentences, tokenize


def export(documents: Iterable[GoldDocument], target: Path, *, language: str = "fr") -> Loss:
    """Write one CoNLL file; tokens are :func:`curate.tokenization.tokenize`'s."""
    loss = Loss("conll")
    with writing(target) as stream:
        for gold in documents:
            loss.saw(gold.annotation)
            text = gold.document.text
            tokens = tokenize(text, language)
            tags = bio(gold, tokens, loss)
            _count(gold, loss)
            stream.write(f"# id = {json.dumps(gold.id, ensure_ascii=False)}\n")
            stream.write(f"# text = {json.dumps(text, ensure_ascii=False)}\n")
            for first, beyond in sentences(text, tokens):
                for (start, end), tag in zip(tokens[first:beyond], tags[first:beyond], strict=True):
                    stream.write(f"{text[start:end]}\t{start}\t{end}\t{tag}\n")
                # A sentence does not end inside an entity, whatever the punctuation says.
                if beyond == len(tags) or not tags[beyond].startswith("I-"):
                    stream.write("\n")
            if not tokens:
                stream.write("\n")
    return loss


def bio(gold: GoldDocument, tokens: list[Span], loss: Loss) -> list[str]:
    """The BIO tags of the tokens; entities that do not fit are told to ``loss``."""
    starts = {start: i for i, (start, _) in enumerate(tokens)}
    ends = {end: i for i, (_, end) in enumerate(tokens)}
    tags = ["O"] * len(tokens)
    for entity in sorted(
        gold.annotation.entities, key=lambda e: (e.start - e.end, e.start, e.label)
    ):
        first, last = starts.get(entity.start), ends.get(entity.end)
        where = f"{gold.id} {entity_id(entity)}"
        if first is None or last is None:
            loss.add("entity cuts a token", where)
            continue
        if any(tag != "O" for tag in tags[first : last + 1]):
            loss.add("entity overlaps a longer one", where)
            continue
        tags[first : last + 1] = [f"I-{entity.label}"] * (last - first + 1)
        tags[first] = f"B-{entity.label}"
    return tags


def _count(gold: GoldDocument, loss: Loss) -> None:
    annotation = gold.annotation
    loss.add("relation not carried", gold.id, len(annotation.relations))
    loss.add("chain not carried", gold.id, len(annotation.chains))
    loss.add(
        "canonical name not carried",
        gold.id,
        sum(e.canonical is not None for e in annotation.entities),
    )
    loss.add("score not carried", gold.id, sum(e.score is not None for e in annotation.entities))
    loss.add("metadata not carried", gold.id, bool(gold.document.metadata or gold.document.source))


def read(path: Path, *, source: Source) -> Iterator[Record]:
    """The documents of a CoNLL file.  Raises DataError with file and line for what does not fit."""
    try:
        with path.open("rb") as stream:
            yield from _records(path, stream, source)
    except FileNotFoundError:
        raise DataError("there is no such file", path=path) from None
    except IsADirectoryError:
        raise DataError("is a directory; name a CoNLL file", path=path) from None
    except OSError as error:
        raise DiskError(f"cannot be read: {error.strerror}", path=path) from None


class _Reading:
    """One document as its lines come."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.id: str | None = None
        self.text: str | None = None
        self.tokens: list[tuple[str, int, int]] = []
        self.entities: list[Entity] = []
        self._length = 0
        self._open: tuple[int, str] | None = None
        self._end = 0

    def token(self, word: str, tag: str, start: int | None, end: int | None) -> None:
        if start is None or end is None:
            start = self._length + bool(self.tokens)
            end = start + len(word)
        if self.text is not None and self.text[start:end] != word:
            raise DataError(f"token {word!r} is not what the text has at {start}–{end}")
        if start < self._end or end <= start:
            raise DataError(f"token {word!r} at {start}–{end} is out of order")
        self._length = end
        kind, _, label = tag.partition("-")
        if tag != "O" and (kind not in ("B", "I", "E", "S", "L", "U") or not label):
            raise DataError(f"tag {tag!r} is not O, B-LABEL or I-LABEL")
        begins = kind in ("B", "S", "U") or (
            tag != "O" and (self._open is None or self._open[1] != label)
        )
        if tag == "O" or begins:
            self.close()
        if begins:
            self._open = (start, label)
        self.tokens.append((word, start, end))
        self._end = end
        if kind in ("E", "S", "L", "U"):
            self.close()

    def close(self) -> None:
        if self._open is not None:
            self.entities.append(Entity(self._open[0], self._end, self._open[1]))
            self._open = None

    def record(self, source: Source) -> Record:
        self.close()
        if self.text is None:
            pieces: list[str] = []
            position = 0
            for word, start, end in self.tokens:
                pieces.append(" " * (start - position) + word)
                position = end
            text = "".join(pieces)
        else:
            text = self.text
        document = Document.of(text, id=self.id)
        if document.text != text:
            raise DataError("the text is not in NFC; normalise the file")
        return Record(document, Annotation.of(document.id, self.entities, [], source), self.line)


def _records(path: Path, stream: Iterable[bytes], source: Source) -> Iterator[Record]:
    current: _Reading | None = None
    seen: dict[str, int] = {}

    def finished(reading: _Reading) -> Record:
        record = reading.record(source)
        first = seen.setdefault(record.document.id, reading.line)
        if first != reading.line:
            raise DataError(f"document {record.document.id!r} stands twice, first on line {first}")
        return record

    number = 0
    try:
        for number, raw in enumerate(stream, start=1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError:
                raise DataError("the line is not UTF-8; save the file as UTF-8") from None
            if line.startswith(("# id = ", "-DOCSTART-")):
                if current is not None and (current.tokens or current.text is not None):
                    yield finished(current)
                current = _Reading(number)
                if line.startswith("#"):
                    current.id = _json_string(line[7:])
                continue
            if line.startswith("# text = "):
                current = current or _Reading(number)
                current.text = _json_string(line[9:])
                continue
            if not line.strip():
                if current is not None:
                    current.close()
                continue
            if line.startswith("# ") and "\t" not in line:
                continue
            current = current or _Reading(number)
            _token(current, line)
        if current is not None and (current.tokens or current.text is not None):
            yield finished(current)
    except DataError as error:
        raise error.at(path, number or None) from None


def _token(current: _Reading, line: str) -> None:
    cells = line.split("\t") if "\t" in line else line.split()
    if len(cells) < 2:
        raise DataError("a token's line needs a token and a tag")
    if len(cells) == 4 and cells[1].isdecimal() and cells[2].isdecimal():
        current.token(cells[0], cells[3], int(cells[1]), int(cells[2]))
    else:
        current.token(cells[0], cells[-1], None, None)


def _json_string(text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()
    return value if isinstance(value, str) else text.strip()
