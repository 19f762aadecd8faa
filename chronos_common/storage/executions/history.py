"""The statements of the API on ``executions``: read and end them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    RowMapping,
    Select,
    func,
    select,
    text,
)

from chronos_common import ids
from chronos_common.domain.executions import Moved
from chronos_common.domain.statuses import Reason
from chronos_common.storage.executions.executions import MOVED_COLUMNS, moved_from
from chronos_common.storage.executions.filters import (
    MAX_LOOKED_AT,
    HistoryFilter,
    in_order,
    met,
    outcome_conditions,
)
from chronos_common.storage.pages import Count, counted_to
from chronos_common.storage.tables import executions, jobs

#: Counting stops here, so that a list of a long history costs no more than a short one.
MAX_COUNT = 10_000

# The requests and responses of attempts, and payloads, are only read for a single execution.
_SUMMARY = [column for column in executions.c if column.name not in {"attempts", "payload"}]
_JOB_COLUMNS = [
    jobs.c.name.label("job_name"),
    jobs.c.type.label("action_type"),
    jobs.c.max_attempts,
]


@dataclass(frozen=True, slots=True)
class FoundExecutions:
    """The executions of a page, and the id behind which to go on, if there may be more."""

    rows: Sequence[RowMapping]
    last: UUID | None


def page(
    connection: Connection,
    workspace_id: UUID,
    filters: HistoryFilter,
    *,
    offset: int = 0,
    limit: int,
) -> FoundExecutions:
    """Return executions, the latest first. With ``filters.after`` they come the other way round.

    With a selective filter there may be fewer than the limit although there are more: at most
    ``filters.MAX_LOOKED_AT`` executions are looked at.
    """
    query = met(connection, workspace_id, filters, _SUMMARY)
    looked_at = query.cte("looked_at")
    chosen = select(looked_at).where(*outcome_conditions(filters, looked_at))
    # The row beyond the limit shows that there is another page.
    part = chosen.order_by(in_order(filters, looked_at.c.id)).offset(offset).limit(limit + 1)
    found = part.subquery()
    with_jobs = _with_job(found, *found.c).order_by(in_order(filters, found.c.id))
    rows = connection.execute(with_jobs).mappings().all()
    if len(rows) > limit:
        return FoundExecutions(rows[:limit], rows[limit - 1]["id"])
    if not filters.is_selective:
        return FoundExecutions(rows, None)
    stop = query.offset(MAX_LOOKED_AT - 1).limit(1).with_only_columns(query.selected_columns.id)
    return FoundExecutions(rows, connection.execute(stop).scalar_one_or_none())


def count(connection: Connection, workspace_id: UUID, filters: HistoryFilter) -> Count:
    """Count executions, at most :data:`MAX_COUNT`, and at most those that a page looks at."""
    columns = [executions.c[name] for name in _OF_CONDITIONS]
    query = met(connection, workspace_id, filters, columns)
    if not filters.is_selective:
        query = query.limit(MAX_COUNT + 1)
    looked_at = query.cte("looked_at")
    conditions = outcome_conditions(filters, looked_at)
    number, seen = connection.execute(
        select(
            func.count().filter(*conditions) if conditions else func.count(), func.count()
        ).select_from(looked_at)
    ).one()
    if filters.is_selective:
        return Count(number, is_exact=seen < MAX_LOOKED_AT)
    return counted_to(MAX_COUNT, number)


_OF_CONDITIONS = (
    "id",
    "job_id",
    "status",
    "trigger",
    "reason",
    "error",
    "resolution",
    "scheduled_for",
    "started_at",
    "http_status",
    "duration_ms",
)


def find(
    connection: Connection, workspace_id: UUID, execution_id: UUID, *, with_attempts: bool = False
) -> RowMapping | None:
    """Return one execution, or None. Its attempts may be megabytes."""
    query = _with_job(executions, *(executions.c if with_attempts else _SUMMARY)).where(
        executions.c.id == execution_id, executions.c.workspace_id == workspace_id
    )
    return connection.execute(query).mappings().one_or_none()


def find_all(
    connection: Connection, workspace_id: UUID, execution_ids: Sequence[UUID]
) -> Sequence[RowMapping]:
    """Return those of the executions that exist, the latest first, without their attempts."""
    query = (
        _with_job(executions, *_SUMMARY)
        .where(executions.c.id.in_(execution_ids), executions.c.workspace_id == workspace_id)
        .order_by(executions.c.id.desc())
    )
    return connection.execute(query).mappings().all()


def attempts(connection: Connection, execution_id: UUID) -> Sequence[Mapping[str, Any]]:
    """Return the recorded attempts of an execution, the earliest first."""
    query = select(executions.c.attempts).where(executions.c.id == execution_id)
    found: Sequence[Mapping[str, Any]] | None = connection.execute(query).scalar_one_or_none()
    return found or ()


def latest_of(connection: Connection, workspace_id: UUID, job_id: UUID) -> RowMapping | None:
    """Return the job's latest execution, or None."""
    found = page(connection, workspace_id, HistoryFilter(job_id=job_id), limit=1).rows
    return found[0] if found else None


# Each partition is entered at the job's end of its index. The workspace is not named: PostgreSQL
# could take its index for the better one, and walk over every other job's executions.
_RECENT_OF_JOB = text("""
    SELECT id, status, scheduled_for, started_at, finished_at, duration_ms, http_status
      FROM executions
     WHERE job_id = :job_id ORDER BY id DESC LIMIT :limit""")


def recent_of_job(connection: Connection, job_id: UUID, *, limit: int) -> Sequence[RowMapping]:
    """Return the job's latest executions, the latest first, unfinished ones included."""
    return connection.execute(_RECENT_OF_JOB, {"job_id": job_id, "limit": limit}).mappings().all()


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The executions of a job before and after one of them, as far as there are any."""

    previous: UUID | None
    following: UUID | None


# Each of the two enters the index (job_id, id) once in a partition, and stops at the first row.
_NEIGHBOURS = text("""
    SELECT (SELECT id FROM executions WHERE job_id = :job_id AND id < :id
             ORDER BY id DESC LIMIT 1) AS previous,
           (SELECT id FROM executions WHERE job_id = :job_id AND id > :id
             ORDER BY id LIMIT 1) AS following""")


def neighbours(connection: Connection, job_id: UUID, execution_id: UUID) -> Neighbours:
    """Return the job's executions beside this one, in the order in which they are due."""
    row = connection.execute(_NEIGHBOURS, {"job_id": job_id, "id": execution_id}).one()
    return Neighbours(row.previous, row.following)


# One descent of the index (job_id, id) for each job, newest partition first. The length of its
# history does not matter.
_RECENT_OF_EACH = text("""
    SELECT e.*
      FROM unnest(CAST(:job_ids AS uuid[])) AS wanted (id)
     CROSS JOIN LATERAL (
        SELECT id, job_id, status, trigger, scheduled_for, started_at, finished_at,
               duration_ms, http_status, error, reason
          FROM executions
         WHERE job_id = wanted.id AND workspace_id = :workspace_id
         ORDER BY id DESC LIMIT :each) e
     ORDER BY e.job_id, e.id DESC""")


def recent_of_each(
    connection: Connection, workspace_id: UUID, job_ids: Sequence[UUID], *, each: int
) -> dict[UUID, list[RowMapping]]:
    """Return up to ``each`` executions of every job, the latest first."""
    parameters = {"job_ids": list(job_ids), "workspace_id": workspace_id, "each": each}
    found: dict[UUID, list[RowMapping]] = {identifier: [] for identifier in job_ids}
    for row in connection.execute(_RECENT_OF_EACH, parameters).mappings():
        found[row["job_id"]].append(row)
    return found


def _with_job(source: FromClause, *columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns, *_JOB_COLUMNS).join_from(source, jobs, jobs.c.id == source.c.job_id)


# Rows are locked in the order of their ids, as a worker's claim locks them.
_CANCEL = f"""
    WITH cancelled AS MATERIALIZED (
        SELECT id FROM executions
         WHERE {{condition}} AND finished_at IS NULL
         ORDER BY id {{limit}} FOR UPDATE)
    UPDATE executions SET status = 'cancelled', finished_at = :now, reason = :reason
     WHERE {{bound}} id IN (SELECT id FROM cancelled)
 RETURNING {MOVED_COLUMNS}"""  # noqa: S608 - a constant
# The bound keeps the update to the partitions of the ids.
_CANCEL_UNFINISHED = text(
    _CANCEL.format(
        condition="id = ANY(CAST(:ids AS uuid[])) AND workspace_id = :workspace_id",
        bound="id = ANY(CAST(:ids AS uuid[])) AND",
        limit="",
    )
)
_CANCEL_UNSTARTED = text(
    _CANCEL.format(
        condition="job_id = ANY(CAST(:job_ids AS uuid[])) AND status IN ('queued', 'retrying')",
        bound="",
        limit="",
    )
)
_CANCEL_UNSTARTED_IN = text(
    _CANCEL.format(
        condition="workspace_id = :workspace_id AND status IN ('queued', 'retrying')",
        bound="",
        limit="LIMIT :batch",
    )
)


def cancel(
    connection: Connection, workspace_id: UUID, execution_ids: Sequence[UUID], *, now: datetime
) -> list[Moved]:
    """End those of the executions that are unfinished, and return them.

    A running one is ended here at once. Its worker aborts the transfer when it notices.
    """
    rows = connection.execute(
        _CANCEL_UNFINISHED,
        {
            "ids": list(execution_ids),
            "workspace_id": workspace_id,
            "reason": Reason.CANCELLED,
            "now": now,
        },
    )
    return moved_from(rows)


def cancel_unstarted(
    connection: Connection, job_ids: Sequence[UUID], *, reason: Reason, now: datetime
) -> list[Moved]:
    """End the jobs' executions that no worker has started, and return them.

    The caller has locked the jobs' schedules, so that no scheduler adds executions meanwhile.
    """
    parameters = {"job_ids": list(job_ids), "reason": reason, "now": now}
    return moved_from(connection.execute(_CANCEL_UNSTARTED, parameters))


def cancel_unstarted_in(
    connection: Connection, workspace_id: UUID, *, reason: Reason, batch: int, now: datetime
) -> list[Moved]:
    """End some of the workspace's executions that no worker has started, and return them."""
    parameters = {"workspace_id": workspace_id, "reason": reason, "batch": batch, "now": now}
    return moved_from(connection.execute(_CANCEL_UNSTARTED_IN, parameters))


_EDIT = text("""
    UPDATE executions SET payload = CAST(:payload AS json), note = :note,
                          due_at = :due_at, scheduled_for = :due_at
     WHERE id = ANY(CAST(:ids AS uuid[])) AND status = 'queued'""")


def edit(
    connection: Connection,
    execution_ids: Sequence[UUID],
    *,
    payload: Mapping[str, Any] | None,
    note: str | None,
    due_at: datetime,
) -> None:
    """Give executions that were queued in this transaction a payload, a note and an instant."""
    connection.execute(
        _EDIT,
        {
            "ids": list(execution_ids),
            "payload": None if payload is None else json.dumps(payload),
            "note": note,
            "due_at": due_at,
        },
    )


_PLANNED_AHEAD = text("""
    SELECT id, scheduled_for FROM executions
     WHERE job_id = :job_id AND finished_at IS NULL AND status = 'queued'
       AND trigger = 'schedule' AND attempt = 1 AND scheduled_for > :now
     ORDER BY id FOR UPDATE""")


def planned_ahead(connection: Connection, job_id: UUID, *, now: datetime) -> dict[UUID, datetime]:
    """Lock the job's queued occurrences after ``now``, and return their instants by id."""
    rows = connection.execute(_PLANNED_AHEAD, {"job_id": job_id, "now": now})
    return {row.id: row.scheduled_for for row in rows}


_PLANNED_FROM = text("""
    SELECT scheduled_for FROM executions
     WHERE job_id = :job_id AND id >= :lowest AND trigger = 'schedule'""")


def planned_from(connection: Connection, job_id: UUID, *, since: datetime) -> set[datetime]:
    """Return the job's instants from ``since`` on that have a row."""
    rows = connection.execute(_PLANNED_FROM, {"job_id": job_id, "lowest": ids.lowest_at(since)})
    return set(rows.scalars())


# Few executions are unfinished at any moment, and only those are looked at.
_UNFINISHED_RETRY = text("""
    SELECT id, status FROM executions
     WHERE job_id = :job_id AND finished_at IS NULL AND retry_of = :id LIMIT 1""")


def unfinished_retry_of(
    connection: Connection, execution_id: UUID, job_id: UUID
) -> Row[Any] | None:
    """Return ``id`` and ``status`` of an unfinished retry of this execution, or None."""
    parameters = {"id": execution_id, "job_id": job_id}
    return connection.execute(_UNFINISHED_RETRY, parameters).first()


_COUNT_UNFINISHED = text("""
    SELECT status, count(*) AS executions FROM executions
     WHERE job_id = :job_id AND finished_at IS NULL GROUP BY status""")


def count_unfinished_of(connection: Connection, job_id: UUID) -> dict[str, int]:
    """Return how many unfinished executions the job has of each status."""
    rows = connection.execute(_COUNT_UNFINISHED, {"job_id": job_id})
    return {row.status: row.executions for row in rows}
