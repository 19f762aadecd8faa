"""Rows of the database as the JSON that the API answers."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.bulk import changes
from chronos_api.bulk.changes import Action, Fate, Result
from chronos_api.executions import attempts
from chronos_api.executions.logs import Line
from chronos_api.fields import cursors
from chronos_api.jobs.definition import definitions, secrets
from chronos_api.jobs.service import JobPage, Page
from chronos_common import clock, ids
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.domain.statuses import JobStatus

NEXT_RUNS = 5

_MILLISECOND = timedelta(milliseconds=1)


def time(moment: datetime | None) -> str | None:
    """Return ``moment``, which is in UTC, as all answers write it."""
    return None if moment is None else clock.rfc3339(moment)


def job(row: RowMapping, *, now: datetime) -> dict[str, Any]:
    """Return a job as it stands. A list leaves out a payload that is too long for it."""
    schedule, payload = definitions.stored_schedule(row), row["payload"]
    return {
        "id": str(row["id"]),
        **definitions.fields_of(row, time=time),
        "payload": None if payload is None else secrets.shown(row["type"], payload),
        "status": row["status"],
        "schedule_description": schedule.describe(),
        "next_run_at": time(_next_run(row, schedule, now)),
        "version": row["version"],
        "created_by": _text(row["created_by"]),
        "created_at": time(row["created_at"]),
        "updated_at": time(row["updated_at"]),
    }


def job_detail(row: RowMapping, *, now: datetime) -> dict[str, Any]:
    """Return a job with what comes next."""
    return job(row, now=now) | {"next_runs": [time(each) for each in _next_runs(row, now)]}


def created_job(row: RowMapping, *, now: datetime) -> dict[str, Any]:
    """Return what tells one of many new jobs from the others."""
    next_run = next_run_at(row, now=now)
    return {name: row[name] for name in ("name", "status")} | {
        "id": str(row["id"]),
        "next_run_at": next_run,
    }


def bulk_result(action: Action, result: Result, *, dry_run: bool) -> dict[str, Any]:
    """Return what was done to many jobs, or would be."""
    return {
        "action": action,
        "dry_run": dry_run,
        "matched": result.matched,
        "matched_is_exact": result.matched_is_exact,
        "limit": changes.MAX_JOBS,
        "changed": sum(item.fate is Fate.CHANGED for item in result.items),
        "items": [
            {
                "id": str(item.job_id),
                "result": item.fate,
                "reason": item.reason,
                "execution_id": _text(item.execution_id),
            }
            for item in result.items
        ],
    }


def _next_run(row: RowMapping, schedule: Schedule, now: datetime) -> datetime | None:
    """Return the next instant to come; of a job that was just resumed, that is a later one
    than the scheduler still has to settle.
    """  # noqa: D205 - one sentence
    due: datetime | None = row["next_run_at"]
    if row["status"] != JobStatus.ACTIVE or due is None:
        return None
    return due if due >= now else schedule.first_at_or_after(now) or due


def next_instant(row: RowMapping, *, now: datetime) -> datetime | None:
    """Return when the job runs next; None unless it is active."""
    return _next_run(row, definitions.stored_schedule(row), now)


def next_run_at(row: RowMapping, *, now: datetime) -> str | None:
    """Return when the job runs next; None unless it is active."""
    return time(next_instant(row, now=now))


def _next_runs(row: RowMapping, now: datetime) -> list[datetime]:
    schedule = definitions.stored_schedule(row)
    first = _next_run(row, schedule, now)
    if first is None:
        return []
    left = NEXT_RUNS if row["runs_left"] is None else min(NEXT_RUNS, row["runs_left"])
    return [first, *schedule.upcoming(first, left - 1)] if left else []


def execution(row: RowMapping) -> dict[str, Any]:
    """Return an execution as it stands."""
    started_at = row["started_at"]
    drift = (started_at - row["scheduled_for"]) // _MILLISECOND if started_at else None
    return {
        "id": str(row["id"]),
        "job_id": str(row["job_id"]),
        "job_name": row["job_name"],
        "trigger": row["trigger"],
        "status": row["status"],
        "scheduled_for": time(row["scheduled_for"]),
        "due_at": time(row["due_at"]),
        "started_at": time(started_at),
        "finished_at": time(row["finished_at"]),
        "duration_ms": row["duration_ms"],
        "drift_ms": drift,
        "attempt": row["attempt"],
        "max_attempts": row["max_attempts"],
        "http_status": row["http_status"],
        "error": row["error"],
        "reason": row["reason"],
        "worker": _text(row["worker_id"]),
        "missed_count": row["missed_count"],
        "missed_until": time(row["missed_until"]),
        "retry_of": _text(row["retry_of"]),
    }


def execution_detail(row: RowMapping, *, attempt: int | None) -> dict[str, Any]:
    """Return an execution with its attempts, or with the one of this number."""
    found = row["attempts"]
    chosen = [attempts.numbered(found, attempt)] if attempt else attempts.shown(found)
    return execution(row) | {"attempts": chosen}


def page(
    items: Sequence[Mapping[str, Any]],
    *,
    total: int,
    page_number: int,
    limit: int,
    next_cursor: str | None,
) -> dict[str, Any]:
    """Return a part of a list."""
    return {
        "items": items,
        "total": total,
        "page": page_number,
        "limit": limit,
        "next_cursor": next_cursor,
    }


def page_of(
    found: Page, query: Mapping[str, Any], item: Callable[[RowMapping], dict[str, Any]]
) -> dict[str, Any]:
    """Return a part of a list, each row as ``item`` shows it."""
    return page(
        [item(row) for row in found.rows],
        total=found.total,
        page_number=query["page"],
        limit=query["limit"],
        next_cursor=cursors.write(found.last) if found.last else None,
    )


def job_page(found: JobPage, query: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """Return a part of the list of jobs, as ``query`` asked for it."""
    sort = query["sort"].removeprefix("-")
    return page(
        [job(row, now=now) for row in found.rows],
        total=found.total,
        page_number=query["page"],
        limit=query["limit"],
        next_cursor=cursors.write_position(found.last, sort) if found.last else None,
    ) | _stable(found, query, now=now)


def execution_page(found: Page, query: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """Return a part of the history, as ``query`` asked for it."""
    return page(
        [execution(row) for row in found.rows],
        total=found.total,
        page_number=query["page"],
        limit=query["limit"],
        next_cursor=cursors.write(found.last) if found.last else None,
    ) | _stable(found, query, now=now)


def _stable(found: Page | JobPage, query: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """Return what keeps the next pages in step: no item of this one is younger than as_of."""
    newest = max((ids.moment_of(row["id"]) for row in found.rows), default=now)
    as_of = query.get("as_of") or max(now, newest)
    return {"total_is_exact": found.total_is_exact, "as_of": time(as_of)}


def logs(execution_id: UUID, lines: Sequence[Line]) -> dict[str, Any]:
    """Return an execution's log."""
    items = [
        {
            "at": time(line.at),
            "level": line.level,
            "message": line.message,
            "attempt": line.attempt,
        }
        for line in lines
    ]
    return {"execution_id": str(execution_id), "items": items, "total": len(items)}


def _text(identifier: object) -> str | None:
    return None if identifier is None else str(identifier)
