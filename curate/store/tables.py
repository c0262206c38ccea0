"""The tables of the store.

One ``MetaData``; the migrations under ``migrations/`` are checked against it by a test.
Times are UTC ISO 8601 texts with microseconds, bodies of annotations the JSON of
:mod:`curate.store.bodies`.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

raw_pages = Table(
    "raw_page",
    metadata,
    Column("digest", String(64), primary_key=True, comment="SHA-256 of the page's bytes"),
    Column("path", Text, nullable=False),
    Column("encoding", String(40), nullable=False),
    Column("content", LargeBinary, nullable=False, comment="zlib"),
)

documents = Table(
    "document",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True, comment="order of ingestion"),
    Column("id", String(200), nullable=False, unique=True),
    Column("text", Text, nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("source", Text, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("group_id", String(200), nullable=False, index=True),
    Column("signature", LargeBinary, comment="for near-duplicates; see curate.similarity"),
    Column("raw_digest", String(64), ForeignKey("raw_page.digest")),
    Column("pieces", JSON, comment="offset map from the text into the decoded raw page"),
    Column("dropped", JSON, comment="lines left out, with their reasons"),
    Column("ingested_at", String(32), nullable=False),
)

model_runs = Table(
    "model_run",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(200), nullable=False),
    Column("version", String(200), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("first_used_at", String(32), nullable=False),
    UniqueConstraint("name", "version", "digest"),
)

predictions = Table(
    "prediction",
    metadata,
    Column("document_id", String(200), ForeignKey("document.id"), primary_key=True),
    Column("model_run_id", Integer, ForeignKey("model_run.id"), primary_key=True),
    Column("body", JSON, nullable=False),
    Column("score", Float, comment="mean of the scores; null where the model gives none"),
    Column("created_at", String(32), nullable=False),
)

annotators = Table(
    "annotator",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("pseudonym", String(100), nullable=False, unique=True),
    Column("server", String(300), nullable=False, comment="base URL of the Label Studio"),
    Column("user_id", Integer, nullable=False, comment="Label Studio's id of the user"),
    Column("email", String(300), comment="known by invitation only; never leaves the store"),
    UniqueConstraint("server", "user_id"),
)

decisions = Table(
    "decision",
    metadata,
    Column("document_id", String(200), ForeignKey("document.id"), primary_key=True),
    Column("body", JSON, nullable=False),
    Column("source_kind", String(20), nullable=False, comment="consensus or curator"),
    Column("source_name", String(200), nullable=False),
    Column("provenance", JSON, nullable=False),
    Column("decided_at", String(32), nullable=False),
)

facts = Table(
    "fact",
    metadata,
    Column("key", String(100), primary_key=True),
    Column("value", JSON, nullable=False),
)
