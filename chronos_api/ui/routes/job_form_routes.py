"""The pages on which a job is created and edited."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any
from uuid import UUID

from flask import request
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.http import json_body
from chronos_api.http.errors import problem_of
from chronos_api.jobs import changes, service, snapshots
from chronos_api.jobs.previews import service as previews
from chronos_api.jobs.previews.schemas import PreviewRequest
from chronos_api.security.access import Role, Scope, requires
from chronos_api.transactions import call
from chronos_api.ui import definitions
from chronos_api.ui.blueprint import blueprint, show, to
from chronos_api.ui.forms import as_code, form_inputs, job_form, pasted
from chronos_client.importers.outcome import ImportFinding
from chronos_common import clock
from chronos_common.domain.payloads.webhook import METHODS
from chronos_common.domain.schedules.schedule import ScheduleKind
from chronos_common.errors import ChronosError, Invalid, VersionConflict

_PREVIEWED = 10

#: The buttons of the form that save nothing.
_PREVIEW, _AS_CODE = "preview", "yaml"


@blueprint.get("/jobs/new")
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def new_job() -> AnyResponse:
    """Show the form of a new job, or of one like another."""
    form = dict(job_form.BLANK)
    if clone := request.args.get("clone"):
        form = job_form.form_of(_snapshot(UUID(clone)))
        form["name"] = f"{form['name']} (copy)"
    return _form(form)


@blueprint.post("/jobs/new")
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def create_job() -> AnyResponse:
    """Create a job, or show the form again with its errors or with a preview."""
    form = request.form.to_dict()
    if form.get("do") == _PREVIEW:
        return _form(form)
    try:
        row = service.create(call(), job_form.body_of(form))
    except ChronosError as error:
        return _form(form, error)
    return to("job", job_id=row["id"])


@blueprint.post("/jobs/new/pasted")
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def fill_job() -> AnyResponse:
    """Show the form of the job that a pasted text means. Nothing is saved."""
    text = request.form.get(pasted.FIELD, "")
    try:
        found = pasted.read(text)
    except Invalid as error:
        return _form({**job_form.BLANK, pasted.FIELD: text}, error)
    return _form(found.form, findings=found.findings)


@blueprint.get("/jobs/<uuid:job_id>/edit")
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def edit_job(job_id: UUID) -> AnyResponse:
    """Show the form of a job."""
    job = _snapshot(job_id)
    return _form(job_form.form_of(job) | {"version": str(job["version"])}, job=job)


@blueprint.post("/jobs/<uuid:job_id>/edit")
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def change_job(job_id: UUID) -> AnyResponse:
    """Change a job, unless somebody else has changed it since the form was shown.

    Other buttons of the form show a preview, or the edit as YAML.
    """
    form, row = request.form.to_dict(), service.read(call(), job_id)
    job = snapshots.snapshot(row, now=clock.now())
    if form.get("do") == _PREVIEW:
        return _form(form, job=job)
    try:
        body = job_form.edit_of(form, job_form.form_of(job))
        if form.get("do") == _AS_CODE:
            text = as_code.of_edit(call(), row, _resets(job) | body)
            return _form(form, job=job, yaml=text)
        version = int(form["version"]) if form.get("version", "").isdecimal() else 0
        changes.change(call(), job_id, _resets(job) | body, expected=frozenset({version}))
    except VersionConflict as error:
        return _form(form | {"version": str(job["version"])}, error, job=job, is_conflict=True)
    except ChronosError as error:
        return _form(form, error, job=job)
    return to("job", job_id=job_id)


def _resets(job: Mapping[str, Any]) -> dict[str, None]:
    """Return null for each field of the form that an emptied input resets to its default."""
    return dict.fromkeys(name for name in job_form.RESETS if name in job)


def _snapshot(job_id: UUID) -> dict[str, Any]:
    return snapshots.snapshot(service.read(call(), job_id), now=clock.now())


def _form(
    form: Mapping[str, str],
    error: ChronosError | None = None,
    *,
    job: Mapping[str, Any] | None = None,
    is_conflict: bool = False,
    findings: Sequence[ImportFinding] | None = None,
    yaml: str = "",
) -> AnyResponse:
    problem = problem_of(error) if error else None
    response = show(
        "job_form.html",
        form=form,
        job=job,
        problem=problem,
        errors=problem.fields if problem else {},
        findings=findings,
        yaml=yaml,
        conflict=_conflict(form, job) if job and is_conflict else None,
        preview=_preview(form, job),
        types=definitions.types(),
        methods=METHODS,
        utc=UTC,
        max_pasted=pasted.MAX_LENGTH,
        kinds=list(ScheduleKind),
        misfire_policies=definitions.MISFIRES,
        overlap_policies=definitions.OVERLAPS,
        further=form_inputs.inputs_in,
        day_matches=definitions.DAY_MATCHES,
    )
    if problem:
        response.status_code = int(problem.kind.status)
    return response


def _conflict(form: Mapping[str, str], job: Mapping[str, Any]) -> dict[str, Any]:
    """Return who changed the job since the form was shown, and where the two differ."""
    latest = service.list_changes(call(), job["id"], before=None, page=1, limit=1).rows
    return {
        "latest": latest[0] if latest else None,
        "fields": job_form.differences(job_form.form_of(job), form),
    }


def _preview(form: Mapping[str, str], job: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the preview of a form's schedule, or its errors."""
    more = {"count": _PREVIEWED, "job_id": str(job["id"]) if job else None}
    try:
        body = json_body.load(PreviewRequest, job_form.schedule_of(form) | more)
        return {"schedule": previews.preview(call(), body)}
    except Invalid as error:
        return {"errors": error.fields}
