"""The work of every control for one execution: call the target, and record it in a row.

Written as such tasks are: ``requests``, and one committed INSERT on a connection that stays open.
"""

import threading
import time
from uuid import uuid4

import psycopg2
import requests

TABLE = """
CREATE TABLE IF NOT EXISTS control_executions (
    id uuid PRIMARY KEY,
    job text NOT NULL,
    status text NOT NULL,
    http_status integer NOT NULL,
    started_at timestamptz NOT NULL,
    duration_ms double precision NOT NULL
)"""

_INSERT = """
INSERT INTO control_executions (id, job, status, http_status, started_at, duration_ms)
VALUES (%s, %s, %s, %s, to_timestamp(%s), %s)"""

_TIMEOUT_SECONDS = 30.0
_local = threading.local()


def perform(job: str, *, url: str, database_url: str, keep_session: bool) -> None:
    """Call ``url`` for ``job`` and record it. ``keep_session`` reuses the HTTP connection."""
    execution_id = str(uuid4())
    started = time.time()
    post = _session().post if keep_session else requests.post
    answer = post(
        url,
        json={"message": "It is time."},
        headers={"webhook-id": execution_id, "X-Chronos-Job-Id": job, "X-Chronos-Attempt": "1"},
        timeout=_TIMEOUT_SECONDS,
    )
    duration_ms = (time.time() - started) * 1000
    status = "succeeded" if answer.ok else "failed"
    values = (execution_id, job, status, answer.status_code, started, duration_ms)
    with _connection(database_url).cursor() as cursor:
        cursor.execute(_INSERT, values)


def _session() -> requests.Session:
    if not hasattr(_local, "session"):
        _local.session = requests.Session()
    session: requests.Session = _local.session
    return session


def _connection(database_url: str) -> "psycopg2.extensions.connection":
    if not hasattr(_local, "connection"):
        _local.connection = psycopg2.connect(database_url)
        _local.connection.autocommit = True
    connection: psycopg2.extensions.connection = _local.connection
    return connection
