"""How the workspace stands, what failed, and what runs next: the first page, and the wall."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import request
from sqlalchemy import RowMapping
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.executions import service as executions
from chronos_api.http import json_body
from chronos_api.jobs import service as jobs
from chronos_api.jobs import snapshots
from chronos_api.jobs.schemas import JobsQuery, job_filter
from chronos_api.jobs.service import JobListing
from chronos_api.security.access import Role, Scope, principal, requires
from chronos_api.statistics import cached
from chronos_api.statistics.dashboard import Period
from chronos_api.statistics.schemas import PeriodQuery
from chronos_api.transactions import call
from chronos_api.ui import charts
from chronos_api.ui.blueprint import blueprint, show
from chronos_common import clock
from chronos_common.domain.statuses import Status
from chronos_common.storage.executions.filters import HistoryFilter

_SHOWN = 8
_SHOWN_ON_WALL = 5
#: Executions that wait for longer need attention.
_OVERDUE_SECONDS = 60
#: Executions among which those of one cause are counted.
_CONSIDERED = 100


@blueprint.get("/")
@requires(Role.VIEWER, Scope.STATS_READ)
def overview() -> AnyResponse:
    """Show how the workspace stands."""
    shown = _figures()
    stats = shown["stats"]
    return show(
        "overview.html",
        periods=list(Period),
        ring=charts.ring(stats),
        drift=charts.histogram(stats["drift_histogram"]),
        troubles=_troubles()[:_SHOWN],
        upcoming=_upcoming(),
        **shown,
    )


@blueprint.get("/wall")
@requires(Role.VIEWER, Scope.STATS_READ)
def wall() -> AnyResponse:
    """Show how the workspace stands on a screen that everybody sees, the worst first."""
    shown = _figures()
    worst = sorted(_troubles(), key=lambda trouble: trouble.count, reverse=True)
    return show(
        "wall.html",
        as_of=datetime.fromisoformat(shown["stats"]["as_of"]),
        overdue=_OVERDUE_SECONDS,
        troubles=worst[:_SHOWN_ON_WALL],
        **shown,
    )


def _figures() -> dict[str, Any]:
    """Return the figures of the period that the address names, and their chart."""
    query = json_body.load(PeriodQuery, {"period": request.args.get("period", Period.HOUR)})
    period, workspace_id = query["period"], principal().workspace_id
    trend = cached.trend_of(workspace_id, {"period": period})
    return {
        "period": period,
        "stats": cached.stats(workspace_id, period),
        "chart": charts.trend(trend["buckets"], trend["bucket_seconds"]),
    }


@dataclass(slots=True)
class Trouble:
    """The latest execution of a job that ended for one cause, and how many of them did."""

    latest: RowMapping
    count: int


def _troubles() -> list[Trouble]:
    """Return the troubles among the latest executions that failed or did not run."""
    filters = HistoryFilter(statuses=(Status.FAILED, Status.SKIPPED))
    rows = executions.list_executions(call(), filters, page=1, limit=_CONSIDERED).rows
    troubles: dict[tuple[Any, ...], Trouble] = {}
    for row in rows:
        cause = row["job_id"], row["status"], row["reason"] or row["error"]
        troubles.setdefault(cause, Trouble(row, 0)).count += 1
    return list(troubles.values())


def _upcoming() -> list[Any]:
    """Return the jobs that run next."""
    query = json_body.load(
        JobsQuery, {"status": "active", "sort": "next_run_at", "limit": str(_SHOWN)}
    )
    now = clock.now()
    page = jobs.list_jobs(call(), JobListing.of(job_filter(query), query))
    return [snapshots.snapshot(row, now=now) for row in page.rows]
