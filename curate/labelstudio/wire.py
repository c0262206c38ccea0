"""What Label Studio sends, parsed strictly.

The envelope of a task is read leniently in what it may hold besides (Label Studio adds fields with
every version) and strictly in what we rely on.  Annotations and their result items stay raw
JSON until each is parsed by itself, so that one misfit does not take its neighbours with it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from curate.errors import DataError, ServerFaultError

DATA_ID = "curate_id"
"""The key of a task's data that holds our document id."""

DATA_TEXT = "text"


class MisfitError(DataError):
    """Something that Label Studio holds does not fit our document or schema.

    ``item`` is the raw JSON at fault, where one item can be named.
    """

    def __init__(self, message: str, *, item: Any = None, **place: Any) -> None:
        super().__init__(message, **place)
        self.item = item


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


def _user_id(value: Any) -> Any:
    # a user is a bare id, or an object where the endpoint expands it
    return value.get("id") if isinstance(value, dict) else value


UserId = Annotated[int | None, BeforeValidator(_user_id)]


class RegionValue(_Wire):
    """A marked span.  ``text`` is what Label Studio believes stands there; it is not trusted."""

    start: int
    end: int
    labels: list[str]


class RegionItem(_Wire):
    type: Literal["labels"]
    id: str = Field(min_length=1)
    value: RegionValue
    score: float | None = None
    origin: str | None = None


class RelationItem(_Wire):
    type: Literal["relation"]
    from_id: str
    to_id: str
    direction: Literal["right", "left", "bi"] = "right"
    labels: list[str] | None = None


class NoteValue(_Wire):
    text: list[str] | str


class NoteItem(_Wire):
    """A text typed for a region, whose id it repeats, or for the whole task."""

    type: Literal["textarea"]
    from_name: str = ""
    id: str = Field(min_length=1)
    value: NoteValue


Item = RegionItem | RelationItem | NoteItem
_ITEMS: dict[str, type[RegionItem] | type[RelationItem] | type[NoteItem]] = {
    "labels": RegionItem,
    "relation": RelationItem,
    "textarea": NoteItem,
}


class WireAnnotation(_Wire):
    """An annotation without its result parsed.  ``lead_time`` is in seconds."""

    id: int
    completed_by: UserId = None
    result: list[Any]
    was_cancelled: bool = False
    ground_truth: bool = False
    lead_time: float | None = None
    created_at: str
    updated_at: str
    parent_prediction: int | None = None
    parent_annotation: int | None = None


class WirePrediction(_Wire):
    id: int
    model_version: str | None = None


class WireDraft(_Wire):
    id: int
    user: str | int | None = None
    annotation: int | None = None
    updated_at: str = ""


class WireTask(_Wire):
    """A task; its annotations, predictions and drafts raw."""

    id: int
    data: dict[str, Any]
    created_at: str = ""
    updated_at: str
    total_annotations: int = 0
    cancelled_annotations: int = 0
    annotations: list[Any] = Field(default_factory=list)
    predictions: list[Any] = Field(default_factory=list)
    drafts: list[Any] = Field(default_factory=list)

    @property
    def document_id(self) -> str | None:
        """Our document id, where the task's data hold one."""
        value = self.data.get(DATA_ID)
        return value if isinstance(value, str) and value else None

    @property
    def text(self) -> str | None:
        value = self.data.get(DATA_TEXT)
        return value if isinstance(value, str) else None

    @property
    def signature(self) -> tuple[str, int, int]:
        """What changes whenever the task's annotations do."""
        return (self.updated_at, self.total_annotations, self.cancelled_annotations)


_Model = TypeVar("_Model", bound=_Wire)


def parse_item(raw: Any) -> Item:
    """One result item.  Raises MisfitError naming what is wrong with it."""
    kind = raw.get("type") if isinstance(raw, dict) else None
    model = _ITEMS.get(kind) if isinstance(kind, str) else None
    if model is None:
        what = f"of type {kind!r}" if isinstance(kind, str) else "without a type"
        raise MisfitError(f"a result item {what} is nothing our configuration makes", item=raw)
    return _parse(model, raw, f"a {kind} item")


def parse_annotation(raw: Any) -> WireAnnotation:
    """Raises MisfitError for an annotation of a form we do not know."""
    return _parse(WireAnnotation, raw, "an annotation")


def parse_prediction(raw: Any) -> WirePrediction:
    """Raises MisfitError for a prediction of a form we do not know."""
    return _parse(WirePrediction, raw, "a prediction")


def parse_draft(raw: Any) -> WireDraft:
    """Raises MisfitError for a draft of a form we do not know."""
    return _parse(WireDraft, raw, "a draft")


def parse_task(raw: Any) -> WireTask:
    """Raises ServerFaultError for a task of a form we do not know: nothing of it can be used."""
    try:
        return _parse(WireTask, raw, "a task")
    except MisfitError as error:
        raise ServerFaultError(
            f"Label Studio sent {error}; is its version supported? (`curate doctor`)"
        ) from None


def _parse(model: type[_Model], raw: Any, what: str) -> _Model:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise MisfitError(
            f"{what} with {place or 'its form'} wrong: {first['msg'].lower()}", item=raw
        ) from None
