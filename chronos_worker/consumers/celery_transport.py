"""Kombu's Redis transport, made to survive invalid messages and a lost connection.

Anyone with access to Redis can push anything into a queue. Kombu fails to read such an entry, and
the worker ends. Here the entry is logged and dropped: real messages stand for rows in PostgreSQL.
Kombu's worker also ends if it loses Redis while tasks are running.

Kombu wakes each consumer every second or two, to check whether it should stop. Here a consumer
waits for longer, and a :class:`StopSignal` ends the wait. Redis is told too: its answer may hold a
message, so it has to be read before the connection ends.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from celery import Celery
from celery.app import amqp
from kombu import connection
from kombu.transport import redis
from kombu.utils.eventio import READ
from redis.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

_log = structlog.get_logger(__name__)

#: How long Redis keeps a consumer waiting for a message. A half-open connection is noticed when
#: the answer is overdue by one ``health_check_interval``, or at most two.
BRPOP_SECONDS = 8
#: Longer, so that the answer ends the wait. Redis looks for overdue answers once a second.
REST_SECONDS = BRPOP_SECONDS + 2

_STOP = "chronos_stop_descriptor"


class RedisChannel(redis.Channel):
    """Drops entries that are no messages, survives the end of its connection, and closes soon."""

    def close(self) -> None:
        """Close the channel, once Redis has answered the request that waits for a message."""
        waiting: Any = self._in_poll
        # Without the right to do this, the answer comes when the wait is over.
        with suppress(RedisError, OSError):
            if waiting:
                self._end_wait(waiting)
        super().close()  # type: ignore[no-untyped-call]

    def _end_wait(self, waiting: AbstractConnection) -> None:
        """Let Redis answer now, as if the time of the request were over."""
        # Redis before 6 does not tell the number of a connection.
        known: dict[Any, Any] = dict(waiting.handshake_metadata or {})
        if client_id := known.get(b"id"):
            with self.conn_or_acquire() as client:
                client.client_unblock(int(client_id))

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


class StopSignal:
    """Ends the waits of consumers for good. Handlers of signals may give it."""

    def __init__(self) -> None:
        self._descriptor, self._told = os.pipe()

    def give(self) -> None:
        """End every wait, now and later."""
        os.write(self._told, b"!")

    def listen(self, app: Celery) -> None:
        """Let this signal end the waits of the consumers of ``app``."""
        options = app.conf.broker_transport_options | {_STOP: self._descriptor}
        app.conf.update(broker_transport_options=options)


class RedisPoller(redis.MultiChannelPoller):
    """Waits for messages, and for the stop signal if there is one."""

    def __init__(self, stop: int | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._stop = stop
        if stop is not None:
            self.poller.register(stop, READ)

    def get(self, callback: Callable[..., Any], timeout: float | None = None) -> Any:
        """Wait for one message.

        A channel that has its fill of messages checks often whether it may take more.
        """
        if self._stop is not None and all(each.qos.can_consume() for each in self._channels):
            timeout = REST_SECONDS
        return super().get(callback, timeout)  # type: ignore[no-untyped-call]

    def handle_event(self, fileno: int, event: int) -> Any:
        """Handle an event. The stop signal ends the wait as a message does."""
        if fileno == self._stop:
            return True
        return super().handle_event(fileno, event)  # type: ignore[no-untyped-call]


class RedisTransport(redis.Transport):
    """The transport with these channels and this poller."""

    Channel = RedisChannel
    brpop_timeout = BRPOP_SECONDS

    def __init__(self, client: Any, **options: Any) -> None:
        super().__init__(client, **options)  # type: ignore[no-untyped-call]
        self._stop: int | None = client.transport_options.get(_STOP)
        self.cycle: Any = RedisPoller(self._stop)

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Let the event loop of the main thread wait instead of the poller."""
        super().register_with_event_loop(connection, loop)  # type: ignore[no-untyped-call]
        # It checks every second for bindings that expire, and there are none.
        self.cycle._binding_expiry_tref.cancel()  # noqa: SLF001 - kombu does not return it
        if self._stop is not None:
            loop.add_reader(self._stop, loop.remove_reader, self._stop)


class RedisConnection(connection.Connection):
    """A connection by this transport, with TLS if its URL begins with ``rediss://``."""

    def get_transport_cls(self) -> type[RedisTransport]:
        """Return the transport."""
        return RedisTransport


class AMQP(amqp.AMQP):  # type: ignore[misc]
    """The connections of a Celery application (its ``amqp_cls``)."""

    Connection = RedisConnection
