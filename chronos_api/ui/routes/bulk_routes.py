"""Changes of many jobs: a dry run says how many, then just those change, and it can be undone."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl
from uuid import UUID

from flask import request
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.bulk import changes
from chronos_api.bulk.changes import Action, BulkOutcome, ItemOutcome, JobsChange
from chronos_api.bulk.schemas import BulkRequest
from chronos_api.deleted_jobs import service as deleted_jobs
from chronos_api.deleted_jobs.schemas import DeletedJobsQuery
from chronos_api.fields import cursors
from chronos_api.http import json_body
from chronos_api.jobs.schemas import JobsQuery, job_filter
from chronos_api.security.access import Role, Scope, requires
from chronos_api.transactions import call
from chronos_api.ui.blueprint import blueprint, show, to
from chronos_api.ui.lists import filters_in, query_of
from chronos_common.domain.statuses import JobStatus
from chronos_common.errors import Invalid

#: Names on the page that asks. The list of jobs has them all.
_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class ActionTexts:
    """An action as a button and as its result, and the action that undoes it."""

    verb: str
    done: str
    note: str
    undo: Action | None = None


ACTIONS: Final[Mapping[Action, ActionTexts]] = {
    Action.PAUSE: ActionTexts(
        "Pause", "paused", "No execution of them starts until they are resumed.", Action.RESUME
    ),
    Action.RESUME: ActionTexts(
        "Resume", "resumed", "Each decides by its own rule about the runs it missed.", Action.PAUSE
    ),
    Action.EXECUTE: ActionTexts("Run", "started", "They run now, beside their schedules."),
    Action.DELETE: ActionTexts(
        "Delete", "deleted", "They do not run any more. They can be restored from 'Deleted jobs'."
    ),
}


@blueprint.post("/jobs/bulk")
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def ask_bulk() -> AnyResponse:
    """Make a dry run of a change of the checked jobs, or of all that match, and ask."""
    action = _action()
    return _ask(action, changes.dry_run(call(), _change(action)))


@blueprint.post("/jobs/bulk/apply")
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def apply_bulk() -> AnyResponse:
    """Change the jobs that the page has asked about."""
    action = _action()
    ids = [each for each in request.form.get("ids", "").split(",") if each]
    if action is Action.DELETE and request.form.get("number", "").strip() != str(len(ids)):
        errors = {"number": [f"Type {len(ids)}, the number of jobs to delete."]}
        return _ask(action, changes.dry_run(call(), _by_ids(action, ids)), errors)
    outcome = changes.apply(call(), _by_ids(action, ids))
    if action is Action.EXECUTE:
        # Loading a result again would run them again.
        return to("executions", trigger="manual")
    return show(
        "bulk_done.html",
        action=action,
        wording_of=ACTIONS,
        outcome=outcome,
        changed=[item.job_id for item in outcome.items if item.outcome is ItemOutcome.CHANGED],
        conflicts=Counter(item.reason for item in outcome.items if item.reason),
    )


@blueprint.get("/jobs/deleted")
@requires(Role.VIEWER, Scope.JOBS_READ)
def deleted() -> AnyResponse:
    """List the jobs that were deleted."""
    query = query_of(DeletedJobsQuery)
    page = deleted_jobs.list_deleted(
        call(),
        after=cursors.read(query.loaded.get("cursor")),
        page=query.loaded["page"],
        limit=query.loaded["limit"],
    )
    next_cursor = page.source(query.loaded)["next_cursor"]
    return show("deleted_jobs.html", rows=page.rows, total=page.total, next_cursor=next_cursor)


@blueprint.post("/jobs/<uuid:job_id>/restore")
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def restore_job(job_id: UUID) -> AnyResponse:
    """Bring back a deleted job, paused."""
    deleted_jobs.restore(call(), job_id, JobStatus.PAUSED)
    return to("job", job_id=job_id)


def _action() -> Action:
    try:
        action = Action(request.form.get("action", ""))
    except ValueError:
        action = Action.TAG
    if action not in ACTIONS:
        raise Invalid({"action": ["Choose what to do with the jobs."]})
    return action


def _change(action: Action) -> JobsChange:
    """Return the change of the jobs that are checked, or of all that the filters match."""
    if "all" in request.form:
        given = filters_in(dict(parse_qsl(request.form.get("view", ""))))
        return JobsChange(action=action, filters=job_filter(json_body.load(JobsQuery, given)))
    ids = request.form.getlist("job")
    if not ids:
        raise Invalid({"job": ["Check at least one job, or choose all that match."]})
    return _by_ids(action, ids)


def _by_ids(action: Action, ids: list[str]) -> JobsChange:
    loaded: dict[str, Any] = json_body.load(BulkRequest, {"ids": ids})
    return JobsChange(action=action, ids=loaded["ids"])


def _ask(
    action: Action, outcome: BulkOutcome, errors: Mapping[str, list[str]] | None = None
) -> AnyResponse:
    changed = [item.job_id for item in outcome.items if item.outcome is ItemOutcome.CHANGED]
    response = show(
        "bulk.html",
        action=action,
        words=ACTIONS[action],
        outcome=outcome,
        limit=changes.MAX_JOBS,
        changed=changed,
        names=changes.names(call(), changed[:_NAMED]),
        others=Counter(item.reason or item.outcome.value for item in outcome.items)
        - Counter({ItemOutcome.CHANGED.value: len(changed)}),
        errors=errors or {},
    )
    response.status_code = 422 if errors else 200
    return response
