"""``/api/v1/schedules``."""

from typing import Any

from flask import Response, jsonify

from chronos_api.http.blueprint import Blueprint
from chronos_api.jobs.preview_schemas import Preview, PreviewRequest
from chronos_api.security.access import Role, Scope, requires
from chronos_common import clock, ids
from chronos_common.domain.schedules import fields
from chronos_common.domain.timezones.zones import zone_of

blueprint = Blueprint(
    "schedules", __name__, url_prefix="/api/v1/schedules", description="Schedules without a job"
)

_EXAMPLE = {
    "schedule_type": "cron",
    "cron_expression": "31 10-15 1 * * MON-FRI",
    "timezone": "Europe/Berlin",
    "count": 3,
}


@blueprint.route("/preview", "POST")
@blueprint.body(PreviewRequest, example=_EXAMPLE)
@blueprint.answers(200, Preview)
@requires(Role.VIEWER, Scope.JOBS_READ)
def preview_schedule(body: dict[str, Any]) -> Response:
    """Preview the instants of a schedule, without saving it.

    A jitter is drawn anew for each job, so that of a preview is an example.
    """
    now = clock.now()
    schedule = fields.from_fields(body, job_id=ids.new_id(now), now=now)
    instants = schedule.upcoming(body.get("after") or now, body["count"])
    zone = zone_of(schedule.timezone)
    preview = {
        "description": schedule.describe(),
        "timezone": schedule.timezone,
        "next_runs": [instant.astimezone(zone) for instant in instants],
    }
    return jsonify(Preview.of(preview))
