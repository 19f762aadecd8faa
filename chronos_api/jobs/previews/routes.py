"""``/api/v1/schedules``."""

from typing import Any

from flask import Response, jsonify

from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.jobs.previews import service
from chronos_api.jobs.previews.schemas import Preview, PreviewRequest
from chronos_api.security.access import Role, Scope, requires
from chronos_api.transactions import call

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
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.VIEWER, Scope.JOBS_READ)
def preview_schedule(body: dict[str, Any]) -> Response:
    """Preview the instants of a schedule, without saving it.

    It also tells the next clock changes that meet the schedule. With a `job_id` it tells which
    instants the job would lose and gain. A jitter is drawn anew for each job, so that of a preview
    without a job is an example.
    """
    return jsonify(Preview.of(service.preview(call(), body)))
