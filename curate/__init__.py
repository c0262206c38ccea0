"""curate: gold corpora of entities and relations, and models kept honest against them."""

from __future__ import annotations

__version__ = "0.1.0"
