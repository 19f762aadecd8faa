"""Answers about the workspace's figures, kept for some seconds for everybody who looks at them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from chronos_api.context import current
from chronos_api.fields.pagination import filter_of
from chronos_api.statistics import agenda as agendas
from chronos_api.statistics import cache, dashboard, forecast, trend
from chronos_api.statistics.dashboard import Period
from chronos_api.statistics.forecast import Budget
from chronos_api.statistics.schemas import Stats, Tags, TrendAnswer
from chronos_api.statistics.trend import TrendSpan
from chronos_api.statistics.upcoming_schemas import Agenda, Upcoming
from chronos_common import clock
from chronos_common.storage.executions.filters import HistoryFilter
from chronos_common.storage.jobs import tags as counts
from chronos_common.storage.jobs.schedules import DueFilter
from chronos_common.storage.postgres.database import reading

#: How long a forecast that took long is kept. A change of a job shows after that time at most.
WHOLE_SECONDS = 300


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


def trend_of(workspace_id: UUID, query: Mapping[str, Any]) -> dict[str, Any]:
    """Return how executions ended: of a period or another span, of all jobs or some."""
    engine, now = current().engine, clock.now()
    period, span = _span(query, now)
    filters = filter_of(HistoryFilter, {**query, "since": span.since, "until": span.until})

    def compute() -> dict[str, Any]:
        if filters.job_id is None and filters.tag is None:
            found = trend.of_workspace(engine, workspace_id, span, period=period, now=now)
        else:
            found = trend.of_history(engine, workspace_id, filters, span, period=period, now=now)
        return TrendAnswer.of(found)

    which = f"{period}:{span.since}:{span.until}:{filters.job_id}:{filters.tag or ''}"
    return cache.current().get(f"{workspace_id}:trend:{which}", compute)


def _span(query: Mapping[str, Any], now: datetime) -> tuple[Period | None, TrendSpan]:
    """Return the period that a query asks for, if it names no span, and the buckets."""
    if query.get("since") is None:
        return query["period"], trend.span_of(query["period"], now=now)
    until = query.get("until") or now
    return None, trend.span_between(query["since"], until, now=now)


def upcoming(workspace_id: UUID, query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the forecast that ``query`` asks for, as :class:`UpcomingQuery` loads it.

    If it is partial, a thread computes a whole one, for those who ask later.
    """
    engine, chosen = current().engine, filter_of(DueFilter, query)
    hours, minutes = query["hours"], query["bucket_minutes"]

    def compute(budget: Budget) -> dict[str, Any]:
        step, now = timedelta(minutes=minutes), clock.now()
        found = forecast.forecast(
            engine, workspace_id, hours=hours, step=step, now=now, chosen=chosen, budget=budget
        )
        return Upcoming.of(found)

    which = json.dumps([hours, minutes, asdict(chosen)])
    kept, key = cache.current(), f"{workspace_id}:upcoming:{which}"
    found = kept.get(key, partial(compute, forecast.QUICK))
    if found["partial"]:
        kept.improve(key, partial(compute, forecast.THOROUGH), seconds=WHOLE_SECONDS)
    return found


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
