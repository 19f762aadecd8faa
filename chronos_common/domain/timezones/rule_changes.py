"""The next instant of a cron schedule when the rules of its time zone have changed.

An occurrence is a reading of the wall clock that the expression names. The reading 09:29 stays
09:29, although its instant is another one now. An occurrence that has run today does not run
again, and none is left out.

A job of every hour is continued by its instants instead. Its rhythm stays as even as the new clock
allows, as after a clock change.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from chronos_common.clock import MICROSECOND, SECOND
from chronos_common.domain.cron import expression as cron
from chronos_common.domain.cron.expression import Parsed
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.domain.timezones.zones import (
    end_of_gap,
    instants_of,
    repetition_at,
    zone_of,
)

_ALL_HOURS = 24


def instant_by_new_rules(
    schedule: Schedule, instant: datetime, *, old: ZoneInfo | None, horizon: datetime
) -> datetime | None:
    """Return the instant in today's rules of the occurrence at ``instant`` in the ``old`` ones.

    ``schedule`` is one of cron. Occurrences that are due until ``horizon`` and lie before
    ``instant`` have executions. An instant that today's rules put into the past is due at once.
    None means that it lies behind ``ends_at`` now. An instant that the old rules do not explain
    stays: it runs, and the schedule continues after it by today's rules. So it does if the old
    rules are unknown.
    """
    parsed = cron.parse(schedule.expression or "", schedule.day_match)
    if len(parsed.hours) == _ALL_HOURS:
        return schedule.next_after(min(instant - MICROSECOND, horizon))
    jitter = schedule.jitter
    reading = _reading(parsed, instant - jitter, old, horizon - jitter)
    if reading is None:
        return instant
    found = _instant(parsed, schedule, reading) + jitter
    if schedule.starts_at is not None and found < schedule.starts_at:
        return schedule.first_at_or_after(schedule.starts_at)
    return None if schedule.ends_at is not None and found > schedule.ends_at else found


def _reading(
    parsed: Parsed, instant: datetime, old: ZoneInfo | None, horizon: datetime
) -> datetime | None:
    """Return the first reading that has not run, in the ``old`` zone.

    That is the one at ``instant``, unless a gap of the old rules before it has swallowed others:
    today's rules may have no such gap.
    """
    if old is None:
        return None
    local = instant.astimezone(old)
    before = min(instant - SECOND, horizon).astimezone(old)
    first = parsed.after(before.replace(tzinfo=None, fold=0))
    if first < local.replace(tzinfo=None) and not instants_of(first, old):
        return first.replace(tzinfo=old)
    named = parsed.after(local.replace(tzinfo=None, fold=0) - SECOND)
    return local if named == local.replace(tzinfo=None, fold=0) else None


def _instant(parsed: Parsed, schedule: Schedule, reading: datetime) -> datetime:
    """Return the instant of a reading of the old zone in the new one, without jitter."""
    new, wall = zone_of(schedule.timezone), reading.replace(tzinfo=None, fold=0)
    instants = instants_of(wall, new)
    if not instants:
        return _after_gap(schedule, end_of_gap(wall, new), rhythm=parsed.rhythm)
    if len(instants) == 1 and reading.fold:
        repetition = repetition_at(reading)
        if repetition:
            # The reading came twice and has run the first time, and now it comes once.
            following = parsed.after(repetition.end - SECOND)
            return _instant(parsed, schedule, following.replace(tzinfo=reading.tzinfo))
    return instants[-1] if reading.fold else instants[0]


def _after_gap(schedule: Schedule, end: datetime, *, rhythm: bool) -> datetime:
    """Return when a reading runs that a gap swallows: at its end, or with the next of a rhythm."""
    following = (
        cron.next_after(
            schedule.expression or "", schedule.timezone, end - SECOND, schedule.day_match
        )
        if rhythm
        else end
    )
    return following or end
