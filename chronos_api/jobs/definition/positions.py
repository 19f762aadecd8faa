"""Where a job's schedule goes on after its definition has changed, and how many runs are left.

A change does no more than it says:

- Only another ``max_runs`` gives runs, or takes them. Runs that were used stay used.
- A change beside the instants leaves them as they are.
- Another ``jitter_seconds``, ``starts_at`` or ``ends_at`` keeps the next occurrence, even if it is
  overdue. It moves by the difference of the offsets, and must be within the bounds.
- Any other schedule begins anew, from now on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.jobs import missed
from chronos_api.transactions import Transaction
from chronos_common.domain.jobs import JobDefinition
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind
from chronos_common.domain.statuses import Reason, Status
from chronos_common.storage.executions import executions, history
from chronos_common.storage.jobs import schedules


@dataclass(frozen=True, slots=True)
class SchedulePosition:
    """The next instant with the rules that named it, and the runs from there on."""

    next_run_at: datetime | None
    runs_left: int | None
    resumed_at: datetime | None
    zone_rules: int | None


def after_change(tx: Transaction, row: RowMapping, definition: JobDefinition) -> SchedulePosition:
    """Return where a locked job goes on with ``definition``.

    Occurrences that the new definition drops are recorded as cancelled or skipped.
    """
    schedule, left = definition.schedule, _runs_left(row, definition)
    if _names_same_instants(schedule, schedules.schedule_of(row["id"], row)):
        return _at_same_instants(tx, row, schedule, left)
    dropped = _drop_planned(tx, row["id"], schedule)
    if left is not None and definition.max_runs is not None:
        left = min(left + len(dropped), definition.max_runs)
    first = _same_occurrence(row, schedule, dropped, now=tx.now)
    if first is None:
        missed.record(tx, row, reason=Reason.RESCHEDULED)
        return _anew(tx, row["id"], schedule, left)
    return SchedulePosition(
        None if left == 0 else first, left, row["resumed_at"], row["zone_rules"]
    )


def _runs_left(row: RowMapping, definition: JobDefinition) -> int | None:
    """Return the runs that ``max_runs`` leaves after those that were."""
    if definition.max_runs == row["max_runs"]:
        left: int | None = row["runs_left"]
        return left
    used = 0 if row["max_runs"] is None else row["max_runs"] - row["runs_left"]
    return None if definition.max_runs is None else max(definition.max_runs - used, 0)


def _names_same_instants(schedule: Schedule, before: Schedule) -> bool:
    """Return whether two schedules are equal, apart from a time zone that they do not use."""
    if schedule.kind is not ScheduleKind.CRON:
        before = replace(before, timezone=schedule.timezone)
    return schedule == before


def _at_same_instants(
    tx: Transaction, row: RowMapping, schedule: Schedule, left: int | None
) -> SchedulePosition:
    if row["runs_left"] == 0 and left != 0:
        return replace(_anew(tx, row["id"], schedule, left), resumed_at=row["resumed_at"])
    next_run_at = None if left == 0 else row["next_run_at"]
    return SchedulePosition(next_run_at, left, row["resumed_at"], row["zone_rules"])


def _anew(tx: Transaction, job_id: UUID, schedule: Schedule, left: int | None) -> SchedulePosition:
    first = missed.start(tx, job_id, schedule)
    return SchedulePosition(
        None if left == 0 else first, left, None, schedules.zone_rules_of(schedule)
    )


def _same_occurrence(
    row: RowMapping, schedule: Schedule, dropped: Sequence[datetime], *, now: datetime
) -> datetime | None:
    """Return where the next occurrence lies in ``schedule``, or None if that begins anew."""
    before = schedules.schedule_of(row["id"], row)
    beside = replace(
        schedule, jitter=before.jitter, starts_at=before.starts_at, ends_at=before.ends_at
    )
    following = [*dropped, *([row["next_run_at"]] if row["next_run_at"] else [])]
    if not following or not _names_same_instants(beside, before):
        return None
    instant = min(following) - before.jitter + schedule.jitter
    if schedule.first_at_or_after(instant) != instant:
        return None
    # An earlier beginning may have other instants before it.
    is_first = schedule.starts_at == before.starts_at or instant <= now
    return instant if is_first else None


def _drop_planned(tx: Transaction, job_id: UUID, schedule: Schedule) -> Sequence[datetime]:
    """Cancel occurrences planned ahead that the new ``schedule`` does not have, and return them.

    Those it has stay: an occurrence has one id, so it could not be planned a second time.
    """
    planned = history.planned_ahead(tx.connection, job_id, now=tx.now)
    gone = [
        identifier
        for identifier, instant in planned.items()
        if schedule.first_at_or_after(instant) != instant
    ]
    ended = executions.end(
        tx.connection, gone, status=Status.CANCELLED, reason=Reason.RESCHEDULED, now=tx.now
    )
    tx.moved(ended)
    return [each.scheduled_for for each in ended]
