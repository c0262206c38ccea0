"""Relations by sparse logistic regression over pairs of mentions: one model a type, all at once.

Each type has its own logistic regression over the pairs whose labels it may link, L2-penalised and
fitted by L-BFGS (scipy).  What cross-validation over documents says of unseen pairs calibrates the
probabilities and chooses the threshold of each type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from curate.errors import DataError
from curate.extractors.calibration import Curve, isotonic
from curate.extractors.pairs import Pair, Place, candidates, name_of, pair_features
from curate.schema import LabelSchema, RelationType

Triple = tuple[int, int, str]
"""``(head, tail, type)``: positions among the document's mentions."""
ENOUGH = 1000
"""Examples of relations from which on it pays to tell who stands nearer and to bend probabilities
to the shares that are right; with fewer both learn noise."""
DRAWN = (10.0, 30.0)
"""Examples of a type at which its own threshold counts as much as the common one: with fewer than
``ENOUGH``, and with more, where probabilities mean the same for all types."""


@dataclass(frozen=True)
class RelationSettings:
    """``window``: sentences that a relation may reach over; ``l2``: the penalty; features in fewer
    than ``least`` pairs are left out; ``precision`` asks for that precision instead of best F1."""

    window: int = 1
    l2: float = 2.0
    least: int = 2
    iterations: int = 100
    folds: int = 4
    precision: float | None = None
    seed: int = 0


class RelationModel:
    """The trained weights; everything in it is JSON or plain arrays."""

    drawn = DRAWN

    def __init__(self, settings: RelationSettings, types: Sequence[RelationType]) -> None:
        self.settings = settings
        self.types = tuple(types)
        self.schema = LabelSchema("relations", (), self.types)
        self.legal: dict[tuple[str, str], tuple[str, ...]] = {}
        self.features: dict[str, int] = {}
        self.weights: Any = None
        self.thresholds: dict[str, float] = {}
        self.trust: dict[str, tuple[float, float]] = {}
        """Type → log-odds of a pair to which the rules give it, and of one to which not."""
        self.curve = Curve()
        """From a raw probability to the share of pairs that are right."""
        self.much = False
        """Whether it learned from ``ENOUGH`` examples."""
        self.counts: dict[str, int] = {}
        self.unreachable = 0
        self.cross_validated: float | None = None
        """F1 of relations between given mentions, by cross-validation over the documents."""

    # --- learning

    def fit(
        self,
        gold: Sequence[tuple[Place, Sequence[Triple]]],
        tick: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Learn from documents with their given mentions and relations."""
        self._learn_legal(gold)
        self.much = sum(len(triples) for _, triples in gold) >= ENOUGH
        rows = [self._rows(place) for place, _ in gold]
        wanted = [self._targets(p, r, t) for (p, t), r in zip(gold, rows, strict=True)]
        self.unreachable = sum(
            len(triples) - sum(map(len, got))
            for (_, triples), got in zip(gold, wanted, strict=True)
        )
        self.counts = {}
        for got in wanted:
            for labels in got:
                for label in labels:
                    self.counts[label] = self.counts.get(label, 0) + 1
        self.types = tuple(t for t in self.types if t.name in self.counts)
        if not self.types:
            return
        tick("relations, thresholds")
        self._cross_validate(rows, wanted)
        tick("relations")
        self.features, self.weights = self._fit(rows, wanted)

    def _learn_legal(self, gold: Sequence[tuple[Place, Sequence[Triple]]]) -> None:
        """The types that may link a pair of labels: those that training saw with such a head and
        with such a tail, if the schema allows them together."""
        heads: dict[str, set[str]] = {}
        tails: dict[str, set[str]] = {}
        symmetric = self.schema.symmetric
        for place, triples in gold:
            for head, tail, label in triples:
                ends = place.entities[head].label, place.entities[tail].label
                heads.setdefault(label, set()).add(ends[0])
                tails.setdefault(label, set()).add(ends[1])
                if label in symmetric:
                    heads[label].add(ends[1])
                    tails[label].add(ends[0])
        seen: dict[tuple[str, str], set[str]] = {}
        for label in heads:
            for one in heads[label]:
                for other in tails[label]:
                    if self.schema.allows(label, one, other):
                        seen.setdefault((one, other), set()).add(label)
        self.legal = {pair: tuple(sorted(found)) for pair, found in sorted(seen.items())}

    def _rows(self, place: Place) -> list[tuple[Pair, list[str]]]:
        seen: set[tuple[str, str]] = set()
        rows = []
        for pair in candidates(place, self.schema, self.settings.window, self.legal):
            rows.append((pair, pair_features(place, pair, seen, self.much)))
            seen.add((name_of(place, pair[0]), name_of(place, pair[1])))
        return rows

    def _targets(
        self, place: Place, rows: Sequence[tuple[Pair, list[str]]], triples: Sequence[Triple]
    ) -> list[set[str]]:
        wanted: dict[Pair, set[str]] = {}
        symmetric = self.schema.symmetric
        for head, tail, label in triples:
            pair = (head, tail)
            if label in symmetric and place.spans[tail] < place.spans[head]:
                pair = (tail, head)
            wanted.setdefault(pair, set()).add(label)
        return [wanted.get(pair, set()) for pair, _ in rows]

    def _fit(
        self, rows: Sequence[Sequence[tuple[Pair, list[str]]]], wanted: Sequence[Sequence[set[str]]]
    ) -> tuple[dict[str, int], Any]:
        import numpy as np

        counts: dict[str, int] = {}
        for document in rows:
            for _, features in document:
                for feature in set(features):
                    counts[feature] = counts.get(feature, 0) + 1
        kept = sorted(f for f, n in counts.items() if n >= self.settings.least)
        index = {feature: i + 1 for i, feature in enumerate(kept)}  # 0 is the bias
        flat = [features for document in rows for _, features in document]
        labels = [found for document in wanted for found in document]
        matrix = _matrix(flat, index)
        mask = self._mask(flat)
        weights = np.zeros((len(index) + 1, len(self.types)))
        self._learn_trust(flat, labels, mask)
        offsets = self._offsets(flat)
        for column, kind in enumerate(self.types):
            here = np.flatnonzero(mask[:, column])
            target = np.array([kind.name in labels[i] for i in here], dtype=np.float64)
            if not target.any():
                weights[0, column] = -10.0
                continue
            part = matrix[here]
            used = np.unique(part.indices)
            offset = offsets[here, column]
            settings = self._penalised(float(target.sum()))
            found = _logistic(part[:, used].tocsr(), target, offset, settings)
            weights[used, column] = found
        weights[np.abs(weights) < 5e-4] = 0.0
        return index, weights

    def _penalised(self, examples: float) -> RelationSettings:
        """The settings for a type with so many examples."""
        return self.settings

    def _learn_trust(
        self, flat: Sequence[Sequence[str]], labels: Sequence[set[str]], mask: Any
    ) -> None:
        """How far to trust a rule's word: its precision for each type, drawn to that of all types
        where examples are few.  What else speaks for or against is learned on top."""
        fired: dict[str, list[int]] = {t.name: [0, 0] for t in self.types}
        silent: dict[str, list[int]] = {t.name: [0, 0] for t in self.types}
        for i, (features, found) in enumerate(zip(flat, labels, strict=True)):
            hints = _hinted(features)
            for column, kind in enumerate(self.types):
                if mask[i, column]:
                    cell = (fired if kind.name in hints else silent)[kind.name]
                    cell[0] += kind.name in found
                    cell[1] += 1
        self.trust = {}
        right, total = (sum(c[k] for c in fired.values()) for k in (0, 1))
        if not total:
            return
        common = (right + 1) / (total + 2)
        for name in fired:
            here, there = fired[name], silent[name]
            yes = (here[0] + 4 * common) / (here[1] + 4)
            no = (there[0] + 0.5) / (there[1] + 1)
            self.trust[name] = (round(_logit(yes), 4), round(_logit(no), 4))

    def _offsets(self, flat: Sequence[Sequence[str]]) -> Any:
        import numpy as np

        offsets = np.zeros((len(flat), len(self.types)))
        if self.trust:
            for column, kind in enumerate(self.types):
                offsets[:, column] = self.trust[kind.name][1]
            place = {t.name: i for i, t in enumerate(self.types)}
            for i, features in enumerate(flat):
                for name in _hinted(features):
                    if name in place:
                        offsets[i, place[name]] = self.trust[name][0]
        return offsets

    def _probabilities(self, flat: Sequence[list[str]], index: Mapping[str, int], w: Any) -> Any:
        """One row a pair, one column a type; 0 where the type may not link the labels."""
        import numpy as np

        z = _matrix(flat, index) @ w + self._offsets(flat)
        return self._mask(flat) / (1.0 + np.exp(-np.clip(z, -30, 30)))

    def _calibrated(self, found: Any) -> Any:
        """The curve over all of a matrix; what may not be stays 0."""
        import numpy as np

        if not self.curve.points:
            return found
        raw, true = zip(*self.curve.points, strict=True)
        return np.where(found > 0, np.interp(found, raw, true), 0.0)

    def _mask(self, flat: Sequence[Sequence[str]]) -> Any:
        """1 where a type may link the labels of the pair: each model sees only those pairs."""
        import numpy as np

        by_types = {f"t:{h}>{t}": found for (h, t), found in self.legal.items()}
        place = {t.name: i for i, t in enumerate(self.types)}
        mask = np.zeros((len(flat), len(place)))
        for i, features in enumerate(flat):
            for label in by_types.get(features[0], ()):
                if label in place:
                    mask[i, place[label]] = 1.0
        return mask

    def _cross_validate(
        self, rows: Sequence[Sequence[tuple[Pair, list[str]]]], wanted: Sequence[Sequence[set[str]]]
    ) -> None:
        folds = min(self.settings.folds, len(rows))
        names = [t.name for t in self.types]
        self.thresholds = dict.fromkeys(names, 0.5)
        self.curve = Curve()
        if folds < 2:
            return
        scored: dict[str, list[tuple[float, bool]]] = {name: [] for name in names}
        for fold in range(folds):
            train = [i for i in range(len(rows)) if i % folds != fold]
            index, weights = self._fit([rows[i] for i in train], [wanted[i] for i in train])
            for i in range(fold, len(rows), folds):
                flat = [features for _, features in rows[i]]
                if not flat:
                    continue
                found = self._probabilities(flat, index, weights)
                for line, labels in zip(found, wanted[i], strict=True):
                    for name, p in zip(names, line, strict=True):
                        if p > 0:
                            scored[name].append((float(p), name in labels))
        everything = [pair for pairs in scored.values() for pair in pairs]
        if self.much:
            self.curve = isotonic([p for p, _ in everything], [good for _, good in everything])
        scored = {name: [(self.curve(p), good) for p, good in scored[name]] for name in names}
        common = best_threshold(
            [pair for pairs in scored.values() for pair in pairs], self.settings.precision
        )
        for name in names:
            right = sum(good for _, good in scored[name])
            own = best_threshold(scored[name], self.settings.precision)
            # A threshold of few examples is noise: shrink it towards the common one.
            share = right / (right + self.drawn[self.much])
            self.thresholds[name] = round(share * own + (1 - share) * common, 4)
        self.cross_validated = f1_at(scored, self.thresholds)

    # --- using

    def relate(self, place: Place) -> list[tuple[int, int, str, float]]:
        """``(head, tail, type, probability)`` of the relations over their types' thresholds."""
        if not self.types or self.weights is None:
            return []
        rows = self._rows(place)
        if not rows:
            return []
        flat = [features for _, features in rows]
        found = self._calibrated(self._probabilities(flat, self.features, self.weights))
        out = []
        for (pair, _), line in zip(rows, found, strict=True):
            for kind, p in zip(self.types, line, strict=True):
                if p >= self.thresholds[kind.name] and p > 0:
                    out.append((pair[0], pair[1], kind.name, round(float(p), 4)))
        return out

    def reasons(self, label: str, count: int = 20) -> list[tuple[str, float]]:
        """The features that speak most for a type, with their weights."""
        column = [t.name for t in self.types].index(label)
        names = {i: f for f, i in self.features.items()}
        order = sorted(names, key=lambda i: -float(self.weights[i, column]))[:count]
        return [(names[i], round(float(self.weights[i, column]), 3)) for i in order]

    # --- keeping

    def as_files(self) -> dict[str, bytes]:
        """File names → bytes; :meth:`from_files` reads them."""
        weights = b""
        used = sorted(self.features, key=lambda f: self.features[f])
        if self.weights is not None:
            import numpy as np

            keep = [i for i, f in enumerate(used, start=1) if np.any(self.weights[i])]
            used = [used[i - 1] for i in keep]
            weights = np.ascontiguousarray(self.weights[[0, *keep]], dtype="<f4").tobytes()
        meta = {
            "settings": asdict(self.settings),
            "types": [asdict(t) for t in self.types],
            "legal": [[*pair, list(found)] for pair, found in self.legal.items()],
            "thresholds": self.thresholds,
            "counts": self.counts,
            "unreachable": self.unreachable,
            "much": self.much,
            "curve": [list(point) for point in self.curve.points],
            "trust": {name: list(pair) for name, pair in self.trust.items()},
            "cross_validated": self.cross_validated,
            "features": used,
        }
        text = json.dumps(meta, ensure_ascii=False, sort_keys=True)
        return {"relations.json": text.encode("utf-8"), "weights.f4": weights}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Raises DataError where something is missing or damaged."""
        try:
            meta = json.loads(files["relations.json"])
            types = [
                RelationType(**t | {k: tuple(t[k]) for k in ("head", "tail", "examples")})
                for t in meta["types"]
            ]
            model = cls(RelationSettings(**meta["settings"]), types)
            model.legal = {(h, t): tuple(found) for h, t, found in meta["legal"]}
            model.thresholds, model.counts = meta["thresholds"], meta["counts"]
            model.unreachable = meta["unreachable"]
            model.much = bool(meta["much"])
            model.curve = Curve(tuple((x, y) for x, y in meta["curve"]))
            model.trust = {name: (yes, no) for name, (yes, no) in meta["trust"].items()}
            model.cross_validated = meta["cross_validated"]
            model.features = {feature: i for i, feature in enumerate(meta["features"], start=1)}
            if files["weights.f4"]:
                import numpy as np

                weights = np.frombuffer(files["weights.f4"], dtype="<f4").astype(np.float64)
                model.weights = weights.reshape(len(model.features) + 1, len(types))
        except (KeyError, TypeError, ValueError):
            raise DataError(
                "the files of this relation_classifier are damaged; train again"
            ) from None
        return model


def _logistic(matrix: Any, target: Any, offset: Any, settings: RelationSettings) -> Any:
    """The weights of one L2-penalised logistic regression; column 0 is the bias."""
    import numpy as np
    from scipy.optimize import minimize

    transposed = matrix.T.tocsr()
    penalty = np.full(matrix.shape[1], settings.l2)
    penalty[0] = 1e-3

    def loss(weights: Any) -> tuple[float, Any]:
        z = matrix @ weights + offset
        p = 1.0 / (1.0 + np.exp(-np.clip(z, -30, 30)))
        value = float((np.logaddexp(0, z) - target * z).sum())
        value += 0.5 * float((penalty * weights * weights).sum())
        return value, transposed @ (p - target) + penalty * weights

    start = np.zeros(matrix.shape[1])
    if not offset.any():
        start[0] = _logit(min(0.999, float(target.mean())))
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": settings.iterations, "ftol": 1e-6},
    )
    return np.round(found.x, 4)


def _matrix(rows: Sequence[Iterable[str]], index: Mapping[str, int]) -> Any:
    """Sparse 0/1 rows with the bias in column 0."""
    import numpy as np
    from scipy.sparse import csr_matrix

    columns: list[int] = []
    ends = [0]
    for row in rows:
        columns.append(0)
        columns.extend(sorted({i for i in map(index.get, row) if i is not None}))
        ends.append(len(columns))
    data = np.ones(len(columns))
    return csr_matrix((data, columns, ends), shape=(len(rows), len(index) + 1))


def _hinted(features: Sequence[str]) -> list[str]:
    """The types that rules give the pair, in its direction; they stand right behind the labels."""
    found = []
    for feature in features[1:]:
        if not feature.startswith("rule:"):
            break
        name = feature.split(":", 2)[1]
        if not name.endswith("<"):
            found.append(name)
    return found


def _logit(p: float) -> float:
    return math.log(p / (1 - p))


def best_threshold(scored: Sequence[tuple[float, bool]], precision: float | None = None) -> float:
    """The threshold with the best F1, or with the best recall at the wanted precision; 0.5 without
    positives."""
    total = sum(good for _, good in scored)
    if not total:
        return 0.5
    ranked = sorted(scored, key=lambda pair: -pair[0])
    best, at, hits = -1.0, 0.5, 0
    for n, (p, good) in enumerate(ranked, start=1):
        hits += good
        if n < len(ranked) and ranked[n][0] == p:
            continue
        if precision is None:
            value = 2 * hits / (n + total)
        else:
            value = hits / total if hits / n >= precision else -1.0
        if value > best:
            below = ranked[n][0] if n < len(ranked) else p * 0.9
            best, at = value, (p + below) / 2
    return min(0.95, max(0.05, at))


def f1_at(
    scored: Mapping[str, Sequence[tuple[float, bool]]], thresholds: Mapping[str, float]
) -> float | None:
    """Micro F1 over all types at their thresholds; None where there is nothing."""
    right = found = wanted = 0
    for name, pairs in scored.items():
        for p, good in pairs:
            found += p >= thresholds[name]
            right += good and p >= thresholds[name]
            wanted += good
    return round(2 * right / (found + wanted), 4) if found + wanted else None
