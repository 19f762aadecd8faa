"""The counts of rate limits in Redis, in one round trip for each request."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from flask import g
from limits.storage import RedisStorage

#: Before the scheme of a Redis URL, it chooses this storage among those of ``limits``.
SCHEME = "counted+"

# Each key has the amount in the first argument, and its lifetime in one of the others.
_COUNT = b"""
local counts = {}
for i, key in ipairs(KEYS) do
  local count = redis.call('incrby', key, ARGV[1])
  if count == tonumber(ARGV[1]) then redis.call('expire', key, ARGV[i + 1]) end
  counts[#counts + 1] = count
  counts[#counts + 1] = redis.call('pttl', key)
end
return counts
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
        """Count ``amount`` for ``key``, which ends ``expiry`` seconds after its first.

        If :func:`expect` named it, all that are expected are counted with it.
        """
        ahead: dict[str, int] = g.get("expected", {})
        if key not in ahead:
            return self._counted_now({key: expiry}, amount)[key]
        if key not in _counted():
            self._counted_now(ahead, amount)
        del ahead[key]
        return _counted()[key].number

    def _counted_now(self, keys: Mapping[str, int], amount: int) -> dict[str, int]:
        answer = self._count([self.prefixed_key(each) for each in keys], [amount, *keys.values()])
        for key, number, left in zip(keys, answer[::2], answer[1::2], strict=True):
            _counted()[key] = _Count(int(number), time.time() + left / 1000)
        return {key: _counted()[key].number for key in keys}

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


def expect(keys: Mapping[str, int]) -> None:
    """Count these keys together, when the first of them is counted. Each has its lifetime."""
    g.expected = dict(keys)


def _counted() -> dict[str, _Count]:
    return cast(dict[str, _Count], g.setdefault("counted", {}))
