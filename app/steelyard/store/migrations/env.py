"""Alembic's entry: runs on the connection that steelyard.store.schema hands over."""

from alembic import context

from steelyard.store.schema import configure

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("use 'steelyard database upgrade': Alembic is not configured for itself here")
configure(context.configure, connection)
with context.begin_transaction():
    context.run_migrations()
