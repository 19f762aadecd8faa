"""The pages of jobs: the list, one job, and what can be done to it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from flask import request
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.bulk import background
from chronos_api.context import current
from chronos_api.executions import service as executions
from chronos_api.explanations import service as explanations
from chronos_api.explanations.schemas import WhyQuery
from chronos_api.fields import cursors
from chronos_api.fields.pagination import MAX_LIMIT, Page
from chronos_api.http import json_body
from chronos_api.jobs import changes, service, snapshots
from chronos_api.jobs.definition.payload_schemas import JobType
from chronos_api.jobs.schemas import JobChangesQuery, JobsQuery, PauseFields, job_filter
from chronos_api.jobs.service import JobListing
from chronos_api.security.access import Role, Scope, principal, requires
from chronos_api.statistics import cached, job_statistics
from chronos_api.statistics.dashboard import Period
from chronos_api.transactions import call
from chronos_api.ui import charts, definitions
from chronos_api.ui.blueprint import blueprint, show, to
from chronos_api.ui.lists import query_of
from chronos_common import clock
from chronos_common.clock import to_milliseconds
from chronos_common.domain.statuses import JobStatus
from chronos_common.storage.executions.filters import HistoryFilter
from chronos_common.storage.jobs.filters import LastOutcome

_RUNS_IN_ROW = 20
_RUNS_ON_PAGE = 20
_CHANGES_ON_PAGE = 5
_CONSIDERED = 100
_SIZES = (20, 50, MAX_LIMIT)


@blueprint.get("/jobs")
@requires(Role.VIEWER, Scope.JOBS_READ)
def jobs() -> AnyResponse:
    """List the jobs, by the filters of the API in the address."""
    query = query_of(JobsQuery)
    now = clock.now()
    page = service.list_jobs(call(), JobListing.of(job_filter(query.loaded), query.loaded))
    rows = [snapshots.snapshot(row, now=now) for row in page.rows]
    runs = executions.latest_of(call(), [row["id"] for row in rows], each=_RUNS_IN_ROW)
    return show(
        "jobs.html",
        rows=rows,
        runs=runs,
        sparks={job_id: charts.sparkline(latest) for job_id, latest in runs.items()},
        under_way=background.list_under_way(call()),
        total=page.total,
        total_is_exact=page.total_is_exact,
        page=page.source(query.loaded, now=now),
        query=query,
        sizes=_SIZES,
        statuses=[each for each in JobStatus if each is not JobStatus.CANCELLED],
        types=list(JobType),
        outcomes=list(LastOutcome),
    )


@blueprint.get("/jobs/<uuid:job_id>")
@requires(Role.VIEWER, Scope.JOBS_READ)
def job(job_id: UUID) -> AnyResponse:
    """Show a job: its schedule, its figures, and its latest executions."""
    now = clock.now()
    row = service.read(call(), job_id)
    statistics = job_statistics.statistics(call(), job_id, limit=_CONSIDERED)
    page = executions.list_of_job(
        call(), job_id, HistoryFilter(job_id=job_id), page=1, limit=_RUNS_ON_PAGE
    )
    shown = snapshots.detailed(row, now=now)
    return show(
        "job.html",
        **_trend(job_id),
        job=shown,
        statistics=statistics,
        spark=charts.sparkline(statistics.latest),
        facts=list(definitions.facts(shown)),
        types=definitions.types(),
        rows=page.rows,
        changes=_changes(job_id, limit=_CHANGES_ON_PAGE).rows,
        answer=_why(job_id),
        one_day=timedelta(days=1),
    )


def _changes(job_id: UUID, *, limit: int, before: UUID | None = None) -> Page[UUID]:
    """Return changes of the job, each with its action and its fields in words."""
    page = service.list_changes(call(), job_id, before=before, page=1, limit=limit)
    rows = [
        {**row, "did": definitions.action_of(row), "fields": definitions.fields_changed_in(row)}
        for row in page.rows
    ]
    return replace(page, rows=rows)


@blueprint.get("/jobs/<uuid:job_id>/changes")
@requires(Role.VIEWER, Scope.JOBS_READ)
def job_changes(job_id: UUID) -> AnyResponse:
    """Show who changed a job and how, the latest change first. The job may be deleted."""
    query = query_of(JobChangesQuery)
    before = cursors.read(query.loaded.get("cursor"))
    page = _changes(job_id, limit=query.loaded["limit"], before=before)
    return show(
        "job_changes.html",
        job=service.overview_of_any(call(), job_id),
        changes=page.rows,
        next_cursor=page.source(query.loaded)["next_cursor"],
    )


def _trend(job_id: UUID) -> dict[str, Any]:
    """Return the chart of the job's last day, and how late it started at most."""
    query = {"period": Period.DAY, "job_id": job_id}
    found = cached.trend_of(principal().workspace_id, query)
    late = [bucket["drift_max_ms"] for bucket in found["buckets"]]
    return {
        "chart": charts.trend(found["buckets"], found["bucket_seconds"]),
        "drift_max_ms": max((each for each in late if each is not None), default=None),
        "is_exact": found["is_exact"],
    }


def _why(job_id: UUID) -> Any:
    """Return why the job ran or did not at the instant of the address, if it names one."""
    at = request.args.get("why")
    if not at:
        return None
    settings = current().settings
    return explanations.explain(
        call(),
        job_id,
        at=to_milliseconds(json_body.load(WhyQuery, {"at": at})["at"]),
        retention=timedelta(days=settings.retention_days),
        alive_within=settings.worker_timeout,
    )


@blueprint.post("/jobs/<uuid:job_id>/run")
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def run_job(job_id: UUID) -> AnyResponse:
    """Run a job now, and show the execution."""
    row = executions.trigger(call(), job_id)
    return to("execution", execution_id=row["id"])


@blueprint.post("/jobs/<uuid:job_id>/pause")
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def pause_job(job_id: UUID) -> AnyResponse:
    """Pause a job, with a note and an end if the form has them."""
    given = {name: request.form[name] for name in ("note", "until") if request.form.get(name)}
    pause = json_body.load(PauseFields, given)
    return _changed(job_id, partial(changes.pause, **pause))


@blueprint.post("/jobs/<uuid:job_id>/resume")
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def resume_job(job_id: UUID) -> AnyResponse:
    """Resume a job."""
    return _changed(job_id, changes.resume)


def _changed(job_id: UUID, change: Callable[..., Any]) -> AnyResponse:
    change(call(), job_id)
    return to("jobs") if request.form.get("back") == "jobs" else to("job", job_id=job_id)


@blueprint.get("/jobs/<uuid:job_id>/delete")
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def confirm_delete(job_id: UUID) -> AnyResponse:
    """Ask whether to delete a job."""
    return show("delete.html", job=service.read(call(), job_id), errors={})


@blueprint.post("/jobs/<uuid:job_id>/delete")
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def delete_job(job_id: UUID) -> AnyResponse:
    """Delete a job, whose name was typed."""
    row = service.read(call(), job_id)
    if request.form.get("name", "").strip() != row["name"]:
        errors = {"name": ["Type the job's name as it is written above."]}
        return show("delete.html", job=row, errors=errors)
    service.delete(call(), job_id, expected=None)
    return to("jobs")
