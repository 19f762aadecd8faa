"""Decides about occurrences that were due while no scheduler planned them.

The scheduler may have been down, or the job paused, for a second or for years. The cost grows with
the occurrences that run, not with those that were missed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from chronos_common.clock import MICROSECOND, SECOND
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind
from chronos_common.domain.statuses import Reason

#: The instants of a cron expression are counted one by one, but no further than this.
MAX_COUNT = 5000


class MisfirePolicy(StrEnum):
    """The rule for occurrences that were missed."""

    RUN_LATEST = "run_latest"
    RUN_ALL = "run_all"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Missed:
    """Successive occurrences from ``first`` to ``last`` that do not run, and why.

    There are ``count`` of them or, if that is not ``exact``, at least as many.
    """

    first: datetime
    last: datetime
    count: int
    reason: Reason
    exact: bool = True


@dataclass(frozen=True, slots=True)
class MisfireDecision:
    """Occurrences to run now, those that do not run, and the next instant (``None``: none)."""

    runs: Sequence[datetime]
    skipped: Sequence[Missed]
    next_run_at: datetime | None


def decide(
    schedule: Schedule,
    *,
    next_run_at: datetime,
    now: datetime,
    policy: MisfirePolicy,
    grace: timedelta,
    resumed_at: datetime | None,
    limit: int,
    runs_left: int | None,
) -> MisfireDecision:
    """Decide about every occurrence from ``next_run_at``, the planned one, until ``now``.

    1. An occurrence that is late by at most ``grace`` was not missed, and runs. One before
       ``resumed_at`` was missed however late it is: grace forgives delays, not a pause.
    2. Of the missed ones the latest runs (``run_latest``), or the latest ``limit`` (``run_all``),
       or none (``skip``). In both steps, no more than the latest ``limit`` run.
    3. The others become one row for those of the pause, and one for those after it.
    4. ``runs_left`` counts runs, not missed occurrences. With the last run the schedule ends, as
       it would have ended in time: there are no later occurrences.
    """
    if next_run_at > now:
        return MisfireDecision([], [], next_run_at)
    if runs_left is not None and runs_left < 1:
        return MisfireDecision([], [], None)
    due = _Due(schedule, next_run_at)
    in_time_from = max(now - min(grace, now - next_run_at), resumed_at or next_run_at)
    runs = due.latest(in_time_from - MICROSECOND, now, limit)
    missed_until = runs[0] - MICROSECOND if runs else now
    runs = due.latest(due.start, missed_until, _most_runs(policy, limit)) + runs
    skipped_until = runs[0] - MICROSECOND if runs else now
    paused_until = min(skipped_until, (resumed_at or next_run_at) - MICROSECOND)
    skipped = [
        due.missed(due.start, paused_until, Reason.PAUSED),
        due.missed(max(due.start, paused_until), skipped_until, Reason.MISFIRE),
    ]
    runs = runs[:runs_left]
    return MisfireDecision(
        runs=runs,
        skipped=[each for each in skipped if each is not None],
        next_run_at=None if len(runs) == runs_left else schedule.next_after(now),
    )


def given_up(
    schedule: Schedule, *, next_run_at: datetime | None, until: datetime, reason: Reason
) -> Missed | None:
    """Return the occurrences from ``next_run_at``, the planned one, to ``until`` as missed.

    This is for a schedule that is replaced or removed before they were planned.
    """
    if next_run_at is None or next_run_at > until:
        return None
    due = _Due(schedule, next_run_at)
    return due.missed(due.start, until, reason)


def _most_runs(policy: MisfirePolicy, limit: int) -> int:
    match policy:
        case MisfirePolicy.RUN_LATEST:
            return 1
        case MisfirePolicy.RUN_ALL:
            return limit
        case MisfirePolicy.SKIP:
            return 0


@dataclass(frozen=True, slots=True)
class _Due:
    """The occurrences of ``schedule`` from ``first`` on.

    The first one counts even if the schedule does not name it any more: another release of Chronos
    may have planned it.
    """

    schedule: Schedule
    first: datetime

    @property
    def start(self) -> datetime:
        """The instant after which the occurrences begin."""
        return self.first - MICROSECOND

    def latest(self, after: datetime, until: datetime, limit: int) -> list[datetime]:
        """Return the last ``limit`` occurrences in (``after``, ``until``], in order."""
        found = _latest(self.schedule, max(after, self.first), until, limit)
        if len(found) < limit and after < self.first <= until:
            return [self.first, *found]
        return found

    def missed(self, after: datetime, until: datetime, reason: Reason) -> Missed | None:
        """Return the occurrences in (``after``, ``until``] as missed ones, if there are any."""
        latest = self.latest(after, until, 1)
        first = self.first if after < self.first else self.schedule.next_after(after)
        if not latest or first is None:
            return None
        others, exact = _count(self.schedule, first, latest[0])
        return Missed(first, latest[0], others + 1, reason, exact)


def _latest(schedule: Schedule, after: datetime, until: datetime, limit: int) -> list[datetime]:
    """Return the last ``limit`` instants in (``after``, ``until``], in order.

    Halves the time until a half is so short that it cannot hold more than ``limit``: no schedule
    names two instants within a second.
    """
    following = schedule.next_after(after)
    if limit < 1 or following is None or following > until:
        return []
    if until - after <= limit * SECOND:
        return list(schedule.instants_between(after, until, limit))
    middle = after + (until - after) / 2
    latest = _latest(schedule, middle, until, limit)
    return _latest(schedule, after, middle, limit - len(latest)) + latest


def _count(schedule: Schedule, after: datetime, until: datetime) -> tuple[int, bool]:
    """Return how many instants lie in (``after``, ``until``], and whether it is just so many."""
    following = schedule.next_after(after)
    if following is None or following > until:
        return 0, True
    if schedule.kind is ScheduleKind.INTERVAL and schedule.interval_seconds:
        # ``until`` is an instant itself, so the steps to it are whole.
        return (until - following) // timedelta(seconds=schedule.interval_seconds) + 1, True
    number = sum(1 for _ in schedule.instants_between(after, until, MAX_COUNT))
    return number, number < MAX_COUNT
