"""Executions: list, read, trigger, cancel, retry."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping

from chronos_api.fields.count_cache import LongLists
from chronos_api.fields.pagination import Page
from chronos_api.security.access import Principal
from chronos_common.domain.queues import QUEUE_OF
from chronos_common.domain.statuses import FINAL
from chronos_common.errors import Conflict, ExecutionNotFound, JobNotFound
from chronos_common.storage import audit, recent
from chronos_common.storage.executions import executions, history, statistics
from chronos_common.storage.executions.history import HistoryFilter
from chronos_common.storage.jobs import jobs
from chronos_common.storage.postgres.database import transaction

_long_lists = LongLists()


def trigger(engine: Engine, who: Principal, job_id: UUID, *, now: datetime) -> RowMapping:
    """Run a job now, whatever its schedule says, and return the execution.

    Raises :class:`JobNotFound`.
    """
    with transaction(engine) as connection:
        execution_id = _trigger(connection, _locked(connection, who, job_id), now=now)
        _note(connection, who, "job.execute", execution_id, job_id, now=now)
        return _found(connection, who, execution_id)


def list_executions(
    engine: Engine, who: Principal, filters: HistoryFilter, *, page: int, limit: int
) -> Page[UUID]:
    """Return a page of the workspace's executions, the latest first."""
    with transaction(engine) as connection:
        rows = history.page(
            connection, who.workspace_id, filters, offset=(page - 1) * limit, limit=limit + 1
        )
        # One row more than asked for tells that there is another page.
        last = rows[limit - 1]["id"] if len(rows) > limit else None
        is_whole = page == 1 and filters.before is None and last is None
        count = len(rows) if is_whole else _count(connection, who.workspace_id, filters)
    total = min(count, history.MAX_COUNT)
    return Page(rows[:limit], total, last, total_is_exact=count == total)


def _count(connection: Connection, workspace_id: UUID, filters: HistoryFilter) -> int:
    """Return how many executions there are, or one more than anyone counts."""
    return _long_lists.count(
        (workspace_id, replace(filters, before=None)),
        lambda: history.count(connection, workspace_id, filters),
        most=history.MAX_COUNT,
    )


def list_of_job(
    engine: Engine, who: Principal, job_id: UUID, filters: HistoryFilter, *, page: int, limit: int
) -> Page[UUID]:
    """Return a page of one job's executions. Raises :class:`JobNotFound`."""
    with transaction(engine) as connection:
        if jobs.find(connection, who.workspace_id, job_id) is None:
            raise JobNotFound
    return list_executions(engine, who, filters, page=page, limit=limit)


def latest_of(
    engine: Engine, who: Principal, job_ids: Sequence[UUID], *, each: int
) -> dict[UUID, list[RowMapping]]:
    """Return up to ``each`` executions of every job, the latest first."""
    with transaction(engine) as connection:
        return recent.latest_of_each(connection, who.workspace_id, job_ids, each=each)


def read(engine: Engine, who: Principal, execution_id: UUID) -> RowMapping:
    """Return an execution with its attempts. Raises :class:`ExecutionNotFound`."""
    with transaction(engine) as connection:
        return _found(connection, who, execution_id, with_attempts=True)


def cancel(engine: Engine, who: Principal, execution_id: UUID, *, now: datetime) -> RowMapping:
    """End an execution that has no fate yet, and return it.

    Raises :class:`ExecutionNotFound`, and :class:`Conflict` if it has one.
    """
    with transaction(engine) as connection:
        row = _found(connection, who, execution_id)
        ended = history.cancel(connection, who.workspace_id, execution_id, now=now)
        if ended is None:
            status = _found(connection, who, execution_id)["status"]
            raise Conflict(f"The execution is {status} already; there is nothing to cancel.")
        statistics.add(connection, [ended], now=now)
        _note(connection, who, "execution.cancel", execution_id, row["job_id"], now=now)
        return _found(connection, who, execution_id)


def retry(engine: Engine, who: Principal, execution_id: UUID, *, now: datetime) -> RowMapping:
    """Run a finished execution's job again as it is defined now; return the new execution.

    Requests that come at the same moment wait for each other at the job's row, so that only one
    of them finds no retry under way. Raises :class:`ExecutionNotFound`, and :class:`Conflict` if
    the execution or a retry of it has not finished, or if its job was deleted.
    """
    with transaction(engine) as connection:
        row = _found(connection, who, execution_id)
        if row["status"] not in FINAL:
            raise Conflict(f"The execution is still {row['status']}; wait for it, or cancel it.")
        try:
            job = _locked(connection, who, row["job_id"])
        except JobNotFound as error:
            raise Conflict("The execution's job was deleted; it cannot run again.") from error
        earlier = history.unfinished_retry_of(connection, execution_id, row["job_id"])
        if earlier is not None:
            raise Conflict(
                f"The execution {earlier.id}, which is a retry of this one, is still "
                f"{earlier.status}; wait for it, or cancel it."
            )
        new_id = _trigger(connection, job, retry_of=execution_id, now=now)
        _note(connection, who, "execution.retry", new_id, row["job_id"], now=now)
        return _found(connection, who, new_id)


def _locked(connection: Connection, who: Principal, job_id: UUID) -> RowMapping:
    """Return the job, locked: a pause or delete at the same time comes wholly before or after."""
    job = jobs.find(connection, who.workspace_id, job_id, lock=True)
    if job is None:
        raise JobNotFound
    return job


def _trigger(
    connection: Connection, job: RowMapping, *, retry_of: UUID | None = None, now: datetime
) -> UUID:
    return executions.trigger(
        connection,
        workspace_id=job["workspace_id"],
        job_id=job["id"],
        queue=QUEUE_OF[job["type"]],
        now=now,
        retry_of=retry_of,
    )


def _found(
    connection: Connection, who: Principal, execution_id: UUID, *, with_attempts: bool = False
) -> RowMapping:
    row = history.find(connection, who.workspace_id, execution_id, with_attempts=with_attempts)
    if row is None:
        raise ExecutionNotFound
    return row


def _note(
    connection: Connection,
    who: Principal,
    action: str,
    execution_id: UUID,
    job_id: UUID,
    *,
    now: datetime,
) -> None:
    audit.append(
        connection,
        workspace_id=who.workspace_id,
        user_id=who.user_id,
        key_id=who.key_id,
        action=action,
        subject_type="execution",
        subject_id=execution_id,
        details={"job_id": str(job_id)},
        now=now,
    )
