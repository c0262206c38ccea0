"""How far annotators agree, on entities and on relations, with intervals over documents.

F1 of two annotators is the same whichever is called gold; with more, it is the mean over the
pairs.  What is undefined is None, and ``undefined`` says why.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np

from curate.agreement.units import (
    Coefficient,
    Mention,
    Table,
    Unit,
    alpha,
    alpha_rows,
    categorise,
    cohen,
    cohen_rows,
    fleiss,
    fleiss_rows,
    marked,
)
from curate.agreement.values import Agreement, LabelAgreement, PairAgreement, Stages, Value
from curate.errors import DataError
from curate.model import Annotation
from curate.offsets import Span
from curate.schema import LabelSchema
from curate.scoring.columns import Collector, Floats, Side
from curate.scoring.resampling import DRAWS, SEED, f1_of_sums, interval, resample
from curate.scoring.scores import Tally, tally_sides
from curate.scoring.tally import Sparse

Extent = int | Sequence[Span]
"""A document's number of characters, or the spans of its tokens."""


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
        self.mentions = {name: _mentions(collectors[name]) for name in names}
        self.support = {name: _support(collectors[name], self.place) for name in names}
        self.extents = extents
        self.pairs: list[tuple[str, str, Tally, list[int]]] = []
        self.links: list[tuple[Table, Stages]] = []
        for one, two in combinations(names, 2):
            common = [
                d for d in documents if d in collectors[one].number and d in collectors[two].number
            ]
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
        table_of = Table(2)
        here = set(at)
        for i, document in enumerate(self.documents):
            if i in here:
                sides = [self.mentions[name][document] for name in (one, two)]
                cohen_rows(table_of, categorise(sides, self.extents[document]))
            else:
                table_of.skip()
        self.asked["pair", number, "kappa"] = table_of.columns(), cohen
        self.asked["pair", number, "link"] = self.links[number][0].columns(), cohen

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
        tables = {name: Table(1) for name in ("alpha", "alpha_marked")}
        tables |= {name: Table(2 if two else 1) for name in ("kappa", "kappa_marked")}
        units = marked_units = complete = 0
        for document in self.documents:
            present = [name for name in self.names if document in self.mentions[name]]
            counts = categorise(
                [self.mentions[name][document] for name in present], self.extents[document]
            )
            some = marked(counts)
            units += sum(counts.values())
            marked_units += int(sum(some.values()))
            alpha_rows(tables["alpha"], counts)
            alpha_rows(tables["alpha_marked"], some)
            if len(present) < len(self.names):
                tables["kappa"].skip()
                tables["kappa_marked"].skip()
                continue
            complete += 1
            enter = cohen_rows if two else fleiss_rows
            enter(tables["kappa"], counts)
            enter(tables["kappa_marked"], some)
        for name, table in tables.items():
            by = alpha if name.startswith("alpha") else cohen if two else fleiss
            columns = table.columns()
            self.asked[name,] = columns, by
            if np.isnan(by(columns.sum(axis=0, keepdims=True))[0]):
                if not self.size:
                    why = "no document has two annotators"
                elif name.startswith("kappa") and not complete:
                    why = "no document was annotated by all annotators"
                elif name.endswith("marked") and not marked_units:
                    why = f"no annotator marked any {self.unit}"
                else:
                    why = (
                        f"every {self.unit} got the same category, so that agreement by chance "
                        "is certain"
                    )
                self.undefined[f"entities.{name}"] = why
        return units, marked_units

    def _label_kappa(self) -> Value:
        """The mean over the pairs for which it is defined."""
        keys: list[_Key] = [("pair", number, "link") for number in range(len(self.pairs))]
        known = [value for key in keys if (value := self.answers[key].value) is not None]
        if not known:
            units = sum(sum(table.units) for table, _ in self.links)
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


def _mentions(collector: Collector) -> dict[str, list[Mention]]:
    names = sorted(collector.labels, key=collector.labels.__getitem__)
    found: dict[str, list[Mention]] = {}
    row = 0
    for document, count in zip(collector.ids, collector.counts, strict=True):
        found[document] = [
            (collector.start[i], collector.end[i], names[collector.label[i]])
            for i in range(row, row + count)
        ]
        row += count
    return found


def _support(collector: Collector, place: Mapping[str, int]) -> Counter[str]:
    return Counter(
        label
        for document, mentions in _mentions(collector).items()
        if document in place
        for *_, label in set(mentions)
    )


def _label_table(
    sides: tuple[Side, Side], at: list[int], size: int, schema: LabelSchema | None
) -> tuple[Table, Stages]:
    """Labels over pairs of spans that both annotators linked, and where relations part."""
    symmetric = frozenset() if schema is None else schema.symmetric
    linked = [_by_document(side, symmetric) for side in sides]
    spans = [_spans(side) for side in sides]
    table = Table(2)
    counts = dict.fromkeys(("relations", "arguments_found", "linked", "same_label", "same"), 0)
    known = {position: i for i, position in enumerate(at)}
    for position in range(size):
        doc = known.get(position)
        if doc is None:
            table.skip()
            continue
        one, two = linked[0].get(doc, {}), linked[1].get(doc, {})
        common: Counter[tuple[tuple[str, ...], ...]] = Counter(
            (tuple(sorted(one[pair])), tuple(sorted(two[pair]))) for pair in one.keys() & two.keys()
        )
        cohen_rows(table, common)
        for ours, theirs, there in ((one, two, spans[1]), (two, one, spans[0])):
            for (head, tail), labels in ours.items():
                straight = theirs.get((head, tail), set())
                either = straight | theirs.get((tail, head), set())
                for label in labels:
                    counts["relations"] += 1
                    found = {head, tail} <= there.get(doc, set())
                    counts["arguments_found"] += found
                    counts["linked"] += bool(either)
                    counts["same_label"] += label in either
                    counts["same"] += label in straight
    return table, Stages(*counts.values())


def _by_document(
    side: Side, symmetric: frozenset[str]
) -> dict[int, dict[tuple[Span, Span], set[str]]]:
    found: dict[int, dict[tuple[Span, Span], set[str]]] = defaultdict(dict)
    for doc, kind, head, tail in zip(
        side.relation_doc.tolist(),
        side.kind.tolist(),
        side.head.tolist(),
        side.tail.tolist(),
        strict=True,
    ):
        label = side.kinds[kind]
        one = int(side.start[head]), int(side.end[head])
        two = int(side.start[tail]), int(side.end[tail])
        if label in symmetric and two < one:
            one, two = two, one
        found[doc].setdefault((one, two), set()).add(label)
    return found


def _spans(side: Side) -> dict[int, set[Span]]:
    found: dict[int, set[Span]] = defaultdict(set)
    for doc, start, end in zip(
        side.doc.tolist(), side.start.tolist(), side.end.tolist(), strict=True
    ):
        found[doc].add((start, end))
    return found


def _sum_stages(parts: list[Stages]) -> Stages:
    return Stages(
        sum(part.relations for part in parts),
        sum(part.arguments_found for part in parts),
        sum(part.linked for part in parts),
        sum(part.same_label for part in parts),
        sum(part.same_direction for part in parts),
    )
