"""The engine of the bootstrap rules: gazetteers, patterns over text, and patterns over mentions.

It knows no language and no label: all of that stands in the data folders under ``data/``, whose
form docs/extractors.md describes.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from curate.errors import ConfigurationError
from curate.extractors.triggers import Triggers
from curate.offsets import Span
from curate.tokenization import tokenize

DATA = Path(__file__).parent / "data"
ENGINE = "1"
"""Part of every digest: raised when the engine reads the same data differently."""

_MACRO = re.compile(r"\{([A-Z][A-Z0-9_]*)\}")
_TYPED = re.compile(r"<([A-Z_|]+)>")


@lru_cache(maxsize=65536)
def folded(word: str) -> str:
    """Case and accents aside, apostrophes made one: the form under which gazetteers are found."""
    plain = unicodedata.normalize("NFD", word.casefold().replace("’", "'").replace("ʼ", "'"))
    return "".join(char for char in plain if not unicodedata.combining(char))


@dataclass(frozen=True, slots=True)
class Link:
    """A relation between two groups of a pattern."""

    label: str
    head: str
    tail: str
    score: float


@dataclass(frozen=True, slots=True)
class EntityRule:
    """A pattern whose named groups are labels (``PER``, or ``PER_2`` for a second one)."""

    name: str
    pattern: re.Pattern[str]
    score: float
    priority: int
    links: tuple[Link, ...]
    groups: tuple[tuple[str, str], ...]
    """``(group, label)``."""


@dataclass(frozen=True, slots=True)
class RelationRule:
    """A pattern over a sentence in which mentions are replaced by their types."""

    name: str
    label: str
    pattern: re.Pattern[str]
    score: float
    modal: bool
    """Whether the pattern holds in spite of a veto word (negation, conditional)."""


@dataclass(frozen=True, slots=True)
class Gazetteer:
    """Names and what they are; ``names`` maps folded tokens to the canonical name."""

    label: str
    score: float
    names: Mapping[tuple[str, ...], str]
    ambiguous: frozenset[tuple[str, ...]]
    """Names that are words as well: they count only where the text writes them alike."""
    exact: Mapping[tuple[str, ...], frozenset[tuple[str, ...]]]


@dataclass(frozen=True)
class Rulebook:
    """All rules for one language and schema."""

    language: str
    schema: str
    digest: str
    entities: tuple[EntityRule, ...]
    relations: tuple[RelationRule, ...]
    gazetteers: tuple[Gazetteer, ...]
    aliases: Mapping[str, tuple[str, ...]]
    stop: frozenset[str]
    veto: re.Pattern[str] | None
    repeats: Mapping[str, str]
    """Label → ``whole`` (a name found once counts everywhere) or ``parts`` (its last word, too)."""
    acronyms: Mapping[str, float]
    """Label → score of an acronym in brackets behind a name with that label."""
    same_as: str
    heads: tuple[tuple[re.Pattern[str], str], ...] = ()
    """What a name with an acronym is, by how it begins."""
    particles: frozenset[str] = field(default_factory=frozenset)
    every: frozenset[str] = field(default_factory=frozenset)
    """Relation types stated again at each mention; the others once for a pair of names."""

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.aliases)

    @cached_property
    def triggers(self) -> Triggers:
        """Where the entity patterns may begin, for one pass over a text."""
        return Triggers([rule.pattern for rule in self.entities])


def available(root: Path = DATA) -> list[tuple[str, str]]:
    """``(language, schema)`` of every data folder, sorted."""
    return sorted(
        (path.parent.parent.name, path.parent.name) for path in root.glob("*/*/rules.yaml")
    )


@lru_cache(maxsize=8)
def load(language: str, schema: str, root: Path = DATA) -> Rulebook:
    """The rules of one data folder.  Raises ConfigurationError with the file and rule at fault."""
    return from_files(files_of(language, schema, root), language, schema, root / language / schema)


def files_of(language: str, schema: str, root: Path = DATA) -> dict[str, str]:
    """The data of one folder: file names → texts."""
    folder = root / language / schema
    try:
        return {
            path.name: path.read_text(encoding="utf-8")
            for path in sorted(folder.iterdir())
            if path.suffix in (".yaml", ".txt")
        }
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", path=folder) from None


def from_files(
    files: Mapping[str, str], language: str, schema: str, folder: Path = DATA
) -> Rulebook:
    """The rules of a folder whose files were read before; ``folder`` is for messages."""
    import yaml

    path = folder / "rules.yaml"
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        raw = yaml.load(files["rules.yaml"], Loader=loader)
    except (KeyError, yaml.YAMLError) as error:
        raise ConfigurationError(f"cannot be read: {type(error).__name__}", path=path) from None
    try:
        return _Reader(files, raw, language, schema).rulebook()
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"is not a rule file: {error}", path=path) from None


class _Reader:
    def __init__(
        self, files: Mapping[str, str], raw: dict[str, Any], language: str, schema: str
    ) -> None:
        self.files, self.raw, self.language, self.schema = files, raw, language, schema
        self.macros: dict[str, str] = {}
        for name, value in raw.get("macros", {}).items():
            if isinstance(value, list):
                value = "(?:" + "|".join(value) + ")"
            self.macros[name] = self.expand(str(value).strip())

    def expand(self, pattern: str) -> str:
        def put(match: re.Match[str]) -> str:
            try:
                return self.macros[match[1]]
            except KeyError:
                raise ValueError(f"unknown macro {{{match[1]}}}") from None

        return _MACRO.sub(put, pattern)

    def compiled(self, pattern: str, name: str) -> re.Pattern[str]:
        # Patterns are written over several lines in YAML; the line breaks are not part of them.
        joined = "".join(line.strip("\n") for line in pattern.splitlines())
        try:
            return re.compile(self.expand(joined))
        except re.error as error:
            raise ValueError(f"rule {name}: {error}") from None

    def rulebook(self) -> Rulebook:
        raw = self.raw
        veto = raw.get("veto")
        digest = hashlib.sha256(ENGINE.encode())
        for name in sorted(self.files):
            digest.update(f"{name}\0{self.files[name]}\0".encode())
        return Rulebook(
            language=self.language,
            schema=self.schema,
            digest=digest.hexdigest(),
            entities=tuple(self.entity(row) for row in raw.get("entities", ())),
            relations=tuple(
                rule for row in raw.get("relations", ()) for rule in self.relation(row)
            ),
            gazetteers=tuple(self.gazetteer(row) for row in raw.get("gazetteers", ())),
            aliases={label: tuple(names) for label, names in raw["labels"].items()},
            stop=frozenset(folded(word) for word in raw.get("stop", ())),
            veto=self.compiled(veto, "veto") if veto else None,
            repeats=dict(raw.get("repeats", {})),
            acronyms=dict(raw.get("acronyms", {})),
            same_as=raw.get("same_as", ""),
            heads=tuple(
                (self.compiled(row["pattern"], "heads"), row["label"])
                for row in raw.get("heads", ())
            ),
            particles=frozenset(raw.get("particles", ())),
            every=frozenset(raw.get("every", ())),
        )

    def entity(self, row: dict[str, Any]) -> EntityRule:
        pattern = self.compiled(row["pattern"], row["name"])
        groups = tuple((g, g.rstrip("_0123456789")) for g in pattern.groupindex)
        for _, label in groups:
            if label not in self.raw["labels"]:
                raise ValueError(f"rule {row['name']}: group {label} is no label")
        score = float(row["score"])
        links = tuple(
            Link(link["label"], link["head"], link["tail"], float(link.get("score", score)))
            for link in row.get("links", ())
        )
        return EntityRule(row["name"], pattern, score, int(row.get("priority", 0)), links, groups)

    def relation(self, row: dict[str, Any]) -> Iterable[RelationRule]:
        patterns = row["pattern"] if isinstance(row["pattern"], list) else [row["pattern"]]
        for i, pattern in enumerate(patterns):
            name = f"{row['label']}-{i}"
            typed = _TYPED.sub(lambda m: rf"⟨(?:{m[1]})\d+\|[^⟩]*⟩", pattern)
            yield RelationRule(
                name,
                row["label"],
                self.compiled(typed, name),
                float(row["score"]),
                bool(row.get("modal", False)),
            )

    def gazetteer(self, row: dict[str, Any]) -> Gazetteer:
        names: dict[tuple[str, ...], str] = {}
        exact: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        ambiguous: set[tuple[str, ...]] = set()
        for line in self.files[row["file"]].splitlines():
            line = line.split("#")[0].strip()
            if not line:
                continue
            doubtful = line.startswith("?")
            forms = [form.strip() for form in line.lstrip("?").split("|")]
            for form in forms:
                words = tuple(form[start:end] for start, end in tokenize(form, self.language))
                key = tuple(folded(word) for word in words)
                names.setdefault(key, forms[0])
                exact.setdefault(key, set()).add(words)
                if doubtful or (len(words) == 1 and form.isupper() and len(form) < 5):
                    ambiguous.add(key)
        return Gazetteer(
            row["label"],
            float(row["score"]),
            names,
            frozenset(ambiguous),
            {key: frozenset(value) for key, value in exact.items()},
        )


def longest_names(
    words: Sequence[str], tokens: Sequence[Span], index: NameIndex
) -> list[tuple[int, int, Gazetteer, str]]:
    """``(first token, end token, gazetteer, canonical)`` of every longest name at its place."""
    found: list[tuple[int, int, Gazetteer, str]] = []
    keys = [folded(word) for word in words]
    i = 0
    while i < len(words):
        best: tuple[int, Gazetteer, str] | None = None
        if words[i][0].isupper() or words[i][0].isdigit():
            for length in index.lengths.get(keys[i], ()):
                key = tuple(keys[i : i + length])
                hit = index.names.get(key)
                if hit is None or len(key) < length:
                    continue
                gazetteer, canonical = hit
                spelt = tuple(words[i : i + length])
                if key in gazetteer.ambiguous and spelt not in gazetteer.exact[key]:
                    continue
                best = (length, gazetteer, canonical)
                break
        if best is None:
            i += 1
            continue
        found.append((i, i + best[0], best[1], best[2]))
        i += best[0]
    return found


@dataclass(frozen=True, slots=True)
class NameIndex:
    """All gazetteers by first word; the earlier gazetteer wins a name that stands in two."""

    names: Mapping[tuple[str, ...], tuple[Gazetteer, str]]
    lengths: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, gazetteers: Sequence[Gazetteer]) -> NameIndex:
        names: dict[tuple[str, ...], tuple[Gazetteer, str]] = {}
        lengths: dict[str, set[int]] = {}
        for gazetteer in gazetteers:
            for key, canonical in gazetteer.names.items():
                names.setdefault(key, (gazetteer, canonical))
                lengths.setdefault(key[0], set()).add(len(key))
        ordered = {word: tuple(sorted(found, reverse=True)) for word, found in lengths.items()}
        return cls(names, ordered)
