"""The forecast: runs to come, counted from the schedules without naming every instant."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Engine, Row

from chronos_common import clock
from chronos_common.domain.schedules import counting
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.errors import Invalid
from chronos_common.storage.jobs import jobs, schedules
from chronos_common.storage.jobs.schedules import DueFilter
from chronos_common.storage.postgres.database import transaction

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Budget:
    """A forecast that would look at more jobs, or for longer, ends and says that it is partial."""

    jobs: int
    seconds: float


#: For somebody who waits, and for nobody.
QUICK, THOROUGH = Budget(300_000, 1.0), Budget(1_000_000, 10.0)

#: Jobs that a bucket names: those that run least often in it, which the others would hide.
NAMED = 5

#: Chooses all jobs.
ALL = DueFilter()


@dataclass(frozen=True, slots=True)
class JobRuns:
    """A job, and how often it runs in a bucket."""

    id: UUID
    name: str
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastBucket:
    """The number of occurrences due from ``at`` on, and of their jobs. Some jobs are named."""

    at: datetime
    runs: int
    jobs: int
    named: Sequence[JobRuns]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The runs until an instant, by the schedules of so many ``jobs``."""

    as_of: datetime
    until: datetime
    bucket_seconds: int
    jobs: int
    runs: int
    is_partial: bool
    buckets: Sequence[ForecastBucket]


@dataclass(slots=True)
class _BucketCount:
    """Counts the runs in a bucket, and keeps the jobs that run least often in it."""

    runs: int = 0
    jobs: int = 0
    named: list[tuple[int, UUID]] = field(default_factory=list)

    def add(self, runs: int, jobs: int, job_ids: Sequence[UUID]) -> None:
        """Count ``jobs`` jobs that run so often each. ``job_ids`` are some of them."""
        self.runs += runs * jobs
        self.jobs += jobs
        if len(self.named) < NAMED or runs < self.named[-1][0]:
            self.named = sorted([*self.named, *((runs, each) for each in job_ids)])[:NAMED]

    def bucket(self, at: datetime, names: Mapping[UUID, str]) -> ForecastBucket:
        named = [JobRuns(job_id, names.get(job_id, ""), runs) for runs, job_id in self.named]
        return ForecastBucket(at=at, runs=self.runs, jobs=self.jobs, named=named)


def forecast(
    engine: Engine,
    workspace_id: UUID,
    *,
    hours: int,
    step: timedelta,
    now: datetime,
    chosen: DueFilter = ALL,
    budget: Budget = QUICK,
) -> Forecast:
    """Return the runs to come of ``chosen`` jobs, in buckets of length ``step``.

    The first bucket is under way.
    """
    first = clock.floor(now, step)
    number = -(-timedelta(hours=hours) // step)
    starts = [first + index * step for index in range(number)]
    until = first + number * step
    with transaction(engine) as connection:
        rows, looked_at = schedules.due_groups(
            connection,
            workspace_id,
            until=until,
            chosen=chosen,
            limit=budget.jobs + 1,
            named=NAMED,
        )
    counts = [_BucketCount() for _ in starts]
    ends = time.monotonic() + budget.seconds
    considered = _fill(counts, rows, [now, *starts[1:], until], now, ends=ends)
    with transaction(engine) as connection:
        shown = {job_id for count in counts for _, job_id in count.named}
        names = jobs.names_of(connection, shown)
    return Forecast(
        as_of=now,
        until=until,
        bucket_seconds=int(step.total_seconds()),
        jobs=considered,
        runs=sum(count.runs for count in counts),
        is_partial=looked_at > budget.jobs or considered < looked_at,
        buckets=[count.bucket(at, names) for at, count in zip(starts, counts, strict=True)],
    )


def _fill(
    counts: Sequence[_BucketCount],
    rows: Iterable[Row[Any]],
    bounds: Sequence[datetime],
    now: datetime,
    *,
    ends: float,
) -> int:
    """Count the runs of groups of jobs in each bucket, and return the number of jobs.

    It stops when the monotonic clock reaches ``ends``.
    """
    # Many jobs share their schedule.
    known: dict[tuple[Schedule, datetime, int | None], list[int]] = {}
    considered = 0
    for row in rows:
        if time.monotonic() > ends:
            break
        considered += row.jobs
        try:
            schedule = schedules.schedule_of(row.job_ids[0], row._mapping)  # noqa: SLF001 - public in spite of its name
            start = _start(schedule, row.next_run_at, now)
            key = schedule, start, row.runs_left
            if key not in known:
                known[key] = _spread(schedule, bounds, start, row.runs_left)
        except (ArithmeticError, ValueError, Invalid):
            # The scheduler will say so in the job's history.
            _log.warning("schedule cannot be followed", job_id=str(row.job_ids[0]))
            continue
        for count, runs in zip(counts, known[key], strict=True):
            if runs:
                count.add(runs, row.jobs, row.job_ids)
    return considered


def _start(schedule: Schedule, next_run_at: datetime, now: datetime) -> datetime:
    """Return where to start: occurrences that are planned already are not to come."""
    first = schedule.first_at_or_after(now)
    return now if first is None or first >= next_run_at else next_run_at


def _spread(
    schedule: Schedule, bounds: Sequence[datetime], start: datetime, runs_left: int | None
) -> list[int]:
    found = counting.spread(schedule, [max(bound, start) for bound in bounds])
    if runs_left is None:
        return found
    left = runs_left
    for index, runs in enumerate(found):
        found[index] = min(runs, left)
        left -= found[index]
    return found
