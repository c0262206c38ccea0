"""How far annotators agree, and what several of them come to."""

from __future__ import annotations
