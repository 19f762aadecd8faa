"""The database schema, as alembic revisions."""
