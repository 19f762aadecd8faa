"""``/api/v1/jobs``."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from flask import Response, jsonify, url_for
from sqlalchemy import RowMapping

from chronos_api.audit.schemas import AuditPage
from chronos_api.executions import exports, waiting
from chronos_api.executions import service as executions
from chronos_api.executions.schemas import (
    ExecutionAnswer,
    ExecutionPage,
    JobExecutionsQuery,
    history_filter,
)
from chronos_api.fields import cursors
from chronos_api.http import etags, problems
from chronos_api.http.blueprint import LOCATION, Blueprint
from chronos_api.http.compression import CSV, NDJSON
from chronos_api.jobs import changes, service, snapshots
from chronos_api.jobs.definition import runs
from chronos_api.jobs.definition.runs import RunFields
from chronos_api.jobs.schemas import (
    JobChange,
    JobChangesQuery,
    JobDetail,
    JobFields,
    JobPage,
    JobsQuery,
    JobState,
    PauseFields,
    job_filter,
)
from chronos_api.jobs.service import JobListing
from chronos_api.security.access import Role, Scope, requires
from chronos_api.transactions import call
from chronos_common import clock

blueprint = Blueprint(
    "jobs", __name__, url_prefix="/api/v1/jobs", description="What to do, and when"
)

_ETAG = {"ETag": {"description": "The job's version", "schema": {"type": "string"}}}
_IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "description": "The ETag that was read. Refuses the change if the job has changed since",
    "schema": {"type": "string", "examples": ['"3"']},
}
_EXAMPLE = {
    "name": "Weekly newsletter",
    "description": "Every Monday",
    "payload": {
        "url": "https://example.com/hook",
        "method": "POST",
        "body": {"template": "weekly_digest"},
    },
    "schedule_type": "cron",
    "cron_expression": "0 9 * * 1",
    "timezone": "Europe/Berlin",
    "tags": ["mail"],
}


@blueprint.route("", "POST")
@blueprint.raw_body(JobFields, example=_EXAMPLE)
@blueprint.answers(201, JobDetail, headers=_ETAG | LOCATION)
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def create_job(body: dict[str, Any]) -> Response:
    """Create a job.

    The answer says in plain English when it runs, and shows its next instants.
    """
    row = service.create(call(), body)
    response = _job(row)
    response.headers["Location"] = url_for("jobs.get_job", job_id=row["id"])
    return response


@blueprint.route("", "GET")
@blueprint.query(JobsQuery)
@blueprint.parameters(etags.IF_NONE_MATCH)
@blueprint.answers(200, JobPage, headers=etags.WEAK_ETAG)
@blueprint.unchanged(etags.WEAK_ETAG)
@requires(Role.VIEWER, Scope.JOBS_READ)
def list_jobs(query: dict[str, Any]) -> Response:
    """List the jobs of the workspace.

    The total is counted up to 10,000. Sorted by next_run_at, jobs without one come last.
    """
    now = clock.now()
    page = service.list_jobs(call(), JobListing.of(job_filter(query), query))
    shown = replace(page, rows=[snapshots.snapshot(row, now=now) for row in page.rows])
    return etags.of_list(JobPage.of(shown.source(query, now=now)))


@blueprint.route("/<uuid:job_id>", "GET")
@blueprint.parameters(etags.IF_NONE_MATCH)
@blueprint.answers(200, JobDetail, headers=_ETAG)
@blueprint.unchanged(_ETAG)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.VIEWER, Scope.JOBS_READ)
def get_job(job_id: UUID) -> Response:
    """Read a job.

    With the ETag of an earlier answer as If-None-Match, 304 says that nothing has changed since:
    neither the job nor its next run.
    """
    return etags.unless_known(_job(service.read(call(), job_id)))


@blueprint.route("/<uuid:job_id>", "PATCH")
@blueprint.parameters(_IF_MATCH)
@blueprint.raw_body(JobChange, example={"name": "Updated Job Name", "status": "paused"})
@blueprint.answers(200, JobDetail, headers=_ETAG)
@blueprint.problems(problems.NOT_FOUND, problems.CONFLICT, problems.VERSION_CONFLICT)
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def update_job(body: dict[str, Any], job_id: UUID) -> Response:
    """Change some fields of a job.

    Fields that are given replace those that are stored. null resets one to its default. With
    the status paused or active, the job is paused or resumed.
    """
    row = changes.change(call(), job_id, body, expected=etags.expected_versions())
    return _job(row)


@blueprint.route("/<uuid:job_id>", "PUT")
@blueprint.parameters(_IF_MATCH)
@blueprint.raw_body(JobFields, example=_EXAMPLE)
@blueprint.answers(200, JobDetail, headers=_ETAG)
@blueprint.problems(problems.NOT_FOUND, problems.CONFLICT, problems.VERSION_CONFLICT)
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def replace_job(body: dict[str, Any], job_id: UUID) -> Response:
    """Replace the definition of a job.

    An answer can be sent back: read-only fields (id, version, created_at, created_by,
    updated_at, next_run_at, next_runs, schedule_description) are left as they are, and so are
    secrets that read [redacted].
    """
    row = changes.replace(call(), job_id, body, expected=etags.expected_versions())
    return _job(row)


@blueprint.route("/<uuid:job_id>", "DELETE")
@blueprint.parameters(_IF_MATCH)
@blueprint.answers(204)
@blueprint.problems(problems.NOT_FOUND, problems.VERSION_CONFLICT)
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def delete_job(job_id: UUID) -> Response:
    """Delete a job.

    Executions that had not started are cancelled. The history stays readable.
    """
    service.delete(call(), job_id, expected=etags.expected_versions())
    return Response(status=204)


@blueprint.route("/<uuid:job_id>/pause", "POST")
@blueprint.optional_body(PauseFields, example={"note": "The shop moves to a new server"})
@blueprint.answers(200, JobDetail, headers=_ETAG)
@blueprint.problems(problems.NOT_FOUND, problems.CONFLICT)
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def pause_job(body: dict[str, Any], job_id: UUID) -> Response:
    """Pause a job, with a note for others and an end if they are given.

    Once this is answered, no execution of it that had not started starts. At `until` the job
    resumes by itself. A job that is paused already gets the new note and end.
    """
    return _job(changes.pause(call(), job_id, **body))


@blueprint.route("/<uuid:job_id>/resume", "POST")
@blueprint.answers(200, JobDetail, headers=_ETAG)
@blueprint.problems(problems.NOT_FOUND, problems.CONFLICT)
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def resume_job(job_id: UUID) -> Response:
    """Resume a paused job.

    Its misfire policy decides about the occurrences that it missed.
    """
    return _job(changes.resume(call(), job_id))


@blueprint.route("/<uuid:job_id>/execute", "POST")
@blueprint.optional_body(RunFields, example={"note": "After the fix"})
@blueprint.answers(200, ExecutionAnswer, description="It has ended within wait_seconds")
@blueprint.or_answers(202, ExecutionAnswer, headers=LOCATION)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def execute_job(body: dict[str, Any], job_id: UUID) -> Response:
    """Run a job, independently of its schedule: now, or later, or with a changed payload.

    With wait_seconds the answer comes when the execution has ended, with 200, or else after that
    time, with 202.
    """
    making = call()
    row = executions.trigger(making, job_id, runs.options_of(body, now=making.now))
    return waiting.answer(making, row, seconds=body["wait_seconds"])


@blueprint.route("/<uuid:job_id>/executions", "GET")
@blueprint.query(JobExecutionsQuery)
@blueprint.parameters(etags.IF_NONE_MATCH)
@blueprint.answers(200, ExecutionPage, headers=etags.WEAK_ETAG)
@blueprint.unchanged(etags.WEAK_ETAG)
@blueprint.also(CSV, NDJSON)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.VIEWER, Scope.EXECUTIONS_READ)
def list_job_executions(query: dict[str, Any], job_id: UUID) -> Response:
    """List the executions of a job, the latest first.

    As text/csv or application/x-ndjson, all of them that the filters let through.
    """
    now = clock.now()
    filters = history_filter(query, job_id=job_id)
    media_type = exports.wanted()
    if media_type:
        service.read(call(), job_id)
        return exports.stream(call(), filters, media_type)
    page = executions.list_of_job(
        call(),
        job_id,
        filters,
        page=query["page"],
        limit=query["limit"],
    )
    return etags.of_list(ExecutionPage.of(page.source(query, now=now)))


@blueprint.route("/<uuid:job_id>/changes", "GET")
@blueprint.query(JobChangesQuery)
@blueprint.answers(200, AuditPage)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.VIEWER, Scope.JOBS_READ)
def list_job_changes(query: dict[str, Any], job_id: UUID) -> Response:
    """List the changes of a job with their authors, the latest first. It may be deleted."""
    found = service.list_changes(
        call(),
        job_id,
        before=cursors.read(query.get("cursor")),
        page=query["page"],
        limit=query["limit"],
    )
    return jsonify(AuditPage.of(found.source(query)))


@blueprint.route("/<uuid:job_id>/status", "GET")
@blueprint.answers(200, JobState)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.VIEWER, Scope.JOBS_READ)
def get_job_status(job_id: UUID) -> Response:
    """Read the status of a job."""
    found = service.overview(call(), job_id)
    return jsonify(JobState.of(found))


def _job(row: RowMapping) -> Response:
    now = clock.now()
    job = snapshots.detailed(row, now=now)
    response = jsonify(JobDetail.of(job))
    response.set_etag(etags.of_version(job["version"], job["next_run_at"]))
    return response
