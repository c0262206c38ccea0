"""What curate's spaCy components share: how a Doc is read, spaCy's manners, files on disk."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spacy.tokens import Span

from curate.errors import DataError
from curate.extractors.features import Text
from curate.extractors.relations import Triple
from curate.extractors.rules import available, files_of
from curate.extractors.stacking import RuleStack
from curate.gold.formats.spacy import SPAN_GROUP, USER_DATA, without_overlaps
from curate.model import Entity
from curate.tokenization import of_doc, sentences

_LAST: list[tuple[Any, tuple[str, int], Text]] = []
"""The Doc read last, as the models see it."""


def text_of(doc: Any, language: str) -> Text:
    """The tokens of a Doc without white space, as the models read them."""
    # The components of a pipeline ask about the same Doc one after the other.
    if _LAST and _LAST[0][0] is doc and _LAST[0][1] == (language, len(doc)):
        last: Text = _LAST[0][2]
        return Text(last.text, last.tokens, last.words, last.sentences)
    known = of_doc(doc)
    if known is not None:
        text, spans = known
    else:
        text = doc.text
        spans = [
            (start, start + length)
            for start, length in doc.to_array(["IDX", "LENGTH"]).tolist()
            if not text[start : start + length].isspace()
        ]
    words = [text[start:end] for start, end in spans]
    made = Text(text, spans, words, sentences(text, spans))
    _LAST[:] = [(doc, (language, len(doc)), made)]
    return made


def gold_of(doc: Any) -> tuple[list[tuple[int, int, str]], list[Triple]]:
    """The entities (in code points) and relations of a reference Doc."""
    data = doc.user_data.get(USER_DATA)
    if isinstance(data, dict) and "entities" in data:
        entities = [(int(a), int(b), str(label)) for a, b, label in data["entities"]]
        return entities, [(int(h), int(t), str(label)) for h, t, label in data["relations"]]
    group = doc.spans.get(SPAN_GROUP, doc.ents)
    return [(s.start_char, s.end_char, s.label_) for s in group], []


def chains_of(doc: Any) -> list[list[int]]:
    """The coreference chains that a Doc came with, as positions among its entities."""
    data = doc.user_data.get(USER_DATA)
    if not isinstance(data, dict) or "entities" not in data:
        return []
    return [[int(i) for i in chain] for chain in data.get("chains", ())]


def entities_of(doc: Any) -> list[Entity]:
    """The entities that an earlier component found in a Doc."""
    data = doc.user_data.get(USER_DATA)
    if isinstance(data, dict) and "entities" in data:
        scores = data.get("entity_scores") or [None] * len(data["entities"])
        rows = zip(data["entities"], scores, strict=True)
        return [Entity(start, end, label, score) for (start, end, label), score in rows]
    group = doc.spans.get(SPAN_GROUP, doc.ents)
    return sorted({Entity(s.start_char, s.end_char, s.label_) for s in group}, key=lambda e: e.key)


class Component(ABC):
    """What both components share: spaCy's manners, the stacked rules, files on disk."""

    is_trainable = True
    model = True
    """spaCy asks for it; there is no thinc model."""

    def __init__(self, name: str, language: str, rules: str) -> None:
        self.name = name
        self.language = language
        self.stack: RuleStack | None = None
        if rules:
            if (language, rules) not in available():
                raise DataError(f"there are no bootstrap rules {rules!r} in language {language!r}")
            self.stack = RuleStack(language, rules, files_of(language, rules))

    def read(self, doc: Any) -> Text:
        text = text_of(doc, self.language)
        if self.stack is not None:
            self.stack.put_on(text)
        return text

    def pipe(self, stream: Iterable[Any], *, batch_size: int = 128) -> Iterator[Any]:
        for doc in stream:
            yield self(doc)

    @abstractmethod
    def __call__(self, doc: Any) -> Any:
        """The Doc with what the component found."""

    def update(
        self,
        examples: Iterable[Any],
        *,
        drop: float = 0.0,
        sgd: Any = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Nothing is left to learn after ``initialize``."""
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        return losses

    def finish_update(self, sgd: Any) -> None:
        """There are no gradients: whatever optimizer comes is not used."""
        del sgd

    def _files(self) -> dict[str, bytes]:
        files: dict[str, bytes] = {}
        if self.stack is not None:
            meta = {"language": self.stack.language, "schema": self.stack.schema}
            files["stack.json"] = json.dumps(meta, sort_keys=True).encode()
            for name, text in self.stack.files.items():
                files[f"rules-{name}"] = text.encode("utf-8")
        return files

    def _take(self, files: Mapping[str, bytes]) -> None:
        self.stack = None
        if "stack.json" in files:
            meta = json.loads(files["stack.json"])
            texts = {
                name.removeprefix("rules-"): data.decode("utf-8")
                for name, data in files.items()
                if name.startswith("rules-")
            }
            self.stack = RuleStack(meta["language"], meta["schema"], texts)

    def to_disk(self, path: Path | str, *, exclude: Iterable[str] = ()) -> None:
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self._files().items():
            (folder / name).write_bytes(data)

    def from_disk(self, path: Path | str, *, exclude: Iterable[str] = ()) -> Any:
        self._take({file.name: file.read_bytes() for file in sorted(Path(path).iterdir())})
        return self

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        import srsly

        return bytes(srsly.msgpack_dumps(self._files()))

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Any:
        import srsly

        self._take(srsly.msgpack_loads(data))
        return self


def set_spans(doc: Any, rows: Sequence[tuple[int, int, str, float]]) -> None:
    """Put entities on the Doc: all into the span group with their scores, flat ones into ents."""
    places = doc.to_array(["IDX", "LENGTH"]).tolist()
    starts = {start: i for i, (start, _) in enumerate(places)}
    ends = {start + length: i + 1 for i, (start, length) in enumerate(places)}
    spans = [Span(doc, starts[a], ends[b], label=label) for a, b, label, _ in rows]
    doc.spans[SPAN_GROUP] = spans
    doc.spans[SPAN_GROUP].attrs["scores"] = [score for *_, score in rows]
    doc.ents = without_overlaps(spans)


def measures(prefix: str, right: int, found: int, wanted: int) -> dict[str, Any]:
    return {
        f"{prefix}_p": right / found if found else None,
        f"{prefix}_r": right / wanted if wanted else None,
        f"{prefix}_f": 2 * right / (found + wanted) if found + wanted else None,
    }
