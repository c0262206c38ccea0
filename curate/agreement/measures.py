"""How far annotators agree, on entities and on relations, with intervals over documents.

F1 of two annotators is the same whichever is called gold; with more, it is the mean over the
pairs.  What is undefined is None, and ``undefined`` says why.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np

from curate.agreement.units import (
    WORD,
    Coefficient,
    Extent,
    Unit,
    Units,
    alpha,
    alpha_columns,
    categorise,
    cohen,
    cohen_columns,
    fleiss,
    fleiss_columns,
    name_sets,
)
from curate.agreement.values import Agreement, LabelAgreement, PairAgreement, Stages, Value
from curate.errors import DataError
from curate.model import Annotation
from curate.schema import LabelSchema
from curate.scoring.columns import Collector, Floats, Side, with_names
from curate.scoring.resampling import DRAWS, SEED, f1_of_sums, interval, resample
from curate.scoring.scores import Tally, tally_sides
from curate.scoring.tally import Frame, Sparse, is_in


def measure(
    annotations: Mapping[str, Iterable[Annotation]],
    extents: Mapping[str, Extent],
    *,
    schema: LabelSchema | None = None,
    unit: Unit = Unit.CHARACTER,
    periods: Mapping[str, str] | None = None,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Agreement:
    """Agreement of annotators, given each one's annotations and the extent of every document.

    Documents that fewer than two have are left out.  ``periods`` names the period of a document,
    for agreement over time.  Raises DataError for fewer than two annotators and for a document
    that comes twice from one.
    """
    collectors = {}
    for name in sorted(annotations):
        collectors[name] = Collector()
        for annotation in annotations[name]:
            collectors[name].add(annotation)
    return measure_collected(
        collectors, extents, schema=schema, unit=unit, periods=periods, draws=draws, seed=seed
    )


def measure_collected(
    collectors: Mapping[str, Collector],
    extents: Mapping[str, Extent],
    *,
    schema: LabelSchema | None = None,
    unit: Unit = Unit.CHARACTER,
    periods: Mapping[str, str] | None = None,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Agreement:
    """As :func:`measure`, on annotations that were collected before."""
    names = tuple(sorted(collectors))
    if len(names) < 2:
        raise DataError("agreement needs two annotators or more")
    held = Counter(document for collector in collectors.values() for document in collector.ids)
    documents = sorted(document for document, n in held.items() if n > 1)
    return _Measuring(names, collectors, documents, extents, schema, unit, draws, seed).result(
        periods
    )


_Key = tuple[str | int, ...]
_GRAIN = 1 << 20
_AT_ONCE = 400
_HEADLINE = (
    ("f1", "entities", "strict"),
    ("lenient", "entities", "lenient"),
    ("relations", "relations", "boundaries"),
    ("relations strict", "relations", "strict"),
)
_LABELLED = (
    ("label", "entities", "labels"),
    ("lenient label", "entities", "lenient_labels"),
    ("relation label", "relations", "labels"),
)


class _Measuring:
    """One measurement: the tables of everything, drawn together."""

    def __init__(
        self,
        names: tuple[str, ...],
        collectors: Mapping[str, Collector],
        documents: list[str],
        extents: Mapping[str, Extent],
        schema: LabelSchema | None,
        unit: Unit,
        draws: int,
        seed: int,
    ) -> None:
        self.names, self.documents, self.unit = names, documents, unit
        self.schema, self.seed = schema, seed
        self.draws = draws if len(documents) > 1 else 0
        self.size = len(documents)
        self.place = {document: i for i, document in enumerate(documents)}
        self.undefined: dict[str, str] = {}
        self.asked: dict[_Key, tuple[Floats, Coefficient]] = {}
        self.answers: dict[_Key, Value] = {}
        self.drawn: dict[_Key, Floats] = {}
        held = {name: [d for d in documents if d in collectors[name].number] for name in names}
        whole = [self._placed(collectors[name].side(held[name]), held[name]) for name in names]
        self.support = {name: _support(side) for name, side in zip(names, whole, strict=True)}
        present = np.zeros((len(names), self.size), dtype=np.bool_)
        for row, name in zip(present, names, strict=True):
            row[[self.place[d] for d in held[name]]] = True
        self.units = categorise(whole, list(present), [extents[d] for d in documents])
        self.complete = bool(present.all(axis=0).any())
        self.pairs: list[tuple[str, str, Tally, list[int]]] = []
        self.links: list[tuple[Units, Stages]] = []
        for one, two in combinations(names, 2):
            common = [d for d in held[one] if d in collectors[two].number]
            sides = collectors[one].side(common), collectors[two].side(common)
            tally = tally_sides(common, *sides, schema)
            at = [self.place[d] for d in common]
            self.pairs.append((one, two, tally, at))
            self.links.append(_label_table(sides, at, self.size, schema))

    def result(self, periods: Mapping[str, str] | None) -> Agreement:
        units, marked_units = self._plan_coefficients()
        for name, part, measure_name in _HEADLINE:
            self._plan_f1((name,), self._tables(part, measure_name))
        for kind, part, rows in _LABELLED:
            for label, tables in self._labels(part, rows).items():
                self._plan_f1((kind, label), tables)
        for number in range(len(self.pairs)):
            self._plan_pair(number)
        self._draw()
        label_kappa = self._label_kappa()
        self._explain_f1()
        said = self.answers
        lenient = {key[1]: value for key, value in said.items() if key[0] == "lenient label"}
        return Agreement(
            documents=self.size,
            annotators=self.names,
            unit=self.unit,
            units=units,
            marked_units=marked_units,
            f1=said["f1",],
            lenient_f1=said["lenient",],
            kappa=said["kappa",],
            kappa_marked=said["kappa_marked",],
            alpha=said["alpha",],
            alpha_marked=said["alpha_marked",],
            per_label={
                str(key[1]): LabelAgreement(
                    value,
                    lenient[key[1]],
                    {name: self.support[name].get(str(key[1]), 0) for name in self.names},
                )
                for key, value in said.items()
                if key[0] == "label"
            },
            relations_f1=said["relations",],
            relations_strict_f1=said["relations strict",],
            label_kappa=label_kappa,
            relations_per_label={
                str(key[1]): value for key, value in said.items() if key[0] == "relation label"
            },
            stages=_sum_stages([stages for _, stages in self.links]),
            pairs=tuple(self._pair(number) for number in range(len(self.pairs))),
            over_time=self._over_time(periods or {}),
            undefined=dict(sorted(self.undefined.items())),
        )

    # -- what is asked for, and one set of draws for all of it

    def _draw(self) -> None:
        """Answer everything that was planned from the same samples of documents."""
        groups: list[list[_Key]] = [[]]
        width = 0
        for key, (columns, _) in self.asked.items():
            if width + columns.shape[1] > _AT_ONCE:
                groups.append([])
                width = 0
            groups[-1].append(key)
            width += columns.shape[1]
        for group in groups:
            drawn = None
            if self.draws and group:
                # Whole parts of 2^-20 add up exactly, whatever the number of threads.
                table = np.hstack([self.asked[key][0] for key in group])
                drawn = resample(np.round(table * _GRAIN) / _GRAIN, self.draws, self.seed)
            low = 0
            for key in group:
                columns, statistic = self.asked[key]
                high = low + columns.shape[1]
                value = float(statistic(columns.sum(axis=0, keepdims=True))[0])
                if np.isnan(value):
                    self.answers[key] = Value(None)
                elif drawn is None:
                    self.answers[key] = Value(value)
                else:
                    self.drawn[key] = statistic(drawn[:, low:high])
                    self.answers[key] = Value(value, interval(self.drawn[key]))
                low = high

    def _placed(self, side: Side, documents: list[str]) -> Side:
        """The side with its documents numbered among all."""
        at = np.array([self.place[document] for document in documents], dtype=np.int64)
        return replace(side, size=self.size, doc=at[side.doc])

    def _spread(self, table: Floats, at: list[int]) -> Floats:
        full = np.zeros((self.size, 3))
        full[at] = table
        return full

    def _tables(self, part: str, measure: str) -> list[Floats]:
        return [
            self._spread(getattr(tally, part).measures[measure], at)
            for _, _, tally, at in self.pairs
        ]

    def _labels(self, part: str, rows: str) -> dict[str, list[Floats]]:
        found: dict[str, list[Floats]] = defaultdict(list)
        for _, _, tally, at in self.pairs:
            of: Mapping[str, Sparse] = getattr(getattr(tally, part), rows)
            for label, sparse in of.items():
                found[label].append(self._spread(sparse.dense(len(at)), at))
        return dict(sorted(found.items()))

    def _plan_f1(self, key: _Key, tables: list[Floats]) -> None:
        self.asked[key] = np.hstack(tables), _mean_f1

    def _plan_pair(self, number: int) -> None:
        one, two, tally, at = self.pairs[number]
        for name, part, measure_name in _HEADLINE[:3]:
            table = self._spread(getattr(tally, part).measures[measure_name], at)
            self._plan_f1(("pair", number, name), [table])
        annotators = [self.names.index(one), self.names.index(two)]
        self.asked["pair", number, "kappa"] = (
            cohen_columns(self.units.between(annotators)),
            cohen,
        )
        self.asked["pair", number, "link"] = cohen_columns(self.links[number][0]), cohen

    def _over_time(self, periods: Mapping[str, str]) -> dict[str, tuple[int, Value, Value]]:
        groups: dict[str, list[int]] = defaultdict(list)
        for document, period in periods.items():
            if document in self.place:
                groups[period].append(self.place[document])
        strict, links = self._tables("entities", "strict"), self._tables("relations", "boundaries")
        found = {}
        for period, at in sorted(groups.items()):
            values = []
            for tables in (strict, links):
                columns = np.hstack(tables)[sorted(at)]
                value = float(_mean_f1(columns.sum(axis=0, keepdims=True))[0])
                ci = None
                if self.draws and len(at) > 1 and not np.isnan(value):
                    ci = interval(_mean_f1(resample(columns, self.draws, self.seed)))
                values.append(Value(None if np.isnan(value) else value, ci))
            found[period] = (len(at), values[0], values[1])
        return found

    def _explain_f1(self) -> None:
        for key, name, what in (
            ("f1", "entities", "entity"),
            ("relations", "relations", "relation"),
        ):
            if self.answers[key,].value is None:
                self.undefined[f"{name}.f1"] = (
                    f"no annotator marked any {what} in the documents of two annotators"
                    if self.size
                    else "no document has two annotators"
                )

    # -- chance-corrected

    def _plan_coefficients(self) -> tuple[int, int]:
        """Count the units; returns how many there are, and how many somebody marked."""
        two = len(self.names) == 2
        kappa, kappa_columns = (cohen, cohen_columns) if two else (fleiss, fleiss_columns)
        every, some = self.units, self.units.marked()
        all_have = range(len(self.names))
        for name, columns, by in (
            ("alpha", alpha_columns(every), alpha),
            ("alpha_marked", alpha_columns(some), alpha),
            ("kappa", kappa_columns(every.between(all_have)), kappa),
            ("kappa_marked", kappa_columns(some.between(all_have)), kappa),
        ):
            self.asked[name,] = columns, by
            if np.isnan(by(columns.sum(axis=0, keepdims=True))[0]):
                if not self.size:
                    why = "no document has two annotators"
                elif name.startswith("kappa") and not self.complete:
                    why = "no document was annotated by all annotators"
                elif name.endswith("marked") and not some.total():
                    why = f"no annotator marked any {self.unit}"
                else:
                    why = (
                        f"every {self.unit} got the same category, so that agreement by chance "
                        "is certain"
                    )
                self.undefined[f"entities.{name}"] = why
        return every.total(), some.total()

    def _label_kappa(self) -> Value:
        """The mean over the pairs for which it is defined."""
        keys: list[_Key] = [("pair", number, "link") for number in range(len(self.pairs))]
        known = [value for key in keys if (value := self.answers[key].value) is not None]
        if not known:
            units = sum(linked.total() for linked, _ in self.links)
            self.undefined["relations.label_kappa"] = (
                "every pair of mentions that two annotators both linked got the same label, so "
                "that agreement by chance is certain"
                if units
                else "no two annotators linked the same two mentions"
            )
            return Value(None)
        drawn = [self.drawn[key] for key in keys if key in self.drawn]
        ci = interval(_row_mean(np.column_stack(drawn))) if drawn else None
        return Value(sum(known) / len(known), ci)

    def _pair(self, number: int) -> PairAgreement:
        one, two, tally, at = self.pairs[number]
        entities = tally.entities.measures["strict"].sum(axis=0)
        relations = tally.relations.measures["boundaries"].sum(axis=0)
        return PairAgreement(
            one,
            two,
            len(at),
            self.answers["pair", number, "f1"],
            self.answers["pair", number, "lenient"],
            self.answers["pair", number, "relations"],
            self.answers["pair", number, "kappa"],
            (int(entities[1]), int(entities[2])),
            (int(relations[1]), int(relations[2])),
            dict(tally.entities.confusion),
        )


def _mean_f1(sums: Floats) -> Floats:
    """The mean over the pairs of F1; pairs where it is undefined are left out."""
    return _row_mean(f1_of_sums(sums))


def _row_mean(values: Floats) -> Floats:
    known = ~np.isnan(values)
    number = known.sum(axis=1)
    means: Floats = np.full(len(values), np.nan)
    np.divide(np.where(known, values, 0.0).sum(axis=1), number, out=means, where=number > 0)
    return means


def _support(side: Side) -> Counter[str]:
    """How many distinct mentions of each label."""
    order = np.lexsort((side.label, side.end, side.start, side.doc))
    columns = np.stack((side.doc, side.start, side.end, side.label))[:, order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (columns[:, 1:] != columns[:, :-1]).any(axis=0)
    counts = np.bincount(side.label[order][new], minlength=len(side.labels)).tolist()
    return Counter({name: n for name, n in zip(side.labels, counts, strict=True) if n})


def _label_table(
    sides: tuple[Side, Side], at: list[int], size: int, schema: LabelSchema | None
) -> tuple[Units, Stages]:
    """Labels over pairs of spans that both annotators linked, and where relations part."""
    symmetric = frozenset() if schema is None else schema.symmetric
    names = [
        sorted({*sides[0].labels, *sides[1].labels}),
        sorted({*sides[0].kinds, *sides[1].kinds}),
    ]
    frame = Frame.of(*(with_names(side, *names) for side in sides))
    spans = np.unique(np.concatenate(frame.code))
    wide = len(spans) + 1
    free = np.array([name in symmetric for name in names[1]], dtype=np.bool_)
    ranks = [np.searchsorted(spans, code) for code in frame.code]
    counts = np.zeros(5, dtype=np.int64)
    links = []
    for side, rank in zip((frame.gold, frame.other), ranks, strict=True):
        head, tail = rank[side.head], rank[side.tail]
        turn = free[side.kind] & (tail < head)
        head, tail = np.where(turn, tail, head), np.where(turn, head, tail)
        # A pair of spans, then the label: distinct relations in ascending order.
        links.append(np.unique((head * wide + tail) * len(names[1]) + side.kind))
    for ours, theirs, there in ((*links, ranks[1]), (*links[::-1], ranks[0])):
        pair, kind = np.divmod(ours, max(len(names[1]), 1))
        head, tail = np.divmod(pair, wide)
        turned = tail * wide + head
        pairs, known = np.unique(theirs // max(len(names[1]), 1)), np.unique(there)
        straight = is_in(ours, theirs)
        counts += (
            len(ours),
            np.count_nonzero(is_in(head, known) & is_in(tail, known)),
            np.count_nonzero(is_in(pair, pairs) | is_in(turned, pairs)),
            np.count_nonzero(straight | is_in(turned * len(names[1]) + kind, theirs)),
            np.count_nonzero(straight),
        )
    doc = np.zeros(len(spans), dtype=np.int64)
    for side, rank in zip(sides, ranks, strict=True):
        doc[rank] = np.array(at, dtype=np.int64)[side.doc]
    pairs_of = [link // max(len(names[1]), 1) for link in links]
    both = np.intersect1d(*pairs_of)
    words = np.zeros((-(-len(names[1]) // WORD) or 1, 2, len(both)), dtype=np.int64)
    for n, link in enumerate(links):
        common = is_in(pairs_of[n], both)
        word, bit = np.divmod(link[common] % max(len(names[1]), 1), WORD)
        np.bitwise_or.at(
            words, (word, n, np.searchsorted(both, pairs_of[n][common])), np.int64(1) << bit
        )
    called, said = name_sets(words, names[1])
    linked = Units(size, called, doc[both // wide], np.ones(len(both), dtype=np.int64), said)
    return linked, Stages(*counts.tolist())


def _sum_stages(parts: list[Stages]) -> Stages:
    return Stages(
        sum(part.relations for part in parts),
        sum(part.arguments_found for part in parts),
        sum(part.linked for part in parts),
        sum(part.same_label for part in parts),
        sum(part.same_direction for part in parts),
    )
