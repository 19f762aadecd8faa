"""Schedules as users write them: the flat fields of the API, checked as a whole."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from chronos_common.clock import MILLISECOND, to_milliseconds
from chronos_common.domain.cron import expression as cron
from chronos_common.domain.cron.dates import DayMatch
from chronos_common.domain.schedules import humanize
from chronos_common.domain.schedules.schedule import (
    MAX_INTERVAL_SECONDS,
    MAX_JITTER_SECONDS,
    Schedule,
    ScheduleKind,
    jitter_of,
)
from chronos_common.errors import Invalid

#: ``run_at`` may lie this far in the past: requests take time and clocks differ.
RUN_AT_TOLERANCE = timedelta(seconds=60)

T = TypeVar("T")

_FIRST_YEAR, _LAST_YEAR = 1970, 9998


def from_fields(
    fields: Mapping[str, Any], *, job_id: UUID, now: datetime, before: Schedule | None = None
) -> Schedule:
    """Return the schedule that the API's flat ``fields`` ask for. Other fields are ignored.

    ``schedule_type`` says which of ``cron_expression``, ``interval_seconds`` and ``run_at`` is
    given. ``timezone``, ``day_match``, ``starts_at``, ``ends_at`` and ``jitter_seconds`` are
    optional. Times are aware datetimes. Intervals count from ``starts_at``, or else from ``now``,
    when the first run is one interval away. A ``run_at`` that has just passed means now.

    ``before`` is the schedule that this one replaces. Equal fields are kept: a ``run_at`` may be
    past, and an interval keeps its anchor.

    Raises :class:`Invalid` with every wrong field. A schedule that would never run is wrong too,
    unless ``before`` named the same readings in other bounds and had no run left.
    """
    schedule = _read(fields, job_id=job_id, now=now, before=before)
    if schedule.kind is ScheduleKind.INTERVAL:
        schedule = replace(schedule, anchor=_interval_anchor(schedule, before, now))
    if not (before and _is_over(before, schedule, now)):
        _refuse_what_never_runs(schedule, now)
    return schedule


def _read(
    fields: Mapping[str, Any], *, job_id: UUID, now: datetime, before: Schedule | None
) -> Schedule:
    """Return the schedule of these fields. An interval's anchor is left out."""
    reader = _Reader(fields)
    kind = reader.kind()
    day_match = reader.day_match(kind)
    expression = reader.read("cron_expression", partial(cron.check, day_match=day_match))
    interval_seconds = reader.read("interval_seconds", _interval_seconds)
    run_at = reader.read("run_at", partial(_run_at, now=now, before=before))
    timezone = reader.read("timezone", cron.check_timezone)
    starts_at = reader.read("starts_at", _moment)
    ends_at = reader.read("ends_at", _moment)
    if starts_at and ends_at and ends_at <= starts_at:
        reader.wrong("ends_at", "Must be after starts_at.")
    jitter_seconds = reader.read("jitter_seconds", _jitter_seconds)
    if kind is None or reader.errors:
        raise Invalid(reader.errors)
    return Schedule(
        kind=kind,
        expression=expression,
        timezone=timezone or "UTC",
        interval_seconds=interval_seconds,
        anchor=run_at,
        starts_at=starts_at,
        ends_at=ends_at,
        day_match=day_match,
        jitter=jitter_of(job_id, jitter_seconds or 0),
    )


def _interval_anchor(
    schedule: Schedule, before: Schedule | None, now: datetime
) -> datetime | None:
    """Return the anchor of an interval. Another beginning or length gives a new one."""
    if (
        before is not None
        and before.interval_seconds == schedule.interval_seconds
        and before.starts_at == schedule.starts_at
    ):
        return before.anchor
    first = now + timedelta(seconds=schedule.interval_seconds or 0)
    return schedule.starts_at or to_milliseconds(first)


def _is_over(before: Schedule, schedule: Schedule, now: datetime) -> bool:
    """Return whether ``before`` had no run left, and ``schedule`` names the same readings."""
    same = replace(
        schedule,
        timezone=before.timezone,
        jitter=before.jitter,
        starts_at=before.starts_at,
        ends_at=before.ends_at,
    )
    return same == before and before.next_after(now) is None


#: The field that each kind of schedule needs, and that excludes the others.
FIELD_OF_KIND = {
    ScheduleKind.CRON: "cron_expression",
    ScheduleKind.INTERVAL: "interval_seconds",
    ScheduleKind.ONCE: "run_at",
}


class _Reader:
    """Reads fields and collects their faults. A null counts as a missing field."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields
        self.errors: dict[str, list[str]] = {}

    def wrong(self, name: str, message: str) -> None:
        self.errors.setdefault(name, []).append(message)

    def read(self, name: str, check: Callable[[Any], T]) -> T | None:
        """Return the checked value, or None if there is none or it is wrong."""
        value = self._fields.get(name)
        if value is None:
            return None
        try:
            return check(value)
        except Invalid as error:
            for messages in error.fields.values():
                self.errors.setdefault(name, []).extend(messages)
        except ValueError as error:
            self.wrong(name, str(error))
        return None

    def kind(self) -> ScheduleKind | None:
        """Return the kind, after a look at whether the fields given are those it needs."""
        kind = self.read("schedule_type", _kind)
        if kind is None:
            if "schedule_type" not in self.errors:
                self.wrong("schedule_type", "Missing; give 'cron', 'interval' or 'once'.")
            return None
        for each, name in FIELD_OF_KIND.items():
            given = self._fields.get(name) is not None
            if each is kind and not given:
                self.wrong(name, f"Missing; schedule_type {kind.value!r} needs it.")
            if each is not kind and given:
                self.wrong(name, f"Does not go with schedule_type {kind.value!r}; remove it.")
        return kind

    def day_match(self, kind: ScheduleKind | None) -> DayMatch:
        """Return how the days go together. Only ``cron`` has days that can."""
        day_match = self.read("day_match", _day_match) or DayMatch.ANY
        if day_match is DayMatch.ALL and kind in {ScheduleKind.INTERVAL, ScheduleKind.ONCE}:
            self.wrong("day_match", "Goes with schedule_type 'cron' alone; remove it.")
        return day_match


def _day_match(value: Any) -> DayMatch:
    try:
        return DayMatch(value)
    except ValueError:
        raise ValueError("Must be 'any' or 'all'.") from None


def _kind(value: Any) -> ScheduleKind:
    try:
        return ScheduleKind(value)
    except ValueError:
        raise ValueError("Must be 'cron', 'interval' or 'once'.") from None


def _interval_seconds(value: Any) -> int:
    # In JSON true is not a number, although in Python it is an int.
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("Must be an integer: a number of whole seconds.")  # noqa: TRY004 - collected
    if not 1 <= value <= MAX_INTERVAL_SECONDS:
        raise ValueError(f"Must lie between 1 and {MAX_INTERVAL_SECONDS} (a year).")
    return value


def _jitter_seconds(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError("Must be a number of seconds.")  # noqa: TRY004 - collected
    if not 0 <= value <= MAX_JITTER_SECONDS:  # NaN is neither
        raise ValueError(f"Must lie between 0 and {MAX_JITTER_SECONDS}.")
    return value


def _moment(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise ValueError("Must be a time like 2026-11-21T09:00:00Z.")  # noqa: TRY004 - collected
    if value.utcoffset() is None:
        raise ValueError("Lacks its offset; write it like 2026-11-21T09:00:00Z or ...+01:00.")
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise ValueError(f"Must lie between the years {_FIRST_YEAR} and {_LAST_YEAR}.")
    return to_milliseconds(value.astimezone(UTC))


def _run_at(value: Any, *, now: datetime, before: Schedule | None) -> datetime:
    run_at = _moment(value)
    if before is not None and before.kind is ScheduleKind.ONCE and run_at == before.anchor:
        return run_at
    if run_at < now - RUN_AT_TOLERANCE:
        raise ValueError("Lies in the past; give a time to come, or execute the job at once.")
    # An instant that has just passed becomes the next millisecond, so that it is in the future.
    return run_at if run_at > now else to_milliseconds(now) + MILLISECOND


def _refuse_what_never_runs(schedule: Schedule, now: datetime) -> None:
    if schedule.next_after(now) is not None:
        return
    endless = replace(schedule, ends_at=None).next_after(now)
    if endless is not None:
        message = f"Lies before the first run, {humanize.moment(endless)}; move or remove it."
        raise Invalid({"ends_at": [message]})
    if schedule.kind is ScheduleKind.ONCE:
        raise Invalid({"starts_at": ["Lies after run_at; move or remove it."]})
    raise Invalid({"starts_at": ["Nothing is due after it; move or remove it."]})
