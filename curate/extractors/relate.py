"""Relations between mentions by patterns over sentences in which mentions stand as their types.

A sentence becomes ``Le ⟨ROLE3|colonel⟩ ⟨PER4|idris tahar⟩ commande la ⟨MIL5|17e brigade⟩``; a
pattern's groups ``head`` and ``tail`` each name one mention.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from curate.extractors.mentions import Bond, Found, Mention
from curate.extractors.rules import Rulebook
from curate.tokenization import sentences

_NUMBER = re.compile(r"⟨[A-Z_]+(\d+)\|")
_BEFORE = 20
"""How far before the head a veto word is looked for, in characters."""


def find_relations(
    text: str, found: Found, book: Rulebook, allowed: Callable[[str, str, str], bool]
) -> list[Bond]:
    """The relations of the text's mentions that ``allowed(label, head, tail)`` lets pass.

    A relation between two names is stated once, at its first place, but for the types that the
    rulebook says are stated every time.
    """
    bonds = [b for b in found.bonds if _alive(b, found)]
    for sentence in _typed_sentences(text, found):
        bonds += _in_sentence(sentence, found.outer, book)
    bonds += _same_names(text, found, book)
    return _once(text, [b for b in bonds if allowed(b.label, b.head[2], b.tail[2])], book)


def _alive(bond: Bond, found: Found) -> bool:
    keys = {mention.key for mention in found.all}
    return bond.head in keys and bond.tail in keys


def _typed_sentences(text: str, found: Found) -> Iterator[str]:
    mentions = found.outer
    at = 0
    for first, last in sentences(text, found.tokens):
        start, end = found.tokens[first][0], found.tokens[last - 1][1]
        while at < len(mentions) and mentions[at].end <= start:
            at += 1
        pieces: list[str] = []
        position = start
        here = at
        while here < len(mentions) and mentions[here].start < end:
            mention = mentions[here]
            if mention.start >= position:
                pieces.append(_plain(text[position : mention.start]))
                words = _plain(text[mention.start : mention.end]).lower()
                pieces.append(f"⟨{mention.label}{here}|{words}⟩")
                position = mention.end
            here += 1
        if here - at >= 2:
            pieces.append(_plain(text[position:end]))
            yield "".join(pieces)


def _plain(text: str) -> str:
    """Brackets of ours replaced, all white space made one space."""
    return re.sub(r"\s+", " ", text.replace("⟨", "(").replace("⟩", ")"))


def _in_sentence(sentence: str, mentions: Sequence[Mention], book: Rulebook) -> list[Bond]:
    bonds: list[Bond] = []
    for rule in book.relations:
        position = 0
        while True:
            match = rule.pattern.search(sentence, position)
            if match is None:
                break
            # Search again from behind the first argument: patterns may overlap.
            position = min(match.end("head"), match.end("tail"))
            if book.veto is not None and not rule.modal:
                low = max(0, match.start() - _BEFORE)
                if book.veto.search(re.sub(r"\|[^⟩]*⟩", "⟩", sentence[low : match.end()])):
                    continue
            head = mentions[_number(match["head"])]
            tail = mentions[_number(match["tail"])]
            score = rule.score * min(1.0, (head.score + tail.score) / 1.8)
            bonds.append(Bond(rule.label, head.key, tail.key, round(score, 4)))
    return bonds


def _number(group: str) -> int:
    match = _NUMBER.match(group)
    assert match is not None
    return int(match[1])


def _same_names(text: str, found: Found, book: Rulebook) -> list[Bond]:
    """Each new name of a thing, linked to the nearest mention before it of another name."""
    if not book.same_as:
        return []
    seen: dict[str, list[tuple[str, Mention]]] = {}
    bonds: list[Bond] = []
    for mention in sorted(found.all, key=lambda m: (m.start, -m.end)):
        name = _name(text, mention)
        for thing in _things(text, mention, seen, book):
            earlier = seen.setdefault(thing, [])
            if earlier and all(other != name for other, _ in earlier):
                other = earlier[-1][1]
                if not (other.start <= mention.start < other.end):
                    score = round(0.9 * min(mention.score, other.score), 4)
                    bonds.append(Bond(book.same_as, mention.key, other.key, score))
            earlier.append((name, mention))
    return bonds


def _name(text: str, mention: Mention) -> str:
    """The name as written; case makes no other name, accents do."""
    return " ".join(text[mention.start : mention.end].replace("’", "'").casefold().split())


def _things(
    text: str, mention: Mention, seen: dict[str, list[tuple[str, Mention]]], book: Rulebook
) -> list[str]:
    """What the mention may be a name of: its gazetteer's entry, or a person by the last name."""
    if mention.canonical is not None:
        return [f"{mention.label}\0{mention.canonical}"]
    if book.repeats.get(mention.label) == "parts":
        words = text[mention.start : mention.end].split()
        last = words[-1]
        for particle in sorted(book.particles, key=len, reverse=True):
            if last.lower().startswith(particle + "-"):
                last = last[len(particle) + 1 :]
        full = f"{mention.label}\0{last.casefold()}"
        names = [name for name, _ in seen.get(full, ())]
        mine = _name(text, mention)
        # Two full names with one family name are two people.
        if any(_compatible(mine, name) for name in names) or not names:
            return [full]
    return []


def _compatible(one: str, other: str) -> bool:
    short, long = sorted((one.split(), other.split()), key=len)
    return set(short) <= set(long) or len(short) == 1


def _once(text: str, bonds: Sequence[Bond], book: Rulebook) -> list[Bond]:
    kept: dict[tuple[object, ...], Bond] = {}
    pairs: dict[tuple[object, ...], str] = {}
    ordered = sorted(bonds, key=lambda b: (min(b.head, b.tail), max(b.head, b.tail), -b.score))
    for bond in ordered:
        names = (text[slice(*bond.head[:2])].casefold(), text[slice(*bond.tail[:2])].casefold())
        if bond.label in book.every:
            key: tuple[object, ...] = (bond.label, bond.head, bond.tail)
        elif bond.label == book.same_as:
            key = (bond.label, frozenset(names))
        else:
            key = (bond.label, *names, bond.head[2], bond.tail[2])
        if bond.label != book.same_as:
            # One statement between two mentions: the surest type has it.
            pair = (bond.head, bond.tail)
            if pairs.setdefault(pair, bond.label) != bond.label:
                continue
        kept.setdefault(key, bond)
    return list(kept.values())
