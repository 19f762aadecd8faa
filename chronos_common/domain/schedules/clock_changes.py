"""The next clock changes that meet a cron schedule, and what it does at them.

The rules are those of ``cron.expression``: a fixed time runs once, and a rhythm stays a rhythm.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from zoneinfo import ZoneInfo

from chronos_common.clock import SECOND
from chronos_common.domain.cron import expression as cron
from chronos_common.domain.schedules import humanize
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind
from chronos_common.domain.timezones.zones import changes_between, instants_of, zone_of

#: How far ahead to look: each change of a zone with summer time comes within a year.
HORIZON = timedelta(days=400)
#: At most so many changes are told, and so many readings of each.
MAX_CHANGES = 4
MAX_READINGS = 3


class ClockChangeKind(StrEnum):
    """Whether clocks are put forward, so that they skip readings, or back, so that they repeat."""

    SKIPPED = "skipped"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A change of the clocks, and the readings that a schedule names there.

    The clocks skip or repeat the readings from ``start`` up to, not including, ``end``.
    ``readings`` are the first ones of them that the schedule names, and ``has_more`` says whether
    there are others. ``runs`` are the instants at which it runs for these.
    """

    at: datetime
    kind: ClockChangeKind
    start: datetime
    end: datetime
    readings: tuple[datetime, ...]
    has_more: bool
    runs: tuple[datetime, ...]
    keeps_rhythm: bool

    def describe(self) -> str:
        """Return in plain English what the clocks and the schedule do."""
        verb = "skip" if self.kind is ClockChangeKind.SKIPPED else "show"
        span = f"{_time(self.start)} to {_time(self.end)}"
        what = f"On {self.start:%a %-d %b %Y} the clocks {verb} {span}"
        if self.kind is ClockChangeKind.SKIPPED:
            return f"{what}. {self._at_gap()}"
        return f"{what} twice. {self._at_repetition()}"

    def _at_gap(self) -> str:
        if self.keeps_rhythm:
            return "The job keeps its rhythm, and has no run between them."
        if len(self.readings) == 1:
            return f"{self._named()} does not exist, so it runs at {_time(self.end)}."
        return f"{self._named()} do not exist, so it runs once, at {_time(self.end)}."

    def _at_repetition(self) -> str:
        if self.keeps_rhythm:
            return "The job keeps its rhythm, and runs both times."
        return (
            f"{self._named()} {'runs' if len(self.readings) == 1 else 'run'} the first time only."
        )

    def _named(self) -> str:
        named = [_time(each) for each in self.readings]
        return humanize.joined([*named, "others"] if self.has_more else named)


def _time(reading: datetime) -> str:
    return f"{reading:%H:%M:%S}" if reading.second else f"{reading:%H:%M}"


def clock_changes(schedule: Schedule, after: datetime) -> list[ClockChange]:
    """Return the next clock changes within :data:`HORIZON` that meet readings of the schedule.

    Only a cron schedule has readings.
    """
    if schedule.kind is not ScheduleKind.CRON:
        return []
    return list(islice(_clock_changes(schedule, after), MAX_CHANGES))


def _clock_changes(schedule: Schedule, after: datetime) -> Iterator[ClockChange]:
    first = max(after, schedule.starts_at or after)
    last = min(first + HORIZON, schedule.ends_at or datetime.max.replace(tzinfo=UTC))
    for at in changes_between(zone_of(schedule.timezone), first, last):
        change = _met(schedule, at)
        if change.readings:
            yield change


def _met(schedule: Schedule, at: datetime) -> ClockChange:
    """Return the change at ``at`` with the readings that the schedule names there."""
    zone = zone_of(schedule.timezone)
    parsed = cron.parse(schedule.expression or "", schedule.day_match)
    before, after = _reading(at - SECOND, zone) + SECOND, _reading(at, zone)
    kind = ClockChangeKind.SKIPPED if after > before else ClockChangeKind.REPEATED
    start, end = min(before, after), max(before, after)
    found = tuple(islice(parsed.between(start, end), MAX_READINGS + 1))
    readings, has_more = found[:MAX_READINGS], len(found) > MAX_READINGS
    runs: tuple[datetime, ...] = ()
    if kind is ClockChangeKind.REPEATED:
        passes = 2 if parsed.rhythm else 1
        runs = tuple(each for reading in readings for each in instants_of(reading, zone)[:passes])
    elif readings and not parsed.rhythm:
        runs = (at,)
    shifted = tuple(each + schedule.jitter for each in sorted(runs))
    return ClockChange(at, kind, start, end, readings, has_more, shifted, parsed.rhythm)


def _reading(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None, fold=0)
