"""The faults, one function each: inject it, and return when it is over."""

import signal
from collections.abc import Callable, Mapping
from random import Random
from uuid import uuid4

import psycopg2

from acceptance.faults.stage import Stage
from chronos_common import clock, ids
from chronos_common.broker import Batch, Broker
from chronos_common.domain import queues

Fault = Callable[[Stage, Random], None]

KINDS = ("scheduler", "worker", "api")


def kill(stage: Stage, chance: Random) -> None:
    """Kill -9 a process of any kind."""
    stage.fleet.replace(chance.choice(stage.fleet.of(chance.choice(KINDS))))


def stop(stage: Stage, chance: Random) -> None:
    """SIGTERM a process of any kind."""
    member = chance.choice(stage.fleet.of(chance.choice(KINDS)))
    stage.fleet.members.remove(member)
    member.process.send_signal(signal.SIGTERM)
    assert member.process.wait(40) == 0
    stage.fleet.add(member.kind)


def freeze(stage: Stage, chance: Random) -> None:
    """SIGSTOP a scheduler or a worker for up to 90 seconds."""
    member = chance.choice(stage.fleet.of(chance.choice(KINDS[:2])))
    member.signal(signal.SIGSTOP)
    stage.wait(chance.choice([3, 20, 90]))
    member.signal(signal.SIGCONT)


def flush(stage: Stage, _chance: Random) -> None:
    """Empty Redis."""
    with stage.servers.redis() as redis:
        redis.flushall()


def restart_redis(stage: Stage, chance: Random) -> None:
    """Kill -9 Redis, and start it again after a while."""
    stage.servers.valkey.kill()
    stage.wait(chance.uniform(0, 10))
    stage.servers.restart_valkey()


def fill_redis(stage: Stage, chance: Random) -> None:
    """Let Redis take nothing more for a while."""
    with stage.servers.redis() as redis:
        limit = redis.config_get("maxmemory")["maxmemory"]
        redis.config_set("maxmemory", 1)
        stage.wait(chance.uniform(1, 10))
        redis.config_set("maxmemory", limit)


def demote_redis(stage: Stage, chance: Random) -> None:
    """Make Redis a read-only replica for a while, as a fail-over does."""
    with stage.servers.redis() as redis:
        redis.replicaof("127.0.0.1", "1")
        stage.wait(chance.uniform(1, 10))
        redis.replicaof("NO", "ONE")


def litter(stage: Stage, chance: Random) -> None:
    """Push garbage and forged messages into a queue."""
    queue = chance.choice(queues.DURABLE)
    with stage.servers.redis() as redis:
        redis.rpush(queue, chance.randbytes(40), b"{}", b"null")
    now = clock.now()
    unknown = [ids.occurrence_id(uuid4(), now) for _ in range(100)]
    broker = Broker(stage.servers.redis_url)
    broker.publish([Batch(queue, unknown, now)], now=now)
    broker.close()


def usurp(stage: Stage, chance: Random) -> None:
    """Put a key of a foreign type in the place of a queue for a while."""
    with stage.servers.redis() as redis:
        pipeline = redis.pipeline()
        pipeline.delete(queues.WEBHOOKS)
        pipeline.set(queues.WEBHOOKS, "not a queue")
        pipeline.execute()
        stage.wait(chance.uniform(1, 5))
        redis.delete(queues.WEBHOOKS)


def half_open(stage: Stage, chance: Random) -> None:
    """Let nothing more pass on the connections to a server that are open now."""
    chance.choice(sorted(stage.proxies.items()))[1].freeze()
    stage.wait(1)


def lose_answers(stage: Stage, chance: Random) -> None:
    """Close the connections to PostgreSQL on which it says that something was done."""
    with stage.proxies["postgres"].losing(chance.choice([b"COMMIT\0", b"INSERT 0 ", b"UPDATE "])):
        stage.wait(chance.uniform(1, 5))


def restart_postgres(stage: Stage, chance: Random) -> None:
    """Stop PostgreSQL, fast or at once, and start it again after up to 20 seconds."""
    stage.servers.stop_postgres(chance.choice([signal.SIGINT, signal.SIGQUIT]))
    stage.wait(chance.choice([0, 5, 20]))
    stage.servers.start_postgres()


def hang_up(stage: Stage, _chance: Random) -> None:
    """End every connection of ours to PostgreSQL."""
    connection = psycopg2.connect(stage.servers.database_url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'chronos-%'"
        )
    connection.close()


def lock(stage: Stage, chance: Random) -> None:
    """Hold a lock on a table for a while."""
    table = chance.choice(["executions", "schedules", "jobs", "workers"])
    connection = psycopg2.connect(stage.servers.database_url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '10s'; LOCK TABLE {table}")
            stage.wait(chance.uniform(1, 10))
    except psycopg2.errors.LockNotAvailable:
        pass  # everybody was faster
    finally:
        connection.close()


ALL: Mapping[str, Fault] = {
    each.__name__: each
    for each in (
        kill,
        stop,
        freeze,
        flush,
        restart_redis,
        fill_redis,
        demote_redis,
        litter,
        usurp,
        half_open,
        lose_answers,
        restart_postgres,
        hang_up,
        lock,
    )
}
