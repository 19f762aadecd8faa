"""``/api/v1/jobs/deleted`` and ``/api/v1/jobs/{id}/restore``."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify

from chronos_api.deleted_jobs import service
from chronos_api.deleted_jobs.schemas import DeletedJobPage, DeletedJobsQuery, Restoration
from chronos_api.fields.pagination import paging_of
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.jobs import snapshots
from chronos_api.jobs.schemas import JobDetail
from chronos_api.security.access import Role, Scope, requires
from chronos_api.transactions import call
from chronos_common import clock
from chronos_common.domain.statuses import JobStatus

blueprint = Blueprint(
    "deleted_jobs", __name__, url_prefix="/api/v1/jobs", description="Jobs that were deleted"
)


@blueprint.route("/deleted", "GET")
@blueprint.query(DeletedJobsQuery)
@blueprint.answers(200, DeletedJobPage)
@requires(Role.VIEWER, Scope.JOBS_READ)
def list_deleted_jobs(query: dict[str, Any]) -> Response:
    """List the deleted jobs of the workspace, the latest created first."""
    found = service.list_deleted(call(), **paging_of(query))
    return jsonify(DeletedJobPage.of(found.source(query)))


@blueprint.route("/<uuid:job_id>/restore", "POST")
@blueprint.optional_body(Restoration, example={"status": "active"})
@blueprint.answers(200, JobDetail)
@blueprint.problems(problems.NOT_FOUND, problems.CONFLICT)
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def restore_job(body: dict[str, Any], job_id: UUID) -> Response:
    """Bring back a deleted job, paused unless it is to be active.

    Its schedule goes on from now. Executions that its deletion cancelled stay cancelled.
    """
    row = service.restore(call(), job_id, JobStatus(body["status"]))
    return jsonify(JobDetail.of(snapshots.detailed(row, now=clock.now())))
