"""The statements on jobs that exist. ``insert`` stores new ones, and ``lists`` reads pages.

A change of jobs locks in this order, each in the order of the ids: the jobs, their schedules
(``schedules.lock``), their executions. One job is a list of one.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Connection,
    RowMapping,
    Uuid,
    any_,
    bindparam,
    func,
    select,
    text,
    update,
)

from chronos_common.domain.jobs import JobDefinition, Pause
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


# Only an apply reads the definition as last applied, which may be as long as a payload.
_WHOLE = (
    select(*(each for each in jobs.c if each is not jobs.c.applied), *SCHEDULE_COLUMNS)
    .join(schedules, schedules.c.job_id == jobs.c.id)
    .where(jobs.c.workspace_id == bindparam("workspace_id"), jobs.c.deleted_at.is_(None))
)

# Built once instead of at every request.
_FIND = prepared(_WHOLE.where(jobs.c.id == bindparam("job_id")))
_FIND_MANY = prepared(
    _WHOLE.where(jobs.c.id == any_(bindparam("job_ids", type_=ARRAY(Uuid)))).order_by(jobs.c.id)
)
_LOCK = _FIND_MANY.with_for_update(of=jobs)


def find(connection: Connection, workspace_id: UUID, job_id: UUID) -> RowMapping | None:
    """Return the job with its schedule, or None."""
    parameters = {"workspace_id": workspace_id, "job_id": job_id}
    return connection.execute(_FIND, parameters).mappings().one_or_none()


def find_many(
    connection: Connection, workspace_id: UUID, job_ids: Sequence[UUID]
) -> Sequence[RowMapping]:
    """Return those of the jobs that exist, with their schedules, the oldest first."""
    parameters = {"workspace_id": workspace_id, "job_ids": list(job_ids)}
    return connection.execute(_FIND_MANY, parameters).mappings().all()


def following(
    connection: Connection, workspace_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[RowMapping]:
    """Return some jobs with their schedules, the oldest first, from behind ``after`` on."""
    query = _WHOLE if after is None else _WHOLE.where(jobs.c.id > after)
    query = query.order_by(jobs.c.id).limit(limit)
    return connection.execute(query, {"workspace_id": workspace_id}).mappings().all()


def lock(
    connection: Connection, workspace_id: UUID, job_ids: Sequence[UUID]
) -> Sequence[RowMapping]:
    """Keep others from changing jobs until the transaction ends, and return those that exist.

    A scheduler may still advance their schedules, and those columns may be older than the lock.
    """
    parameters = {"workspace_id": workspace_id, "job_ids": list(job_ids)}
    return connection.execute(_LOCK, parameters).mappings().all()


def find_deleted(connection: Connection, workspace_id: UUID, job_id: UUID) -> RowMapping | None:
    """Return ``id``, ``name`` and ``status`` of a deleted job, or None."""
    query = select(jobs.c.id, jobs.c.name, jobs.c.status).where(
        jobs.c.id == job_id,
        jobs.c.workspace_id == workspace_id,
        jobs.c.deleted_at.is_not(None),
    )
    return connection.execute(query).mappings().one_or_none()


def find_all_named(connection: Connection, workspace_id: UUID, name: str) -> list[UUID]:
    """Return the ids of the jobs of that name: of the two oldest, if there are more than one.

    Concurrent callers with the same name wait until this transaction ends.
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


_ACTIVATE = text("""
    UPDATE jobs SET status = 'active', version = version + 1, updated_at = :now,
                    paused_at = NULL, paused_by = NULL, pause_note = NULL, paused_until = NULL
     WHERE id = ANY(CAST(:ids AS uuid[]))""")


def activate(connection: Connection, job_ids: Sequence[UUID], *, now: datetime) -> None:
    """Mark locked jobs as active, as a new version of each."""
    connection.execute(_ACTIVATE, {"ids": list(job_ids), "now": now})


# A job that is paused already keeps the instant at which its pause began.
_PAUSE = text("""
    UPDATE jobs SET paused_at = CASE WHEN status = 'paused' THEN paused_at ELSE :now END,
                    status = 'paused', version = version + 1, updated_at = :now,
                    paused_by = :by, pause_note = :note, paused_until = :until
     WHERE id = ANY(CAST(:ids AS uuid[]))""")


def pause(connection: Connection, job_ids: Sequence[UUID], pause: Pause, *, now: datetime) -> None:
    """Mark locked jobs as paused, as a new version of each."""
    connection.execute(
        _PAUSE,
        {
            "ids": list(job_ids),
            "by": pause.by,
            "note": pause.note,
            "until": pause.until,
            "now": now,
        },
    )


_NEXT_RESUME = text("SELECT min(paused_until) FROM jobs WHERE paused_until IS NOT NULL")


def next_resume(connection: Connection) -> datetime | None:
    """Return the earliest end of a pause, which may be past, or None."""
    return cast("datetime | None", connection.execute(_NEXT_RESUME).scalar_one())


_PAUSES_OVER = text("""
    SELECT id, workspace_id FROM jobs
     WHERE paused_until <= :now ORDER BY paused_until LIMIT :batch""")


def pauses_over(
    connection: Connection, *, batch: int, now: datetime
) -> Mapping[UUID, Sequence[UUID]]:
    """Return jobs whose pause is over, by their workspace. None of them is locked."""
    found: dict[UUID, list[UUID]] = {}
    for row in connection.execute(_PAUSES_OVER, {"batch": batch, "now": now}):
        found.setdefault(row.workspace_id, []).append(row.id)
    return found


_FORGET_END = text("""
    UPDATE jobs SET paused_until = NULL WHERE id = ANY(CAST(:ids AS uuid[]))""")


def forget_end_of_pause(connection: Connection, job_ids: Sequence[UUID]) -> None:
    """Let no scheduler resume these jobs by itself."""
    connection.execute(_FORGET_END, {"ids": list(job_ids)})


_DELETE = text("""
    UPDATE jobs SET status = 'cancelled', deleted_at = :now, updated_at = :now,
                    paused_until = NULL
     WHERE id = ANY(CAST(:ids AS uuid[]))""")


def delete(connection: Connection, job_ids: Sequence[UUID], *, now: datetime) -> None:
    """Hide locked jobs. Their executions stay readable until they are pruned."""
    connection.execute(_DELETE, {"ids": list(job_ids), "now": now})


# The index schedules_exhausted holds just the schedules with nothing left to come. Both rows are
# taken without waiting: the API locks the job before its schedule, plan the schedule first.
_COMPLETE = text("""
    WITH done AS MATERIALIZED (
        SELECT s.job_id, s.workspace_id, s.kind, s.expression, s.interval_seconds
          FROM schedules s JOIN jobs j ON j.id = s.job_id
         WHERE s.active AND s.next_run_at IS NULL
           AND NOT EXISTS (SELECT FROM executions e
                            WHERE e.job_id = s.job_id AND e.finished_at IS NULL)
         LIMIT :batch
           FOR UPDATE OF s, j SKIP LOCKED),
    deactivated AS (
        UPDATE schedules s SET active = false FROM done WHERE s.job_id = done.job_id)
    UPDATE jobs j SET status = 'completed', version = version + 1, updated_at = :now
      FROM done WHERE j.id = done.job_id AND j.status = 'active'
 RETURNING done.workspace_id, done.kind, done.expression, done.interval_seconds""")


def complete_exhausted(
    connection: Connection, *, batch: int, now: datetime
) -> Sequence[RowMapping]:
    """Complete jobs without a next run or unfinished executions.

    Return the workspace of each, and the fields that its runs a day follow from.
    """
    return connection.execute(_COMPLETE, {"batch": batch, "now": now}).mappings().all()


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
