"""Changes of jobs: update, pause and resume."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.jobs import holdings, lifecycle, service, snapshots
from chronos_api.jobs.definition import definitions, positions
from chronos_api.jobs.lifecycle import Versions
from chronos_api.transactions import Call, Session, Transaction, begin
from chronos_api.workspaces import mail_permission
from chronos_common.domain.jobs import JobDefinition, Pause
from chronos_common.domain.statuses import JobStatus
from chronos_common.errors import Conflict, Invalid
from chronos_common.storage.jobs import jobs, schedules

#: How far ahead a pause may end by itself.
MAX_PAUSE = timedelta(days=3660)


class JobCompleted(Conflict):
    """The job is completed: no run is left. Give it a new schedule, or a higher max_runs."""


def change(call: Call, job_id: UUID, body: Mapping[str, Any], *, expected: Versions) -> RowMapping:
    """Replace the fields that ``body`` gives (PATCH) and return the job."""
    with begin(call) as tx:
        row = lifecycle.lock_one(tx, job_id, expected)
        definition = None
        if body.keys() - {"status"}:
            fields = definitions.merged(row, body)
            definition = _checked(tx, fields, row, is_payload_given="payload" in body)
        return carry_out(tx, row, definition, body)


def replace(
    call: Call, job_id: UUID, body: Mapping[str, Any], *, expected: Versions
) -> RowMapping:
    """Replace the whole definition by ``body`` (PUT) and return the job."""
    with begin(call) as tx:
        row = lifecycle.lock_one(tx, job_id, expected)
        definition = _checked(tx, definitions.replaced(row, body), row)
        return carry_out(tx, row, definition, body)


def put(tx: Transaction, row: RowMapping, body: Mapping[str, Any]) -> RowMapping:
    """Replace the definition of a job, which is locked, unless it is the same already."""
    definition = _checked(tx, definitions.replaced(row, body), row)
    changed = None if definitions.is_stored(definition, row) else definition
    return carry_out(tx, row, changed, body)


def pause(
    call: Call, job_id: UUID, *, note: str | None = None, until: datetime | None = None
) -> RowMapping:
    """Pause a job. Once this returns, none of its unstarted executions starts.

    A job that is paused already gets the note and the end, if one of them is given. Raises
    :class:`JobNotFound`, :class:`JobCompleted`, and :class:`Invalid` for an end that has passed.
    """
    with begin(call) as tx:
        row = lifecycle.lock_one(tx, job_id, None)
        wanted = pause_of(tx, note, until)
        if row["status"] == JobStatus.COMPLETED:
            raise JobCompleted
        if row["status"] == JobStatus.ACTIVE:
            lifecycle.pause(tx, [row], wanted)
        elif is_other_pause(row, wanted):
            lifecycle.change_pause(tx, [row], wanted)
        return service.find(tx, job_id)


def pause_of(session: Session, note: str | None, until: datetime | None) -> Pause:
    """Return the caller's pause with this note, which ends by itself at ``until``.

    Raises :class:`Invalid` if that has passed, or is too far ahead.
    """
    if until is not None:
        if until <= session.now:
            raise Invalid(
                {"until": ["Must be in the future; leave it out to pause until resume."]}
            )
        if until > session.now + MAX_PAUSE:
            raise Invalid({"until": [f"At most {MAX_PAUSE.days} days from now."]})
    return Pause(by=session.principal.user_id, note=note or None, until=until)


def is_other_pause(row: RowMapping, wanted: Pause) -> bool:
    """Return whether a paused job is to get another note or end than it has."""
    if wanted.note is None and wanted.until is None:
        return False
    return (row["pause_note"], row["paused_until"]) != (wanted.note, wanted.until)


def resume(call: Call, job_id: UUID) -> RowMapping:
    """Resume a paused job. The scheduler applies its misfire policy to missed occurrences."""
    return change(call, job_id, {"status": JobStatus.ACTIVE}, expected=None)


def _checked(
    tx: Transaction, fields: Mapping[str, Any], row: RowMapping, *, is_payload_given: bool = True
) -> JobDefinition:
    definition = definitions.define(
        fields,
        job_id=row["id"],
        now=tx.now,
        stored=row,
        default_url=definitions.default_url_for(tx, fields),
        is_payload_given=is_payload_given,
    )
    mail_permission.check_job(tx, definition)
    return definition


def carry_out(
    tx: Transaction, row: RowMapping, definition: JobDefinition | None, body: Mapping[str, Any]
) -> RowMapping:
    """Store a locked job's definition, if there is one, then move it to the status in ``body``.

    Raises :class:`JobCompleted`, and :class:`Invalid` for a status that nobody can ask for.
    """
    wanted = _wanted_status(body.get("status"), row)
    if definition is not None:
        _store(tx, row, definition)
        before, row = row, service.find(tx, row["id"])
        tx.audit("job.update", "job", {row["id"]: snapshots.differences(before, row)})
        tx.spend(holdings.change(before, row))
    if wanted is not None and wanted is not JobStatus(row["status"]):
        if row["status"] == JobStatus.COMPLETED:
            raise JobCompleted
        if wanted is JobStatus.PAUSED:
            lifecycle.pause(tx, [row], pause_of(tx, None, None))
        else:
            lifecycle.resume(tx, [row])
        row = service.find(tx, row["id"])
    return row


def _wanted_status(wanted: object, row: RowMapping) -> JobStatus | None:
    """Return the status to go to, or None if the job has it already."""
    if wanted is None or wanted == row["status"]:
        return None
    if wanted not in (JobStatus.ACTIVE, JobStatus.PAUSED):
        raise Invalid({"status": ["Must be 'active' or 'paused'."]})
    return JobStatus(str(wanted))


def _store(tx: Transaction, row: RowMapping, definition: JobDefinition) -> None:
    """Store a changed definition. A completed job with new instants to come is active again."""
    if definition.shadow and not row["shadow"]:
        lifecycle.drop_planned(tx, row["id"])
    position = positions.after_change(tx, row, definition)
    revived = row["status"] == JobStatus.COMPLETED and position.next_run_at is not None
    jobs.replace(tx.connection, row["id"], definition, now=tx.now)
    schedules.replace(
        tx.connection,
        row["id"],
        definition,
        next_run_at=position.next_run_at,
        runs_left=position.runs_left,
        active=revived or row["active"],
        resumed_at=position.resumed_at,
        zone_rules=position.zone_rules,
    )
    if revived:
        jobs.activate(tx.connection, [row["id"]], now=tx.now)
