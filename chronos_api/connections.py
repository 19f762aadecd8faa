"""How the API reaches PostgreSQL and Redis: every wait is short, because a client waits too."""

from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from sqlalchemy import Engine

from chronos_common.settings import Settings
from chronos_common.storage.postgres import database

#: How long a request waits for a connection of the pool, or for a lock, before it is answered 503.
WAIT_SECONDS = 1.5

REDIS_OPTIONS: dict[str, Any] = {
    "socket_timeout": 0.5,
    "socket_connect_timeout": 0.5,
    # One more try, for a connection that broke while it lay in the pool.
    "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
}


def to_database(settings: Settings) -> Engine:
    """Return an engine with a connection for each thread, and two for probes and scrapes."""
    return database.connect(
        settings.database_url,
        name="chronos-api",
        pool_size=settings.api_threads + 2,
        wait_seconds=WAIT_SECONDS,
        lock_seconds=WAIT_SECONDS,
        # A request is not repeated, so it must not be the one that finds a broken connection.
        checks_pooled=True,
    )


def to_redis(settings: Settings) -> Redis:
    """Return a client, which connects when it is first used."""
    return Redis.from_url(settings.redis_url, **REDIS_OPTIONS)
