"""A stored job at an instant: its definition without secrets, and its next runs.

Answers are rendered from a snapshot, and a job's ETag is made of one.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from chronos_api.audit import service as audit
from chronos_api.jobs.definition import definitions, secrets
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.domain.statuses import JobStatus
from chronos_common.storage.jobs.schedules import schedule_of

NEXT_RUNS = 5


def snapshot(row: RowMapping, *, now: datetime) -> dict[str, Any]:
    """Return the job that ``row`` holds. Lists leave out a payload that is too long for them."""
    schedule, payload = schedule_of(row["id"], row), row["payload"]
    return {
        **definitions.fields_of(row, time=_unchanged),
        "id": row["id"],
        "payload": None if payload is None else secrets.shown(row["type"], payload),
        "status": row["status"],
        "schedule_description": schedule.describe(),
        "next_run_at": _next_run(row, schedule, now),
        "scope": row["scope"],
        "scope_key": row["scope_key"],
        "version": row["version"],
        "created_by": row["created_by"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        **_pause(row),
    }


def _pause(row: RowMapping) -> dict[str, Any]:
    """Return who paused the job, why and until when, if it is paused."""
    is_paused = row["status"] == JobStatus.PAUSED
    names = ("paused_at", "paused_by", "pause_note", "paused_until")
    return {name: row[name] if is_paused else None for name in names}


def detailed(row: RowMapping, *, now: datetime) -> dict[str, Any]:
    """Return the snapshot of a job with its next runs."""
    return snapshot(row, now=now) | {"next_runs": next_runs(row, now=now)}


def next_run(row: RowMapping, *, now: datetime) -> datetime | None:
    """Return when the job runs next, or None if it is not active."""
    return _next_run(row, schedule_of(row["id"], row), now)


def next_runs(row: RowMapping, *, now: datetime) -> list[datetime]:
    """Return the next instants of the job: at most :data:`NEXT_RUNS`."""
    schedule = schedule_of(row["id"], row)
    first = _next_run(row, schedule, now)
    if first is None:
        return []
    left = NEXT_RUNS if row["runs_left"] is None else min(NEXT_RUNS, row["runs_left"])
    return [first, *schedule.upcoming(first, left - 1)] if left else []


def _next_run(row: RowMapping, schedule: Schedule, now: datetime) -> datetime | None:
    """Return the next instant to come.

    The stored one may have passed: the scheduler still has to decide about the missed occurrences
    of a job that was just resumed.
    """
    due: datetime | None = row["next_run_at"]
    if row["status"] != JobStatus.ACTIVE or due is None:
        return None
    return due if due >= now else schedule.first_at_or_after(now) or due


def _unchanged(moment: datetime) -> Any:
    return moment


def differences(before: RowMapping, after: RowMapping | None) -> dict[str, Any]:
    """Return the difference between two states of a job for the audit log.

    A job that was removed (None) has the fields that were set, because the others say nothing.
    """
    name = {"name": before["name"]}
    if after is not None:
        return name | audit.difference(_loggable(before), _loggable(after))
    fields = {name: value for name, value in _loggable(before).items() if value is not None}
    return name | {"before": audit.bounded(fields)}


def _loggable(row: RowMapping) -> dict[str, Any]:
    return definitions.fields_of(row) | {
        "payload": secrets.shown(row["type"], row["payload"]),
        "status": row["status"],
        "scope": row["scope"],
        "scope_key": row["scope_key"],
        "version": row["version"],
    }
