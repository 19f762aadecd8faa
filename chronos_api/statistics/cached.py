"""Answers about the workspace's figures, kept for some seconds for everybody who looks at them."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from chronos_api.context import current
from chronos_api.statistics import cache, dashboard, forecast
from chronos_api.statistics.dashboard import Period
from chronos_api.statistics.schemas import Stats, Tags, Trend, Upcoming
from chronos_common import clock
from chronos_common.storage.jobs import tags as counts
from chronos_common.storage.postgres.database import reading


def stats(workspace_id: UUID, period: Period) -> dict[str, Any]:
    """Return how the workspace stands."""
    return stats_reader(workspace_id, period)()


def stats_reader(workspace_id: UUID, period: Period) -> Callable[[], dict[str, Any]]:
    """Return a function that reads how the workspace stands, which outlives the request."""
    engine, kept, settings = current().engine, cache.current(), current().settings
    alive_within = settings.worker_timeout

    def compute() -> dict[str, Any]:
        found = dashboard.stats(
            engine, workspace_id, period, alive_within=alive_within, now=clock.now()
        )
        return Stats.of(found)

    return partial(kept.get, f"{workspace_id}:stats:{period}", compute)


def trend(workspace_id: UUID, period: Period) -> dict[str, Any]:
    """Return how the executions of the period ended."""
    engine = current().engine
    return cache.current().get(
        f"{workspace_id}:trend:{period}",
        lambda: Trend.of(dashboard.trend(engine, workspace_id, period, now=clock.now())),
    )


def upcoming(
    workspace_id: UUID, *, hours: int, bucket_minutes: int, tag: str | None = None
) -> dict[str, Any]:
    """Return the forecast of the next hours."""
    engine, step = current().engine, timedelta(minutes=bucket_minutes)
    return cache.current().get(
        f"{workspace_id}:upcoming:{hours}:{bucket_minutes}:{tag or ''}",
        lambda: Upcoming.of(
            forecast.forecast(
                engine, workspace_id, hours=hours, step=step, now=clock.now(), tag=tag
            )
        ),
    )


def tags(workspace_id: UUID, *, prefix: str, limit: int) -> dict[str, Any]:
    """Return the workspace's most frequent tags."""
    engine = current().engine

    def compute() -> dict[str, Any]:
        with reading(engine) as connection:
            return Tags.of(counts.count(connection, workspace_id, prefix=prefix, limit=limit))

    return cache.current().get(f"{workspace_id}:tags:{limit}:{prefix}", compute)
