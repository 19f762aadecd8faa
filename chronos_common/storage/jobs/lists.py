"""The statements that list ``jobs``: filters, sorts and counts that stay cheap for a million.

An index finds a list in the order that was asked for. Only the jobs of the page are joined with
the rest of their columns. A text search uses the index ``jobs_terms``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Text,
    Uuid,
    bindparam,
    case,
    cast,
    func,
    literal,
    select,
    true,
    tuple_,
)

from chronos_common import ids
from chronos_common.domain.statuses import FINAL, JobStatus
from chronos_common.errors import Invalid
from chronos_common.storage.jobs.filters import (
    WORKSPACE,
    JobFilter,
    LastOutcome,
    conditions,
    has_terms,
)
from chronos_common.storage.jobs.jobs import SCHEDULE_COLUMNS
from chronos_common.storage.pages import Count, counted_to
from chronos_common.storage.tables import executions, jobs, schedules

NEXT_RUN = "next_run_at"

#: The keys that a list can be sorted by. A leading "-" in the API reverses the order.
SORTS: Mapping[str, ColumnElement[Any]] = {
    "created_at": jobs.c.id,
    "updated_at": jobs.c.updated_at,
    "name": jobs.c.name,
    NEXT_RUN: schedules.c.next_run_at,
}

#: Counting stops here, so that a long list costs no more than a short one.
MAX_COUNT = 10_000

#: The number of jobs to look at for one page of a filter by the last outcome.
MAX_LOOKED_AT = 500


#: The number of jobs whose last outcome one statement looks up, each in the history.
MAX_EXAMINED = 20_000


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a sorted list: behind the job ``id``, whose sort key was ``key``."""

    key: Any
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a list in some order, behind ``after`` or behind an offset.

    If ``is_back``, it is the part before ``after``, whose rows come in the opposite order.

    If ``is_common``, more than 10,000 jobs match the search terms (see :func:`are_common`). The
    list then walks the sort index and filters, which is faster than intersecting with the term
    index.
    """

    sort: str
    descending: bool
    limit: int
    offset: int = 0
    after: Position | None = None
    is_back: bool = False
    is_common: bool = False


@dataclass(frozen=True, slots=True)
class FoundJobs:
    """The jobs of a part with their schedules, and where to go on, if there may be more."""

    rows: Sequence[RowMapping]
    last: Position | None


#: Like a sort: the jobs that have no next run, by their age.
_IDLE = "idle"


@dataclass(frozen=True, slots=True)
class _Walk:
    """A way along an index: which jobs are met, and in which order."""

    filters: JobFilter
    sort: str
    descending: bool
    by_terms: bool


def page(connection: Connection, workspace_id: UUID, filters: JobFilter, part: Part) -> FoundJobs:
    """Return a part of the list.

    With a filter by the last outcome there may be fewer rows than the limit although there are
    more: at most :data:`MAX_LOOKED_AT` jobs are looked at.
    """
    rows = _rows(connection, workspace_id, filters, part)
    shown = [row for row in rows if row["outcome_fits"]]
    if filters.last_outcome is None or len(shown) > part.limit:
        is_more, shown = len(shown) > part.limit, shown[: part.limit]
    else:
        is_more = len(rows) == MAX_LOOKED_AT
    last = (shown if len(shown) == part.limit else rows)[-1:] if is_more else []
    return FoundJobs(shown, position_of(last[0], part.sort) if last else None)


def position_of(row: RowMapping, sort: str) -> Position:
    """Return the place of a job in a list that is sorted so."""
    if sort == "created_at":
        return Position(None, row["id"])
    if sort == NEXT_RUN and row["status"] != JobStatus.ACTIVE:
        return Position(None, row["id"])
    return Position(row[sort], row["id"])


def _rows(
    connection: Connection, workspace_id: UUID, filters: JobFilter, part: Part
) -> Sequence[RowMapping]:
    """Return a row more than asked for, which tells that there is more."""
    limit = MAX_LOOKED_AT if filters.last_outcome else part.limit + 1
    descending = part.descending != part.is_back
    walk = _Walk(filters, part.sort, descending, by_terms=not part.is_common)
    if part.sort == NEXT_RUN and part.is_back:
        return _back_by_next_run(connection, workspace_id, walk, part, limit)
    if part.sort == NEXT_RUN:
        return _by_next_run(connection, workspace_id, walk, part, limit)
    return _walked(connection, workspace_id, walk, part.after, offset=part.offset, limit=limit)


def _by_next_run(
    connection: Connection, workspace_id: UUID, due: _Walk, part: Part, limit: int
) -> Sequence[RowMapping]:
    """Return jobs by their next run, the ones that have none at the end, by their age.

    These are two walks along two indexes. The second begins where the first ends.
    """
    idle = replace(due, sort=_IDLE)
    rows: list[RowMapping] = []
    offset, after = part.offset, part.after
    if after is None or after.key is not None:
        rows += _walked(connection, workspace_id, due, after, offset=offset, limit=limit)
        if len(rows) == limit:
            return rows
        passed = len(rows) + offset
        if not rows:
            passed = _counted(connection, workspace_id, _met(due), at_most=offset)
        offset, after = max(offset - passed, 0), None
    left = limit - len(rows)
    rows += _walked(connection, workspace_id, idle, after, offset=offset, limit=left)
    return rows


def _back_by_next_run(
    connection: Connection, workspace_id: UUID, due: _Walk, part: Part, limit: int
) -> Sequence[RowMapping]:
    """Return the jobs before a place of :func:`_by_next_run`, in the opposite order."""
    idle = replace(due, sort=_IDLE)
    rows: list[RowMapping] = []
    after = part.after
    if after is not None and after.key is None:
        rows += _walked(connection, workspace_id, idle, after, offset=0, limit=limit)
        if len(rows) == limit:
            return rows
        after = None
    rows += _walked(connection, workspace_id, due, after, offset=0, limit=limit - len(rows))
    return rows


def _walked(
    connection: Connection,
    workspace_id: UUID,
    walk: _Walk,
    after: Position | None,
    *,
    offset: int,
    limit: int,
) -> Sequence[RowMapping]:
    values = {"workspace_id": workspace_id, "offset": offset, "limit": limit}
    if after:
        values |= {"after_key": after.key, "after_id": after.id}
    statement = _listing(walk, is_continued=after is not None)
    return connection.execute(statement, values).mappings().all()


#: The number of statements to cache. Building one takes most of a millisecond.
_WALKS = 200

#: Payloads above this are null in a list: a hundred of a megabyte each would be too much.
MAX_LISTED_PAYLOAD_BYTES = 16 << 10

_PAYLOAD_IF_SHORT = case(
    (
        func.octet_length(cast(jobs.c.payload, Text)) <= MAX_LISTED_PAYLOAD_BYTES,
        jobs.c.payload,
    )
).label("payload")

# Built once, not with every list.
_WHOLE = select(
    *(column for column in jobs.c if column not in {jobs.c.payload, jobs.c.applied}),
    _PAYLOAD_IF_SHORT,
    *SCHEDULE_COLUMNS,
).join(schedules, schedules.c.job_id == jobs.c.id)


@lru_cache(_WALKS)
def _listing(walk: _Walk, *, is_continued: bool) -> Select[Any]:
    """Return the statement for a part of a walk. Only its jobs are joined with their columns.

    Its parameters are ``workspace_id``, ``offset`` and ``limit``, and the place behind which it
    ``is_continued``: ``after_id``. Sorts other than by age need ``after_key``, too.
    """
    order = _order(walk.sort)
    query = _met(walk)
    if is_continued:
        place = [bindparam("after_key", type_=order[0].type), bindparam("after_id", type_=Uuid)]
        columns, behind = tuple_(*order), tuple_(*place[-len(order) :])
        query = query.where(columns < behind if walk.descending else columns > behind)
    names = [f"key_{number}" for number in range(len(order))]
    keys = [each.label(name) for each, name in zip(order, names, strict=True)]
    sorted_by = [each.desc() if walk.descending else each.asc() for each in order]
    page = query.add_columns(*keys).order_by(*sorted_by)
    page_rows = page.offset(bindparam("offset")).limit(bindparam("limit")).subquery()
    again = [page_rows.c[name].desc() if walk.descending else page_rows.c[name] for name in names]
    return (
        _WHOLE.add_columns(_fits(walk.filters.last_outcome).label("outcome_fits"))
        .join(page_rows, page_rows.c.id == jobs.c.id)
        .order_by(*again)
    )


def _order(sort: str) -> list[ColumnElement[Any]]:
    if sort == NEXT_RUN:
        return [schedules.c.next_run_at, schedules.c.job_id]
    column = jobs.c.id if sort == _IDLE else SORTS[sort]
    return [jobs.c.id] if column is jobs.c.id else [column, jobs.c.id]


def _met(walk: _Walk) -> Select[Any]:
    """Return the query for the ids of all jobs that a walk meets."""
    if walk.sort not in {NEXT_RUN, _IDLE}:
        return _ids(walk.filters, by_terms=walk.by_terms)
    query = _ids(walk.filters, by_terms=walk.by_terms, with_schedule=True)
    return query.where(*_IS_DUE) if walk.sort == NEXT_RUN else query.where(~_all(_IS_DUE))


def _all(conditions: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    first, *rest = conditions
    for each in rest:
        first &= each
    # Not null for a schedule without a next run, so that it can be negated.
    return func.coalesce(first, False)


#: Before every instant: a condition that no null fulfils, and that the index serves.
_NEVER = literal(ids.moment_of(UUID(int=0)))

_IS_DUE = (
    jobs.c.status == JobStatus.ACTIVE,
    schedules.c.active,
    schedules.c.next_run_at > _NEVER,
)


def _ids(filters: JobFilter, *, with_schedule: bool = False, by_terms: bool = True) -> Select[Any]:
    query = select(jobs.c.id).where(
        jobs.c.workspace_id == WORKSPACE,
        jobs.c.deleted_at.is_(None),
        *conditions(filters, by_terms=by_terms),
    )
    if with_schedule or filters.needs_schedule:
        query = query.join(schedules, schedules.c.job_id == jobs.c.id)
    return query


def _fits(wanted: LastOutcome | None) -> ColumnElement[bool]:
    """Return whether the job's latest finished execution ended as wanted."""
    if wanted is None:
        return true()
    latest = (
        select(executions.c.status)
        .where(executions.c.job_id == jobs.c.id, executions.c.status.in_(sorted(FINAL)))
        .order_by(executions.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return func.coalesce(latest, LastOutcome.NONE.value) == wanted.value


def are_common(connection: Connection, workspace_id: UUID, filters: JobFilter) -> bool:
    """Return whether more than :data:`MAX_COUNT` jobs have the words and tags of the filter."""
    having = has_terms(filters)
    if having is None:
        return False
    query = having.columns(jobs.c.id).subquery()
    return _counted(connection, workspace_id, select(query), at_most=MAX_COUNT + 1) > MAX_COUNT


def count(
    connection: Connection, workspace_id: UUID, filters: JobFilter, *, is_common: bool = False
) -> Count:
    """Count jobs, at most :data:`MAX_COUNT`. The filter by the last outcome is ignored."""
    query = _ids(filters, by_terms=not is_common)
    number = _counted(connection, workspace_id, query, at_most=MAX_COUNT + 1)
    return counted_to(MAX_COUNT, number)


def _counted(
    connection: Connection, workspace_id: UUID, query: Select[Any], *, at_most: int
) -> int:
    counted = select(func.count()).select_from(query.limit(at_most).subquery())
    return connection.execute(counted, {"workspace_id": workspace_id}).scalar_one()


def matching_query(
    connection: Connection, workspace_id: UUID, filters: JobFilter, *, at_most: int
) -> Select[Any]:
    """Return the query for the ids of up to ``at_most`` jobs, the oldest first.

    Its parameter is ``workspace_id``. Unlike a page of a list, it looks at all jobs for a filter
    by the last outcome. Raises :class:`Invalid` if they are too many for that.
    """
    is_common = are_common(connection, workspace_id, filters)
    query = _ids(filters, by_terms=not is_common)
    if filters.last_outcome:
        examined = _counted(connection, workspace_id, query, at_most=MAX_EXAMINED + 1)
        if examined > MAX_EXAMINED:
            raise Invalid({"filter.last_outcome": [_TOO_MANY_EXAMINED]})
        query = query.where(_fits(filters.last_outcome))
    return query.order_by(jobs.c.id).limit(at_most)


_TOO_MANY_EXAMINED = (
    f"Looks at {MAX_EXAMINED:,} jobs at most, and more match the other conditions; add one."
)


def matching(
    connection: Connection, workspace_id: UUID, filters: JobFilter, *, at_most: int
) -> list[UUID]:
    """Return the ids of up to ``at_most`` jobs, as :func:`matching_query` does."""
    query = matching_query(connection, workspace_id, filters, at_most=at_most)
    return list(connection.execute(query, {"workspace_id": workspace_id}).scalars())


def count_matching(
    connection: Connection, workspace_id: UUID, filters: JobFilter, *, at_most: int
) -> Count:
    """Count the jobs that :func:`matching_query` finds. It looks at each of them."""
    query = matching_query(connection, workspace_id, filters, at_most=at_most + 1)
    number = _counted(connection, workspace_id, query, at_most=at_most + 1)
    return counted_to(at_most, number)
