"""The pages of executions: the history, and one execution with its attempts and its log."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import Response, request
from sqlalchemy import RowMapping
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.context import current
from chronos_api.executions import attempts, logs, service
from chronos_api.executions.attempts import Attempt
from chronos_api.executions.schemas import ExecutionsQuery, history_filter
from chronos_api.executions.service import RunOptions
from chronos_api.explanations import service as explanations
from chronos_api.http.errors import problem_of
from chronos_api.jobs import service as jobs
from chronos_api.jobs.definition import secrets
from chronos_api.security.access import Role, Scope, requires
from chronos_api.transactions import call
from chronos_api.ui import charts, comparison
from chronos_api.ui.blueprint import blueprint, show, to
from chronos_api.ui.forms import run_form
from chronos_api.ui.lists import query_of
from chronos_common import clock
from chronos_common.domain.payloads import bodies
from chronos_common.domain.statuses import Status, Trigger
from chronos_common.errors import ChronosError, ExecutionNotFound, JobNotFound
from chronos_common.storage.executions.filters import HistoryFilter


@blueprint.get("/executions")
@requires(Role.VIEWER, Scope.EXECUTIONS_READ)
def executions() -> AnyResponse:
    """List the executions, by the filters of the API in the address."""
    query = query_of(ExecutionsQuery)
    loaded, now = query.loaded, clock.now()
    page = service.list_executions(
        call(), history_filter(loaded), page=loaded["page"], limit=loaded["limit"]
    )
    return show(
        "executions.html",
        rows=page.rows,
        total=page.total,
        total_is_exact=page.total_is_exact,
        page=page.source(loaded, now=now),
        query=query,
        statuses=list(Status),
        triggers=list(Trigger),
    )


@blueprint.get("/executions/<uuid:execution_id>")
@requires(Role.VIEWER, Scope.EXECUTIONS_READ)
def execution(execution_id: UUID) -> AnyResponse:
    """Show an execution."""
    row = service.read(call(), execution_id)
    shown = attempts.shown(row["attempts"])
    return show(
        "execution.html",
        row=row,
        explanation=explanations.explain_execution(
            call(), row, alive_within=current().settings.worker_timeout
        ),
        attempts=list(reversed(shown)),
        phases={each["number"]: charts.phases(each.get("timing_ms")) for each in shown},
        bodies=_sent_bodies(row, shown),
        lines=logs.lines_of(row),
        own_payload=secrets.shown(row["action_type"], row["payload"]) if row["payload"] else None,
        beside=service.neighbours(call(), row),
        is_final=row["finished_at"] is not None,
    )


def _sent_bodies(row: RowMapping, shown: Sequence[Attempt]) -> dict[int, str | None]:
    """Return the body that each attempt sent, without secrets, or None if it is not known.

    Histories keep no bodies of requests. The execution's own payload has it, or that of the job,
    if the job still has the version that was performed.
    """
    payload, version = row["payload"], None
    if payload is None:
        try:
            job = jobs.read(call(), row["job_id"])
        except JobNotFound:
            return {}
        payload, version = job["payload"], job["version"]
    body = secrets.shown(row["action_type"], payload).get("body")
    return {
        each["number"]: "" if body is None else _body_text(body, each.get("request") or {})
        for each in shown
        if version is None or each.get("job_version") == version
    }


def _body_text(body: Any, request: Mapping[str, Any]) -> str | None:
    headers = {name.lower(): value for name, value in (request.get("headers") or {}).items()}
    try:
        return bodies.encoded(body, headers.get("content-type", bodies.JSON)).decode()
    except ValueError:
        return None


@blueprint.get("/executions/<uuid:execution_id>/compare")
@requires(Role.VIEWER, Scope.EXECUTIONS_READ)
def compare(execution_id: UUID) -> AnyResponse:
    """Show an execution beside another one, or beside the success of its job before it."""
    left = service.read(call(), execution_id)
    other = request.args.get("with")
    other_id = _id(other) if other else _success_before(left)
    right = service.read(call(), other_id) if other_id else None
    return show(
        "compare.html",
        left=left,
        right=right,
        figures=comparison.figures(left, right) if right else [],
        compared=comparison.parts(left, right) if right else [],
        show_all="all" in request.args,
    )


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise ExecutionNotFound from error


def _success_before(row: RowMapping) -> UUID | None:
    """Return the latest success of the job before this execution, or None."""
    filters = HistoryFilter(
        job_id=row["job_id"], statuses=(Status.SUCCEEDED,), until=row["scheduled_for"]
    )
    found = service.list_executions(call(), filters, page=1, limit=1).rows
    return found[0]["id"] if found else None


@blueprint.get("/executions/<uuid:execution_id>/log.txt")
@requires(Role.VIEWER, Scope.EXECUTIONS_READ)
def execution_log(execution_id: UUID) -> Response:
    """Return the log of an execution as a text."""
    row = service.read(call(), execution_id)
    lines = (
        f"{clock.rfc3339(line.at)} {line.level:7} {line.message}\n" for line in logs.lines_of(row)
    )
    response = Response("".join(lines), mimetype="text/plain")
    response.headers["Content-Disposition"] = f'attachment; filename="{execution_id}.txt"'
    return response


@blueprint.post("/executions/<uuid:execution_id>/cancel")
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def cancel_execution(execution_id: UUID) -> AnyResponse:
    """End an execution that has not finished."""
    service.cancel(call(), execution_id)
    return to("execution", execution_id=execution_id)


@blueprint.post("/executions/<uuid:execution_id>/retry")
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def retry_execution(execution_id: UUID) -> AnyResponse:
    """Run an execution's job again, and show the new execution."""
    row = service.retry(call(), execution_id)
    return to("execution", execution_id=row["id"])


@blueprint.get("/jobs/<uuid:job_id>/run-with")
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def edit_run(job_id: UUID) -> AnyResponse:
    """Show the form of a run that differs from its job."""
    job = jobs.read(call(), job_id)
    return _run_form(job, run_form.form_of(job))


@blueprint.post("/jobs/<uuid:job_id>/run-with")
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def run_edited(job_id: UUID) -> AnyResponse:
    """Run a job as the form says, and show the execution. The job stays as it is."""
    return _run_edited(job_id, lambda options: service.trigger(call(), job_id, options))


@blueprint.get("/executions/<uuid:execution_id>/retry-with")
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def edit_retry(execution_id: UUID) -> AnyResponse:
    """Show the form of a retry that differs from its job as it is now."""
    row = service.read(call(), execution_id)
    job = jobs.read(call(), row["job_id"])
    return _run_form(job, run_form.form_of(job), row)


@blueprint.post("/executions/<uuid:execution_id>/retry-with")
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def retry_edited(execution_id: UUID) -> AnyResponse:
    """Run an execution's job again as the form says, and show the new execution."""
    row = service.read(call(), execution_id)
    return _run_edited(
        row["job_id"], lambda options: service.retry(call(), execution_id, options), row
    )


def _run_edited(
    job_id: UUID, run: Callable[[RunOptions], RowMapping], retried: RowMapping | None = None
) -> AnyResponse:
    form, job = request.form.to_dict(), jobs.read(call(), job_id)
    try:
        row = run(run_form.options_of(form, job, now=clock.now()))
    except ChronosError as error:
        return _run_form(job, form, retried, error)
    return to("execution", execution_id=row["id"])


def _run_form(
    job: RowMapping,
    form: Mapping[str, str],
    retried: RowMapping | None = None,
    error: ChronosError | None = None,
) -> AnyResponse:
    problem = problem_of(run_form.named(error)) if error else None
    response = show("run_form.html", job=job, form=form, retried=retried, problem=problem)
    if problem:
        response.status_code = int(problem.kind.status)
    return response
