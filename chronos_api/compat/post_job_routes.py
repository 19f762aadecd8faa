"""``/jobs``: the requests of 004, whose jobs are POST requests."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify

from chronos_api.compat import translation as translate
from chronos_api.compat.deprecation import HEADERS, succeeded_by
from chronos_api.compat.schemas import LAST_RUNS, PostJob, PostJobMade, Run
from chronos_api.executions import service as executions
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.jobs import service as jobs
from chronos_api.security.access import Role, Scope, requires
from chronos_api.transactions import call
from chronos_common.storage.executions.filters import HistoryFilter

blueprint = Blueprint(
    "compat_posts",
    __name__,
    url_prefix="/jobs",
    description="POST requests on a schedule. Use /api/v1/jobs for new programs",
)

_EXAMPLE = {
    "schedule": "31 10-15 1 * * MON-FRI",
    "api": "https://api.example.com/webhook",
    "type": "ATLEAST_ONCE",
}


@blueprint.route("", "POST")
@blueprint.raw_body(PostJob, example=_EXAMPLE)
@blueprint.answers(201, PostJobMade, headers=HEADERS)
@requires(Role.EDITOR, Scope.JOBS_WRITE, key_parameter=True)
@succeeded_by("jobs.create_job")
def create_post_job(body: dict[str, Any]) -> Response:
    """Create a job that sends a POST request to an API."""
    translation = translate.of_post(body)
    with translation.naming_errors():
        row = jobs.create(call(), translation.fields)
    return jsonify(PostJobMade.of({"jobId": row["id"]}))


@blueprint.route("/<uuid:job_id>/executions", "GET")
@blueprint.answers(200, Run(many=True), headers=HEADERS)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.VIEWER, Scope.EXECUTIONS_READ, key_parameter=True)
@succeeded_by("jobs.list_job_executions")
def list_post_job_executions(job_id: UUID) -> Response:
    """List the last five executions of a job, the latest first."""
    page = executions.list_of_job(
        call(),
        job_id,
        HistoryFilter(job_id=job_id),
        page=1,
        limit=LAST_RUNS,
    )
    return jsonify([Run.of(row) for row in page.rows])
