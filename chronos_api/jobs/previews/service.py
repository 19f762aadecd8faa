"""Previews of schedules: their instants, their clock changes, and what they would change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping

from chronos_api.jobs import service as jobs
from chronos_api.jobs import snapshots
from chronos_api.transactions import Call, reading
from chronos_common import ids
from chronos_common.clock import SECOND
from chronos_common.domain.schedules import fields
from chronos_common.domain.schedules.clock_changes import ClockChange, clock_changes
from chronos_common.domain.schedules.replacement import Replacement, compare
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.domain.timezones.zones import zone_of
from chronos_common.storage.jobs import lists
from chronos_common.storage.jobs.filters import JobFilter
from chronos_common.storage.jobs.schedules import schedule_of


@dataclass(frozen=True, slots=True)
class AlsoDue:
    """How many other jobs run next within the second of ``at``. There are more unless exact."""

    at: datetime
    jobs: int
    is_exact: bool


@dataclass(frozen=True, slots=True)
class PreviewedSchedule:
    """A schedule that is not saved, with all instants on the clocks of its time zone.

    ``replacement`` compares it with the schedule that a job has now, if one was named.
    ``also_due`` is about the first of the next runs, if there is one.
    """

    description: str
    timezone: str
    next_runs: Sequence[datetime]
    clock_changes: Sequence[ClockChange]
    replacement: Replacement | None
    also_due: AlsoDue | None


def preview(call: Call, body: Mapping[str, Any]) -> PreviewedSchedule:
    """Return the schedule that ``body`` describes, as it would be now.

    A ``job_id`` names the job whose schedule it would replace. Raises :class:`Invalid` and
    :class:`JobNotFound`.
    """
    job_id = body.get("job_id")
    stored = None if job_id is None else jobs.read(call, job_id)
    before = None if stored is None else schedule_of(stored["id"], stored)
    schedule = fields.from_fields(
        body, job_id=job_id or ids.new_id(call.now), now=call.now, before=before
    )
    since, zone = body.get("after") or call.now, zone_of(schedule.timezone)
    next_runs = _local(schedule.upcoming(since, body["count"]), zone)
    return PreviewedSchedule(
        description=schedule.describe(),
        timezone=schedule.timezone,
        next_runs=next_runs,
        clock_changes=[
            replace(each, runs=_local(each.runs, zone)) for each in clock_changes(schedule, since)
        ],
        replacement=_compared(before, schedule, since, zone) if before else None,
        also_due=_also_due(call, next_runs[0], stored) if next_runs else None,
    )


def _also_due(call: Call, at: datetime, stored: RowMapping | None) -> AlsoDue:
    begin = at.astimezone(UTC).replace(microsecond=0)
    within = JobFilter(next_run_after=begin, next_run_before=begin + SECOND)
    with reading(call) as session:
        count = lists.count(session.connection, session.workspace_id, within)
    next_run = snapshots.next_run(stored, now=call.now) if stored is not None else None
    is_itself = next_run is not None and begin <= next_run < begin + SECOND
    return AlsoDue(at, count.number - is_itself, count.is_exact)


def _compared(before: Schedule, after: Schedule, since: datetime, zone: ZoneInfo) -> Replacement:
    found = compare(before, after, since=since)
    return replace(found, dropped=_local(found.dropped, zone), added=_local(found.added, zone))


def _local(instants: Sequence[datetime], zone: ZoneInfo) -> tuple[datetime, ...]:
    return tuple(each.astimezone(zone) for each in instants)
