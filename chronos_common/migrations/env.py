"""Runs the migrations in the connection that ``schema.upgrade`` passes to alembic."""

from alembic import context

from chronos_common.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
