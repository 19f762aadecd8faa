"""Filters of executions, and the ways along an index that find what they select.

A filter by status, trigger, answer or duration may select few executions of a long history. So a
list looks at a bounded number of executions, and says where it stopped.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Select,
    false,
    func,
    literal_column,
    select,
)

from chronos_common import ids
from chronos_common.clock import MILLISECOND, to_milliseconds
from chronos_common.domain.statuses import FINAL, Status, Trigger
from chronos_common.storage.tables import executions, jobs

#: The number of executions to look at for one page of a selective filter.
MAX_LOOKED_AT = 10_000

#: The statuses of an execution that has ended without success.
_UNHAPPY = FINAL - {Status.SUCCEEDED}

_SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilter:
    """Conditions on the executions of a workspace. Each one applies if it is set.

    ``since`` (inclusive) and ``until`` (exclusive) bound the scheduled instant. ``as_of`` hides
    executions that were scheduled later. ``http_statuses`` are the lowest and the highest status.
    ``before`` is the id behind which a page begins.
    """

    job_id: UUID | None = None
    status: Status | None = None
    trigger: Trigger | None = None
    since: datetime | None = None
    until: datetime | None = None
    as_of: datetime | None = None
    http_statuses: tuple[int, int] | None = None
    min_duration_ms: int | None = None
    before: UUID | None = None

    @property
    def is_selective(self) -> bool:
        """Whether it may select few executions of many."""
        return bool(self.status or self.trigger or self.http_statuses or self.min_duration_ms)

    @property
    def is_unusual(self) -> bool:
        """Whether the index of unusual executions has all that it selects."""
        lowest, highest = self.http_statuses or (_SUCCESS.start, _SUCCESS.start)
        return (
            self.status in _UNHAPPY
            or self.trigger not in {None, Trigger.SCHEDULE}
            or lowest >= _SUCCESS.stop
            or highest < _SUCCESS.start
        )


def met(
    connection: Connection, workspace_id: UUID, filters: HistoryFilter, columns: list[Any]
) -> Select[Any]:
    """Return the query for the executions to look at, the latest first.

    For a selective filter these are at most :data:`MAX_LOOKED_AT`, and the caller selects from
    them by :func:`outcome_conditions`.
    """
    if filters.status and filters.status not in FINAL and _are_few(connection):
        return _unfinished(workspace_id, filters, columns)
    query = select(*columns).where(
        *_way(connection, workspace_id, filters), *_span(filters, executions.c.id)
    )
    query = query.order_by(executions.c.id.desc())
    return query.limit(MAX_LOOKED_AT) if filters.is_selective else query


def outcome_conditions(filters: HistoryFilter, columns: Any) -> list[ColumnElement[bool]]:
    """Return the conditions that no bound on ids expresses."""
    conditions: list[ColumnElement[bool]] = []
    if filters.status:
        conditions.append(columns.status == filters.status)
    if filters.trigger:
        conditions.append(columns.trigger == filters.trigger)
    if filters.http_statuses:
        conditions.append(columns.http_status.between(*filters.http_statuses))
    if filters.min_duration_ms:
        conditions.append(columns.duration_ms >= filters.min_duration_ms)
    return conditions


# The predicate of two indexes, word for word.
_IS_UNUSUAL: ColumnElement[bool] = literal_column(
    "(trigger <> 'schedule' OR reason IS NOT NULL OR error IS NOT NULL"
    " OR http_status NOT BETWEEN 200 AND 299)",
    Boolean,
)


def _way(
    connection: Connection, workspace_id: UUID, filters: HistoryFilter
) -> list[ColumnElement[bool]]:
    """Return the conditions that lead along the index of a job or of a workspace.

    The workspace of a job is looked up first. If it were compared with each execution, PostgreSQL
    could take its index for the better one, and walk over every other job's executions.
    """
    way: list[ColumnElement[bool]] = [executions.c.workspace_id == workspace_id]
    if filters.job_id is not None:
        is_own = _has_job(connection, workspace_id, filters.job_id)
        way = [executions.c.job_id == filters.job_id if is_own else false()]
    return [*way, _IS_UNUSUAL] if filters.is_unusual else way


def _has_job(connection: Connection, workspace_id: UUID, job_id: UUID) -> bool:
    job = select(jobs.c.id).where(jobs.c.id == job_id, jobs.c.workspace_id == workspace_id)
    return connection.execute(job).first() is not None


def _span(filters: HistoryFilter, key: ColumnElement[UUID]) -> list[ColumnElement[bool]]:
    """Return the bounds on ids. They hold the scheduled instant, and each day is a partition."""
    span: list[ColumnElement[bool]] = []
    if filters.since:
        span.append(key >= ids.lowest_at(_next_millisecond(filters.since)))
    if filters.until:
        span.append(key < ids.lowest_at(_next_millisecond(filters.until)))
    if filters.as_of:
        span.append(key < ids.lowest_at(filters.as_of + MILLISECOND))
    if filters.before:
        span.append(key < filters.before)
    return span


def _next_millisecond(moment: datetime) -> datetime:
    """Round up to whole milliseconds, in which occurrences are scheduled."""
    return to_milliseconds(moment + timedelta(microseconds=999))


def _unfinished(workspace_id: UUID, filters: HistoryFilter, columns: list[Any]) -> Select[Any]:
    """Return the query for unfinished executions, which are few and have an index of their own."""
    every = select(executions).where(executions.c.finished_at.is_(None)).limit(MAX_LOOKED_AT)
    found = every.subquery()
    query = select(*(found.c[column.name] for column in columns)).where(
        found.c.workspace_id == workspace_id, *_span(filters, found.c.id)
    )
    if filters.job_id is not None:
        query = query.where(found.c.job_id == filters.job_id)
    return query.order_by(found.c.id.desc())


def _are_few(connection: Connection) -> bool:
    """Return whether less than :data:`MAX_LOOKED_AT` executions of all are unfinished."""
    unfinished = select(executions.c.id).where(executions.c.finished_at.is_(None))
    counted = select(func.count()).select_from(unfinished.limit(MAX_LOOKED_AT).subquery())
    return connection.execute(counted).scalar_one() < MAX_LOOKED_AT
