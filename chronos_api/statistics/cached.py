"""Answers about the workspace's figures, kept for some seconds for everybody who looks at them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from chronos_api.context import current
from chronos_api.fields.pagination import filter_of
from chronos_api.statistics import agenda as agendas
from chronos_api.statistics import cache, dashboard, forecast
from chronos_api.statistics.dashboard import Period
from chronos_api.statistics.schemas import Stats, Tags, Trend
from chronos_api.statistics.upcoming_schemas import Agenda, Upcoming
from chronos_common import clock
from chronos_common.storage.jobs import tags as counts
from chronos_common.storage.jobs.schedules import DueFilter
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


def upcoming(workspace_id: UUID, query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the forecast that ``query`` asks for, as :class:`UpcomingQuery` loads it."""
    engine, chosen = current().engine, filter_of(DueFilter, query)
    hours, minutes = query["hours"], query["bucket_minutes"]

    def compute() -> dict[str, Any]:
        step = timedelta(minutes=minutes)
        return Upcoming.of(
            forecast.forecast(
                engine, workspace_id, hours=hours, step=step, now=clock.now(), chosen=chosen
            )
        )

    key = json.dumps([hours, minutes, asdict(chosen)])
    return cache.current().get(f"{workspace_id}:upcoming:{key}", compute)


def agenda(workspace_id: UUID, query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the agenda that ``query`` asks for, as :class:`AgendaQuery` loads it."""
    engine, chosen = current().engine, filter_of(DueFilter, query)
    span = {name: query[name] for name in ("since", "until", "limit")}

    def compute() -> dict[str, Any]:
        found = agendas.agenda(engine, workspace_id, **span, chosen=chosen, now=clock.now())
        return Agenda.of(found)

    key = json.dumps([*map(str, span.values()), asdict(chosen)])
    return cache.current().get(f"{workspace_id}:agenda:{key}", compute)


def tags(workspace_id: UUID, *, prefix: str, limit: int) -> dict[str, Any]:
    """Return the workspace's most frequent tags."""
    engine = current().engine

    def compute() -> dict[str, Any]:
        with reading(engine) as connection:
            return Tags.of(counts.count(connection, workspace_id, prefix=prefix, limit=limit))

    return cache.current().get(f"{workspace_id}:tags:{limit}:{prefix}", compute)
