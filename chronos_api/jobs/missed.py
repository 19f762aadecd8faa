"""Occurrences that were due, but that nobody has planned when their job stops or changes.

The schedulers may have been down, or the job paused. Without a row of their own these occurrences
would silently not have run.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from chronos_api.jobs.definition.definitions import stored_schedule
from chronos_common import ids
from chronos_common.domain.queues import QUEUE_OF
from chronos_common.domain.schedules.misfires import given_up
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.domain.statuses import Reason, Status
from chronos_common.storage.executions import skipped, statistics
from chronos_common.storage.executions.skipped import Settled
from chronos_common.storage.jobs import schedules
from chronos_common.storage.planned import planned_from


def settle(connection: Connection, row: Any, *, reason: Reason, now: datetime) -> None:
    """Record what was due of a locked job before ``now`` and not planned, as one row.

    ``reason`` says why it does not run; it is the pause, if the job is paused. The schedule goes
    on from ``now``.
    """
    schedule = stored_schedule(row)
    missed = given_up(
        schedule,
        next_run_at=row["next_run_at"],
        until=now - datetime.resolution,
        reason=reason if row["active"] else Reason.PAUSED,
    )
    if missed is None:
        return
    settled = Settled(
        id=ids.occurrence_id(row["id"], missed.first),
        workspace_id=row["workspace_id"],
        job_id=row["id"],
        queue=QUEUE_OF[row["type"]],
        scheduled_for=missed.first,
        status=Status.SKIPPED,
        reason=missed.reason,
        error=None if missed.exact else f"At least {missed.count:,} occurrences were missed.",
        missed_count=missed.count,
        missed_until=missed.last,
    )
    statistics.add(connection, skipped.add(connection, [settled], now=now), now=now)
    schedules.restart(
        connection,
        row["id"],
        next_run_at=schedule.first_at_or_after(now),
        zone_rules=schedules.zone_rules_of(schedule),
    )


def start(
    connection: Connection, job_id: UUID, schedule: Schedule, *, now: datetime
) -> datetime | None:
    """Return where a new schedule of a locked job begins.

    An instant that was planned ahead of the change has its row already, whatever became of it: a
    second one could not be stored, nor anything else in its place.
    """
    planned = planned_from(connection, job_id, since=now)
    instant = schedule.first_at_or_after(now)
    while instant in planned:
        instant = schedule.next_after(instant)
    return instant
