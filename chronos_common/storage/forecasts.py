"""What a forecast reads: the schedules of a workspace's active jobs."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

_ACTIVE = text("""
    WITH chosen AS MATERIALIZED (
        SELECT id FROM jobs
         WHERE workspace_id = :workspace_id AND status = 'active' AND deleted_at IS NULL
         LIMIT :limit)
    SELECT s.job_id, s.kind, s.expression, s.timezone, s.interval_seconds, s.anchor, s.starts_at,
           s.ends_at, s.jitter_seconds, s.runs_left, s.next_run_at
      FROM chosen JOIN schedules s ON s.job_id = chosen.id
     WHERE s.active""")


def active(
    connection: Connection, workspace_id: UUID, *, until: datetime, limit: int
) -> tuple[Sequence[Row[Any]], int]:
    """Return the schedules due before ``until``, and how many active jobs were looked at.

    Looks at ``limit`` jobs at most.
    """
    rows = connection.execute(_ACTIVE, {"workspace_id": workspace_id, "limit": limit}).all()
    due = [row for row in rows if row.next_run_at is not None and row.next_run_at < until]
    return due, len(rows)


def names(connection: Connection, job_ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the names of jobs."""
    query = text("SELECT id, name FROM jobs WHERE id = ANY(CAST(:ids AS uuid[]))")
    return {row.id: row.name for row in connection.execute(query, {"ids": list(job_ids)})}
