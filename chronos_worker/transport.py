"""Kombu's Redis transport, made to outlive what is no message at all.

Whoever reaches Redis can push anything into a queue. Kombu takes it out, fails to read it, and
the worker ends. Here it is logged and dropped: what a real message stood for is in PostgreSQL.
"""

from typing import Any

import structlog
from kombu.transport import TRANSPORT_ALIASES, redis

_log = structlog.get_logger(__name__)


class Channel(redis.Channel):
    """Drops what cannot be read as a message."""

    def _brpop_read(self, **options: Any) -> bool:
        """Take what Redis answered and hand it on, if it is a message."""
        try:
            return bool(super()._brpop_read(**options))  # type: ignore[no-untyped-call]
        except (AttributeError, KeyError, TypeError, ValueError):
            # Errors of the connection are others: OSError, RedisError.
            _log.exception("garbage dropped")
            return True


class Transport(redis.Transport):
    """The transport of these channels."""

    Channel = Channel


def install() -> None:
    """Let every ``redis://`` and ``rediss://`` of this process be consumed like this."""
    name = f"{__name__}:{Transport.__name__}"
    TRANSPORT_ALIASES.update(redis=name, rediss=name)
