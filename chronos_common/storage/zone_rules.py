"""The statements about time zones: which rules stored instants were computed with.

``zone_databases`` holds every database of zones that an instant in ``schedules`` may come from,
and says which of them the installation adopted last.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, text

from chronos_common.storage.jobs.columns import INSTANTS_SQL
from chronos_common.storage.postgres import array_adapter

#: The action of such a move in the audit log.
ACTION = "job.timezone_rules"

#: Databases to keep: an API of the one before may still have written with it.
KEPT = 4


class Correction(NamedTuple):
    """The next run of a schedule by the rules that ``zone_rules`` marks."""

    job_id: UUID
    next_run_at: datetime | None
    zone_rules: int | None


class Adopted(NamedTuple):
    """The database of zones that the installation plans with."""

    digest: str
    version: str


_ADOPTED = text("""
    SELECT digest, version FROM zone_databases WHERE adopted_at IS NOT NULL
     ORDER BY adopted_at DESC LIMIT 1""")


def adopted(connection: Connection) -> Adopted | None:
    """Return the database that was adopted last, or None before the first one."""
    row = connection.execute(_ADOPTED).one_or_none()
    return None if row is None else Adopted(row.digest, row.version)


_STORE = text("""
    INSERT INTO zone_databases (digest, version, archive) VALUES (:digest, :version, :archive)
        ON CONFLICT DO NOTHING""")


def store(connection: Connection, digest: str, *, version: str, archive: bytes) -> None:
    """Store a database. This comes before instants are computed with it."""
    connection.execute(_STORE, {"digest": digest, "version": version, "archive": archive})


def archives(connection: Connection) -> Sequence[bytes]:
    """Return the packed files of all databases that are kept."""
    query = text("SELECT archive FROM zone_databases")
    return [bytes(each) for each in connection.execute(query).scalars()]


_ADOPT = text("UPDATE zone_databases SET adopted_at = :now WHERE digest = :digest")
_FORGET = text("""
    DELETE FROM zone_databases WHERE digest IN (
        SELECT digest FROM zone_databases WHERE adopted_at IS NOT NULL
         ORDER BY adopted_at DESC OFFSET :kept)""")


def adopt(connection: Connection, digest: str, *, now: datetime) -> None:
    """Make it the installation's database, and forget the oldest ones."""
    connection.execute(_ADOPT, {"digest": digest, "now": now})
    connection.execute(_FORGET, {"kept": KEPT})


_PAGE_END = text("""
    SELECT job_id FROM (
        SELECT job_id FROM schedules WHERE job_id > :after ORDER BY job_id LIMIT :size) page
     ORDER BY job_id DESC LIMIT 1""")


def page_end(connection: Connection, *, after: UUID, size: int) -> UUID | None:
    """Return the last of the next ``size`` schedules in the order of their ids."""
    found: UUID | None = connection.execute(
        _PAGE_END, {"after": after, "size": size}
    ).scalar_one_or_none()
    return found


# Locked in the order of ids, as changes of many jobs do. A plan skips locked schedules. This waits
# for those that a plan holds, and reads them as the plan leaves them.
_OUTDATED = """
    SELECT s.job_id, s.workspace_id, s.next_run_at, s.zone_rules, j.name, {columns}
      FROM schedules s JOIN jobs j ON j.id = s.job_id
     WHERE {which} AND s.kind = 'cron' AND s.next_run_at IS NOT NULL AND j.deleted_at IS NULL
       AND s.zone_rules IS DISTINCT FROM CAST(CAST(:marks AS jsonb) ->> s.timezone AS bigint)
     ORDER BY s.job_id
       FOR UPDATE OF s"""
_OUTDATED_BETWEEN = text(
    _OUTDATED.format(columns=INSTANTS_SQL, which="s.job_id > :after AND s.job_id <= :until")
)
_OUTDATED_OF = text(
    _OUTDATED.format(columns=INSTANTS_SQL, which="s.job_id = ANY(CAST(:ids AS uuid[]))")
)


def outdated_between(
    connection: Connection, *, after: UUID, until: UUID, marks: Mapping[str, int]
) -> Sequence[Row[Any]]:
    """Lock and return schedules of (``after``, ``until``] that were computed with other rules.

    ``marks`` are those of today's rules by the names of zones.
    """
    values = {"after": after, "until": until, "marks": json.dumps(marks)}
    return connection.execute(_OUTDATED_BETWEEN, values).all()


def outdated_of(
    connection: Connection, job_ids: Sequence[UUID], *, marks: Mapping[str, int]
) -> Sequence[Row[Any]]:
    """Lock and return those of the schedules that were computed with other rules."""
    values = {"ids": list(job_ids), "marks": json.dumps(marks)}
    return connection.execute(_OUTDATED_OF, values).all()


_CORRECT = text("""
    UPDATE schedules s SET next_run_at = m.next_run_at, zone_rules = m.zone_rules
      FROM unnest(CAST(:job_id AS uuid[]), CAST(:next_run_at AS timestamptz[]),
                  CAST(:zone_rules AS bigint[])) AS m (job_id, next_run_at, zone_rules)
     WHERE s.job_id = m.job_id""")


def correct(connection: Connection, corrections: Sequence[Correction]) -> None:
    """Store the corrected next runs of locked schedules."""
    if corrections:
        connection.execute(_CORRECT, array_adapter.columns(corrections))
