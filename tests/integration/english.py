"""A corpus in another language under another schema: nothing in curate may know French.

Texts are marked up as ``[LABEL words]``; a person followed by ``*N`` works for the N-th firm.
"""

from __future__ import annotations

import re
from typing import Any

SCHEMA = """\
name: firms
version: "1"
language: en
title: Firms and people
entities:
  - {name: PERSON, definition: "A person by name.", color: "#1f77b4", hotkey: p}
  - {name: FIRM, definition: "A company by name.", color: "#ff7f0e", hotkey: f}
  - {name: PLACE, definition: "A place by name.", color: "#2ca02c", hotkey: l}
relations:
  - {name: works_for, head: [PERSON], tail: [FIRM], definition: "The person is paid by the firm."}
"""

MARKED = (
    "[PERSON*1 Ada Brook] has left her desk at [FIRM Norrow Mills] for a barge on the "
    "[PLACE Aire]. The mill will not say who signs the wages now.",
    "Rain stopped the auction in [PLACE Otley] twice. [PERSON*1 Tom Garrick], who buys wool for "
    "[FIRM Pennant Cloth], bid once and went home.",
    "[FIRM Pennant Cloth] shut its [PLACE Leeds] warehouse on Friday. “We were told by text,” said "
    "[PERSON*1 Jean Abara], a packer at [FIRM Pennant Cloth] since 2009.",
    "The ferry to [PLACE Stornoway] is run by [FIRM Minch Lines]. Its skipper is "
    "[PERSON*1 Callum Roy]; he waves at nobody.",
    "[PERSON*1 Ruth Osei] speaks for [FIRM Norrow Mills]. She denied on Monday that the mill had "
    "been sold to [FIRM Pennant Cloth].",
    "In [PLACE Whitby] the smokehouse of [FIRM Fell & Daughter] burned all night. "
    "[PERSON*1 Nell Fell] counted eleven barrels saved.",
    "[PERSON Piet Vos] owns no boat and works for nobody, yet [FIRM Minch Lines] has paid his "
    "fines in [PLACE Oban] for years.",
    "Two clerks of [FIRM Harbour Trust] came to [PLACE Oban] with a ladder. "
    "[PERSON*1 Ida Quist], the younger, climbed it.",
    "At the [PLACE Leeds] hearing [PERSON*2 Tom Garrick] sat between the lawyers of "
    "[FIRM Norrow Mills] and his own employer, [FIRM Pennant Cloth].",
    "[FIRM Harbour Trust] has a new engineer in [PLACE Stornoway]: [PERSON*1 Mary Lind], late of "
    "the railways.",
    "Nobody at [FIRM Fell & Daughter] remembers hiring [PERSON*1 Sam Tull], but there he is, "
    "gutting herring in [PLACE Whitby].",
    "The bells of [PLACE Otley] rang for [PERSON Ada Brook] at noon.",
)

_MARK = re.compile(r"\[([A-Z]+)(?:\*(\d))? ([^\]]+)\]")


def records() -> list[dict[str, Any]]:
    """The corpus in the interchange form."""
    return [_record(f"en-{i:02}", marked) for i, marked in enumerate(MARKED, start=1)]


def _record(name: str, marked: str) -> dict[str, Any]:
    text, last = "", 0
    entities: list[dict[str, Any]] = []
    wanted: list[tuple[str, int]] = []
    for match in _MARK.finditer(marked):
        text += marked[last : match.start()]
        local = f"e{len(entities) + 1}"
        entities.append(
            {
                "id": local,
                "start": len(text),
                "end": len(text) + len(match.group(3)),
                "label": match.group(1),
            }
        )
        if match.group(2):
            wanted.append((local, int(match.group(2)) - 1))
        text += match.group(3)
        last = match.end()
    text += marked[last:]
    firms = [entity["id"] for entity in entities if entity["label"] == "FIRM"]
    return {
        "id": name,
        "text": text,
        "entities": entities,
        "relations": [
            {"head": person, "tail": firms[firm], "label": "works_for"} for person, firm in wanted
        ],
    }
