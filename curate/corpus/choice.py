"""Which blocks of a page are its article: what was extracted, mended by what the markup shows.

An extractor that looks for paragraphs misses titles, subheadings, list items, rows of tables and
short answers.  They stand where the paragraphs stand: so what lies between the article's first and
last paragraph, in the element that holds them all, is the article's, unless its tags, the names of
its elements or its links say otherwise.  The rules of cleaning then look at its words.
"""

from __future__ import annotations

import re

from curate.corpus.blocks import BLOCKS, FURNITURE, HEADINGS, Block, Kind, Page

_MOST = 0.5
_TEASER = 0.3
_NEAR = 4
_NAME_WORDS = 3
_SITE_WORDS = 6
_FOUND = 0.4
"""With less of the page's prose than this, what was extracted is not taken for the article."""
_CORE = 0.75
"""Of the paragraphs found, so much stands together: the others may be a notice or a footer."""
_NAMED = 0.3
"""An element named like furniture that holds more of the article than this is none."""
_META_WORDS = 25
_TAIL_WORDS = 15
_SENTENCE_WORDS = 6


def choose(page: Page, covered: list[int]) -> list[bool]:
    """Which blocks are the article; ``covered`` counts the characters extracted of each."""
    blocks = page.blocks
    chosen = [
        count > _MOST * len("".join(block.text.split()))
        for block, count in zip(blocks, covered, strict=True)
    ]
    if not _found(blocks, chosen):
        # Nothing was extracted worth the name.  The page's own prose and headings are taken.
        chosen = _by_markup(blocks, chosen)
    _leave_teasers(blocks, chosen)
    cards = _cards(blocks, chosen)
    furniture = [aside or i in cards for i, aside in enumerate(_furniture(blocks, chosen))]
    for i, aside in enumerate(furniture):
        chosen[i] = chosen[i] and not aside
    anchors = [i for i, block in enumerate(blocks) if chosen[i] and block.prose]
    if not anchors:
        anchors = [i for i, b in enumerate(blocks) if not furniture[i] and _is_sentence(b)]
    if not anchors:
        return chosen
    for i in anchors:
        chosen[i] = True
    anchors = _core(blocks, anchors)
    anchors = _siblings(blocks, chosen, furniture, anchors)
    low, high = anchors[0], anchors[-1]
    loose = _loose_cells(blocks, anchors)
    home = _common([blocks[i].path for i in anchors])
    title = _choose_title(page, chosen, furniture, low)
    top = next(i for i, taken in enumerate(chosen) if taken)
    for i, block in enumerate(blocks):
        if furniture[i]:
            continue
        inside = home <= {serial for serial, _ in block.path}
        if chosen[i]:
            # A box beside the text, or a name above its title, that was extracted with it.
            between = i <= high if title is None else title <= i <= high
            after = block.prose and i > high and not _headed(blocks, high, i)
            chosen[i] = inside or between or block.caption or after
            chosen[i] = chosen[i] and not (low < i < high and _is_link(block))
        elif block.caption:
            chosen[i] = inside or top < i < high
        elif low < i < high:
            chosen[i] = inside and not block.linking and i not in loose
        elif title is not None and title < i < low:
            chosen[i] = _leads(block, inside)
    _choose_tail(blocks, chosen, furniture, high, home)
    return chosen


def _headed(blocks: list[Block], high: int, i: int) -> bool:
    """Whether a heading or a link stands between the article's last paragraph and a later one."""
    return any(b.within(HEADINGS) for b in blocks[high + 1 : i])


def _is_link(block: Block) -> bool:
    """Whether a paragraph is nothing but a link and no sentence: "VIDÉO. Revivez le match"."""
    whole = 10 * block.linked >= 9 * len(block.text)
    plain = not (block.row or block.caption or block.within(HEADINGS | _LISTED))
    return whole and plain and not block.text.rstrip("»”\"') ").endswith((".", "!", "?", "…"))


_TITLES = frozenset({"h1"})
_LISTED = frozenset({"li", "dt", "dd"})


def _is_sentence(block: Block) -> bool:
    """Short prose: captions of a gallery, where a page has nothing longer."""
    return (
        len(block.text.split()) >= _SENTENCE_WORDS
        and block.text.rstrip("»”\"')\u00a0\u202f ").endswith((".", "!", "?", "…"))
        and not block.linking
        and not block.within(FURNITURE)
    )


def _found(blocks: list[Block], chosen: list[bool]) -> bool:
    """Whether what was extracted is most of the prose that stands outside of furniture."""
    taken = sum(len(b.text) for b, mine in zip(blocks, chosen, strict=True) if mine and b.prose)
    return taken > 0 and taken >= _FOUND * sum(len(b.text) for b in blocks if _own_prose(b))


def _own_prose(block: Block) -> bool:
    return block.prose and not block.within(FURNITURE) and not block.of_kind(Kind.FURNITURE)


def _by_markup(blocks: list[Block], chosen: list[bool]) -> list[bool]:
    """The prose and the headings of the innermost element that holds most of the page's prose."""
    sizes: dict[int, int] = {}
    total = 0
    for block in blocks:
        if _own_prose(block):
            total += len(block.text)
            for serial, _ in block.path:
                sizes[serial] = sizes.get(serial, 0) + len(block.text)
    # Serial numbers grow inwards, so the largest is the innermost.
    home = max((serial for serial, size in sizes.items() if 5 * size >= 3 * total), default=0)
    return [
        (taken and not block.prose)
        or (
            (_own_prose(block) or (block.within(HEADINGS) and not block.within(FURNITURE)))
            and (not home or any(serial == home for serial, _ in block.path))
        )
        for block, taken in zip(blocks, chosen, strict=True)
    ]


def _furniture(blocks: list[Block], chosen: list[bool]) -> list[bool]:
    """Which blocks stand in a <nav>, <aside>, <form>, … or in an element named so, that does not
    hold most of the article: some sites put the whole page into one."""
    held: dict[int, int] = {}
    total = 0
    for block, taken in zip(blocks, chosen, strict=True):
        if taken:
            total += len(block.text)
            for serial, _ in block.path:
                held[serial] = held.get(serial, 0) + len(block.text)
    low = next((i for i, b in enumerate(blocks) if chosen[i] and b.prose), len(blocks))

    def aside(i: int, block: Block) -> bool:
        if any(tag in FURNITURE and 2 * held.get(s, 0) <= total for s, tag in block.path):
            return True
        for serial, kind in block.kinds:
            if kind is Kind.LEAD or held.get(serial, 0) > _NAMED * total:
                continue
            if kind is not Kind.META:
                return True
            if i < low and not block.within(HEADINGS) and _is_meta(block):
                return True
        return False

    return [aside(i, block) for i, block in enumerate(blocks)]


def _is_meta(block: Block) -> bool:
    """Whether a block above the article, named so, may say who wrote it and when."""
    return not block.prose and len(block.text.split()) <= _META_WORDS


def _core(blocks: list[Block], anchors: list[int]) -> list[int]:
    """The paragraphs in the innermost element that holds most of what the anchors say."""
    sizes: dict[int, int] = {}
    total = 0
    for i in anchors:
        total += len(blocks[i].text)
        for serial, _ in blocks[i].path[:-1]:
            sizes[serial] = sizes.get(serial, 0) + len(blocks[i].text)
    # Serial numbers grow inwards, so the largest is the innermost.
    main = max((serial for serial, size in sizes.items() if size >= _CORE * total), default=0)
    core = [i for i in anchors if any(serial == main for serial, _ in blocks[i].path)]
    return core or anchors


def _siblings(
    blocks: list[Block], chosen: list[bool], furniture: list[bool], anchors: list[int]
) -> list[int]:
    """The anchors, and the prose that stands beside them in the same element: taken, too."""
    parents = {blocks[i].parent for i in anchors}
    for i, block in enumerate(blocks):
        if not chosen[i] and not furniture[i] and block.directly_in(parents) and block.prose:
            chosen[i] = True
    prose = [i for i, block in enumerate(blocks) if chosen[i] and block.prose]
    # Where the core's element holds the title, too, what stands under a later heading is not its.
    inner = max(_common([blocks[i].path for i in anchors]), default=0)
    titled = any(
        b.within(_TITLES) and any(serial == inner for serial, _ in b.path)
        for b in blocks[: anchors[0]]
    )
    last = anchors[-1]
    return [i for i in prose if i <= last or not (titled and _headed(blocks, last, i))] or anchors


def _loose_cells(blocks: list[Block], anchors: list[int]) -> set[int]:
    """Blocks in tables that hold no paragraph of the article, and are no rows of data."""
    holding = {serial for i in anchors for serial, tag in blocks[i].path if tag == "table"}
    return {
        i
        for i, block in enumerate(blocks)
        if not block.row
        and any(tag == "table" and serial not in holding for serial, tag in block.path)
    }


def _leads(block: Block, inside: bool) -> bool:
    """Whether a block between the title and the first paragraph belongs to the article."""
    words = len(block.text.split())
    if block.linking or words < 2:
        return False
    return block.of_kind(Kind.LEAD) or block.prose or (inside and words > _NAME_WORDS)


def _choose_tail(
    blocks: list[Block], chosen: list[bool], furniture: list[bool], high: int, home: set[int]
) -> None:
    """Take the signature and the last short lines, up to the first thing that is not text."""
    parents = {blocks[i].parent for i in range(high + 1) if chosen[i] and blocks[i].prose}
    for i in range(high + 1, len(blocks)):
        block = blocks[i]
        near = home <= {serial for serial, _ in block.path} and block.directly_in(parents)
        if furniture[i] or not near or block.linking or block.within(HEADINGS):
            return
        if len(block.text.split()) <= _TAIL_WORDS or block.row:
            chosen[i] = True


def _choose_title(page: Page, chosen: list[bool], furniture: list[bool], low: int) -> int | None:
    """Take the nearest heading of the highest level above the first paragraph; where there is
    none, the line that the page's <title> repeats.  Its position.

    Old sites give their own name the first level: a name of up to three words yields to a heading
    of the second that stands right above the article.
    """
    blocks = page.blocks
    for level in ("h1", "h2", "h3"):
        only = frozenset({level})
        found = [i for i in range(low) if blocks[i].within(only) and not furniture[i]]
        if not found:
            continue
        near = low - found[-1] <= _NEAR
        if level == "h1" and len(blocks[found[-1]].text.split()) <= _SITE_WORDS:
            second = _second_title(page, furniture, low, near, found[-1])
            if second is not None:
                chosen[found[-1]] = False
                chosen[second] = True
                return second
        if not any(chosen[i] for i in found) and (level == "h1" or near):
            chosen[found[-1]] = True
        if level == "h1" or near:
            return max((i for i in found if chosen[i]), default=None)
        break
    return _named_title(page, chosen, furniture, low)


def _second_title(
    page: Page, furniture: list[bool], low: int, near: bool, first: int
) -> int | None:
    """A heading right above the article where the first level is the site's name: farther away,
    or not the one that the page's <title> repeats.  A name of more than three words must stand in
    the <title>, too, beside the heading."""
    title = _key(page.title)
    name = _key(page.blocks[first].text)
    short = len(page.blocks[first].text.split()) <= _NAME_WORDS
    for i in range(low - 1, max(first, low - 1 - _NEAR) if short else first, -1):
        block = page.blocks[i]
        if furniture[i] or len(block.text.split()) <= _NAME_WORDS:
            continue
        own = _key(block.text)
        repeated = block.within(_LOWER) and own in title
        if not short:
            repeated = repeated and len(own) > len(name) and name in title.replace(own, " ")
        if repeated or (short and not near and block.within(frozenset({"h2"}))):
            # A thread repeats its title above the first post: the upper one is the page's.
            floor = max(first, low - 1 - _NEAR) if short else first
            same = (j for j in range(floor + 1, i) if _key(page.blocks[j].text) == own)
            return next((j for j in same if not furniture[j]), i)
    return None


_LOWER = frozenset({"h2", "h3", "h4"})


def _named_title(page: Page, chosen: list[bool], furniture: list[bool], low: int) -> int | None:
    """The last line above the first paragraph that the <title> repeats, or that stands out."""
    title = _key(page.title)
    lines = [
        i
        for i in range(low - 1, -1, -1)
        if not furniture[i]
        and not page.blocks[i].linking
        and len(page.blocks[i].text.split()) > _NAME_WORDS
    ]
    near = [i for i in lines if low - i <= _NEAR]
    named = [i for i in lines if _key(page.blocks[i].text) in title]
    loud = [i for i in near if page.blocks[i].within(_LOUD)]
    # A name of four words may be the site's.
    sure = [i for i in near if i in named and len(page.blocks[i].text.split()) > _NAME_WORDS + 1]
    heads = [i for i in lines if page.blocks[i].within(HEADINGS)]
    for candidates in (sure, loud, named, heads if len(heads) == 1 else []):
        if candidates:
            chosen[candidates[0]] = True
            return candidates[0]
    return None


_LOUD = frozenset({"b", "strong", "big", "font", "h2", "h3", "h4", "h5"})


def _key(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _leave_teasers(blocks: list[Block], chosen: list[bool]) -> None:
    """Drop small <article>s beside a large one, or beside a text that is in none.

    Where none is large, they are the posts of a live page, and the article together.
    """
    sizes: dict[int, int] = {}
    for i, block in enumerate(blocks):
        if chosen[i]:
            owner = _owner(block)
            sizes[owner] = sizes.get(owner, 0) + len(block.text)
    total = sum(sizes.values())
    if 2 * max(sizes.values(), default=0) < total:
        return
    for i, block in enumerate(blocks):
        owner = _owner(block)
        if chosen[i] and owner and sizes[owner] < _TEASER * total:
            chosen[i] = False


def _cards(blocks: list[Block], chosen: list[bool]) -> set[int]:
    """The blocks of cards: small boxes between the paragraphs, headed by a heading that is a link.

    Where they are much of the text, they are the entries of a live page."""
    prose = [i for i, block in enumerate(blocks) if chosen[i] and block.prose]
    links = [
        i
        for i, block in enumerate(blocks)
        if block.within(HEADINGS) and block.linking and prose and prose[0] < i < prose[-1]
    ]
    if not links:
        return set()
    held: dict[int, list[int]] = {}
    for i, block in enumerate(blocks):
        for serial, tag in block.path:
            if tag in _BOXES:
                held.setdefault(serial, []).append(i)
    cards: set[int] = set()
    for i in links:
        boxes = [held[s] for s, tag in reversed(blocks[i].path) if tag in _BOXES]
        box = next((members for members in boxes if len(members) > 1), [])
        small = len(box) <= _CARD_BLOCKS and sum(len(blocks[j].text) for j in box) <= _CARD_LENGTH
        if small and box[0] > prose[0] and box[-1] < prose[-1]:
            cards.update(box)
    taken = sum(len(b.text) for b, mine in zip(blocks, chosen, strict=True) if mine)
    few = sum(len(blocks[i].text) for i in cards) <= _TEASER * taken
    return cards if few else set()


_BOXES = frozenset({"div", "li", "section", "article", "td", "dd"})
_CARD_BLOCKS = 4
_CARD_LENGTH = 400


def _owner(block: Block) -> int:
    """The outermost <article> around a block; 0 where there is none."""
    return next((serial for serial, tag in block.path if tag == "article"), 0)


def _common(paths: list[tuple[tuple[int, str], ...]]) -> set[int]:
    """The elements that hold all of these paths' parents."""
    parents = [_container(path) for path in paths]
    common = set(parents[0])
    for parent in parents[1:]:
        common &= parent
    return common


def _container(path: tuple[tuple[int, str], ...]) -> set[int]:
    """The elements around the innermost block element of a path."""
    inner = max((i for i, (_, tag) in enumerate(path) if tag in BLOCKS), default=0)
    if path and path[inner][1] in ("body", "html", "td", "div", "section", "article", "main"):
        inner += 1  # text that stands in a container itself
    return {serial for serial, _ in path[:inner]}
