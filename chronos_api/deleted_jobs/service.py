"""Deleted jobs: list and restore them."""

from functools import partial
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.fields.pagination import Page, read_page
from chronos_api.jobs import holdings, service
from chronos_api.transactions import Call, begin, reading
from chronos_common.domain.jobs import Pause
from chronos_common.domain.statuses import JobStatus
from chronos_common.errors import Conflict, JobNotFound
from chronos_common.storage.jobs import deleted, jobs, schedules


class NotDeleted(Conflict):
    """The job is not deleted: there is nothing to restore."""


def list_deleted(call: Call, *, after: UUID | None, page: int, limit: int) -> Page[UUID]:
    """Return a page of the workspace's deleted jobs, the latest created first."""
    with reading(call) as session:
        query = partial(deleted.page, session.connection, session.workspace_id, after=after)
        return read_page(query, page=page, limit=limit)


def restore(call: Call, job_id: UUID, status: JobStatus) -> RowMapping:
    """Bring back a deleted job, active or paused, and return it.

    Its schedule goes on from now: occurrences while it was deleted are none of its own. A job
    whose schedule has no instant left is completed instead. Raises :class:`JobNotFound` and
    :class:`NotDeleted`.
    """
    with begin(call) as tx:
        row = deleted.lock(tx.connection, tx.workspace_id, job_id)
        if row is None:
            if jobs.find(tx.connection, tx.workspace_id, job_id) is None:
                raise JobNotFound
            raise NotDeleted
        schedules.lock(tx.connection, [job_id])
        schedule = schedules.schedule_of(job_id, row)
        first = None if row["runs_left"] == 0 else schedule.first_at_or_after(tx.now)
        schedules.restart(
            tx.connection,
            job_id,
            next_run_at=first,
            zone_rules=schedules.zone_rules_of(schedule),
        )
        reached = JobStatus.COMPLETED if first is None else status
        pause = Pause(by=tx.principal.user_id, note="Restored after it was deleted")
        deleted.restore(tx.connection, job_id, reached, pause, now=tx.now)
        if reached is JobStatus.ACTIVE:
            schedules.activate(tx.connection, [job_id], resumed_at=tx.now)
        tx.audit("job.restore", "job", {job_id: {"name": row["name"], "status": reached}})
        restored = service.find(tx, job_id)
        tx.spend(holdings.of([restored]))
    return restored
