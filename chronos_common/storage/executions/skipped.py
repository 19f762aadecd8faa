"""The statements on ``executions`` for occurrences that end without running."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common import ids
from chronos_common.domain.executions import Moved
from chronos_common.domain.queues import QUEUE_OF
from chronos_common.domain.schedules.misfires import Missed
from chronos_common.domain.statuses import Reason, Status
from chronos_common.storage.executions.executions import MOVED_COLUMNS, moved_from


@dataclass(frozen=True, slots=True)
class NotRun:
    """An occurrence that ends without running, or several consecutive ones in one row.

    The row then stands for ``missed_count`` occurrences from ``scheduled_for`` to
    ``missed_until``.
    """

    id: UUID
    workspace_id: UUID
    job_id: UUID
    queue: str
    scheduled_for: datetime
    status: Status
    reason: Reason
    error: str | None = None
    missed_count: int | None = None
    missed_until: datetime | None = None

    @classmethod
    def of_missed(
        cls, missed: Missed, *, workspace_id: UUID, job_id: UUID, action_type: str
    ) -> "NotRun":
        """Return the one row that stands for missed occurrences of a job."""
        return cls(
            id=ids.occurrence_id(job_id, missed.first),
            workspace_id=workspace_id,
            job_id=job_id,
            queue=QUEUE_OF[action_type],
            scheduled_for=missed.first,
            status=Status.SKIPPED,
            reason=missed.reason,
            error=None if missed.exact else f"At least {missed.count:,} occurrences were missed.",
            missed_count=missed.count,
            missed_until=missed.last,
        )


_ADD = text(f"""
    INSERT INTO executions (id, workspace_id, job_id, trigger, status, queue, scheduled_for,
                            due_at, finished_at, attempt, redeliveries, attempts, reason, error,
                            missed_count, missed_until)
    VALUES (:id, :workspace_id, :job_id, 'schedule', :status, :queue, :scheduled_for,
            :scheduled_for, :now, 1, 0, '[]', :reason, :error, :missed_count, :missed_until)
    ON CONFLICT (id) DO NOTHING
    RETURNING {MOVED_COLUMNS}""")  # noqa: S608 - a constant


def add(connection: Connection, not_run: Sequence[NotRun], *, now: datetime) -> list[Moved]:
    """Record occurrences that did not run, and return those that had no row before."""
    added: list[Moved] = []
    for each in not_run:
        rows = connection.execute(
            _ADD,
            {
                "id": each.id,
                "workspace_id": each.workspace_id,
                "job_id": each.job_id,
                "status": each.status,
                "queue": each.queue,
                "scheduled_for": each.scheduled_for,
                "reason": each.reason,
                "error": each.error,
                "missed_count": each.missed_count,
                "missed_until": each.missed_until,
                "now": now,
            },
        )
        added += moved_from(rows)
    return added
