"""Brings a database to the schema that this version of Chronos expects."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

# Any number that no other application of the database is likely to use.
_MIGRATION_LOCK = 0x43_48_52_4F


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to ``revision``; several at once wait for each other."""
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
        connection.commit()
        try:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
            connection.commit()


def is_current(engine: Engine) -> bool:
    """Tell whether the database has the newest schema."""
    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    return found == ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("chronos_common.migrations")))
    return config
