"""Previews of schedules: their instants, their clock changes, and what they would change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from chronos_api.jobs import service as jobs
from chronos_api.transactions import Call
from chronos_common import ids
from chronos_common.domain.schedules import fields
from chronos_common.domain.schedules.clock_changes import ClockChange, clock_changes
from chronos_common.domain.schedules.replacement import Replacement, compare
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.domain.timezones.zones import zone_of
from chronos_common.storage.jobs.schedules import schedule_of


@dataclass(frozen=True, slots=True)
class PreviewedSchedule:
    """A schedule that is not saved, with all instants on the clocks of its time zone.

    ``replacement`` compares it with the schedule that a job has now, if one was named.
    """

    description: str
    timezone: str
    next_runs: Sequence[datetime]
    clock_changes: Sequence[ClockChange]
    replacement: Replacement | None


def preview(call: Call, body: Mapping[str, Any]) -> PreviewedSchedule:
    """Return the schedule that ``body`` describes, as it would be now.

    A ``job_id`` names the job whose schedule it would replace. Raises :class:`Invalid` and
    :class:`JobNotFound`.
    """
    job_id, before = body.get("job_id"), None
    if job_id is not None:
        before = schedule_of(job_id, jobs.read(call, job_id))
    schedule = fields.from_fields(
        body, job_id=job_id or ids.new_id(call.now), now=call.now, before=before
    )
    since, zone = body.get("after") or call.now, zone_of(schedule.timezone)
    return PreviewedSchedule(
        description=schedule.describe(),
        timezone=schedule.timezone,
        next_runs=_local(schedule.upcoming(since, body["count"]), zone),
        clock_changes=[
            replace(each, runs=_local(each.runs, zone)) for each in clock_changes(schedule, since)
        ],
        replacement=_compared(before, schedule, since, zone) if before else None,
    )


def _compared(before: Schedule, after: Schedule, since: datetime, zone: ZoneInfo) -> Replacement:
    found = compare(before, after, since=since)
    return replace(found, dropped=_local(found.dropped, zone), added=_local(found.added, zone))


def _local(instants: Sequence[datetime], zone: ZoneInfo) -> tuple[datetime, ...]:
    return tuple(each.astimezone(zone) for each in instants)
