"""Connections to PostgreSQL: bounded in number, in waiting and in the time of a statement."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg2.extras
from psycopg2.extensions import new_type, register_type
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from chronos_common import clock, ids
from chronos_common.storage import arrays
from chronos_common.storage.patience import BoundedConnection

STATEMENT_TIMEOUT_SECONDS = 15
LOCK_TIMEOUT_SECONDS = 5

#: What was used more recently than this is taken to live still.
PROBE_AFTER_SECONDS = 1.0

_RETURNED = "chronos_returned"

#: Of PostgreSQL's type ``uuid``; see its catalog ``pg_type``.
_UUID_OID = 2950

psycopg2.extras.register_uuid()  # type: ignore[no-untyped-call]
register_type(new_type((_UUID_OID,), "UUID", lambda text, _: text and ids.parse(text)))
arrays.register()


def connect(
    url: str,
    *,
    name: str,
    pool_size: int = 5,
    wait_seconds: float = 5,
    lock_seconds: float = LOCK_TIMEOUT_SECONDS,
    probes_idle: bool = False,
) -> Engine:
    """Return an engine with at most ``pool_size`` connections, shown as ``name`` in PostgreSQL.

    Every wait is bounded: for a connection of the pool (``wait_seconds``), for the server, for a
    lock (``lock_seconds``), for a statement. A half-open connection is noticed within about 20
    seconds, by TCP or by ``storage.patience``.
    ``probes_idle`` spends a round trip to replace a connection that may have broken while it lay
    in the pool: for callers that do not repeat what failed.
    """
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=wait_seconds,
        pool_recycle=1800,
        connect_args={
            "application_name": name,
            "keepalives": 1,
            "keepalives_idle": 10,
            "keepalives_interval": 3,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
            "connection_factory": BoundedConnection,
            "options": f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s "
            f"-c lock_timeout={round(lock_seconds * 1000)}ms -c timezone=UTC "
            "-c idle_in_transaction_session_timeout=10s",
        },
    )
    if probes_idle:
        _probe_idle(engine)
    return engine


def _probe_idle(engine: Engine) -> None:
    """Ask connections that lay idle for a while whether they live.

    SQLAlchemy's ``pool_pre_ping`` asks each time, which a busy API pays for with every request.
    """

    def returned(_: Any, record: ConnectionPoolEntry) -> None:
        record.info[_RETURNED] = time.monotonic()

    def taken(connection: Any, record: ConnectionPoolEntry, _: object) -> None:
        idle = time.monotonic() - record.info.get(_RETURNED, time.monotonic())
        if idle > PROBE_AFTER_SECONDS and not _lives(engine, connection):
            # The pool tries others, then a new one.
            raise DisconnectionError

    event.listen(engine, "checkin", returned)
    event.listen(engine, "checkout", taken)


def _lives(engine: Engine, connection: Any) -> bool:
    try:
        return engine.dialect.do_ping(connection)
    except psycopg2.Error:
        return False


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a connection for statements that need no transaction, which takes two round trips."""
    with engine.connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Open a transaction: committed at the end of the block, rolled back if it raises."""
    with engine.begin() as connection:
        yield connection


def is_outage(error: DBAPIError) -> bool:
    """Tell whether ``error`` is the database's absence rather than a wrong statement."""
    return error.connection_invalidated or isinstance(
        error.orig, psycopg2.OperationalError | psycopg2.InterfaceError
    )


def measure_clock(connection: Connection) -> timedelta:
    """Return database time minus host time, from the middle of the fastest of three readings."""
    readings: list[tuple[timedelta, timedelta]] = []
    for _ in range(3):
        before = clock.host_now()
        database = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        after = clock.host_now()
        readings.append((after - before, database - (before + (after - before) / 2)))
    return min(readings)[1]
