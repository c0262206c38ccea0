"""How a page is made: templates that escape everything, nothing fetched, written whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from curate import __version__
from curate.errors import DiskError

if TYPE_CHECKING:
    from jinja2 import Environment

    from curate.schema import LabelSchema


ROOM = 1_200_000
"""Bytes that the examples of a page may take: with its tables it stays under two megabytes."""

Item = TypeVar("Item")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("curate.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["interval"] = interval
    return environment


def number(value: float | None, digits: int = 3) -> str:
    """A number for people; an undefined one is n/a."""
    return "n/a" if value is None else f"{value:.{digits}f}"


def interval(value: tuple[float, float] | None, digits: int = 3) -> str:
    return "n/a" if value is None else f"{value[0]:.{digits}f} – {value[1]:.{digits}f}"


def page(template: str, **values: Any) -> str:
    """The page of a template.  Every value is escaped; a missing one is an error."""
    return _environment().get_template(template).render(version=__version__, **values)


def fitting(items: Iterable[Item], size: Callable[[Item], int], room: int = ROOM) -> list[Item]:
    """The first of the items that fit into so many bytes."""
    taken: list[Item] = []
    for item in items:
        room -= size(item)
        if room < 0:
            break
        taken.append(item)
    return taken


def origin_of(schema: LabelSchema | None, models: Iterable[str]) -> str:
    """Whose annotations a page of a store speaks of, and what the annotators started from."""
    of = "" if schema is None else f" by the schema {schema.name} {schema.version}"
    names = ", ".join(sorted(models))
    began = f"begun from predictions of {names}" if names else "begun without predictions"
    return f"those of the store{of}, {began}"


def write_page(path: Path, html: str) -> None:
    """Write a page whole or not at all.  Raises DiskError."""
    write_bytes(path, html.encode("utf-8", "replace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, its folder made where it lacks.  Raises DiskError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DiskError(f"cannot be written: {error.strerror}", path=path) from None
