"""Which of a job's instants to come have a row already: they were planned ahead of a change."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common import ids

_PLANNED_FROM = text("""
    SELECT scheduled_for FROM executions
     WHERE job_id = :job_id AND id >= :lowest AND trigger = 'schedule'""")


def planned_from(connection: Connection, job_id: UUID, *, since: datetime) -> set[datetime]:
    """Return the job's instants from ``since`` on that have a row."""
    rows = connection.execute(_PLANNED_FROM, {"job_id": job_id, "lowest": ids.lowest_at(since)})
    return set(rows.scalars())
