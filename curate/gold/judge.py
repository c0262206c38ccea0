"""What the annotators of a document come to, for a release: the workspace's rule, or agreement.

Where a rule is pinned it decides everything.  Without one, a single annotator decides, and of
several only what all of them say; the rest is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curate.agreement.consensus import Rule, RuleKind, decide
from curate.model import Annotation
from curate.schema import LabelSchema


@dataclass(frozen=True, slots=True)
class Verdict:
    """``annotation`` holds what is decided and names the rule as its source; ``open`` counts the
    differences that no rule decides."""

    annotation: Annotation
    open: int = 0


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides on documents by ``pinned``, or, without it, by agreement alone."""

    schema: LabelSchema
    pinned: Rule | None = None

    def __call__(self, annotations: Sequence[Annotation]) -> Verdict:
        """The verdict on one document from its annotators' annotations, one each.

        A relation that the schema forbids once its arguments are decided is not taken, and is
        open.  Raises DataError for no annotation at all.
        """
        if len(annotations) == 1:
            rule = Rule(RuleKind.SINGLE)
        else:
            rule = self.pinned or Rule(RuleKind.UNANIMOUS)
        found = decide(annotations, rule, self.schema)
        annotation = found.annotation
        legal = [r for r in annotation.relations if self.schema.relation_misfit(r) is None]
        forbidden = len(annotation.relations) - len(legal)
        if forbidden:
            annotation = Annotation.of(
                annotation.document_id,
                annotation.entities,
                legal,
                annotation.source,
                annotation.chains,
            )
        undecided = 0 if self.pinned is not None else len(found.open) + forbidden
        return Verdict(annotation, undecided)
