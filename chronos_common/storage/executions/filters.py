"""Filters of executions, and the index scans that find the selected ones.

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
    FromClause,
    Select,
    Text,
    any_,
    exists,
    false,
    func,
    literal,
    literal_column,
    select,
    true,
)

from chronos_common import ids
from chronos_common.clock import MILLISECOND, to_milliseconds
from chronos_common.domain.statuses import FINAL, Reason, Status, Trigger
from chronos_common.storage.tables import executions, jobs

#: The number of executions to look at for one page of a selective filter.
MAX_LOOKED_AT = 10_000

#: Executions of a job among which its latest success is searched.
MAX_RECENT = 1000

#: Characters of an error that tell its cause.
MAX_CAUSE = 200

#: The statuses of an execution that has ended without success.
_UNHAPPY = FINAL - {Status.SUCCEEDED}

_SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilter:
    """Conditions on the executions of a workspace. Each one applies if it is set.

    ``since`` (inclusive) and ``until`` (exclusive) bound the scheduled instant. ``as_of`` hides
    executions that were scheduled later. ``http_statuses`` are the lowest and the highest status.
    ``tag`` and ``host`` are of the job: a word, and the host of its URL. ``cause`` is an error as
    :func:`cause_of` writes it. ``open_failures`` are failed, not resolved, and without a success
    of the job since. ``before`` is the id behind which a page begins, and
    ``after`` the one before which it ends.
    """

    job_id: UUID | None = None
    statuses: tuple[Status, ...] | None = None
    trigger: Trigger | None = None
    reason: Reason | None = None
    tag: str | None = None
    host: str | None = None
    cause: str | None = None
    open_failures: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    as_of: datetime | None = None
    http_statuses: tuple[int, int] | None = None
    min_duration_ms: int | None = None
    min_drift_ms: int | None = None
    before: UUID | None = None
    after: UUID | None = None

    @property
    def is_selective(self) -> bool:
        """Whether it may select few executions of many."""
        return any(
            (
                self.statuses,
                self.trigger,
                self.reason,
                self.tag,
                self.host,
                self.cause,
                self.open_failures,
                self.http_statuses,
                self.min_duration_ms,
                self.min_drift_ms,
            )
        )

    @property
    def is_unfinished(self) -> bool:
        """Whether it selects unfinished executions alone."""
        return bool(self.statuses) and not FINAL.intersection(self.statuses or ())

    @property
    def is_unusual(self) -> bool:
        """Whether the index of unusual executions has all that it selects."""
        lowest, highest = self.http_statuses or (_SUCCESS.start, _SUCCESS.start)
        return (
            bool(self.statuses and _UNHAPPY.issuperset(self.statuses))
            or bool(self.reason or self.cause or self.open_failures)
            or self.trigger not in {None, Trigger.SCHEDULE}
            or lowest >= _SUCCESS.stop
            or highest < _SUCCESS.start
        )


def met(
    connection: Connection, workspace_id: UUID, filters: HistoryFilter, columns: list[Any]
) -> Select[Any]:
    """Return the query for the executions to look at, in the order of :func:`in_order`.

    For a selective filter these are at most :data:`MAX_LOOKED_AT`, and the caller selects from
    them by :func:`outcome_conditions`.
    """
    if filters.is_unfinished and _are_few(connection):
        return _unfinished(workspace_id, filters, columns)
    query = select(*columns).where(
        *_way(connection, workspace_id, filters), *_span(filters, executions.c.id)
    )
    query = query.order_by(in_order(filters, executions.c.id))
    return query.limit(MAX_LOOKED_AT) if filters.is_selective else query


def in_order(filters: HistoryFilter, key: ColumnElement[UUID]) -> ColumnElement[UUID]:
    """Return the order of ids: the latest first, or from the end of a page to its beginning."""
    return key.asc() if filters.after else key.desc()


def walked(
    connection: Connection,
    workspace_id: UUID,
    filters: HistoryFilter,
    columns: list[Any],
    *,
    oldest_first: bool,
    ids_only: tuple[UUID, ...] | None = None,
    behind: UUID | None = None,
) -> Select[Any]:
    """Return the query for the executions to look at, in either order, from an id on.

    ``ids_only`` are those to look at. The caller selects by :func:`outcome_conditions`, and
    bounds the number.
    """
    key = executions.c.id
    query = select(*columns).where(*_way(connection, workspace_id, filters), *_span(filters, key))
    if ids_only is not None:
        query = query.where(key.in_(ids_only))
    if behind is not None:
        query = query.where(key > behind if oldest_first else key < behind)
    return query.order_by(key.asc() if oldest_first else key.desc())


def outcome_conditions(filters: HistoryFilter, source: FromClause) -> list[ColumnElement[bool]]:
    """Return the conditions on ``source`` that no bound on ids expresses."""
    columns = source.c
    conditions: list[ColumnElement[bool]] = []
    if filters.statuses:
        conditions.append(columns.status.in_(filters.statuses))
    if filters.trigger:
        conditions.append(columns.trigger == filters.trigger)
    if filters.reason:
        conditions.append(columns.reason == filters.reason)
    if filters.cause:
        conditions.append(cause_of(columns.error) == filters.cause)
    if filters.open_failures:
        conditions += _is_open(source, filters.as_of)
    if filters.http_statuses:
        conditions.append(columns.http_status.between(*filters.http_statuses))
    if filters.min_duration_ms:
        conditions.append(columns.duration_ms >= filters.min_duration_ms)
    if filters.min_drift_ms:
        drift = timedelta(milliseconds=filters.min_drift_ms)
        conditions.append(columns.started_at >= columns.scheduled_for + drift)
    return conditions + _job_conditions(filters, columns)


def _job_conditions(filters: HistoryFilter, columns: Any) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.tag:
        conditions.append(_of_job(columns, literal(filters.tag) == any_(jobs.c.tags)))
    if filters.host:
        conditions.append(_of_job(columns, host_of(jobs.c.payload) == filters.host.lower()))
    return conditions


def _of_job(columns: Any, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(jobs.c.id == columns.job_id, condition)


def cause_of(error: ColumnElement[str]) -> ColumnElement[str]:
    """Return an error without its numbers, so that failures of one cause have one text."""
    return func.regexp_replace(func.left(error, MAX_CAUSE), "[0-9a-fA-F]{8,}|[0-9]+", "#", "g")


def host_of(payload: ColumnElement[Any]) -> ColumnElement[str | None]:
    """Return the host that a payload's URL names, in small letters. NULL without a URL."""
    url = payload.op("->>")("url")
    pattern = "^[a-zA-Z]+://(?:[^/?#@]*@)?([^/?#:]+)"
    return func.lower(func.substring(url, pattern), type_=Text)


def _is_open(source: FromClause, as_of: datetime | None) -> list[ColumnElement[bool]]:
    """Return the conditions on open failures.

    Each job's latest success is looked up once. A job whose latest executions, as many as
    :data:`MAX_RECENT`, have none counts as one that has not succeeded since. With ``as_of``,
    successes after that instant do not count, among them those of a replay that is under way.
    """
    failing = select(source.c.job_id).where(source.c.status == Status.FAILED).distinct()
    job = failing.cte("failing")
    recent = (
        select(executions.c.id, executions.c.status, executions.c.finished_at)
        .where(executions.c.job_id == job.c.job_id, *_until(as_of, executions.c.id))
        .order_by(executions.c.id.desc())
        .limit(MAX_RECENT)
        .correlate(job)
        .subquery("recent")
    )
    succeeded = [recent.c.status == Status.SUCCEEDED]
    if as_of is not None:
        succeeded.append(recent.c.finished_at <= as_of)
    latest = (
        select(recent.c.id)
        .where(*succeeded)
        .order_by(recent.c.id.desc())
        .limit(1)
        .correlate(job)
        .lateral("latest")
    )
    success = select(job.c.job_id, latest.c.id).select_from(job.join(latest, true()))
    later = success.cte("success")
    return [
        source.c.status == Status.FAILED,
        source.c.resolution.is_(None),
        ~exists().where(later.c.job_id == source.c.job_id, later.c.id > source.c.id),
    ]


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
    span += _until(filters.as_of, key)
    if filters.before:
        span.append(key < filters.before)
    if filters.after:
        span.append(key > filters.after)
    return span


def _until(as_of: datetime | None, key: ColumnElement[UUID]) -> list[ColumnElement[bool]]:
    """Return the bound on the ids of executions that were scheduled until ``as_of``."""
    return [] if as_of is None else [key < ids.lowest_at(as_of + MILLISECOND)]


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
    return query.order_by(in_order(filters, found.c.id))


def _are_few(connection: Connection) -> bool:
    """Return whether less than :data:`MAX_LOOKED_AT` executions of all are unfinished."""
    unfinished = select(executions.c.id).where(executions.c.finished_at.is_(None))
    counted = select(func.count()).select_from(unfinished.limit(MAX_LOOKED_AT).subquery())
    return connection.execute(counted).scalar_one() < MAX_LOOKED_AT
