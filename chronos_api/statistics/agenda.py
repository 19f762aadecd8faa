"""The agenda: the runs of a span of time second by second, and where they collide."""

import heapq
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Engine, Row

from chronos_api.statistics.forecast import QUICK
from chronos_common import clock
from chronos_common.clock import HOUR, MICROSECOND, MINUTE, SECOND
from chronos_common.domain.schedules import counting
from chronos_common.errors import Invalid
from chronos_common.storage.jobs import jobs, schedules
from chronos_common.storage.jobs.schedules import DueFilter
from chronos_common.storage.postgres.database import reading

_log = structlog.get_logger(__name__)

#: Jobs that a second names, in a span of several seconds and in a span of one.
NAMED = 5
NAMED_ALONE = 200

#: Seconds that are called the busiest, and minutes that are called the quietest.
BUSIEST = 5
QUIETEST = 3

#: More instants than a schedule has in any span.
_ALL = 100_000


@dataclass(frozen=True, slots=True)
class JobName:
    """A job, and what people call it."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class BusySecond:
    """A second, how many jobs run in it, and the names of some of them."""

    at: datetime
    jobs: int
    named: Sequence[JobName]


@dataclass(frozen=True, slots=True)
class MinuteRuns:
    """A minute, and how many runs are due in it."""

    at: datetime
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceAgenda:
    """The runs to come in [``since``, ``until``), by the schedules of so many ``jobs``.

    ``next_since`` is where the ``seconds`` go on, or None. ``minutes``, ``busiest`` and
    ``quietest`` are those of a span of at most an hour, and empty for a longer one.
    """

    as_of: datetime
    since: datetime
    until: datetime
    jobs: int
    is_partial: bool
    seconds: Sequence[BusySecond]
    next_since: datetime | None
    minutes: Sequence[MinuteRuns]
    busiest: Sequence[BusySecond]
    quietest: Sequence[MinuteRuns]


def agenda(
    engine: Engine,
    workspace_id: UUID,
    *,
    since: datetime,
    until: datetime,
    limit: int,
    chosen: DueFilter,
    now: datetime,
) -> WorkspaceAgenda:
    """Return the runs to come of ``chosen`` jobs, of up to ``limit`` seconds.

    A span of at most an hour is looked at to its end, for its busy and quiet times.
    """
    since, until = max(since, now), max(until, now)
    is_whole = until - since <= HOUR
    named = NAMED_ALONE if until - since <= SECOND else NAMED
    with reading(engine) as connection:
        rows, looked_at = schedules.due_groups(
            connection, workspace_id, until=until, chosen=chosen, limit=QUICK.jobs + 1, named=named
        )
    course, begun = _Course(since, until, named), time.monotonic()
    # However many jobs there are, time is left to list the runs of those that were looked at.
    course.start(rows, ends=begun + QUICK.seconds / 2)
    course.go_on(None if is_whole else limit, ends=begun + QUICK.seconds)
    times = sorted(course.seconds)
    shown = times[:limit]
    busiest = course.busiest() if is_whole else []
    with reading(engine) as connection:
        names = jobs.names_of(connection, course.ids_of([*shown, *busiest]))
    minutes = _minutes(course.seconds, since, until) if is_whole else []
    return WorkspaceAgenda(
        as_of=now,
        since=since,
        until=until,
        jobs=course.jobs,
        is_partial=looked_at > QUICK.jobs or course.is_partial,
        seconds=[course.second(at, names) for at in shown],
        next_since=times[limit] if len(times) > limit else None,
        minutes=minutes,
        busiest=[course.second(at, names) for at in busiest],
        quietest=_quietest(minutes, since, until),
    )


@dataclass(slots=True)
class _Second:
    """Counts the jobs of a second, and keeps the ids of some."""

    jobs: int = 0
    named: list[UUID] = field(default_factory=list)


@dataclass(slots=True)
class _Group:
    """Jobs with the same instants: the ``next`` one to come, and those after it."""

    next: datetime
    later: Iterator[datetime]
    jobs: int
    job_ids: Sequence[UUID]


class _Course:
    """Goes through the runs of groups of jobs, in order, each step until an instant ``ends``."""

    def __init__(self, since: datetime, until: datetime, named: int) -> None:
        self._since = since
        self._until = until
        self._named = named
        self._heap: list[tuple[datetime, int, _Group]] = []
        self.seconds: dict[datetime, _Second] = {}
        self.jobs = 0
        self.is_partial = False

    def start(self, rows: Iterable[Row[Any]], *, ends: float) -> None:
        """Find the first run of each group."""
        for number, row in enumerate(rows):
            if time.monotonic() > ends:
                self.is_partial = True
                break
            self.jobs += row.jobs
            group = self._group(row)
            if group is not None:
                self._heap.append((group.next, number, group))
        heapq.heapify(self._heap)

    def _group(self, row: Row[Any]) -> _Group | None:
        """Return the jobs of a row with their instants, or None if there are none in the span."""
        try:
            instants = self._instants(row)
            first = next(instants, None)
        except (ArithmeticError, ValueError, Invalid):
            # The scheduler will say so in the job's history.
            _log.warning("schedule cannot be followed", job_id=str(row.job_ids[0]))
            return None
        return None if first is None else _Group(first, instants, row.jobs, row.job_ids)

    def _instants(self, row: Row[Any]) -> Iterator[datetime]:
        schedule = schedules.schedule_of(row.job_ids[0], row._mapping)  # noqa: SLF001 - public in spite of its name
        # Occurrences that are planned already are not to come.
        start, left = max(self._since, row.next_run_at), _ALL
        if row.runs_left is not None:
            left = max(row.runs_left - counting.between(schedule, row.next_run_at, start), 0)
        return schedule.instants_between(start - MICROSECOND, self._until - MICROSECOND, left)

    def go_on(self, most: int | None, *, ends: float) -> None:
        """Count the runs until there are more than ``most`` seconds, or to the end of the span."""
        while self._heap:
            at, number, group = self._heap[0]
            second = at.replace(microsecond=0)
            if second not in self.seconds and most is not None and len(self.seconds) > most:
                return
            if time.monotonic() > ends:
                self.is_partial = True
                return
            self._count(self.seconds.setdefault(second, _Second()), group)
            following = next(group.later, None)
            if following is None:
                heapq.heappop(self._heap)
            else:
                heapq.heapreplace(self._heap, (following, number, group))

    def _count(self, second: _Second, group: _Group) -> None:
        second.jobs += group.jobs
        second.named += group.job_ids[: self._named - len(second.named)]

    def busiest(self) -> list[datetime]:
        """Return the seconds in which most jobs start at once."""
        shared = [(-each.jobs, at) for at, each in self.seconds.items() if each.jobs > 1]
        return [at for _, at in sorted(shared)[:BUSIEST]]

    def ids_of(self, times: Iterable[datetime]) -> set[UUID]:
        """Return the jobs that these seconds name."""
        return {job_id for at in times for job_id in self.seconds[at].named}

    def second(self, at: datetime, names: Mapping[UUID, str]) -> BusySecond:
        """Return one of the seconds, with the names of its jobs."""
        found = self.seconds[at]
        named = [JobName(job_id, names.get(job_id, "")) for job_id in found.named]
        return BusySecond(at, found.jobs, sorted(named, key=attrgetter("name", "id")))


def _minutes(
    seconds: Mapping[datetime, _Second], since: datetime, until: datetime
) -> list[MinuteRuns]:
    """Return how many runs are due in each minute of the span."""
    runs: Counter[datetime] = Counter()
    for at, second in seconds.items():
        runs[at.replace(second=0)] += second.jobs
    at, found = clock.floor(since, MINUTE), []
    while at < until:
        found.append(MinuteRuns(at, runs[at]))
        at += MINUTE
    return found


def _quietest(minutes: Sequence[MinuteRuns], since: datetime, until: datetime) -> list[MinuteRuns]:
    """Return the whole minutes with the fewest runs. Those with quiet neighbours come first."""
    runs = [0, *(minute.runs for minute in minutes), 0]
    ranked = [
        (minute.runs, runs[index] + runs[index + 2], minute.at)
        for index, minute in enumerate(minutes)
        if minute.at >= since and minute.at + MINUTE <= until
    ]
    return [MinuteRuns(at, number) for number, _, at in sorted(ranked)[:QUIETEST]]
