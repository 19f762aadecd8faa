"""Changes of jobs: update, pause and resume."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping

from chronos_api.jobs import missed, snapshots
from chronos_api.jobs.definition import default_webhooks, definitions, positions
from chronos_api.jobs.service import Versions, locked, note, stop
from chronos_api.security.access import Principal
from chronos_common.domain.jobs import JobDefinition
from chronos_common.domain.statuses import JobStatus, Reason
from chronos_common.errors import Conflict, Invalid, JobNotFound
from chronos_common.storage.jobs import jobs, schedules
from chronos_common.storage.postgres.database import transaction


class JobCompleted(Conflict):
    """The job is completed: no run is left. Give it a new schedule, or a higher max_runs."""


def change(
    engine: Engine,
    who: Principal,
    job_id: UUID,
    body: Mapping[str, Any],
    *,
    expected: Versions,
    now: datetime,
) -> RowMapping:
    """Replace the fields that ``body`` gives (PATCH) and return the job."""
    with transaction(engine) as connection:
        row = locked(connection, who, job_id, expected)
        definition = None
        if body.keys() - {"status"}:
            definition = _checked(
                connection,
                definitions.merged(row, body),
                row,
                now=now,
                is_payload_given="payload" in body,
            )
        return _apply(connection, who, row, definition, body, now=now)


def replace(
    engine: Engine,
    who: Principal,
    job_id: UUID,
    body: Mapping[str, Any],
    *,
    expected: Versions,
    now: datetime,
) -> RowMapping:
    """Replace the whole definition by ``body`` (PUT) and return the job."""
    with transaction(engine) as connection:
        row = locked(connection, who, job_id, expected)
        definition = _checked(connection, definitions.replaced(row, body), row, now=now)
        return _apply(connection, who, row, definition, body, now=now)


def put(
    connection: Connection,
    who: Principal,
    row: RowMapping,
    body: Mapping[str, Any],
    *,
    now: datetime,
) -> RowMapping:
    """Replace the definition of a job, which is locked, unless it is the same already."""
    definition = _checked(connection, definitions.replaced(row, body), row, now=now)
    changed = None if definitions.is_stored(definition, row) else definition
    return _apply(connection, who, row, changed, body, now=now)


def pause(engine: Engine, who: Principal, job_id: UUID, *, now: datetime) -> RowMapping:
    """Stop a job: once this returns, nothing of it that had not started starts."""
    return change(engine, who, job_id, {"status": JobStatus.PAUSED}, expected=None, now=now)


def resume(engine: Engine, who: Principal, job_id: UUID, *, now: datetime) -> RowMapping:
    """Let a paused job run again; the scheduler settles what it missed by its misfire policy."""
    return change(engine, who, job_id, {"status": JobStatus.ACTIVE}, expected=None, now=now)


def _checked(
    connection: Connection,
    fields: Mapping[str, Any],
    row: RowMapping,
    *,
    now: datetime,
    is_payload_given: bool = True,
) -> JobDefinition:
    default_url = default_webhooks.url_for(connection, row["workspace_id"], fields)
    return definitions.define(
        fields,
        job_id=row["id"],
        now=now,
        stored=row,
        default_url=default_url,
        is_payload_given=is_payload_given,
    )


def _apply(
    connection: Connection,
    who: Principal,
    row: RowMapping,
    definition: JobDefinition | None,
    body: Mapping[str, Any],
    *,
    now: datetime,
) -> RowMapping:
    """Store the definition, if there is one, then move the job to the status that is wanted."""
    wanted = _wanted_status(body.get("status"), row)
    if definition is not None:
        _store(connection, row, definition, now=now)
        before, row = row, _read_again(connection, who, row["id"])
        changed = snapshots.differences(before, row)
        note(connection, who, "job.update", row["id"], changed, now=now)
    if wanted is not None and wanted is not JobStatus(row["status"]):
        _move(connection, who, row, wanted, now=now)
        row = _read_again(connection, who, row["id"])
    return row


def _wanted_status(wanted: object, row: RowMapping) -> JobStatus | None:
    """Return the status to go to; one that the job has already is not a wish."""
    if wanted is None or wanted == row["status"]:
        return None
    if wanted not in (JobStatus.ACTIVE, JobStatus.PAUSED):
        raise Invalid({"status": ["Must be 'active' or 'paused'."]})
    return JobStatus(str(wanted))


def _read_again(connection: Connection, who: Principal, job_id: UUID) -> RowMapping:
    row = jobs.find(connection, who.workspace_id, job_id)
    if row is None:
        raise JobNotFound
    return row


def _move(
    connection: Connection, who: Principal, row: RowMapping, wanted: JobStatus, *, now: datetime
) -> None:
    if row["status"] == JobStatus.COMPLETED:
        raise JobCompleted
    if wanted is JobStatus.PAUSED:
        missed.settle(connection, row, reason=Reason.PAUSED, now=now)
        stop(connection, row["id"], reason=Reason.PAUSED, now=now)
    else:
        schedules.activate(connection, row["id"], resumed_at=now)
    jobs.set_status(connection, row["id"], wanted, now=now)
    action = "job.pause" if wanted is JobStatus.PAUSED else "job.resume"
    note(connection, who, action, row["id"], {"name": row["name"]}, now=now)


def _store(
    connection: Connection, row: RowMapping, definition: JobDefinition, *, now: datetime
) -> None:
    """Store a changed definition; one with instants to come revives a completed job."""
    position = positions.after_change(connection, row, definition, now=now)
    revived = row["status"] == JobStatus.COMPLETED and position.next_run_at is not None
    jobs.replace(connection, row["id"], definition, now=now)
    schedules.replace(
        connection,
        row["id"],
        definition,
        next_run_at=position.next_run_at,
        runs_left=position.runs_left,
        active=revived or row["active"],
        resumed_at=position.resumed_at,
        zone_rules=position.zone_rules,
    )
    if revived:
        jobs.set_status(connection, row["id"], JobStatus.ACTIVE, now=now)
