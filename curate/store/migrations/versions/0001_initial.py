"""The first store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "annotator",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("pseudonym", sa.String(length=100), nullable=False),
        sa.Column(
            "server", sa.String(length=300), nullable=False, comment="base URL of the Label Studio"
        ),
        sa.Column("user_id", sa.Integer(), nullable=False, comment="Label Studio's id of the user"),
        sa.Column(
            "email",
            sa.String(length=300),
            nullable=True,
            comment="known by invitation only; never leaves the store",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_annotator")),
        sa.UniqueConstraint("pseudonym", name=op.f("uq_annotator_pseudonym")),
        sa.UniqueConstraint("server", "user_id", name=op.f("uq_annotator_server_user_id")),
    )
    op.create_table(
        "fact",
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_fact")),
    )
    op.create_table(
        "model_run",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("version", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("first_used_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_run")),
        sa.UniqueConstraint(
            "name", "version", "digest", name=op.f("uq_model_run_name_version_digest")
        ),
    )
    op.create_table(
        "raw_page",
        sa.Column(
            "digest", sa.String(length=64), nullable=False, comment="SHA-256 of the page's bytes"
        ),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("encoding", sa.String(length=40), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False, comment="zlib"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_raw_page")),
    )
    op.create_table(
        "studio_project",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column(
            "server", sa.String(length=300), nullable=False, comment="base URL of the Label Studio"
        ),
        sa.Column(
            "project_id", sa.Integer(), nullable=False, comment="Label Studio's id of the project"
        ),
        sa.Column("title", sa.String(length=100), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False, comment="annotate or review"),
        sa.Column(
            "made_at", sa.String(length=40), nullable=False, comment="created_at as the server says"
        ),
        sa.Column("abandoned", sa.Boolean(), nullable=False),
        sa.Column(
            "bookmark",
            sa.String(length=40),
            nullable=True,
            comment="server time at which the last complete pull began",
        ),
        sa.Column(
            "skew",
            sa.Float(),
            nullable=True,
            comment="server clock minus ours at that time, in seconds",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studio_project")),
        sa.UniqueConstraint(
            "server",
            "project_id",
            "made_at",
            name=op.f("uq_studio_project_server_project_id_made_at"),
        ),
    )
    op.create_table(
        "document",
        sa.Column(
            "seq", sa.Integer(), autoincrement=True, nullable=False, comment="order of ingestion"
        ),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("group_id", sa.String(length=200), nullable=False),
        sa.Column(
            "signature",
            sa.LargeBinary(),
            nullable=True,
            comment="for near-duplicates; see curate.similarity",
        ),
        sa.Column("raw_digest", sa.String(length=64), nullable=True),
        sa.Column(
            "pieces",
            sa.JSON(),
            nullable=True,
            comment="offset map from the text into the decoded raw page",
        ),
        sa.Column(
            "dropped", sa.JSON(), nullable=True, comment="lines left out, with their reasons"
        ),
        sa.Column("ingested_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["raw_digest"], ["raw_page.digest"], name=op.f("fk_document_raw_digest")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_document")),
        sa.UniqueConstraint("id", name=op.f("uq_document_id")),
    )
    op.create_index(op.f("ix_document_digest"), "document", ["digest"], unique=False)
    op.create_index(op.f("ix_document_group_id"), "document", ["group_id"], unique=False)
    op.create_table(
        "quarantine",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("project", sa.Integer(), nullable=False),
        sa.Column("annotation_id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("document_id", sa.String(length=200), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "content", sa.LargeBinary(), nullable=False, comment="zlib of the annotation's JSON"
        ),
        sa.Column(
            "item", sa.JSON(), nullable=True, comment="the item at fault, where one can be named"
        ),
        sa.Column("state", sa.String(length=10), nullable=False, comment="open, mended or gone"),
        sa.Column("first_seen_at", sa.String(length=32), nullable=False),
        sa.Column("last_seen_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["project"], ["studio_project.id"], name=op.f("fk_quarantine_project")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint(
            "project", "annotation_id", name=op.f("uq_quarantine_project_annotation_id")
        ),
    )
    op.create_table(
        "studio_chunk",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("project", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False, comment="tasks or predictions"),
        sa.Column(
            "state",
            sa.String(length=10),
            nullable=False,
            comment="sent, or doubtful after a repetition",
        ),
        sa.Column(
            "items",
            sa.JSON(),
            nullable=False,
            comment="[[document id or task id, run id or null], …]",
        ),
        sa.Column("sent_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["project"], ["studio_project.id"], name=op.f("fk_studio_chunk_project")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studio_chunk")),
    )
    op.create_table(
        "studio_draft",
        sa.Column("project", sa.Integer(), nullable=False),
        sa.Column("draft_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.String(length=40), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False, comment="zlib of the draft's JSON"),
        sa.ForeignKeyConstraint(
            ["project"], ["studio_project.id"], name=op.f("fk_studio_draft_project")
        ),
        sa.PrimaryKeyConstraint("project", "draft_id", name=op.f("pk_studio_draft")),
    )
    op.create_index("ix_studio_draft_task", "studio_draft", ["project", "task_id"], unique=False)
    op.create_table(
        "studio_raw",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("project", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False, comment="zlib of the task's JSON"),
        sa.Column("received_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["project"], ["studio_project.id"], name=op.f("fk_studio_raw_project")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studio_raw")),
    )
    op.create_index("ix_studio_raw_task", "studio_raw", ["project", "task_id", "id"], unique=False)
    op.create_table(
        "studio_task",
        sa.Column("project", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "past",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="0; 1, 2, … for deleted tasks whose id was given to another task since",
        ),
        sa.Column(
            "document_id",
            sa.String(length=200),
            nullable=True,
            comment="null for a task that is not ours",
        ),
        sa.Column("state", sa.String(length=10), nullable=False, comment="present or deleted"),
        sa.Column(
            "problem",
            sa.String(length=20),
            nullable=True,
            comment="edited, changed, foreign or unknown",
        ),
        sa.Column("pushed", sa.Boolean(), nullable=False, comment="whether a push of ours made it"),
        sa.Column(
            "made_at",
            sa.String(length=40),
            nullable=True,
            comment="created_at as the server says, once it was seen",
        ),
        sa.Column(
            "known_at",
            sa.String(length=40),
            nullable=True,
            comment="server time at which the push was sure of it",
        ),
        sa.Column(
            "text_digest", sa.String(length=64), nullable=True, comment="of the text we sent"
        ),
        sa.Column("run_id", sa.Integer(), nullable=True, comment="of the prediction it shows"),
        sa.Column(
            "updated_at",
            sa.String(length=40),
            nullable=True,
            comment="null until a pull has seen the task",
        ),
        sa.Column("annotations", sa.Integer(), nullable=False),
        sa.Column("cancelled", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project"], ["studio_project.id"], name=op.f("fk_studio_task_project")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["model_run.id"], name=op.f("fk_studio_task_run_id")),
        sa.PrimaryKeyConstraint("project", "task_id", "past", name=op.f("pk_studio_task")),
    )
    op.create_index(
        "ix_studio_task_document", "studio_task", ["project", "document_id"], unique=False
    )
    op.create_table(
        "decision",
        sa.Column("document_id", sa.String(length=200), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column(
            "source_kind", sa.String(length=20), nullable=False, comment="consensus or curator"
        ),
        sa.Column("source_name", sa.String(length=200), nullable=False),
        sa.Column("provenance", sa.JSON(), nullable=False),
        sa.Column("decided_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"], ["document.id"], name=op.f("fk_decision_document_id")
        ),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_decision")),
    )
    op.create_table(
        "lane",
        sa.Column("document_id", sa.String(length=200), nullable=False),
        sa.Column("lane", sa.String(length=10), nullable=False, comment="blind or assisted"),
        sa.Column("share_millionths", sa.Integer(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("drawn_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], name=op.f("fk_lane_document_id")),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_lane")),
    )
    op.create_table(
        "prediction",
        sa.Column("document_id", sa.String(length=200), nullable=False),
        sa.Column("model_run_id", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column(
            "score",
            sa.Float(),
            nullable=True,
            comment="mean of the scores; null where the model gives none",
        ),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"], ["document.id"], name=op.f("fk_prediction_document_id")
        ),
        sa.ForeignKeyConstraint(
            ["model_run_id"], ["model_run.id"], name=op.f("fk_prediction_model_run_id")
        ),
        sa.PrimaryKeyConstraint("document_id", "model_run_id", name=op.f("pk_prediction")),
    )
    op.create_table(
        "review_item",
        sa.Column("document_id", sa.String(length=200), nullable=False),
        sa.Column("project", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False, comment="open or decided"),
        sa.Column(
            "reason",
            sa.String(length=12),
            nullable=False,
            comment="difference, reopened, test or suspect",
        ),
        sa.Column(
            "rule", sa.String(length=200), nullable=False, comment="that left the points open"
        ),
        sa.Column(
            "digest", sa.String(length=64), nullable=False, comment="of what the curator is shown"
        ),
        sa.Column("severity", sa.Float(), nullable=False),
        sa.Column("points", sa.JSON(), nullable=False, comment="see curate.agreement.points"),
        sa.Column("start", sa.JSON(), nullable=False, comment="body of the starting point"),
        sa.Column(
            "shown", sa.JSON(), nullable=False, comment="pseudonym → body, as shown to the curator"
        ),
        sa.Column(
            "decided_on",
            sa.JSON(),
            nullable=True,
            comment="pseudonym → body, when the standing decision was made",
        ),
        sa.Column(
            "task_id",
            sa.Integer(),
            nullable=True,
            comment="of the annotation that became the decision",
        ),
        sa.Column("annotation_id", sa.Integer(), nullable=True),
        sa.Column("queued_at", sa.String(length=32), nullable=False),
        sa.Column("decided_at", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["document_id"], ["document.id"], name=op.f("fk_review_item_document_id")
        ),
        sa.ForeignKeyConstraint(
            ["project"], ["studio_project.id"], name=op.f("fk_review_item_project")
        ),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_review_item")),
    )
    op.create_table(
        "studio_annotation",
        sa.Column("project", sa.Integer(), nullable=False),
        sa.Column("annotation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("document_id", sa.String(length=200), nullable=False),
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column(
            "state", sa.String(length=12), nullable=False, comment="current, deleted or quarantined"
        ),
        sa.Column("digest", sa.String(length=64), nullable=False, comment="of everything below"),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("skipped", sa.Boolean(), nullable=False),
        sa.Column("ground_truth", sa.Boolean(), nullable=False),
        sa.Column("lead_time", sa.Float(), nullable=True, comment="seconds"),
        sa.Column("parent_run_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.String(length=40), nullable=False),
        sa.Column("updated_at", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotator.id"], name=op.f("fk_studio_annotation_annotator_id")
        ),
        sa.ForeignKeyConstraint(
            ["document_id"], ["document.id"], name=op.f("fk_studio_annotation_document_id")
        ),
        sa.ForeignKeyConstraint(
            ["parent_run_id"], ["model_run.id"], name=op.f("fk_studio_annotation_parent_run_id")
        ),
        sa.ForeignKeyConstraint(
            ["project"], ["studio_project.id"], name=op.f("fk_studio_annotation_project")
        ),
        sa.PrimaryKeyConstraint("project", "annotation_id", name=op.f("pk_studio_annotation")),
    )
    op.create_index(
        op.f("ix_studio_annotation_document_id"), "studio_annotation", ["document_id"], unique=False
    )
    op.create_index(
        "ix_studio_annotation_task", "studio_annotation", ["project", "task_id"], unique=False
    )
    op.create_table(
        "suspicion",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("document_id", sa.String(length=200), nullable=False),
        sa.Column("sources", sa.JSON(), nullable=False, comment="the detectors that raised it"),
        sa.Column("point", sa.JSON(), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False, comment="open, error or sound"),
        sa.Column("raised_at", sa.String(length=32), nullable=False),
        sa.Column("settled_at", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["document_id"], ["document.id"], name=op.f("fk_suspicion_document_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suspicion")),
    )
    op.create_index(op.f("ix_suspicion_document_id"), "suspicion", ["document_id"], unique=False)
