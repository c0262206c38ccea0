"""What the annotators of a document come to, for a release: the workspace's rule, or agreement.

Where a rule is pinned it decides everything.  Without one, a single annotator decides; of several
the workspace's ``rule`` decides what it can, and the rest is open.  Where a person must decide
(test and blind documents) only what all annotators say is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from curate.agreement.consensus import (
    Consensus,
    Disagreement,
    DisagreementKind,
    Rule,
    RuleKind,
    decide,
)
from curate.agreement.points import in_order
from curate.agreement.reliability import Reliability, estimate
from curate.model import Annotation, Relation
from curate.schema import LabelSchema

UNANIMOUS = Rule(RuleKind.UNANIMOUS)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``annotation`` holds what is decided and names the rule as its source; ``open`` counts the
    differences that no rule decides."""

    annotation: Annotation
    open: int = 0


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides on documents by ``pinned``, or, without it, as far as ``rule`` goes."""

    schema: LabelSchema
    pinned: Rule | None = None
    rule: Rule = UNANIMOUS
    reliability: Reliability | None = None

    @property
    def weighs(self) -> bool:
        """Whether it must first learn how reliable the annotators are."""
        rule = self.rule if self.pinned is None else self.pinned
        return rule.kind is RuleKind.WEIGHTED and self.reliability is None

    def informed(self, documents: Iterable[Sequence[Annotation]]) -> Judge:
        """The judge who knows the annotators of these documents, where the rule asks for it."""
        if not self.weighs:
            return self
        return replace(self, reliability=estimate(documents, self.schema.symmetric))

    def __call__(self, annotations: Sequence[Annotation], *, person: bool = False) -> Verdict:
        """The verdict on one document from its annotators' annotations, one each.

        ``person``: a person must decide wherever annotators differ.  Raises DataError for no
        annotation at all.
        """
        found = self.consensus(annotations, person=person)
        return Verdict(found.annotation, 0 if self.pinned is not None else len(found.open))

    @property
    def leaves_less_to_persons(self) -> bool:
        """Whether the rule decides where a person would have to."""
        return self.pinned is None and self.rule != UNANIMOUS

    def consensus(self, annotations: Sequence[Annotation], *, person: bool = False) -> Consensus:
        """The same with every open place.

        A relation that the schema forbids once its arguments are decided is not taken, and is
        open.
        """
        if len(annotations) == 1:
            rule = Rule(RuleKind.SINGLE)
        elif self.pinned is not None:
            rule = self.pinned
        else:
            rule = UNANIMOUS if person else self.rule
        found = decide(annotations, rule, self.schema, self.reliability)
        annotation = found.annotation
        legal: list[Relation] = []
        forbidden: list[Relation] = []
        for relation in annotation.relations:
            fits = self.schema.relation_misfit(relation) is None
            (legal if fits else forbidden).append(relation)
        if not forbidden:
            return found
        return replace(
            found,
            annotation=Annotation.of(
                annotation.document_id,
                annotation.entities,
                legal,
                annotation.source,
                annotation.chains,
            ),
            open=in_order([*found.open, *(_forbidden(r, annotations) for r in forbidden)]),
        )


def _forbidden(relation: Relation, annotations: Sequence[Annotation]) -> Disagreement:
    spans = (relation.head.span, relation.tail.span)
    claims = []
    for said in sorted(annotations, key=lambda a: a.source.name):
        held = tuple(
            r
            for r in said.relations
            if r.label == relation.label and {r.head.span, r.tail.span} == set(spans)
        )
        claims.append((said.source.name, held))
    return Disagreement(
        DisagreementKind.ARGUMENT,
        min(start for start, _ in spans),
        max(end for _, end in spans),
        relations=tuple(claims),
    )
