"""The state of the cluster and of PostgreSQL, for doctor, metrics and the readiness check.

Every statement looks at few rows, so that asking does not make a bad state worse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common import ids

#: Counting stops here.
MAX_COUNT = 100_000


@dataclass(frozen=True, slots=True)
class ProcessState:
    """A scheduler or worker process, with the values of its last heartbeat."""

    id: UUID
    kind: str
    hostname: str
    pid: int
    version: str
    started_at: datetime
    heartbeat_at: datetime
    in_flight: int


def processes(connection: Connection) -> list[ProcessState]:
    """Return all known schedulers and workers, dead ones included."""
    rows = connection.execute(
        text("""SELECT id, kind, hostname, pid, version, started_at, heartbeat_at, in_flight
                  FROM workers ORDER BY kind, started_at LIMIT 1000""")
    )
    return [ProcessState(*row) for row in rows]


_UNFINISHED = text("""
    SELECT count(*) FILTER (WHERE status = 'queued' AND due_at < :overdue) AS overdue,
           min(due_at) FILTER (WHERE status = 'queued') AS oldest_due_at,
           count(*) FILTER (WHERE status = 'running') AS running,
           count(*) FILTER (WHERE status = 'running' AND NOT EXISTS (
               SELECT FROM workers w WHERE w.id = e.worker_id AND w.heartbeat_at > :alive_since))
               AS lost,
           count(*) FILTER (WHERE status = 'retrying') AS retrying,
           count(*) FILTER (WHERE redeliveries > 0) AS repeated
      FROM (SELECT * FROM executions
             WHERE finished_at IS NULL ORDER BY due_at LIMIT :most) AS e""")


@dataclass(frozen=True, slots=True)
class ExecutionCounts:
    """The number of unfinished executions by state.

    ``overdue`` ones are queued well past their instant. ``lost`` ones run at workers that give no
    sign. ``repeated`` ones were taken from a lost worker before.
    """

    overdue: int
    oldest_due_at: datetime | None
    running: int
    lost: int
    retrying: int
    repeated: int


def unfinished(
    connection: Connection, *, overdue_before: datetime, alive_since: datetime
) -> ExecutionCounts:
    """Count unfinished executions, the most overdue ``MAX_COUNT`` of them."""
    row = connection.execute(
        _UNFINISHED,
        {"overdue": overdue_before, "alive_since": alive_since, "most": MAX_COUNT},
    ).one()
    return ExecutionCounts(*row)


_BY_STATUS = text("""
    SELECT status, count(*) AS executions FROM executions
     WHERE finished_at IS NULL GROUP BY status""")


def count_unfinished(connection: Connection) -> Mapping[str, int]:
    """Return how many unfinished executions there are of each status, over all workspaces."""
    return {row.status: row.executions for row in connection.execute(_BY_STATUS)}


def oldest_overdue(connection: Connection, *, now: datetime) -> timedelta:
    """Return for how long the most overdue queued execution has been due."""
    due_at = connection.execute(
        text("SELECT min(due_at) FROM executions WHERE finished_at IS NULL AND status = 'queued'")
    ).scalar_one()
    return max(now - due_at, timedelta(0)) if due_at else timedelta(0)


_MAIL = text("""
    SELECT count(*) FILTER (WHERE sent_at IS NULL AND abandoned_at IS NULL
                              AND (due_at < :overdue OR attempts > 1)) AS stuck,
           count(*) FILTER (WHERE abandoned_at > :lately) AS abandoned,
           count(*) FILTER (WHERE sent_at > :lately AND error IS NOT NULL) AS partly,
           max(error) AS error
      FROM (SELECT sent_at, abandoned_at, due_at, attempts, error FROM notifications
             WHERE created_at > :since
            UNION ALL
            SELECT sent_at, abandoned_at, due_at, attempts, error FROM letters
             WHERE created_at > :since) AS mails""")


class Mail(NamedTuple):
    """The number of Chronos's own e-mails that did not reach all of their recipients.

    ``stuck`` ones wait for another attempt. ``abandoned`` ones were given up. ``partly`` ones were
    refused for good by the servers of some recipients. ``error`` is that of one of them.
    """

    stuck: int
    abandoned: int
    partly: int
    error: str | None


def mail(connection: Connection, *, overdue_before: datetime, lately: datetime) -> Mail:
    """Count the e-mails about failures and accounts that did not reach all recipients."""
    row = connection.execute(
        _MAIL,
        {"overdue": overdue_before, "lately": lately, "since": lately - timedelta(days=1)},
    ).one()
    return Mail(*row)


_BY_OUTCOME = text("""
    SELECT status, sum(executions) AS executions FROM execution_stats
     WHERE minute >= :since GROUP BY status""")


def count_by_outcome(connection: Connection, *, since: datetime) -> dict[str, int]:
    """Return the number of executions since then by final status."""
    rows = connection.execute(_BY_OUTCOME, {"since": since})
    return {row.status: int(row.executions) for row in rows}


_FAILING = text("""
    SELECT j.id, j.name, sum(n.failures) AS failures
      FROM notifications n JOIN jobs j ON j.id = n.job_id
     WHERE n.created_at >= :since GROUP BY j.id, j.name
    HAVING sum(n.failures) >= :at_least ORDER BY failures DESC LIMIT 5""")


def failing_jobs(
    connection: Connection, *, since: datetime, at_least: int
) -> list[tuple[UUID, str, int]]:
    """Return the jobs with the most failures in e-mails since then."""
    rows = connection.execute(_FAILING, {"since": since, "at_least": at_least})
    return [(row.id, row.name, int(row.failures)) for row in rows]


_STRAYS = text("""
    SELECT count(*) FROM (SELECT FROM executions_default WHERE id >= :lowest LIMIT :most) AS r""")


def strays(connection: Connection, *, since: datetime) -> int:
    """Return how many executions since then lie in the default partition."""
    parameters = {"lowest": ids.lowest_at(since), "most": MAX_COUNT}
    return int(connection.execute(_STRAYS, parameters).scalar_one())


@dataclass(frozen=True, slots=True)
class ServerState:
    """Figures of the PostgreSQL server."""

    version: str
    size_bytes: int
    connections: int
    max_connections: int
    autovacuum: bool


def server(connection: Connection) -> ServerState:
    """Return the figures of the server."""
    row = connection.execute(
        text("""SELECT current_setting('server_version'), pg_database_size(current_database()),
                       (SELECT count(*) FROM pg_stat_activity
                         WHERE backend_type = 'client backend'),
                       CAST(current_setting('max_connections') AS integer),
                       CAST(current_setting('autovacuum') AS boolean)""")
    ).one()
    return ServerState(*row)


_LONG = text("""
    SELECT pid, COALESCE(NULLIF(application_name, ''), 'unnamed') AS name, state,
           clock_timestamp() - xact_start AS lasts
      FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()
       AND xact_start < clock_timestamp() - CAST(:lasting AS interval)
     ORDER BY xact_start LIMIT 5""")


def long_transactions(connection: Connection, *, lasting: timedelta) -> Sequence[Any]:
    """Return pid, application, state and age of transactions that have been open for so long."""
    return connection.execute(_LONG, {"lasting": lasting}).all()


_BLOATED = text("""
    SELECT relname AS name, n_live_tup AS live, n_dead_tup AS dead
      FROM pg_stat_user_tables
     WHERE (relname IN ('schedules', 'execution_stats', 'workers', 'jobs')
            OR relname LIKE 'executions%')
       AND n_dead_tup > :at_least AND n_dead_tup > 2 * n_live_tup
     ORDER BY n_dead_tup DESC LIMIT 5""")


def bloated(connection: Connection, *, at_least: int) -> Sequence[Any]:
    """Return hot tables with more than ``at_least`` dead rows, and most of them dead."""
    return connection.execute(_BLOATED, {"at_least": at_least}).all()
