"""The statements that read ``execution_stats`` and ``execution_stats_hourly``: sums over time.

What they do not hold, the sums of a job or of a tag, is made of its latest executions.

However many executions there were, a day is at most 24 hourly rows and 60 of minutes for each
final status.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, RowMapping, TextClause, func, select, text

from chronos_common.storage.executions.filters import (
    MAX_LOOKED_AT,
    HistoryFilter,
    met,
    outcome_conditions,
)
from chronos_common.storage.tables import executions

HOUR = timedelta(hours=1)

#: Longer than the longest trend that is drawn from minutes.
MINUTES_KEPT = timedelta(days=8)

_EPOCH = datetime.fromtimestamp(0, UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)

# Minutes up to the first whole hour and from the last one on, hours between them.
_SPANS = """
    SELECT status, executions, duration_ms_sum, drift_ms_max, drift_counts
      FROM execution_stats
     WHERE workspace_id = :workspace_id AND minute >= :since
       AND minute < least(CAST(:first_hour AS timestamptz), CAST(:until AS timestamptz))
    UNION ALL
    SELECT status, executions, duration_ms_sum, drift_ms_max, drift_counts
      FROM execution_stats
     WHERE workspace_id = :workspace_id AND minute >= :last_hour AND minute < :until
    UNION ALL
    SELECT status, executions, duration_ms_sum, drift_ms_max, drift_counts
      FROM execution_stats_hourly
     WHERE workspace_id = :workspace_id AND hour >= :first_hour AND hour < :last_hour"""
_TOTALS = text(f"""
    SELECT status, CAST(sum(executions) AS bigint) AS executions,
           CAST(sum(duration_ms_sum) AS bigint) AS duration_ms, max(drift_ms_max) AS drift_ms_max
      FROM ({_SPANS}) AS spans GROUP BY status""")  # noqa: S608 - a constant
_DRIFT = text(f"""
    SELECT CAST(sum(counted.executions) AS bigint) AS executions
      FROM ({_SPANS}) AS spans,
           unnest(spans.drift_counts) WITH ORDINALITY AS counted (executions, bucket)
     GROUP BY counted.bucket ORDER BY counted.bucket""")  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums over a period by final status, and the distribution of the drift.

    ``duration_ms`` has the same keys as ``executions``. ``drift_counts`` is a histogram of
    ``domain.histograms``.
    """

    executions: Mapping[str, int]
    duration_ms: Mapping[str, int]
    drift_ms_max: int
    drift_counts: Sequence[int]


def totals(
    connection: Connection, workspace_id: UUID, *, since: datetime, until: datetime | None = None
) -> Totals:
    """Return the sums of the workspace from the minute of ``since`` on, to that of ``until``.

    None for ``until`` is for ever. Minutes are pruned, so that of an earlier period its first hour
    may be missing if ``since`` is not a whole hour.
    """
    parameters = {"workspace_id": workspace_id, **_bounds(since, until)}
    rows = connection.execute(_TOTALS, parameters).all()
    return Totals(
        executions={row.status: row.executions for row in rows},
        duration_ms={row.status: row.duration_ms for row in rows},
        drift_ms_max=max((row.drift_ms_max for row in rows), default=0),
        drift_counts=list(connection.execute(_DRIFT, parameters).scalars()),
    )


def _bounds(since: datetime, until: datetime | None) -> dict[str, datetime]:
    """Return the instants between which minutes and hours are added up."""
    first_hour = _EPOCH + -((_EPOCH - since) // HOUR) * HOUR
    last_hour = _LATEST if until is None else until.replace(minute=0, second=0, microsecond=0)
    return {
        "since": since.replace(second=0, microsecond=0),
        "until": until or _LATEST,
        "first_hour": first_hour,
        "last_hour": max(last_hour, first_hour),
    }


def _buckets(table: str, span: str) -> TextClause:
    return text(f"""
        SELECT date_bin(:step, {span}, to_timestamp(0)) AS at, status,
               CAST(sum(executions) AS bigint) AS executions,
               CAST(sum(duration_ms_sum) AS bigint) AS duration_ms,
               max(drift_ms_max) AS drift_ms_max
          FROM {table}
         WHERE workspace_id = :workspace_id AND {span} >= :since AND {span} < :until
         GROUP BY 1, 2 ORDER BY 1, 2""")  # noqa: S608 - constants


def _drift_buckets(table: str, span: str) -> TextClause:
    return text(f"""
        SELECT date_bin(:step, s.{span}, to_timestamp(0)) AS at, counted.bucket,
               CAST(sum(counted.executions) AS bigint) AS executions
          FROM {table} s,
               unnest(s.drift_counts) WITH ORDINALITY AS counted (executions, bucket)
         WHERE s.workspace_id = :workspace_id AND s.{span} >= :since AND s.{span} < :until
           AND counted.executions > 0
         GROUP BY 1, 2 ORDER BY 1, 2""")  # noqa: S608 - constants


_OF_MINUTES = _buckets("execution_stats", "minute")
_OF_HOURS = _buckets("execution_stats_hourly", "hour")
_DRIFT_OF_MINUTES = _drift_buckets("execution_stats", "minute")
_DRIFT_OF_HOURS = _drift_buckets("execution_stats_hourly", "hour")


def buckets(
    connection: Connection, workspace_id: UUID, since: datetime, until: datetime, step: timedelta
) -> Sequence[RowMapping]:
    """Return sums by bucket of length ``step`` and status, of the buckets in a span of time.

    Buckets are counted from 1970 in UTC. Whole hours are added up from hourly rows.
    """
    bounds = {"workspace_id": workspace_id, "since": since, "until": until, "step": step}
    query = _OF_HOURS if step % HOUR == timedelta(0) else _OF_MINUTES
    return connection.execute(query, bounds).mappings().all()


def drift_buckets(
    connection: Connection, workspace_id: UUID, since: datetime, until: datetime, step: timedelta
) -> Sequence[RowMapping]:
    """Return the histogram of the drift of each bucket of :func:`buckets`, counted from 1."""
    bounds = {"workspace_id": workspace_id, "since": since, "until": until, "step": step}
    query = _DRIFT_OF_HOURS if step % HOUR == timedelta(0) else _DRIFT_OF_MINUTES
    return connection.execute(query, bounds).mappings().all()


def ended(
    connection: Connection, workspace_id: UUID, filters: HistoryFilter
) -> tuple[Sequence[RowMapping], bool]:
    """Return the finished executions that a filter finds, and whether that is all of them.

    At most ``filters.MAX_LOOKED_AT`` executions are looked at, the latest ones.
    """
    columns = [executions.c[name] for name in (*_OF_ENDED, "id", "job_id", "finished_at")]
    seen = met(connection, workspace_id, filters, columns).limit(MAX_LOOKED_AT).cte("looked_at")
    found = select(*(seen.c[name] for name in _OF_ENDED)).where(
        seen.c.finished_at.is_not(None), *outcome_conditions(filters, seen)
    )
    rows = connection.execute(found).mappings().all()
    number = connection.execute(select(func.count()).select_from(seen)).scalar_one()
    return rows, number < MAX_LOOKED_AT


_OF_ENDED = ("status", "scheduled_for", "started_at", "duration_ms")


# The most overdue ones come first, so running and waiting ones come before future retries. The
# bound holds for all workspaces together: a long backlog of another one must not make this slow.
_UNFINISHED = text("""
    WITH unfinished AS MATERIALIZED (
        SELECT workspace_id, status, due_at FROM executions
         WHERE finished_at IS NULL ORDER BY due_at LIMIT :limit)
    SELECT count(*) FILTER (WHERE status = 'queued' AND workspace_id = :workspace_id) AS queued,
           count(*) FILTER (WHERE status = 'running' AND workspace_id = :workspace_id) AS running,
           count(*) FILTER (WHERE status = 'retrying' AND workspace_id = :workspace_id)
               AS retrying,
           count(*) FILTER (WHERE status = 'queued' AND workspace_id = :workspace_id
                              AND due_at <= :now) AS waiting,
           min(due_at) FILTER (WHERE status = 'queued' AND workspace_id = :workspace_id
                                 AND due_at <= :now) AS waiting_since,
           count(*) AS looked_at
      FROM unfinished""")


@dataclass(frozen=True, slots=True)
class Backlog:
    """The number of unfinished executions of a workspace by status.

    ``waiting`` are queued and due, the first since ``waiting_since``. If not ``exact``, the
    installation has so many that only the most overdue were counted.
    """

    queued: int
    running: int
    retrying: int
    waiting: int
    waiting_since: datetime | None
    exact: bool


def unfinished(
    connection: Connection, workspace_id: UUID, *, limit: int, now: datetime
) -> Backlog:
    """Count the workspace's share of the ``limit`` most overdue unfinished executions."""
    row = connection.execute(
        _UNFINISHED, {"workspace_id": workspace_id, "limit": limit, "now": now}
    ).one()
    return Backlog(
        queued=row.queued,
        running=row.running,
        retrying=row.retrying,
        waiting=row.waiting,
        waiting_since=row.waiting_since,
        exact=row.looked_at < limit,
    )
