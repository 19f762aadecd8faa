"""Executions: list, read, trigger, cancel, retry."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from chronos_api.fields.count_cache import LongLists
from chronos_api.fields.pagination import Page, turned
from chronos_api.transactions import Call, Session, Transaction, begin, reading
from chronos_common import clock
from chronos_common.domain.queues import QUEUE_OF
from chronos_common.domain.statuses import FINAL
from chronos_common.errors import Conflict, ExecutionNotFound, JobNotFound
from chronos_common.quotas import CHANGE_BYTES
from chronos_common.storage.executions import executions, history
from chronos_common.storage.executions.filters import HistoryFilter
from chronos_common.storage.executions.history import Neighbours
from chronos_common.storage.jobs import jobs
from chronos_common.storage.pages import Count

_long_lists = LongLists()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run by hand differs from its job.

    ``payload_of`` returns the payload of the run, or None for that of the locked job. ``due_at``
    is None for now.
    """

    payload_of: Callable[[Transaction, RowMapping], Mapping[str, Any] | None] = lambda *_: None
    note: str | None = None
    due_at: datetime | None = None


PLAIN = RunOptions()


def trigger(call: Call, job_id: UUID, options: RunOptions = PLAIN) -> RowMapping:
    """Run a job beside its schedule, and return the execution.

    Raises :class:`JobNotFound`, and :class:`Invalid` for a wrong payload.
    """
    with begin(call) as tx:
        triggered = trigger_all(tx, [_lock(tx, job_id)], options=options)
        return _find(tx, triggered[job_id])


def trigger_all(
    tx: Transaction,
    locked: Sequence[RowMapping],
    *,
    retry_of: UUID | None = None,
    options: RunOptions = PLAIN,
) -> dict[UUID, UUID]:
    """Queue an execution of each locked job. Return their ids by those of the jobs."""
    queues = {row["id"]: QUEUE_OF[row["type"]] for row in locked}
    triggered = executions.trigger(
        tx.connection, tx.workspace_id, queues, now=tx.now, retry_of=retry_of
    )
    job_ids = {execution_id: job_id for job_id, execution_id in triggered.items()}
    said = _edit(tx, locked, triggered, options) if options is not PLAIN else {}
    _audit(tx, "execution.retry" if retry_of else "job.execute", job_ids, said)
    return triggered


def _edit(
    tx: Transaction,
    locked: Sequence[RowMapping],
    triggered: Mapping[UUID, UUID],
    options: RunOptions,
) -> dict[str, Any]:
    """Give new executions the options, and return the words about them for the audit log."""
    payloads = [options.payload_of(tx, row) for row in locked]
    due_at = options.due_at or tx.now
    own = [each for each in payloads if each is not None]
    tx.spend({CHANGE_BYTES: sum(len(json.dumps(each)) for each in own)})
    for row, payload in zip(locked, payloads, strict=True):
        history.edit(
            tx.connection,
            [triggered[row["id"]]],
            payload=payload,
            note=options.note,
            due_at=due_at,
        )
    said = {
        "note": options.note,
        "due_at": clock.rfc3339(options.due_at) if options.due_at else None,
        "edited_payload": True if any(payload is not None for payload in payloads) else None,
    }
    return {name: value for name, value in said.items() if value is not None}


def list_executions(call: Call, filters: HistoryFilter, *, page: int, limit: int) -> Page[UUID]:
    """Return a page of the workspace's executions, the latest first."""
    with reading(call) as session:
        return _page(session, filters, page=page, limit=limit)


def list_of_job(
    call: Call, job_id: UUID, filters: HistoryFilter, *, page: int, limit: int
) -> Page[UUID]:
    """Return a page of one job's executions. Raises :class:`JobNotFound`."""
    with reading(call) as session:
        if jobs.find(session.connection, session.workspace_id, job_id) is None:
            raise JobNotFound
        return _page(session, filters, page=page, limit=limit)


def _page(session: Session, filters: HistoryFilter, *, page: int, limit: int) -> Page[UUID]:
    connection, workspace_id = session.connection, session.workspace_id
    found = history.page(connection, workspace_id, filters, offset=(page - 1) * limit, limit=limit)
    is_back = filters.after is not None
    is_first = page == 1 and filters.before is None and not is_back
    if is_first and found.last is None:
        return Page(found.rows, len(found.rows), None)
    count = _count(connection, workspace_id, replace(filters, before=None, after=None))
    rows, first, last = turned(
        found.rows,
        lambda row: row["id"],
        last=found.last,
        is_back=is_back,
        is_first=is_first,
    )
    return Page(rows, count.number, last, count.is_exact, first)


def _count(connection: Connection, workspace_id: UUID, filters: HistoryFilter) -> Count:
    return _long_lists.count(
        (workspace_id, filters), lambda: history.count(connection, workspace_id, filters)
    )


def latest_of(call: Call, job_ids: Sequence[UUID], *, each: int) -> dict[UUID, list[RowMapping]]:
    """Return up to ``each`` executions of every job, the latest first."""
    with reading(call) as session:
        return history.recent_of_each(session.connection, session.workspace_id, job_ids, each=each)


def read(call: Call, execution_id: UUID) -> RowMapping:
    """Return an execution with its attempts. Raises :class:`ExecutionNotFound`."""
    with reading(call) as session:
        return _find(session, execution_id, with_attempts=True)


def neighbours(call: Call, row: RowMapping) -> Neighbours:
    """Return the executions of the job before and after this one."""
    with reading(call) as session:
        return history.neighbours(session.connection, row["job_id"], row["id"])


def cancel(call: Call, execution_id: UUID) -> RowMapping:
    """End an unfinished execution, and return it.

    Raises :class:`ExecutionNotFound`, and :class:`Conflict` if it has finished.
    """
    with begin(call) as tx:
        row = _find(tx, execution_id)
        ended = history.cancel(tx.connection, tx.workspace_id, [execution_id], now=tx.now)
        if not ended:
            status = _find(tx, execution_id)["status"]
            raise Conflict(f"The execution is {status} already; there is nothing to cancel.")
        tx.moved(ended)
        _audit(tx, "execution.cancel", {execution_id: row["job_id"]})
        return _find(tx, execution_id)


def retry(call: Call, execution_id: UUID, options: RunOptions = PLAIN) -> RowMapping:
    """Run a finished execution's job again as it is defined now, and return the new execution.

    Concurrent requests wait for each other at the job's row, so that only one of them finds no
    retry under way. Raises :class:`ExecutionNotFound`, and :class:`Conflict` if the execution or a
    retry of it has not finished, or if its job was deleted.
    """
    with begin(call) as tx:
        row = _find(tx, execution_id)
        if row["status"] not in FINAL:
            raise Conflict(f"The execution is still {row['status']}; wait for it, or cancel it.")
        try:
            job = _lock(tx, row["job_id"])
        except JobNotFound as error:
            raise Conflict("The execution's job was deleted; it cannot run again.") from error
        earlier = history.unfinished_retry_of(tx.connection, execution_id, row["job_id"])
        if earlier is not None:
            raise Conflict(
                f"The execution {earlier.id}, which is a retry of this one, is still "
                f"{earlier.status}; wait for it, or cancel it."
            )
        triggered = trigger_all(tx, [job], retry_of=execution_id, options=options)
        return _find(tx, triggered[job["id"]])


def _lock(tx: Transaction, job_id: UUID) -> RowMapping:
    """Return the job, locked: a concurrent pause or delete comes wholly before or after."""
    rows = jobs.lock(tx.connection, tx.workspace_id, [job_id])
    if not rows:
        raise JobNotFound
    return rows[0]


def _find(session: Session, execution_id: UUID, *, with_attempts: bool = False) -> RowMapping:
    row = history.find(
        session.connection, session.workspace_id, execution_id, with_attempts=with_attempts
    )
    if row is None:
        raise ExecutionNotFound
    return row


def _audit(
    tx: Transaction,
    action: str,
    job_ids: Mapping[UUID, UUID],
    said: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Append an action on executions. ``job_ids`` is by the execution's id."""
    details = {each: {"job_id": str(job_id), **said} for each, job_id in job_ids.items()}
    tx.audit(action, "execution", details)
