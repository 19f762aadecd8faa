"""Redis as a transport: Celery messages that carry execution ids, and how full the queues are.

Flushing Redis loses nothing: each message stands for rows in PostgreSQL. Task names live here, so
that the scheduler can publish without knowing the worker.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from celery import Celery
from kombu.entity import Queue
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from chronos_common import ids
from chronos_common.domain import queues
from chronos_common.errors import Unavailable

#: Every list of messages, and the task of each.
LISTS = (*queues.DURABLE_LISTS, queues.TESTS)
TASK_OF = {name: f"chronos.{name}" for name in LISTS}

#: Bounds for every wait: without them a half-open connection stops a worker for ever.
SOCKET_OPTIONS: Mapping[str, Any] = {
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}

_PUBLISHED_AT = "published_at_ms"


class BrokerUnavailable(Unavailable):
    """Redis does not answer; what is due stays in PostgreSQL until it does."""


@dataclass(frozen=True, slots=True)
class RedisProblem:
    """A problem of Redis and its remedy."""

    says: str
    remedy: str

    def __str__(self) -> str:
        """Return both as one line."""
        return f"{self.says} {self.remedy}"


#: Pieces of the messages of Redis and of its client, which give no code.
_KNOWN = (
    (
        r"(?i)password|authentication|user is disabled|no permissions",
        "Redis refuses the user",
        "Correct the user and the password in CHRONOS_REDIS_URL.",
    ),
    (
        r"DB index|invalid DB",
        "Redis has no such database",
        "Correct the number at the end of CHRONOS_REDIS_URL.",
    ),
    (
        r"SSL|certificate",
        "Redis and Chronos do not agree on encryption",
        "Correct CHRONOS_REDIS_URL: rediss:// is with TLS, redis:// without.",
    ),
)


def explain(error: RedisError) -> RedisProblem:
    """Return the problem behind ``error``."""
    told = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    for pattern, says, remedy in _KNOWN:
        if re.search(pattern, told):
            return RedisProblem(f"{says}: {told}.", remedy)
    return RedisProblem(
        f"Redis does not answer: {told}.",
        "Start it, or correct CHRONOS_REDIS_URL: rediss:// is with TLS, redis:// without.",
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """Ids for the workers of one queue, to be performed at ``fire_at`` or soon after."""

    queue: str
    ids: Sequence[UUID]
    fire_at: datetime
    is_backlog: bool = False

    @property
    def list(self) -> str:
        """The list of messages that takes it."""
        return queues.BACKLOG_OF[self.queue] if self.is_backlog else self.queue


def celery_app(redis_url: str, consumed: Sequence[str] = LISTS) -> Celery:
    """Return the Celery application of publishers, and of the consumers of some lists.

    A message is acknowledged late and never by the clock of a worker: no ``eta``, no
    ``countdown``, no ``retry`` (retries are rows). Queues are not made up from messages.
    """
    app = Celery("chronos", broker=redis_url, set_as_current=False)
    app.conf.update(
        task_queues=[Queue(name) for name in consumed],  # type: ignore[no-untyped-call]
        task_create_missing_queues=False,
        task_ignore_result=True,
        result_backend=None,
        accept_content=["json"],
        task_serializer="json",
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0.2, "interval_max": 0.5},
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_pool_acquire_timeout=5,
        broker_transport_options={
            **SOCKET_OPTIONS,
            "visibility_timeout": 180,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
        },
    )
    return app


def connect_redis(url: str) -> Redis:
    """Return a client whose every wait is bounded. It connects when it is first used."""
    return Redis.from_url(url, **SOCKET_OPTIONS)


@contextmanager
def _outage_is_unavailable() -> Iterator[None]:
    try:
        yield
    except (RedisError, OperationalError, OSError) as error:
        raise BrokerUnavailable from error


class Broker:
    """Publishes batches and reads the lengths of the lists. It connects when it is first used."""

    def __init__(self, redis_url: str) -> None:
        self._app = celery_app(redis_url)
        self._redis = connect_redis(redis_url)

    def publish(self, batches: Sequence[Batch], *, now: datetime) -> None:
        """Put the batches into their queues, in one pipeline.

        Raises :class:`BrokerUnavailable`. Then it is unknown which of them arrived.
        """
        headers = {_PUBLISHED_AT: ids.milliseconds(now)}
        with (
            _outage_is_unavailable(),
            self._app.producer_or_acquire() as producer,
            producer.batch(),
        ):
            for batch in batches:
                self._app.send_task(
                    TASK_OF[batch.list],
                    args=(ids.pack(batch.ids), ids.milliseconds(batch.fire_at)),
                    queue=batch.list,
                    headers=headers,
                    # Celery would format the ids for its logs, which takes longer than sending
                    # them.
                    argsrepr="",
                    kwargsrepr="",
                    producer=producer,
                    retry=False,
                )

    def depths(self) -> dict[str, int]:
        """Return how many messages wait in each list."""
        with _outage_is_unavailable():
            pipeline = self._redis.pipeline(transaction=False)
            for name in queues.DURABLE_LISTS:
                pipeline.llen(name)
            return dict(zip(queues.DURABLE_LISTS, pipeline.execute(), strict=True))

    def oldest(self) -> dict[str, datetime]:
        """Return when the longest waiting message of each list was published."""
        return oldest_of(self._redis)

    def ping(self) -> None:
        """Raise :class:`BrokerUnavailable` if Redis does not answer."""
        with _outage_is_unavailable():
            self._redis.ping()

    def close(self) -> None:
        """Give the connections back."""
        self._redis.close()
        self._app.close()


def oldest_of(client: Redis) -> dict[str, datetime]:
    """Return when the longest waiting message of each list was published.

    Empty lists are left out, and so are lists whose oldest message is not one of ours.
    """
    with _outage_is_unavailable():
        pipeline = client.pipeline(transaction=False)
        for name in queues.DURABLE_LISTS:
            pipeline.lindex(name, -1)
        messages = pipeline.execute()
    found = {
        name: _published_at(message)
        for name, message in zip(queues.DURABLE_LISTS, messages, strict=True)
        if message is not None
    }
    return {name: moment for name, moment in found.items() if moment}


def _published_at(message: bytes) -> datetime | None:
    """Read the instant of publishing from a message as kombu stores it."""
    try:
        return datetime.fromtimestamp(json.loads(message)["headers"][_PUBLISHED_AT] / 1000, UTC)
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
