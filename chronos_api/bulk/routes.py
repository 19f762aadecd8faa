"""``/api/v1/jobs/bulk`` and ``/api/v1/bulk-changes``."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Response, jsonify, url_for

from chronos_api.bulk import background, changes, creation
from chronos_api.bulk.changes import Action, JobsChange
from chronos_api.bulk.schemas import (
    BulkChangeAnswer,
    BulkChangeDetail,
    BulkChangePage,
    BulkChangesQuery,
    BulkCreated,
    BulkJobs,
    BulkPause,
    BulkRequest,
    BulkResult,
    BulkTags,
    RawBulkJobs,
)
from chronos_api.fields.pagination import paging_of
from chronos_api.http import problems
from chronos_api.http.blueprint import LOCATION, Blueprint
from chronos_api.jobs import snapshots
from chronos_api.jobs.schemas import job_filter
from chronos_api.security.access import Role, Scope, requires
from chronos_api.transactions import call

blueprint = Blueprint(
    "bulk", __name__, url_prefix="/api/v1/jobs/bulk", description="Many jobs at once"
)
stored = Blueprint(
    "bulk_changes",
    __name__,
    url_prefix="/api/v1/bulk-changes",
    description="Changes of many jobs that go on by themselves",
)

_JOBS = {
    "jobs": [
        {
            "name": f"Ping {place}",
            "schedule_type": "interval",
            "interval_seconds": 60,
            "payload": {"url": f"https://{place}.example.com/health", "method": "GET"},
        }
        for place in ("berlin", "paris")
    ]
}
_FILTER = {"filter": {"tag": "mail", "status": "active"}, "dry_run": True}


@blueprint.route("", "POST")
@blueprint.body_as(BulkJobs, RawBulkJobs, example=_JOBS)
@blueprint.answers(201, BulkCreated)
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def create_jobs(body: dict[str, Any]) -> Response:
    """Create up to 1,000 jobs, all of them or none.

    If any is wrong, each error names the index of its job and the field.
    """
    creating = call()
    rows = creation.create(creating, body["jobs"])
    created = [{**row, "next_run_at": snapshots.next_run(row, now=creating.now)} for row in rows]
    return jsonify(BulkCreated.of({"items": created}))


@blueprint.route("/pause", "POST")
@blueprint.body(BulkPause, example={**_FILTER, "note": "The shop moves to a new server"})
@blueprint.answers(200, BulkResult)
@blueprint.or_answers(202, BulkChangeAnswer, headers=LOCATION)
@blueprint.problems(problems.CONFLICT)
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def pause_jobs(body: dict[str, Any]) -> Response:
    """Pause jobs, up to 1,000 at once, with a note and an end if they are given.

    Once this is answered, no execution of them that had not started starts. Jobs that are paused
    already get the note and the end.
    """
    return _change(Action.PAUSE, body)


@blueprint.route("/resume", "POST")
@blueprint.body(BulkRequest, example=_FILTER)
@blueprint.answers(200, BulkResult)
@blueprint.or_answers(202, BulkChangeAnswer, headers=LOCATION)
@blueprint.problems(problems.CONFLICT)
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def resume_jobs(body: dict[str, Any]) -> Response:
    """Resume paused jobs, up to 1,000 at once.

    Their misfire policies decide about the occurrences that they missed.
    """
    return _change(Action.RESUME, body)


@blueprint.route("/execute", "POST")
@blueprint.body(BulkRequest, example=_FILTER)
@blueprint.answers(200, BulkResult)
@blueprint.or_answers(202, BulkChangeAnswer, headers=LOCATION)
@blueprint.problems(problems.CONFLICT)
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def execute_jobs(body: dict[str, Any]) -> Response:
    """Run jobs now, up to 1,000 at once, independently of their schedules."""
    return _change(Action.EXECUTE, body)


@blueprint.route("/delete", "POST")
@blueprint.body(BulkRequest, example=_FILTER)
@blueprint.answers(200, BulkResult)
@blueprint.or_answers(202, BulkChangeAnswer, headers=LOCATION)
@blueprint.problems(problems.CONFLICT)
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def delete_jobs(body: dict[str, Any]) -> Response:
    """Delete jobs, up to 1,000 at once.

    Executions that had not started are cancelled. The history stays readable.
    """
    return _change(Action.DELETE, body)


@blueprint.route("/tag", "POST")
@blueprint.body(BulkTags, example={**_FILTER, "add": ["night"], "remove": ["day"]})
@blueprint.answers(200, BulkResult)
@blueprint.or_answers(202, BulkChangeAnswer, headers=LOCATION)
@blueprint.problems(problems.CONFLICT)
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def tag_jobs(body: dict[str, Any]) -> Response:
    """Add tags to jobs, and remove tags, up to 1,000 jobs at once."""
    return _change(Action.TAG, body)


def _change(action: Action, body: dict[str, Any]) -> Response:
    given = body.get("filter")
    change = JobsChange(
        action=action,
        ids=body.get("ids"),
        filters=None if given is None else job_filter(given),
        add_tags=body.get("add", ()),
        remove_tags=body.get("remove", ()),
        note=body.get("note"),
        until=body.get("until"),
    )
    if body["dry_run"]:
        return jsonify(BulkResult.of(changes.dry_run(call(), change)))
    if not body["in_background"]:
        return jsonify(BulkResult.of(changes.apply(call(), change)))
    row = background.start(call(), change, expected=body.get("matched"))
    response = jsonify(BulkChangeAnswer.of(row))
    response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = url_for("bulk_changes.get_bulk_change", change_id=row["id"])
    return response


@stored.route("", "GET")
@stored.query(BulkChangesQuery)
@stored.answers(200, BulkChangePage)
@requires(Role.VIEWER, Scope.JOBS_READ)
def list_bulk_changes(query: dict[str, Any]) -> Response:
    """List the bulk changes of the workspace, the latest first."""
    found = background.list_changes(call(), **paging_of(query))
    return jsonify(BulkChangePage.of(found.source(query)))


@stored.route("/<uuid:change_id>", "GET")
@stored.answers(200, BulkChangeDetail)
@stored.problems(problems.NOT_FOUND)
@requires(Role.VIEWER, Scope.JOBS_READ)
def get_bulk_change(change_id: UUID) -> Response:
    """Read how far a bulk change is, and its results so far."""
    return jsonify(BulkChangeDetail.of(background.read(call(), change_id)))


@stored.route("/<uuid:change_id>/cancel", "POST")
@stored.answers(200, BulkChangeAnswer)
@stored.problems(problems.NOT_FOUND, problems.CONFLICT)
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def cancel_bulk_change(change_id: UUID) -> Response:
    """End a bulk change. The jobs that it has changed stay so."""
    return jsonify(BulkChangeAnswer.of(background.cancel(call(), change_id)))


BLUEPRINTS = (blueprint, stored)
