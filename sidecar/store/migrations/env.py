"""Runs the versions over the connection that `schema.upgrade` hands in, inside its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
