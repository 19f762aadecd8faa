"""The figures of a workspace: read from sums, never from the history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Engine

from chronos_common.domain import histograms
from chronos_common.domain.statuses import Status
from chronos_common.storage import workers
from chronos_common.storage.executions import trends
from chronos_common.storage.executions.trends import Backlog, Totals
from chronos_common.storage.jobs import jobs
from chronos_common.storage.postgres.database import transaction

#: How many unfinished executions of the installation a look at the queue takes into account.
MAX_UNFINISHED = 10_000


class Period(StrEnum):
    """How far back to look."""

    HOUR = "1h"
    SIX_HOURS = "6h"
    DAY = "24h"
    WEEK = "7d"


LENGTHS: Mapping[Period, timedelta] = {
    Period.HOUR: timedelta(hours=1),
    Period.SIX_HOURS: timedelta(hours=6),
    Period.DAY: timedelta(days=1),
    Period.WEEK: timedelta(days=7),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodSums:
    """How the executions of [``since``, ``until``) ended."""

    since: datetime
    until: datetime
    totals: Totals

    @property
    def executions(self) -> Mapping[str, int]:
        """How many executions ended with each status."""
        return self.totals.executions

    @property
    def success_rate(self) -> float | None:
        """The part of the finished executions that succeeded."""
        return success_rate(self.totals.executions)

    @property
    def average_duration_ms(self) -> float | None:
        """Of the last attempts of executions that succeeded or failed."""
        return average_duration(self.totals.executions, self.totals.duration_ms)

    def drift(self, percent: float) -> int | None:
        """Return a percentile of drift, which never exceeds the largest drift."""
        return drift_of(self.totals, percent)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceStats(PeriodSums):
    """How a workspace stands, and how its executions of a period ended."""

    period: Period
    jobs: Mapping[str, int]
    unfinished: Backlog
    before: Totals
    alive: Mapping[str, int]

    @property
    def as_of(self) -> datetime:
        """The instant of the figures, at which the period ends."""
        return self.until

    @property
    def previous(self) -> PeriodSums:
        """The sums of the period before, of the same length."""
        since = self.since - LENGTHS[self.period]
        return PeriodSums(since=since, until=self.since, totals=self.before)

    @property
    def drift_histogram(self) -> "Sequence[DriftBucket]":
        """The distribution of the drift, without empty buckets."""
        return [
            DriftBucket(histograms.lowest_of(bucket), histograms.lowest_of(bucket + 1), count)
            for bucket, count in enumerate(self.totals.drift_counts)
            if count
        ]

    @property
    def queue_age_seconds(self) -> float:
        """For how long the most overdue execution has been due."""
        waiting_since = self.unfinished.waiting_since
        return (self.as_of - waiting_since).total_seconds() if waiting_since else 0.0

    @property
    def drift_max_ms(self) -> int | None:
        """The largest drift."""
        return self.totals.drift_ms_max if self.totals.drift_counts else None


@dataclass(frozen=True, slots=True)
class DriftBucket:
    """How many executions started so late: from one number of milliseconds to below another."""

    from_ms: int
    below_ms: int
    executions: int


def drift_of(totals: Totals, percent: float) -> int | None:
    """Return a percentile of drift, or None if nothing has started."""
    found = histograms.percentile(totals.drift_counts, percent)
    return None if found is None else min(found, totals.drift_ms_max)


def stats(
    engine: Engine, workspace_id: UUID, period: Period, *, alive_within: timedelta, now: datetime
) -> WorkspaceStats:
    """Return how the workspace stands, and how its executions of the ``period`` ended."""
    since = (now - LENGTHS[period]).replace(second=0, microsecond=0)
    with transaction(engine) as connection:
        return WorkspaceStats(
            period=period,
            since=since,
            until=now,
            jobs=jobs.count_by_status(connection, workspace_id),
            unfinished=trends.unfinished(connection, workspace_id, limit=MAX_UNFINISHED, now=now),
            totals=trends.totals(connection, workspace_id, since=since),
            before=trends.totals(
                connection, workspace_id, since=since - LENGTHS[period], until=since
            ),
            alive=workers.count_alive(connection, alive_since=now - alive_within),
        )


def success_rate(counts: Mapping[str, int]) -> float | None:
    """Return the part of executions that succeeded, or None if none succeeded or failed."""
    succeeded, failed = counts.get(Status.SUCCEEDED, 0), counts.get(Status.FAILED, 0)
    return round(succeeded / (succeeded + failed), 6) if succeeded + failed else None


def average_duration(counts: Mapping[str, int], durations: Mapping[str, int]) -> float | None:
    """Return the average of executions that succeeded or failed, or None without any."""
    ran = (Status.SUCCEEDED, Status.FAILED)
    count = sum(counts.get(status, 0) for status in ran)
    return round(sum(durations.get(status, 0) for status in ran) / count, 1) if count else None
