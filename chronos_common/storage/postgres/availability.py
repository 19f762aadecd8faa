"""Whether the database can be used and, if not, the remedy in one line."""

import re
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from chronos_common.errors import ChronosError
from chronos_common.migrations import revisions
from chronos_common.storage.postgres.database import is_outage, reading


class DatabaseUnusable(ChronosError):
    """The database cannot be used."""


@dataclass(frozen=True, slots=True)
class DatabaseProblem:
    """A problem of the database and its remedy."""

    says: str
    remedy: str

    def __str__(self) -> str:
        """Return both as one line."""
        return f"{self.says} {self.remedy}"


#: Pieces of the messages of PostgreSQL and of libpq, which give no code for a failed connection.
_KNOWN = (
    (
        r"authentication failed|no password supplied|role .* does not exist|pg_hba\.conf",
        "PostgreSQL refuses the user",
        "Correct the user and the password in CHRONOS_DATABASE_URL.",
    ),
    (
        r"database .* does not exist",
        "PostgreSQL has no such database",
        "Create it with 'createdb', or correct its name in CHRONOS_DATABASE_URL.",
    ),
    (
        r"starting up|shutting down|in recovery mode|not yet accepting",
        "PostgreSQL is not ready",
        "Try again in a moment.",
    ),
    (
        r"too many clients|connection slots|too many connections",
        "PostgreSQL takes no more connections",
        "Raise max_connections, or stop programs that hold them; 'chronos doctor' counts them.",
    ),
    (
        r"permission denied|must be owner",
        "The user may not do this in PostgreSQL",
        "Make the user of CHRONOS_DATABASE_URL the owner of the database.",
    ),
    (
        r"read-only transaction",
        "PostgreSQL takes no changes here",
        "Name the primary server in CHRONOS_DATABASE_URL, not a standby.",
    ),
    (
        r"SSL|certificate",
        "PostgreSQL and Chronos do not agree on encryption",
        "Correct sslmode and the certificates in CHRONOS_DATABASE_URL.",
    ),
    (
        r"invalid (dsn|URI|connection option|integer|port)|invalid .* value",
        "CHRONOS_DATABASE_URL cannot be used",
        "Correct its options.",
    ),
)


def explain(error: DBAPIError) -> DatabaseProblem | None:
    """Return the problem behind ``error``. None if a statement of ours is at fault."""
    lines = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
    for pattern, says, remedy in _KNOWN:
        told = [line for line in lines if re.search(pattern, line)]
        if told:
            return DatabaseProblem(f"{says}: {told[0].strip()}.", remedy)
    if not is_outage(error):
        return None
    return DatabaseProblem(
        f"PostgreSQL does not answer: {lines[0].strip()}.",
        "Start it, or correct the address in CHRONOS_DATABASE_URL.",
    )


def require_answer(engine: Engine) -> str | None:
    """Return the revision of the schema. Raise :class:`DatabaseUnusable` without an answer."""
    try:
        with reading(engine) as connection:
            return revisions.of_database(connection)
    except DBAPIError as error:
        problem = explain(error)
        if problem is None:
            raise
        raise DatabaseUnusable(str(problem)) from error


def require(engine: Engine) -> None:
    """Raise :class:`DatabaseUnusable` unless the database answers and its schema can be used.

    A schema that is newer than this version is one: during an upgrade, older processes go on.
    """
    revision = require_answer(engine)
    if revisions.is_too_old(revision):
        raise DatabaseUnusable(
            f"{_schema_fault(revision)} Bring it up to date with 'chronos db upgrade'."
        )


def _schema_fault(revision: str | None) -> str:
    if not revision:
        return "The database has no schema yet."
    return f"The schema is at revision {revision}, this version needs {revisions.known()[-1]}."
