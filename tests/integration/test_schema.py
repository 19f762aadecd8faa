"""The migrations and the tables that SQLAlchemy sees are the same."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine

from chronos_common.migrations import schema
from chronos_common.storage import request_tables
from chronos_common.storage.tables import metadata

# Whose tables are part of the metadata once it is imported.
assert request_tables.test_runs.metadata is metadata


def _is_ours(_name: str | None, _type: str, _parents: object) -> bool:
    return True


def test_the_migrations_make_the_tables_that_the_code_expects(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = [
            difference
            for difference in compare_metadata(context, metadata)
            # Indexes and the default partition live in the migrations only.
            if difference[0] not in {"remove_index", "remove_table", "remove_constraint"}
        ]
    assert differences == []


def test_an_upgraded_database_is_current_and_upgrading_again_changes_nothing(
    engine: Engine,
) -> None:
    assert schema.is_current(engine)
    schema.upgrade(engine)
    assert schema.is_current(engine)
