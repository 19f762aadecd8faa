"""``/api/v1/dashboard``, ``/upcoming``, ``/tags`` and ``/jobs/{id}/statistics``."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify

from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import Role, Scope, principal, requires
from chronos_api.statistics import cached, job_statistics
from chronos_api.statistics.schemas import (
    JobStatistics,
    PeriodQuery,
    StatisticsQuery,
    Stats,
    Tags,
    TagsQuery,
    TrendAnswer,
    TrendQuery,
)
from chronos_api.statistics.upcoming_schemas import (
    Agenda,
    AgendaQuery,
    Upcoming,
    UpcomingQuery,
)
from chronos_api.transactions import call

dashboard = Blueprint(
    "dashboard",
    __name__,
    url_prefix="/api/v1/dashboard",
    description="The figures of the workspace",
)


@dashboard.route("/stats", "GET")
@dashboard.query(PeriodQuery)
@dashboard.answers(200, Stats)
@requires(Role.VIEWER, Scope.STATS_READ)
def get_dashboard_stats(query: dict[str, Any]) -> Response:
    """Read how the workspace stands, and how its executions of the period ended.

    Counts are exact. Percentiles of drift are within a fifth. See docs/statistics.md.
    """
    return jsonify(cached.stats(principal().workspace_id, query["period"]))


@dashboard.route("/trend", "GET")
@dashboard.query(TrendQuery)
@dashboard.answers(200, TrendAnswer)
@dashboard.problems(problems.NOT_FOUND)
@requires(Role.VIEWER, Scope.STATS_READ)
def get_dashboard_trend(query: dict[str, Any]) -> Response:
    """Read how the executions of a period ended, in buckets without gaps, and their drift.

    A period has 60, 72, 48 or 168 buckets. With since, they are as short as 200 of them allow.
    """
    return jsonify(cached.trend_of(principal().workspace_id, query))


upcoming = Blueprint(
    "upcoming", __name__, url_prefix="/api/v1/upcoming", description="What will run"
)


@upcoming.route("", "GET")
@upcoming.query(UpcomingQuery)
@upcoming.answers(200, Upcoming)
@requires(Role.VIEWER, Scope.JOBS_READ)
def get_forecast(query: dict[str, Any]) -> Response:
    """Forecast the runs of the next hours, for a calendar or a heat map.

    Counts follow from the schedules of active jobs. Buckets are counted from midnight UTC. The
    first one is under way, and counts the runs that are still to come.
    """
    return jsonify(cached.upcoming(principal().workspace_id, query))


@upcoming.route("/agenda", "GET")
@upcoming.query(AgendaQuery)
@upcoming.answers(200, Agenda)
@requires(Role.VIEWER, Scope.JOBS_READ)
def get_agenda(query: dict[str, Any]) -> Response:
    """List the runs of a span second by second, and where they collide within an hour.

    Seconds without runs are left out. next_since says where the seconds go on.
    """
    return jsonify(cached.agenda(principal().workspace_id, query))


tags = Blueprint("tags", __name__, url_prefix="/api/v1/tags", description="The words on jobs")


@tags.route("", "GET")
@tags.query(TagsQuery)
@tags.answers(200, Tags)
@requires(Role.VIEWER, Scope.JOBS_READ)
def list_tags(query: dict[str, Any]) -> Response:
    """List the tags of the workspace's jobs with the number of jobs, the most frequent first."""
    return jsonify(cached.tags(principal().workspace_id, **query))


jobs = Blueprint(
    "job_statistics", __name__, url_prefix="/api/v1/jobs", description="The figures of one job"
)


@jobs.route("/<uuid:job_id>/statistics", "GET")
@jobs.query(StatisticsQuery)
@jobs.answers(200, JobStatistics)
@jobs.problems(problems.NOT_FOUND)
@requires(Role.VIEWER, Scope.STATS_READ)
def get_job_statistics(query: dict[str, Any], job_id: UUID) -> Response:
    """Read outcomes and durations of a job's latest executions, and its next runs."""
    figures = job_statistics.statistics(call(), job_id, limit=query["limit"])
    return jsonify(JobStatistics.of(figures))


BLUEPRINTS = (dashboard, jobs, upcoming, tags)
