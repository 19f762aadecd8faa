"""Statements that change many jobs of a workspace at once, with their schedules and executions.

They lock as the changes of a single job do: the jobs, their schedules, their executions, each in
the order of their ids.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common import ids
from chronos_common.domain.executions import Moved
from chronos_common.domain.statuses import JobStatus, Reason

_LOCK_JOBS = text("""
    SELECT id FROM jobs
     WHERE id = ANY(CAST(:ids AS uuid[])) AND workspace_id = :workspace_id AND deleted_at IS NULL
     ORDER BY id FOR UPDATE""")

_LOCK_SCHEDULES = text("""
    SELECT job_id FROM schedules WHERE job_id = ANY(CAST(:ids AS uuid[]))
     ORDER BY job_id FOR UPDATE""")


def lock_jobs(connection: Connection, workspace_id: UUID, job_ids: Sequence[UUID]) -> None:
    """Keep others from changing these jobs until the transaction ends."""
    connection.execute(_LOCK_JOBS, {"ids": list(job_ids), "workspace_id": workspace_id})


def lock_schedules(connection: Connection, job_ids: Sequence[UUID]) -> None:
    """Wait for plans of these jobs that are under way, and keep others off them."""
    connection.execute(_LOCK_SCHEDULES, {"ids": list(job_ids)})


_SET_STATUS = text("""
    UPDATE jobs SET status = :status, version = version + 1, updated_at = :now
     WHERE id = ANY(CAST(:ids AS uuid[]))""")


def set_status(
    connection: Connection, job_ids: Sequence[UUID], status: JobStatus, *, now: datetime
) -> None:
    """Change the status of jobs, as a new version of each."""
    connection.execute(_SET_STATUS, {"ids": list(job_ids), "status": status, "now": now})


_DEACTIVATE = text("""
    UPDATE schedules SET active = false WHERE job_id = ANY(CAST(:ids AS uuid[]))""")

_CANCEL_UNSTARTED = text("""
    WITH unstarted AS MATERIALIZED (
        SELECT id FROM executions
         WHERE job_id = ANY(CAST(:ids AS uuid[])) AND finished_at IS NULL
           AND status IN ('queued', 'retrying')
         ORDER BY id FOR UPDATE)
    UPDATE executions SET status = 'cancelled', finished_at = :now, reason = :reason
     WHERE id IN (SELECT id FROM unstarted)
 RETURNING id, workspace_id, job_id, status, scheduled_for, started_at, duration_ms""")


def stop(
    connection: Connection, job_ids: Sequence[UUID], *, reason: Reason, now: datetime
) -> list[Moved]:
    """Plan jobs, whose schedules are locked, no more; end and return what had not started."""
    connection.execute(_DEACTIVATE, {"ids": list(job_ids)})
    rows = connection.execute(
        _CANCEL_UNSTARTED, {"ids": list(job_ids), "reason": reason, "now": now}
    )
    return [Moved(*row) for row in rows]


_ACTIVATE = text("""
    UPDATE schedules SET active = true, resumed_at = :resumed_at
     WHERE job_id = ANY(CAST(:ids AS uuid[]))""")


def activate(connection: Connection, job_ids: Sequence[UUID], *, resumed_at: datetime) -> None:
    """Plan jobs again; what was due before ``resumed_at`` was missed because of the pause."""
    connection.execute(_ACTIVATE, {"ids": list(job_ids), "resumed_at": resumed_at})


_DELETE = text("""
    UPDATE jobs SET status = 'cancelled', deleted_at = :now, updated_at = :now
     WHERE id = ANY(CAST(:ids AS uuid[]))""")


def delete(connection: Connection, job_ids: Sequence[UUID], *, now: datetime) -> None:
    """Hide jobs; their executions stay readable until they are pruned."""
    connection.execute(_DELETE, {"ids": list(job_ids), "now": now})


# As JSON, because an array of arrays would have to be of one length.
_SET_TAGS = text("""
    UPDATE jobs j SET tags = ARRAY(SELECT jsonb_array_elements_text(t.tags)),
                      version = version + 1, updated_at = :now
      FROM jsonb_to_recordset(CAST(:tags AS jsonb)) AS t (id uuid, tags jsonb)
     WHERE j.id = t.id""")


def set_tags(connection: Connection, tags: Mapping[UUID, Sequence[str]], *, now: datetime) -> None:
    """Replace the tags of jobs, as a new version of each."""
    rows = [{"id": str(job_id), "tags": list(each)} for job_id, each in tags.items()]
    connection.execute(_SET_TAGS, {"tags": json.dumps(rows), "now": now})


_TRIGGER = text("""
    INSERT INTO executions (id, workspace_id, job_id, trigger, status, queue, scheduled_for,
                            due_at, attempt, redeliveries, attempts)
    SELECT id, :workspace_id, job_id, 'manual', 'queued', queue, :now, :now, 1, 0, '[]'
      FROM unnest(CAST(:ids AS uuid[]), CAST(:jobs AS uuid[]), CAST(:queues AS text[]))
           AS triggered (id, job_id, queue)""")


def trigger(
    connection: Connection, workspace_id: UUID, queue_of: Mapping[UUID, str], *, now: datetime
) -> dict[UUID, UUID]:
    """Queue an execution of each job, due now; return their ids by those of the jobs."""
    triggered = {job_id: ids.trigger_id(now) for job_id in queue_of}
    connection.execute(
        _TRIGGER,
        {
            "ids": list(triggered.values()),
            "jobs": list(queue_of),
            "queues": list(queue_of.values()),
            "workspace_id": workspace_id,
            "now": now,
        },
    )
    return triggered
