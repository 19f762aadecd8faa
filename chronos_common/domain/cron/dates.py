"""The dates that day of month, month and day of week of a cron expression name together.

The days of the first month are computed here. Beyond it, croniter finds the dates of plain
numbers. Days that move within the month (``L``, ``LW``, ``L-3``, ``15W``, ``5#2``, ``5L``) are
searched month by month. croniter does not know all of them, and confuses lists that hold them.
"""

import calendar
import copy
from collections.abc import Collection
from dataclasses import dataclass
from datetime import MAXYEAR, date, datetime
from enum import StrEnum
from functools import lru_cache

from croniter import croniter

from chronos_common.domain.cron import fields
from chronos_common.domain.cron.fields import ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, Days, Weekdays

# Two matching dates are at most 50 years apart, even a certain weekday on February 29 (40 years
# around 2100). croniter gives up after as many.
_MOST_YEARS = 50

_SATURDAY, _SUNDAY, _WEEK = 5, 6, 7  # as ``calendar`` counts them, from Monday
_ANY_MOMENT = datetime(2000, 1, 1)  # noqa: DTZ001 - a wall clock's reading


class DayMatch(StrEnum):
    """How day of month and day of week go together, if both are restricted."""

    #: Either will do, as in Debian's cron. Both must match if a field begins with ``*``.
    ANY = "any"
    #: Both must match, as in celery's and APScheduler's crontab.
    ALL = "all"


@dataclass(frozen=True, slots=True, eq=False)
class Dates:
    """A rule for dates. :func:`read` makes one, the same for the same values.

    With ``both`` a date has to match ``days`` and ``weekdays``, otherwise one of them.
    """

    months: tuple[int, ...]
    days: Days
    weekdays: Weekdays
    both: bool

    def first_from(self, day: date) -> date | None:
        """Return the first date that matches, not before ``day``, or None if there is none."""
        if self.days is ALL_DAYS and self.weekdays is ALL_WEEKDAYS and self.months is ALL_MONTHS:
            return day
        return _first_from(self, day)


def read(day: str, month: str, weekday: str, *, day_match: DayMatch = DayMatch.ANY) -> Dates:
    """Return the dates that three fields name. Raises :class:`fields.WrongField`.

    See crontab(5) of Debian: a day field is restricted if it does not start with ``*``. Of two
    restricted ones either will do, otherwise both must match. ``?`` counts as ``*``. With
    ``DayMatch.ALL`` both must always match.
    """
    months = fields.values(fields.MONTH, month)
    days, weekdays = fields.days(day), fields.weekdays(weekday)
    both = day_match == DayMatch.ALL or day[0] in "*?" or weekday[0] in "*?"
    if not both and (days is ALL_DAYS or weekdays is ALL_WEEKDAYS):
        days, weekdays, both = ALL_DAYS, ALL_WEEKDAYS, True
    return _shared(ALL_MONTHS if months == ALL_MONTHS else months, days, weekdays, both)


@lru_cache(maxsize=16_384)
def _shared(
    months: tuple[int, ...],
    days: Days,
    weekdays: Weekdays,
    both: bool,  # noqa: FBT001 - a key of the memory
) -> Dates:
    return Dates(months, days, weekdays, both)


def _first_from(dates: Dates, day: date) -> date | None:
    """Search the month of the day first: its days are computed once and memoised."""
    if day.month in dates.months:
        for number in _in_month(dates, day.year, day.month):
            if number >= day.day:
                return day.replace(day=number)
    return _first_in_later_months(dates, day.year, day.month)


@lru_cache(maxsize=16_384)
def _first_in_later_months(dates: Dates, year: int, month: int) -> date | None:
    if dates.days.move or dates.weekdays.move:
        return _by_month(dates, year, month)
    return _by_croniter(dates, year, month)


def _by_croniter(dates: Dates, year: int, month: int) -> date | None:
    last = datetime(year, month, calendar.monthrange(year, month)[1])  # noqa: DTZ001 - a reading
    try:
        # croniter keeps its position in itself. A copy for each call keeps threads apart.
        found: datetime = copy.copy(_calendar(dates)).get_next(datetime, start_time=last)
    except (ValueError, OverflowError):  # none in 50 years, or the calendar's end
        return None
    return found.date()


@lru_cache(maxsize=4096)
def _calendar(dates: Dates) -> croniter:
    """Return an iterator over the midnights of dates that do not move within the month."""
    rules = (
        _field_of(dates.days.numbers, ALL_DAYS.numbers),
        _field_of(dates.months, ALL_MONTHS),
        _field_of(dates.weekdays.numbers, ALL_WEEKDAYS.numbers),
    )
    return croniter(f"0 0 {' '.join(rules)}", _ANY_MOMENT, day_or=not dates.both)


def _field_of(values: Collection[int], everything: Collection[int]) -> str:
    return "*" if len(values) == len(everything) else ",".join(map(str, values))


def _by_month(dates: Dates, year: int, month: int) -> date | None:
    """Return the first date in a month after this one."""
    for later in range(year, min(year + _MOST_YEARS, MAXYEAR) + 1):
        for each in dates.months:
            if (later, each) > (year, month) and (found := _in_month(dates, later, each)):
                return date(later, each, found[0])
    return None


@lru_cache(maxsize=16_384)
def _in_month(dates: Dates, year: int, month: int) -> tuple[int, ...]:
    """Return the days of a month that match."""
    first_weekday, length = calendar.monthrange(year, month)
    days = _days_in(dates.days, first_weekday, length)
    weekdays = _weekdays_in(dates.weekdays, first_weekday, length)
    return tuple(sorted(days & weekdays if dates.both else days | weekdays))


def _days_in(days: Days, first_weekday: int, length: int) -> set[int]:
    found = {*days.numbers, *(length - back for back in days.from_end)}
    # Of a month that is too short for 31W, the last day is meant, as in Quartz and croniter.
    centres = {min(number, length) for number in days.nearest}
    centres |= {length - back for back in days.nearest_from_end if back < length}
    found |= {_nearest_weekday(centre, first_weekday, length) for centre in centres}
    return {number for number in found if 1 <= number <= length}


def _nearest_weekday(day: int, first_weekday: int, length: int) -> int:
    """Return the day from Monday to Friday of the same month that is nearest to ``day``."""
    weekday = (first_weekday + day - 1) % _WEEK
    if weekday == _SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == _SUNDAY:
        return day + 1 if day < length else day - 2
    return day


def _weekdays_in(weekdays: Weekdays, first_weekday: int, length: int) -> set[int]:
    # Both sides count from Monday here, while crontab counts from Sunday.
    firsts = {(first_weekday + back + 1) % _WEEK: back + 1 for back in range(_WEEK)}
    found = {day for each in weekdays.numbers for day in range(firsts[each], length + 1, _WEEK)}
    found |= {firsts[each] + _WEEK * (nth - 1) for nth, each in weekdays.nth}
    found |= {max(range(firsts[each], length + 1, _WEEK)) for each in weekdays.last}
    return {day for day in found if day <= length}
