"""``/api/v1/dashboard``."""

from typing import Any

from flask import Response, jsonify

from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import Role, Scope, principal, requires
from chronos_api.statistics import cached
from chronos_api.statistics.dashboard_schemas import PeriodQuery, Stats, Trend

blueprint = Blueprint(
    "dashboard",
    __name__,
    url_prefix="/api/v1/dashboard",
    description="The figures of the workspace",
)


@blueprint.route("/stats", "GET")
@blueprint.query(PeriodQuery)
@blueprint.answers(200, Stats)
@requires(Role.VIEWER, Scope.STATS_READ)
def get_dashboard_stats(query: dict[str, Any]) -> Response:
    """Read how the workspace stands, and how its executions of the period ended.

    Counts are exact. Percentiles of drift are within a fifth. See docs/statistics.md.
    """
    return jsonify(cached.stats(principal().workspace_id, query["period"]))


@blueprint.route("/trend", "GET")
@blueprint.query(PeriodQuery)
@blueprint.answers(200, Trend)
@requires(Role.VIEWER, Scope.STATS_READ)
def get_dashboard_trend(query: dict[str, Any]) -> Response:
    """Read how the executions of the period ended, in 60, 72, 48 or 168 buckets without gaps."""
    return jsonify(cached.trend(principal().workspace_id, query["period"]))
