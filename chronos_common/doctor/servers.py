"""PostgreSQL and Redis: whether they answer, and are set up as Chronos needs them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from chronos_common import broker
from chronos_common.doctor.findings import Finding, fine, problem, span, warning
from chronos_common.domain.timezones import files
from chronos_common.migrations import schema
from chronos_common.storage import health, zone_rules
from chronos_common.storage.postgres import availability
from chronos_common.storage.postgres.database import measure_clock, transaction

#: A transaction that is open for longer keeps PostgreSQL from removing dead rows.
LONG_TRANSACTION = timedelta(minutes=1)

#: Fewer dead rows are no finding.
MANY_DEAD_ROWS = 50_000

#: The part of a limit from which on it is nearly reached.
NEARLY = 0.9

#: Chronos corrects a host's clock for its schedules, but other logs of the host show it.
CLOCK_TOLERANCE = timedelta(seconds=1)

_MIB = 1024 * 1024


def database(engine: Engine) -> Iterator[Finding]:
    """Check whether PostgreSQL answers and has the schema of this version."""
    try:
        with transaction(engine) as connection:
            server = health.server(connection)
    except SQLAlchemyError as error:
        known = availability.explain(error) if isinstance(error, DBAPIError) else None
        yield problem(
            "database",
            known.says if known else f"PostgreSQL does not answer: {error}",
            f"{known.remedy if known else 'Look into its log.'} "
            "Nothing runs until then; nothing is lost.",
        )
        return
    yield fine(
        "database",
        f"PostgreSQL {server.version} answers; {server.size_bytes / _MIB:,.0f} MiB are stored.",
    )
    if schema.is_current(engine):
        yield fine("schema", "The schema is that of this version.")
    else:
        yield problem(
            "schema",
            "The schema is not that of this version.",
            "Run 'chronos db upgrade', or install the version that the schema is of.",
        )
    yield _connections(server)
    yield from _vacuum(engine, server)


def _connections(server: health.ServerState) -> Finding:
    says = f"{server.connections} of PostgreSQL's {server.max_connections} connections are taken."
    if server.connections < NEARLY * server.max_connections:
        return fine("connections", says)
    return warning(
        "connections",
        says,
        "Raise max_connections: each scheduler takes up to 9, each worker 12, each API process "
        "CHRONOS_API_THREADS and 2.",
    )


def _vacuum(engine: Engine, server: health.ServerState) -> Iterator[Finding]:
    """Check for causes that make the hot tables grow without bound."""
    with transaction(engine) as connection:
        long = health.long_transactions(connection, lasting=LONG_TRANSACTION)
        bloated = health.bloated(connection, at_least=MANY_DEAD_ROWS)
    for each in long:
        yield warning(
            "transactions",
            f"A transaction of '{each.name}' (pid {each.pid}, {each.state}) has been open for "
            f"{span(each.lasts)}. While it is, dead rows stay, and planning becomes slower.",
            f"End it at its client, or with: SELECT pg_terminate_backend({each.pid})",
        )
    if not server.autovacuum:
        yield problem(
            "vacuum",
            "Autovacuum is off: the hot tables grow with each execution, and become slow.",
            "Set autovacuum = on in PostgreSQL's configuration.",
        )
    for each in bloated:
        yield warning(
            "vacuum",
            f"Table {each.name} holds {each.dead:,} dead rows beside {each.live:,} live ones.",
            f"Look for long transactions, then run: VACUUM {each.name}",
        )
    if server.autovacuum and not long and not bloated:
        yield fine("vacuum", "No transaction is open for long, no table is full of dead rows.")


def clock(engine: Engine) -> Iterator[Finding]:
    """Compare this host's clock with the database's."""
    with transaction(engine) as connection:
        offset = measure_clock(connection)
    says = f"This host's clock is {abs(offset.total_seconds()):.3f} s "
    says += "behind PostgreSQL's." if offset > timedelta(0) else "ahead of PostgreSQL's."
    if abs(offset) < CLOCK_TOLERANCE:
        yield fine("clock", says)
        return
    yield warning(
        "clock",
        f"{says} Chronos corrects that for its schedules; logs and tokens show it.",
        "Let an NTP client set the clocks of both hosts.",
    )


def zones(engine: Engine) -> Iterator[Finding]:
    """Compare the time zone database of this installation with the one that planned last."""
    with transaction(engine) as connection:
        adopted = zone_rules.adopted(connection)
    own = files.VERSION
    if adopted is None or adopted.digest == files.digest():
        yield fine("time zones", f"Schedules follow release {own} of the time zone database.")
        return
    yield warning(
        "time zones",
        f"Schedules follow release {adopted.version} of the time zone database, which a scheduler "
        f"brought; here is release {own}, or another copy of it.",
        "Install the same release of the package tzdata for all processes, and restart them.",
    )


def redis(client: Redis) -> Iterator[Finding]:
    """Check whether Redis answers, and whether it may evict messages."""
    try:
        client.ping()
    except RedisError as error:
        known = broker.explain(error)
        remedy = f"{known.remedy} Nothing starts until then; nothing is lost."
        yield problem("redis", known.says, remedy)
        return
    try:
        info: Any = client.info()
    except RedisError as error:
        yield warning(
            "redis",
            f"Redis answers, but does not say how it is set up: {error}",
            "Let its user run INFO.",
        )
        return
    yield fine("redis", f"Redis {info.get('redis_version', '')} answers.")
    yield _eviction(info)
    yield from _memory(info)
    if info.get("role") == "slave":
        yield problem(
            "redis role",
            "This Redis is a replica: it takes no messages.",
            "Let CHRONOS_REDIS_URL name the primary.",
        )
    if info.get("rdb_last_bgsave_status") == "err":
        yield problem(
            "redis persistence",
            "Redis could not save to disk, and by default refuses every message since.",
            "Make room on its disk, or switch saving off: Chronos does not need it "
            "(CONFIG SET save '').",
        )


def _eviction(info: Any) -> Finding:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        return fine("redis eviction", "Redis throws no messages away (noeviction).")
    return warning(
        "redis eviction",
        f"Redis may throw messages away when its memory is full (maxmemory-policy {policy}). "
        "Nothing is lost by that, but it runs late: rescue has to find it.",
        "Set maxmemory-policy noeviction, or give Chronos a Redis of its own.",
    )


def _memory(info: Any) -> Iterator[Finding]:
    limit, used = int(info.get("maxmemory") or 0), int(info.get("used_memory") or 0)
    if limit and used > NEARLY * limit:
        yield problem(
            "redis memory",
            f"Redis uses {used / _MIB:,.0f} of the {limit / _MIB:,.0f} MiB that it may use; full, "
            "it refuses messages.",
            "Raise maxmemory, or give Chronos a Redis of its own.",
        )
