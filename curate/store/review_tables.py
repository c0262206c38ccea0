"""The tables of adjudication and of the blind lane."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Integer, String, Table

from curate.store.tables import metadata

review_items = Table(
    "review_item",
    metadata,
    Column("document_id", String(200), ForeignKey("document.id"), primary_key=True),
    Column("project", Integer, ForeignKey("studio_project.id"), nullable=False),
    Column("state", String(10), nullable=False, comment="open or decided"),
    Column("reason", String(12), nullable=False, comment="difference, reopened, test or suspect"),
    Column("rule", String(200), nullable=False, comment="that left the points open"),
    Column("digest", String(64), nullable=False, comment="of what the curator is shown"),
    Column("severity", Float, nullable=False),
    Column("points", JSON, nullable=False, comment="see curate.agreement.points"),
    Column("start", JSON, nullable=False, comment="body of the starting point"),
    Column("shown", JSON, nullable=False, comment="pseudonym → body, as shown to the curator"),
    Column("decided_on", JSON, comment="pseudonym → body, when the standing decision was made"),
    Column("task_id", Integer, comment="of the annotation that became the decision"),
    Column("annotation_id", Integer),
    Column("queued_at", String(32), nullable=False),
    Column("decided_at", String(32)),
)

suspicions = Table(
    "suspicion",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("document_id", String(200), ForeignKey("document.id"), nullable=False, index=True),
    Column("sources", JSON, nullable=False, comment="the detectors that raised it"),
    Column("point", JSON, nullable=False),
    Column("outcome", String(10), nullable=False, comment="open, error or sound"),
    Column("raised_at", String(32), nullable=False),
    Column("settled_at", String(32)),
)

lanes = Table(
    "lane",
    metadata,
    Column("document_id", String(200), ForeignKey("document.id"), primary_key=True),
    Column("lane", String(10), nullable=False, comment="blind or assisted"),
    Column("share_millionths", Integer, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("drawn_at", String(32), nullable=False),
)
