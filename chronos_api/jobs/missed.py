"""Occurrences that are due but not planned when their job stops or changes.

The schedulers may have been down, or the job paused. Without rows of their own these occurrences
would be missing from the history.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from chronos_api.transactions import Transaction
from chronos_common.domain.schedules.misfires import given_up
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.domain.statuses import Reason
from chronos_common.storage.executions import history, skipped
from chronos_common.storage.executions.skipped import NotRun
from chronos_common.storage.jobs import schedules


def record(tx: Transaction, row: Any, *, reason: Reason) -> None:
    """Record the occurrences of a locked job that were due and not planned, as one row.

    ``reason`` says why they do not run. A paused job has the pause as its reason instead. The
    schedule goes on from now.
    """
    schedule = schedules.schedule_of(row["id"], row)
    missed = given_up(
        schedule,
        next_run_at=row["next_run_at"],
        until=tx.now - datetime.resolution,
        reason=reason if row["active"] else Reason.PAUSED,
    )
    if missed is None:
        return
    not_run = NotRun.of_missed(
        missed,
        workspace_id=row["workspace_id"],
        job_id=row["id"],
        action_type=row["type"],
    )
    tx.moved(skipped.add(tx.connection, [not_run], now=tx.now))
    schedules.restart(
        tx.connection,
        row["id"],
        next_run_at=schedule.first_at_or_after(tx.now),
        zone_rules=schedules.zone_rules_of(schedule),
    )


def start(tx: Transaction, job_id: UUID, schedule: Schedule) -> datetime | None:
    """Return where a new schedule of a locked job begins.

    An instant that was planned ahead of the change has its row already, and no second one can be
    stored. Such instants are passed over, even if their rows were cancelled.
    """
    planned = history.planned_from(tx.connection, job_id, since=tx.now)
    instant = schedule.first_at_or_after(tx.now)
    while instant in planned:
        instant = schedule.next_after(instant)
    return instant
