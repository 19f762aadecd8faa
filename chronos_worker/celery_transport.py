"""Kombu's Redis transport, made to outlive what is no message at all, and a lost connection.

Whoever reaches Redis can push anything into a queue. Kombu takes it out, fails to read it, and
the worker ends. Here it is logged and dropped: what a real message stood for is in PostgreSQL.
The worker ends, too, when it loses Redis while it has messages under way.
"""

from typing import Any

import structlog
from celery.app import amqp
from kombu import connection
from kombu.transport import redis
from redis.exceptions import ConnectionError as RedisConnectionError

_log = structlog.get_logger(__name__)


class Channel(redis.Channel):
    """Drops what cannot be read as a message, and outlives its connection."""

    def _brpop_read(self, **options: Any) -> bool:
        """Take what Redis answered and hand it on, if it is a message."""
        try:
            return bool(super()._brpop_read(**options))  # type: ignore[no-untyped-call]
        except (AttributeError, KeyError, TypeError, ValueError):
            # Errors of the connection are others: OSError, RedisError.
            _log.exception("garbage dropped")
            return True

    def _connparams(self, *args: Any, **options: Any) -> Any:
        """Return how to connect, while the connection that this is a channel of has not ended.

        Celery closes, and acknowledges on, channels of connections that it lost. Kombu ignores
        that if it is an error of the connection, rather than of a missing attribute.
        """
        if self.connection is None or self.connection.client is None:
            raise RedisConnectionError("The channel's connection has ended.")
        return super()._connparams(*args, **options)  # type: ignore[no-untyped-call]


class Transport(redis.Transport):
    """The transport of these channels."""

    Channel = Channel


class Connection(connection.Connection):
    """A connection by this transport, with TLS if its URL says ``rediss://``."""

    def get_transport_cls(self) -> type[Transport]:
        """Return the transport."""
        return Transport


class AMQP(amqp.AMQP):  # type: ignore[misc]
    """What a Celery application connects by; see its ``amqp_cls``."""

    Connection = Connection
