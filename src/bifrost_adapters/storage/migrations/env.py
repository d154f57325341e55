"""Run by Alembic. Who upgrades hands over a connection and commits; a failed upgrade leaves nothing behind."""

from alembic import context

from bifrost_adapters.storage._tables import Table

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Table.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
