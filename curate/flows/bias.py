"""`curate agreement --bias`: what pre-annotation does to annotators, from the store."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from curate.errors import DataError
from curate.flows.gold_build import opinions_of
from curate.flows.reporter import Reporter
from curate.model import Annotation, Source, SourceKind

if TYPE_CHECKING:
    from curate.agreement.bias import Bias
    from curate.schema import LabelSchema
    from curate.store import Store, UnitOfWork


def agreement_bias(
    store: Store,
    schema: LabelSchema,
    reporter: Reporter,
    *,
    draws: int = 10_000,
    seed: int | None = None,
) -> Bias:
    """Compare the documents drawn blind with the others of the same draws.

    The model is that whose predictions most assisted annotators started from; assisted documents
    whose annotators saw another's are left out.  Raises DataError where there is no draw, or
    nobody has annotated in both lanes.
    """
    from curate.agreement.bias import Case, measure_bias
    from curate.scoring.resampling import SEED

    with store.read() as unit:
        lanes = unit.review.lanes()
        if not lanes:
            raise DataError(
                "no document was drawn for the blind lane; push with `curate push --blind 0.1`"
            )
        opinions = {key: rows for key, rows in opinions_of(unit) if key in lanes}
        model = _model(unit, [r.parent for rows in opinions.values() for r in rows])
        predictions = {p.document_id: p for p in unit.predictions.of(model, opinions)}
        decisions = {
            d.annotation.document_id: d.annotation
            for d in unit.decisions.many(sorted(opinions))
            if d.annotation.source.kind is SourceKind.CURATOR
        }
    cases = []
    left: dict[str, int] = defaultdict(int)
    for document_id, rows in opinions.items():
        prediction = predictions.get(document_id)
        said: list[Annotation] = [row.annotation for row in rows]
        blind = lanes[document_id] == "blind"
        others = any(row.parent not in (None, model) for row in rows)
        if prediction is None or (others and not blind):
            left["without its prediction" if prediction is None else "with another model's"] += 1
            continue
        cases.append(Case(document_id, blind, prediction, said, decisions.get(document_id)))
    for why, number in sorted(left.items()):
        reporter.warn(f"{number} documents {why} are left out; the model compared is {model}")
    for blind, name in ((True, "blind"), (False, "assisted")):
        if not any(case.blind is blind for case in cases):
            raise DataError(
                f"nobody has annotated a {name} document yet; pull again when somebody has"
            )
    return measure_bias(cases, schema, draws=draws, seed=SEED if seed is None else seed)


def _model(unit: UnitOfWork, parents: list[Source | None]) -> Source:
    seen = Counter(parent for parent in parents if parent is not None)
    if seen:
        return min(seen, key=lambda m: (-seen[m], str(m), m.digest))
    current = unit.sync.current_run()
    if current is None:
        raise DataError("the store holds no predictions; there is nothing to be led by")
    return current[1]
