"""A database as large installations have it: many workspaces and jobs, a month of history.

PostgreSQL generates all of it, so that a million executions take a minute. Every value follows
from a number, by a hash: two runs make the same rows.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from chronos_common.storage.executions import partitions

#: The workspaces beside the one that owns three fifths of everything.
WORKSPACES = 500

DAYS = 30
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Size:
    """The number of rows."""

    jobs: int
    executions: int


# The workspace of a number: three in five rows are the owner's, the others' are spread unevenly.
_WORKSPACE = """
    CASE WHEN {number} % 5 < 3 THEN CAST(:workspace AS uuid)
         ELSE CAST(md5('workspace' || CAST(
              power({number} % 1000 * 919 % 1000 / 1000.0, 3) * :workspaces AS integer)) AS uuid)
    END"""

_ADD_WORKSPACES = text("""
    INSERT INTO workspaces (id, name, signing_secret, created_at)
    SELECT CAST(md5('workspace' || number) AS uuid), 'Workspace ' || number, 'whsec_eA==', now()
      FROM generate_series(0, :workspaces) AS number""")

# Time-ordered ids whose tail follows from the number.
_JOB_ID = """
    CAST(lpad(to_hex(:jobs_since + {number}), 12, '0') || '7'
         || substr(md5('job' || {number}), 1, 3) || '8' || substr(md5('job' || {number}), 4, 15)
         AS uuid)"""

_ADD_JOBS = text(f"""
    INSERT INTO jobs (id, workspace_id, name, description, type, payload, status, tags,
        max_attempts, retry_delays, backoff_seconds, backoff_factor, backoff_cap_seconds,
        retry_jitter, timeout_seconds, overlap_policy, version, created_at, updated_at)
    SELECT {_JOB_ID.format(number="n")}, {_WORKSPACE.format(number="n")},
           (ARRAY['Send', 'Rebuild', 'Sync', 'Check', 'Archive'])[1 + n % 5] || ' '
           || (ARRAY['invoices', 'index', 'contacts', 'backups', 'reports', 'prices'])[1 + n % 6]
           || ' ' || n,
           'For customer ' || n % 10007, CASE WHEN n % 20 = 0 THEN 'email' ELSE 'webhook' END,
           '{{"url": "https://example.com/hook", "body": {{"template": "weekly_digest"}}}}',
           CASE WHEN n % 100000 = 7 THEN 'cancelled' WHEN n % 20 = 3 THEN 'paused'
                WHEN n % 10 = 4 THEN 'completed' ELSE 'active' END,
           CASE WHEN n % 10000 = 0 THEN ARRAY['rare'] ELSE ARRAY['team-' || n % 40] END,
           4, '{{}}', 60, 2, 3600, 0, 30, 'allow', 1, now(), now() - n % 86400 * interval '1 s'
      FROM generate_series(1, :jobs) AS n""")  # noqa: S608 - constants

_ADD_SCHEDULES = text("""
    INSERT INTO schedules (job_id, workspace_id, job_type, kind, expression, timezone,
        jitter_seconds, misfire_policy, misfire_grace_seconds, active, next_run_at)
    SELECT id, workspace_id, type, 'cron', '0 9 * * *', 'UTC', 0, 'run_latest', 60,
           status = 'active', CASE WHEN status <> 'completed' THEN
               date_trunc('milliseconds', now() + interval '400 days' + (updated_at - created_at))
           END
      FROM jobs""")

# Of a thousand: 970 succeed, 20 fail, 6 are skipped, 4 cancelled. Triggers by hand and other rare
# things come every 10,000 or more. A tenth of the jobs has nine tenths of the history.
_ADD_DAY = """
    INSERT INTO {partition} (id, workspace_id, job_id, trigger, status, queue, scheduled_for,
        due_at, dispatched_at, claimed_at, started_at, finished_at, worker_id, duration_ms,
        attempt, redeliveries, http_status, error, reason, attempts)
    SELECT CAST(lpad(to_hex(CAST(extract(epoch FROM at) * 1000 AS bigint)), 12, '0') || '8'
                || substr(hash, 1, 3) || '8' || substr(hash, 4, 15) AS uuid),
           {workspace}, {job_id},
           CASE WHEN e % 10007 = 0 THEN 'manual' WHEN e % 100003 = 1 THEN 'retry'
                ELSE 'schedule' END,
           status, 'webhooks', at, at, at, started, started, at + interval '80 ms',
           CASE WHEN started IS NOT NULL THEN CAST(md5('worker') AS uuid) END,
           CASE WHEN started IS NULL THEN NULL WHEN e % 200003 = 5 THEN 29000
                ELSE 20 + e % 90 END,
           1, 0,
           CASE WHEN started IS NULL THEN NULL WHEN e % 500009 = 3 THEN 418
                WHEN status = 'failed' THEN 503 ELSE 200 END,
           CASE WHEN status = 'failed' THEN 'The target answered 503.' END,
           CASE status WHEN 'skipped' THEN 'overlap' WHEN 'cancelled' THEN 'cancelled' END,
           CAST(CASE WHEN started IS NULL THEN '[]' ELSE {attempts} END AS json)
      FROM (SELECT *, CASE WHEN status IN ('succeeded', 'failed') THEN at + interval '2 ms' END
                      AS started
              FROM (SELECT e, j, md5('execution' || e) AS hash,
                           CASE WHEN e % 1000 < 970 THEN 'succeeded' WHEN e % 1000 < 990
                                THEN 'failed' WHEN e % 1000 < 996 THEN 'skipped'
                                ELSE 'cancelled' END AS status,
                           CAST(:midnight AS timestamptz) + floor(
                               (e - :first) * 86399999.0 / :each) * interval '1 ms' AS at
                      FROM (SELECT e, 1 + CASE WHEN e % 10 < 9 THEN e % (:jobs / 10 + 1)
                                               ELSE e % :jobs END AS j
                              FROM generate_series(:first, :first + :each - 1) AS e) AS numbered)
                   AS fated) AS executed"""

# As an attempt of a webhook with a short answer is recorded.
_ATTEMPTS = """
    '[{{"number": 1, "status": "' || status || '", "started_at": "2026-11-30T09:00:00.002Z", '
    || '"duration_ms": 78, "http_status": 200, "worker": "0b7e0000-0000-4000-8000-000000000000", '
    || '"request": {{"method": "POST", "url": "https://example.com/hook", "headers": '
    || '{{"content-type": "application/json", "webhook-id": "' || hash || '"}}}}, '
    || '"response": {{"status": 200, "headers": {{"content-type": "text/plain", '
    || '"date": "Mon, 30 Nov 2026 09:00:00 GMT"}}, "body": "' || substr(hash, 1, 12) || '"}}, '
    || '"timing_ms": {{"dns": 0.1, "connect": 0.2, "first_byte": 77, "total": 78}}}}]'"""

_ADD_STATISTICS = """
    INSERT INTO {table} (workspace_id, {span}, status, executions, duration_ms_sum, drift_ms_sum,
                         drift_ms_max, drift_counts)
    SELECT workspace_id, date_trunc('{span}', finished_at), status, count(*),
           coalesce(sum(duration_ms), 0), count(*) * 2, 2, ARRAY[count(*)]
      FROM executions WHERE finished_at >= :since GROUP BY 1, 2, 3"""

_ADD_AUDIT_LOG = text(f"""
    INSERT INTO audit_log (id, workspace_id, action, subject_type, subject_id, details, at)
    SELECT {_JOB_ID.format(number="n")}, {_WORKSPACE.format(number="n")},
           CASE WHEN n % 50000 = 0 THEN 'key.create' ELSE 'job.update' END,
           CASE WHEN n % 50000 = 0 THEN 'key' ELSE 'job' END,
           {_JOB_ID.format(number="n")}, '{{"name": {{"old": "a", "new": "b"}}}}', now()
      FROM generate_series(1, :jobs) AS n""")  # noqa: S608 - constants


def fill(engine: Engine, workspace_id: UUID, size: Size, *, now: datetime) -> None:
    """Add the rows to a database with an empty history."""
    _make_partitions(engine, now)
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        # The rows have no faults that a check of their references could find.
        connection.execute(text("SET session_replication_role = replica"))
        _add(connection, workspace_id, size, now)
        connection.execute(text("SET session_replication_role = origin"))
        connection.execute(text("VACUUM ANALYZE"))


def days_until(now: datetime) -> list[date]:
    """Return the days of the history, the oldest first."""
    return [now.date() - timedelta(days=back) for back in reversed(range(DAYS))]


def _make_partitions(engine: Engine, now: datetime) -> None:
    with engine.connect() as connection:
        connection.execution_options(isolation_level="READ COMMITTED")
        for day in days_until(now):
            with connection.begin():
                if day not in partitions.existing(connection):
                    partitions.create(connection, day)


def _add(connection: Connection, workspace_id: UUID, size: Size, now: datetime) -> None:
    names = {
        "workspace": workspace_id,
        "workspaces": WORKSPACES,
        "jobs": size.jobs,
        "jobs_since": int((now - timedelta(days=DAYS)).timestamp() * 1000) - size.jobs,
    }
    for statement in (_ADD_WORKSPACES, _ADD_JOBS, _ADD_SCHEDULES, _ADD_AUDIT_LOG):
        connection.execute(statement, names)
    each = size.executions // DAYS
    for number, day in enumerate(days_until(now)):
        _add_day(connection, day, names | {"first": number * each + 1, "each": each})
    for table, span, days in (
        ("execution_stats", "minute", 8),
        ("execution_stats_hourly", "hour", DAYS),
    ):
        added = text(_ADD_STATISTICS.format(table=table, span=span))
        connection.execute(added, {"since": now - days * _DAY})


def _add_day(connection: Connection, day: date, names: dict[str, object]) -> None:
    statement = _ADD_DAY.format(
        partition=f"executions_{day:%Y%m%d}",
        workspace=_WORKSPACE.format(number="j"),
        job_id=_JOB_ID.format(number="j"),
        attempts=_ATTEMPTS.format(),
    )
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    connection.execute(text(statement), names | {"midnight": midnight})
