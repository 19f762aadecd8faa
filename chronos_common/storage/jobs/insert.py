"""The statements that store new jobs, each with its schedule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Table, bindparam, insert, select
from sqlalchemy.sql.dml import ReturningInsert

from chronos_common.domain.jobs import JobDefinition, Ownership
from chronos_common.domain.statuses import JobStatus
from chronos_common.storage.jobs import columns
from chronos_common.storage.jobs.jobs import SCHEDULE_COLUMNS
from chronos_common.storage.jobs.schedules import zone_rules_of
from chronos_common.storage.postgres.prepared_statements import prepared
from chronos_common.storage.tables import jobs, schedules


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be stored, which is planned from ``next_run_at`` on unless it is paused."""

    id: UUID
    definition: JobDefinition
    next_run_at: datetime | None
    status: JobStatus = JobStatus.ACTIVE
    ownership: Ownership | None = None


def insert_one(
    connection: Connection, new: NewJob, *, workspace_id: UUID, created_by: UUID, now: datetime
) -> RowMapping:
    """Store a new job and return it as ``jobs.find`` does, in one round trip."""
    values = _named(jobs, _of_job(new, workspace_id, created_by, now))
    values |= _named(schedules, _of_schedule(new, workspace_id))
    return connection.execute(_INSERT_ONE, values).mappings().one()


def insert_all(
    connection: Connection,
    new: Sequence[NewJob],
    *,
    workspace_id: UUID,
    created_by: UUID,
    now: datetime,
) -> None:
    """Store new jobs."""
    connection.execute(
        insert(jobs), [_of_job(each, workspace_id, created_by, now) for each in new]
    )
    connection.execute(insert(schedules), [_of_schedule(each, workspace_id) for each in new])


def _of_owner(ownership: Ownership | None) -> dict[str, Any]:
    if ownership is None:
        return {"scope": None, "scope_key": None, "applied": None}
    return {
        "scope": ownership.scope,
        "scope_key": ownership.key,
        "applied": ownership.applied,
    }


def _of_job(new: NewJob, workspace_id: UUID, created_by: UUID, now: datetime) -> dict[str, Any]:
    is_paused = new.status is JobStatus.PAUSED
    return {
        "id": new.id,
        "workspace_id": workspace_id,
        "created_by": created_by,
        "status": new.status,
        "version": 1,
        "created_at": now,
        "updated_at": now,
        "deleted_at": None,
        "paused_at": now if is_paused else None,
        "paused_by": created_by if is_paused else None,
        "pause_note": None,
        "paused_until": None,
        **_of_owner(new.ownership),
        **columns.of_job(new.definition),
    }


def _of_schedule(new: NewJob, workspace_id: UUID) -> dict[str, Any]:
    return {
        "job_id": new.id,
        "workspace_id": workspace_id,
        "job_type": new.definition.type,
        "active": new.status is JobStatus.ACTIVE,
        "next_run_at": new.next_run_at,
        "runs_left": new.definition.max_runs,
        "resumed_at": None,
        "zone_rules": zone_rules_of(new.definition.schedule),
        **columns.of_schedule(new.definition),
    }


def _named(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by the names of their parameters, which tell two tables' columns apart."""
    return {f"{table.name}_{column}": value for column, value in values.items()}


def _insert(table: Table) -> ReturningInsert[Any]:
    values = {each: bindparam(f"{table.name}_{each.name}", type_=each.type) for each in table.c}
    return insert(table).values(values).returning(*table.c)


_JOB = _insert(jobs).cte("job")
_SCHEDULE = _insert(schedules).cte("schedule")
_INSERT_ONE = prepared(
    select(
        *(each for each in _JOB.c if each.name != jobs.c.applied.name),
        *(_SCHEDULE.c[column.name] for column in SCHEDULE_COLUMNS),
    ).join_from(_JOB, _SCHEDULE, _SCHEDULE.c.job_id == _JOB.c.id)
)
