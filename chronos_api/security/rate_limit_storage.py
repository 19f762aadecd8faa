"""The counts of rate limits in Redis, in one round trip for each request."""

import time
from typing import Any, NamedTuple, cast

from flask import g
from limits.storage import RedisStorage

#: Before the scheme of a Redis URL, it chooses this storage among those of ``limits``.
SCHEME = "counted+"

_COUNT = b"""
local count = redis.call('incrby', KEYS[1], ARGV[2])
if count == tonumber(ARGV[2]) then redis.call('expire', KEYS[1], ARGV[1]) end
return {count, redis.call('pttl', KEYS[1])}
"""


class _Count(NamedTuple):
    number: int
    expires_at: float  # seconds since the epoch, on this host's clock


class Counts(RedisStorage):
    """Remembers the count of a request until its end.

    ``limits`` asks for the count and for its end again, to write the headers of the answer. That
    was a fifth of the time of reading a job.
    """

    STORAGE_SCHEME = [f"{SCHEME}redis", f"{SCHEME}rediss"]  # noqa: RUF012 - as in its base

    def __init__(self, uri: str, **options: Any) -> None:
        """Connect as ``RedisStorage`` does, at the first use."""
        super().__init__(uri.removeprefix(SCHEME), **options)
        self._count = self.get_connection().register_script(_COUNT)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count ``amount`` for ``key``, which ends ``expiry`` seconds after its first."""
        number, left = self._count([self.prefixed_key(key)], [expiry, amount])
        _counted()[key] = _Count(number, time.time() + left / 1000)
        return int(number)

    def get(self, key: str) -> int:
        """Return the count of ``key``."""
        counted = _counted().get(key)
        return counted.number if counted else super().get(key)

    def get_expiry(self, key: str) -> float:
        """Return when the count of ``key`` ends, in seconds since the epoch."""
        counted = _counted().get(key)
        return counted.expires_at if counted else super().get_expiry(key)

    def clear(self, key: str) -> None:
        """Begin ``key`` anew."""
        _counted().pop(key, None)
        super().clear(key)


def _counted() -> dict[str, _Count]:
    return cast(dict[str, _Count], g.setdefault("counted", {}))
