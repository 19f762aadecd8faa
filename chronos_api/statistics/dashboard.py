"""The figures of a workspace, and their course: read from sums, never from the history."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from chronos_api import answers
from chronos_common import clock
from chronos_common.domain import histograms
from chronos_common.domain.statuses import FINAL, JobStatus, Status
from chronos_common.storage import workers
from chronos_common.storage.executions import trends
from chronos_common.storage.executions.trends import Totals
from chronos_common.storage.jobs import jobs
from chronos_common.storage.postgres.database import transaction

#: How many unfinished executions of the installation a look at the queue takes into account.
MAX_UNFINISHED = 10_000

_FATES = sorted(FINAL)


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

#: The buckets of a trend: 60, 72, 48 and 168 of them.
STEPS: Mapping[Period, timedelta] = {
    Period.HOUR: timedelta(minutes=1),
    Period.SIX_HOURS: timedelta(minutes=5),
    Period.DAY: timedelta(minutes=30),
    Period.WEEK: timedelta(hours=1),
}


def stats(
    engine: Engine, workspace_id: UUID, period: Period, *, alive_within: timedelta, now: datetime
) -> dict[str, Any]:
    """Return how the workspace stands, and how its executions of the ``period`` ended."""
    since = (now - LENGTHS[period]).replace(second=0, microsecond=0)
    with transaction(engine) as connection:
        counted = jobs.count_by_status(connection, workspace_id)
        unfinished = trends.unfinished(connection, workspace_id, limit=MAX_UNFINISHED, now=now)
        totals = trends.totals(connection, workspace_id, since=since)
        alive = workers.count_alive(connection, alive_since=now - alive_within)
    waiting_since = unfinished.waiting_since
    return {
        "period": period,
        "since": answers.time(since),
        "as_of": answers.time(now),
        "total": sum(counted.values()),
        "active": counted.get(JobStatus.ACTIVE, 0),
        "paused": counted.get(JobStatus.PAUSED, 0),
        "completed": counted.get(JobStatus.COMPLETED, 0),
        "queued": unfinished.queued,
        "running": unfinished.running,
        "retrying": unfinished.retrying,
        **_ended(totals),
        "queue_depth": unfinished.waiting,
        "queue_age_seconds": (now - waiting_since).total_seconds() if waiting_since else 0.0,
        "queue_exact": unfinished.exact,
        "live_workers": alive.get("worker", 0),
        "live_schedulers": alive.get("scheduler", 0),
    }


def _ended(totals: Totals) -> dict[str, Any]:
    counts: dict[str, int] = {fate: totals.executions.get(fate, 0) for fate in _FATES}
    has_drift = bool(totals.drift_counts)
    return {
        **counts,
        "success_rate": success_rate(counts),
        "average_duration_ms": _average_duration(totals.executions, totals.duration_ms),
        "drift_p50_ms": _drift(totals, 50),
        "drift_p99_ms": _drift(totals, 99),
        "drift_max_ms": totals.drift_ms_max if has_drift else None,
    }


def _drift(totals: Totals, percent: float) -> int | None:
    """Return a percentile; what is inexact within a bucket is not beyond the largest value."""
    found = histograms.percentile(totals.drift_counts, percent)
    return None if found is None else min(found, totals.drift_ms_max)


def success_rate(counts: Mapping[str, int]) -> float | None:
    """Return which part of what succeeded or failed succeeded; None if there was neither."""
    succeeded, failed = counts.get(Status.SUCCEEDED, 0), counts.get(Status.FAILED, 0)
    return round(succeeded / (succeeded + failed), 6) if succeeded + failed else None


def _average_duration(counts: Mapping[str, int], durations: Mapping[str, int]) -> float | None:
    ran = (Status.SUCCEEDED, Status.FAILED)
    count = sum(counts.get(status, 0) for status in ran)
    return round(sum(durations.get(status, 0) for status in ran) / count, 1) if count else None


def trend(engine: Engine, workspace_id: UUID, period: Period, *, now: datetime) -> dict[str, Any]:
    """Return how the executions of the ``period`` ended, bucket by bucket, the last one open."""
    step = STEPS[period]
    last = clock.floor(now, step)
    first = last - LENGTHS[period] + step
    with transaction(engine) as connection:
        rows = trends.buckets(connection, workspace_id, since=first, step=step)
    found: dict[datetime, dict[str, tuple[int, int]]] = {}
    for row in rows:
        sums = row["executions"], row["duration_ms"]
        found.setdefault(row["at"], {})[row["status"]] = sums
    number = LENGTHS[period] // step
    return {
        "period": period,
        "bucket_seconds": int(step.total_seconds()),
        "since": answers.time(first),
        "as_of": answers.time(now),
        "buckets": [_bucket(first + index * step, found) for index in range(number)],
    }


def _bucket(at: datetime, found: Mapping[datetime, Mapping[str, Sequence[int]]]) -> dict[str, Any]:
    sums = found.get(at, {})
    counts = {status: each[0] for status, each in sums.items()}
    durations = {status: each[1] for status, each in sums.items()}
    return {
        "at": answers.time(at),
        **{fate: counts.get(fate, 0) for fate in _FATES},
        "total": sum(counts.values()),
        "average_duration_ms": _average_duration(counts, durations),
    }
