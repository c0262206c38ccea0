"""The tables of the sync with Label Studio.

Times of the server are kept as the server wrote them (UTC, ISO 8601, microseconds).
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from curate.store.tables import metadata

studio_projects = Table(
    "studio_project",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("server", String(300), nullable=False, comment="base URL of the Label Studio"),
    Column("project_id", Integer, nullable=False, comment="Label Studio's id of the project"),
    Column("title", String(100), nullable=False),
    Column("purpose", String(20), nullable=False, comment="annotate or review"),
    Column("made_at", String(40), nullable=False, comment="created_at as the server says"),
    Column("abandoned", Boolean, nullable=False, default=False),
    Column("bookmark", String(40), comment="server time at which the last complete pull began"),
    Column("skew", Float, comment="server clock minus ours at that time, in seconds"),
    UniqueConstraint("server", "project_id", "made_at"),
)

studio_tasks = Table(
    "studio_task",
    metadata,
    Column("project", Integer, ForeignKey("studio_project.id"), primary_key=True),
    Column("task_id", Integer, primary_key=True, autoincrement=False),
    Column(
        "past",
        Integer,
        primary_key=True,
        autoincrement=False,
        default=0,
        comment="0; 1, 2, … for deleted tasks whose id was given to another task since",
    ),
    Column("document_id", String(200), comment="null for a task that is not ours"),
    Column("state", String(10), nullable=False, comment="present or deleted"),
    Column("problem", String(20), comment="edited, changed, foreign or unknown"),
    Column("pushed", Boolean, nullable=False, comment="whether a push of ours made it"),
    Column("made_at", String(40), comment="created_at as the server says, once it was seen"),
    Column("known_at", String(40), comment="server time at which the push was sure of it"),
    Column("text_digest", String(64), comment="of the text we sent"),
    Column("run_id", Integer, ForeignKey("model_run.id"), comment="of the prediction it shows"),
    Column("updated_at", String(40), comment="null until a pull has seen the task"),
    Column("annotations", Integer, nullable=False, default=0),
    Column("cancelled", Integer, nullable=False, default=0),
    Index("ix_studio_task_document", "project", "document_id"),
)

studio_chunks = Table(
    "studio_chunk",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("project", Integer, ForeignKey("studio_project.id"), nullable=False),
    Column("kind", String(12), nullable=False, comment="tasks or predictions"),
    Column("state", String(10), nullable=False, comment="sent, or doubtful after a repetition"),
    Column("items", JSON, nullable=False, comment="[[document id or task id, run id or null], …]"),
    Column("sent_at", String(32), nullable=False),
)

studio_raws = Table(
    "studio_raw",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("project", Integer, ForeignKey("studio_project.id"), nullable=False),
    Column("task_id", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("content", LargeBinary, nullable=False, comment="zlib of the task's JSON"),
    Column("received_at", String(32), nullable=False),
    Index("ix_studio_raw_task", "project", "task_id", "id"),
)

studio_annotations = Table(
    "studio_annotation",
    metadata,
    Column("project", Integer, ForeignKey("studio_project.id"), primary_key=True),
    Column("annotation_id", Integer, primary_key=True, autoincrement=False),
    Column("task_id", Integer, nullable=False),
    Column("document_id", String(200), ForeignKey("document.id"), nullable=False, index=True),
    Column("annotator_id", Integer, ForeignKey("annotator.id"), nullable=False),
    Column("state", String(12), nullable=False, comment="current, deleted or quarantined"),
    Column("digest", String(64), nullable=False, comment="of everything below"),
    Column("body", JSON, nullable=False),
    Column("skipped", Boolean, nullable=False),
    Column("ground_truth", Boolean, nullable=False),
    Column("lead_time", Float, comment="seconds"),
    Column("parent_run_id", Integer, ForeignKey("model_run.id")),
    Column("created_at", String(40), nullable=False),
    Column("updated_at", String(40), nullable=False),
    Index("ix_studio_annotation_task", "project", "task_id"),
)

studio_drafts = Table(
    "studio_draft",
    metadata,
    Column("project", Integer, ForeignKey("studio_project.id"), primary_key=True),
    Column("draft_id", Integer, primary_key=True, autoincrement=False),
    Column("task_id", Integer, nullable=False),
    Column("updated_at", String(40), nullable=False),
    Column("content", LargeBinary, nullable=False, comment="zlib of the draft's JSON"),
    Index("ix_studio_draft_task", "project", "task_id"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("project", Integer, ForeignKey("studio_project.id"), nullable=False),
    Column("annotation_id", Integer, nullable=False),
    Column("task_id", Integer, nullable=False),
    Column("document_id", String(200)),
    Column("reason", Text, nullable=False),
    Column("content", LargeBinary, nullable=False, comment="zlib of the annotation's JSON"),
    Column("item", JSON, comment="the item at fault, where one can be named"),
    Column("state", String(10), nullable=False, comment="open, mended or gone"),
    Column("first_seen_at", String(32), nullable=False),
    Column("last_seen_at", String(32), nullable=False),
    UniqueConstraint("project", "annotation_id"),
)
