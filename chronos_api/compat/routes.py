"""``/api/jobs`` and ``/api/submitJob``: the requests of 002 and of 003."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from sqlalchemy import RowMapping

from chronos_api.compat import translation as translate
from chronos_api.compat.deprecation import HEADERS, succeeded_by
from chronos_api.compat.schemas import (
    ChangedJob,
    ChangeMade,
    CompatJob,
    CompatJobs,
    CompatJobsQuery,
    CompatState,
    JobGone,
    NewCompatJob,
    OneJob,
    RunStarted,
    SubmittedJob,
)
from chronos_api.compat.translation import Translation
from chronos_api.executions import service as executions
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.jobs import changes as job_changes
from chronos_api.jobs import service as jobs
from chronos_api.jobs import snapshots
from chronos_api.jobs.service import JobListing
from chronos_api.security.access import Role, Scope, requires
from chronos_api.transactions import call
from chronos_common import clock
from chronos_common.domain.payloads import TYPES
from chronos_common.domain.statuses import JobStatus
from chronos_common.errors import Invalid
from chronos_common.storage.jobs.filters import JobFilter

blueprint = Blueprint(
    "compat_jobs",
    __name__,
    url_prefix="/api",
    description="Jobs in the form of other Chronos schedulers. Use /api/v1/jobs for new programs",
)

#: How many executions a job shows in a list, and by itself.
LISTED_EXECUTIONS, SHOWN_EXECUTIONS = 5, 20

_EXAMPLE = {
    "name": "Daily Weather Report",
    "schedule": "0 8 * * *",
    "type": "WEBHOOK",
    "payload": {
        "url": "https://api.openweathermap.org/data/2.5/weather",
        "method": "GET",
        "params": {"q": "London", "appid": "your-api-key"},
    },
}
_SUBMISSION = {
    "name": "Nightly backup",
    "scheduled_time": "2030-01-01T00:00:00Z",
    "max_attempts": 3,
    "payload": {"url": "https://example.com/backup"},
}


@blueprint.route("/jobs", "POST")
@blueprint.raw_body(NewCompatJob, example=_EXAMPLE)
@blueprint.answers(201, ChangeMade, headers=HEADERS)
@requires(Role.EDITOR, Scope.JOBS_WRITE, key_parameter=True)
@succeeded_by("jobs.create_job")
def create_compat_job(body: dict[str, Any]) -> Response:
    """Create a job, with a schedule, a cron_expression or a scheduled_time."""
    return _made(_create(translate.of_job(body)), "Job created")


@blueprint.route("/submitJob", "POST")
@blueprint.raw_body(SubmittedJob, example=_SUBMISSION)
@blueprint.answers(201, ChangeMade, headers=HEADERS)
@requires(Role.EDITOR, Scope.JOBS_WRITE, key_parameter=True)
@succeeded_by("jobs.create_job")
def submit_compat_job(body: dict[str, Any]) -> Response:
    """Submit a job: recurring by its cron_expression, or one-time by its scheduled_time."""
    return _made(_create(translate.of_submission(body)), "Job submitted")


def _create(translation: Translation) -> RowMapping:
    with translation.naming_errors():
        return jobs.create(call(), translation.fields)


@blueprint.route("/jobs", "GET")
@blueprint.query(CompatJobsQuery)
@blueprint.answers(200, CompatJobs, headers=HEADERS)
@requires(Role.VIEWER, Scope.JOBS_READ, key_parameter=True)
@succeeded_by("jobs.list_jobs")
def list_compat_jobs(query: dict[str, Any]) -> Response:
    """List the jobs, the latest first, each with its last five executions."""
    wanted = JobListing(
        filters=JobFilter(
            status=query.get("status"), type=_type_of(query), search=query.get("search")
        ),
        sort="created_at",
        descending=True,
        page=query["page"],
        limit=query["limit"],
    )
    page = jobs.list_jobs(call(), wanted)
    found = {
        "jobs": _with_executions(page.rows, each=LISTED_EXECUTIONS),
        "total": page.total,
        "page": wanted.page,
        "limit": wanted.limit,
    }
    return jsonify(CompatJobs.of(found))


def _type_of(query: dict[str, Any]) -> str | None:
    given: str | None = query.get("type")
    if given is None:
        return None
    if given.lower() not in TYPES:
        known = ", ".join(kind.upper() for kind in TYPES)
        raise Invalid({"type": [f"Must be one of {known}."]})
    return given.lower()


@blueprint.route("/jobs/<uuid:job_id>", "GET")
@blueprint.answers(200, OneJob, headers=HEADERS)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.VIEWER, Scope.JOBS_READ, key_parameter=True)
@succeeded_by("jobs.get_job")
def get_compat_job(job_id: UUID) -> Response:
    """Read a job with its last executions."""
    row = jobs.read(call(), job_id)
    return jsonify(OneJob.of({"job": _with_all_executions(row)}))


@blueprint.route("/jobs/<uuid:job_id>", "PUT")
@blueprint.raw_body(ChangedJob, example={"scheduled_time": "2030-01-01T00:00:00Z"})
@blueprint.answers(200, ChangeMade, headers=HEADERS)
@blueprint.problems(problems.NOT_FOUND, problems.CONFLICT)
@requires(Role.EDITOR, Scope.JOBS_WRITE, key_parameter=True)
@succeeded_by("jobs.update_job")
def update_compat_job(body: dict[str, Any], job_id: UUID) -> Response:
    """Update or reschedule a job: fields that are left out stay.

    An answer can be edited and sent back.
    """
    update = call()
    stored = snapshots.snapshot(jobs.read(update, job_id), now=update.now)
    answer = CompatJob.of(stored | {"executions": ()})
    translation = translate.of_change(translate.changes(body, answer))
    with translation.naming_errors():
        row = job_changes.change(update, job_id, translation.fields, expected=None)
    return _made(row, "Job updated")


@blueprint.route("/jobs/<uuid:job_id>", "DELETE")
@blueprint.answers(200, JobGone, headers=HEADERS)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.EDITOR, Scope.JOBS_WRITE, key_parameter=True)
@succeeded_by("jobs.delete_job")
def delete_compat_job(job_id: UUID) -> Response:
    """Cancel and delete a job.

    Executions that had not started never start. The status and the history stay readable.
    """
    jobs.delete(call(), job_id, expected=None)
    gone = {"message": "Job deleted", "job_id": job_id, "status": JobStatus.CANCELLED}
    return jsonify(JobGone.of(gone))


@blueprint.route("/jobs/<uuid:job_id>/run", "POST")
@blueprint.answers(202, RunStarted, headers=HEADERS)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE, key_parameter=True)
@succeeded_by("jobs.execute_job")
def run_compat_job(job_id: UUID) -> Response:
    """Run a job now, independently of its schedule."""
    row = executions.trigger(call(), job_id)
    started = {
        "message": "Job queued for immediate execution",
        "job_id": job_id,
        "execution_id": row["id"],
    }
    return jsonify(RunStarted.of(started))


@blueprint.route("/jobs/<uuid:job_id>/status", "GET")
@blueprint.answers(200, CompatState, headers=HEADERS)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.VIEWER, Scope.JOBS_READ, key_parameter=True)
@succeeded_by("jobs.get_job_status")
def get_compat_job_status(job_id: UUID) -> Response:
    """Read the status of a job, which may be cancelled."""
    found = jobs.overview_of_any(call(), job_id)
    return jsonify(CompatState.of(found))


def _made(row: RowMapping, message: str) -> Response:
    made = {"message": message, "job_id": row["id"], "job": _with_all_executions(row)}
    return jsonify(ChangeMade.of(made))


def _with_all_executions(row: RowMapping) -> dict[str, Any]:
    (job,) = _with_executions([row], each=SHOWN_EXECUTIONS)
    return job


def _with_executions(rows: Sequence[RowMapping], *, each: int) -> list[dict[str, Any]]:
    """Return the snapshots of jobs with up to ``each`` of their latest executions."""
    latest = executions.latest_of(call(), [row["id"] for row in rows], each=each)
    now = clock.now()
    return [snapshots.snapshot(row, now=now) | {"executions": latest[row["id"]]} for row in rows]
