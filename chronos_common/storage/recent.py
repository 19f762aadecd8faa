"""The latest executions of many jobs at once, for lists that show each job with its history."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

# One descent of the index (job_id, id) for each job, newest partition first, whatever the length
# of its history.
_LATEST = text("""
    SELECT e.*
      FROM unnest(CAST(:job_ids AS uuid[])) AS wanted (id)
     CROSS JOIN LATERAL (
        SELECT id, job_id, status, trigger, scheduled_for, started_at, finished_at,
               duration_ms, http_status, error, reason
          FROM executions
         WHERE job_id = wanted.id AND workspace_id = :workspace_id
         ORDER BY id DESC LIMIT :each) e
     ORDER BY e.job_id, e.id DESC""")


def latest_of_each(
    connection: Connection, workspace_id: UUID, job_ids: Sequence[UUID], *, each: int
) -> dict[UUID, list[RowMapping]]:
    """Return up to ``each`` executions of every job, the latest first."""
    parameters = {"job_ids": list(job_ids), "workspace_id": workspace_id, "each": each}
    found: dict[UUID, list[RowMapping]] = {identifier: [] for identifier in job_ids}
    for row in connection.execute(_LATEST, parameters).mappings():
        found[row["job_id"]].append(row)
    return found
