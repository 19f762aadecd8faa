"""How many instants a schedule has in a span of time, without naming each of them.

A job of every second has 86,400 instants a day. Here that costs as much as a single one. Only
where a clock is changed are instants counted one by one.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from chronos_common.clock import DAY, HOUR, MICROSECOND, SECOND
from chronos_common.domain.cron import expression as cron
from chronos_common.domain.cron.expression import Parsed
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind
from chronos_common.domain.timezones.zones import zone_of

#: How far ahead :func:`reaches` searches: four years.
COUNTED = timedelta(days=1461)

#: More instants than any hour has.
_ALL = 4000

#: How far back to search, from near to far. Two matching dates are at most 50 years apart.
_REACHES = tuple(timedelta(seconds=each) for each in (1, 60, 3600, 86_400))
_FAR = tuple(timedelta(days=each) for each in (32, 366, 3660, 18_300))


def between(schedule: Schedule, start: datetime, end: datetime) -> int:
    """Return how many instants lie in [``start``, ``end``)."""
    if schedule.starts_at is not None:
        start = max(start, schedule.starts_at)
    if schedule.ends_at is not None:
        end = min(end, schedule.ends_at + MICROSECOND)
    if start >= end:
        return 0
    if schedule.kind is not ScheduleKind.CRON:
        return _stepped(schedule, start, end)
    return _of_cron(
        cron.parse(schedule.expression or "", schedule.day_match),
        schedule,
        _whole(start - schedule.jitter),
        _whole(end - schedule.jitter),
    )


def reaches(schedule: Schedule, start: datetime, end: datetime, number: int) -> bool | None:
    """Return whether at least ``number`` instants lie in [``start``, ``end``).

    Searches no more than :data:`COUNTED`, and returns None if that does not decide it.
    """
    if schedule.kind is not ScheduleKind.CRON:
        return between(schedule, start, end) >= number
    # A day that is repeated has twice as many.
    parsed = cron.parse(schedule.expression or "", schedule.day_match)
    if 2 * _times_a_day(parsed) * ((end - start) // DAY + 2) < number:
        return False
    found, low, span = 0, start, DAY
    while low < min(end, start + COUNTED):
        high = min(low + span, end, start + COUNTED)
        found += between(schedule, low, high)
        if found >= number:
            return True
        low, span = high, 2 * span
    return None if low < end else False


def _stepped(schedule: Schedule, start: datetime, end: datetime) -> int:
    first = schedule.first_at_or_after(start)
    if first is None or first >= end:
        return 0
    if schedule.kind is ScheduleKind.ONCE or not schedule.interval_seconds:
        return 1
    return (end - MICROSECOND - first) // timedelta(seconds=schedule.interval_seconds) + 1


def _whole(moment: datetime) -> datetime:
    """Return the first whole second that is not before ``moment``. Instants of cron are whole."""
    return moment if not moment.microsecond else moment.replace(microsecond=0) + SECOND


def _of_cron(parsed: Parsed, schedule: Schedule, start: datetime, end: datetime) -> int:
    """Count in [``start``, ``end``), both without jitter."""
    zone = zone_of(schedule.timezone)
    if start >= end:
        return 0
    if _is_steady(start, end, zone):
        return _of_walls(
            parsed,
            start.astimezone(zone).replace(tzinfo=None),
            end.astimezone(zone).replace(tzinfo=None),
        )
    if end - start <= HOUR:
        after, until = start + schedule.jitter - MICROSECOND, end + schedule.jitter - MICROSECOND
        return sum(1 for _ in schedule.instants_between(after, until, _ALL))
    middle = start + (end - start) / 2
    middle = middle.replace(microsecond=0)
    return _of_cron(parsed, schedule, start, middle) + _of_cron(parsed, schedule, middle, end)


def _is_steady(start: datetime, end: datetime, zone: ZoneInfo) -> bool:
    """Return whether clocks in ``zone`` run from ``start`` to ``end`` without a change.

    A change right before ``start`` counts as well, as readings that it skipped run at ``start``.
    So does one whose readings ``start`` or ``end`` still repeats. No zone is changed twice within
    a day.
    """
    if end - start > DAY:
        return False
    before, first, last = ((each.astimezone(zone)) for each in (start - SECOND, start, end))
    offsets = {before.utcoffset(), first.utcoffset(), last.utcoffset()}
    return len(offsets) == 1 and not first.fold and not last.fold


def _of_walls(parsed: Parsed, start: datetime, end: datetime) -> int:
    """Count the matching readings of a clock in [``start``, ``end``), less than two days."""
    total = 0
    day = start.date()
    while day <= end.date():
        if parsed.names(day):
            low = _times_before(parsed, start) if day == start.date() else 0
            high = _times_before(parsed, end) if day == end.date() else _times_a_day(parsed)
            total += high - low
        day += DAY
    return total


def _times_a_day(parsed: Parsed) -> int:
    """Return how many times a matching day has."""
    return len(parsed.hours) * len(parsed.minutes) * len(parsed.seconds)


def _times_before(parsed: Parsed, wall: datetime) -> int:
    """Return how many of the times of a matching day come before that of ``wall``."""
    hours = bisect_left(parsed.hours, wall.hour)
    count = hours * len(parsed.minutes) * len(parsed.seconds)
    if wall.hour not in parsed.hours:
        return count
    minutes = bisect_left(parsed.minutes, wall.minute)
    count += minutes * len(parsed.seconds)
    if wall.minute not in parsed.minutes:
        return count
    return count + bisect_left(parsed.seconds, wall.second)


def spread(schedule: Schedule, bounds: Sequence[datetime]) -> list[int]:
    """Return how many instants lie in each [``bounds[i]``, ``bounds[i + 1]``)."""
    number = len(bounds) - 1
    if schedule.kind is ScheduleKind.INTERVAL:
        return _of_interval(schedule, bounds)
    total = between(schedule, bounds[0], bounds[-1])
    if not total:
        return [0] * number
    if total > number:
        return [between(schedule, *pair) for pair in pairwise(bounds)]
    # Instants that are fewer than the bounds are quickly listed.
    spread_out = [0] * number
    after, until = bounds[0] - MICROSECOND, bounds[-1] - MICROSECOND
    for instant in schedule.instants_between(after, until, total):
        spread_out[bisect_right(bounds, instant) - 1] += 1
    return spread_out


def _of_interval(schedule: Schedule, bounds: Sequence[datetime]) -> list[int]:
    first = schedule.first_at_or_after(bounds[0])
    step = timedelta(seconds=schedule.interval_seconds or 1)
    if first is None:
        return [0] * (len(bounds) - 1)
    last = bounds[-1] if schedule.ends_at is None else schedule.ends_at + MICROSECOND
    before = [max(-((first - min(bound, last)) // step), 0) for bound in bounds]
    return [later - earlier for earlier, later in pairwise(before)]


def last_before(schedule: Schedule, moment: datetime) -> datetime | None:
    """Return the last instant strictly before ``moment``, or None if there is none."""
    for reach in (*_REACHES, *_FAR):
        try:
            low = moment - reach
        except OverflowError:
            return None
        first = schedule.next_after(low)
        if first is not None and first < moment:
            return _last(schedule, first, moment)
    return None


def _last(schedule: Schedule, found: datetime, moment: datetime) -> datetime:
    """Return the last instant before ``moment``, by halving the time from ``found`` on."""
    high = moment
    while True:
        following = schedule.next_after(found)
        if following is None or following >= moment:
            return found
        middle = following + (high - following) / 2
        later = schedule.next_after(middle)
        if later is not None and later < moment:
            found = later
        else:
            found, high = following, middle + MICROSECOND
