"""Which of a job's instants to come have a row already: they were planned ahead of a change."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common import ids
from chronos_common.domain.statuses import Status

_PLANNED_FROM = text("""
    SELECT scheduled_for, status FROM executions
     WHERE job_id = :job_id AND id >= :lowest AND trigger = 'schedule'""")


def planned_from(
    connection: Connection, job_id: UUID, *, since: datetime
) -> dict[datetime, Status]:
    """Return the job's instants from ``since`` on that have a row, with its status."""
    rows = connection.execute(_PLANNED_FROM, {"job_id": job_id, "lowest": ids.lowest_at(since)})
    return {row.scheduled_for: Status(row.status) for row in rows}
