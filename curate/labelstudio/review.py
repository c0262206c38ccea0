"""The review project: a curator sees where annotators differ, each version, and decides.

A task's data hold, besides text and document id, ``review_points`` (the points as HTML),
``review_count`` (how many) and ``review_round`` (the digest of what is shown).  Each annotator's
version is a prediction under their pseudonym; the one called ``consensus`` comes first and is what
the curator starts from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from curate.agreement.points import Disagreement
from curate.errors import DataError
from curate.labelstudio.codec import encode, task_data
from curate.labelstudio.config import (
    REASON_CONTROL,
    TEXT_OBJECT,
    render_config,
    render_instructions,
)
from curate.labelstudio.projects import Remote, find_ours
from curate.model import Annotation, Entity, Relation
from curate.schema import LabelSchema

if TYPE_CHECKING:
    from curate.labelstudio.client import LabelStudio

START = "consensus"
"""The name of the prediction that the curator starts from."""
POINTS_KEY = "review_points"
ROUND_KEY = "review_round"
COUNT_KEY = "review_count"
MAX_POINTS = 200
"""Points listed one by one above a text; a list that is longer ends in a count."""
_CONTEXT = 28
_MARK = "curate workspace "

_STYLE = """  .curate-points .lsf-htx-richtext, .curate-points .lsf-htx-richtext * {
      line-height: 1.4 !important; max-width: none; font-size: 13px; }
  """

_WORDS: dict[str, dict[str, str]] = {
    "fr": {
        "title": "À décider",
        "why": "Raison, en un mot",
        "none": "Aucun désaccord : relire et valider.",
        "presence": "présence",
        "label": "étiquette",
        "boundary": "bornes",
        "label_boundary": "étiquette et bornes",
        "relation": "relation",
        "argument": "argument tombé",
        "suspect": "suspect",
        "nothing": "rien",
        "decision": "décision",
        "consensus": "accord",
        "more": "et {} autres",
    },
    "en": {
        "title": "To decide",
        "why": "Reason, in a word",
        "none": "No difference: read and confirm.",
        "presence": "presence",
        "label": "label",
        "boundary": "boundary",
        "label_boundary": "label and boundary",
        "relation": "relation",
        "argument": "argument fell",
        "suspect": "suspect",
        "nothing": "nothing",
        "decision": "decision",
        "consensus": "agreed",
        "more": "and {} more",
    },
}


def review_config(schema: LabelSchema) -> str:
    """The labeling configuration of the schema with the points above the text."""
    plain = render_config(schema)
    head, mark, rest = plain.partition("  <View style=")
    if not mark:
        raise DataError("the labeling configuration has no place for the points of disagreement")
    head = head.replace("</Style>", f"{_STYLE}</Style>", 1)
    why = _WORDS.get(schema.language, _WORDS["en"])["why"]
    points = (
        '  <View classname="curate-points" style="max-height: 34vh; overflow-y: auto; '
        'margin-bottom: 8px; border-bottom: 1px solid #c4c4c4">\n'
        f'    <HyperText name="points" value="${POINTS_KEY}" inline="true"/>\n'
        "  </View>\n"
        f'  <TextArea name="{REASON_CONTROL}" toName="{TEXT_OBJECT}" rows="1" maxSubmissions="1" '
        f'editable="true" placeholder="{why}"/>\n'
    )
    return head + points + mark + rest


def task_payload(
    document_id: str,
    text: str,
    schema: LabelSchema,
    *,
    start: Annotation,
    versions: Mapping[str, Annotation],
    points: Sequence[Disagreement],
    round_: str,
) -> dict[str, Any]:
    """A review task as ``/import`` takes it: the start first, then each version by name."""
    data: dict[str, Any] = dict(task_data(document_id, text))
    data[POINTS_KEY] = points_html(points, text, schema.language)
    data[COUNT_KEY] = len(points)
    data[ROUND_KEY] = round_
    return {
        "data": data,
        "predictions": [
            {"model_version": name, "result": encode(said, text, schema)}
            for name, said in [
                (START, start),
                *((_shown(n), versions[n]) for n in sorted(versions)),
            ]
        ],
    }


def _shown(name: str) -> str:
    """An annotator may be called as the start is."""
    return f"{name} (annotator)" if name == START else name


def points_html(points: Sequence[Disagreement], text: str, language: str) -> str:
    """The points as a table: number, kind, place in its context, and what each says of it."""
    words = _WORDS.get(language, _WORDS["en"])
    if not points:
        return f'<p style="margin:4px 0"><b>{words["none"]}</b></p>'
    rows = [_point(i, point, text, words) for i, point in enumerate(points[:MAX_POINTS], start=1)]
    rest = len(points) - MAX_POINTS
    more = f"<p>{words['more'].format(rest)}</p>" if rest > 0 else ""
    return (
        f'<p style="margin:4px 0"><b>{words["title"]} ({len(points)})</b></p>'
        '<table style="border-collapse:collapse;width:100%;font-size:13px;line-height:1.35">'
        f"{''.join(rows)}</table>{more}"
    )


_CELL = "padding:3px 10px 3px 0;vertical-align:top;border-top:1px solid #e3e3e3"


def _point(number: int, point: Disagreement, text: str, words: Mapping[str, str]) -> str:
    claims: dict[str, list[str]] = {}
    for name, entities in point.entities:
        claims.setdefault(name, []).extend(_entity(e, text, point) for e in entities)
    for name, relations in point.relations:
        claims.setdefault(name, []).extend(_relation(r, text) for r in relations)
    said = [
        f"<div><span style='color:#666'>{escape(words.get(name, name))}:</span> "
        f"{'; '.join(found) if found else '<i>' + words['nothing'] + '</i>'}</div>"
        for name, found in claims.items()
    ]
    if point.note:
        said.append(f"<div><i>{escape(point.note)}</i></div>")
    cells = [
        str(number),
        f"<b>{words[point.kind]}</b>",
        f"{_place(point, text)}<br><span style='color:#888'>{point.start}–{point.end}</span>",
        "".join(said),
    ]
    return "<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells) + "</tr>"


def _place(point: Disagreement, text: str) -> str:
    """The place in its context, the middle of a long one left out."""
    start, end = point.start, point.end
    before = _flat(text[max(0, start - _CONTEXT) : start])
    after = _flat(text[end : end + _CONTEXT])
    inside = _flat(text[start:end])
    if len(inside) > 90:
        inside = f"{inside[:42]} … {inside[-42:]}"
    left = "…" if start > _CONTEXT else ""
    right = "…" if end + _CONTEXT < len(text) else ""
    return f"{left}{escape(before)}<b>{escape(inside)}</b>{escape(after)}{right}"


def _entity(entity: Entity, text: str, point: Disagreement) -> str:
    label = f"<b>{escape(entity.label)}</b>"
    if entity.span == (point.start, point.end):
        return label
    return f"{label} « {escape(_flat(text[entity.start : entity.end]))} »"


def _relation(relation: Relation, text: str) -> str:
    head = escape(_flat(text[relation.head.start : relation.head.end]))
    tail = escape(_flat(text[relation.tail.start : relation.tail.end]))
    return f"{head} → <b>{escape(relation.label)}</b> → {tail}"


def _flat(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split(" "))


# -- the project


_HIDDEN = [
    f"tasks:{name}"
    for name in (
        *(f"data.{key}" for key in (POINTS_KEY, ROUND_KEY)),
        "inner_id",
        "created_at",
        "updated_at",
        "updated_by",
        "annotations_results",
        "annotations_ids",
        "predictions_score",
        "predictions_model_versions",
        "predictions_results",
        "file_upload",
        "storage_filename",
        "avg_lead_time",
        "draft_exists",
    )
]
_VIEW: dict[str, Any] = {
    "title": "Review",
    "type": "list",
    "target": "tasks",
    "ordering": ["tasks:id"],
    "hiddenColumns": {"explore": _HIDDEN, "labeling": [*_HIDDEN, "tasks:data.text"]},
}


def find_review(client: LabelStudio, title: str, workspace: str) -> Remote | None:
    """The review project that this workspace made, if it is there.

    Raises DataError where the title is taken by another.
    """
    found, others = find_ours(client, title, workspace)
    if found is None and others:
        raise DataError(
            f"there is a project {title!r} on {client.url} that this workspace did not make; "
            "choose another title with --project"
        )
    return found


def create_review(client: LabelStudio, title: str, schema: LabelSchema, workspace: str) -> Remote:
    """Make the review project.  Raises DataError for a title that Label Studio would not take."""
    if not 3 <= len(title) <= 50:
        raise DataError(f"the review project's title {title!r} must have 3 to 50 characters")
    record = client.create_project(
        title=title,
        description=_MARK + workspace,
        label_config=review_config(schema),
        expert_instruction=render_instructions(schema),
        show_instruction=False,
        show_skip_button=True,
        enable_empty_annotation=True,
        maximum_annotations=1,
        sampling="Sequential sampling",
        model_version=START,
    )
    # without a view of its own, the list shows the points' HTML in a column
    client.post("/api/dm/views/", json={"project": record["id"], "data": _VIEW})
    return Remote(
        id=int(record["id"]),
        title=str(record.get("title") or ""),
        made_at=str(record.get("created_at") or ""),
        record=record,
    )


def review_changes(remote: Remote, schema: LabelSchema) -> dict[str, Any]:
    """What must be set for the project to be up to the schema."""
    wanted = {
        "label_config": review_config(schema),
        "expert_instruction": render_instructions(schema),
        "model_version": START,
    }
    return {
        key: value
        for key, value in wanted.items()
        if str(remote.record.get(key) or "").strip() != value.strip()
    }
