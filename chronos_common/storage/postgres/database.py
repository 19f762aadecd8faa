"""Connections to PostgreSQL: bounded in number, in waiting and in the time of a statement."""

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import psycopg2.errors
import psycopg2.extras
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError

from chronos_common import clock
from chronos_common.storage.postgres import array_adapter, prepared_statements, uuid_adapter
from chronos_common.storage.postgres.timeouts import BoundedConnection

STATEMENT_TIMEOUT_SECONDS = 15
LOCK_TIMEOUT_SECONDS = 5

#: The server closes a connection after this long without use, because each takes megabytes. No
#: loop has this interval: its next statement would meet the closing.
IDLE_SECONDS = 47
#: The rest after which a connection is checked. A busy connection rests far less.
RESTED_SECONDS = 0.5

#: A reading of the database's clock is off by half of its time at most.
QUICK_READING = timedelta(milliseconds=2)

_RESTS_SINCE = "chronos_rests_since"

#: TCP notices within about 20 seconds that a host is gone.
_KEEPALIVES: Final = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

psycopg2.extras.register_uuid()  # type: ignore[no-untyped-call]
array_adapter.register()


def connect(
    url: str,
    *,
    name: str,
    pool_size: int = 5,
    wait_seconds: float = 5,
    lock_seconds: float = LOCK_TIMEOUT_SECONDS,
    checks_pooled: bool = False,
) -> Engine:
    """Return an engine with at most ``pool_size`` connections, shown as ``name`` in PostgreSQL.

    Every wait is bounded: for a connection of the pool (``wait_seconds``), for the server, for a
    lock (``lock_seconds``), for a statement. A half-open connection is noticed within about 20
    seconds, by TCP or by ``timeouts``. An idle one that the server has closed is replaced.
    ``checks_pooled`` replaces any that broke while it lay in the pool, for callers that do not
    retry.
    """
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        # The same few again and again, so that the others are closed in time.
        pool_use_lifo=True,
        pool_timeout=wait_seconds,
        pool_recycle=1800,
        connect_args={
            "application_name": name,
            "connection_factory": BoundedConnection,
            **_KEEPALIVES,
        },
    )
    limits = _configure(
        lock_seconds=lock_seconds,
        statement_seconds=STATEMENT_TIMEOUT_SECONDS,
        idle_seconds=IDLE_SECONDS,
    )
    event.listen(engine, "connect", limits)
    uuid_adapter.follow(engine)
    prepared_statements.follow(engine)
    event.listen(engine, "checkin", _note_rest)
    event.listen(engine, "checkout", _check if checks_pooled else _check_if_rested)
    return engine


def connect_for_long_statements(url: str | URL, *, name: str, lock_seconds: float) -> Engine:
    """Return an engine for changes of the schema, whose statements may take hours.

    Only the wait for a lock is bounded, and the wait for a server that TCP does not reach.
    """
    engine = create_engine(
        url, poolclass=NullPool, connect_args={"application_name": name} | _KEEPALIVES
    )
    limits = _configure(lock_seconds=lock_seconds, statement_seconds=0, idle_seconds=0)
    event.listen(engine, "connect", limits)
    return engine


def _configure(
    *, lock_seconds: float, statement_seconds: float, idle_seconds: float
) -> Callable[..., None]:
    """Return a listener that gives each new connection its settings. 0 is no limit.

    They are no options of the connection, because poolers (PgBouncer) refuse or ignore those.
    """
    settings = {
        "statement_timeout": f"{round(statement_seconds * 1000)}ms",
        "lock_timeout": f"{round(lock_seconds * 1000)}ms",
        "timezone": "UTC",
        "idle_in_transaction_session_timeout": "10s",
        "idle_session_timeout": f"{idle_seconds}s",
    }
    statement = "; ".join(f"SET {name} = '{value}'" for name, value in settings.items())

    def configure(connection: Any, *_: object) -> None:
        # A setting of a transaction that is rolled back would be lost.
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
        connection.autocommit = False

    return configure


def _note_rest(_connection: Any, record: Any) -> None:
    record.info[_RESTS_SINCE] = time.monotonic()


def _check_if_rested(connection: Any, record: Any, *_: object) -> None:
    """Check a connection after a rest. A check before each of many transactions costs too much."""
    if time.monotonic() - record.info.get(_RESTS_SINCE, time.monotonic()) >= RESTED_SECONDS:
        _check(connection)


def _check(connection: Any, *_: object) -> None:
    """Raise ``DisconnectionError`` if the server has closed a connection. The pool tries another.

    On an idle connection, the server sends nothing but its end. Looking for that takes
    microseconds, while SQLAlchemy's ``pool_pre_ping`` takes a round trip with every use.
    """
    if connection.closed:
        raise DisconnectionError
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    if poller.poll(0):
        raise DisconnectionError


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a connection for statements that need no transaction, which takes two round trips.

    SQLAlchemy's own isolation level ``AUTOCOMMIT`` takes one more to reset it, and raises
    psycopg2's bare error if the server goes away just then.
    """
    with engine.connect() as connection:
        own: Any = connection.connection.driver_connection
        own.autocommit = True
        try:
            yield connection
        finally:
            if not own.closed:
                own.autocommit = False


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Open a transaction: committed at the end of the block, rolled back if it raises."""
    with engine.begin() as connection:
        yield connection


def is_outage(error: DBAPIError) -> bool:
    """Return whether ``error`` comes from an unreachable database, not from a wrong statement.

    A server that takes no changes is away, too: a standby before its promotion, or a primary that
    was demoted.
    """
    return error.connection_invalidated or isinstance(
        error.orig,
        psycopg2.OperationalError
        | psycopg2.InterfaceError
        | psycopg2.errors.ReadOnlySqlTransaction,
    )


def measure_clock(connection: Connection) -> timedelta:
    """Return database time minus host time, from the middle of the fastest of three readings.

    One that took no longer than ``QUICK_READING`` is precise enough by itself.
    """
    readings: list[tuple[timedelta, timedelta]] = []
    for _ in range(3):
        before = clock.host_now()
        database = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        after = clock.host_now()
        readings.append((after - before, database - (before + (after - before) / 2)))
        if after - before <= QUICK_READING:
            break
    return min(readings)[1]
