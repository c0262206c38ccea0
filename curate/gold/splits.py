"""Which document goes to train, dev or test; once said, it holds for every later version.

A split belongs to a near-duplicate group.  A new group is assigned by a salted hash of its name
(its smallest document id), so that neither the other documents nor their order matter; only in a
corpus so small that chance would leave a split nearly empty, the new groups with the highest
hashes are moved until each split has its share (see :data:`SMALL` and :data:`FLOOR`).  With
``by_date`` the oldest documents train and the newest test; the dates that part them are frozen too.

A new document whose group already stands on two sides would be a bridge between them: it is
quarantined, and its old neighbours stay where they are.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from curate.errors import DataError
from curate.gold.items import SPLITS

FLOOR = 5
"""Groups a split is brought up to, if its share is as many; beyond, the hash alone decides."""

SMALL = 100
"""A corpus of fewer groups is brought to its ratios: chance would serve it ill."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Member:
    """A document to be split: its id, its known near-duplicate group, its date (ISO 8601).

    ``near`` are the ids of its near duplicates, where they are known one by one: they tell which
    document of a group is the bridge.
    """

    id: str
    group: str | None = None
    date: str | None = None
    near: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document stands in a release."""

    group: str
    split: str


@dataclass(frozen=True)
class SplitRule:
    """How new groups are assigned.

    ``ratios`` are whole weights of train, dev and test.  ``boundaries`` are, of a split by date,
    the first date of dev and of test; None until a first build has set them.
    """

    salt: str = "curate"
    ratios: Mapping[str, int] = field(default_factory=lambda: {"train": 70, "dev": 15, "test": 15})
    by_date: bool = False
    boundaries: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        unknown = set(self.ratios) - set(SPLITS)
        if unknown:
            raise DataError(f"unknown split {sorted(unknown)[0]!r}; splits are {', '.join(SPLITS)}")
        values = list(self.ratios.values())
        if any(type(v) is not int or v < 0 for v in values) or not any(values):
            raise DataError("split ratios must be whole numbers from 0, not all 0")

    def as_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = {
            "method": "date" if self.by_date else "hash",
            "salt": self.salt,
            "ratios": {split: self.ratios.get(split, 0) for split in SPLITS},
        }
        if self.boundaries is not None:
            record["boundaries"] = list(self.boundaries)
        return record

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> SplitRule:
        """The rule a manifest records.  Raises DataError where it holds none."""
        try:
            bounds = value.get("boundaries")
            return cls(
                salt=str(value["salt"]),
                ratios=dict(value["ratios"]),
                by_date=value["method"] == "date",
                boundaries=None if bounds is None else (str(bounds[0]), str(bounds[1])),
            )
        except (KeyError, TypeError, IndexError):
            raise DataError("the manifest's splits are damaged") from None


@dataclass(frozen=True)
class SplitPlan:
    """The place of every document; those that would be a bridge, with the splits they touch."""

    places: Mapping[str, Place]
    quarantined: Mapping[str, tuple[str, ...]]
    rule: SplitRule

    def counts(self) -> dict[str, int]:
        """Documents per split."""
        found = Counter(place.split for place in self.places.values())
        return {split: found[split] for split in SPLITS}


def assign(members: Iterable[Member], frozen: Mapping[str, Place], rule: SplitRule) -> SplitPlan:
    """Place every member; ``frozen`` is where documents of earlier versions stand.

    Raises DataError where a split by date lacks dates.
    """
    by_group: dict[str, list[Member]] = defaultdict(list)
    for member in members:
        # A name of its own for a document without a known group; NUL is in no id.
        by_group[f"\0{member.id}" if member.group is None else member.group].append(member)
    places: dict[str, Place] = {}
    quarantined: dict[str, tuple[str, ...]] = {}
    fresh: dict[str, list[Member]] = {}
    for group in by_group.values():
        group.sort(key=lambda member: member.id)
        old = {m.id: frozen[m.id] for m in group if m.id in frozen}
        new = [m for m in group if m.id not in frozen]
        places.update(old)
        if not old:
            fresh[group[0].id] = new
            continue
        splits = sorted({place.split for place in old.values()}, key=SPLITS.index)
        if len(splits) == 1:
            name = min(place.group for place in old.values())
            places.update({m.id: Place(name, splits[0]) for m in new})
            continue
        for part in _parted(new, old):
            beside = sorted(
                {old[key].split for m in part for key in m.near if key in old}, key=SPLITS.index
            )
            if len(beside) > 1 or not any(m.near for m in part):
                quarantined.update({m.id: tuple(beside or splits) for m in part})
            elif beside:
                name = min(old[key].group for m in part for key in m.near if key in old)
                places.update({m.id: Place(name, beside[0]) for m in part})
            else:
                fresh[part[0].id] = part
    held: dict[str, set[str]] = {split: set() for split in SPLITS}
    for place in places.values():
        held[place.split].add(place.group)
    if rule.by_date:
        rule, chosen = _by_date(fresh, rule)
    else:
        chosen = _by_hash(fresh, {split: len(names) for split, names in held.items()}, rule)
    for name, split in chosen.items():
        places.update({m.id: Place(name, split) for m in fresh[name]})
    return SplitPlan(places, dict(sorted(quarantined.items())), rule)


def _parted(new: Sequence[Member], old: Mapping[str, Place]) -> list[list[Member]]:
    """The new members of a group that stands on two sides, parted into what hangs together.

    First those that are near duplicates of both sides, each alone: they are the bridge.  Without
    them the rest falls apart, or else hangs together across the sides and is a bridge as a whole.
    """
    bridges = [m for m in new if len({old[key].split for key in m.near if key in old}) > 1]
    rest = {m.id: m for m in new if m not in bridges}
    near: dict[str, set[str]] = defaultdict(set)
    for m in rest.values():
        for key in m.near:
            if key in rest:
                near[m.id].add(key)
                near[key].add(m.id)
    parts = [[m] for m in bridges]
    seen: set[str] = set()
    for start in rest:
        if start in seen:
            continue
        part, queue = [], [start]
        seen.add(start)
        while queue:
            key = queue.pop()
            part.append(rest[key])
            fresh = near[key] - seen
            seen |= fresh
            queue.extend(fresh)
        parts.append(sorted(part, key=lambda m: m.id))
    return parts


def share(salt: str, group: str) -> int:
    """A number in [0, 2⁶⁴) that salt and name of the group alone decide."""
    digest = hashlib.sha256(f"{salt}\0{group}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def _by_hash(
    fresh: Mapping[str, Sequence[Member]], held: Mapping[str, int], rule: SplitRule
) -> dict[str, str]:
    ratios = [rule.ratios.get(split, 0) for split in SPLITS]
    total = sum(ratios)
    numbers = {name: share(rule.salt, name) for name in fresh}
    chosen: dict[str, str] = {}
    for name, number in numbers.items():
        rest = number * total >> 64
        for split, ratio in zip(SPLITS, ratios, strict=True):
            if rest < ratio:
                chosen[name] = split
                break
            rest -= ratio
    counts = Counter(chosen.values())
    counts.update(held)
    everything = sum(counts.values())
    if everything < sum(ratio > 0 for ratio in ratios):
        return chosen
    most = everything if everything < SMALL else FLOOR
    floors = {
        split: min(max(1, everything * ratio // total), most) if ratio else 0
        for split, ratio in zip(SPLITS, ratios, strict=True)
    }
    # Rounded up, small shares may ask for more than there is: training gives way.
    floors["train"] = min(floors["train"], everything - floors["dev"] - floors["test"])
    high_first = sorted(fresh, key=lambda name: (-numbers[name], name))
    for wanted in reversed(SPLITS):
        for name in high_first:
            if counts[wanted] >= floors[wanted]:
                break
            donor = chosen[name]
            if donor != wanted and counts[donor] > floors[donor]:
                chosen[name] = wanted
                counts[donor] -= 1
                counts[wanted] += 1
    return chosen


def _by_date(
    fresh: Mapping[str, Sequence[Member]], rule: SplitRule
) -> tuple[SplitRule, dict[str, str]]:
    dates: dict[str, str] = {}
    for name, members in fresh.items():
        for member in members:
            if member.date is None or not _DATE.match(member.date):
                raise DataError(
                    f"document {member.id!r} has no date (YYYY-MM-DD in its metadata); "
                    "a split by date needs one for every document"
                )
        # A reprint is known from the day of the first of its group.
        dates[name] = min(member.date[:10] for member in members if member.date)
    bounds = rule.boundaries
    if bounds is None and fresh:
        bounds = _boundaries(dates, fresh, rule)
        rule = SplitRule(rule.salt, rule.ratios, True, bounds)
    chosen = {}
    for name, date in dates.items():
        assert bounds is not None
        chosen[name] = "test" if date >= bounds[1] else "dev" if date >= bounds[0] else "train"
    return rule, chosen


def _boundaries(
    dates: Mapping[str, str], fresh: Mapping[str, Sequence[Member]], rule: SplitRule
) -> tuple[str, str]:
    """The first dates of dev and test: the days on which the documents' share is reached."""
    total = sum(rule.ratios.values())
    days: Counter[str] = Counter()
    for name, date in dates.items():
        days[date] += len(fresh[name])
    everything = sum(days.values())
    if len(days) < len(SPLITS):
        raise DataError(
            f"the documents carry {len(days)} different dates; a split by date needs three or more"
        )
    ordered = sorted(days)
    wanted = [rule.ratios.get("train", 0), rule.ratios.get("train", 0) + rule.ratios.get("dev", 0)]
    bounds: list[int] = []
    seen = 0
    for i, day in enumerate(ordered):
        while len(bounds) < 2 and seen * total >= everything * wanted[len(bounds)]:
            bounds.append(i)
        seen += days[day]
    bounds += [len(ordered) - 1] * (2 - len(bounds))
    # Each split keeps at least a day.
    test = min(max(bounds[1], 2), len(ordered) - 1)
    dev = min(max(bounds[0], 1), test - 1)
    return ordered[dev], ordered[test]
