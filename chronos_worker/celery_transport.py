"""Kombu's Redis transport, made to survive invalid messages and a lost connection.

Anyone with access to Redis can push anything into a queue. Kombu fails to read such an entry, and
the worker ends. Here the entry is logged and dropped: real messages stand for rows in PostgreSQL.
Kombu's worker also ends if it loses Redis while tasks are running.
"""

from typing import Any

import structlog
from celery.app import amqp
from kombu import connection
from kombu.transport import redis
from redis.exceptions import ConnectionError as RedisConnectionError

_log = structlog.get_logger(__name__)


class RedisChannel(redis.Channel):
    """Drops entries that are no messages, and survives the end of its connection."""

    def _brpop_read(self, **options: Any) -> bool:
        """Read an entry from Redis, and deliver it if it is a message."""
        try:
            return bool(super()._brpop_read(**options))  # type: ignore[no-untyped-call]
        except (AttributeError, KeyError, TypeError, ValueError):
            # A broken connection raises other errors: OSError or RedisError.
            _log.exception("garbage dropped")
            return True

    def _connparams(self, *args: Any, **options: Any) -> Any:
        """Return the parameters for connecting. Raises if the channel's connection has ended.

        Celery closes channels of connections that it lost, and acknowledges on them. Kombu ignores
        an error of the connection then, but not the missing attribute that it would meet here.
        """
        if self.connection is None or self.connection.client is None:
            raise RedisConnectionError("The channel's connection has ended.")
        return super()._connparams(*args, **options)  # type: ignore[no-untyped-call]


class RedisTransport(redis.Transport):
    """The transport with these channels."""

    Channel = RedisChannel


class RedisConnection(connection.Connection):
    """A connection by this transport, with TLS if its URL begins with ``rediss://``."""

    def get_transport_cls(self) -> type[RedisTransport]:
        """Return the transport."""
        return RedisTransport


class AMQP(amqp.AMQP):  # type: ignore[misc]
    """The connections of a Celery application (its ``amqp_cls``)."""

    Connection = RedisConnection
