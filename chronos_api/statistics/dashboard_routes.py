"""``/api/v1/dashboard``."""

from datetime import timedelta
from typing import Any

from flask import Response, jsonify

from chronos_api.context import current
from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import Role, Scope, principal, requires
from chronos_api.statistics import dashboard
from chronos_api.statistics.dashboard_schemas import PeriodQuery, Stats, Trend
from chronos_common import clock

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
def stats(query: dict[str, Any]) -> Response:
    """Tell how the workspace stands, and how its executions of the period ended.

    What ended is exact; percentiles of drift are within a fifth. See docs/statistics.md.
    """
    context, workspace_id, period = current(), principal().workspace_id, query["period"]
    alive_within = timedelta(seconds=context.settings.worker_timeout_seconds)
    return jsonify(
        context.cache.get(
            f"{workspace_id}:stats:{period}",
            lambda: dashboard.stats(
                context.engine, workspace_id, period, alive_within=alive_within, now=clock.now()
            ),
        )
    )


@blueprint.route("/trend", "GET")
@blueprint.query(PeriodQuery)
@blueprint.answers(200, Trend)
@requires(Role.VIEWER, Scope.STATS_READ)
def trend(query: dict[str, Any]) -> Response:
    """Show how the executions of the period ended, in 60, 72, 48 or 168 buckets without gaps."""
    context, workspace_id, period = current(), principal().workspace_id, query["period"]
    return jsonify(
        context.cache.get(
            f"{workspace_id}:trend:{period}",
            lambda: dashboard.trend(context.engine, workspace_id, period, now=clock.now()),
        )
    )
