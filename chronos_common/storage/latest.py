"""What is read of a job's latest executions, through the index on the job and the id."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

# Each partition is entered at the job's end of its index. The workspace is not named: PostgreSQL
# could take its index for the better one, and walk over every other job's executions.
_LATEST = text("""
    SELECT id, status, scheduled_for, started_at, finished_at, duration_ms, http_status
      FROM executions
     WHERE job_id = :job_id ORDER BY id DESC LIMIT :limit""")


def of_job(connection: Connection, job_id: UUID, *, limit: int) -> Sequence[RowMapping]:
    """Return the job's latest executions, those without a fate included, the latest first."""
    return connection.execute(_LATEST, {"job_id": job_id, "limit": limit}).mappings().all()
