"""The instants of a job in a span of time, each with its record or its prospect, in order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.explanations.outcome_texts import Record
from chronos_api.transactions import Call, reading
from chronos_common.clock import MICROSECOND
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.domain.statuses import JobStatus, Trigger
from chronos_common.errors import Invalid, JobNotFound
from chronos_common.storage.executions import explanations
from chronos_common.storage.jobs.schedules import schedule_of

#: The longest span, and the items of one answer.
MAX_SPAN = timedelta(days=366)
MAX_ITEMS = 1000


class Prospect(StrEnum):
    """The state of an instant."""

    RECORDED = "recorded"
    MISSED = "missed"
    UNRECORDED = "unrecorded"
    PAUSED = "paused"
    TO_COME = "to_come"


@dataclass(frozen=True, slots=True)
class JobInstant:
    """An instant of a job. ``execution`` is its record, or the one that stands for it."""

    at: datetime
    state: Prospect
    execution: Record | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The instants of a job from ``since`` on. There are more from ``next_since`` on."""

    job_id: UUID
    since: datetime
    until: datetime
    items: Sequence[JobInstant]
    next_since: datetime | None


def instants(call: Call, job_id: UUID, *, since: datetime, until: datetime) -> Span:
    """Return the records of a job in [``since``, ``until``) and the instants without one.

    Raises :class:`JobNotFound`, and :class:`Invalid` for a span that is too long.
    """
    if not since < until <= since + MAX_SPAN:
        raise Invalid({"until": [f"Must be after since, by at most {MAX_SPAN.days} days."]})
    with reading(call) as session:
        job = explanations.job(session.connection, session.workspace_id, job_id)
        if job is None:
            raise JobNotFound
        rows = explanations.executions_between(
            session.connection, job_id, since=since, until=until, limit=MAX_ITEMS + 1
        )
    found = [_recorded(row) for row in rows]
    # Behind the last row that was read there may be others.
    known_until = rows[-1]["scheduled_for"] if len(rows) > MAX_ITEMS else until
    found += islice(
        _unrecorded(job, rows, since=since, until=known_until, now=call.now), MAX_ITEMS + 1
    )
    found.sort(key=lambda each: each.at)
    more = found[MAX_ITEMS].at if len(found) > MAX_ITEMS else None
    return Span(job_id=job_id, since=since, until=until, items=found[:MAX_ITEMS], next_since=more)


def _recorded(row: RowMapping) -> JobInstant:
    return JobInstant(row["scheduled_for"], Prospect.RECORDED, Record.of(row))


def _unrecorded(
    job: RowMapping,
    rows: Sequence[RowMapping],
    *,
    since: datetime,
    until: datetime,
    now: datetime,
) -> Iterator[JobInstant]:
    """Yield the schedule's instants that have no record of their own."""
    recorded = {row["scheduled_for"] for row in rows if row["trigger"] == Trigger.SCHEDULE}
    covering = [row for row in rows if row["missed_until"] is not None]
    start = max(since, job["created_at"])
    for at in _instants(job, schedule_of(job["id"], job), start, until, now):
        if at in recorded:
            continue
        if at < now:
            row = next((row for row in covering if _covers(row, at)), None)
            state = Prospect.UNRECORDED if row is None else Prospect.MISSED
            yield JobInstant(at, state, None if row is None else Record.of(row))
        else:
            yield JobInstant(at, _prospect(job, at))


def _covers(row: Mapping[Any, Any], at: datetime) -> bool:
    return bool(row["scheduled_for"] <= at <= row["missed_until"])


def _instants(
    job: RowMapping, schedule: Schedule, start: datetime, until: datetime, now: datetime
) -> Iterator[datetime]:
    """Yield the instants in [``start``, ``until``). To come are only those that are left."""
    yield from schedule.instants_between(
        start - MICROSECOND, min(now, until) - MICROSECOND, MAX_ITEMS + 1
    )
    if job["status"] not in {JobStatus.ACTIVE, JobStatus.PAUSED} or job["next_run_at"] is None:
        return
    first = max(start, now, job["next_run_at"])
    left = MAX_ITEMS + 1 if job["runs_left"] is None else _left(job, schedule, first, now)
    yield from schedule.instants_between(
        first - MICROSECOND, until - MICROSECOND, min(left, MAX_ITEMS + 1)
    )


def _left(job: RowMapping, schedule: Schedule, first: datetime, now: datetime) -> int:
    """Return how many runs are left from ``first`` on."""
    begin, left = max(now, job["next_run_at"]), int(job["runs_left"])
    before = schedule.instants_between(begin - MICROSECOND, first - MICROSECOND, left)
    return left - sum(1 for _ in before)


def _prospect(job: RowMapping, at: datetime) -> Prospect:
    if job["status"] != JobStatus.PAUSED:
        return Prospect.TO_COME
    until = job["paused_until"]
    return Prospect.TO_COME if until is not None and at >= until else Prospect.PAUSED
