"""Lockouts: after a failed login the caller waits, longer after each failure.

1. Failures are counted for each pair of an account and a network, so that a caller locks no others
   out of an account.
2. Guesses from many networks are counted for the account, for a day. After very many of them,
   every caller waits, except in networks of earlier logins. So a stranger
   cannot lock the owner out there, and elsewhere a new password by e-mail opens the network.

Both are counted for every e-mail address alike, so that they do not reveal which accounts exist.
The counts are in Redis. While it is down, each process counts for itself.
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self, cast

from flask import Flask, current_app
from limits.storage import MemoryStorage, Storage
from redis.exceptions import RedisError

from chronos_api.security import rate_limits
from chronos_common import clock
from chronos_common.domain.addresses import email_key
from chronos_common.errors import TooManyRequests, Unauthenticated

#: Everybody mistypes a password some times.
FREE_FAILURES = 5
#: Failures of an account in all networks together before logins from everywhere wait.
FREE_FAILURES_OF_ACCOUNT = 50
FIRST_WAIT_SECONDS = 2
LONGEST_WAIT_SECONDS = 15 * 60
#: After this long, the failures in a network are forgotten.
MEMORY_SECONDS = 60 * 60
#: After this long, the failures of an account are forgotten.
MEMORY_OF_ACCOUNT_SECONDS = 24 * 60 * 60
#: After this long, a network is as good as a new one.
MEMORY_OF_NETWORK_SECONDS = 30 * 24 * 60 * 60

_NAME = "chronos-lockouts"


def register(app: Flask) -> None:
    """Give the application a memory for when Redis is down."""
    app.extensions[_NAME] = MemoryStorage()


@dataclass(frozen=True, slots=True)
class _FailureCount:
    """The failures of an account, in one network or in all, and the wait that follows them."""

    name: str
    free: int
    memory_seconds: int

    @property
    def failures(self) -> str:
        return f"chronos:failures:{self.name}"

    @property
    def lock(self) -> str:
        return f"chronos:lock:{self.name}"


@dataclass(frozen=True, slots=True)
class _Counts:
    """The counts of an account and the caller's network."""

    pair: _FailureCount
    account: _FailureCount

    @classmethod
    def of(cls, account: str) -> Self:
        key = email_key(account)
        return cls(
            _FailureCount(
                _digest(f"{key}\n{rate_limits.network()}"), FREE_FAILURES, MEMORY_SECONDS
            ),
            _FailureCount(_digest(key), FREE_FAILURES_OF_ACCOUNT, MEMORY_OF_ACCOUNT_SECONDS),
        )

    @property
    def known(self) -> str:
        """The mark of a network of an earlier login."""
        return f"chronos:known:{self.pair.name}"

    def that_apply(self, storage: Storage) -> list[_FailureCount]:
        return [self.pair] if storage.get(self.known) else [self.pair, self.account]


@contextmanager
def guarding(account: str, *, failed: Callable[[int], None]) -> Iterator[None]:
    """Surround the check of a secret of ``account``, which is an e-mail address or another name.

    Raises :class:`TooManyRequests` without a check if the caller has to wait. An
    ``Unauthenticated`` that leaves the block is a failure, and ``failed`` gets the seconds to wait
    after it. Without one, the failures in this network are forgotten.
    """
    counts = _Counts.of(account)
    seconds = _seconds_locked(counts)
    if seconds > 0:
        raise TooManyRequests(f"Too many failed logins; wait {seconds} seconds.", seconds=seconds)
    try:
        yield
    except Unauthenticated:
        failed(_note_failure(counts))
        raise
    _note_success(counts)


def trust_network(account: str) -> None:
    """Mark the caller's network as one from which the owner of ``account`` logs in."""
    _note_success(_Counts.of(account))


def wait_after(failures: int, free: int = FREE_FAILURES) -> int:
    """Return the seconds to wait after so many failures. The first ``free`` ones cost nothing."""
    if failures < free:
        return 0
    doublings = min(failures - free, 16)
    return min(FIRST_WAIT_SECONDS << doublings, LONGEST_WAIT_SECONDS)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _seconds_locked(counts: _Counts) -> int:
    for storage in _storages():
        try:
            return max(_seconds_left(storage, each) for each in counts.that_apply(storage))
        except RedisError:
            continue
    return 0


def _seconds_left(storage: Storage, count: _FailureCount) -> int:
    if not storage.get(count.lock):
        return 0
    left = math.ceil(storage.get_expiry(count.lock) - clock.host_now().timestamp())
    return min(max(left, 1), LONGEST_WAIT_SECONDS)


def _note_failure(counts: _Counts) -> int:
    """Count a failure, and return the seconds to wait."""
    for storage in _storages():
        try:
            return max(_count(storage, each) for each in counts.that_apply(storage))
        except RedisError:
            continue
    return 0


def _count(storage: Storage, count: _FailureCount) -> int:
    failures = storage.incr(count.failures, count.memory_seconds)
    seconds = wait_after(failures, count.free)
    if seconds:
        storage.incr(count.lock, seconds)
    return seconds


def _note_success(counts: _Counts) -> None:
    """Forget the failures in this network. Those elsewhere may be another person's."""
    for storage in _storages():
        try:
            storage.clear(counts.pair.failures)
            storage.incr(counts.known, MEMORY_OF_NETWORK_SECONDS)
        except RedisError:
            continue
        return


def _storages() -> list[Storage]:
    """Return where to count: first Redis, unless the rate limit found that it is down."""
    local = cast(Storage, current_app.extensions[_NAME])
    shared = rate_limits.storage()
    return [local] if isinstance(shared, MemoryStorage) else [shared, local]
