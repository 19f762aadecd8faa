"""Leases count the streams, exports and test runs that are open, over all processes, in Redis.

A lease that is not renewed ends by itself, so that those of a killed process do not stay. While
Redis is away, each process has only its own limits.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast
from uuid import UUID, uuid4

import structlog
from redis import Redis
from redis.exceptions import RedisError

from chronos_api.context import current
from chronos_api.security.access import Principal
from chronos_api.transactions import Call, reading
from chronos_common.quotas import Quota, QuotaExceeded, Use
from chronos_common.storage import quotas

_log = structlog.get_logger(__name__)

#: Lifetime without a renewal, and the interval of renewals.
LIFETIME_SECONDS: Final = 60
RENEW_SECONDS: Final = 20

# Redis's own clock, because those of the API's hosts may differ. Returns the place of the first
# key that is full, and its number, or 0.
_TAKE = """
local now = redis.call('time')[1]
for i, key in ipairs(KEYS) do
  redis.call('zremrangebyscore', key, '-inf', now)
  local number = redis.call('zcard', key)
  if number >= tonumber(ARGV[i + 2]) then return {i, number} end
end
for _, key in ipairs(KEYS) do
  redis.call('zadd', key, now + ARGV[2], ARGV[1])
  redis.call('expire', key, ARGV[2])
end
return {0, 0}
"""
_RENEW = """
local now = redis.call('time')[1]
for _, key in ipairs(KEYS) do
  redis.call('zadd', key, now + ARGV[2], ARGV[1])
  redis.call('expire', key, ARGV[2])
end
"""


@dataclass(eq=False, slots=True)
class Lease:
    """One thing that is open, from :func:`take` to :meth:`release`."""

    redis: Redis
    keys: Sequence[str]
    name: str = field(default_factory=lambda: uuid4().hex)
    renew_at: float = field(default_factory=lambda: time.monotonic() + RENEW_SECONDS)
    is_over: bool = False

    def renew(self) -> None:
        """Keep the lease, if it is time for that. Call it every few seconds."""
        if self.is_over or time.monotonic() < self.renew_at:
            return
        self.renew_at = time.monotonic() + RENEW_SECONDS
        try:
            self.redis.eval(_RENEW, len(self.keys), *self.keys, self.name, str(LIFETIME_SECONDS))
        except RedisError as error:
            _log.warning("lease not renewed", error=str(error))

    def release(self) -> None:
        """End the lease. A second call does nothing."""
        if self.is_over:
            return
        self.is_over = True
        try:
            for key in self.keys:
                self.redis.zrem(key, self.name)
        except RedisError as error:
            _log.warning("lease left to its end", error=str(error))


def take(call: Call, *wanted: Quota) -> Lease:
    """Open one more of each quota. Raises :class:`QuotaExceeded` if one is used up."""
    redis = current().redis
    bounds = [_bound(call, each) for each in wanted]
    lease = Lease(redis, [_key(each, _whose(call, each)) for each in wanted])
    try:
        answer = redis.eval(
            _TAKE,
            len(lease.keys),
            *lease.keys,
            lease.name,
            str(LIFETIME_SECONDS),
            *map(str, bounds),
        )
    except RedisError as error:
        _log.warning("open uses not counted", error=str(error))
        return lease
    full, used = cast(list[int], answer)
    if full:
        raise QuotaExceeded(Use(wanted[full - 1], bounds[full - 1], used), amount=1)
    return lease


def number_open(quota: Quota, whose: UUID) -> int:
    """Return how many leases of a quota a workspace or user has, 0 while Redis is away."""
    redis: Any = current().redis
    try:
        seconds, _ = redis.time()
        return int(redis.zcount(_key(quota, whose), f"({seconds}", "+inf"))
    except RedisError as error:
        _log.warning("open uses not counted", error=str(error))
        return 0


def _bound(call: Call, quota: Quota) -> int:
    settings = current().settings
    if _is_of_user(call, quota):
        return quota.bound(settings)
    with reading(call) as session:
        return quotas.bound_of(session.connection, session.workspace_id, quota, settings=settings)


def _is_of_user(call: Call, quota: Quota) -> bool:
    """Return whether the user counts: of an account without a workspace there is no other."""
    return quota.is_of_user or not isinstance(call.caller, Principal)


def _whose(call: Call, quota: Quota) -> UUID:
    return call.account.user_id if _is_of_user(call, quota) else call.workspace_id


def _key(quota: Quota, whose: UUID) -> str:
    return f"chronos:open:{quota.name}:{whose}"
