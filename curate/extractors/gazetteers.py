"""Names that are known beforehand: the lists that ship for a language, and those of the user.

A list is a text file, a name a line, variants behind ``|``, ``#`` for remarks; the file's name is
the kind of its names.  They are features, never verdicts: what a kind of name means for a label is
learned from gold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from curate.errors import ConfigurationError
from curate.extractors.rules import DATA, folded
from curate.tokenization import tokenize

OUTSIDE = "O"
Words = tuple[str, ...]
LONGEST = 12
"""Tokens of a name; longer ones are no names."""


class NameLists:
    """Names by their tokens, and the tags of a text's longest ones."""

    def __init__(self, kinds: Mapping[str, Iterable[str]], language: str) -> None:
        self.language = language
        self.kinds = {kind: sorted(set(names)) for kind, names in sorted(kinds.items())}

    def __bool__(self) -> bool:
        return any(self.kinds.values())

    def __len__(self) -> int:
        return sum(map(len, self.kinds.values()))

    @cached_property
    def _found(self) -> tuple[dict[Words, dict[Words, str]], dict[str, list[int]]]:
        """Folded tokens → spelling → kinds, and first token → lengths, longest first."""
        named: dict[Words, dict[Words, set[str]]] = {}
        lengths: dict[str, set[int]] = {}
        for kind, names in self.kinds.items():
            for name in names:
                words = tuple(name[a:b] for a, b in tokenize(name, self.language))
                if not 0 < len(words) <= LONGEST:
                    continue
                key = tuple(map(folded, words))
                lengths.setdefault(key[0], set()).add(len(key))
                # An acronym is a word unless it is written as one; other names bear any accents.
                spelling = words if len(name) < 5 and name.isupper() else ()
                named.setdefault(key, {}).setdefault(spelling, set()).add(kind)
        table = {
            key: {spelling: "+".join(sorted(kinds)) for spelling, kinds in found.items()}
            for key, found in named.items()
        }
        return table, {word: sorted(found, reverse=True) for word, found in lengths.items()}

    @cached_property
    def _small(self) -> frozenset[Words]:
        """Names that are written small: they are found in any case."""
        return frozenset(
            tuple(folded(name[a:b]) for a, b in tokenize(name, self.language))
            for names in self.kinds.values()
            for name in names
            if name[:1].islower()
        )

    def tags(self, words: Sequence[str]) -> list[str]:
        """BIO tags of the longest known names: ``B-`` and the kinds, joined by ``+``."""
        table, lengths = self._found
        tags = [OUTSIDE] * len(words)
        if not table:
            return tags
        keys = [folded(word) for word in words]
        i = 0
        while i < len(words):
            step = 1
            for length in lengths.get(keys[i], ()):
                key = tuple(keys[i : i + length])
                found = table.get(key)
                if found is None:
                    continue
                kinds = found.get(tuple(words[i : i + length])) or found.get(())
                if kinds is None:
                    continue
                first = words[i][0]
                if not (first.isupper() or first.isdigit() or key in self._small):
                    continue
                tags[i] = "B-" + kinds
                tags[i + 1 : i + length] = ["I-" + kinds] * (length - 1)
                step = length
                break
            i += step
        return tags


NO_NAMES = NameLists({}, "")


def read_lists(folder: Path) -> dict[str, list[str]]:
    """Kind → names of a folder's ``*.txt``; none where there is no such folder.

    Raises ConfigurationError for a file that is no UTF-8 text.
    """
    kinds: dict[str, list[str]] = {}
    if not folder.is_dir():
        return kinds
    for path in sorted(folder.glob("*.txt")):
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"is no UTF-8 text, a name a line ({type(error).__name__})", path=path
            ) from None
        names = [
            form.strip()
            for line in text.splitlines()
            for form in line.split("#")[0].split("|")
            if form.strip()
        ]
        if names:
            kinds[path.stem] = names
    return kinds


def shipped(language: str, root: Path = DATA) -> dict[str, list[str]]:
    """The lists that ship for a language; none for a language without."""
    return read_lists(root / language / "names")
