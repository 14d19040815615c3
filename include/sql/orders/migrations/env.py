"""Alembic's entry point: each migration and its version number commit together, on the connection the caller gives."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="orders_sync_version",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
