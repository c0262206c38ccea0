"""A task as Label Studio sends it becomes values of ours: pure, and nothing is left out.

Every annotation of the task comes out, either read or with the reason why it does not fit; one
misfit item sets its whole annotation aside, and a task whose text is not ours all of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from curate.errors import ServerFaultError
from curate.labelstudio.codec import decode
from curate.labelstudio.wire import (
    MisfitError,
    WireTask,
    parse_annotation,
    parse_draft,
    parse_prediction,
)
from curate.model import Annotation, Document, Source, digest_of
from curate.schema import LabelSchema

NOBODY = 0
"""The user id of an annotation whose user is gone."""

_NOISE = frozenset({"created_ago", "created_username"})
"""Changes with the hour, or names a person: neither is part of what was said."""
_LISTS = ("annotations", "predictions", "drafts")


@dataclass(frozen=True, slots=True)
class Received:
    """An annotation that came in.

    ``annotation`` is None where it does not fit, and then ``reason`` says why (``item`` is the
    raw item at fault).  ``parent_version`` is the model version of the prediction the annotator
    started from, where Label Studio says so.  Its source carries no pseudonym yet.
    """

    annotation_id: int
    user_id: int
    raw: Mapping[str, Any]
    annotation: Annotation | None = None
    reason: str = ""
    item: Any = None
    skipped: bool = False
    ground_truth: bool = False
    lead_time: float | None = None
    created_at: str = ""
    updated_at: str = ""
    parent_version: str | None = None


@dataclass(frozen=True, slots=True)
class ReceivedDraft:
    draft_id: int
    updated_at: str
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReceivedTask:
    """A task that came in.

    ``document_id``: of a task that we pushed the document we pushed, of any other the one its
    data name.  ``problem``: None, ``foreign``, ``unknown``, ``edited`` or ``changed``.
    """

    task_id: int
    document_id: str | None
    problem: str | None
    updated_at: str
    total_annotations: int
    cancelled_annotations: int
    annotations: tuple[Received, ...] = ()
    drafts: tuple[ReceivedDraft, ...] = ()
    created_at: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """What we pushed as a task: the document, and the digest of its text as it was then."""

    document_id: str
    text_digest: str


def problem_of(task: WireTask, digest: str | None, origin: Origin | None = None) -> str | None:
    """What is wrong with the task itself.

    ``digest`` is that of our document's text today, None if we have no such document; ``origin``
    is what we pushed as this task, None for a task that we did not push.
    """
    if origin is None and task.document_id is None:
        return "foreign"
    if digest is None:
        return "unknown"
    if origin is not None and task.document_id != origin.document_id:
        return "edited"
    text = _digest(task)
    if text == digest:
        return None
    return "changed" if origin is not None and text == origin.text_digest else "edited"


def sentence(
    problem: str, task: WireTask, digest: str | None = None, origin: Origin | None = None
) -> str:
    """The problem of a task in words; see :func:`problem_of`."""
    document_id = task.document_id if origin is None else origin.document_id
    if problem == "foreign":
        return f"task {task.id} was not made by curate: its data hold no curate_id"
    if problem == "unknown":
        return f"task {task.id} belongs to document {document_id!r}, which is not in the store"
    if problem == "changed":
        return (
            f"document {document_id!r} has another text since task {task.id} was pushed, and "
            "offsets into the old one mean nothing"
        )
    if document_id == task.document_id:
        return (
            f"the text of task {task.id} was edited in Label Studio: it is no longer that of "
            f"document {document_id!r}, and offsets into it mean nothing"
        )
    now = "is gone" if task.document_id is None else f"says {task.document_id!r}"
    same_text = origin is not None and _digest(task) in (digest, origin.text_digest)
    what = "curate_id" if same_text else "text and the curate_id"
    return (
        f"the {what} of task {task.id} {'was' if same_text else 'were'} edited in Label Studio: it "
        f"was pushed for document {document_id!r}, and its curate_id {now}; restore it"
    )


def _digest(task: WireTask) -> str | None:
    try:
        return None if task.text is None else digest_of(task.text)
    except UnicodeEncodeError:
        return None


def receive(
    task: WireTask,
    document: Document | None,
    schema: LabelSchema,
    origin: Origin | None = None,
) -> ReceivedTask:
    """Read a task with all its annotations against our document (None where we have none).

    ``origin``: what we pushed as this task, if we did.
    """
    digest = None if document is None else document.digest
    problem = problem_of(task, digest, origin)
    reason = ""
    if problem is not None:
        reason = sentence(problem, task, digest, origin)
    versions: dict[int, str | None] = {}
    for raw in task.predictions:
        try:
            prediction = parse_prediction(raw)
        except MisfitError:
            continue
        versions[prediction.id] = prediction.model_version
    return ReceivedTask(
        task_id=task.id,
        document_id=task.document_id if origin is None else origin.document_id,
        problem=problem,
        updated_at=task.updated_at,
        total_annotations=task.total_annotations,
        cancelled_annotations=task.cancelled_annotations,
        annotations=tuple(
            _annotation(raw, task, reason, document, schema, versions)
            for raw in sorted(task.annotations, key=_number)
        ),
        drafts=tuple(draft for raw in task.drafts if (draft := _draft(raw)) is not None),
        created_at=task.created_at,
    )


def task_without_noise(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of a task without what changes by the hour or names a person."""
    return {
        key: [without_noise(item) for item in sorted(value, key=_number)]
        if key in _LISTS and isinstance(value, list)
        else value
        for key, value in raw.items()
    }


def _number(raw: Any) -> int:
    """For their order: Label Studio on PostgreSQL lists them as they come."""
    found = raw.get("id") if isinstance(raw, dict) else None
    return found if isinstance(found, int) else 0


def without_noise(raw: Any) -> Any:
    """The same for one annotation, prediction or draft."""
    if not isinstance(raw, dict):
        return raw
    return {key: value for key, value in raw.items() if key not in _NOISE}


def _annotation(
    raw: Any,
    task: WireTask,
    problem: str,
    document: Document | None,
    schema: LabelSchema,
    versions: Mapping[int, str | None],
) -> Received:
    identifier = raw.get("id") if isinstance(raw, dict) else None
    if type(identifier) is not int:
        raise ServerFaultError(
            f"Label Studio sent an annotation of task {task.id} without an id; is its version "
            "supported? (`curate doctor`)"
        )
    bare = without_noise(raw)
    try:
        wire = parse_annotation(raw)
    except MisfitError as error:
        return Received(identifier, NOBODY, bare, reason=str(error))
    annotation, reason, item = None, problem, None
    if document is not None and not problem:
        try:
            annotation = decode(
                wire.result, document.id, document.text, schema, Source.annotator("")
            )
        except MisfitError as error:
            reason, item = str(error), error.item
    return Received(
        annotation_id=wire.id,
        user_id=NOBODY if wire.completed_by is None else wire.completed_by,
        raw=bare,
        annotation=annotation,
        reason=reason,
        item=item,
        skipped=wire.was_cancelled,
        ground_truth=wire.ground_truth,
        lead_time=wire.lead_time,
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        parent_version=(
            None if wire.parent_prediction is None else versions.get(wire.parent_prediction)
        ),
    )


def _draft(raw: Any) -> ReceivedDraft | None:
    try:
        wire = parse_draft(raw)
    except MisfitError:
        return None
    return ReceivedDraft(wire.id, wire.updated_at, without_noise(raw))
