"""The learning curve of a gold set: models trained on growing shares of train, each one kept."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import DataError, UsageError
from curate.extractors.train import NO_AIDS, Aids, TrainSettings, learn, predict, recipe
from curate.flows.looks import note_looks
from curate.flows.train import checked_splits, mentions, versions
from curate.model import Source, digest_of
from curate.reports.pages import write_bytes
from curate.schema import LabelSchema
from curate.scoring.learning_curve import (
    Curve,
    Point,
    curves,
    fold_of,
    nested,
    shuffled,
    sizes_of,
)
from curate.scoring.next_labels import Advice, advise

if TYPE_CHECKING:
    from curate.flows.reporter import Reporter
    from curate.gold.items import GoldDocument
    from curate.gold.opening import GoldSet
    from curate.scoring import Tally

SHARES = (0.1, 0.2, 0.35, 0.6, 1.0)
REPEATS = 5
MORE = 100
FOLDS = 5
ENOUGH_DOCUMENTS = 20
ENOUGH_ENTITIES = 200
"""A dev split of less is too small to score on; train is parted instead."""
ON = ("auto", "dev", "cross", "test")


@dataclass(frozen=True)
class CurveOptions:
    """``shares`` of train, how many ``repeats``, the first ``seed``, scored ``on`` what, and the
    documents to come, ``more`` (None: 100, or a doubling where there are fewer)."""

    shares: tuple[float, ...] = SHARES
    repeats: int = REPEATS
    seed: int = 0
    on: str = "auto"
    more: int | None = None
    draws: int = 1000

    def check(self) -> None:
        """Raises UsageError for what cannot be."""
        if self.on not in ON:
            raise UsageError(f"--on is {self.on!r}; it must be one of {', '.join(ON)}")
        wrong = [share for share in self.shares if not 0 < share <= 1]
        if wrong or not self.shares:
            raise UsageError("--shares are numbers above 0 and at most 1, such as 0.1,0.3,1")


@dataclass(frozen=True)
class Row:
    """One trained model: what it learned from and what it came to."""

    step: int
    repeat: int
    documents: int
    entities: float | None
    relations: float | None
    kept: bool

    def as_dict(self) -> dict[str, Any]:
        return {
            "documents": self.documents,
            "repeat": self.repeat,
            "entities": self.entities,
            "relations": self.relations,
            "kept": self.kept,
        }


@dataclass(frozen=True)
class LearningCurve:
    """The points, the curves through them, and what to annotate next."""

    gold: GoldSet
    on: str
    train: int
    scored: int
    options: CurveOptions
    rows: tuple[Row, ...]
    curves: tuple[Curve, ...]
    advice: tuple[Advice, ...]
    notes: tuple[str, ...]
    model: str = ""
    """What was trained at each point."""

    @property
    def main(self) -> tuple[Curve, ...]:
        """The curves of the parts: of entities, of relations where there are any."""
        return tuple(curve for curve in self.curves if curve.label is None)

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(curve.sentence for curve in self.main)

    def as_dict(self) -> dict[str, Any]:
        return {
            "gold": {"name": self.gold.name, "digest": self.gold.digest},
            "model": self.model,
            "on": self.on,
            "train": self.train,
            "scored": self.scored,
            "shares": list(self.options.shares),
            "repeats": self.options.repeats,
            "seed": self.options.seed,
            "sentences": list(self.sentences),
            "points": [row.as_dict() for row in self.rows],
            "curves": [curve.as_json() for curve in self.curves],
            "advice": [one.as_json() for one in self.advice],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class _Job:
    step: int
    repeat: int
    train: tuple[GoldDocument, ...]
    scored: tuple[GoldDocument, ...]


def train_curve(
    gold: GoldSet,
    schema: LabelSchema,
    models: Path,
    cache: Path,
    reporter: Reporter,
    options: CurveOptions | None = None,
    *,
    settings: TrainSettings | None = None,
    raw: Sequence[str] = (),
    aids: Aids = NO_AIDS,
) -> LearningCurve:
    """Train on growing shares of ``gold``'s train split, score each model, fit the curve.

    Every point is kept in ``cache`` under what it was made from: run again after an interruption,
    or with more repetitions, only the missing ones are trained.  ``raw`` are texts without gold,
    ``aids`` what the entity model may lean on.  Raises UsageError for options that cannot be,
    DataError for gold that does not fit.
    """
    options = options or CurveOptions()
    options.check()
    chosen = replace(settings or TrainSettings(), seed=options.seed)
    splits = checked_splits(gold, schema)
    aids.check(splits["train"])
    on = _where(options.on, splits)
    jobs, notes = _plan(splits, on, options)
    held = {g.document.digest for split in ("dev", "test") for g in splits[split]}
    # Texts come before their annotations: small shares, too, have all of them to learn words from.
    known = {*raw, *(g.document.text for g in splits["train"])}
    texts = sorted(text for text in known if digest_of(text) not in held)
    reporter.step(
        f"learning curve of {gold.name}: {len(jobs)} models on up to "
        f"{max(len(job.train) for job in jobs)} documents, scored on "
        + (f"the {on} split" if on != "cross" else "held-out parts of train")
    )
    rows, points, looks = [], [], 0
    for job, key, tally, kept in _trained(jobs, schema, chosen, texts, aids, cache, reporter):
        points.append(Point(job.step, job.repeat, len(job.train), tally))
        rows.append(_row(job, tally, kept))
        if on == "test":
            looks = note_looks(models, gold, "train-curve", [key])
    if on == "test":
        notes.append(f"looks at that test split so far: {looks}")
    train = len(splits["train"])
    more = options.more or min(MORE, train)
    found = curves(points, train, more, draws=options.draws)
    advice = advise(
        found,
        {"entities": schema.entity_labels, "relations": schema.relation_labels},
        mentions(splits["train"]),
    )
    if more > train:
        notes.append(
            f"+{more} documents is more than a doubling of {train}: a guess far from the points"
        )
    return LearningCurve(
        gold=gold,
        on=on,
        train=train,
        scored=len({g.id for job in jobs for g in job.scored}),
        options=options,
        rows=tuple(rows),
        curves=tuple(found),
        advice=tuple(advice),
        notes=tuple(notes),
        model=chosen.extractor,
    )


def _where(on: str, splits: Mapping[str, Sequence[GoldDocument]]) -> str:
    """What is scored: asked for, or dev where it is large enough, else parts of train in turn."""
    if on == "auto":
        dev = splits["dev"]
        entities = sum(len(g.annotation.entities) for g in dev)
        return "dev" if len(dev) >= ENOUGH_DOCUMENTS and entities >= ENOUGH_ENTITIES else "cross"
    if on in ("dev", "test") and not splits[on]:
        raise DataError(f"there is no {on} split to score on; leave --on out")
    return on


def _plan(
    splits: Mapping[str, Sequence[GoldDocument]], on: str, options: CurveOptions
) -> tuple[list[_Job], list[str]]:
    """The models to train, small ones first, so that a broken-off run says something soon."""
    notes = []
    train = {g.id: g for g in splits["train"]}
    groups = {key: g.group for key, g in train.items()}
    whole = len({group or f"\0{key}" for key, group in groups.items()})
    if whole < 2:
        raise DataError(
            f"the train split holds {whole} document or near-duplicate group; a curve needs "
            "several: annotate more, then run `curate gold build`"
        )
    parts = []
    for repeat in range(options.repeats):
        if on == "cross":
            rest, held = fold_of(groups, min(FOLDS, whole), options.seed, repeat)
            scored = tuple(train[key] for key in held)
        else:
            rest, scored = sorted(train), tuple(sorted(splits[on], key=lambda g: g.id))
        parts.append((rest, scored))
    smallest = min(len(rest) for rest, _ in parts)
    sizes = sizes_of(smallest, options.shares)
    if on == "cross":
        notes.append(
            f"each repetition holds out a {_ordinal(min(FOLDS, whole))} of train by near-duplicate "
            f"group, so that the curve ends at {sizes[-1]} of {len(train)} documents"
        )
    jobs = []
    for repeat, (rest, scored) in enumerate(parts):
        order = shuffled({key: groups[key] for key in rest}, options.seed + 1, repeat)
        for step, ids in enumerate(nested(order, sizes)):
            jobs.append(_Job(step, repeat, tuple(train[key] for key in ids), scored))
    return sorted(jobs, key=lambda job: (job.step, job.repeat)), notes


def _ordinal(number: int) -> str:
    return {2: "half", 3: "third", 4: "fourth", 5: "fifth"}[number]


def _trained(
    jobs: Sequence[_Job],
    schema: LabelSchema,
    settings: TrainSettings,
    raw: Sequence[str],
    aids: Aids,
    cache: Path,
    reporter: Reporter,
) -> Iterator[tuple[_Job, str, Tally, bool]]:
    """Each job with its counts, from the cache where it was done before."""
    from curate.scoring.saved import dump_counts, read_counts

    keys = [
        recipe(
            {"train": job.train, "scored": job.scored}, schema, _seeded(settings, job), raw, v, aids
        )
        for v in [versions()]
        for job in jobs
    ]
    known: dict[str, Tally] = {}
    for key in dict.fromkeys(keys):
        try:
            known[key] = read_counts(cache / f"{key}.jsonl")
        except (DataError, OSError):
            continue  # absent, or cut short: it is trained again
    missing = [job for job, key in zip(jobs, keys, strict=True) if key not in known]
    left = sum(map(_cost, missing))
    if known:
        reporter.step(f"{len(jobs) - len(missing)} of {len(jobs)} models were trained before")
    done, began = 0, time.monotonic()
    with reporter.progress("train-curve", left) as advance:
        for number, (job, key) in enumerate(zip(jobs, keys, strict=True), 1):
            if key in known:
                yield job, key, known[key], True
                continue
            tally = _tally_of(job, schema, _seeded(settings, job), raw, aids)
            write_bytes(cache / f"{key}.jsonl", dump_counts(tally))
            known[key] = tally
            advance(_cost(job))
            done += _cost(job)
            rest = (time.monotonic() - began) / done * (left - done)
            row = _row(job, tally, False)
            reporter.step(
                f"  {number} of {len(jobs)}: {len(job.train)} documents, entities "
                f"{_points(row.entities)}, relations {_points(row.relations)}; {_left(rest)} left"
            )
            yield job, key, tally, False


def _cost(job: _Job) -> int:
    """About how long a job takes, in documents learned from: for the time left."""
    return len(job.train) + len(job.scored) // 4 + 4


def _seeded(settings: TrainSettings, job: _Job) -> TrainSettings:
    return replace(settings, seed=settings.seed + job.repeat)


def _tally_of(
    job: _Job, schema: LabelSchema, settings: TrainSettings, raw: Sequence[str], aids: Aids
) -> Tally:
    from curate.scoring import tally

    held = {g.document.digest for g in job.scored}
    texts = [text for text in raw if digest_of(text) not in held]
    with tempfile.TemporaryDirectory(prefix="curate-train-") as work:
        done = learn(
            job.train, (), schema, settings, raw=texts, work=Path(work), calibrate=False, aids=aids
        )
        source = Source.model("curve")
        said = {
            a.document_id: a for a in predict(done.nlp, [g.document for g in job.scored], source)
        }
    return tally([(g.annotation, said[g.id]) for g in job.scored], schema=schema)


def _row(job: _Job, tally: Tally, kept: bool) -> Row:
    from curate.scoring import scores_of

    scores = scores_of(tally, draws=0)
    return Row(
        job.step,
        job.repeat,
        len(job.train),
        scores.entities.measures["strict"].f1,
        scores.relations.measures["boundaries"].f1,
        kept,
    )


def _points(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.1f}"


def _left(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def write_report(result: LearningCurve, folder: Path) -> list[Path]:
    """Write curve.json, curve.png, curve.svg and report.html; their paths."""
    import json

    from curate.reports.pages import write_page
    from curate.reports.train_curve import draw, render

    text = json.dumps(result.as_dict(), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    paths = [folder / name for name in ("curve.json", "curve.png", "curve.svg", "report.html")]
    png, svg = (draw(result.main, result.on, form) for form in ("png", "svg"))
    write_bytes(paths[0], text.encode("utf-8"))
    write_bytes(paths[1], png)
    write_bytes(paths[2], svg)
    write_page(paths[3], render(result.as_dict(), result.curves, result.advice))
    return paths
