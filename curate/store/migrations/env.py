"""Run by Alembic; the connection is handed in by :func:`curate.store.migrations.upgrade`."""

from __future__ import annotations

from alembic import context

from curate.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
