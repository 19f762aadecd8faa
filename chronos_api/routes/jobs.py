"""``/api/v1/jobs``."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify, request, url_for
from sqlalchemy import RowMapping

from chronos_api import answers, cursors, problems
from chronos_api.access import Role, principal, requires
from chronos_api.blueprints import Blueprint
from chronos_api.context import current
from chronos_api.schemas.executions import (
    ExecutionAnswer,
    ExecutionPage,
    JobExecutionsQuery,
    JobState,
)
from chronos_api.schemas.jobs import JobChange, JobDetail, JobFields, JobPage, JobsQuery
from chronos_api.services import executions, job_changes, jobs
from chronos_api.services.jobs import JobsWanted, Versions
from chronos_common import clock
from chronos_common.domain.statuses import UNFINISHED
from chronos_common.errors import Invalid
from chronos_common.storage.history import HistoryFilter
from chronos_common.storage.jobs import JobFilter

blueprint = Blueprint(
    "jobs", __name__, url_prefix="/api/v1/jobs", description="What to do, and when"
)

_ETAG = {"ETag": {"description": "The job's version", "schema": {"type": "string"}}}
_LOCATION = {"Location": {"schema": {"type": "string", "format": "uri-reference"}}}
_IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "description": "The ETag that was read; refuses the change if somebody else was faster",
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
@blueprint.answers(201, JobDetail, headers=_ETAG | _LOCATION)
@requires(Role.EDITOR)
def create(body: dict[str, Any]) -> Response:
    """Create a job.

    The answer says in plain English when it runs, and shows its next instants.
    """
    row = jobs.create(current().engine, principal(), body, now=clock.now())
    response = _job(row)
    response.status_code = 201
    response.headers["Location"] = url_for("jobs.read", job_id=row["id"])
    return response


@blueprint.route("", "GET")
@blueprint.query(JobsQuery)
@blueprint.answers(200, JobPage)
@requires(Role.VIEWER)
def listed(query: dict[str, Any]) -> Response:
    """List the jobs of the workspace.

    The total is counted up to 10,000.
    """
    sort, after = query["sort"], query.get("cursor")
    if after and sort.removeprefix("-") != "created_at":
        raise Invalid({"cursor": ["Goes with sort=created_at or sort=-created_at only."]})
    wanted = JobsWanted(
        chosen=JobFilter(
            status=query.get("status"),
            type=query.get("type"),
            tag=query.get("tag"),
            search=query.get("search"),
        ),
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
        page=query["page"],
        limit=query["limit"],
        after=cursors.read(after),
    )
    page = jobs.listed(current().engine, principal(), wanted)
    last = page.last if wanted.sort == "created_at" else None
    now = clock.now()
    return jsonify(
        answers.page(
            [answers.job(row, now=now) for row in page.rows],
            total=page.total,
            page_number=wanted.page,
            limit=wanted.limit,
            next_cursor=cursors.write(last) if last else None,
        )
    )


@blueprint.route("/<uuid:job_id>", "GET")
@blueprint.answers(200, JobDetail, headers=_ETAG)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.VIEWER)
def read(job_id: UUID) -> Response:
    """Read a job."""
    return _job(jobs.read(current().engine, principal(), job_id))


@blueprint.route("/<uuid:job_id>", "PATCH")
@blueprint.parameters(_IF_MATCH)
@blueprint.raw_body(JobChange, example={"name": "Updated Job Name", "status": "paused"})
@blueprint.answers(200, JobDetail, headers=_ETAG)
@blueprint.problems(problems.NOT_FOUND, problems.CONFLICT, problems.VERSION_CONFLICT)
@requires(Role.EDITOR)
def change(body: dict[str, Any], job_id: UUID) -> Response:
    """Change some fields of a job.

    Fields that are given replace those that are stored; null resets one to its default. With
    the status paused or active, the job is paused or resumed.
    """
    row = job_changes.change(
        current().engine, principal(), job_id, body, expected=_expected(), now=clock.now()
    )
    return _job(row)


@blueprint.route("/<uuid:job_id>", "PUT")
@blueprint.parameters(_IF_MATCH)
@blueprint.raw_body(JobFields, example=_EXAMPLE)
@blueprint.answers(200, JobDetail, headers=_ETAG)
@blueprint.problems(problems.NOT_FOUND, problems.CONFLICT, problems.VERSION_CONFLICT)
@requires(Role.EDITOR)
def replace(body: dict[str, Any], job_id: UUID) -> Response:
    """Replace the definition of a job.

    What was read can be sent back: read-only fields (id, version, created_at, created_by,
    updated_at, next_run_at, next_runs, schedule_description) are left as they are, and so are
    secrets that read [redacted].
    """
    row = job_changes.replace(
        current().engine, principal(), job_id, body, expected=_expected(), now=clock.now()
    )
    return _job(row)


@blueprint.route("/<uuid:job_id>", "DELETE")
@blueprint.parameters(_IF_MATCH)
@blueprint.answers(204)
@blueprint.problems(problems.NOT_FOUND, problems.VERSION_CONFLICT)
@requires(Role.EDITOR)
def delete(job_id: UUID) -> Response:
    """Delete a job.

    What had not started is cancelled; its history stays readable.
    """
    jobs.delete(current().engine, principal(), job_id, expected=_expected(), now=clock.now())
    return Response(status=204)


@blueprint.route("/<uuid:job_id>/pause", "POST")
@blueprint.answers(200, JobDetail, headers=_ETAG)
@blueprint.problems(problems.NOT_FOUND, problems.CONFLICT)
@requires(Role.EDITOR)
def pause(job_id: UUID) -> Response:
    """Pause a job.

    Once this is answered, no execution of it that had not started starts.
    """
    return _job(job_changes.pause(current().engine, principal(), job_id, now=clock.now()))


@blueprint.route("/<uuid:job_id>/resume", "POST")
@blueprint.answers(200, JobDetail, headers=_ETAG)
@blueprint.problems(problems.NOT_FOUND, problems.CONFLICT)
@requires(Role.EDITOR)
def resume(job_id: UUID) -> Response:
    """Resume a paused job.

    What it missed meanwhile is settled by its misfire policy.
    """
    return _job(job_changes.resume(current().engine, principal(), job_id, now=clock.now()))


@blueprint.route("/<uuid:job_id>/execute", "POST")
@blueprint.answers(202, ExecutionAnswer, headers=_LOCATION)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.EDITOR)
def execute(job_id: UUID) -> Response:
    """Run a job now, whatever its schedule says."""
    row = executions.trigger(current().engine, principal(), job_id, now=clock.now())
    response = jsonify(answers.execution(row))
    response.status_code = 202
    response.headers["Location"] = url_for("executions.read", execution_id=row["id"])
    return response


@blueprint.route("/<uuid:job_id>/executions", "GET")
@blueprint.query(JobExecutionsQuery)
@blueprint.answers(200, ExecutionPage)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.VIEWER)
def executions_of(query: dict[str, Any], job_id: UUID) -> Response:
    """List the executions of a job, the latest first."""
    chosen = HistoryFilter(
        job_id=job_id,
        status=query.get("status"),
        trigger=query.get("trigger"),
        before=cursors.read(query.get("cursor")),
    )
    page = executions.listed_of_job(
        current().engine,
        principal(),
        job_id,
        chosen,
        page=query["page"],
        limit=query["limit"],
    )
    return jsonify(answers.execution_page(page, query))


@blueprint.route("/<uuid:job_id>/status", "GET")
@blueprint.answers(200, JobState)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.VIEWER)
def status(job_id: UUID) -> Response:
    """Tell where a job stands."""
    found = jobs.standing(current().engine, principal(), job_id)
    return jsonify(
        {
            "id": str(found.job["id"]),
            "name": found.job["name"],
            "status": found.job["status"],
            "next_run_at": answers.next_run_at(found.job, now=clock.now()),
            "unfinished": {each: found.unfinished.get(each, 0) for each in sorted(UNFINISHED)},
            "latest_execution": answers.execution(found.latest) if found.latest else None,
        }
    )


def _job(row: RowMapping) -> Response:
    response = jsonify(answers.job_detail(row, now=clock.now()))
    response.set_etag(str(row["version"]))
    return response


def _expected() -> Versions:
    """Return the versions that ``If-Match`` names; None if the request has none, or ``*``."""
    if "If-Match" not in request.headers or request.if_match.star_tag:
        return None
    tags = request.if_match.as_set(include_weak=True)
    return frozenset(int(tag) for tag in tags if tag.isascii() and tag.isdigit())
