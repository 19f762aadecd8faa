"""The statements on ``schedules``: the narrow row that says when a job is due next."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Connection, select, text, update

from chronos_common.domain.jobs import JobDefinition
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind, jitter_of
from chronos_common.domain.statuses import MisfirePolicy
from chronos_common.domain.timezones import files
from chronos_common.storage.postgres.prepared_statements import prepared
from chronos_common.storage.tables import schedules


class Due(NamedTuple):
    """A schedule that is due at ``next_run_at``, locked by whoever got it."""

    job_id: UUID
    workspace_id: UUID
    job_type: str
    schedule: Schedule
    next_run_at: datetime
    runs_left: int | None
    misfire_policy: MisfirePolicy
    misfire_grace: timedelta
    resumed_at: datetime | None
    zone_rules: int | None


class Broken(NamedTuple):
    """A schedule that is due and cannot be understood, locked by whoever got it."""

    job_id: UUID
    workspace_id: UUID
    job_type: str
    next_run_at: datetime


class Advance(NamedTuple):
    """Where a planned schedule goes on; it is exhausted if ``next_run_at`` is None."""

    job_id: UUID
    next_run_at: datetime | None
    runs_left: int | None


_NEXT_DUE = prepared(text("SELECT min(next_run_at) FROM schedules WHERE active"))


def next_due(connection: Connection) -> datetime | None:
    """Return when a schedule is due next, or has been for the longest; None if none will be."""
    return cast("datetime | None", connection.execute(_NEXT_DUE).scalar_one())


# SKIP LOCKED lets any number of schedulers share the work without waiting for each other.
_CLAIM_DUE = text("""
    SELECT job_id, workspace_id, job_type, kind, expression, timezone, interval_seconds, anchor,
           starts_at, ends_at, jitter_seconds, runs_left, misfire_policy,
           misfire_grace_seconds, resumed_at, next_run_at, zone_rules
      FROM schedules
     WHERE active AND next_run_at > :since AND next_run_at <= :horizon
     ORDER BY next_run_at LIMIT :batch
       FOR UPDATE SKIP LOCKED""")


def claim_due(
    connection: Connection, *, since: datetime, horizon: datetime, batch: int
) -> list[Due | Broken]:
    """Lock up to ``batch`` schedules due in (``since``, ``horizon``], the earliest first."""
    rows = connection.execute(_CLAIM_DUE, {"since": since, "horizon": horizon, "batch": batch})
    return [_due(*row) for row in rows]


def _due(
    job_id: UUID,
    workspace_id: UUID,
    job_type: str,
    kind: str,
    expression: str | None,
    timezone: str,
    interval_seconds: int | None,
    anchor: datetime | None,
    starts_at: datetime | None,
    ends_at: datetime | None,
    jitter_seconds: float,
    runs_left: int | None,
    misfire_policy: str,
    misfire_grace_seconds: float,
    resumed_at: datetime | None,
    next_run_at: datetime,
    zone_rules: int | None,
) -> Due | Broken:
    try:
        return Due(
            job_id,
            workspace_id,
            job_type,
            _schedule(
                kind,
                expression,
                timezone,
                interval_seconds,
                anchor,
                starts_at,
                ends_at,
                jitter_of(job_id, jitter_seconds),
            ),
            next_run_at,
            runs_left,
            MisfirePolicy(misfire_policy),
            timedelta(seconds=misfire_grace_seconds),
            resumed_at,
            zone_rules,
        )
    except (ArithmeticError, ValueError):
        return Broken(job_id, workspace_id, job_type, next_run_at)


def schedule_of(job_id: UUID, row: Mapping[Any, Any]) -> Schedule:
    """Return the job's schedule, which a row with the columns of ``schedules`` holds."""
    return _schedule(
        row["kind"],
        row["expression"],
        row["timezone"],
        row["interval_seconds"],
        row["anchor"],
        row["starts_at"],
        row["ends_at"],
        jitter_of(job_id, row["jitter_seconds"]),
    )


def find(connection: Connection, job_id: UUID) -> Schedule | None:
    """Return the job's schedule, or None if there is none that can be followed."""
    query = select(schedules).where(schedules.c.job_id == job_id)
    row = connection.execute(query).mappings().one_or_none()
    try:
        return schedule_of(job_id, row) if row else None
    except (ArithmeticError, ValueError):
        return None


@lru_cache(maxsize=16_384)
def _schedule(kind: str, *columns: Any) -> Schedule:
    """Make a schedule, or find the one that these columns made before: it never changes."""
    return Schedule(ScheduleKind(kind), *columns)


_ADVANCE = text("""
    UPDATE schedules s SET next_run_at = a.next_run_at, runs_left = a.runs_left
      FROM unnest(CAST(:ids AS uuid[]), CAST(:instants AS timestamptz[]),
                  CAST(:runs_left AS integer[])) AS a (job_id, next_run_at, runs_left)
     WHERE s.job_id = a.job_id""")


def advance(connection: Connection, advances: Sequence[Advance]) -> None:
    """Move planned schedules on to their next instants."""
    if not advances:
        return
    connection.execute(
        _ADVANCE,
        {
            "ids": [each.job_id for each in advances],
            "instants": [each.next_run_at for each in advances],
            "runs_left": [each.runs_left for each in advances],
        },
    )


def replace(
    connection: Connection,
    job_id: UUID,
    definition: JobDefinition,
    *,
    next_run_at: datetime | None,
    runs_left: int | None,
    active: bool,
    resumed_at: datetime | None,
    zone_rules: int | None,
) -> None:
    """Store a changed schedule. ``resumed_at`` stays what it was if the instants do.

    ``zone_rules`` marks those that ``next_run_at`` was computed with.
    """
    connection.execute(
        update(schedules)
        .where(schedules.c.job_id == job_id)
        .values(
            active=active,
            next_run_at=next_run_at,
            runs_left=runs_left,
            resumed_at=resumed_at,
            zone_rules=zone_rules,
            **columns_of(definition),
        )
    )


def columns_of(definition: JobDefinition) -> dict[str, Any]:
    """Return what the schedule of a job with this definition holds of it."""
    schedule = definition.schedule
    return {
        "job_type": definition.type,
        "kind": schedule.kind,
        "expression": schedule.expression,
        "timezone": schedule.timezone,
        "interval_seconds": schedule.interval_seconds,
        "anchor": schedule.anchor,
        "starts_at": schedule.starts_at,
        "ends_at": schedule.ends_at,
        "jitter_seconds": definition.jitter_seconds,
        "max_runs": definition.max_runs,
        "misfire_policy": definition.misfire_policy,
        "misfire_grace_seconds": definition.misfire_grace_seconds,
    }


def zone_rules_of(schedule: Schedule) -> int | None:
    """Return the mark of the zone's rules today; None if no zone matters to the schedule."""
    return files.mark(schedule.timezone) if schedule.kind is ScheduleKind.CRON else None


def restart(
    connection: Connection,
    job_id: UUID,
    *,
    next_run_at: datetime | None,
    zone_rules: int | None,
) -> None:
    """Let a locked schedule go on at ``next_run_at``, by the rules that ``zone_rules`` marks."""
    connection.execute(
        update(schedules)
        .where(schedules.c.job_id == job_id)
        .values(next_run_at=next_run_at, zone_rules=zone_rules)
    )


def lock(connection: Connection, job_id: UUID) -> None:
    """Wait for a plan of this schedule that is under way, and keep others off it."""
    connection.execute(
        select(schedules.c.job_id).where(schedules.c.job_id == job_id).with_for_update()
    )


def deactivate(connection: Connection, job_id: UUID) -> None:
    """Stop planning the job. What was planned already is left for the caller to cancel.

    Waits for a plan that holds the row, so that the caller sees everything that it planned.
    """
    connection.execute(update(schedules).where(schedules.c.job_id == job_id).values(active=False))


def activate(connection: Connection, job_id: UUID, *, resumed_at: datetime) -> None:
    """Plan the job again; occurrences before ``resumed_at`` were missed because of the pause."""
    connection.execute(
        update(schedules)
        .where(schedules.c.job_id == job_id)
        .values(active=True, resumed_at=resumed_at)
    )


_OVERDUE = text("""
    SELECT count(*) AS schedules, min(next_run_at) AS oldest FROM schedules
     WHERE active AND next_run_at < :before""")


def overdue(connection: Connection, *, before: datetime) -> tuple[int, datetime | None]:
    """Return how many active schedules should have been planned by ``before``, and the oldest."""
    row = connection.execute(_OVERDUE, {"before": before}).one()
    return row.schedules, row.oldest
