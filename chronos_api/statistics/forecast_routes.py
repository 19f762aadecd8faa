"""``/api/v1/upcoming``."""

from datetime import timedelta
from typing import Any

from flask import Response, jsonify

from chronos_api.context import current
from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import Role, Scope, principal, requires
from chronos_api.statistics import forecast as upcoming
from chronos_api.statistics.forecast_schemas import Upcoming, UpcomingQuery
from chronos_common import clock

blueprint = Blueprint(
    "upcoming", __name__, url_prefix="/api/v1/upcoming", description="What will run"
)


@blueprint.route("", "GET")
@blueprint.query(UpcomingQuery)
@blueprint.answers(200, Upcoming)
@requires(Role.VIEWER, Scope.JOBS_READ)
def forecast(query: dict[str, Any]) -> Response:
    """Tell what will run in the hours to come, for a calendar or a heat map.

    Counts follow from the schedules of active jobs. Buckets are counted from midnight UTC; the
    first one is under way, and counts what is still to come.
    """
    context, workspace_id = current(), principal().workspace_id
    hours, minutes = query["hours"], query["bucket_minutes"]
    return jsonify(
        context.cache.get(
            f"{workspace_id}:upcoming:{hours}:{minutes}",
            lambda: upcoming.forecast(
                context.engine,
                workspace_id,
                hours=hours,
                step=timedelta(minutes=minutes),
                now=clock.now(),
            ),
        )
    )
