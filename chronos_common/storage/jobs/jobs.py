"""The statements on ``jobs``: what users defined."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Connection,
    RowMapping,
    Uuid,
    any_,
    bindparam,
    cast,
    func,
    select,
    text,
    update,
)

from chronos_common.domain.jobs import JobDefinition
from chronos_common.domain.statuses import JobStatus
from chronos_common.storage.jobs import columns
from chronos_common.storage.postgres.prepared_statements import prepared
from chronos_common.storage.tables import jobs, schedules

#: The columns of a schedule in a row that holds its job, too.
SCHEDULE_COLUMNS = [
    column for column in schedules.c if column.name not in {"job_id", "workspace_id", "job_type"}
]


def replace(
    connection: Connection, job_id: UUID, definition: JobDefinition, *, now: datetime
) -> None:
    """Store a changed definition as the job's next version."""
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id)
        .values(version=jobs.c.version + 1, updated_at=now, **columns.of_job(definition))
    )


_WHOLE = (
    select(*jobs.c, *SCHEDULE_COLUMNS)
    .join(schedules, schedules.c.job_id == jobs.c.id)
    .where(jobs.c.workspace_id == bindparam("workspace_id"), jobs.c.deleted_at.is_(None))
)

# Put together once, and not with every request.
_FIND = prepared(_WHOLE.where(jobs.c.id == bindparam("job_id")))
_FIND_AND_LOCK = _FIND.with_for_update(of=jobs)


def find(
    connection: Connection, workspace_id: UUID, job_id: UUID, *, lock: bool = False
) -> RowMapping | None:
    """Return the job with its schedule, or None; ``lock`` holds the job for a change."""
    query = _FIND_AND_LOCK if lock else _FIND
    parameters = {"workspace_id": workspace_id, "job_id": job_id}
    return connection.execute(query, parameters).mappings().one_or_none()


def find_deleted(connection: Connection, workspace_id: UUID, job_id: UUID) -> RowMapping | None:
    """Return ``id``, ``name`` and ``status`` of a job that was deleted, or None."""
    query = select(jobs.c.id, jobs.c.name, jobs.c.status).where(
        jobs.c.id == job_id,
        jobs.c.workspace_id == workspace_id,
        jobs.c.deleted_at.is_not(None),
    )
    return connection.execute(query).mappings().one_or_none()


def find_all_named(connection: Connection, workspace_id: UUID, name: str) -> list[UUID]:
    """Return the ids of the jobs of that name: of the two oldest, if there are more than one.

    Whoever asks in this way is alone with the name until its transaction ends.
    """
    connection.execute(_LOCK_NAME, {"name": f"{workspace_id}:{name}"})
    query = (
        select(jobs.c.id)
        .where(
            jobs.c.workspace_id == workspace_id, jobs.c.deleted_at.is_(None), jobs.c.name == name
        )
        .order_by(jobs.c.id)
        .limit(2)
    )
    return list(connection.execute(query).scalars())


_LOCK_NAME = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")


def find_many(
    connection: Connection, workspace_id: UUID, identifiers: Sequence[UUID]
) -> Sequence[RowMapping]:
    """Return jobs with their schedules, the oldest first; those there are not are left out."""
    wanted = any_(cast(list(identifiers), ARRAY(Uuid)))
    query = _WHOLE.where(jobs.c.id == wanted).order_by(jobs.c.id)
    return connection.execute(query, {"workspace_id": workspace_id}).mappings().all()


def set_status(connection: Connection, job_id: UUID, status: JobStatus, *, now: datetime) -> None:
    """Change the job's status, as a new version of it."""
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id)
        .values(status=status, version=jobs.c.version + 1, updated_at=now)
    )


def delete(connection: Connection, job_id: UUID, *, now: datetime) -> None:
    """Hide the job; its executions stay readable until they are pruned."""
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id)
        .values(status=JobStatus.CANCELLED, deleted_at=now, updated_at=now)
    )


# The index schedules_exhausted holds just the schedules with nothing left to come. Both rows are
# taken without waiting: the API locks the job before its schedule, plan the schedule first.
_COMPLETE = text("""
    WITH done AS MATERIALIZED (
        SELECT s.job_id FROM schedules s JOIN jobs j ON j.id = s.job_id
         WHERE s.active AND s.next_run_at IS NULL
           AND NOT EXISTS (SELECT FROM executions e
                            WHERE e.job_id = s.job_id AND e.finished_at IS NULL)
         LIMIT :batch
           FOR UPDATE OF s, j SKIP LOCKED),
    deactivated AS (
        UPDATE schedules s SET active = false FROM done WHERE s.job_id = done.job_id)
    UPDATE jobs j SET status = 'completed', version = version + 1, updated_at = :now
      FROM done WHERE j.id = done.job_id AND j.status = 'active'
 RETURNING j.id""")


def complete_exhausted(connection: Connection, *, batch: int, now: datetime) -> int:
    """Complete jobs without a next run or unfinished executions, and return their number."""
    return len(connection.execute(_COMPLETE, {"batch": batch, "now": now}).all())


def count_by_status(connection: Connection, workspace_id: UUID) -> Mapping[str, int]:
    """Return the number of jobs of the workspace by status."""
    query = (
        select(jobs.c.status, func.count().label("jobs"))
        .where(jobs.c.workspace_id == workspace_id, jobs.c.deleted_at.is_(None))
        .group_by(jobs.c.status)
    )
    return {row.status: row.jobs for row in connection.execute(query)}


def names_of(connection: Connection, job_ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the names of jobs."""
    query = text("SELECT id, name FROM jobs WHERE id = ANY(CAST(:ids AS uuid[]))")
    return {row.id: row.name for row in connection.execute(query, {"ids": list(job_ids)})}
