"""Changes of many jobs: a dry run says how many, then just those change, and it can be undone.

More than one request may change are changed in the background, on a page of their own.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl
from uuid import UUID

from flask import request
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.bulk import background, changes
from chronos_api.bulk.changes import Action, ItemOutcome, JobsChange
from chronos_api.bulk.schemas import BulkRequest, TagFields
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
from chronos_common.storage.bulk_changes import BulkState

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
    Action.TAG: ActionTexts("Tag", "tagged", "They keep their other tags."),
}


@blueprint.post("/jobs/bulk")
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def ask_bulk() -> AnyResponse:
    """Make a dry run of a change of the checked jobs, or of all that match, and ask."""
    action = _action()
    if "all" in request.form:
        return _ask(_of_view(action))
    ids = request.form.getlist("job")
    if not ids:
        raise Invalid({"job": ["Check at least one job, or choose all that match."]})
    return _ask(_of_ids(action, ids))


@blueprint.post("/jobs/bulk/apply")
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def apply_bulk() -> AnyResponse:
    """Change the jobs that the page has asked about."""
    action = _action()
    if "matched" in request.form:
        return _start(_of_view(action))
    ids = [each for each in request.form.get("ids", "").split(",") if each]
    change = _of_ids(action, ids)
    try:
        change = _confirmed(change, len(ids))
    except Invalid as error:
        return _ask(change, error.fields)
    outcome = changes.apply(call(), change)
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


def _start(change: JobsChange) -> AnyResponse:
    """Begin a change in the background, and show it."""
    matched = _number(request.form["matched"])
    try:
        change = _confirmed(change, matched)
    except Invalid as error:
        return _ask(change, error.fields)
    row = background.start(call(), change, expected=matched)
    return to("bulk_change", change_id=row["id"])


@blueprint.get("/jobs/changes/<uuid:change_id>")
@requires(Role.VIEWER, Scope.JOBS_READ)
def bulk_change(change_id: UUID) -> AnyResponse:
    """Show how far a bulk change is, and its results."""
    row = background.read(call(), change_id)
    refused = [UUID(each["id"]) for each in row["sample"]]
    return show(
        "bulk_change.html",
        row=row,
        wording_of=ACTIONS,
        names={str(job_id): name for job_id, name in changes.names(call(), refused).items()},
        is_open=row["state"] == BulkState.RUNNING,
    )


@blueprint.post("/jobs/changes/<uuid:change_id>/cancel")
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def cancel_bulk_change(change_id: UUID) -> AnyResponse:
    """End a bulk change, and show its report."""
    background.cancel(call(), change_id)
    return to("bulk_change", change_id=change_id)


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
        return Action(request.form.get("action", ""))
    except ValueError as error:
        raise Invalid({"action": ["Choose what to do with the jobs."]}) from error


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise Invalid({"matched": ["Must be a number."]}) from error


def _of_view(action: Action) -> JobsChange:
    """Return the change of all jobs that the filters of the list match."""
    given = filters_in(dict(parse_qsl(request.form.get("view", ""))))
    return JobsChange(action=action, filters=job_filter(json_body.load(JobsQuery, given)))


def _of_ids(action: Action, ids: list[str]) -> JobsChange:
    loaded: dict[str, Any] = json_body.load(BulkRequest, {"ids": ids})
    return JobsChange(action=action, ids=loaded["ids"])


def _confirmed(change: JobsChange, number: int) -> JobsChange:
    """Return a change of so many jobs with what the form adds to it. Raises :class:`Invalid`."""
    if change.action is Action.DELETE and request.form.get("number", "").strip() != str(number):
        raise Invalid({"number": [f"Type {number}, the number of jobs to delete."]})
    if change.action is not Action.TAG:
        return change
    given = {
        name: [tag for tag in request.form.get(name, "").split(",") if tag.strip()]
        for name in ("add", "remove")
    }
    tags = json_body.load(TagFields, given)
    return replace(change, add_tags=tags["add"], remove_tags=tags["remove"])


def _ask(change: JobsChange, errors: Mapping[str, list[str]] | None = None) -> AnyResponse:
    outcome = changes.dry_run(call(), change)
    # Which of them the tags change is not known before they are typed.
    wanted = (
        {ItemOutcome.CHANGED, ItemOutcome.UNCHANGED}
        if change.action is Action.TAG
        else {ItemOutcome.CHANGED}
    )
    meant = [item.job_id for item in outcome.items if item.outcome in wanted]
    others = [item for item in outcome.items if item.outcome not in wanted]
    response = show(
        "bulk.html",
        action=change.action,
        words=ACTIONS[change.action],
        outcome=outcome,
        in_background=outcome.matched > changes.MAX_JOBS,
        view=request.form.get("view", ""),
        meant=meant,
        names=list(changes.names(call(), meant[:_NAMED]).values()),
        others=Counter(item.reason or item.outcome.value for item in others),
        given={name: request.form.get(name, "") for name in ("add", "remove")},
        errors={name.partition(".")[0]: texts for name, texts in (errors or {}).items()},
    )
    response.status_code = 422 if errors else 200
    return response
