"""How far a training is, and how long it will still take: steps by the share that they cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

ENTITIES, RELATIONS = "entities", "relations"
SCORES = "scores"
_TUNED = {ENTITIES: 40, RELATIONS: 50}


def planned(
    *, dev: bool, few: bool, relations: bool, clusters: bool, tuned: Sequence[tuple[str, int]] = ()
) -> list[tuple[str, int]]:
    """The steps of a training in their order, with what each costs beside the others (measured on
    the sample's release).

    ``few``: so little gold that calibration without ``dev`` takes five models.  ``tuned``: part and
    number of tries.
    """
    steps = [(f"tuning {part}", _TUNED[part]) for part, tries in tuned for _ in range(tries)]
    steps += [("word clusters", 4)] if clusters else []
    steps += [] if dev else [("calibration", 120 if few else 30)]
    steps += [("entities, level 1", 25), ("entities, level 2", 5)]
    steps += [("calibration", 10)] if dev else []
    steps += [("relations, thresholds", 45), ("relations", 8)] if relations else []
    return [*steps, (SCORES, 6)]


class Steps:
    """Called with the name of each step as it begins; says it with the time that is left."""

    def __init__(
        self,
        plan: Sequence[tuple[str, int]],
        say: Callable[[str], None],
        advance: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ahead, self._say, self._advance, self._clock = list(plan), say, advance, clock
        self._under_way = self._worked = 0
        self._began: float | None = None  # with the first step: what is loaded before costs once

    def __call__(self, what: str) -> None:
        if self._began is None:
            self._began = self._clock()
        self._worked += self._under_way
        self._advance(self._under_way)
        key = what.partition(":")[0]
        names = [name for name, _ in self._ahead]
        self._under_way = 0
        if key in names:
            at = names.index(key)
            # what was planned before it did not come: no time went there
            self._advance(sum(share for _, share in self._ahead[:at]))
            self._under_way = self._ahead[at][1]
            self._ahead = self._ahead[at + 1 :]
        self._say(f"  {what}{self._left()}")

    def _left(self) -> str:
        if not self._worked or self._began is None:
            return ""
        to_come = self._under_way + sum(share for _, share in self._ahead)
        seconds = (self._clock() - self._began) / self._worked * to_come
        if seconds < 1:
            return ""
        return "; about " + (
            f"{seconds:.0f} s left" if seconds < 90 else f"{seconds / 60:.0f} min left"
        )
