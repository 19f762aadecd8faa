"""``/api/v1/upcoming``."""

from typing import Any

from flask import Response, jsonify

from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import Role, Scope, principal, requires
from chronos_api.statistics import cached
from chronos_api.statistics.forecast_schemas import Upcoming, UpcomingQuery

blueprint = Blueprint(
    "upcoming", __name__, url_prefix="/api/v1/upcoming", description="What will run"
)


@blueprint.route("", "GET")
@blueprint.query(UpcomingQuery)
@blueprint.answers(200, Upcoming)
@requires(Role.VIEWER, Scope.JOBS_READ)
def get_forecast(query: dict[str, Any]) -> Response:
    """Forecast the runs of the next hours, for a calendar or a heat map.

    Counts follow from the schedules of active jobs. Buckets are counted from midnight UTC. The
    first one is under way, and counts the runs that are still to come.
    """
    return jsonify(cached.upcoming(principal().workspace_id, **query))
