"""How a page is made: templates that escape everything, nothing fetched, written whole."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import DiskError

if TYPE_CHECKING:
    from jinja2 import Environment


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
    return _environment().get_template(template).render(**values)


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
