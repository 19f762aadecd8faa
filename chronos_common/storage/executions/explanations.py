"""The statements that explain why a job ran or did not run at an instant."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, RowMapping, select, text

from chronos_common import ids
from chronos_common.storage.jobs.jobs import SCHEDULE_COLUMNS
from chronos_common.storage.tables import jobs, schedules

#: The number of rows to search for one that stands for missed occurrences.
_ROWS_BACK = 50


def job(connection: Connection, workspace_id: UUID, job_id: UUID) -> RowMapping | None:
    """Return the job with its schedule, even a deleted one."""
    query = (
        select(*jobs.c, *SCHEDULE_COLUMNS)
        .join(schedules, schedules.c.job_id == jobs.c.id)
        .where(jobs.c.workspace_id == workspace_id, jobs.c.id == job_id)
    )
    return connection.execute(query).mappings().one_or_none()


_COLUMNS = """id, trigger, status, queue, scheduled_for, due_at, started_at, finished_at,
    duration_ms, missed_count, missed_until, attempt, http_status, error, reason"""

# Ids begin with the instant, so that a range of them is a range of time.
_AT = text(f"""
    SELECT {_COLUMNS} FROM executions
     WHERE job_id = :job_id AND id >= :lowest AND id < :highest
     ORDER BY trigger = 'schedule' DESC, id LIMIT 1""")  # noqa: S608 - a constant


def execution_at(
    connection: Connection, job_id: UUID, *, since: datetime, until: datetime
) -> RowMapping | None:
    """Return the job's execution in [``since``, ``until``), a scheduled one rather than others."""
    parameters = {
        "job_id": job_id,
        "lowest": ids.lowest_at(since),
        "highest": ids.lowest_at(until),
    }
    return connection.execute(_AT, parameters).mappings().one_or_none()


_BETWEEN = text(f"""
    SELECT {_COLUMNS} FROM executions
     WHERE job_id = :job_id AND id >= :lowest AND id < :highest
     ORDER BY id LIMIT :limit""")  # noqa: S608 - a constant


def executions_between(
    connection: Connection, job_id: UUID, *, since: datetime, until: datetime, limit: int
) -> Sequence[RowMapping]:
    """Return the job's first executions in [``since``, ``until``), in order."""
    parameters = {
        "job_id": job_id,
        "lowest": ids.lowest_at(since),
        "highest": ids.lowest_at(until),
        "limit": limit,
    }
    return connection.execute(_BETWEEN, parameters).mappings().all()


_COVERING = text(f"""
    WITH before AS MATERIALIZED (
        SELECT {_COLUMNS} FROM executions
         WHERE job_id = :job_id AND id < :highest ORDER BY id DESC LIMIT :rows)
    SELECT {_COLUMNS} FROM before WHERE missed_until >= :at ORDER BY id DESC LIMIT 1""")  # noqa: S608 - a constant


def missed_with(connection: Connection, job_id: UUID, *, at: datetime) -> RowMapping | None:
    """Return the row that stands for missed occurrences with ``at`` among them, or None."""
    parameters = {
        "job_id": job_id,
        "highest": ids.lowest_at(at),
        "rows": _ROWS_BACK,
        "at": at,
    }
    return connection.execute(_COVERING, parameters).mappings().one_or_none()


_LOG = text("""
    SELECT a.action, a.at, a.details, u.email
      FROM audit_log a LEFT JOIN users u ON u.id = a.user_id
     WHERE a.subject_id = :job_id AND a.workspace_id = :workspace_id
       AND a.action = ANY(CAST(:actions AS text[])) AND a.at > :since AND a.at <= :until
     ORDER BY a.id DESC LIMIT :limit""")


def log(
    connection: Connection,
    workspace_id: UUID,
    job_id: UUID,
    *,
    actions: Sequence[str],
    since: datetime,
    until: datetime,
    limit: int,
) -> Sequence[Row[Any]]:
    """Return the audit entries of the job in (``since``, ``until``], the latest first."""
    parameters = {
        "workspace_id": workspace_id,
        "job_id": job_id,
        "actions": list(actions),
        "since": since,
        "until": until,
        "limit": limit,
    }
    return connection.execute(_LOG, parameters).all()
