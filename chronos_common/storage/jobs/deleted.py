"""The statements on deleted jobs, whose rows are kept with their history."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping, select, text

from chronos_common.domain.jobs import Pause
from chronos_common.domain.statuses import JobStatus
from chronos_common.storage import pages
from chronos_common.storage.jobs.jobs import SCHEDULE_COLUMNS
from chronos_common.storage.tables import jobs, schedules

_SUMMARY = [
    jobs.c[name]
    for name in ("id", "name", "description", "type", "tags", "created_at", "deleted_at")
]


def page(
    connection: Connection, workspace_id: UUID, *, after: UUID | None, offset: int, limit: int
) -> tuple[Sequence[RowMapping], int]:
    """Return some deleted jobs, the latest created first, and their number."""
    query = select(*_SUMMARY).where(
        jobs.c.workspace_id == workspace_id, jobs.c.deleted_at.is_not(None)
    )
    return pages.page(connection, query, jobs.c.id, after=after, offset=offset, limit=limit)


def lock(connection: Connection, workspace_id: UUID, job_id: UUID) -> RowMapping | None:
    """Return a deleted job with its schedule, locked until the transaction ends, or None."""
    query = (
        select(*jobs.c, *SCHEDULE_COLUMNS)
        .join(schedules, schedules.c.job_id == jobs.c.id)
        .where(
            jobs.c.id == job_id,
            jobs.c.workspace_id == workspace_id,
            jobs.c.deleted_at.is_not(None),
        )
        .with_for_update(of=jobs)
    )
    return connection.execute(query).mappings().one_or_none()


# A job that somebody restores meanwhile is locked, and is left to the next time.
_PRUNE = text("""
    DELETE FROM jobs WHERE id IN (
        SELECT id FROM jobs j
         WHERE deleted_at < :before
           AND NOT EXISTS (SELECT FROM executions e WHERE e.job_id = j.id)
         ORDER BY deleted_at LIMIT :batch
           FOR UPDATE SKIP LOCKED)""")


def prune(connection: Connection, *, before: datetime, batch: int) -> int:
    """Remove jobs that were deleted so long ago, without executions. Return their number.

    Their deletion has given back already what they held of their workspace's quotas.
    """
    return connection.execute(_PRUNE, {"before": before, "batch": batch}).rowcount


_RESTORE = text("""
    UPDATE jobs SET deleted_at = NULL, status = :status, version = version + 1, updated_at = :now,
                    paused_at = CASE WHEN :status = 'paused' THEN CAST(:now AS timestamptz) END,
                    paused_by = :by, pause_note = :note, paused_until = NULL,
                    scope = NULL, scope_key = NULL, applied = NULL
     WHERE id = :job_id""")


def restore(
    connection: Connection, job_id: UUID, status: JobStatus, pause: Pause, *, now: datetime
) -> None:
    """Show a locked job again, as its next version. ``pause`` counts if it is paused.

    It belongs to no scope: the scope may have got another job of its key meanwhile.
    """
    is_paused = status is JobStatus.PAUSED
    connection.execute(
        _RESTORE,
        {
            "job_id": job_id,
            "status": status,
            "by": pause.by if is_paused else None,
            "note": pause.note if is_paused else None,
            "now": now,
        },
    )
