"""The revisions of the schema that this version of Chronos knows, in their order.

Read from the names of the files, so that a process that starts need not load alembic.
"""

from functools import cache
from importlib.resources import files

from sqlalchemy import Connection, text


@cache
def known() -> tuple[str, ...]:
    """Return the revisions, the oldest first."""
    names = (each.name for each in files("chronos_common.migrations.versions").iterdir())
    return tuple(sorted(name.partition("_")[0] for name in names if name[:1].isdigit()))


def of_database(connection: Connection) -> str | None:
    """Return the revision of a database, None if it has no schema of ours."""
    if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar_one() is None:
        return None
    found: str | None = connection.execute(
        text("SELECT version_num FROM alembic_version")
    ).scalar_one_or_none()
    return found


def is_too_old(revision: str | None) -> bool:
    """Return whether this version needs a newer schema. Unknown revisions are newer."""
    return revision is None or revision in known()[:-1]
