"""Cron expressions: the instants that they name, and their description in plain English.

Five fields, or six with seconds first. Day of month and day of week go together as in Debian's
cron (crontab(5)): if either starts with ``*``, both must match, otherwise any of the two. With
:attr:`DayMatch.ALL` both must always match.
``dates`` finds the dates. Times of day and clock changes are handled here.

**Clock changes** follow Debian's cron (cron(8), and the cronsim library after it). A job with a
wildcard as its minute or hour keeps its rhythm. It runs whenever the clock shows a matching time,
so every 15 minutes stays every 15 real minutes. Every other job runs at a fixed time. If the clock
skips that time, it runs once, right after the gap. If the time comes twice, it runs the first
time. Unlike Debian's cron, this holds for changes of any length.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

from chronos_common.clock import DAY, SECOND
from chronos_common.domain.cron import dates as cron_dates
from chronos_common.domain.cron import dialects, fields
from chronos_common.domain.cron.dates import Dates, DayMatch
from chronos_common.domain.schedules import wording
from chronos_common.domain.timezones.zones import (
    check_timezone,
    end_of_gap,
    instants_of,
    repetition_at,
    zone_of,
)
from chronos_common.errors import Invalid

__all__ = ["DayMatch", "Parsed", "check", "check_timezone", "describe", "next_after", "parse"]

MAX_LENGTH = 256

_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_WITH_SECONDS = 6
_WITHOUT_SECONDS = 5

# ``0/15`` (Quartz) and ``0-59/15`` say the same as ``*/15``.
_ANY_MINUTE = re.compile(r"\*|0+/|0+-59")
_ANY_HOUR = re.compile(r"\*|0+/|0+-23")

_ANY_DATE = datetime(2000, 1, 1)  # noqa: DTZ001 - a wall clock's reading


class _NeverAgain(Exception):
    """There is no further time that matches."""


def check(expression: str, day_match: DayMatch = DayMatch.ANY) -> str:
    """Return ``expression`` with single spaces and with macros like ``@daily`` spelled out.

    Raises :class:`Invalid` for the field ``cron_expression``, with the remedy.
    """
    normalised = _normalise(expression)
    try:
        parse(normalised, day_match).after(_ANY_DATE)
    except _NeverAgain as error:
        raise _invalid(
            f"{normalised!r} names a date that never comes; check the days and the months."
        ) from error
    return normalised


def next_after(
    expression: str, timezone: str, moment: datetime, day_match: DayMatch = DayMatch.ANY
) -> datetime | None:
    """Return the first instant strictly after ``moment`` that ``expression`` names, in UTC.

    ``None`` if there is none, or none before the calendar's end. The answers are memoised,
    because thousands of jobs ask the same. Raises :class:`Invalid` for a wrong expression or zone.
    """
    # All instants are whole seconds, so a fraction would change nothing but the memory's key.
    whole = moment.replace(microsecond=0) if moment.microsecond else moment
    return _next_after(expression, timezone, whole, day_match)


@lru_cache(maxsize=65_536)
def _next_after(
    expression: str, timezone: str, moment: datetime, day_match: DayMatch
) -> datetime | None:
    if moment.tzinfo is None:
        raise ValueError("moment must be aware")
    parsed, zone = parse(expression, day_match), zone_of(timezone)
    try:
        local = moment.astimezone(zone)
        return _in_rhythm(parsed, local, zone) if parsed.rhythm else _fixed(parsed, local, zone)
    except (_NeverAgain, OverflowError):
        return None


def _fixed(parsed: "Parsed", local: datetime, zone: ZoneInfo) -> datetime:
    wall = local.replace(tzinfo=None)
    repetition = repetition_at(local) if local.fold else None
    if repetition:
        # This reading of the clock comes for the second time, and its run was at the first.
        wall = repetition.end - SECOND
    found = parsed.after(wall)
    instants = instants_of(found, zone)
    return instants[0] if instants else end_of_gap(found, zone)


def _in_rhythm(parsed: "Parsed", local: datetime, zone: ZoneInfo) -> datetime:
    found = parsed.after(local.replace(tzinfo=None))
    repetition = repetition_at(local)
    if repetition and found >= repetition.end and not local.fold:
        # No matching reading is left in the first pass, so the second one starts over.
        found = parsed.after(repetition.start - SECOND)
        local = local.replace(fold=1)
    if repetition and found < repetition.end:
        return instants_of(found, zone)[local.fold]
    while not (instants := instants_of(found, zone)):
        resumed = end_of_gap(found, zone).astimezone(zone).replace(tzinfo=None)
        found = parsed.after(resumed - SECOND)
    return instants[0]


def times_per_day(expression: str) -> int:
    """Return how many instants ``expression`` names in a day that it names, 0 if it is wrong."""
    try:
        parsed = parse(expression)
    except Invalid:
        return 0
    return len(parsed.hours) * len(parsed.minutes) * len(parsed.seconds)


@lru_cache(maxsize=4096)
def describe(expression: str, day_match: DayMatch = DayMatch.ANY) -> str:
    """Return in plain English when ``expression`` runs. Raises :class:`Invalid`.

    The text is made from the parsed values, so it agrees with the instants. Words that begin with
    *Every* or *Whenever* are those of a rhythm, words that begin with *At* those of fixed times.
    """
    parsed = parse(expression, day_match)
    times = (parsed.seconds, parsed.minutes, parsed.hours)
    return wording.sentence(times, parsed.dates, rhythm=parsed.rhythm)


@dataclass(frozen=True, slots=True)
class Parsed:
    """An expression that was understood, on a calendar and a clock that never change."""

    dates: Dates
    hours: Sequence[int]
    minutes: Sequence[int]
    seconds: Sequence[int]
    rhythm: bool

    def after(self, wall: datetime) -> datetime:
        """Return the first reading that matches after ``wall``."""
        wall += SECOND
        day = self._date_from(wall.date())
        at = self._time_from(wall) if day == wall.date() else self._first_time()
        if at is None:
            day, at = self._date_from(day + DAY), self._first_time()
        return datetime.combine(day, at)

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Yield the readings that match from ``start`` up to, not including, ``end``."""
        wall = start - SECOND
        try:
            while (wall := self.after(wall)) < end:
                yield wall
        except (_NeverAgain, OverflowError):
            return

    def names(self, day: date) -> bool:
        """Return whether the date matches."""
        return self.dates.first_from(day) == day

    def _date_from(self, day: date) -> date:
        """Return the first date that matches, not before ``day``."""
        first = self.dates.first_from(day)
        if first is None:
            raise _NeverAgain
        return first

    def _first_time(self) -> time:
        return time(self.hours[0], self.minutes[0], self.seconds[0])

    def _time_from(self, wall: datetime) -> time | None:
        """Return the first time that matches, not before the one of ``wall``."""
        if wall.hour in self.hours:
            second = _first_from(self.seconds, wall.second)
            if wall.minute in self.minutes and second is not None:
                return time(wall.hour, wall.minute, second)
            minute = _first_from(self.minutes, wall.minute + 1)
            if minute is not None:
                return time(wall.hour, minute, self.seconds[0])
        hour = _first_from(self.hours, wall.hour + 1)
        return None if hour is None else time(hour, self.minutes[0], self.seconds[0])


def _first_from(values: Sequence[int], low: int) -> int | None:
    index = bisect_left(values, low)
    return values[index] if index < len(values) else None


@lru_cache(maxsize=16_384)
def parse(expression: str, day_match: DayMatch = DayMatch.ANY) -> Parsed:
    """Parse ``expression``. Raises :class:`Invalid`."""
    normalised = _normalise(expression)
    try:
        return _parse(normalised.upper().split(), day_match)
    except fields.WrongField as error:
        raise _invalid(dialects.remedy(normalised) or str(error)) from error


def _parse(parts: list[str], day_match: DayMatch) -> Parsed:
    if parts and parts[0].startswith("@"):
        raise fields.WrongField(
            f"{parts[0].lower()!r} is not known; use {', '.join(_MACROS)}, or schedule_type "
            "'interval' or 'once'."
        )
    if len(parts) not in {_WITHOUT_SECONDS, _WITH_SECONDS}:
        plural = "" if len(parts) == 1 else "s"
        raise fields.WrongField(
            f"Has {len(parts)} field{plural}, but must have five (minute, hour, day of month, "
            "month, day of week), or six with the second first."
        )
    second, minute, hour, *dates = parts if len(parts) == _WITH_SECONDS else ["0", *parts]
    return Parsed(
        seconds=fields.values(fields.SECOND, second),
        minutes=fields.values(fields.MINUTE, minute),
        hours=fields.values(fields.HOUR, hour),
        dates=cron_dates.read(*dates, day_match=day_match),
        rhythm=bool(_ANY_MINUTE.match(minute) or _ANY_HOUR.match(hour)),
    )


def _normalise(expression: str) -> str:
    if not isinstance(expression, str):
        raise _invalid("Must be a string like '0 9 * * MON-FRI'.")
    if len(expression) > MAX_LENGTH:
        raise _invalid(f"Must have at most {MAX_LENGTH} characters.")
    normalised = " ".join(expression.split())
    return _MACROS.get(normalised.lower(), normalised)


def _invalid(message: str) -> Invalid:
    return Invalid({"cron_expression": [message]})
