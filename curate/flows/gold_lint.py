"""`curate gold lint` and `gold blame`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from curate.errors import DataError, UsageError
from curate.flows.gold_build import StoreDecisions
from curate.gold import manifest as names
from curate.gold.blame import Blame, blame
from curate.gold.items import GoldDocument
from curate.gold.judge import Judge
from curate.gold.lint import RULES, Finding, lint
from curate.gold.opening import GoldSet
from curate.gold.provenance import read_provenance
from curate.schema import LabelSchema
from curate.store import Store


def lint_set(
    gold: GoldSet, schema: LabelSchema | None, rules: Sequence[str] | None
) -> list[Finding]:
    """Findings in a release or file.  Raises UsageError for an unknown rule or without a schema."""
    if schema is None:
        raise UsageError("a file can only be linted by a schema; stand in a workspace")
    return lint(gold.documents, schema, rules=_known(rules))


def lint_store(
    store: Store, schema: LabelSchema, judge: Judge, rules: Sequence[str] | None
) -> list[Finding]:
    """Findings in the store's decisions, and in what the annotators of the rest come to."""
    with store.read() as unit:
        source = StoreDecisions.of(unit, schema, judge)

        def documents() -> Iterator[GoldDocument]:
            for item in source.decided(source.ids):
                yield GoldDocument(item.document, item.annotation)

        if not source.ids:
            raise DataError(
                "nothing is annotated and pulled yet; `curate status` says what comes next, or "
                "name a release or a file"
            )
        return lint(documents, schema, rules=_known(rules))


def _known(rules: Sequence[str] | None) -> Sequence[str] | None:
    for rule in rules or ():
        if rule not in RULES:
            raise UsageError(f"there is no rule {rule!r}; rules are {', '.join(RULES)}")
    return rules or None


def blame_document(gold: GoldSet, document_id: str) -> Blame:
    """The story of one document of a release.  Raises DataError where it is not there."""
    if gold.release is None:
        raise UsageError(f"{gold.path} is a file and has no provenance; name a release")
    found = next((item for item in gold.documents() if item.id == document_id), None)
    if found is None:
        raise DataError(f"{gold.name} has no document {document_id!r}; ids are exact")
    lines = gold.release.provenance_lines(document_id)
    try:
        _, provenance = next(read_provenance(lines))
        return blame(found, provenance)
    except (DataError, StopIteration, KeyError, TypeError, ValueError, AttributeError):
        raise DataError(
            "is damaged; run `curate gold verify`", path=gold.path / names.PROVENANCE
        ) from None
