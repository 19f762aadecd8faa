"""Brings a database to the schema that this version of Chronos expects.

A large database takes its time, and a running cluster goes on meanwhile. So a statement may take
as long as it needs, but waits for a lock no longer than ``steps.LOCK_SECONDS``. Then its revision
begins again after a while.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

import psycopg2.errors
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from chronos_common.errors import ChronosError
from chronos_common.migrations import revisions
from chronos_common.migrations.steps import LOCK_SECONDS, Say
from chronos_common.storage.postgres.database import connect_for_long_statements

# Any number that no other application of the database is likely to use.
_MIGRATION_LOCK = 0x43_48_52_4F

#: Attempts of a revision whose tables are in use, and the rest between them. Together 20 minutes.
_ATTEMPTS = 100
_REST_SECONDS = 10.0

#: How often to look whether another upgrade has ended.
_LOOK_SECONDS = 0.5


class RevisionUnknown(ChronosError):
    """This version of Chronos knows no such revision of the schema."""


class TablesInUse(ChronosError):
    """A revision could not lock its tables."""


def _say_nothing(_words: str) -> None:
    pass


def upgrade(engine: Engine, revision: str = "head", *, say: Say = _say_nothing) -> str:
    """Bring the schema to ``revision``, and return the revision that it has then.

    ``say`` gets a line for each step. Several upgrades at once wait for each other. A schema that
    is newer stays as it is, even if only a newer version of Chronos knows it. Raises
    :class:`RevisionUnknown` and :class:`TablesInUse`.
    """
    if revision not in {"head", *revisions.known()}:
        raise RevisionUnknown(
            f"There is no revision {revision!r} of the schema; give one from "
            f"{revisions.known()[0]} to {revisions.known()[-1]}, or leave --revision out."
        )
    patient = connect_for_long_statements(engine.url, name="chronos-db", lock_seconds=LOCK_SECONDS)
    config = _config()
    with patient.connect() as connection, _alone(connection, say):
        config.attributes |= {"connection": connection, "say": say}
        # One for all of them: it loads every revision's module.
        scripts = ScriptDirectory.from_config(config)
        for step in _missing(connection, revision):
            _upgrade_one(EnvironmentContext(config, scripts), step)
        return str(_current(connection))


def _missing(connection: Connection, revision: str) -> list[str]:
    """Return the revisions up to ``revision`` that the database lacks, the oldest first."""
    known = revisions.known()
    current = _current(connection)
    if current is not None and current not in known:
        return []
    first = 0 if current is None else known.index(current) + 1
    end = len(known) if revision == "head" else known.index(revision) + 1
    return list(known[first:end])


def _current(connection: Connection) -> str | None:
    with connection.begin():
        return revisions.of_database(connection)


def _upgrade_one(environment: EnvironmentContext, revision: str) -> None:
    """Run one revision, again and again while others hold its tables."""
    connection, say = (environment.config.attributes[name] for name in ("connection", "say"))
    say(f"{revision} of {revisions.known()[-1]}: {environment.script.get_revision(revision).doc}")
    began = time.monotonic()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _run(environment, revision)
        except DBAPIError as error:
            connection.rollback()
            if not isinstance(error.orig, _IN_USE):
                raise
            say(f"  waits for a table in use, attempt {attempt} of {_ATTEMPTS}")
            time.sleep(min(attempt, _REST_SECONDS))
        else:
            say(f"  done in {time.monotonic() - began:.1f} s")
            return
    raise TablesInUse(
        f"Revision {revision} could not lock its tables. End the long transactions that "
        "'chronos doctor' names, and run 'chronos db upgrade' again."
    )


def _run(environment: EnvironmentContext, revision: str) -> None:
    scripts = environment.script
    environment.context_opts = {
        "destination_rev": revision,
        "fn": lambda current, _: scripts._upgrade_revs(revision, current),  # noqa: SLF001 - as alembic's own command
    }
    with environment:
        scripts.run_env()


_IN_USE = (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected)


@contextmanager
def _alone(connection: Connection, say: Say) -> Iterator[None]:
    """Hold the lock of upgrades during the block.

    Waiting inside PostgreSQL would be a transaction for which the other upgrade's concurrent
    builds of indexes have to wait.
    """
    told = None
    while not _holds(connection, _TRY_LOCK):
        with connection.begin():
            holder = connection.execute(_HOLDER, {"key": _MIGRATION_LOCK}).one_or_none()
        if holder is not None and holder != told:
            told = holder
            say(
                f"Another upgrade is under way: {holder.name} (pid {holder.pid} in PostgreSQL) "
                f"from {holder.host}, since {holder.since:%Y-%m-%d %H:%M:%S} UTC. This one waits."
            )
        time.sleep(_LOOK_SECONDS)
    try:
        yield
    finally:
        connection.rollback()
        _holds(connection, _UNLOCK)


def _holds(connection: Connection, statement: str) -> bool:
    with connection.begin():
        return bool(connection.execute(text(statement), {"key": _MIGRATION_LOCK}).scalar_one())


_TRY_LOCK = "SELECT pg_try_advisory_lock(:key)"
_UNLOCK = "SELECT pg_advisory_unlock(:key)"
_HOLDER = text("""
    SELECT a.pid, coalesce(nullif(a.application_name, ''), 'unnamed') AS name,
           coalesce(host(a.client_addr), 'this host') AS host, a.backend_start AS since
      FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE l.locktype = 'advisory' AND l.granted AND l.database = (
               SELECT oid FROM pg_database WHERE datname = current_database())
       AND l.classid = 0 AND l.objid = :key AND l.objsubid = 1""")


def is_current(engine: Engine) -> bool:
    """Return whether the database has the newest schema."""
    with engine.connect() as connection:
        return revisions.of_database(connection) == revisions.known()[-1]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("chronos_common.migrations")))
    return config
