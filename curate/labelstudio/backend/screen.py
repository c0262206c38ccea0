"""What stands on an annotator's screen while they draw, and what may be answered to it.

Seen in Label Studio 1.23 with « Auto-Annotation » on, which asks at each region that is drawn:

- It sends all regions of the label that was drawn, the new one last; of other labels we know
  only what was saved some seconds ago.
- An answer that names a region which is not there, or holds one under an id that is there,
  leaves a screen that can no longer be submitted.
- A region drawn by hand in this session cannot be named at all: its relations are looked for
  under an id of a form that only loaded regions have.

So we name by its id only what is surely there and was loaded.  Anything else that a relation needs
is answered as a region of its own under a fresh id; where something stands in the same place with
the same label already, the two are one mention as soon as they are pulled.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from curate.labelstudio.backend.protocol import ShownTask
from curate.labelstudio.wire import RegionItem
from curate.model import Entity
from curate.schema import LabelSchema

Key = tuple[int, int, str]

_BY_HAND = "manual"


@dataclass(frozen=True, slots=True)
class Screen:
    """``seen``: surely there; ``marked``: what of it was drawn just now; ``remembered``: was there
    when last saved; ``related``: head and tail of the relations there.  All in offsets of the
    document.  ``names``: the ids that may be named, by key in offsets of the screen.
    """

    seen: tuple[Entity, ...]
    marked: tuple[Entity, ...]
    remembered: tuple[Entity, ...]
    related: frozenset[tuple[Key, Key]]
    names: Mapping[Key, str]


def screen_of(
    task: ShownTask,
    marked: Sequence[RegionItem],
    length: int,
    schema: LabelSchema,
    into: Callable[[Entity], Entity | None],
) -> Screen:
    """What the request tells of the screen; ``into`` gives an entity in offsets of the document."""
    found: dict[str, Entity] = {}
    names: dict[Key, str] = {}
    for region in (*task.regions.values(), *marked):
        there = Entity(region.value.start, region.value.end, region.value.labels[0])
        entity = None if schema.entity_misfit(there, length) else into(there)
        if entity is not None:
            found[region.id] = entity
    seen = {region.id: found[region.id] for region in marked if region.id in found}
    for region in marked:
        if region.id in seen and region.origin != _BY_HAND:
            names[(region.value.start, region.value.end, region.value.labels[0])] = region.id
    # what was saved under a label that is now told of, and is not told of, is gone
    told = {entity.label for entity in seen.values()}
    gone = {i for i, e in found.items() if i not in seen and e.label in told}
    there_still = {i: e for i, e in found.items() if i not in gone}
    fresh = [i for i in seen if i not in task.regions] or list(seen)[-1:]
    return Screen(
        tuple(seen.values()),
        tuple(seen[i] for i in fresh),
        tuple(e for i, e in there_still.items() if i not in seen),
        frozenset(
            (there_still[head].key, there_still[tail].key)
            for head, tail in task.links
            if head in there_still and tail in there_still
        ),
        names,
    )


def new_name() -> str:
    """A region id that is nowhere yet."""
    return f"c{secrets.token_hex(5)}"
