"""The instants of a schedule around a moment."""

from datetime import datetime, timedelta

from chronos_common.domain.schedules.schedule import Schedule

_SMALLEST = datetime.resolution

#: How far back to look, from near to far: a date that comes at all comes within 50 years.
_REACHES = tuple(timedelta(seconds=each) for each in (1, 60, 3600, 86_400))
_FAR = tuple(timedelta(days=each) for each in (32, 366, 3660, 18_300))


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
            found, high = following, middle + _SMALLEST
