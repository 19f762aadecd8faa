"""Brings a database to the schema that this version of Chronos expects."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from chronos_common.errors import ChronosError
from chronos_common.migrations import revisions

# Any number that no other application of the database is likely to use.
_MIGRATION_LOCK = 0x43_48_52_4F


class RevisionUnknown(ChronosError):
    """This version of Chronos knows no such revision of the schema."""


def upgrade(engine: Engine, revision: str = "head") -> str:
    """Bring the schema to ``revision``, and return the revision that it has then.

    Several at once wait for each other. A schema that is newer stays as it is, even if only a
    newer version of Chronos knows it. Raises :class:`RevisionUnknown`.
    """
    if revision not in {"head", *revisions.known()}:
        raise RevisionUnknown(
            f"There is no revision {revision!r} of the schema; give one from "
            f"{revisions.known()[0]} to {revisions.known()[-1]}, or leave --revision out."
        )
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
        found = revisions.of_database(connection)
        connection.commit()
        try:
            if found is None or found in revisions.known():
                config = _config()
                config.attributes["connection"] = connection
                command.upgrade(config, revision)
                connection.commit()
                found = revisions.of_database(connection)
            return str(found)
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
            connection.commit()


def is_current(engine: Engine) -> bool:
    """Return whether the database has the newest schema."""
    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    return found == ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("chronos_common.migrations")))
    return config
