"""``/api/v1/jobs/bulk``."""

from typing import Any

from flask import Response, jsonify

from chronos_api.bulk import changes, creation
from chronos_api.bulk.changes import Action, BulkChange
from chronos_api.bulk.schemas import (
    BulkCreated,
    BulkJobs,
    BulkPause,
    BulkRequest,
    BulkResult,
    BulkTags,
    RawBulkJobs,
)
from chronos_api.http.blueprint import Blueprint
from chronos_api.jobs import snapshots
from chronos_api.jobs.schemas import job_filter
from chronos_api.security.access import Role, Scope, requires
from chronos_api.transactions import call

blueprint = Blueprint(
    "bulk", __name__, url_prefix="/api/v1/jobs/bulk", description="Many jobs at once"
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
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def resume_jobs(body: dict[str, Any]) -> Response:
    """Resume paused jobs, up to 1,000 at once.

    Their misfire policies decide about the occurrences that they missed.
    """
    return _change(Action.RESUME, body)


@blueprint.route("/execute", "POST")
@blueprint.body(BulkRequest, example=_FILTER)
@blueprint.answers(200, BulkResult)
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def execute_jobs(body: dict[str, Any]) -> Response:
    """Run jobs now, up to 1,000 at once, independently of their schedules."""
    return _change(Action.EXECUTE, body)


@blueprint.route("/delete", "POST")
@blueprint.body(BulkRequest, example=_FILTER)
@blueprint.answers(200, BulkResult)
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def delete_jobs(body: dict[str, Any]) -> Response:
    """Delete jobs, up to 1,000 at once.

    Executions that had not started are cancelled. The history stays readable.
    """
    return _change(Action.DELETE, body)


@blueprint.route("/tag", "POST")
@blueprint.body(BulkTags, example={**_FILTER, "add": ["night"], "remove": ["day"]})
@blueprint.answers(200, BulkResult)
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def tag_jobs(body: dict[str, Any]) -> Response:
    """Add tags to jobs, and remove tags, up to 1,000 jobs at once."""
    return _change(Action.TAG, body)


def _change(action: Action, body: dict[str, Any]) -> Response:
    change = BulkChange(
        action=action,
        ids=body.get("ids"),
        filters=job_filter(body["filter"]) if "filter" in body else None,
        add_tags=body.get("add", ()),
        remove_tags=body.get("remove", ()),
        note=body.get("note"),
        until=body.get("until"),
    )
    apply = changes.dry_run if body["dry_run"] else changes.apply
    return jsonify(BulkResult.of(apply(call(), change)))
