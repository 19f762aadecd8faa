"""The statements of the recovery desk: groups of failures, and the executions of a selection.

A selection names executions by their ids or by a filter. It is frozen at an instant: executions
that end later are no part of it. A walk goes through it in the order of the ids, chunk by chunk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    String,
    Uuid,
    cast,
    func,
    select,
    text,
)

from chronos_common.domain.statuses import Resolution
from chronos_common.storage.executions.filters import (
    MAX_LOOKED_AT,
    HistoryFilter,
    cause_of,
    host_of,
    met,
    outcome_conditions,
    walked,
)
from chronos_common.storage.pages import Count
from chronos_common.storage.tables import executions, jobs


class GroupKey(StrEnum):
    """The property by which failures are grouped."""

    ERROR = "error"
    JOB = "job"
    HOST = "host"
    HTTP_STATUS = "http_status"


@dataclass(frozen=True, slots=True)
class Groups:
    """The largest groups of failures. ``looked_at`` says how many executions they stand for."""

    rows: Sequence[RowMapping]
    looked_at: int
    is_exact: bool


#: Groups of one answer.
MAX_GROUPS = 100

_COLUMNS = (
    "id",
    "job_id",
    "status",
    "trigger",
    "reason",
    "error",
    "resolution",
    "http_status",
    "scheduled_for",
    "started_at",
    "finished_at",
    "duration_ms",
)


def groups(
    connection: Connection, workspace_id: UUID, filters: HistoryFilter, by: GroupKey
) -> Groups:
    """Return the groups of the latest executions that ``filters`` select, the largest first.

    At most :data:`MAX_LOOKED_AT` executions are looked at.
    """
    columns = [executions.c[name] for name in _COLUMNS]
    looked_at = met(connection, workspace_id, filters, columns).limit(MAX_LOOKED_AT)
    source = looked_at.cte("looked_at")
    key = _key(source.c, by)
    chosen = (
        select(source.c.id, source.c.job_id, source.c.scheduled_for, key.label("key"))
        .join_from(source, jobs, jobs.c.id == source.c.job_id)
        .where(*outcome_conditions(filters, source))
        .cte("chosen")
    )
    latest = func.max(cast(chosen.c.id, String), type_=String)
    grouped = (
        select(
            chosen.c.key,
            func.count().label("executions"),
            func.count(chosen.c.job_id.distinct()).label("jobs"),
            func.min(chosen.c.scheduled_for).label("first_at"),
            func.max(chosen.c.scheduled_for).label("last_at"),
            latest.label("latest_id"),
        )
        .group_by(chosen.c.key)
        .order_by(func.count().desc(), chosen.c.key)
        .limit(MAX_GROUPS)
        .subquery("grouped")
    )
    query = (
        select(grouped, executions.c.error.label("latest_error"))
        .join_from(grouped, executions, executions.c.id == cast(grouped.c.latest_id, Uuid))
        .order_by(grouped.c.executions.desc(), grouped.c.key)
    )
    rows = connection.execute(query).mappings().all()
    seen = select(func.count()).select_from(looked_at.subquery())
    number = connection.execute(seen).scalar_one()
    return Groups(rows, number, is_exact=number < MAX_LOOKED_AT and len(rows) < MAX_GROUPS)


def _key(columns: Any, by: GroupKey) -> ColumnElement[Any]:
    match by:
        case GroupKey.ERROR:
            return cause_of(columns.error)
        case GroupKey.JOB:
            return cast(columns.job_id, String)
        case GroupKey.HOST:
            return host_of(jobs.c.payload)
        case GroupKey.HTTP_STATUS:
            return cast(columns.http_status, String)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Executions that match ``filters``, or those of them that ``ids`` lists.

    Those that ended after ``as_of`` are left out.
    """

    filters: HistoryFilter
    as_of: datetime
    ids: tuple[UUID, ...] | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some executions of a selection, and the id behind which the walk goes on, if it does."""

    rows: Sequence[RowMapping]
    last: UUID | None


#: Executions that a chunk looks at.
CHUNK = 2000


def chunk(
    connection: Connection,
    workspace_id: UUID,
    selection: Selection,
    *,
    behind: UUID | None,
    oldest_first: bool,
    limit: int,
) -> Chunk:
    """Return up to ``limit`` executions of the selection that follow ``behind``.

    There may be fewer although the walk goes on: at most :data:`CHUNK` are looked at.
    """
    columns = [column for column in executions.c if column.name not in {"attempts", "payload"}]
    filters = selection.filters
    query = walked(
        connection,
        workspace_id,
        filters,
        columns,
        ids_only=selection.ids,
        behind=behind,
        oldest_first=oldest_first,
    ).limit(CHUNK)
    source = query.cte("looked_at")
    ended_later = source.c.finished_at > selection.as_of
    chosen = select(source).where(
        *outcome_conditions(filters, source), func.coalesce(ended_later, False).is_(False)
    )
    order = source.c.id.asc() if oldest_first else source.c.id.desc()
    rows = connection.execute(chosen.order_by(order).limit(limit + 1)).mappings().all()
    if len(rows) > limit:
        return Chunk(rows[:limit], rows[limit - 1]["id"])
    stop = query.offset(CHUNK - 1).limit(1).with_only_columns(executions.c.id)
    return Chunk(rows, connection.execute(stop).scalar_one_or_none())


def matching(
    connection: Connection, workspace_id: UUID, selection: Selection, *, at_most: int
) -> tuple[list[RowMapping], bool]:
    """Return the executions of a selection, the latest first, and whether these are all.

    At most ``at_most`` are returned, and ten times as many are looked at.
    """
    found: list[RowMapping] = []
    behind: UUID | None = None
    for _ in range(max(10 * at_most // CHUNK, 1)):
        part = chunk(
            connection,
            workspace_id,
            selection,
            behind=behind,
            oldest_first=False,
            limit=at_most - len(found),
        )
        found += part.rows
        if part.last is None:
            return found, True
        behind = part.last
        if len(found) >= at_most:
            break
    return found, False


#: Executions of a selection that are counted.
MAX_COUNT = 100_000


def count(connection: Connection, workspace_id: UUID, selection: Selection) -> Count:
    """Count the executions of a selection. At most :data:`MAX_COUNT` are looked at."""
    columns = [executions.c[name] for name in _COLUMNS]
    filters = selection.filters
    query = walked(
        connection, workspace_id, filters, columns, ids_only=selection.ids, oldest_first=False
    )
    source = query.limit(MAX_COUNT).cte("looked_at")
    conditions = [
        *outcome_conditions(filters, source),
        func.coalesce(source.c.finished_at > selection.as_of, False).is_(False),
    ]
    counted = select(func.count().filter(*conditions), func.count()).select_from(source)
    number, seen = connection.execute(counted).one()
    return Count(number, is_exact=seen < MAX_COUNT)


_RESOLVE = text("""
    UPDATE executions SET resolution = :resolution, resolved_at = :now, resolved_by = :by
     WHERE id = ANY(CAST(:ids AS uuid[])) AND workspace_id = :workspace_id
       AND status = 'failed' AND resolution IS NULL
 RETURNING id, job_id""")


def resolve(
    connection: Connection,
    workspace_id: UUID,
    execution_ids: Sequence[UUID],
    resolution: Resolution,
    *,
    by: UUID | None,
    now: datetime,
) -> dict[UUID, UUID]:
    """Mark failures as dealt with. Return the ids of their jobs by those of the executions."""
    if not execution_ids:
        return {}
    rows = connection.execute(
        _RESOLVE,
        {
            "ids": list(execution_ids),
            "workspace_id": workspace_id,
            "resolution": resolution,
            "by": by,
            "now": now,
        },
    )
    return {row.id: row.job_id for row in rows}
