"""The course of the figures: how executions ended, in buckets without gaps.

That of a whole workspace is read from sums, that of a job or of a tag from the latest executions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Engine, RowMapping

from chronos_api.statistics.dashboard import LENGTHS, Period, average_duration, drift_of
from chronos_common import clock
from chronos_common.domain import histograms
from chronos_common.errors import JobNotFound
from chronos_common.storage.executions import trends
from chronos_common.storage.executions.filters import HistoryFilter
from chronos_common.storage.executions.trends import HOUR, MINUTES_KEPT, Totals
from chronos_common.storage.jobs import jobs
from chronos_common.storage.postgres.database import transaction

#: The buckets of a period: 60, 72, 48 and 168 of them.
STEPS: Mapping[Period, timedelta] = {
    Period.HOUR: timedelta(minutes=1),
    Period.SIX_HOURS: timedelta(minutes=5),
    Period.DAY: timedelta(minutes=30),
    Period.WEEK: HOUR,
}

#: The buckets of any other span are the shortest of these of which it has no more than so many.
SPAN_STEPS = (*STEPS.values(), timedelta(hours=6), clock.DAY, timedelta(days=7))
MAX_BUCKETS = 200

#: Hourly sums are kept no longer.
LONGEST_SPAN = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class TrendSpan:
    """A whole number of buckets of length ``step`` from ``since`` on."""

    since: datetime
    until: datetime
    step: timedelta

    @property
    def starts(self) -> Sequence[datetime]:
        """Where each bucket begins."""
        number = (self.until - self.since) // self.step
        return [self.since + index * self.step for index in range(number)]


def span_of(period: Period, *, now: datetime) -> TrendSpan:
    """Return the span of a period, whose last bucket is still open."""
    step = STEPS[period]
    until = clock.floor(now, step) + step
    return TrendSpan(until - LENGTHS[period], until, step)


def span_between(since: datetime, until: datetime, *, now: datetime) -> TrendSpan:
    """Return the span of the buckets that hold the time from ``since`` to ``until``."""
    for step in SPAN_STEPS:
        first, end = clock.floor(since, step), until - datetime.resolution
        last = clock.floor(end, step) + step
        has_sums = step >= HOUR or first >= now - MINUTES_KEPT
        if has_sums and (last - first) // step <= MAX_BUCKETS:
            return TrendSpan(first, last, step)
    raise ValueError(f"longer than {LONGEST_SPAN}")


@dataclass(slots=True)
class BucketSums:
    """The sums over the executions of one span of time."""

    at: datetime
    executions: dict[str, int] = field(default_factory=dict)
    durations_ms: dict[str, int] = field(default_factory=dict)
    latest_ms: int = 0
    drift_counts: list[int] = field(default_factory=list)

    @property
    def average_duration_ms(self) -> float | None:
        """Of executions that succeeded or failed."""
        return average_duration(self.executions, self.durations_ms)

    @property
    def drift_max_ms(self) -> int | None:
        """The largest drift."""
        return self.latest_ms if any(self.drift_counts) else None

    def drift(self, percent: float) -> int | None:
        """Return a percentile of drift, which never exceeds the largest drift."""
        totals = Totals(self.executions, self.durations_ms, self.latest_ms, self.drift_counts)
        return drift_of(totals, percent)

    def add(self, row: RowMapping) -> None:
        """Add an execution that has ended."""
        status = row["status"]
        self.executions[status] = self.executions.get(status, 0) + 1
        took = self.durations_ms.get(status, 0) + (row["duration_ms"] or 0)
        self.durations_ms[status] = took
        if row["started_at"] is not None:
            late = max(0, round((row["started_at"] - row["scheduled_for"]) / clock.MILLISECOND))
            self.latest_ms = max(self.latest_ms, late)
            histograms.add(self.drift_counts, late)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """How executions ended, in buckets without gaps.

    If not ``is_exact``, older executions than those that were looked at are left out.
    """

    period: Period | None
    span: TrendSpan
    as_of: datetime
    buckets: Sequence[BucketSums]
    is_exact: bool = True

    @property
    def bucket_seconds(self) -> int:
        """The length of each bucket."""
        return int(self.span.step.total_seconds())


def of_workspace(
    engine: Engine, workspace_id: UUID, span: TrendSpan, *, period: Period | None, now: datetime
) -> Trend:
    """Return how the executions ended that got their final status in a span of time."""
    place = span.since, span.until, span.step
    with transaction(engine) as connection:
        rows = trends.buckets(connection, workspace_id, *place)
        drifts = trends.drift_buckets(connection, workspace_id, *place)
    buckets = {at: BucketSums(at) for at in span.starts}
    for row in rows:
        bucket = buckets[row["at"]]
        bucket.executions[row["status"]] = row["executions"]
        bucket.durations_ms[row["status"]] = row["duration_ms"]
        bucket.latest_ms = max(bucket.latest_ms, row["drift_ms_max"])
    for row in drifts:
        counts = buckets[row["at"]].drift_counts
        counts.extend([0] * (row["bucket"] - len(counts)))
        counts[row["bucket"] - 1] = row["executions"]
    return Trend(period=period, span=span, as_of=now, buckets=list(buckets.values()))


def of_history(
    engine: Engine,
    workspace_id: UUID,
    filters: HistoryFilter,
    span: TrendSpan,
    *,
    period: Period | None,
    now: datetime,
) -> Trend:
    """Return how the executions of a job or tag ended that were scheduled in a span of time.

    Raises :class:`JobNotFound`.
    """
    with transaction(engine) as connection:
        job_id = filters.job_id
        if job_id is not None and jobs.find(connection, workspace_id, job_id) is None:
            raise JobNotFound
        rows, is_exact = trends.ended(connection, workspace_id, filters)
    return Trend(
        period=period, span=span, as_of=now, buckets=_filled(rows, span), is_exact=is_exact
    )


def _filled(rows: Iterable[RowMapping], span: TrendSpan) -> list[BucketSums]:
    buckets = {at: BucketSums(at) for at in span.starts}
    for row in rows:
        # A run by hand may be for another time than the one in its id, by which it was found.
        bucket = buckets.get(clock.floor(row["scheduled_for"], span.step))
        if bucket is not None:
            bucket.add(row)
    return list(buckets.values())
