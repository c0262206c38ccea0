"""The files that travel with curate: the default schema and the sample corpus.

In a wheel they lie inside the package, in a checkout beside it.
"""

from __future__ import annotations

from pathlib import Path

from curate.errors import ConfigurationError

_PACKAGE = Path(__file__).parent


def resource(name: str) -> Path:
    """The path of ``label_configs`` or ``examples``, or of something below them.

    Raises ConfigurationError where this installation lacks it.
    """
    for root in (_PACKAGE / "_data", _PACKAGE.parent):
        path = root / name
        if path.exists():
            return path
    raise ConfigurationError(f"this installation of curate lacks its {name}; install it again")


def default_schema() -> Path:
    return resource("label_configs/sahel.yaml")
