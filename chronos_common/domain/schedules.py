"""When a job is due: once, at an interval, or by a cron expression.

All instants are in UTC and whole milliseconds, the resolution of execution ids. What a schedule
answers follows from its fields alone, so a restart changes nothing.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from chronos_common.clock import to_milliseconds
from chronos_common.domain import cron, phrases
from chronos_common.errors import Invalid

MAX_INTERVAL_SECONDS = 31_536_000
MAX_JITTER_SECONDS = 3600

#: ``run_at`` may lie this far in the past: requests take time and clocks differ.
RUN_AT_TOLERANCE = timedelta(seconds=60)

T = TypeVar("T")

_FIRST_YEAR, _LAST_YEAR = 1970, 9998
_SMALLEST = datetime.resolution
_MILLISECOND = timedelta(milliseconds=1)


class ScheduleKind(StrEnum):
    """How a schedule names its instants."""

    CRON = "cron"
    INTERVAL = "interval"
    ONCE = "once"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job is due; :func:`from_fields` makes checked ones.

    ``anchor`` is the instant of ``once``, and the first one of ``interval``, whose others follow
    every ``interval_seconds``; ``cron`` has none. ``timezone`` matters to ``cron`` alone.
    ``jitter`` shifts every instant by the same offset. ``starts_at`` and ``ends_at`` bound the
    shifted instants, both inclusively.
    """

    kind: ScheduleKind
    expression: str | None = None
    timezone: str = "UTC"
    interval_seconds: int | None = None
    anchor: datetime | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    jitter: timedelta = timedelta(0)

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first instant strictly after ``moment``, or None if there is none.

        Asked with the instant at which the schedule was made or changed, this is the first
        ``next_run_at``. Raises :class:`Invalid` for an expression or zone that is not understood.
        """
        try:
            instant = self._next_unbounded(moment)
        except OverflowError:  # past the calendar's end
            return None
        if instant is None or (self.ends_at is not None and instant > self.ends_at):
            return None
        return instant

    def first_at_or_after(self, moment: datetime) -> datetime | None:
        """Return the first instant that is not before ``moment``, or None if there is none."""
        return self.next_after(moment - _SMALLEST)

    def upcoming(self, after: datetime, count: int) -> list[datetime]:
        """Return the first ``count`` instants strictly after ``after``, or all there are."""
        return list(islice(self._instants_after(after), count))

    def instants_between(self, after: datetime, until: datetime, limit: int) -> Iterator[datetime]:
        """Yield the instants in (``after``, ``until``], but not more than the first ``limit``."""
        for instant in islice(self._instants_after(after), limit):
            if instant > until:
                return
            yield instant

    def describe(self) -> str:
        """Return in plain English the instants that :meth:`next_after` finds."""
        match self.kind:
            case ScheduleKind.CRON:
                text = f"{cron.describe(_set(self.expression))} ({self.timezone})"
                if self.jitter:
                    text += f", each time {phrases.duration(self.jitter)} later"
            case ScheduleKind.INTERVAL:
                every = phrases.every(_set(self.interval_seconds)).capitalize()
                text = f"{every}, from {phrases.moment(self._first_of_interval())}{self._shift()}"
            case ScheduleKind.ONCE:
                text = f"Once, at {phrases.moment(_set(self.anchor) + self.jitter)}{self._shift()}"
        if self.starts_at is not None and self.kind is not ScheduleKind.INTERVAL:
            text += f", from {phrases.moment(self.starts_at)}"
        if self.ends_at is not None:
            text += f", until {phrases.moment(self.ends_at)}"
        return text

    def _first_of_interval(self) -> datetime:
        """Return the instant from which an interval is counted, starts_at and jitter included."""
        shifted = _set(self.anchor) + self.jitter
        return replace(self, ends_at=None).first_at_or_after(shifted) or shifted

    def _shift(self) -> str:
        return f" ({phrases.duration(self.jitter)} of jitter included)" if self.jitter else ""

    def _next_unbounded(self, moment: datetime) -> datetime | None:
        if self.starts_at is not None:
            moment = max(moment, self.starts_at - _SMALLEST)
        instant = self._next_unshifted(moment - self.jitter)
        return None if instant is None else instant + self.jitter

    def _next_unshifted(self, moment: datetime) -> datetime | None:
        if self.kind is ScheduleKind.CRON:
            return cron.next_after(_set(self.expression), self.timezone, moment)
        anchor = _set(self.anchor).astimezone(UTC)
        if self.kind is ScheduleKind.ONCE or anchor > moment:
            return anchor if anchor > moment else None
        interval = timedelta(seconds=_set(self.interval_seconds))
        return anchor + ((moment - anchor) // interval + 1) * interval

    def _instants_after(self, moment: datetime) -> Iterator[datetime]:
        instant = self.next_after(moment)
        while instant is not None:
            yield instant
            instant = self.next_after(instant)


def jitter_of(job_id: UUID, jitter_seconds: float) -> timedelta:
    """Return the offset of ``job_id``: fixed, whole milliseconds in [0, ``jitter_seconds``).

    It is hashed from the id, so that jobs made at once do not run at once.
    """
    milliseconds = int(jitter_seconds * 1000)
    if milliseconds < 1:
        return timedelta(0)
    digest = hashlib.blake2b(job_id.bytes, digest_size=8).digest()
    return int.from_bytes(digest, "big") % milliseconds * _MILLISECOND


def from_fields(
    fields: Mapping[str, Any], *, job_id: UUID, now: datetime, before: Schedule | None = None
) -> Schedule:
    """Return the schedule that the API's flat ``fields`` ask for; other fields are not looked at.

    ``schedule_type`` says which of ``cron_expression``, ``interval_seconds`` and ``run_at`` is
    given; ``timezone``, ``starts_at``, ``ends_at`` and ``jitter_seconds`` are optional. Times are
    aware datetimes. Intervals count from ``starts_at``, or else from ``now``, when the first run
    is one interval away. A ``run_at`` that just went by means now.

    What ``before``, the schedule that this one replaces, has as well is kept: a ``run_at`` may be
    past, and an interval goes on counting from where it did.

    Raises :class:`Invalid` with every wrong field; a schedule that would never run is wrong too,
    unless it is that of ``before``, with nothing left, in other bounds.
    """
    reader = _Reader(fields)
    kind = reader.kind()
    expression = reader.read("cron_expression", cron.check)
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
    schedule = Schedule(
        kind=kind,
        expression=expression,
        timezone=timezone or "UTC",
        interval_seconds=interval_seconds,
        anchor=run_at,
        starts_at=starts_at,
        ends_at=ends_at,
        jitter=jitter_of(job_id, jitter_seconds or 0),
    )
    if interval_seconds:
        schedule = replace(schedule, anchor=_interval_anchor(schedule, before, now))
    if not (before and _is_over(before, schedule, now)):
        _refuse_what_never_runs(schedule, now)
    return schedule


def _interval_anchor(
    schedule: Schedule, before: Schedule | None, now: datetime
) -> datetime | None:
    """Return from where an interval counts; another beginning or length counts anew."""
    if (
        before is not None
        and before.interval_seconds == schedule.interval_seconds
        and before.starts_at == schedule.starts_at
    ):
        return before.anchor
    first = now + timedelta(seconds=schedule.interval_seconds or 0)
    return schedule.starts_at or to_milliseconds(first)


def _is_over(before: Schedule, schedule: Schedule, now: datetime) -> bool:
    """Tell whether nothing was left of ``before``, and ``schedule`` names the same readings."""
    same = replace(
        schedule,
        timezone=before.timezone,
        jitter=before.jitter,
        starts_at=before.starts_at,
        ends_at=before.ends_at,
    )
    return same == before and before.next_after(now) is None


_OWN_FIELDS = {
    ScheduleKind.CRON: "cron_expression",
    ScheduleKind.INTERVAL: "interval_seconds",
    ScheduleKind.ONCE: "run_at",
}


class _Reader:
    """Reads fields and collects what is wrong with them; a null is as good as nothing."""

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
        for each, name in _OWN_FIELDS.items():
            given = self._fields.get(name) is not None
            if each is kind and not given:
                self.wrong(name, f"Missing; schedule_type {kind.value!r} needs it.")
            if each is not kind and given:
                self.wrong(name, f"Does not go with schedule_type {kind.value!r}; remove it.")
        return kind


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
    # One that just went by becomes the next millisecond, so that it still is to come.
    return run_at if run_at > now else to_milliseconds(now) + _MILLISECOND


def _refuse_what_never_runs(schedule: Schedule, now: datetime) -> None:
    if schedule.next_after(now) is not None:
        return
    endless = replace(schedule, ends_at=None).next_after(now)
    if endless is not None:
        message = f"Lies before the first run, {phrases.moment(endless)}; move or remove it."
        raise Invalid({"ends_at": [message]})
    if schedule.kind is ScheduleKind.ONCE:
        raise Invalid({"starts_at": ["Lies after run_at; move or remove it."]})
    raise Invalid({"starts_at": ["Nothing is due after it; move or remove it."]})


def _set(value: T | None) -> T:
    """Return a field that this kind of schedule always has."""
    if value is None:
        raise ValueError("a schedule lacks the expression, interval or anchor of its kind")
    return value
