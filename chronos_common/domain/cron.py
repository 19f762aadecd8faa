"""Cron expressions: which instants they name, and what they say in plain English.

Five fields, or six with seconds first. Day of month and day of week go together as in Debian's
cron (crontab(5)): if either starts with ``*``, both must match, otherwise any of the two.
croniter finds the dates; times of day and clock changes are worked out here.

**Clock changes** follow Debian's cron (cron(8), and the cronsim library after it). A job with a
wildcard as its minute or hour keeps its rhythm: it runs whenever the clock shows a matching time,
so every 15 minutes stays every 15 real minutes. Every other job runs at a fixed time: if the
clock skips that time, it runs once, right after the gap; if the time comes twice, it runs the
first time. Unlike Debian's cron, this holds for changes of any length.
"""

import copy
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import product
from zoneinfo import ZoneInfo

from cron_descriptor import Options, get_description
from croniter import croniter

from chronos_common.domain import cron_fields as fields
from chronos_common.domain.zones import (
    SECOND,
    check_timezone,
    end_of_gap,
    instants_of,
    repetition_at,
    zone_of,
)
from chronos_common.errors import Invalid

__all__ = ["Parsed", "check", "check_timezone", "describe", "next_after", "parse"]

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

_DAY = timedelta(days=1)
_EVERY_DAY = "* * *"

# A date that comes at all comes within 50 years of any other, even a certain weekday on
# February 29 (40 years around 2100); croniter gives up after as many.
_ANY_DATE = datetime(2000, 1, 1)  # noqa: DTZ001 - a wall clock's reading


class _NeverAgain(Exception):
    """There is no further time that matches."""


def check(expression: str) -> str:
    """Return ``expression`` with single spaces and with macros like ``@daily`` spelled out.

    Raises :class:`Invalid` for the field ``cron_expression``, with the remedy.
    """
    normalised = _normalise(expression)
    try:
        parse(normalised).after(_ANY_DATE)
    except _NeverAgain as error:
        raise _invalid(
            f"{normalised!r} names a date that never comes; check the days and the months."
        ) from error
    return normalised


def next_after(expression: str, timezone: str, moment: datetime) -> datetime | None:
    """Return the first instant strictly after ``moment`` that ``expression`` names, in UTC.

    ``None`` if there is none, or none before the calendar's end. The answers are memoised,
    because thousands of jobs ask the same. Raises :class:`Invalid` for a wrong expression or zone.
    """
    # All instants are whole seconds, so a fraction would change nothing but the memory's key.
    whole = moment.replace(microsecond=0) if moment.microsecond else moment
    return _next_after(expression, timezone, whole)


@lru_cache(maxsize=65_536)
def _next_after(expression: str, timezone: str, moment: datetime) -> datetime | None:
    if moment.tzinfo is None:
        raise ValueError("moment must be aware")
    parsed, zone = parse(expression), zone_of(timezone)
    try:
        local = moment.astimezone(zone)
        return _in_rhythm(parsed, local, zone) if parsed.rhythm else _fixed(parsed, local, zone)
    except (_NeverAgain, OverflowError):
        return None


def _fixed(parsed: "Parsed", local: datetime, zone: ZoneInfo) -> datetime:
    wall = local.replace(tzinfo=None)
    repetition = repetition_at(local) if local.fold else None
    if repetition:
        # The clock shows for the second time what has had its run the first time.
        wall = repetition.end - SECOND
    found = parsed.after(wall)
    instants = instants_of(found, zone)
    return instants[0] if instants else end_of_gap(found, zone)


def _in_rhythm(parsed: "Parsed", local: datetime, zone: ZoneInfo) -> datetime:
    found = parsed.after(local.replace(tzinfo=None))
    repetition = repetition_at(local)
    if repetition and found >= repetition.end and not local.fold:
        # Nothing is left of the first pass; the second one starts over.
        found = parsed.after(repetition.start - SECOND)
        local = local.replace(fold=1)
    if repetition and found < repetition.end:
        return instants_of(found, zone)[local.fold]
    while not (instants := instants_of(found, zone)):
        resumed = end_of_gap(found, zone).astimezone(zone).replace(tzinfo=None)
        found = parsed.after(resumed - SECOND)
    return instants[0]


def describe(expression: str) -> str:
    """Return what ``expression`` says in plain English, or itself where words fail."""
    try:
        return _describe(_normalise(expression))
    except Exception:  # noqa: BLE001 - cron-descriptor raises anything; words are a courtesy
        return str(expression)


@lru_cache(maxsize=4096)
def _describe(normalised: str) -> str:
    *times, day, month, weekday = normalised.upper().split()
    sentences = [
        _sentence(" ".join([*times, days, month, weekdays]))
        for days, weekdays in _dates(day, weekday, _describable(day), _describable(weekday))
    ]
    if len(sentences) == 1:
        return sentences[0]
    first, *others = (sentence.replace(", only on ", ", on ") for sentence in sentences)
    return "; also ".join([first, *(other[0].lower() + other[1:] for other in others)])


def _sentence(expression: str) -> str:
    english = Options(use_24hour_time_format=True, locale_code="en_US")
    # Where both must match, cron-descriptor may still say that any of the two does.
    sentence: str = get_description(expression, english)
    return sentence.replace(", or on ", ", and only on ")


def _describable(text: str) -> list[str]:
    """Take apart lists with ``#`` or ``L``, for which cron-descriptor has no words."""
    items = text.split(",")
    special = [item for item in items if "#" in item or "L" in item]
    plain = [item for item in items if item not in special]
    return [*([",".join(plain)] if plain else []), *special]


@dataclass(frozen=True, slots=True)
class Parsed:
    """An expression that was understood, on a calendar and a clock that never change.

    A date matches if it matches any of the ``dates`` (day of month, month, day of week).
    """

    dates: Sequence[str]
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
            day, at = self._date_from(day + _DAY), self._first_time()
        return datetime.combine(day, at)

    def names(self, day: date) -> bool:
        """Tell whether the date matches."""
        return any(_date_from(each, day) == day for each in self.dates)

    def _date_from(self, day: date) -> date:
        """Return the first date that matches, not before ``day``."""
        found = [_date_from(each, day) for each in self.dates]
        first = min((each for each in found if each is not None), default=None)
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


@lru_cache(maxsize=65_536)
def _date_from(pattern: str, day: date) -> date | None:
    """Return the first date from ``day`` on that ``pattern`` matches, if there is one."""
    if pattern == _EVERY_DAY:
        return day
    before = datetime.combine(day, time()) - SECOND
    try:
        # croniter keeps its position in itself; a copy for each question keeps threads apart.
        found: datetime = copy.copy(_calendar(pattern)).get_next(datetime, start_time=before)
    except (ValueError, OverflowError):  # none in 50 years, or the calendar's end
        return None
    return found.date()


@lru_cache(maxsize=4096)
def _calendar(pattern: str) -> croniter:
    """Return what finds the midnights of dates with ``day month weekday``, all of which match."""
    return croniter(f"0 0 {pattern}", _ANY_DATE, day_or=False)


@lru_cache(maxsize=16_384)
def parse(expression: str) -> Parsed:
    """Read ``expression``; raises :class:`Invalid`."""
    second, minute, hour, day, month, weekday = _split(_normalise(expression).upper())
    try:
        months = fields.months(month)
        dates = _dates(day, weekday, [fields.days(day)], fields.weekdays(weekday))
        return Parsed(
            dates=[f"{days} {months} {weekdays}" for days, weekdays in dates],
            hours=fields.values(fields.HOUR, hour),
            minutes=fields.values(fields.MINUTE, minute),
            seconds=fields.values(fields.SECOND, second),
            rhythm=bool(_ANY_MINUTE.match(minute) or _ANY_HOUR.match(hour)),
        )
    except fields.WrongField as error:
        raise _invalid(str(error)) from error


def _dates(
    day: str, weekday: str, days: Sequence[str], weekdays: Sequence[str]
) -> list[tuple[str, str]]:
    """Return the alternative pairs of a day of month and a day of week that must both match.

    ``days`` and ``weekdays`` are ``day`` and ``weekday`` taken apart. See crontab(5) of Debian:
    a field is restricted if it does not start with ``*``, and any of two restricted ones will do.
    """
    if day[0] in "*?" or weekday[0] in "*?":
        return list(product(days, weekdays))
    return [(each, "*") for each in days] + [("*", each) for each in weekdays]


def _normalise(expression: str) -> str:
    if not isinstance(expression, str):
        raise _invalid("Must be a string like '0 9 * * MON-FRI'.")
    if len(expression) > MAX_LENGTH:
        raise _invalid(f"Must have at most {MAX_LENGTH} characters.")
    normalised = " ".join(expression.split())
    if not normalised.startswith("@"):
        return normalised
    try:
        return _MACROS[normalised.lower()]
    except KeyError:
        raise _invalid(
            f"{normalised!r} is not known; use {', '.join(_MACROS)}, or schedule_type 'interval' "
            "or 'once'."
        ) from None


def _split(expression: str) -> list[str]:
    """Return the six fields, seconds first."""
    parts = expression.split()
    if len(parts) not in {_WITHOUT_SECONDS, _WITH_SECONDS}:
        years = " (for years, use starts_at and ends_at)" if len(parts) > _WITH_SECONDS else ""
        raise _invalid(
            f"Has {len(parts)} fields, but must have five (minute, hour, day of month, month, day "
            f"of week), or six with the second first{years}."
        )
    return parts if len(parts) == _WITH_SECONDS else ["0", *parts]


def _invalid(message: str) -> Invalid:
    return Invalid({"cron_expression": [message]})
