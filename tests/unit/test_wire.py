"""What Label Studio sends is parsed strictly, and what it adds is tolerated."""

from __future__ import annotations

from typing import Any

import pytest

from curate.errors import ServerFaultError
from curate.labelstudio.wire import MisfitError, parse_annotation, parse_task

ANNOTATION: dict[str, Any] = {
    "id": 7,
    "completed_by": 3,
    "result": [],
    "was_cancelled": False,
    "ground_truth": False,
    "lead_time": 3,
    "created_at": "2026-11-23T04:50:03.196862Z",
    "updated_at": "2026-11-23T04:50:03.196889Z",
    "parent_prediction": None,
    "something_new": {"a": 1},
}
TASK: dict[str, Any] = {
    "id": 1,
    "data": {"text": "Paris", "curate_id": "d0"},
    "updated_at": "2026-11-23T04:50:03.218494Z",
    "total_annotations": 1,
    "cancelled_annotations": 0,
    "annotations": [ANNOTATION],
}


def test_unknown_fields_of_the_envelope_are_tolerated() -> None:
    """A newer Label Studio adds fields; that alone breaks nothing."""
    parsed = parse_annotation(ANNOTATION)
    assert (parsed.id, parsed.completed_by, parsed.lead_time) == (7, 3, 3.0)


def test_an_expanded_user_is_the_same_user() -> None:
    """Some answers name the annotator by id, some by an object."""
    assert (
        parse_annotation(ANNOTATION | {"completed_by": {"id": 3, "email": "x"}}).completed_by == 3
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [("id", "7"), ("result", None), ("result", "[]"), ("was_cancelled", "yes"), ("lead_time", "3")],
)
def test_a_wrong_type_is_a_misfit_that_names_the_field(field: str, value: Any) -> None:
    """Nothing is coerced: a wrong type means that we do not understand the answer."""
    with pytest.raises(MisfitError, match=field):
        parse_annotation(ANNOTATION | {field: value})


def test_a_task_without_an_id_is_the_servers_fault() -> None:
    """Without its envelope a task cannot even be quarantined."""
    with pytest.raises(ServerFaultError, match="doctor"):
        parse_task({"data": {}})


def test_a_task_that_is_not_ours_has_no_document() -> None:
    """Tasks made by hand carry no curate_id, or one that is no text."""
    assert parse_task(TASK).document_id == "d0"
    assert parse_task(TASK | {"data": {"text": "x"}}).document_id is None
    assert parse_task(TASK | {"data": {"text": "x", "curate_id": 5}}).document_id is None


def test_annotations_are_read_in_the_order_of_their_numbers() -> None:
    """Label Studio on PostgreSQL lists them in any order; what is kept must not change with it."""
    from curate.labelstudio.inbox import task_without_noise

    there = {"id": 1, "annotations": [{"id": 9}, {"id": 4}, "odd"], "data": {"b": 1}}
    turned = there | {"annotations": [{"id": 4}, "odd", {"id": 9}]}
    assert task_without_noise(there) == task_without_noise(turned)
