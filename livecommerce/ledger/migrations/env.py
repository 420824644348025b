"""Alembic's entry: runs on the connection that `ledger.migrate` hands over, never on one of its own."""

from alembic import context

from livecommerce.ledger.tables import metadata

connection = context.config.attributes["connection"]
# Batch mode: SQLite cannot alter a table in place, so Alembic copies it.
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
